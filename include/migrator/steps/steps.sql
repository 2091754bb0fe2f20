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
