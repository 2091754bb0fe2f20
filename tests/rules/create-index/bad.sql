CREATE INDEX i ON messages (tenant_id);
