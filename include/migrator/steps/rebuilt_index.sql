-- name: indexes
-- What REINDEX CONCURRENTLY of this index or table builds anew, on all partitions.
WITH named AS (
    SELECT to_regclass(%(name)s)::oid AS oid
),

members AS (
    SELECT oid FROM named
    UNION
    SELECT p.relid::oid
    FROM named
    CROSS JOIN LATERAL pg_partition_tree(named.oid::regclass) AS p
)

SELECT
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    pg_relation_size(c.oid) AS bytes,
    i.indisexclusion AS excludes,
    NOT i.indimmediate AS waits,
    i.indisvalid AND i.indisready AS usable,
    n.nspname = 'pg_catalog' AS of_system
FROM members AS m
INNER JOIN pg_index AS i ON m.oid IN (i.indexrelid, i.indrelid)
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.relkind = 'i' AND (i.indisvalid OR c.relname !~ '_cc(new|old)[0-9]*$')
ORDER BY name;
