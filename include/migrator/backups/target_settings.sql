-- name: of_target
-- What ALTER DATABASE and ALTER ROLE ... SET give each session of ours; the nearest counts, as in process_settings() of
-- src/backend/utils/init/postinit.c. They are the login role's, whatever SET ROLE follows.
SELECT DISTINCT ON (pg_catalog.lower(o.name))
    o.name,
    o.value
FROM (
    SELECT
        s.setdatabase,
        s.setrole,
        pg_catalog.split_part(c.entry, '=', 1) AS name,
        pg_catalog.substr(c.entry, pg_catalog.strpos(c.entry, '=') + 1) AS value
    FROM pg_catalog.pg_db_role_setting AS s
    CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (entry)
    WHERE
        s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()))
        AND s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = session_user))
) AS o
ORDER BY pg_catalog.lower(o.name), o.setrole = 0, o.setdatabase = 0;

-- name: path
-- What RESET search_path leads to, and to whose schema "$user" does: on a copy the role has another name.
SELECT
    s.reset_val AS path,
    (SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_namespace AS n WHERE n.nspname = current_user) AS own
FROM pg_catalog.pg_settings AS s
WHERE s.name = 'search_path';

-- name: context
-- Who may set it; no row: no setting that this server knows.
SELECT s.context
FROM pg_catalog.pg_settings AS s
WHERE pg_catalog.lower(s.name) = pg_catalog.lower(%(name)s);

-- name: try
-- Whether this server takes the value.
SELECT pg_catalog.set_config(%(name)s, %(value)s, true) AS value;
