-- name: kind
SELECT c.relkind::text AS kind
FROM pg_class AS c
WHERE c.oid = to_regclass(%(table)s);

-- name: parts
-- The table and its partitions, parents first, each with its part of the index: of the table itself by name, below that
-- by what is attached.
WITH RECURSIVE parts AS (
    SELECT
        c.oid,
        0::oid AS parent,
        ARRAY[0::oid, c.oid] AS path,
        (
            SELECT i.indexrelid
            FROM pg_index AS i
            INNER JOIN pg_class AS x ON i.indexrelid = x.oid
            WHERE i.indrelid = c.oid AND x.relname = %(index)s
        ) AS index
    FROM pg_class AS c
    WHERE c.oid = to_regclass(%(table)s)
    UNION ALL
    SELECT
        h.inhrelid,
        h.inhparent,
        p.path || h.inhrelid,
        (
            SELECT i.indexrelid
            FROM pg_index AS i
            INNER JOIN pg_inherits AS a ON i.indexrelid = a.inhrelid
            WHERE i.indrelid = h.inhrelid AND a.inhparent = p.index
        )
    FROM parts AS p
    INNER JOIN pg_inherits AS h ON p.oid = h.inhparent
)

SELECT
    p.oid::bigint AS oid,
    n.nspname::text AS schema_name,
    c.relname::text AS table_name,
    c.relkind::text AS kind,
    p.parent::bigint AS parent,
    coalesce(p.index, 0)::bigint AS index,
    coalesce(x.relname, '')::text AS index_name,
    coalesce(i.indisvalid, false) AS usable
FROM parts AS p
INNER JOIN pg_class AS c ON p.oid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_class AS x ON p.index = x.oid
LEFT JOIN pg_index AS i ON p.index = i.indexrelid
ORDER BY cardinality(p.path), c.relname, p.oid;
