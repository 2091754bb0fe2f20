-- What the examples stand on where they have no catalog.sql of their own.
CREATE TABLE tenants (
    id bigint PRIMARY KEY,
    name text
);

CREATE TABLE messages (
    id integer PRIMARY KEY,
    tenant_id bigint,
    body text NOT NULL,
    size integer,
    sent timestamp,
    code varchar(20) CONSTRAINT code_there CHECK (code <> ''),
    price numeric(10, 2)
);

CREATE INDEX messages_tenant ON messages (tenant_id);

CREATE TABLE "Odd Names" (
    "Key" integer NOT NULL,
    "the value" text
);

INSERT INTO tenants VALUES (1, 'one'), (2, 'two');

INSERT INTO messages VALUES (1, 1, 'a', 1, '2024-01-01', 'x', 1), (2, 2, 'b', 2, '2024-01-02', 'y', 2);

INSERT INTO "Odd Names" VALUES (1, 'one'), (2, 'two');
CREATE TABLE events (
    id bigint,
    tenant_id bigint,
    kind text,
    happened date NOT NULL
) PARTITION BY RANGE (happened);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (kind);
CREATE TABLE events_2025_a PARTITION OF events_2025 FOR VALUES IN ('a');
CREATE TABLE events_2025_other PARTITION OF events_2025 DEFAULT;
CREATE INDEX events_happened ON events (happened);
INSERT INTO events VALUES (1, 1, 'a', '2024-05-01'), (2, 1, 'a', '2025-05-01'), (3, 1, 'b', '2025-06-01');
