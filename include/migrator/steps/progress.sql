-- name: create_index
-- Where the build of backend `pid` stands; the estimate of rows makes blocks and tuples comparable.
SELECT
    p.phase,
    p.blocks_done,
    p.blocks_total,
    p.tuples_done,
    p.tuples_total,
    p.lockers_done,
    p.lockers_total,
    p.current_locker_pid,
    greatest(c.reltuples, 0)::bigint AS rows_estimate
FROM pg_stat_progress_create_index AS p
LEFT JOIN pg_class AS c ON p.relid = c.oid
WHERE p.pid = %(pid)s;
