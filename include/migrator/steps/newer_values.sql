-- name: columns
-- What others can have written by itself, of all tables, and what it is where nobody writes it: a generated value is lost
-- with nothing. `plain`: the server's own code writes it as text, and reads its default.
SELECT
    a.attrelid::bigint AS table_oid,
    a.attnum::integer AS number,
    a.attname::text AS name,
    pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS default_text,
    pg_catalog.format_type(a.atttypid, NULL) AS type_name,
    a.attidentity <> '' AS numbered,
    coalesce(e.oid, t.oid) < 16384 OR coalesce(e.typtype, t.typtype) = 'e' AS plain
FROM pg_catalog.pg_attribute AS a
INNER JOIN pg_catalog.pg_type AS t ON a.atttypid = t.oid
LEFT JOIN pg_catalog.pg_type AS e ON t.typelem = e.oid AND t.typcategory = 'A'
LEFT JOIN pg_catalog.pg_attrdef AS d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attrelid = any(%(tables)s::oid [])
ORDER BY a.attrelid, a.attnum;

-- name: left
SELECT
    a.attrelid::bigint AS table_oid,
    a.attnum::integer AS number
FROM pg_catalog.pg_attribute AS a
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = any(%(tables)s::oid []);
