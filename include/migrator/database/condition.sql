-- name: locks_taken
-- Of our own session in this transaction: everything stronger than reading takes, in the words of the manual.
SELECT
    pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
    pg_catalog.upper(
        pg_catalog.btrim(pg_catalog.regexp_replace(pg_catalog.regexp_replace(l.mode, 'Lock$', ''), '([A-Z])', ' \1', 'g'))
    ) AS mode
FROM pg_catalog.pg_locks AS l
INNER JOIN pg_catalog.pg_class AS c ON l.relation = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    l.locktype = 'relation'
    AND l.pid = pg_catalog.pg_backend_pid()
    AND l.mode <> 'AccessShareLock'
ORDER BY 1, 2;
