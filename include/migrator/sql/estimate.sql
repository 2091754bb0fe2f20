-- name: settings
-- What changes the cost of the same work. Sizes in bytes.
SELECT
    pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers,
    pg_size_bytes(current_setting('maintenance_work_mem')) AS maintenance_work_mem,
    current_setting('wal_level') = 'minimal' AS wal_minimal;

-- name: columns
-- Width and order of the keys: an index over values that come in order is built and filled several times faster.
-- Shows only tables that our role may read.
SELECT
    schemaname || '.' || tablename AS relation,
    attname AS name,
    avg_width AS width,
    correlation::float8 AS correlation,
    null_frac::float8 AS null_fraction,
    n_distinct::float8 AS distinct_values
FROM pg_catalog.pg_stats
WHERE schemaname || '.' || tablename = ANY(%(relations)s) AND NOT inherited;

-- name: cache
-- Where measured costs are kept: one row for each version and set of settings.
CREATE TABLE IF NOT EXISTS migrator_costs (
    key text PRIMARY KEY,
    measured_at timestamptz NOT NULL,
    costs jsonb NOT NULL
);

-- name: cached
SELECT
    measured_at,
    costs
FROM migrator_costs
WHERE key = %(key)s;

-- name: remember
INSERT INTO migrator_costs (key, measured_at, costs)
VALUES (%(key)s, %(measured_at)s, %(costs)s)
ON CONFLICT (key) DO UPDATE SET measured_at = excluded.measured_at, costs = excluded.costs;

-- name: sample
-- Rows of about 150 bytes with keys in order and in none, numbers and text, as tables of applications have them.
CREATE TABLE sample (id bigint, a integer, t text, created timestamptz, parent integer, body text);

-- name: fill_sample
INSERT INTO sample
SELECT
    i,
    (random() * 1e9)::integer,
    md5(i::text) || '@example.org',
    timestamptz '2024-01-01' + i * interval '30 seconds',
    mod(i, 1000) AS parent,
    repeat('x', 20 + mod(i, 40)) AS body
FROM generate_series(1, %(rows)s) AS i;
