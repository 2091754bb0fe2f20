-- What the application could write to the tables of a plan, while it is rehearsed.

-- name: tables
-- By the names that predictions have; of partitions only the root. `columns`: those that INSERT may list, with what may
-- fill them when it does not; `hindrance`: why nothing is written, `kept`: why nothing is deleted and inserted again.
WITH named AS (
    SELECT
        c.oid,
        c.relkind,
        c.relrowsecurity,
        c.relforcerowsecurity,
        c.relowner,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
        n.nspname || '.' || c.relname AS plain,
        (
            SELECT array_agg(quote_ident(a.attname) ORDER BY k.place)
            FROM pg_catalog.pg_index AS i
            CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
            INNER JOIN pg_catalog.pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum
            WHERE i.indrelid = c.oid AND i.indisprimary
        ) AS key
    FROM pg_catalog.pg_class AS c
    INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
    WHERE
        n.nspname || '.' || c.relname = any(%(names)s::text []) AND c.relkind IN ('r', 'p')
        AND c.relpersistence <> 't'
        AND (NOT c.relispartition OR NOT EXISTS (
            SELECT 1
            FROM pg_catalog.pg_class AS r
            INNER JOIN pg_catalog.pg_namespace AS s ON r.relnamespace = s.oid
            WHERE
                r.oid = pg_catalog.pg_partition_root(c.oid)
                AND s.nspname || '.' || r.relname = any(%(names)s::text [])
        ))
)

SELECT
    t.oid::bigint AS oid,
    t.name,
    t.plain,
    coalesce(t.key, '{}') AS key,
    CASE
        WHEN t.key IS NULL THEN 'has no primary key by which a row could be found again'
        WHEN NOT pg_catalog.pg_has_role(t.relowner, 'USAGE') THEN 'belongs to somebody else'
        WHEN t.relrowsecurity AND t.relforcerowsecurity THEN 'shows its owner the rows that its policies allow'
    END AS hindrance,
    CASE
        WHEN EXISTS (
            SELECT 1 FROM pg_catalog.pg_constraint AS r
            WHERE r.confrelid = t.oid AND r.confdeltype <> 'a'
        ) THEN 'a DELETE would reach, or be refused by, what references it'
        WHEN EXISTS (
            SELECT 1 FROM pg_catalog.pg_constraint AS d
            WHERE t.oid IN (d.conrelid, d.confrelid) AND d.condeferrable
        ) THEN 'constraints are checked at the end of the transaction'
        WHEN EXISTS (
            SELECT 1 FROM pg_catalog.pg_rewrite AS w
            WHERE w.ev_class = t.oid AND w.ev_type <> '1'
        ) THEN 'rules rewrite what is written'
        WHEN EXISTS (
            SELECT 1 FROM pg_catalog.pg_inherits AS h
            WHERE t.oid IN (h.inhrelid, h.inhparent) AND t.relkind = 'r'
        ) THEN 'it is part of an inheritance'
    END AS kept,
    EXISTS (
        SELECT 1 FROM pg_catalog.pg_trigger AS g
        INNER JOIN (
            SELECT t.oid AS member
            UNION ALL
            SELECT p.relid FROM pg_catalog.pg_partition_tree(t.oid) AS p
        ) AS m ON g.tgrelid = m.member
        WHERE NOT g.tgisinternal AND g.tgenabled <> 'D'
    ) AS triggers,
    ARRAY(
        SELECT m.member::bigint
        FROM (
            SELECT t.oid::oid AS member
            UNION
            SELECT p.relid::oid FROM pg_catalog.pg_partition_tree(t.oid) AS p
        ) AS m
    ) AS family,
    ARRAY(
        SELECT r.conrelid::bigint FROM pg_catalog.pg_constraint AS r
        WHERE r.confrelid = t.oid
    ) AS referencing
FROM named AS t
ORDER BY t.oid;

-- name: columns
-- That a statement may list, in their order. `computed`: an INSERT that leaves it out calls something.
SELECT
    quote_ident(a.attname) AS name,
    a.attidentity = 'a' AS always,
    a.attidentity <> '' OR coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ '\(', FALSE) AS computed
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_attrdef AS d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum;

-- name: written
-- Rows of tables that this session has changed and that are not reported yet, also where a savepoint took them back.
SELECT
    relid::bigint AS oid,
    schemaname || '.' || relname AS plain,
    (n_tup_ins + n_tup_upd + n_tup_del)::bigint AS changed
FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0;

-- name: sequences
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') ELSE FALSE END
    AND c.relpersistence <> 't' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
ORDER BY c.oid;
