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
WHERE c.oid = pg_catalog.to_regclass(%(name)s) AND c.relkind IN ('r', 'p');

-- name: constraint
-- What VALIDATE CONSTRAINT will look for.
SELECT
    con.contype::text AS kind,
    pg_catalog.pg_get_expr(con.conbin, con.conrelid) AS expression,
    con.confrelid::regclass::text AS referenced,
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
