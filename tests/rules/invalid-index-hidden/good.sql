CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_tenant ON messages (tenant_id);
