CREATE INDEX ON events (tenant_id, lower(kind));
