-- name: table
-- By the name as the statement has it.
SELECT
    n.nspname::text AS schema_name,
    c.relname::text AS table_name
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.oid = to_regclass(%(name)s);

-- name: dropped
-- By the name as the statement has it.
SELECT
    n.nspname::text AS schema_name,
    t.relname::text AS table_name,
    c.relname::text AS index_name
FROM pg_index AS i
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_class AS t ON i.indrelid = t.oid
INNER JOIN pg_namespace AS n ON t.relnamespace = n.oid
WHERE i.indexrelid = to_regclass(%(name)s);

-- name: rebuilt
-- What REINDEX CONCURRENTLY of this index or table copies, on all partitions; not of TOAST tables, whose indexes only a
-- superuser may drop.
WITH members AS (
    SELECT to_regclass(%(name)s)::oid AS oid
    UNION
    SELECT p.relid::oid
    FROM pg_partition_tree(to_regclass(%(name)s)) AS p
)

SELECT
    n.nspname::text AS schema_name,
    t.relname::text AS table_name,
    c.relname::text AS index_name
FROM members AS m
INNER JOIN pg_index AS i ON m.oid IN (i.indexrelid, i.indrelid)
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_class AS t ON i.indrelid = t.oid
INNER JOIN pg_namespace AS n ON t.relnamespace = n.oid
WHERE c.relkind = 'i' AND i.indisvalid
ORDER BY 1, 2, 3;

-- name: index
-- Whole it is no helper. While somebody holds what building, dropping and vacuuming hold of a table, nobody can say what
-- the index is about to be; that he does is seen without rights.
SELECT
    n.nspname::text AS schema_name,
    t.relname::text AS table_name,
    c.relname::text AS name,
    pg_relation_size(c.oid) AS bytes,
    i.indisvalid AND i.indisready AND i.indislive AS whole,
    false AS disabled,
    CASE
        WHEN c.relkind = 'I' THEN 'its table is partitioned: its valid parts go with it, and all partitions are locked'
        WHEN c.relispartition THEN 'it is a part of the index of a partitioned table'
        ELSE ''
    END AS kept,
    coalesce(
        (
            SELECT 'pid ' || l.pid || ' builds or drops an index there, or vacuums'
            FROM pg_locks AS l
            WHERE
                l.relation = t.oid
                AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                AND l.mode = 'ShareUpdateExclusiveLock'
                AND l.granted
                AND l.pid <> pg_backend_pid()
            LIMIT 1
        ),
        ''
    ) AS busy,
    concat_ws(' ', c.oid, c.relfilenode, i.indisvalid, i.indisready, i.indislive, pg_get_indexdef(c.oid)) AS identity
FROM pg_index AS i
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_class AS t ON i.indrelid = t.oid
INNER JOIN pg_namespace AS n ON t.relnamespace = n.oid
WHERE n.nspname = %(schema)s AND t.relname = %(table)s AND c.relname = %(name)s;

-- name: index_copies
-- Named after the index, of which a long name is cut (makeObjectName in src/backend/commands/indexcmds.c).
WITH copies AS (
    SELECT
        n.nspname::text AS schema_name,
        t.relname::text AS table_name,
        c.relname::text AS name,
        pg_relation_size(c.oid) AS bytes,
        t.oid AS table_oid,
        concat_ws(' ', c.oid, c.relfilenode, i.indisready, i.indislive, pg_get_indexdef(c.oid)) AS identity,
        regexp_replace(c.relname::text, '_cc(new|old)[0-9]*$', '') AS stem
    FROM pg_index AS i
    INNER JOIN pg_class AS c ON i.indexrelid = c.oid
    INNER JOIN pg_class AS t ON i.indrelid = t.oid
    INNER JOIN pg_namespace AS n ON t.relnamespace = n.oid
    WHERE
        n.nspname = %(schema)s
        AND t.relname = %(table)s
        AND NOT i.indisvalid
        AND c.relname ~ '_cc(new|old)[0-9]*$'
        AND i.indexrelid::bigint <> ALL(%(spared)s::bigint [])
)

