-- The moment of a snapshot.

-- name: moment
-- Everything that is dumped and hashed is of this very snapshot. A standby has no current insert position.
select
    pg_catalog.pg_export_snapshot() as snapshot,
    pg_catalog.clock_timestamp() as taken_at,
    case
        when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
        else pg_catalog.pg_current_wal_lsn()
    end::text as lsn,
    pg_catalog.current_database()::text as dbname;
