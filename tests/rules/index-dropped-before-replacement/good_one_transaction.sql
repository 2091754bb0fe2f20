-- connection
DROP INDEX messages_tenant;
CREATE INDEX messages_tenant_sent ON messages (tenant_id, sent);
