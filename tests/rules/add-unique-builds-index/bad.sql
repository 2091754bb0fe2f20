ALTER TABLE messages ADD CONSTRAINT one_key UNIQUE (tenant_id);
