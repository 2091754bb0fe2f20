CREATE INDEX IF NOT EXISTS messages_tenant ON messages (tenant_id);

CREATE TABLE IF NOT EXISTS tenants (
    id bigint PRIMARY KEY,
    name text
);

ALTER TABLE messages ADD COLUMN IF NOT EXISTS body text NOT NULL, ADD COLUMN IF NOT EXISTS price numeric(10, 2);
