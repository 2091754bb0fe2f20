-- What a statement does to relations that were there before it: read around each statement of a dry run.

-- name: relations
-- Everything that holds a lock or a file of its own, without the ledger, system and temporary ones. An index goes with
-- its table.
SELECT
    c.oid::bigint AS oid,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    n.nspname || '.' || c.relname AS plain,
    c.relkind::text AS kind,
    c.relfilenode::bigint AS file,
    i.indrelid::bigint AS table_oid,
    CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::bigint END AS root_oid
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_index AS i ON c.oid = i.indexrelid
WHERE
    c.relkind IN ('r', 'p', 'm', 'v', 'S', 'f', 'i', 'I', 'c') AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT n.nspname = any(%(exclude)s::text []);

-- name: columns
-- Of the tables of these names, in whatever schema, and of those that inherit from them.
WITH RECURSIVE those AS (
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind IN ('r', 'p') AND c.relname = any(%(names)s::text [])
    UNION
    SELECT i.inhrelid
    FROM those AS t
    INNER JOIN pg_catalog.pg_inherits AS i ON t.oid = i.inhparent
)

SELECT
    a.attrelid::bigint AS table_oid,
    a.attname::text AS name,
    a.attnum::integer AS number,
    pg_catalog.format_type(a.atttypid, NULL) AS type_name,
    a.atttypmod::integer AS modifier
FROM those AS t
INNER JOIN pg_catalog.pg_attribute AS a ON t.oid = a.attrelid
WHERE a.attnum > 0 AND NOT a.attisdropped;

-- name: routines
-- What functions of these names, and those of triggers that fire for these events of these tables, are made of.
SELECT
    p.oid::bigint AS oid,
    pg_catalog.pg_get_functiondef(p.oid) AS definition
FROM pg_catalog.pg_proc AS p
INNER JOIN pg_catalog.pg_language AS l ON p.prolang = l.oid
WHERE
    l.lanname IN ('sql', 'plpgsql') AND p.prokind IN ('f', 'p') AND p.oid >= 16384
    AND (
        p.proname = any(%(called)s::text [])
        OR EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS t
            INNER JOIN pg_catalog.pg_class AS c ON t.tgrelid = c.oid
            WHERE
                t.tgfoid = p.oid AND t.tgenabled <> 'D' AND NOT t.tgisinternal
                AND t.tgtype & (%(events)s::integer [])[
                    pg_catalog.array_position(%(tables)s::text [], c.relname::text)
                ] <> 0
        )
    );

-- name: locks
-- Locks that a session has now; the view shows every session's.
SELECT
    l.relation::bigint AS oid,
    l.mode
FROM pg_catalog.pg_locks AS l
WHERE
    l.pid = %(pid)s AND l.granted AND l.locktype = 'relation'
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database());

-- name: locks_and_waits
-- The same with the locks that it still waits for. Without a relation: it waits for the end of a transaction.
SELECT
    CASE WHEN l.locktype = 'relation' THEN l.relation::bigint END AS oid,
    l.mode,
    l.granted,
    CASE WHEN l.granted THEN false ELSE pg_backend_pid() = any(pg_blocking_pids(l.pid)) END AS waits_for_us
FROM pg_catalog.pg_locks AS l
WHERE
    l.pid = %(pid)s
    AND (
        (l.locktype IN ('virtualxid', 'transactionid') AND NOT l.granted)
        OR (
            l.locktype = 'relation'
            AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
        )
    );

-- name: use_of_transaction
-- Full reads that this transaction has begun (index builds and checks of constraints count), and rows that it has changed,
-- also where a savepoint took them back.
SELECT
    relid::bigint AS oid,
    seq_scan::bigint AS scans,
    (n_tup_ins + n_tup_upd + n_tup_del)::bigint AS changed,
    n_tup_del::bigint AS deleted
FROM pg_catalog.pg_stat_xact_user_tables
WHERE seq_scan > 0 OR n_tup_ins + n_tup_upd + n_tup_del > 0;

-- name: use_so_far
-- The same since the statistics began, for statements that have transactions of their own.
SELECT
    relid::bigint AS oid,
    seq_scan::bigint AS scans,
    (n_tup_ins + n_tup_upd + n_tup_del)::bigint AS changed,
    n_tup_del::bigint AS deleted
FROM pg_catalog.pg_stat_user_tables
WHERE seq_scan > 0 OR n_tup_ins + n_tup_upd + n_tup_del > 0;

-- name: flush_statistics
-- PostgreSQL 15 and later: the next report is not held back.
SELECT pg_catalog.pg_stat_force_next_flush();

-- name: transaction
-- pid and start name a transaction.
SELECT
    pg_backend_pid() AS pid,
    transaction_timestamp() AS started;

-- name: wal_position
-- Bytes of WAL that the whole server has written; what others write meanwhile is in it.
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS bytes;
