-- name: objects
-- What lies in the database although no ledger tells of it; extensions bring their own.
SELECT
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    count(*) OVER () AS total
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', %(ledger)s)
    AND n.nspname !~ '^pg_(toast|temp_)'
    AND (n.nspname, c.relname) <> ('public', 'schema_migrations')
    AND NOT EXISTS (
        SELECT 1
        FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'i', 'a')
    )
ORDER BY 1
LIMIT %(limit)s;
