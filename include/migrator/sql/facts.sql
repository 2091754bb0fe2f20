-- name: server
-- What every fact depends on: version, session settings, and where an unqualified name is looked up.
SELECT current_setting('server_version_num')::int AS server_version_num,
       current_setting('TimeZone') AS timezone,
       coalesce(current_schema(), 'public') AS schema

-- name: closure
-- Relations that a migration names, and those that its statements can reach: tables of indexes, partition trees,
-- both ends of foreign keys, columns of domains, everything in a schema. Sizes from pages, never from n_live_tup.
WITH RECURSIVE named AS (
    SELECT pg_catalog.to_regclass(n)::oid AS oid FROM unnest(%(names)s::text[]) AS n
    UNION
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    INNER JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
    WHERE s.nspname = ANY(%(schemas)s::text[]) AND c.relkind IN ('r', 'p', 'm', 'v', 'S', 'f')
    UNION
    SELECT a.attrelid
    FROM pg_catalog.pg_attribute AS a
    INNER JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    INNER JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    WHERE t.typtype = 'd' AND t.typname = ANY(%(domains)s::text[]) AND c.relkind IN ('r', 'p', 'm') AND NOT a.attisdropped
    UNION
    SELECT con.conrelid
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conname = ANY(%(constraints)s::text[]) AND con.conrelid <> 0
),
tables AS (
    SELECT coalesce(i.indrelid, n.oid) AS oid
    FROM named AS n
    LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = n.oid
    WHERE n.oid IS NOT NULL
),
ancestors AS (
    SELECT oid FROM tables
    UNION
    SELECT h.inhparent FROM pg_catalog.pg_inherits AS h INNER JOIN ancestors AS a ON a.oid = h.inhrelid
),
trees AS (
    SELECT oid FROM ancestors
    UNION
    SELECT h.inhrelid FROM pg_catalog.pg_inherits AS h INNER JOIN trees AS t ON t.oid = h.inhparent
),
linked AS (
    SELECT oid FROM trees
    UNION
    SELECT con.confrelid FROM pg_catalog.pg_constraint AS con INNER JOIN trees AS t ON t.oid = con.conrelid WHERE con.contype = 'f'
    UNION
    SELECT con.conrelid FROM pg_catalog.pg_constraint AS con INNER JOIN trees AS t ON t.oid = con.confrelid WHERE con.contype = 'f'
),
everything AS (
    SELECT oid FROM linked
    UNION
    SELECT i.indexrelid FROM pg_catalog.pg_index AS i INNER JOIN linked AS l ON l.oid = i.indrelid
    UNION
    SELECT h.inhrelid FROM pg_catalog.pg_inherits AS h INNER JOIN linked AS l ON l.oid = h.inhparent
)
SELECT c.oid::bigint AS oid,
       s.nspname AS schema,
       c.relname AS name,
       c.relkind AS kind,
       c.relpersistence AS persistence,
       greatest(c.reltuples, -1)::float8 AS reltuples,
       c.relpages AS relpages,
       CASE WHEN c.relkind IN ('r', 'm', 'i', 'S', 't') THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END AS bytes,
       current_setting('block_size')::int AS block_size,
       i.indrelid::bigint AS table_oid,
       (SELECT h.inhparent::bigint FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = c.oid ORDER BY h.inhseqno LIMIT 1) AS parent_oid,
       pt.partdefid::bigint AS default_oid
FROM everything AS e
INNER JOIN pg_catalog.pg_class AS c ON c.oid = e.oid
INNER JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
LEFT JOIN pg_catalog.pg_partitioned_table AS pt ON pt.partrelid = c.oid
ORDER BY c.oid

-- name: columns
-- Types as format_type() writes them, so that a change of type can be judged.
SELECT a.attrelid::bigint AS oid,
       a.attname AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS not_null,
       coalesce(co.collname, '') AS collation
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_collation AS co ON co.oid = a.attcollation
WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- name: constraints
-- Validity decides whether SET NOT NULL scans; the referenced table of a foreign key is locked as well.
SELECT con.conrelid::bigint AS oid,
       con.conname AS name,
       con.contype AS kind,
       con.convalidated AS validated,
       pg_catalog.pg_get_constraintdef(con.oid) AS definition,
       con.confrelid::bigint AS referenced_oid,
       con.conindid::bigint AS index_oid,
       ARRAY(
           SELECT a.attname::text
           FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, position)
           INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = con.conrelid AND a.attnum = k.attnum
           ORDER BY k.position
       ) AS columns
FROM pg_catalog.pg_constraint AS con
WHERE con.conrelid = ANY(%(oids)s::oid[]) AND con.contype IN ('c', 'f', 'p', 'u', 'x', 'n')
ORDER BY con.conrelid, con.conname

-- name: indexes
-- An invalid index is the rest of a failed CREATE INDEX CONCURRENTLY.
SELECT i.indrelid::bigint AS table_oid,
       i.indexrelid::bigint AS oid,
       i.indisunique AS is_unique,
       i.indisvalid AS is_valid,
       EXISTS (
           SELECT FROM pg_catalog.pg_constraint AS con WHERE con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x')
       ) AS backs_constraint,
       ARRAY(
           SELECT coalesce(a.attname::text, '')
           FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k (attnum, position)
           LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
           ORDER BY k.position
       ) AS columns
FROM pg_catalog.pg_index AS i
WHERE i.indrelid = ANY(%(oids)s::oid[])
ORDER BY i.indrelid, i.indexrelid

-- name: functions
-- Volatility by name and number of arguments: a volatile default rewrites the table, a stable one does not.
SELECT p.proname AS name,
       s.nspname AS schema,
       p.provolatile AS volatility,
       p.pronargs - p.pronargdefaults AS least,
       CASE WHEN p.provariadic <> 0 THEN 1000 ELSE p.pronargs END AS most
FROM pg_catalog.pg_proc AS p
INNER JOIN pg_catalog.pg_namespace AS s ON s.oid = p.pronamespace
WHERE p.proname = ANY(%(names)s::text[]) AND pg_catalog.pg_function_is_visible(p.oid) IS NOT NULL

-- name: domains
-- A column of a constrained domain is checked row by row when it is added.
SELECT t.typname AS name,
       s.nspname AS schema,
       t.typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS con WHERE con.contypid = t.oid) AS constrained,
       ARRAY(
           SELECT DISTINCT a.attrelid::bigint
           FROM pg_catalog.pg_attribute AS a
           INNER JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
           WHERE a.atttypid = t.oid AND c.relkind IN ('r', 'p', 'm') AND NOT a.attisdropped
       ) AS tables
FROM pg_catalog.pg_type AS t
INNER JOIN pg_catalog.pg_namespace AS s ON s.oid = t.typnamespace
WHERE t.typtype = 'd' AND t.typname = ANY(%(names)s::text[])
