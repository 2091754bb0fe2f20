ALTER TABLE events ADD CONSTRAINT of_tenant FOREIGN KEY (tenant_id) REFERENCES tenants;
