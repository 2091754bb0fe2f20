-- The throw-away clone of a restored copy on which a dry run works.

-- name: privileges
-- SQL that nobody has reviewed runs here: a superuser, or whoever may reach the server's files and programs, must not.
-- session_user counts, because RESET ROLE leads back to it.
SELECT
    r.rolname AS role,
    r.rolsuper AS superuser,
    pg_has_role(r.oid, 'pg_execute_server_program', 'MEMBER')
    OR pg_has_role(r.oid, 'pg_write_server_files', 'MEMBER')
    OR pg_has_role(r.oid, 'pg_read_server_files', 'MEMBER') AS reaches_server
FROM pg_catalog.pg_roles AS r
WHERE r.rolname IN (session_user, current_user);

-- name: database
-- Is the copy there, and how large is it?
SELECT pg_database_size(d.oid)::bigint AS bytes
FROM pg_catalog.pg_database AS d
WHERE d.datname = %(database)s;

-- name: connected
-- CREATE DATABASE ... TEMPLATE wants the copy for itself.
SELECT
    a.pid,
    a.usename AS user_name,
    a.application_name
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = %(database)s AND a.pid <> pg_backend_pid()
ORDER BY a.pid;
