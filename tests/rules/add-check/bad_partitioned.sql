ALTER TABLE events ADD CONSTRAINT positive CHECK (tenant_id > 0);
