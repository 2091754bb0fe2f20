-- name: cancel_backend
-- Only the very backend that was recorded: a pid may be in use again.
select pg_catalog.pg_cancel_backend(pid)
from pg_catalog.pg_stat_activity
where pid = %(pid)s and backend_start = %(backend_start)s

-- name: terminate_backend
select pg_catalog.pg_terminate_backend(pid)
from pg_catalog.pg_stat_activity
where pid = %(pid)s and backend_start = %(backend_start)s

-- name: wait_until_idle
-- True while the backend still executes something.
select pg_catalog.bool_or(state = 'active' or state like 'fastpath%%')
from pg_catalog.pg_stat_activity
where pid = %(pid)s and backend_start = %(backend_start)s

-- name: backend_identity
-- pid and start together name a backend for ever; a pid alone is reused.
select pid, backend_start
from pg_catalog.pg_stat_activity
where pid = pg_catalog.pg_backend_pid()
