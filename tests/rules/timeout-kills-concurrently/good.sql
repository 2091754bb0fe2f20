SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY i ON messages (tenant_id);
