CREATE TABLE t (id bigint);
CREATE INDEX i ON tenants (name);
