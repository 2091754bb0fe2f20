-- What tables somebody else could hang code onto.

-- name: family
-- The tables of these names, and their parents and children: planning one plans them all. `ours`: nobody else but a
-- superuser is their owner.
WITH RECURSIVE family (relation) AS (
    SELECT pg_catalog.to_regclass(n.name)::oid
    FROM pg_catalog.unnest(%(names)s::text []) AS n (name)
    UNION
    SELECT CASE WHEN i.inhrelid = f.relation THEN i.inhparent ELSE i.inhrelid END
    FROM family AS f
    INNER JOIN pg_catalog.pg_inherits AS i ON f.relation IN (i.inhrelid, i.inhparent)
)

SELECT
    c.oid AS relation,
    n.nspname::text AS schema_name,
    c.relname::text AS table_name,
    c.relkind::text AS kind,
    r.rolname = current_user OR r.rolsuper AS ours
FROM family AS f
INNER JOIN pg_catalog.pg_class AS c ON f.relation = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_catalog.pg_roles AS r ON c.relowner = r.oid
ORDER BY c.oid;

-- name: table
-- The table of this name alone.
SELECT
    c.oid AS relation,
    n.nspname::text AS schema_name,
    c.relname::text AS table_name,
    c.relkind::text AS kind
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.oid = pg_catalog.to_regclass(%(name)s)::oid;
