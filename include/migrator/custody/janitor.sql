-- name: strays
-- What looks like a helper object: indexes that are not valid, what is named like one of the engine's, and slots that
-- nobody reads from. Their columns are those of helpers.sql.
SELECT
    'index' AS class,
    c.oid::bigint AS oid,
    n.nspname::text AS schema_name,
    t.relname::text AS table_name,
    c.relname::text AS name,
    pg_catalog.pg_relation_size(c.oid) AS bytes,
    CASE
        WHEN n.nspname = 'pg_toast' THEN 'a superuser may drop it, or its owner who may use schema pg_toast'
        WHEN c.relkind = 'I' THEN 'its table is partitioned: a part of it is missing, or not valid'
        ELSE ''
    END AS kept
FROM pg_catalog.pg_index AS i
INNER JOIN pg_catalog.pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_catalog.pg_class AS t ON i.indrelid = t.oid
INNER JOIN pg_catalog.pg_namespace AS n ON t.relnamespace = n.oid
WHERE NOT i.indisvalid AND n.nspname <> %(ledger)s
UNION ALL
SELECT
    'trigger' AS class,
    g.oid::bigint AS oid,
    n.nspname::text AS schema_name,
    t.relname::text AS table_name,
    g.tgname::text AS name,
    0::bigint AS bytes,
    '' AS kept
FROM pg_catalog.pg_trigger AS g
INNER JOIN pg_catalog.pg_class AS t ON g.tgrelid = t.oid
INNER JOIN pg_catalog.pg_namespace AS n ON t.relnamespace = n.oid
WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgname ~ %(named)s AND n.nspname <> %(ledger)s
UNION ALL
SELECT
    'function' AS class,
    p.oid::bigint AS oid,
    n.nspname::text AS schema_name,
    '' AS table_name,
    p.proname::text AS name,
    0::bigint AS bytes,
    '' AS kept
FROM pg_catalog.pg_proc AS p
INNER JOIN pg_catalog.pg_namespace AS n ON p.pronamespace = n.oid
WHERE p.pronargs = 0 AND p.proname ~ %(named)s AND n.nspname <> %(ledger)s
UNION ALL
SELECT
    'table' AS class,
    c.oid::bigint AS oid,
    n.nspname::text AS schema_name,
    '' AS table_name,
    c.relname::text AS name,
    pg_catalog.pg_total_relation_size(c.oid) AS bytes,
    '' AS kept
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.relkind IN ('r', 'p') AND c.relname ~ %(named)s AND n.nspname <> %(ledger)s
UNION ALL
SELECT
    'slot' AS class,
    0::bigint AS oid,
    '' AS schema_name,
    '' AS table_name,
    s.slot_name::text AS name,
    coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn), 0)::bigint AS bytes,
    '' AS kept
FROM pg_catalog.pg_replication_slots AS s
WHERE NOT s.active AND NOT s.temporary AND (s.database IS NULL OR s.database = pg_catalog.current_database())
ORDER BY class, schema_name, table_name, name;
