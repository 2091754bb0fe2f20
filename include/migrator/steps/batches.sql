-- name: tables
-- The tables that hold the rows of a relation, in the order of their oids: itself, and with children its partitions.
-- `together`: a statement for one of them would not do what the one for all does: for policies, statement triggers,
-- rules and rights it is the named table that counts, and a row that leaves its partition goes to another one. Triggers
-- and rules are of who writes. `rows` are those of a page, 0 while nobody has counted them. A table that is gone since has
-- no size.
WITH RECURSIVE wanted AS (
    SELECT to_regclass(%(relation)s)::oid AS oid
),

members AS (
    SELECT oid FROM wanted
    UNION
    SELECT i.inhrelid
    FROM members AS m
    INNER JOIN pg_inherits AS i ON m.oid = i.inhparent
    WHERE NOT %(by_itself)s
),

keys AS (
    -- A column of a partition key depends on its table as one of the table's own parts (StorePartitionKey).
    SELECT DISTINCT d.objid AS oid
    FROM members AS m
    INNER JOIN pg_depend AS d ON m.oid = d.objid AND m.oid = d.refobjid
    INNER JOIN pg_attribute AS a ON d.objid = a.attrelid AND d.objsubid = a.attnum
    WHERE
        d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjsubid = 0 AND d.deptype = 'i' AND a.attname = ANY(%(written)s::text [])
),

special AS (
    SELECT c.oid
    FROM members AS m
    INNER JOIN pg_class AS c ON m.oid = c.oid
    WHERE
        c.relrowsecurity OR (c.relhasrules AND NOT %(is_read)s) OR NOT pg_has_role(c.relowner, 'USAGE')
        OR EXISTS (SELECT 1 FROM keys AS k WHERE k.oid = c.oid)
        OR EXISTS (
            SELECT 1
            FROM pg_trigger AS t
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 1 = 0 AND t.tgenabled <> 'D'
                AND NOT %(is_read)s
        )
),

found AS (
    SELECT
        c.oid,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
        c.relkind,
        pg_relation_filenode(c.oid) AS file,
        pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages,
        CASE WHEN c.relpages > 0 AND c.reltuples > 0 THEN c.reltuples / c.relpages ELSE 0 END AS rows
    FROM members AS m
    INNER JOIN pg_class AS c ON m.oid = c.oid
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE c.relkind <> 'p'
)

SELECT
    f.oid::bigint,
    f.name,
    f.relkind::text AS kind,
    coalesce(f.file, 0)::bigint AS file,
    coalesce(f.pages, 0)::bigint AS pages,
    f.rows::float8,
    (SELECT count(*) FROM members) > 1 AND EXISTS (SELECT 1 FROM special) AS together
FROM found AS f
WHERE f.pages IS NOT NULL OR f.relkind NOT IN ('r', 'm')
ORDER BY f.oid;

-- name: writers
-- Transactions that hold the lock of who writes into one of these tables: their rows nobody else sees yet. What is
-- hidden from our role is NULL.
WITH RECURSIVE members AS (
    SELECT to_regclass(%(relation)s)::oid AS oid
    UNION
    SELECT i.inhrelid
    FROM members AS m
    INNER JOIN pg_inherits AS i ON m.oid = i.inhparent
    WHERE NOT %(by_itself)s
)

SELECT DISTINCT ON (l.virtualtransaction)
    l.virtualtransaction,
    coalesce(l.pid, 0) AS pid,
    a.usename::text,
    a.application_name,
    a.state,
    extract(EPOCH FROM clock_timestamp() - a.xact_start)::float8 AS xact_age_seconds,
    l.mode,
    l.relation::regclass::text AS relation
FROM members AS m
INNER JOIN pg_locks AS l ON m.oid = l.relation
LEFT JOIN pg_stat_activity AS a ON l.pid = a.pid
WHERE
    l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
ORDER BY l.virtualtransaction, l.pid;

-- name: snapshots
-- Transactions whose snapshot may be older than transaction `last`, of which it does not show what that has written then.
-- A session's snapshot of a later statement of the same transaction may be newer: then it is another row here, or it may
-- be. VACUUM and the like change no rows.
SELECT
    a.pid::text || ' ' || coalesce(a.xact_start::text, '') || ' ' || a.backend_xmin::text AS id,
    a.pid,
    a.usename::text,
    a.application_name,
    a.state,
    extract(EPOCH FROM clock_timestamp() - a.xact_start)::float8 AS xact_age_seconds,
    NULL::text AS mode,
    NULL::text AS relation
FROM pg_stat_activity AS a
WHERE
    a.datname = current_database() AND a.pid <> pg_backend_pid()
    AND a.backend_type = 'client backend' AND a.backend_xmin IS NOT NULL
    AND age(a.backend_xmin) >= age(%(last)s::text::xid)
ORDER BY id;

-- name: deadlock_timeout
-- In milliseconds.
SELECT setting::int AS milliseconds
FROM pg_settings
WHERE name = 'deadlock_timeout';

-- name: key_columns
-- Of the primary key of a table.
SELECT quote_ident(a.attname) AS name
FROM pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::int2 []) WITH ORDINALITY AS k (attnum, place)
INNER JOIN pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum
WHERE i.indrelid = %(oid)s::oid AND i.indisprimary AND k.place <= i.indnkeyatts
ORDER BY k.place;

-- name: is_unique
-- Whether a unique index is on these columns or on some of them, none of which may be NULL: NULLs are not equal. A parent's
-- index knows nothing of its children's rows, which a trigger may put there.
SELECT EXISTS (
    SELECT 1
    FROM pg_index AS i
    WHERE
        i.indrelid = to_regclass(%(table)s) AND i.indisunique AND i.indisvalid
        AND NOT EXISTS (
            SELECT 1
            FROM pg_inherits AS h
            INNER JOIN pg_class AS c ON h.inhparent = c.oid
            WHERE h.inhparent = i.indrelid AND c.relkind <> 'p'
        )
        AND i.indpred IS NULL AND i.indexprs IS NULL
        AND NOT EXISTS (
            SELECT 1
            FROM unnest(i.indkey::int2 []) WITH ORDINALITY AS k (attnum, place)
            INNER JOIN pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum
            WHERE k.place <= i.indnkeyatts AND NOT (a.attnotnull AND a.attname = ANY(%(columns)s::text []))
        )
) AS found;
