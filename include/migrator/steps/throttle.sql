-- name: rights
-- What the role may see of the signals; the rest of them everybody sees.
SELECT
    pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all,
    has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') AS sees_archive,
    current_setting('archive_mode') <> 'off' AS archives;

-- name: signals
-- One round trip for all that is looked at every quarter of a second. `pids` execute the batches, `tables` are theirs.
SELECT
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS wal,
    (
        SELECT
            jsonb_agg(
                jsonb_build_object(
                    'name', coalesce(nullif(r.application_name, ''), r.client_addr::text, 'pid ' || r.pid),
                    'lag_bytes', pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::bigint,
                    'lag_seconds', extract(EPOCH FROM r.replay_lag)::float8
                )
            )
        FROM pg_stat_replication AS r
        WHERE r.state IS NULL OR r.state IN ('startup', 'catchup', 'streaming')
    ) AS standbys,
    (
        SELECT
            jsonb_agg(
                jsonb_build_object(
                    'name', s.slot_name,
                    'active', s.active,
                    'wal_status', s.wal_status,
                    'retained', pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint
                )
            )
        FROM pg_replication_slots AS s
        WHERE NOT s.temporary
    ) AS slots,
    (
        SELECT nullif(k.setting::bigint, -1) * 1024 * 1024 FROM pg_settings AS k WHERE k.name = 'max_slot_wal_keep_size'
    ) AS slot_keep_bytes,
    (
        SELECT
            current_setting('archive_mode') <> 'off'
            AND coalesce(v.last_failed_time > coalesce(v.last_archived_time, '-infinity'), false)
        FROM pg_stat_archiver AS v
    ) AS archive_failing,
    w.blocked,
    w.blocked_seconds,
    (SELECT coalesce(sum(pg_stat_get_dead_tuples(t.oid)), 0)::bigint FROM unnest(%(tables)s::oid []) AS t (oid))
        AS dead_rows,
    (SELECT coalesce(sum(pg_stat_get_live_tuples(t.oid)), 0)::bigint FROM unnest(%(tables)s::oid []) AS t (oid))
        AS live_rows,
    EXISTS (
        SELECT 1
        FROM pg_locks AS l
        INNER JOIN pg_stat_activity AS a ON l.pid = a.pid
        WHERE
            l.locktype = 'relation' AND l.granted AND l.relation = ANY(%(tables)s::oid [])
            AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
            AND a.query LIKE 'autovacuum:%%(to prevent wraparound)'
    ) AS wraparound,
    c.snapshot_seconds,
    least(
        current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int
        - c.taken,
        (
            SELECT d.datconnlimit - c.taken_of_database
            FROM pg_database AS d
            WHERE d.datname = current_database() AND d.datconnlimit >= 0
        ),
        (
            SELECT r.rolconnlimit - c.taken_of_role
            FROM pg_roles AS r
            WHERE r.rolname = session_user AND r.rolconnlimit >= 0
        )
    )::int AS free_connections
FROM (
    SELECT
        count(DISTINCT l.pid) AS blocked,
        coalesce(extract(EPOCH FROM max(clock_timestamp() - l.waitstart)), 0)::float8 AS blocked_seconds
    FROM pg_locks AS l
    WHERE NOT l.granted AND l.pid <> ALL(%(pids)s) AND pg_blocking_pids(l.pid) && %(pids)s::integer[]
) AS w
CROSS JOIN (
    SELECT
        count(*) FILTER (WHERE a.backend_type IS NULL OR a.backend_type = 'client backend') AS taken,
        count(*) FILTER (WHERE a.datname = current_database()) AS taken_of_database,
        count(*) FILTER (WHERE a.usename = session_user) AS taken_of_role,
        coalesce(
            extract(
                EPOCH FROM max(clock_timestamp() - a.xact_start) FILTER (
                    WHERE
                    a.backend_xmin IS NOT NULL AND a.datname = current_database()
                    AND a.backend_type = 'client backend' AND a.pid <> ALL(pg_backend_pid() || %(pids)s::integer[])
                )
            ),
            0
        )::float8 AS snapshot_seconds
    FROM pg_stat_activity AS a
    WHERE a.usesysid IS NOT NULL
) AS c;

-- name: checkpoints
-- Those that were requested, mostly because max_wal_size was reached.
SELECT num_requested AS requested_checkpoints FROM pg_stat_checkpointer;

-- name: checkpoints_before_17
-- The same where both are counted in one view.
SELECT checkpoints_req AS requested_checkpoints FROM pg_stat_bgwriter;

-- name: archive_ready
-- Reads a folder, so it is asked more seldom; only members of pg_monitor may.
SELECT count(*) AS archive_ready FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready';
