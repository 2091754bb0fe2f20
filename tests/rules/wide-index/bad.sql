CREATE INDEX CONCURRENTLY i ON messages (tenant_id, sent, size, code);
