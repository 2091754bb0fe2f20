-- fails: 42809
-- server: 14-17
ALTER TABLE events ADD CONSTRAINT of_tenant FOREIGN KEY (tenant_id) REFERENCES tenants NOT VALID;
