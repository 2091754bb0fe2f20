-- name: table
-- The table as the statement's own search_path finds it, and the columns of its primary key.
SELECT
    c.oid::bigint AS oid,
    c.relkind::text AS kind,
    ARRAY(
        SELECT quote_ident(a.attname)
        FROM pg_catalog.pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
        INNER JOIN pg_catalog.pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum
        WHERE i.indrelid = c.oid AND i.indisprimary
        ORDER BY k.place
    ) AS keys
FROM pg_catalog.pg_class AS c
WHERE c.oid = pg_catalog.to_regclass(%(name)s) AND c.relkind IN ('r', 'p', 'm');

-- name: constraint
-- What VALIDATE CONSTRAINT will look for.
SELECT
    con.contype::text AS kind,
    pg_catalog.pg_get_expr(con.conbin, con.conrelid) AS expression,
    con.confrelid::regclass::text AS referenced,
    con.confmatchtype = 'f' AS match_full,
    coalesce((to_jsonb(con) ->> 'conperiod')::boolean, false) AS period,
    ARRAY(
        SELECT a.attname::text
        FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, place)
        INNER JOIN pg_catalog.pg_attribute AS a ON con.conrelid = a.attrelid AND k.attnum = a.attnum
        ORDER BY k.place
    ) AS columns,
    ARRAY(
        SELECT a.attname::text
        FROM unnest(con.confkey) WITH ORDINALITY AS k (attnum, place)
        INNER JOIN pg_catalog.pg_attribute AS a ON con.confrelid = a.attrelid AND k.attnum = a.attnum
        ORDER BY k.place
    ) AS referenced_columns
FROM pg_catalog.pg_constraint AS con
WHERE con.conrelid = %(oid)s AND con.conname = %(name)s;

-- name: touched
-- Whether the table is one of these, a part of one of them, or has one of them as a part.
WITH RECURSIVE up AS (
    SELECT pg_catalog.to_regclass(%(name)s)::oid AS relation
    UNION
    SELECT i.inhparent
    FROM up
    INNER JOIN pg_catalog.pg_inherits AS i ON up.relation = i.inhrelid
),

down AS (
    SELECT pg_catalog.to_regclass(%(name)s)::oid AS relation
    UNION
    SELECT i.inhrelid
    FROM down
    INNER JOIN pg_catalog.pg_inherits AS i ON down.relation = i.inhparent
)

SELECT true AS touched
FROM unnest(%(changed)s::text []) AS changed (name)
WHERE
    changed.name = %(name)s
    OR pg_catalog.to_regclass(changed.name)::oid IN (
        SELECT up.relation FROM up
        UNION
        SELECT down.relation FROM down
    )
LIMIT 1;

-- name: domain_constraint
-- The CHECK of a domain that is to be validated, about VALUE.
SELECT pg_catalog.pg_get_expr(con.conbin, 0) AS expression
FROM pg_catalog.pg_constraint AS con
WHERE con.contypid = pg_catalog.to_regtype(%(domain)s) AND con.conname = %(name)s AND con.contype = 'c';

-- name: domain_columns
-- The columns of a domain, and of the domains over it, that hold rows.
WITH RECURSIVE domains AS (
    SELECT pg_catalog.to_regtype(%(domain)s)::oid AS domain
    UNION
    SELECT t.oid
    FROM domains
    INNER JOIN pg_catalog.pg_type AS t ON domains.domain = t.typbasetype AND t.typtype = 'd'
)

SELECT
    a.attname::text AS column_name,
    pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS table_name
FROM domains
INNER JOIN pg_catalog.pg_attribute AS a ON domains.domain = a.atttypid AND NOT a.attisdropped
INNER JOIN pg_catalog.pg_class AS c ON a.attrelid = c.oid AND c.relkind IN ('r', 'm')
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
ORDER BY n.nspname, c.relname, a.attnum;

