-- name: replication
-- Standbys replay every lock; logical subscribers do not.
SELECT
    (
        SELECT count(*)
        FROM pg_stat_replication AS r
        WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
    ) AS standbys,
    current_setting('autovacuum_freeze_max_age')::int AS freeze_max_age;

-- name: transactions
-- CONCURRENTLY waits for snapshots older than its own; a prepared transaction holds its locks without a session.
-- Our own sessions are left out: they end before the migration begins.
SELECT
    format('pid %%s (%%s)', a.pid, coalesce(a.state, 'hidden')) AS who,
    extract(EPOCH FROM clock_timestamp() - a.xact_start)::float8 AS seconds
FROM pg_stat_activity AS a
WHERE
    a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
    AND a.backend_type IN ('client backend', 'walsender')
UNION ALL
SELECT
    format('prepared transaction %%L', p.gid) AS who,
    extract(EPOCH FROM clock_timestamp() - p.prepared)::float8 AS seconds
FROM pg_prepared_xacts AS p
WHERE p.database = current_database()
ORDER BY seconds DESC NULLS LAST
LIMIT 20;

-- name: wraparound
-- Autovacuum gives way to DDL, except when it runs to prevent wraparound.
SELECT l.relation::bigint AS oid
FROM pg_locks AS l
INNER JOIN pg_stat_activity AS a ON l.pid = a.pid
WHERE
    l.locktype = 'relation' AND l.granted AND l.relation = any(%(oids)s::oid [])
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND a.query LIKE 'autovacuum:%%(to prevent wraparound)'
ORDER BY oid;

-- name: ages
-- A table's TOAST table is vacuumed with it.
SELECT
    c.oid::bigint AS oid,
    greatest(age(c.relfrozenxid), coalesce(age(t.relfrozenxid), 0)) AS age
FROM pg_class AS c
LEFT JOIN pg_class AS t ON c.reltoastrelid = t.oid
WHERE c.oid = any(%(oids)s::oid []) AND c.relkind IN ('r', 'm') AND c.relfrozenxid <> '0'::xid
ORDER BY c.oid;

-- name: sequences
-- Sequences that a column owns, or that its identity has. last_value is NULL where the role may not read the sequence.
SELECT
    format('%%s.%%s', n.nspname, s.relname) AS sequence,
    format('%%s.%%s.%%s', tn.nspname, t.relname, a.attname) AS name,
    format_type(a.atttypid, NULL) AS type,
    v.last_value,
    least(
        q.seqmax,
        CASE a.atttypid::regtype::text WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647 ELSE q.seqmax END
    ) AS highest
FROM pg_depend AS d
INNER JOIN pg_class AS s ON d.objid = s.oid AND s.relkind = 'S'
INNER JOIN pg_namespace AS n ON s.relnamespace = n.oid
INNER JOIN pg_sequence AS q ON s.oid = q.seqrelid AND q.seqincrement > 0
INNER JOIN pg_class AS t ON d.refobjid = t.oid
INNER JOIN pg_namespace AS tn ON t.relnamespace = tn.oid
INNER JOIN pg_attribute AS a ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
INNER JOIN pg_sequences AS v ON n.nspname = v.schemaname AND s.relname = v.sequencename
WHERE
    d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    AND d.refobjid = any(%(oids)s::oid []) AND v.last_value IS NOT NULL
ORDER BY sequence;
