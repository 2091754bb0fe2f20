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
    SELECT 'pg_proc' AS catalog, p.oid::bigint AS key, p.oid AS about, p.xmin AS writer
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_namespace AS n ON p.pronamespace = n.oid
    WHERE n.nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT 'pg_namespace', n.oid::bigint, n.oid, n.xmin
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT 'pg_operator', o.oid::bigint, o.oid, o.xmin
    FROM pg_catalog.pg_operator AS o
    UNION ALL
    SELECT 'pg_cast', t.oid::bigint, t.casttarget, t.xmin
    FROM pg_catalog.pg_cast AS t
    UNION ALL
    SELECT 'pg_opclass', o.oid::bigint, o.oid, o.xmin
    FROM pg_catalog.pg_opclass AS o
    UNION ALL
    SELECT 'pg_amproc', a.oid::bigint, a.amprocfamily, a.xmin
    FROM pg_catalog.pg_amproc AS a
    UNION ALL
    SELECT 'pg_event_trigger', e.oid::bigint, e.oid, e.xmin
    FROM pg_catalog.pg_event_trigger AS e
    UNION ALL
    SELECT 'pg_type', t.oid::bigint, t.oid, t.xmin
    FROM pg_catalog.pg_type AS t
    INNER JOIN pg_catalog.pg_namespace AS n ON t.typnamespace = n.oid
    WHERE t.typtype IN ('d', 'e', 'r') AND n.nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT 'pg_constraint', k.oid::bigint, k.contypid, k.xmin
    FROM pg_catalog.pg_constraint AS k
    WHERE k.contypid <> 0
    UNION ALL
    SELECT r.catalog, r.key, r.relid, r.writer
    FROM (
        SELECT 'pg_trigger' AS catalog, g.oid::bigint AS key, g.tgrelid AS relid, g.xmin AS writer
        FROM pg_catalog.pg_trigger AS g
        UNION ALL
        SELECT 'pg_rewrite', w.oid::bigint, w.ev_class, w.xmin FROM pg_catalog.pg_rewrite AS w
        UNION ALL
        SELECT 'pg_policy', y.oid::bigint, y.polrelid, y.xmin FROM pg_catalog.pg_policy AS y
        UNION ALL
        SELECT 'pg_attrdef', d.oid::bigint, d.adrelid, d.xmin FROM pg_catalog.pg_attrdef AS d
        UNION ALL
        SELECT 'pg_constraint', k.oid::bigint, k.conrelid, k.xmin
        FROM pg_catalog.pg_constraint AS k
        WHERE k.conrelid <> 0
        UNION ALL
        SELECT 'pg_index', i.indexrelid::bigint, i.indrelid, i.xmin FROM pg_catalog.pg_index AS i
        UNION ALL
        SELECT 'pg_statistic_ext', s.oid::bigint, s.stxrelid, s.xmin
        FROM pg_catalog.pg_statistic_ext AS s
        UNION ALL
        SELECT 'pg_inherits', h.inhrelid::bigint, h.inhparent, h.xmin
        FROM pg_catalog.pg_inherits AS h
        UNION ALL
        SELECT 'pg_class', y.oid::bigint, y.oid, y.xmin
        FROM pg_catalog.pg_class AS y
        WHERE y.oid >= 16384 AND y.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL
        SELECT 'pg_attribute', a.attrelid::bigint * 2048 + a.attnum, a.attrelid, a.xmin
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

written AS MATERIALIZED (
    SELECT w.catalog, w.key, w.about, w.writer
    FROM (
        SELECT
            m.catalog,
            m.key,
            m.about,
            h.here - (h.here - m.writer::text::bigint & 4294967295) AS writer
        FROM made AS m
        CROSS JOIN (
            SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint AS here
        ) AS h
    ) AS w
    WHERE w.writer >= %(oldest)s::text::bigint
)

SELECT
    w.catalog,
    w.key,
    w.writer::text AS writer,
    CASE w.catalog
        WHEN 'pg_proc' THEN 'function ' || w.about::pg_catalog.regprocedure::text
        WHEN 'pg_namespace' THEN 'schema ' || w.about::pg_catalog.regnamespace::text
        WHEN 'pg_operator' THEN 'operator ' || w.about::pg_catalog.regoperator::text
        WHEN 'pg_cast' THEN 'cast to ' || w.about::pg_catalog.regtype::text
        WHEN 'pg_opclass'
            THEN 'operator class ' || (SELECT o.opcname::text FROM pg_catalog.pg_opclass AS o WHERE w.about = o.oid)
        WHEN 'pg_amproc'
            THEN 'operator family ' || (SELECT f.opfname::text FROM pg_catalog.pg_opfamily AS f WHERE w.about = f.oid)
        WHEN 'pg_event_trigger'
            THEN 'event trigger ' || (SELECT e.evtname::text FROM pg_catalog.pg_event_trigger AS e WHERE w.about = e.oid)
        WHEN 'pg_type' THEN 'type ' || w.about::pg_catalog.regtype::text
        WHEN 'pg_trigger' THEN 'trigger of ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_rewrite' THEN 'rule of ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_policy' THEN 'policy of ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_attrdef' THEN 'default of ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_index' THEN 'index of ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_statistic_ext' THEN 'statistics of ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_inherits' THEN 'what belongs to ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_class' THEN 'relation ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_attribute' THEN 'columns of ' || w.about::pg_catalog.regclass::text
        WHEN 'pg_constraint' THEN 'constraint of ' || coalesce(
            (SELECT t.oid::pg_catalog.regtype::text FROM pg_catalog.pg_type AS t WHERE w.about = t.oid AND t.typtype = 'd'),
            w.about::pg_catalog.regclass::text
        )
    END AS what
FROM written AS w
UNION ALL
SELECT m.catalog, NULL, pg_catalog.count(*)::text, 'something was dropped: fewer rows in '
FROM made AS m
WHERE m.catalog <> 'pg_attribute'
GROUP BY m.catalog
ORDER BY what;
