-- name: values
-- Of the settings that this release has.
SELECT
    n.name,
    current_setting(n.name) AS setting
FROM unnest(%(names)s::text []) WITH ORDINALITY AS n (name, place)
WHERE current_setting(n.name, true) IS NOT NULL
ORDER BY n.place;

-- name: set_at
-- For whom a setting was made that a session of ours starts with.
SELECT
    coalesce(d.datname::text, '') AS of_database,
    coalesce(r.rolname::text, '') AS of_role
FROM pg_db_role_setting AS s
LEFT JOIN pg_database AS d ON s.setdatabase = d.oid
LEFT JOIN pg_roles AS r ON s.setrole = r.oid
WHERE
    (s.setdatabase = 0 OR d.datname = current_database())
    AND (s.setrole = 0 OR r.rolname = session_user)
    AND EXISTS (
        SELECT 1 FROM unnest(s.setconfig) AS c (line)
        WHERE lower(split_part(c.line, '=', 1)) = lower(%(name)s)
    )
ORDER BY s.setdatabase, s.setrole;
