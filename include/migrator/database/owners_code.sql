-- Functions of tables' owners that PostgreSQL calls when a statement on the table is only planned.

-- name: inherited
-- The tables of these names, and their parents and children.
WITH RECURSIVE family (relation) AS (
    SELECT pg_catalog.to_regclass(n.name)::oid
    FROM pg_catalog.unnest(%(names)s::text []) AS n (name)
    UNION
    SELECT CASE WHEN i.inhrelid = f.relation THEN i.inhparent ELSE i.inhrelid END
    FROM family AS f
    INNER JOIN pg_catalog.pg_inherits AS i ON f.relation IN (i.inhrelid, i.inhparent)
)

SELECT relation FROM family
WHERE relation IS NOT NULL;

-- name: called
-- An index's or statistics object's expression is folded for any statement; the others for those that write, or that
-- rest on constraints. What is an extension's and a superuser's cannot be changed by the owner of a table.
WITH RECURSIVE expressions (relation, place, classid, objid) AS (
    SELECT i.indrelid, 'index', 'pg_catalog.pg_class'::regclass::oid, i.indexrelid
    FROM pg_catalog.pg_index AS i
    WHERE (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND i.indrelid = any(%(tables)s::oid [])
    UNION ALL
    SELECT s.stxrelid, 'statistics', 'pg_catalog.pg_statistic_ext'::regclass::oid, s.oid
    FROM pg_catalog.pg_statistic_ext AS s
    WHERE s.stxrelid = any(%(tables)s::oid [])
    UNION ALL
    SELECT p.partrelid, 'partition key', 'pg_catalog.pg_class'::regclass::oid, p.partrelid AS objid
    FROM pg_catalog.pg_partitioned_table AS p
    WHERE p.partexprs IS NOT NULL AND p.partrelid = any(%(tables)s::oid [])
    UNION ALL
    SELECT c.conrelid, 'CHECK', 'pg_catalog.pg_constraint'::regclass::oid, c.oid
    FROM pg_catalog.pg_constraint AS c
    WHERE c.contype = 'c' AND c.conrelid = any(%(tables)s::oid [])
    UNION ALL
    SELECT d.adrelid, 'default', 'pg_catalog.pg_attrdef'::regclass::oid, d.oid
    FROM pg_catalog.pg_attrdef AS d
    WHERE d.adrelid = any(%(tables)s::oid [])
    UNION ALL
    SELECT r.ev_class, 'rule', 'pg_catalog.pg_rewrite'::regclass::oid, r.oid
    FROM pg_catalog.pg_rewrite AS r
    WHERE r.ev_class = any(%(tables)s::oid [])
),

types (relation, place, type) AS (
    SELECT e.relation, e.place, d.refobjid
    FROM expressions AS e
    INNER JOIN pg_catalog.pg_depend AS d ON e.classid = d.classid AND e.objid = d.objid
    WHERE d.refclassid = 'pg_catalog.pg_type'::regclass
    UNION
    SELECT a.attrelid, 'domain', a.atttypid
    FROM pg_catalog.pg_attribute AS a
    INNER JOIN pg_catalog.pg_class AS c ON a.attrelid = c.oid AND c.relkind IN ('r', 'p')
    WHERE a.attnum > 0 AND a.atttypid >= 16384 AND a.attrelid = any(%(tables)s::oid [])
    UNION
    SELECT t.relation, t.place, p.part
    FROM types AS t
    INNER JOIN parts AS p ON t.type = p.whole
),

objects (relation, place, classid, objid) AS (
    SELECT relation, place, classid, objid FROM expressions
    UNION ALL
    SELECT t.relation, t.place, 'pg_catalog.pg_constraint'::regclass::oid, c.oid
    FROM types AS t
    INNER JOIN pg_catalog.pg_constraint AS c ON t.type = c.contypid
)

SELECT DISTINCT
    o.relation,
    o.place,
    pg_catalog.pg_get_userbyid(p.proowner) = current_user OR a.rolsuper AS trusted
FROM objects AS o
INNER JOIN pg_catalog.pg_depend AS d ON o.classid = d.classid AND o.objid = d.objid
LEFT JOIN pg_catalog.pg_operator AS r ON d.refclassid = 'pg_catalog.pg_operator'::regclass AND d.refobjid = r.oid
INNER JOIN pg_catalog.pg_proc AS p
    ON p.oid = CASE WHEN d.refclassid = 'pg_catalog.pg_proc'::regclass THEN d.refobjid ELSE r.oprcode::oid END
INNER JOIN pg_catalog.pg_roles AS a ON p.proowner = a.oid
WHERE
    p.oid >= 16384
    AND NOT (
        a.rolsuper AND EXISTS (
            SELECT FROM pg_catalog.pg_depend AS e
            WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
        )
    )
UNION ALL
SELECT
    r.ev_class,
    'rule',
    false
FROM pg_catalog.pg_rewrite AS r
INNER JOIN pg_catalog.pg_class AS c ON r.ev_class = c.oid
WHERE r.rulename <> '_RETURN' AND c.oid >= 16384 AND c.oid = any(%(tables)s::oid []);

-- name: types_named
SELECT pg_catalog.to_regtype(n.name)::oid AS type
FROM pg_catalog.unnest(%(names)s::text []) AS n (name);

-- name: of_types
-- What an expression may call without a call being written there: operators of these names, on whatever types, since one
-- that fits better than PostgreSQL's own is taken; and what somebody has hung onto the types of these tables' columns and
-- rows, and onto those named: casts, the CHECKs of domains, what ranges are compared by. What is an extension's, or in C,
-- is an administrator's.
WITH RECURSIVE involved (type) AS (
    SELECT b.type
    FROM (
        SELECT a.atttypid AS type
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = any(%(relations)s::oid []) AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT c.reltype
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = any(%(relations)s::oid [])
        UNION ALL
        SELECT n.type
        FROM pg_catalog.unnest(%(types)s::oid []) AS n (type)
    ) AS b
    WHERE b.type >= 16384
    UNION
    SELECT x.type
    FROM involved AS i
    INNER JOIN pg_catalog.pg_type AS t ON i.type = t.oid
    CROSS JOIN LATERAL (
        SELECT v.type FROM (VALUES (t.typbasetype), (t.typelem), (t.typarray)) AS v (type)
        UNION ALL
        SELECT a.atttypid FROM pg_catalog.pg_attribute AS a WHERE t.typrelid = a.attrelid AND a.attnum > 0
        UNION ALL
        SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
    ) AS x
    WHERE x.type >= 16384
),

hung (what, function) AS (
    SELECT 'a cast of type ' || i.type::pg_catalog.regtype::text, c.castfunc
    FROM involved AS i
    INNER JOIN pg_catalog.pg_cast AS c ON i.type IN (c.castsource, c.casttarget)
    UNION ALL
    SELECT 'operator ' || o.oid::pg_catalog.regoperator::text, o.oprcode::oid
    FROM pg_catalog.pg_operator AS o
    WHERE o.oprname = any(%(operators)s::text [])
    UNION ALL
    SELECT 'the difference of range ' || i.type::pg_catalog.regtype::text, f.function
    FROM involved AS i
    INNER JOIN pg_catalog.pg_range AS r ON i.type IN (r.rngtypid, r.rngmultitypid)
    CROSS JOIN LATERAL (VALUES (r.rngsubdiff::oid), (r.rngcanonical::oid)) AS f (function)
    UNION ALL
    SELECT 'the CHECK of domain ' || i.type::pg_catalog.regtype::text, coalesce(r.oprcode::oid, d.refobjid)
    FROM involved AS i
    INNER JOIN pg_catalog.pg_constraint AS c ON i.type = c.contypid
    INNER JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_constraint'::regclass AND c.oid = d.objid
        AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
    LEFT JOIN pg_catalog.pg_operator AS r
        ON d.refclassid = 'pg_catalog.pg_operator'::regclass AND d.refobjid = r.oid
)

SELECT h.what
FROM hung AS h
INNER JOIN pg_catalog.pg_proc AS p ON h.function = p.oid
INNER JOIN pg_catalog.pg_language AS l ON p.prolang = l.oid
WHERE
    h.function >= 16384 AND l.lanname NOT IN ('internal', 'c')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS e
        WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND h.function = e.objid AND e.deptype = 'e'
    )
ORDER BY 1
LIMIT 1;

-- name: others_functions
-- Functions of these names that are not PostgreSQL's own, members of extensions aside: an administrator has made those.
-- Of PostgreSQL's own those that do something (volatile), or that run what they are given: a query in a text, a table's
-- name, which may be a view's, or a cast to json that somebody has made. `fields`: t.f is f(t), if t has no column f.
SELECT
    pg_catalog.format('%%I.%%I', n.nspname, p.proname) AS name,
    n.nspname = 'pg_catalog' AS own
FROM pg_catalog.pg_proc AS p
INNER JOIN pg_catalog.pg_namespace AS n ON p.pronamespace = n.oid
WHERE
    (
        p.proname = any(%(names)s::text []) AND (
            n.nspname <> 'pg_catalog'
            OR (
                p.provolatile = 'v' AND p.prokind = 'f'
                AND p.proname NOT IN ('random', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'clock_timestamp', 'timeofday')
            )
            OR p.proname = any(%(running)s::text [])
        )
        OR p.proname = any(%(fields)s::text []) AND n.nspname <> 'pg_catalog' AND p.pronargs = 1
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    )
ORDER BY 1
LIMIT 1;
