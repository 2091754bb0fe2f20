-- What sets columns beside the statements.

-- name: before_update
-- Triggers that may change a row before it is updated, with what their functions do.
SELECT
    t.tgname::text AS name,
    p.prosrc AS source,
    encode(t.tgargs, 'escape') AS arguments
FROM pg_catalog.pg_trigger AS t
INNER JOIN pg_catalog.pg_proc AS p ON t.tgfoid = p.oid
WHERE
    t.tgrelid = %(table)s::regclass AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
    AND t.tgtype & 1 <> 0 AND t.tgtype & 2 <> 0 AND t.tgtype & 16 <> 0
ORDER BY t.tgname;
