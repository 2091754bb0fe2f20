-- What others have changed since the gates were asked that a migration's statements may run without naming it. Each change
-- makes a new row of the catalog, also one that puts things back.

-- name: now
-- All that is committed by now is in it.
SELECT pg_catalog.pg_current_snapshot()::text AS moment;

-- name: changed
-- Rows that are committed and not in that snapshot; what this transaction has changed itself is not committed yet. Numbers of
-- transactions come round: each is taken for the last one there is. Temporary tables of others run nothing here.
WITH moment AS (
    SELECT
        %(moment)s::text::pg_catalog.pg_snapshot AS seen,
        pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric AS here
),

made AS (
    SELECT 'function ' || p.oid::pg_catalog.regprocedure::text AS what, p.xmin AS writer
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_namespace AS n ON p.pronamespace = n.oid
    WHERE n.nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT 'operator ' || o.oid::pg_catalog.regoperator::text, o.xmin
    FROM pg_catalog.pg_operator AS o
    UNION ALL
    SELECT 'cast to ' || t.casttarget::pg_catalog.regtype::text, t.xmin
    FROM pg_catalog.pg_cast AS t
    UNION ALL
    SELECT 'constraint of ' || k.contypid::pg_catalog.regtype::text, k.xmin
    FROM pg_catalog.pg_constraint AS k
    WHERE k.contypid <> 0
    UNION ALL
    SELECT 'operator class ' || o.opcname, o.xmin
    FROM pg_catalog.pg_opclass AS o
    UNION ALL
    SELECT 'operator family ' || f.opfname, a.xmin
    FROM pg_catalog.pg_amproc AS a
    INNER JOIN pg_catalog.pg_opfamily AS f ON a.amprocfamily = f.oid
    UNION ALL
    SELECT 'event trigger ' || e.evtname, e.xmin
    FROM pg_catalog.pg_event_trigger AS e
    UNION ALL
    SELECT 'type ' || t.oid::pg_catalog.regtype::text, t.xmin
    FROM pg_catalog.pg_type AS t
    INNER JOIN pg_catalog.pg_namespace AS n ON t.typnamespace = n.oid
    WHERE t.typtype IN ('d', 'e', 'r') AND n.nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT r.what || r.relid::pg_catalog.regclass::text, r.writer
    FROM (
        SELECT 'trigger of ' AS what, g.tgrelid AS relid, g.xmin AS writer FROM pg_catalog.pg_trigger AS g
        UNION ALL
        SELECT 'rule of ', w.ev_class, w.xmin FROM pg_catalog.pg_rewrite AS w
        UNION ALL
        SELECT 'policy of ', y.polrelid, y.xmin FROM pg_catalog.pg_policy AS y
        UNION ALL
        SELECT 'default of ', d.adrelid, d.xmin FROM pg_catalog.pg_attrdef AS d
        UNION ALL
        SELECT 'constraint of ', k.conrelid, k.xmin FROM pg_catalog.pg_constraint AS k WHERE k.conrelid <> 0
        UNION ALL
        SELECT 'index of ', i.indrelid, i.xmin FROM pg_catalog.pg_index AS i
        UNION ALL
        SELECT 'statistics of ', s.stxrelid, s.xmin FROM pg_catalog.pg_statistic_ext AS s
        UNION ALL
        SELECT 'what belongs to ', h.inhparent, h.xmin FROM pg_catalog.pg_inherits AS h
        UNION ALL
        SELECT 'row security of ', y.oid, y.xmin
        FROM pg_catalog.pg_class AS y
        WHERE y.relrowsecurity OR EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE y.oid = p.polrelid)
    ) AS r
    INNER JOIN pg_catalog.pg_class AS c ON r.relid = c.oid
    WHERE c.relpersistence <> 't'
),

written AS (
    SELECT
        m.what,
        here - pg_catalog.mod(here - m.writer::text::numeric + 4294967296, 4294967296) AS writer,
        seen
    FROM made AS m
    CROSS JOIN moment
),

later AS MATERIALIZED (
    SELECT w.what, w.writer::text::pg_catalog.xid8 AS writer, w.seen
    FROM written AS w
    WHERE w.writer >= pg_catalog.pg_snapshot_xmin(w.seen)::text::numeric
)

SELECT DISTINCT l.what
FROM later AS l
WHERE NOT pg_catalog.pg_visible_in_snapshot(l.writer, l.seen) AND pg_catalog.pg_xact_status(l.writer) = 'committed'
ORDER BY l.what;
