-- name: oid_of_index
-- By the name as the statement has it.
SELECT i.indexrelid::bigint AS oid
FROM pg_index AS i
WHERE i.indexrelid = to_regclass(%(index)s);

-- name: index
-- The index as it is, with what pg_get_indexdef leaves out, and what needs it.
SELECT
    i.indexrelid::bigint AS oid,
    n.nspname::text AS schema_name,
    c.relname::text AS index_name,
    tn.nspname::text AS table_schema,
    t.relname::text AS table_name,
    c.relkind::text AS kind,
    i.indisvalid AND i.indisready AND i.indislive AS usable,
    i.indisunique AS is_unique,
    i.indisreplident AS replica_identity,
    i.indisclustered AS clustered,
    pg_get_indexdef(i.indexrelid) AS definition,
    s.spcname::text AS tablespace,
    obj_description(i.indexrelid, 'pg_class') AS comment,
    pg_relation_size(i.indexrelid) AS bytes,
    u.idx_scan AS scans,
    coalesce(to_jsonb(u) ->> 'last_idx_scan', '') AS last_scan,
    (SELECT coalesce(d.stats_reset::text, '') FROM pg_stat_database AS d WHERE d.datname = current_database()) AS reset,
    (
        SELECT string_agg(format('%%I of %%s', con.conname, con.conrelid::regclass), ', ' ORDER BY con.conname)
        FROM pg_constraint AS con
        WHERE con.conindid = i.indexrelid
    ) AS constraints,
    (SELECT h.inhparent::regclass::text FROM pg_inherits AS h WHERE h.inhrelid = i.indexrelid) AS part_of,
    ARRAY(
        SELECT ARRAY[a.attnum::text, to_jsonb(a) ->> 'attstattarget']
        FROM pg_attribute AS a
        WHERE a.attrelid = i.indexrelid AND (to_jsonb(a) ->> 'attstattarget')::integer >= 0
        ORDER BY a.attnum
    ) AS statistics,
    ARRAY(
        SELECT format('%%I of %%s', con.conname, con.conrelid::regclass)
        FROM pg_constraint AS con
        WHERE
            con.contype = 'f'
            AND con.conrelid = i.indrelid
            AND con.conparentid = 0
            AND i.indpred IS NULL
            AND cardinality(con.conkey) <= i.indnkeyatts
            AND (i.indkey::int2 [])[0:cardinality(con.conkey) - 1] @> con.conkey
            AND NOT EXISTS (
                SELECT FROM pg_index AS o
                WHERE
                    o.indrelid = i.indrelid
                    AND o.indexrelid <> i.indexrelid
                    AND o.indisvalid
                    AND o.indpred IS NULL
                    AND cardinality(con.conkey) <= o.indnkeyatts
                    AND (o.indkey::int2 [])[0:cardinality(con.conkey) - 1] @> con.conkey
            )
        ORDER BY con.conname
    ) AS foreign_keys
FROM pg_index AS i
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_class AS t ON i.indrelid = t.oid
INNER JOIN pg_namespace AS tn ON t.relnamespace = tn.oid
LEFT JOIN pg_tablespace AS s ON c.reltablespace = s.oid
LEFT JOIN pg_stat_all_indexes AS u ON i.indexrelid = u.indexrelid
WHERE i.indexrelid = %(oid)s::oid;
