-- What others have changed since the gates were asked that a migration's statements may run without naming it. Each change
-- makes a new row of the catalog, also one that puts things back.

-- name: now
SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text AS oldest;

-- name: relations
-- Many rows of pg_class are written anew by what changes nothing here, such as TRUNCATE.
SELECT
    c.oid::bigint AS relation,
    pg_catalog.md5(ROW(
        c.relname, c.relnamespace, c.relowner, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relispartition,
        c.reloptions, c.relacl
    )::text) AS content
FROM pg_catalog.pg_class AS c
WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S');

-- name: written
-- Rows of transactions that had not ended, or not begun, when the oldest one was the oldest, as a session beside the step's
-- sees them: what the step has changed is not committed yet. Which of them were there already is remembered: a snapshot does
-- not list sub-transactions, and takes those that are under way for ended. Numbers of transactions come round: each is taken
-- for the last one there is. Temporary tables of others run nothing here. Columns: of all tables, or of those that the
-- step's session has locked. And how many rows there are, since nothing is left of one that was dropped.
WITH made AS (
    SELECT 'pg_proc' AS catalog, p.oid::bigint AS key, 'function ' || p.oid::pg_catalog.regprocedure::text AS what, p.xmin AS writer
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_namespace AS n ON p.pronamespace = n.oid
    WHERE n.nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT 'pg_namespace', n.oid::bigint, 'schema ' || pg_catalog.quote_ident(n.nspname), n.xmin
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT 'pg_operator', o.oid::bigint, 'operator ' || o.oid::pg_catalog.regoperator::text, o.xmin
    FROM pg_catalog.pg_operator AS o
    UNION ALL
    SELECT 'pg_cast', t.oid::bigint, 'cast to ' || t.casttarget::pg_catalog.regtype::text, t.xmin
    FROM pg_catalog.pg_cast AS t
    UNION ALL
    SELECT 'pg_constraint', k.oid::bigint, 'constraint of ' || k.contypid::pg_catalog.regtype::text, k.xmin
    FROM pg_catalog.pg_constraint AS k
    WHERE k.contypid <> 0
    UNION ALL
    SELECT 'pg_opclass', o.oid::bigint, 'operator class ' || o.opcname, o.xmin
    FROM pg_catalog.pg_opclass AS o
    UNION ALL
    SELECT 'pg_amproc', a.oid::bigint, 'operator family ' || f.opfname, a.xmin
    FROM pg_catalog.pg_amproc AS a
    INNER JOIN pg_catalog.pg_opfamily AS f ON a.amprocfamily = f.oid
    UNION ALL
    SELECT 'pg_event_trigger', e.oid::bigint, 'event trigger ' || e.evtname, e.xmin
    FROM pg_catalog.pg_event_trigger AS e
    UNION ALL
    SELECT 'pg_type', t.oid::bigint, 'type ' || t.oid::pg_catalog.regtype::text, t.xmin
    FROM pg_catalog.pg_type AS t
    INNER JOIN pg_catalog.pg_namespace AS n ON t.typnamespace = n.oid
    WHERE t.typtype IN ('d', 'e', 'r') AND n.nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT r.catalog, r.key, r.what || r.relid::pg_catalog.regclass::text, r.writer
    FROM (
        SELECT 'pg_trigger' AS catalog, g.oid::bigint AS key, 'trigger of ' AS what, g.tgrelid AS relid, g.xmin AS writer
        FROM pg_catalog.pg_trigger AS g
        UNION ALL
        SELECT 'pg_rewrite', w.oid::bigint, 'rule of ', w.ev_class, w.xmin FROM pg_catalog.pg_rewrite AS w
        UNION ALL
        SELECT 'pg_policy', y.oid::bigint, 'policy of ', y.polrelid, y.xmin FROM pg_catalog.pg_policy AS y
        UNION ALL
        SELECT 'pg_attrdef', d.oid::bigint, 'default of ', d.adrelid, d.xmin FROM pg_catalog.pg_attrdef AS d
        UNION ALL
        SELECT 'pg_constraint', k.oid::bigint, 'constraint of ', k.conrelid, k.xmin
        FROM pg_catalog.pg_constraint AS k
        WHERE k.conrelid <> 0
        UNION ALL
        SELECT 'pg_index', i.indexrelid::bigint, 'index of ', i.indrelid, i.xmin FROM pg_catalog.pg_index AS i
        UNION ALL
        SELECT 'pg_statistic_ext', s.oid::bigint, 'statistics of ', s.stxrelid, s.xmin
        FROM pg_catalog.pg_statistic_ext AS s
        UNION ALL
        SELECT 'pg_inherits', h.inhrelid::bigint, 'what belongs to ', h.inhparent, h.xmin
        FROM pg_catalog.pg_inherits AS h
        UNION ALL
        SELECT 'pg_class', y.oid::bigint, 'relation ', y.oid, y.xmin
        FROM pg_catalog.pg_class AS y
        WHERE y.oid >= 16384 AND y.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL
        SELECT 'pg_attribute', a.attrelid::bigint * 2048 + a.attnum, 'columns of ', a.attrelid, a.xmin
        FROM pg_catalog.pg_attribute AS a
        WHERE
            a.attnum > 0 AND (
                %(pid)s::int IS NULL OR a.attrelid IN (
                    SELECT l.relation FROM pg_catalog.pg_locks AS l
                    WHERE l.locktype = 'relation' AND l.pid = %(pid)s::int
                )
            )
    ) AS r
    INNER JOIN pg_catalog.pg_class AS c ON r.relid = c.oid
    WHERE c.relpersistence <> 't'
),

written AS (
    SELECT
        m.catalog,
        m.key,
        m.what,
        h.here - pg_catalog.mod(h.here - m.writer::text::numeric + 4294967296, 4294967296) AS writer
    FROM made AS m
    CROSS JOIN (
        SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric AS here
    ) AS h
)

SELECT w.catalog, w.key, w.writer::text AS writer, w.what
FROM written AS w
WHERE w.writer >= %(oldest)s::text::numeric
UNION ALL
SELECT m.catalog, NULL, pg_catalog.count(*)::text, 'something that was dropped of '
FROM made AS m
WHERE m.catalog <> 'pg_attribute'
GROUP BY m.catalog
ORDER BY what;
