-- fails: 0A000
CREATE INDEX CONCURRENTLY events_tenant ON events (tenant_id) WHERE tenant_id > 0;
