-- name: settings
-- What changes the cost of the same work. Sizes in bytes. The time of a read from the disk is known where track_io_timing
-- is on: as what the slowest of the recent reads take is unknown, all reads of this database count, those that the
-- operating system's cache answers included. Milliseconds for a block are thousands of seconds for a million.
SELECT
    pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers,
    pg_size_bytes(current_setting('effective_cache_size')) AS effective_cache_size,
    pg_size_bytes(current_setting('maintenance_work_mem')) AS maintenance_work_mem,
    current_setting('max_parallel_maintenance_workers')::int AS parallel_workers,
    current_setting('wal_level') = 'minimal' AS wal_minimal,
    (
        SELECT d.blk_read_time / d.blks_read * 1000
        FROM pg_catalog.pg_stat_database AS d
        WHERE d.datname = current_database() AND d.blk_read_time > 0 AND d.blks_read > 100000
    ) AS disk_read;

-- name: standbys
-- Physical ones; a logical subscriber reports what it has confirmed, which is not what it has replayed. Who is no member of
-- pg_monitor sees only that there are such sessions.
SELECT
    r.application_name,
    pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, r.replay_lsn
    ) AS behind,
    extract(EPOCH FROM r.replay_lag) AS lag
FROM pg_catalog.pg_stat_replication AS r
LEFT JOIN pg_catalog.pg_replication_slots AS s ON r.pid = s.active_pid
WHERE s.slot_type IS DISTINCT FROM 'logical' AND r.state IS DISTINCT FROM 'backup'
ORDER BY r.pid;

-- name: columns
-- Width and order of the keys: an index over values that come in order is built and filled several times faster.
-- Shows only tables that our role may read. The values themselves only of `filtered`: which rows a WHERE leaves there.
SELECT
    schemaname || '.' || tablename AS relation,
    attname AS name,
    avg_width AS width,
    correlation::float8 AS correlation,
    null_frac::float8 AS null_fraction,
    n_distinct::float8 AS distinct_values,
    CASE WHEN f.wanted THEN most_common_vals::text::text [] END AS common_values,
    CASE WHEN f.wanted THEN most_common_freqs::float8 [] END AS common_frequencies,
    CASE WHEN f.wanted THEN histogram_bounds::text::text [] END AS bounds
FROM pg_catalog.pg_stats
CROSS JOIN LATERAL (SELECT schemaname || '.' || tablename = ANY(%(filtered)s::text []) AS wanted) AS f
WHERE schemaname || '.' || tablename = ANY(%(relations)s) AND NOT inherited;

-- name: owners
-- Who owns the database and the schema of the measurement, and whether that is our role.
SELECT
    pg_catalog.pg_get_userbyid(o.owner) AS owner,
    o.owner = (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user) AS ours
FROM (
    SELECT d.datdba AS owner FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
    UNION ALL
    SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = %(schema)s
) AS o;

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
CREATE TABLE sample (
    id bigint, a integer, t text, created timestamptz, parent integer, price numeric, body text
);

-- name: fill_sample
INSERT INTO sample
SELECT
    i,
    (random() * 1e9)::integer,
    md5(i::text) || '@example.org',
    timestamptz '2024-01-01' + i * interval '30 seconds',
    mod(i, 1000) AS parent,
    (random() * 1e6)::numeric(14, 3) AS price,
    repeat('x', 20 + mod(i, 40)) AS body
FROM generate_series(1, %(rows)s) AS i;

-- name: wide
-- Few rows to a page: what a page costs beside its rows.
CREATE TABLE wide (id bigint, a integer, body text);

-- name: wide_plain
-- The body stays in the row; CREATE TABLE itself takes STORAGE from 16 on.
ALTER TABLE wide ALTER COLUMN body SET STORAGE PLAIN;

-- name: fill_wide
INSERT INTO wide
SELECT
    i AS id,
    i AS a,
    repeat('x', 1500)
FROM generate_series(1, %(rows)s) AS i;

-- name: special
-- Keys for indexes that are no B-trees.
CREATE TABLE special (id bigint, tags integer [], span int4range);

-- name: fill_special
INSERT INTO special
SELECT
    i,
    ARRAY[mod(i, 10), mod(i * 7, 500), mod(i * 31, 3000), mod(i * 17, 10000), i],
    int4range(mod(i * 7919, 1000000), mod(i * 7919, 1000000) + mod(i, 100) + 1)
FROM generate_series(1, %(rows)s) AS i;

-- name: fed
CREATE TABLE fed (id bigint, parent integer);

-- name: audit
CREATE TABLE audit (id bigint, happened timestamptz);

-- name: assign
-- The cheapest of all row triggers.
CREATE FUNCTION assign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.id := NEW.id + 1;
    RETURN NEW;
END
$$;

-- name: log
-- The same with one statement, as audit trails have it.
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.id := NEW.id + 1;
    INSERT INTO audit VALUES (NEW.id, now());
    RETURN NEW;
END
$$;

-- name: database
-- Whether we own the database, and everybody may still connect to it.
SELECT
    pg_catalog.pg_get_userbyid(d.datdba) = current_user
    AND pg_catalog.has_database_privilege('public', d.oid, 'CONNECT') AS open_to_everybody
FROM pg_catalog.pg_database AS d
WHERE d.datname = %(name)s;
