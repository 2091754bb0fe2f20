-- name: blockers
-- Who keeps `pid` waiting: holders of what it waits for, and waiters ahead of it in the queue. pid 0 is a prepared
-- transaction. Other roles' queries are visible to members of pg_read_all_stats only.
WITH wanted AS (
    SELECT *
    FROM pg_locks
    WHERE pid = %(pid)s AND NOT granted
    LIMIT 1
),

blocking AS (
    SELECT DISTINCT b.pid
    FROM unnest(pg_blocking_pids(%(pid)s)) AS b (pid)
),

held AS (
    SELECT DISTINCT ON (l.pid)
        l.pid,
        l.mode,
        l.granted
    FROM wanted AS w
    INNER JOIN pg_locks AS l
        ON
            w.locktype = l.locktype
            AND (w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid)
            IS NOT DISTINCT FROM
            (l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid, l.objsubid)
    WHERE l.pid IS DISTINCT FROM %(pid)s
    ORDER BY l.pid, l.granted DESC
)

SELECT
    b.pid,
    a.usename AS user_name,
    a.application_name,
    a.state,
    extract(EPOCH FROM clock_timestamp() - a.xact_start)::float8 AS xact_age_seconds,
    a.backend_start,
    h.mode,
    coalesce(h.granted, true) AS holds,
    (SELECT w.relation::regclass::text FROM wanted AS w) AS relation
FROM blocking AS b
LEFT JOIN pg_stat_activity AS a ON b.pid = a.pid
LEFT JOIN held AS h ON b.pid = h.pid
ORDER BY a.xact_start NULLS LAST, b.pid;

-- name: holders
-- Transactions that hold one of the modes on one of the relations, by the names that predictions have. An autovacuum makes
-- way for who waits for it, unless it keeps transaction ids from coming round; what it does only some may see. pid 0 is a
-- prepared transaction.
SELECT
    l.virtualtransaction AS transaction,
    coalesce(l.pid, 0) AS pid,
    a.usename AS user_name,
    a.application_name,
    a.state,
    extract(EPOCH FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 AS xact_age_seconds,
    a.backend_start,
    l.mode,
    c.oid::regclass::text AS relation,
    l.mode = 'ShareUpdateExclusiveLock' AND l.pid IS NOT NULL AND a.usesysid IS NULL
    AND coalesce(a.query, '') NOT LIKE '%%(to prevent wraparound)%%' AS yields
FROM (
    SELECT
        unnest(%(relations)s::text[]) AS relation,
        unnest(%(modes)s::text[]) AS mode
) AS w
INNER JOIN pg_namespace AS n ON TRUE
INNER JOIN pg_class AS c
    ON n.oid = c.relnamespace AND w.relation = n.nspname::text || '.' || c.relname::text
INNER JOIN pg_locks AS l ON c.oid = l.relation AND w.mode = l.mode
LEFT JOIN pg_stat_activity AS a ON l.pid = a.pid
LEFT JOIN pg_prepared_xacts AS p
    ON l.pid IS NULL AND l.virtualtransaction = '-1/' || p.transaction::text
WHERE
    l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM %(pid)s
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
ORDER BY coalesce(a.xact_start, p.prepared) NULLS LAST, l.pid;

-- name: held
-- Locks of a session that keep writers waiting, on what others can see, by the names that predictions have.
SELECT
    n.nspname::text || '.' || c.relname::text AS relation,
    l.mode
FROM pg_locks AS l
INNER JOIN pg_class AS c ON l.relation = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    l.pid = %(pid)s AND l.granted AND l.locktype = 'relation' AND n.nspname !~ '^pg_'
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
ORDER BY l.relation, l.mode;

-- name: backend
-- One row while the session lives. backend_start is NULL when we may not see it.
SELECT backend_start
FROM pg_stat_activity
WHERE pid = %(pid)s;

-- name: terminate
-- Exactly this session: a pid that was given to another one since is left alone. Never ourselves.
SELECT pg_terminate_backend(pid) AS sent
FROM pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(backend_start)s AND pid <> pg_backend_pid();

-- name: idle
-- Of these sessions, by pid and start, those that a policy gives up: clients of its roles that have been idle in a transaction
-- for too long. What we may not see of a session is NULL, and keeps it.
SELECT
    a.pid,
    extract(EPOCH FROM clock_timestamp() - a.state_change)::float8 AS idle_seconds
FROM pg_stat_activity AS a
INNER JOIN unnest(%(pids)s::integer[], %(starts)s::timestamptz[]) AS h (pid, start) ON a.pid = h.pid AND a.backend_start = h.start
WHERE
    a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
    AND a.state IN ('idle in transaction', 'idle in transaction (aborted)')
    AND a.state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
    AND a.usename::text = ANY(%(roles)s::text[]) AND a.application_name NOT LIKE %(own)s
ORDER BY a.pid;

-- name: end_idle
-- The same again, because it may have gone on since.
SELECT pg_terminate_backend(a.pid) AS sent
FROM pg_stat_activity AS a
INNER JOIN unnest(%(pids)s::integer[], %(starts)s::timestamptz[]) AS h (pid, start) ON a.pid = h.pid AND a.backend_start = h.start
WHERE
    a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
    AND a.state IN ('idle in transaction', 'idle in transaction (aborted)')
    AND a.state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
    AND a.usename::text = ANY(%(roles)s::text[]) AND a.application_name NOT LIKE %(own)s;

-- name: try_lock
-- Never waits, so that nobody waits for our snapshot.
SELECT pg_try_advisory_lock(%(key)s) AS locked;

-- name: unlock
-- False when this session does not hold it.
SELECT pg_advisory_unlock(%(key)s) AS unlocked;

-- name: holds_lock
-- Asked on the lock's own session.
SELECT EXISTS (
    SELECT 1
    FROM pg_locks
    WHERE
        locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 1
        AND classid = ((%(key)s::bigint >> 32) & 4294967295)::oid
        AND objid = (%(key)s::bigint & 4294967295)::oid
) AS holds;

-- name: lock_holder
-- A bigint key appears as two halves in pg_locks, with objsubid 1.
SELECT
    l.pid,
    a.usename AS user_name,
    a.application_name,
    host(a.client_addr) AS client,
    a.backend_start
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON l.pid = a.pid
WHERE
    l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.classid = ((%(key)s::bigint >> 32) & 4294967295)::oid
    AND l.objid = (%(key)s::bigint & 4294967295)::oid
LIMIT 1;

-- name: sessions_named
-- By application_name: the sessions that execute a migration, whoever started them.
SELECT
    pid,
    application_name,
    state
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = ANY(%(names)s)
ORDER BY pid;