-- name: partitioned
-- A partitioned table: its key, how its operator classes compare by strategy (1 to 5: < <= = >= >), what is true of all its rows because of the tables above it, what is true of those of
-- each of its partitions, its default partition, its unique keys of plain columns, and its foreign keys that hold for
-- all rows (CloneFkReferencing in src/backend/commands/tablecmds.c).
SELECT
    pg_catalog.pg_get_partkeydef(c.oid) AS key,
    pg_catalog.pg_get_partition_constraintdef(c.oid) AS own,
    ARRAY(
        SELECT pg_catalog.pg_get_partition_constraintdef(i.inhrelid)
        FROM pg_catalog.pg_inherits AS i
        WHERE i.inhparent = c.oid AND i.inhrelid <> p.partdefid
    ) AS siblings,
    (
        SELECT pg_catalog.format('%%I.%%I', n.nspname, d.relname)
        FROM pg_catalog.pg_class AS d
        INNER JOIN pg_catalog.pg_namespace AS n ON d.relnamespace = n.oid
        WHERE d.oid = p.partdefid
    ) AS default_partition,
    (
        SELECT
            jsonb_agg(
                jsonb_build_object(
                    'type', CASE WHEN t.typtype <> 'p' THEN pg_catalog.format_type(t.oid, -1) END,
                    'operators', (
                        SELECT jsonb_object_agg(m.amopstrategy, pg_catalog.format('OPERATOR(%%I.%%s)', n.nspname, o.oprname))
                        FROM pg_catalog.pg_amop AS m
                        INNER JOIN pg_catalog.pg_operator AS o ON m.amopopr = o.oid
                        INNER JOIN pg_catalog.pg_namespace AS n ON o.oprnamespace = n.oid
                        WHERE
                            m.amopfamily = k.opcfamily AND m.amoplefttype = k.opcintype
                            AND m.amoprighttype = k.opcintype AND m.amoppurpose = 's'
                    )
                ) ORDER BY w.place
            )
        FROM unnest(p.partclass::oid[]) WITH ORDINALITY AS w (class, place)
        INNER JOIN pg_catalog.pg_opclass AS k ON w.class = k.oid
        INNER JOIN pg_catalog.pg_type AS t ON k.opcintype = t.oid
    ) AS comparisons,
    (
        SELECT coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'columns', (
                        SELECT jsonb_agg(a.attname ORDER BY k.place)
                        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                        INNER JOIN pg_catalog.pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum
                        WHERE k.place <= i.indnkeyatts
                    ),
                    'nulls_equal', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
                )
            ), '[]'
        )
        FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indisexclusion AND i.indexprs IS NULL AND i.indpred IS NULL
    ) AS keys,
    (
        SELECT coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'columns', (
                        SELECT jsonb_agg(a.attname ORDER BY k.place)
                        FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, place)
                        INNER JOIN pg_catalog.pg_attribute AS a ON con.conrelid = a.attrelid AND k.attnum = a.attnum
                    ),
                    'referenced', con.confrelid::regclass::text,
                    'itself', con.confrelid IN (SELECT a.relid FROM pg_catalog.pg_partition_ancestors(c.oid) AS a (relid)),
                    'referenced_columns', (
                        SELECT jsonb_agg(a.attname ORDER BY k.place)
                        FROM unnest(con.confkey) WITH ORDINALITY AS k (attnum, place)
                        INNER JOIN pg_catalog.pg_attribute AS a ON con.confrelid = a.attrelid AND k.attnum = a.attnum
                    ),
                    'match_full', con.confmatchtype = 'f',
                    'period', coalesce((to_jsonb(con) ->> 'conperiod')::boolean, false)
                ) ORDER BY con.conname
            ), '[]'
        )
        FROM pg_catalog.pg_constraint AS con
        WHERE
            con.conrelid = c.oid AND con.contype = 'f' AND con.convalidated
            AND coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true)
            AND NOT EXISTS ( -- one that stands for the same key, to a partition of the table that it refers to
                SELECT FROM pg_catalog.pg_constraint AS above
                WHERE above.oid = con.conparentid AND above.conrelid = con.conrelid
            )
    ) AS foreign_keys
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_partitioned_table AS p ON c.oid = p.partrelid
WHERE c.oid = pg_catalog.to_regclass(%(name)s);

-- name: domain
-- Whether a new column of the domain has a value, and whether it must have one; of the domains under it, too.
WITH RECURSIVE domains AS (
    SELECT pg_catalog.to_regtype(%(name)s)::oid AS domain
    UNION
    SELECT t.typbasetype
    FROM domains
    INNER JOIN pg_catalog.pg_type AS t ON domains.domain = t.oid AND t.typtype = 'd'
)

