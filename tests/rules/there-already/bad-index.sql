-- connection
CREATE UNIQUE INDEX IF NOT EXISTS messages_tenant ON messages (tenant_id);
