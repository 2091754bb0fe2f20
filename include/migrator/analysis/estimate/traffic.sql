-- name: tables
-- How busy tables are: scans and changed rows a second since the statistics were reset. A scan is about one query.
SELECT
    s.schemaname || '.' || s.relname AS relation,
    coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0) AS reads,
    s.n_tup_ins + s.n_tup_upd + s.n_tup_del AS writes,
    extract(
        EPOCH FROM now() - greatest(coalesce(d.stats_reset, '-infinity'::timestamptz), pg_postmaster_start_time())
    )::float8 AS since
FROM pg_catalog.pg_stat_user_tables AS s
CROSS JOIN pg_catalog.pg_stat_database AS d
WHERE d.datname = current_database() AND s.schemaname || '.' || s.relname = ANY(%(relations)s);

-- name: holders
-- Sessions that have locks on the tables now: whoever waits for the table waits for the end of their transactions.
SELECT
    n.nspname || '.' || c.relname AS relation,
    l.mode,
    l.pid,
    coalesce(a.application_name, '') AS application_name,
    coalesce(a.state, 'prepared') AS state,
    extract(EPOCH FROM now() - coalesce(a.xact_start, p.prepared))::float8 AS seconds
FROM pg_catalog.pg_locks AS l
INNER JOIN pg_catalog.pg_class AS c ON l.relation = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_stat_activity AS a ON l.pid = a.pid
LEFT JOIN pg_catalog.pg_prepared_xacts AS p ON l.virtualtransaction = '-1/' || p.transaction::text
WHERE
    l.granted AND l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    AND n.nspname || '.' || c.relname = ANY(%(relations)s)
ORDER BY seconds DESC NULLS LAST;

-- name: statements
-- The schema of pg_stat_statements, when the extension is there and its view is the extension's own.
SELECT n.nspname AS schema
FROM pg_catalog.pg_extension AS e
INNER JOIN pg_catalog.pg_depend AS d
    ON
        e.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
        AND d.classid = 'pg_catalog.pg_class'::regclass
INNER JOIN pg_catalog.pg_class AS c ON d.objid = c.oid AND c.relname = 'pg_stat_statements_info'
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE e.extname = 'pg_stat_statements';

-- name: families
-- The statements that mention a table, most often called first.
SELECT
    left(s.query, 200) AS query,
    s.calls::float8 AS calls,
    s.mean_exec_time::float8 AS mean_ms,
    extract(EPOCH FROM now() - i.stats_reset)::float8 AS since
FROM {schema}.pg_stat_statements AS s
CROSS JOIN {schema}.pg_stat_statements_info AS i
WHERE
    s.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    AND s.query ~* %(pattern)s AND s.query ~* '^[\s(]*(select|insert|update|delete|merge|with|copy)'
ORDER BY s.calls DESC
LIMIT 5;
