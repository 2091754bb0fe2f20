-- Functions of tables' owners that PostgreSQL calls when a statement on the table is only planned.

-- name: inherited
-- The tables of these names, and their parents and children: planning one plans them all.
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
    WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
    UNION ALL
    SELECT s.stxrelid, 'statistics', 'pg_catalog.pg_statistic_ext'::regclass::oid, s.oid
    FROM pg_catalog.pg_statistic_ext AS s
    UNION ALL
    SELECT p.partrelid, 'partition key', 'pg_catalog.pg_class'::regclass::oid, p.partrelid AS objid
    FROM pg_catalog.pg_partitioned_table AS p
    WHERE p.partexprs IS NOT NULL
    UNION ALL
    SELECT c.conrelid, 'CHECK', 'pg_catalog.pg_constraint'::regclass::oid, c.oid
    FROM pg_catalog.pg_constraint AS c
    WHERE c.contype = 'c' AND c.conrelid <> 0
    UNION ALL
    SELECT d.adrelid, 'default', 'pg_catalog.pg_attrdef'::regclass::oid, d.oid
    FROM pg_catalog.pg_attrdef AS d
    UNION ALL
    SELECT r.ev_class, 'rule', 'pg_catalog.pg_rewrite'::regclass::oid, r.oid
    FROM pg_catalog.pg_rewrite AS r
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
    WHERE a.attnum > 0 AND a.atttypid >= 16384
    UNION
    SELECT t.relation, t.place, b.base
    FROM types AS t
    INNER JOIN pg_catalog.pg_type AS y ON t.type = y.oid
    CROSS JOIN LATERAL (VALUES (y.typbasetype), (y.typelem)) AS b (base)
    WHERE b.base >= 16384
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
WHERE r.rulename <> '_RETURN' AND c.oid >= 16384;

-- name: operators
-- Of these names, one that PostgreSQL itself has no operator of, and somebody else than an extension has.
SELECT o.oprname::text AS name
FROM pg_catalog.pg_operator AS o
WHERE
    o.oprname = any(%(names)s::text []) AND o.oid >= 16384
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator AS p WHERE p.oprname = o.oprname AND p.oid < 16384)
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e'
    )
ORDER BY 1
LIMIT 1;

-- name: types_named
SELECT pg_catalog.to_regtype(n.name)::oid AS type
FROM pg_catalog.unnest(%(names)s::text []) AS n (name);

-- name: of_types
-- What somebody has hung onto the types of these tables' columns and rows, and onto those named, that an expression on
-- them may call without a call being written there: casts, operators of these names, the CHECKs of domains. An extension's
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
    FROM involved AS i
    INNER JOIN pg_catalog.pg_operator AS o ON i.type IN (o.oprleft, o.oprright)
    WHERE o.oprname = any(%(operators)s::text [])
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
WHERE
    h.function >= 16384
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS e
        WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND h.function = e.objid AND e.deptype = 'e'
    )
ORDER BY 1
LIMIT 1;
