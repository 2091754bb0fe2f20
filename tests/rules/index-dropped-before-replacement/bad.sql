-- connection
DROP INDEX CONCURRENTLY messages_tenant;
CREATE INDEX CONCURRENTLY messages_tenant_sent ON messages (tenant_id, sent);
