-- How a plain session of the login role begins, which ours does not: what psql makes of the same file.

-- name: settings
-- As the server looks for them: for the role in this database, for the role, for the database, for all; else as it was
-- configured.
WITH own AS (
    SELECT DISTINCT ON (pg_catalog.lower(pg_catalog.split_part(c.setting, '=', 1)))
        pg_catalog.lower(pg_catalog.split_part(c.setting, '=', 1)) AS name,
        pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1) AS value
    FROM pg_catalog.pg_db_role_setting AS s
    CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (setting)
    LEFT JOIN pg_catalog.pg_database AS d ON s.setdatabase = d.oid
    LEFT JOIN pg_catalog.pg_roles AS r ON s.setrole = r.oid
    WHERE
        (s.setdatabase = 0 OR d.datname = pg_catalog.current_database())
        AND (s.setrole = 0 OR r.rolname = session_user)
    ORDER BY
        pg_catalog.lower(pg_catalog.split_part(c.setting, '=', 1)),
        s.setrole <> 0 DESC,
        s.setdatabase <> 0 DESC
)

SELECT
    session_user::text AS role,
    pg_catalog.max(coalesce(o.value, g.reset_val)) FILTER (WHERE g.name = 'search_path') AS search_path,
    pg_catalog.max(coalesce(o.value, g.reset_val)) FILTER (WHERE g.name = 'TimeZone') AS timezone,
    pg_catalog.max(coalesce(o.value, g.reset_val)) FILTER (WHERE g.name = 'DateStyle') AS datestyle
FROM pg_catalog.pg_settings AS g
LEFT JOIN own AS o ON pg_catalog.lower(g.name) = o.name
WHERE g.name IN ('search_path', 'TimeZone', 'DateStyle');

-- name: schemas
-- Of a path those that are there and that the login role may use.
SELECT n.nspname AS name
FROM pg_catalog.unnest(%(path)s::text []) WITH ORDINALITY AS p (name, place)
INNER JOIN pg_catalog.pg_namespace AS n ON p.name = n.nspname
WHERE pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE')
ORDER BY p.place;

-- name: elsewhere
-- Names that this path finds in another schema than the target's own path does.
WITH objects AS (
    SELECT
        'relation' AS kind,
        c.relname AS name,
        c.relnamespace AS namespace
    FROM pg_catalog.pg_class AS c
    WHERE c.relname = any(%(relations)s::text [])
    UNION ALL
    SELECT
        'type',
        t.typname,
        t.typnamespace
    FROM pg_catalog.pg_type AS t
    WHERE t.typname = any(%(types)s::text [])
    UNION ALL
    SELECT
        'function',
        f.proname,
        f.pronamespace
    FROM pg_catalog.pg_proc AS f
    WHERE f.proname = any(%(functions)s::text [])
),

placed AS (
    SELECT
        o.kind,
        o.name,
        n.nspname AS schema,
        pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname) AS here,
        pg_catalog.array_position(%(path)s::text [], n.nspname::text) AS there
    FROM objects AS o
    INNER JOIN pg_catalog.pg_namespace AS n ON o.namespace = n.oid
),

found AS (
    SELECT
        p.kind,
        p.name,
        (pg_catalog.array_agg(p.schema ORDER BY p.here) FILTER (WHERE p.here IS NOT NULL))[1] AS here,
        (pg_catalog.array_agg(p.schema ORDER BY p.there) FILTER (WHERE p.there IS NOT NULL))[1] AS there
    FROM placed AS p
    GROUP BY p.kind, p.name
)

SELECT
    f.kind,
    f.name,
    f.there AS schema
FROM found AS f
WHERE f.there IS NOT NULL AND f.here IS DISTINCT FROM f.there
ORDER BY f.kind, f.name;
