CREATE TABLE tenants (id bigint PRIMARY KEY);
CREATE TABLE events (tenant_id bigint, at date) PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
