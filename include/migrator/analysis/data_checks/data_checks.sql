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
-- A partitioned table: its key, what is true of all its rows because of the tables above it, what is true of those of
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

-- name: is_range
SELECT true AS is_range
FROM pg_catalog.pg_range AS r
WHERE r.rngtypid = %(oid)s;
