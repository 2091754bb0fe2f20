-- name: server
-- A standby cannot be migrated; the settings say how many sessions fit.
SELECT
    pg_is_in_recovery() AS standby,
    current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int AS usable_connections,
    pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all;

-- name: connections
-- What is taken of the server, of this database and of our role; the limits are -1 where there is none. Walsenders and
-- parallel workers have slots of their own.
SELECT
    count(*) AS taken,
    count(*) FILTER (WHERE a.datname = current_database()) AS taken_of_database,
    count(*) FILTER (WHERE a.usename = session_user) AS taken_of_role,
    (SELECT d.datconnlimit FROM pg_database AS d WHERE d.datname = current_database()) AS database_limit,
    (SELECT r.rolconnlimit FROM pg_roles AS r WHERE r.rolname = session_user) AS role_limit
FROM pg_stat_activity AS a
WHERE a.usesysid IS NOT NULL AND coalesce(a.backend_type, 'client backend') = 'client backend';

-- name: standbys
-- Lag in bytes of WAL not yet replayed; NULL where the role may not see it. An inactive slot is a standby that is away.
SELECT
    coalesce(nullif(r.application_name, ''), r.client_addr::text, 'pid ' || r.pid) AS name,
    'is ' || coalesce(r.state, 'hidden') AS state,
    pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::bigint AS lag_bytes
FROM pg_stat_replication AS r
WHERE r.state IS NULL OR r.state IN ('startup', 'catchup', 'streaming')
UNION ALL
SELECT
    s.slot_name::text AS name,
    'is an inactive ' || s.slot_type || ' slot' AS state,
    pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint AS lag_bytes
FROM pg_replication_slots AS s
WHERE NOT s.active AND s.restart_lsn IS NOT NULL
ORDER BY lag_bytes DESC NULLS LAST, name;

-- name: transactions
-- Open transactions of this database, the oldest first: each may hold a lock that we need, and CREATE INDEX CONCURRENTLY
-- waits for all that hold a snapshot. Sessions that the role may not look into have no state.
SELECT
    a.pid,
    a.usename::text AS user_name,
    a.application_name,
    a.state,
    extract(EPOCH FROM clock_timestamp() - a.xact_start)::float8 AS seconds
FROM pg_stat_activity AS a
WHERE
    a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL
    AND (a.xact_start IS NOT NULL OR a.state IS NULL)
    AND coalesce(a.backend_type, 'client backend') = 'client backend'
ORDER BY a.xact_start NULLS LAST, a.pid;

-- name: prepared
-- Prepared transactions hold their locks without any session, across restarts too.
SELECT
    gid,
    owner::text AS user_name,
    extract(EPOCH FROM clock_timestamp() - prepared)::float8 AS seconds
FROM pg_prepared_xacts
WHERE database = current_database()
ORDER BY prepared;

-- name: invalid_indexes
-- On the tables that the migration touches. An index that somebody builds at this moment is not left over.
SELECT
    i.indexrelid::regclass::text AS index_name,
    c.relname::text AS bare_name,
    i.indrelid::regclass::text AS table_name
FROM pg_index AS i
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
WHERE
    NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i'
    AND i.indrelid IN (SELECT to_regclass(t.name) FROM unnest(%(tables)s::text []) AS t (name))
    AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index AS p WHERE p.relid = i.indrelid)
ORDER BY index_name;

-- name: wraparound
-- Autovacuum gives way to DDL, except when it runs to prevent wraparound: then DDL waits until it is done.
SELECT
    l.relation::regclass::text AS table_name,
    a.pid,
    extract(EPOCH FROM clock_timestamp() - a.xact_start)::float8 AS seconds
FROM pg_locks AS l
INNER JOIN pg_stat_activity AS a ON l.pid = a.pid
WHERE
    l.locktype = 'relation' AND l.granted
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.relation IN (SELECT to_regclass(t.name) FROM unnest(%(tables)s::text []) AS t (name))
    AND a.query LIKE 'autovacuum:%%(to prevent wraparound)'
ORDER BY table_name;

-- name: sizes
-- A rewrite needs the table's size once more on disk until it commits.
SELECT coalesce(sum(pg_total_relation_size(to_regclass(t.name))), 0)::bigint AS bytes
FROM unnest(%(tables)s::text []) AS t (name);
