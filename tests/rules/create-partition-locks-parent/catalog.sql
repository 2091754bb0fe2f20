CREATE TABLE events (
    id bigint,
    kind text,
    happened date NOT NULL
) PARTITION BY RANGE (happened);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX events_kind ON events (kind);
INSERT INTO events VALUES (1, 'a', '2024-05-01'), (2, 'a', '2026-05-01');
CREATE TABLE kinds (
    kind text NOT NULL
) PARTITION BY LIST (kind);
CREATE TABLE kinds_a (LIKE kinds);
INSERT INTO kinds_a VALUES ('a');
