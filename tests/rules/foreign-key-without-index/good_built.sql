ALTER TABLE "Notes" ADD CONSTRAINT of_tenant FOREIGN KEY ("tenant id") REFERENCES tenants NOT VALID;
CREATE INDEX CONCURRENTLY notes_tenant ON "Notes" ("tenant id");
