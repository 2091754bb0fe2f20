CREATE TABLE tenants (id bigint PRIMARY KEY);
CREATE TABLE notes (id bigint CONSTRAINT positive CHECK (id > 0), tenant_id bigint CONSTRAINT of_tenant REFERENCES tenants);
