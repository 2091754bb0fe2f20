-- name: backend_pid
-- Compared with the pid that the server announced at login: a pooler announces one of its own.
SELECT pg_catalog.pg_backend_pid() AS pid;

-- name: own_backend
-- A pid alone may be reused; together with its start it names one session for ever.
SELECT
    pid,
    backend_start
FROM pg_stat_activity
WHERE pid = pg_backend_pid();

-- name: system_identifier
-- Tells one cluster from another (set by initdb, kept by physical copies).
SELECT system_identifier::text AS system_identifier
FROM pg_control_system();

-- name: identity
-- The database itself, to be compared with what the ledger remembers.
SELECT
    oid::bigint AS database_oid,
    datname AS database_name,
    pg_is_in_recovery() AS standby
FROM pg_database
WHERE datname = current_database();

-- name: timeline
-- A promoted standby or a recovery to a point in time starts a new timeline: the first 8 hex digits of a WAL file.
SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline;
