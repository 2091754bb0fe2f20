-- What has the name that a statement with IF NOT EXISTS wants to give.

-- name: relation
-- In the schema where an unqualified name is created.
SELECT
    c.relkind::text AS kind,
    n.nspname AS schema_name,
    c.relname AS relation_name
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.relname = %(name)s AND n.nspname = coalesce(%(schema)s, current_schema());

-- name: extension
SELECT
    e.extversion AS version,
    n.nspname AS schema_name
FROM pg_catalog.pg_extension AS e
INNER JOIN pg_catalog.pg_namespace AS n ON e.extnamespace = n.oid
WHERE e.extname = %(name)s;

-- name: labels
-- Of an enum, in their order.
SELECT e.enumlabel::text AS label
FROM pg_catalog.pg_enum AS e
WHERE e.enumtypid = to_regtype(%(name)s)
ORDER BY e.enumsortorder;

-- name: has_foreign_tables
-- TRUNCATE would reach for another server.
SELECT exists(SELECT FROM pg_catalog.pg_class AS c WHERE c.relkind = 'f') AS there;

-- name: told
-- Whether the session is sent what the server notices.
SELECT
    pg_catalog.current_setting('client_min_messages') IN ('debug5', 'debug4', 'debug3', 'debug2', 'debug1', 'log', 'notice')
        AS sent;
