-- name: no_views
-- Of the minor releases of August 2024 and later (CVE-2024-7348): a table that becomes a view between two statements is
-- refused instead of being run. Older ones do not know the setting.
SELECT pg_catalog.set_config(s.name, 'view, foreign-table', true)
FROM pg_catalog.pg_settings AS s
WHERE s.name = 'restrict_nonsystem_relation_kind';

-- name: table
-- Where it lies, and whether it is a table.
SELECT
    n.nspname::text AS schema_name,
    c.relname::text AS table_name,
    c.relkind = 'r' AS is_table
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.oid = pg_catalog.to_regclass(%(name)s)::oid;

-- name: foreign_types
-- Columns whose types somebody has made: what converts or compares them may be anybody's function.
SELECT
    a.attname::text AS column_name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
FROM pg_catalog.pg_attribute AS a
INNER JOIN pg_catalog.pg_class AS c ON a.attrelid = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_catalog.pg_type AS t ON a.atttypid = t.oid
WHERE
    n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
    AND t.typnamespace <> 'pg_catalog'::regnamespace
ORDER BY a.attnum;

-- name: columns
-- In the table's order.
SELECT
    a.attname::text AS column_name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    t.typcategory = 'A' AS is_array,
    a.attgenerated <> '' AS is_generated
FROM pg_catalog.pg_attribute AS a
INNER JOIN pg_catalog.pg_class AS c ON a.attrelid = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_catalog.pg_type AS t ON a.atttypid = t.oid
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;
