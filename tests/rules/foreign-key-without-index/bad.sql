-- another schema: it has the index, too
ALTER TABLE "Notes" ADD CONSTRAINT of_tenant FOREIGN KEY ("tenant id") REFERENCES tenants NOT VALID;
