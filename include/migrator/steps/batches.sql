-- name: tables
-- The tables that hold the rows of a relation, in the order of their oids: itself, and with children its partitions.
WITH RECURSIVE wanted AS (
    SELECT to_regclass(%(relation)s)::oid AS oid
),

members AS (
    SELECT oid FROM wanted
    UNION
    SELECT i.inhrelid
    FROM members AS m
    INNER JOIN pg_inherits AS i ON m.oid = i.inhparent
    WHERE NOT %(by_itself)s
)

SELECT
    c.oid::bigint,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    c.relkind::text,
    pg_relation_filenode(c.oid)::bigint AS file,
    pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages,
    greatest(c.reltuples, 0)::bigint AS rows
FROM members AS m
INNER JOIN pg_class AS c ON m.oid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.relkind <> 'p'
ORDER BY c.oid;
