-- name: setters
-- Custom settings that functions of this database set: pg_settings does not list what no extension has declared.
SELECT DISTINCT pg_catalog.lower(found.name[1]) AS name
FROM pg_catalog.pg_proc AS p
INNER JOIN pg_catalog.pg_namespace AS n ON p.pronamespace = n.oid
CROSS JOIN LATERAL (
    SELECT pg_catalog.regexp_matches(p.prosrc, 'set_config\s*\(\s*''+([\w$]+(\.[\w$]+)+)''', 'gi') AS name
    UNION ALL
    SELECT pg_catalog.regexp_matches(p.prosrc, '\mset\s+(?:session\s+)?([\w$]+(\.[\w$]+)+)\s*(=|to\M)', 'gi')
) AS found
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema');

-- name: readable
-- Of one name: an error when we may not read it.
SELECT pg_catalog.current_setting(%(name)s, true) AS value;

-- name: now
-- What lasts until the session ends. The timeouts are the engine's, set anew for every statement; so is its own path.
SELECT
    'setting' AS what,
    s.name,
    pg_catalog.current_setting(s.name) AS shown,
    s.setting AS written,
    s.vartype IN ('bool', 'enum') AS of_few
FROM pg_catalog.pg_settings AS s
WHERE
    s.source = 'session'
    AND s.name NOT IN (
        'lock_timeout', 'statement_timeout', 'search_path',
        'transaction_isolation', 'transaction_read_only', 'transaction_deferrable'
    )
UNION ALL
SELECT 'setting', c.name, c.value AS shown, c.value AS written, false
FROM (
    SELECT n.name, pg_catalog.current_setting(n.name, true) AS value
    FROM pg_catalog.unnest(%(names)s::text []) AS n (name)
) AS c
WHERE c.value IS NOT NULL
UNION ALL
SELECT 'path', s.name, s.reset_val, NULL, false
FROM pg_catalog.pg_settings AS s
WHERE s.name = 'search_path'
UNION ALL
SELECT 'temporary ' || o.type, coalesce(o.name, o.identity), NULL, NULL, false
FROM pg_catalog.pg_depend AS d
CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o
WHERE
    d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
    AND d.refobjid = pg_catalog.pg_my_temp_schema()
    AND d.refobjid <> 0
UNION ALL
SELECT 'prepared statement', p.name, NULL, NULL, false
FROM pg_catalog.pg_prepared_statements AS p
UNION ALL
SELECT 'cursor WITH HOLD', c.name, NULL, NULL, false
FROM pg_catalog.pg_cursors AS c
WHERE c.is_holdable
UNION ALL
SELECT 'LISTEN', l.channel, NULL, NULL, false
FROM pg_catalog.pg_listening_channels() AS l (channel)
UNION ALL
SELECT 'advisory lock', l.objid::text, NULL, NULL, false
FROM pg_catalog.pg_locks AS l
WHERE l.locktype = 'advisory' AND l.pid = pg_catalog.pg_backend_pid() AND l.granted;
