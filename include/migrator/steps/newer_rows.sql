-- name: tables
-- Every table that has rows of its own, with the names of what it is a part of, and its schema.
WITH RECURSIVE above AS (
    SELECT
        c.oid,
        c.oid AS part_of
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind = 'r' AND c.relpersistence <> 't'
    UNION
    SELECT
        a.oid,
        i.inhparent
    FROM above AS a
    INNER JOIN pg_catalog.pg_inherits AS i ON a.part_of = i.inhrelid
)

SELECT
    c.oid::bigint,
    n.nspname::text,
    c.relname::text,
    pg_catalog.array_agg(pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(p.relname))
    || pg_catalog.quote_ident(n.nspname) AS goes_with
FROM above AS a
INNER JOIN pg_catalog.pg_class AS c ON a.oid = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_catalog.pg_class AS p ON a.part_of = p.oid
INNER JOIN pg_catalog.pg_namespace AS s ON p.relnamespace = s.oid
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(ledger)s)
GROUP BY c.oid, n.nspname, c.relname
ORDER BY n.nspname, c.relname;

-- name: next_transaction
-- As rows have it, without its epoch.
SELECT (
    pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric % 4294967296
)::text AS until;

-- name: within
-- The query that follows, in this transaction.
SELECT pg_catalog.set_config('statement_timeout', %(milliseconds)s, true);
