-- name: locks_taken
-- Of our own session in this transaction: everything stronger than reading takes, in the words of the manual.
SELECT
    pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
    pg_catalog.upper(
        pg_catalog.btrim(pg_catalog.regexp_replace(pg_catalog.regexp_replace(l.mode, 'Lock$', ''), '([A-Z])', ' \1', 'g'))
    ) AS mode
FROM pg_catalog.pg_locks AS l
INNER JOIN pg_catalog.pg_class AS c ON l.relation = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    l.locktype = 'relation'
    AND l.pid = pg_catalog.pg_backend_pid()
    AND l.mode <> 'AccessShareLock'
ORDER BY 1, 2;

-- name: writers
-- Other transactions that hold the lock of who writes, or is about to, into what our own has read. What is hidden from our
-- role is NULL; pid 0 is a prepared transaction.
SELECT DISTINCT ON (l.virtualtransaction)
    l.virtualtransaction,
    coalesce(l.pid, 0) AS pid,
    a.usename::text AS user_name,
    a.application_name,
    a.state,
    extract(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS xact_age_seconds,
    l.mode,
    l.relation::regclass::text AS relation
FROM pg_catalog.pg_locks AS mine
INNER JOIN pg_catalog.pg_class AS c ON mine.relation = c.oid
INNER JOIN pg_catalog.pg_locks AS l ON mine.relation = l.relation AND mine.database = l.database
LEFT JOIN pg_catalog.pg_stat_activity AS a ON l.pid = a.pid
WHERE
    mine.locktype = 'relation' AND mine.pid = pg_catalog.pg_backend_pid() AND c.relkind IN ('r', 'p', 'm', 'f')
    AND c.relnamespace <> 'pg_catalog'::regnamespace
    AND l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
    AND l.mode IN ('RowShareLock', 'RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
ORDER BY l.virtualtransaction, l.pid;

-- name: there
-- Transactions that have not ended: each holds the lock of its own, a prepared one those that it had.
SELECT DISTINCT l.virtualtransaction
FROM pg_catalog.pg_locks AS l
WHERE l.virtualtransaction = ANY(%(transactions)s::text[]);
