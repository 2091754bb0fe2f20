-- name: never_analyzed
-- Of these names, through the session's search_path, those without a table, and tables that nobody has analyzed.
SELECT
    wanted.name,
    c.oid IS NOT NULL AS there
FROM unnest(%(tables)s::text[]) AS wanted (name)
LEFT JOIN pg_class AS c ON c.oid = to_regclass(wanted.name)
WHERE c.oid IS NULL OR c.reltuples < 0;
