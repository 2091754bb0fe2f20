-- name: tables
-- A table, or its partitions, or all tables of a schema, with their sizes in pages.
SELECT
    n.nspname,
    c.relname,
    pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    c.relkind = 'r'
    AND (
        c.oid IN (SELECT t.relid FROM pg_partition_tree(to_regclass(%(name)s)) AS t)
        OR c.oid = to_regclass(%(name)s)
        OR n.nspname = %(schema)s
    )
ORDER BY n.nspname, c.relname;
