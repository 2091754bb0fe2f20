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
CREATE TABLE notes (
    id bigint PRIMARY KEY,
    body text
);
CREATE INDEX notes_body ON notes (body);
CREATE MATERIALIZED VIEW note_count AS SELECT count(*) AS n FROM notes;
CREATE INDEX notes_more ON notes (id, body);