SELECT
    k.schema_name,
    k.table_name,
    k.name,
    k.bytes,
    false AS whole,
    false AS disabled,
    '' AS kept,
    coalesce(
        (
            SELECT 'pid ' || l.pid || ' builds or drops an index there, or vacuums'
            FROM pg_locks AS l
            WHERE
                l.relation = k.table_oid
                AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                AND l.mode = 'ShareUpdateExclusiveLock'
                AND l.granted
                AND l.pid <> pg_backend_pid()
            LIMIT 1
        ),
        ''
    ) AS busy,
    k.identity
FROM copies AS k
WHERE k.stem = %(name)s OR (octet_length(k.name) > 59 AND starts_with(%(name)s, k.stem))
ORDER BY k.name;

-- name: constraint
-- The one that was registered: another of its name is no helper. Added before oids were noted, it is nobody's to drop.
SELECT
    n.nspname::text AS schema_name,
    t.relname::text AS table_name,
    k.conname::text AS name,
    0::bigint AS bytes,
    false AS whole,
    false AS disabled,
    CASE WHEN cardinality(%(spared)s::bigint []) = 0 THEN 'the ledger has not noted which of its name it is' ELSE '' END AS kept,
    '' AS busy,
    concat_ws(' ', k.oid, k.convalidated, pg_get_constraintdef(k.oid)) AS identity
FROM pg_constraint AS k
INNER JOIN pg_class AS t ON k.conrelid = t.oid
INNER JOIN pg_namespace AS n ON t.relnamespace = n.oid
WHERE
    n.nspname = %(schema)s AND t.relname = %(table)s AND k.conname = %(name)s
    AND (k.oid::bigint = ANY(%(spared)s::bigint []) OR cardinality(%(spared)s::bigint []) = 0);

-- name: added
-- By which oid a constraint is known again.
SELECT k.oid::bigint AS oid
FROM pg_constraint AS k
INNER JOIN pg_class AS t ON k.conrelid = t.oid
INNER JOIN pg_namespace AS n ON t.relnamespace = n.oid
WHERE n.nspname = %(schema)s AND t.relname = %(table)s AND k.conname = %(name)s;

-- name: trigger
SELECT
    n.nspname::text AS schema_name,
    t.relname::text AS table_name,
    g.tgname::text AS name,
    0::bigint AS bytes,
    false AS whole,
    g.tgenabled = 'D' AS disabled,
    '' AS kept,
    '' AS busy,
    concat_ws(' ', g.oid, g.tgenabled, pg_get_triggerdef(g.oid)) AS identity
FROM pg_trigger AS g
INNER JOIN pg_class AS t ON g.tgrelid = t.oid
INNER JOIN pg_namespace AS n ON t.relnamespace = n.oid
WHERE n.nspname = %(schema)s AND t.relname = %(table)s AND g.tgname = %(name)s AND NOT g.tgisinternal;

-- name: function
SELECT
    n.nspname::text AS schema_name,
    '' AS table_name,
    p.proname::text AS name,
    0::bigint AS bytes,
    false AS whole,
    false AS disabled,
    '' AS kept,
    coalesce(
        (
            SELECT 'trigger ' || quote_ident(g.tgname) || ' of ' || g.tgrelid::regclass || ' calls it'
            FROM pg_trigger AS g
            WHERE g.tgfoid = p.oid
            LIMIT 1
        ),
        ''
    ) AS busy,
    concat_ws(' ', p.oid, pg_get_functiondef(p.oid)) AS identity
FROM pg_proc AS p
INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
WHERE n.nspname = %(schema)s AND p.proname = %(name)s AND p.pronargs = 0;

-- name: relation
SELECT
    n.nspname::text AS schema_name,
    '' AS table_name,
    c.relname::text AS name,
    pg_total_relation_size(c.oid) AS bytes,
    false AS whole,
    false AS disabled,
    '' AS kept,
    '' AS busy,
    concat_ws(' ', c.oid, c.relfilenode) AS identity
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind IN ('r', 'p');

-- name: slot
-- Its bytes are the WAL that it retains.
SELECT
    '' AS schema_name,
    '' AS table_name,
    s.slot_name::text AS name,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint AS bytes,
    false AS whole,
    false AS disabled,
    '' AS kept,
    CASE WHEN s.active THEN 'pid ' || s.active_pid || ' reads from it' ELSE '' END AS busy,
    concat_ws(' ', s.plugin, s.slot_type, s.database) AS identity
FROM pg_replication_slots AS s
WHERE
    s.slot_name = %(name)s
    AND (s.database IS NULL OR s.database = current_database());
