-- name: cancel_backend
-- Only the very backend that was recorded: a pid may be in use again.
SELECT pg_catalog.pg_cancel_backend(pid)
FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(backend_start)s;

-- name: terminate_backend
-- For a backend that does not obey a cancel.
SELECT pg_catalog.pg_terminate_backend(pid)
FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(backend_start)s;

-- name: is_busy
-- Whether the backend still executes something.
SELECT pg_catalog.bool_or(state IN ('active', 'fastpath function call')) AS busy
FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(backend_start)s;

-- name: backend_start
-- pid and start together name a backend for ever; a pid alone is reused.
SELECT backend_start
FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s;

-- name: columns_of_constraint
-- In the constraint's own order.
SELECT pg_catalog.string_agg(a.attname, ', ' ORDER BY k.position) AS columns
FROM pg_catalog.pg_constraint AS c
INNER JOIN pg_catalog.pg_class AS t ON c.conrelid = t.oid
INNER JOIN pg_catalog.pg_namespace AS n ON t.relnamespace = n.oid
CROSS JOIN LATERAL pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k (number, position)
INNER JOIN pg_catalog.pg_attribute AS a ON t.oid = a.attrelid AND k.number = a.attnum
WHERE n.nspname = %(schema)s AND t.relname = %(table)s AND c.conname = %(violated)s;
