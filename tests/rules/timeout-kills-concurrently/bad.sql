SET lock_timeout = '2s';
CREATE INDEX CONCURRENTLY i ON messages (tenant_id);