SELECT
    bool_or(t.typdefault IS NOT NULL) AS filled,
    bool_or(t.typnotnull) AS required
FROM domains
INNER JOIN pg_catalog.pg_type AS t ON domains.domain = t.oid AND t.typtype = 'd'
HAVING count(*) > 0;

-- name: equality
-- How a key compares its columns with those that refer to it: the equality of its index's operator class, of a B-tree,
-- for the very types where there is one (ATAddForeignKeyConstraint in src/backend/commands/tablecmds.c). Without an index
-- that of the type's own class; NULL: it has none.
WITH RECURSIVE wanted AS (
    SELECT
        w.place,
        a.attrelid,
        a.attnum,
        a.atttypid AS key_type,
        r.atttypid AS type
    FROM unnest(%(keys)s::text [], %(columns)s::text []) WITH ORDINALITY AS w (key, name, place)
    INNER JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = pg_catalog.to_regclass(%(referenced)s)::oid AND w.key = a.attname
    INNER JOIN pg_catalog.pg_attribute AS r ON r.attrelid = pg_catalog.to_regclass(%(table)s)::oid AND w.name = r.attname
),

domains AS (
    SELECT
        t.oid AS domain,
        t.oid AS type
    FROM pg_catalog.pg_type AS t
    WHERE EXISTS (SELECT FROM wanted AS w WHERE t.oid IN (w.key_type, w.type))
    UNION ALL
    SELECT
        d.domain,
        t.typbasetype
    FROM domains AS d
    INNER JOIN pg_catalog.pg_type AS t ON d.type = t.oid AND t.typtype = 'd'
),

plain AS (
    SELECT d.domain, d.type
    FROM domains AS d
    INNER JOIN pg_catalog.pg_type AS t ON d.type = t.oid AND t.typtype <> 'd'
)

SELECT
    CASE WHEN o.oid IS NOT NULL THEN pg_catalog.format('OPERATOR(%%I.%%s)', n.nspname, o.oprname) END AS operator,
    pg_catalog.format_type(CASE WHEN l.typtype = 'p' THEN kt.type ELSE o.oprleft END, -1) AS key_type,
    pg_catalog.format_type(CASE WHEN r.typtype = 'p' THEN ct.type ELSE o.oprright END, -1) AS type
FROM wanted AS w
INNER JOIN plain AS kt ON w.key_type = kt.domain
INNER JOIN plain AS ct ON w.type = ct.domain
LEFT JOIN LATERAL (
    SELECT c.opcfamily, c.opcintype
    FROM (
        SELECT k.class, i.indnkeyatts = cardinality(%(keys)s::text []) AS whole
        FROM pg_catalog.pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) AS k (attnum, class)
        WHERE i.indrelid = w.attrelid AND i.indisunique AND k.attnum = w.attnum
        UNION ALL
        SELECT
            own.oid,
            NULL
        FROM pg_catalog.pg_opclass AS own
        WHERE own.opcdefault AND own.opcintype = kt.type
    ) AS found
    INNER JOIN pg_catalog.pg_opclass AS c ON found.class = c.oid
    INNER JOIN pg_catalog.pg_am AS m ON c.opcmethod = m.oid AND m.amname = 'btree'
    ORDER BY found.whole DESC NULLS LAST
    LIMIT 1
) AS class ON true
LEFT JOIN LATERAL (
    SELECT m.amopopr
    FROM pg_catalog.pg_amop AS m
    WHERE
        m.amopfamily = class.opcfamily AND m.amopstrategy = 3 AND m.amoplefttype = class.opcintype
        AND m.amoprighttype IN (ct.type, class.opcintype)
    ORDER BY m.amoprighttype = ct.type DESC
    LIMIT 1
) AS chosen ON true
LEFT JOIN pg_catalog.pg_operator AS o ON chosen.amopopr = o.oid
LEFT JOIN pg_catalog.pg_namespace AS n ON o.oprnamespace = n.oid
LEFT JOIN pg_catalog.pg_type AS l ON o.oprleft = l.oid
LEFT JOIN pg_catalog.pg_type AS r ON o.oprright = r.oid
ORDER BY w.place;

-- name: is_range
SELECT true AS is_range
FROM pg_catalog.pg_range AS r
WHERE r.rngtypid = %(oid)s;
