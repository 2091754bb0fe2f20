-- name: relation_exists
-- By the name as the statement wrote it, through the session's search_path.
SELECT to_regclass(%(name)s) IS NOT NULL AS there;

-- name: reindex_leaves
-- What a REINDEX of a partitioned table or index builds anew.
SELECT
    n.nspname,
    c.relname
FROM pg_partition_tree(to_regclass(%(name)s)) AS p
INNER JOIN pg_class AS c ON p.relid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE p.isleaf AND p.level > 0 AND c.relkind IN ('r', 'i')
ORDER BY c.oid;

-- name: reindex_leftovers
-- An interrupted REINDEX CONCURRENTLY leaves invalid copies; the manual says to drop them and start over. Those of
-- TOAST tables their owner drops as well where he may use the schema pg_toast, which by default only a superuser may.
WITH named AS (
    SELECT to_regclass(%(name)s)::oid AS oid
),

tables AS (
    SELECT n.oid FROM named AS n
    UNION
    SELECT o.indrelid FROM named AS n INNER JOIN pg_index AS o ON n.oid = o.indexrelid
    UNION
    SELECT coalesce(o.indrelid, p.relid::oid)
    FROM named AS n
    CROSS JOIN LATERAL pg_partition_tree(n.oid::regclass) AS p
    LEFT JOIN pg_index AS o ON p.relid = o.indexrelid
)

SELECT
    i.indexrelid::bigint AS oid,
    n.nspname,
    c.relname,
    has_schema_privilege(n.oid, 'USAGE') AS reachable
FROM pg_index AS i
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    NOT i.indisvalid
    AND c.relname ~ '_cc(new|old)[0-9]*$'
    AND (%(schema)s::text IS NULL OR n.nspname = %(schema)s)
    AND (
        %(name)s::text IS NULL
        OR i.indrelid IN (SELECT t.oid FROM tables AS t)
        OR i.indrelid IN (SELECT r.reltoastrelid FROM tables AS t INNER JOIN pg_class AS r ON t.oid = r.oid)
    )
ORDER BY n.nspname, c.relname;

-- name: partition_state
-- True while a concurrent detach waits for its second half.
SELECT inhdetachpending
FROM pg_inherits
WHERE inhparent = to_regclass(%(parent)s) AND inhrelid = to_regclass(%(child)s);

-- name: database_exists
-- By exact name.
SELECT exists(SELECT FROM pg_database WHERE datname = %(name)s) AS there;

-- name: tablespace_exists
-- By exact name.
SELECT exists(SELECT FROM pg_tablespace WHERE spcname = %(name)s) AS there;

-- name: subscription_exists
-- In this database; the column list avoids the connection string, which only a superuser may read.
SELECT exists(
    SELECT FROM pg_subscription
    WHERE
        subname = %(name)s
        AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS there;

-- name: owner_of_table
SELECT pg_catalog.pg_get_userbyid(c.relowner)::text AS owner
FROM pg_catalog.pg_class AS c
WHERE c.oid = pg_catalog.to_regclass(%(table)s);

-- name: index_by_name
-- An index lives in its table's schema whatever the search_path says.
SELECT
    i.indexrelid::bigint AS oid,
    n.nspname AS schema_name,
    c.relname AS index_name,
    i.indisvalid AND i.indisready AS usable,
    i.indrelid = t.oid AS same_table,
    pg_get_indexdef(i.indexrelid) AS definition
FROM pg_class AS t
INNER JOIN pg_class AS c ON t.relnamespace = c.relnamespace
INNER JOIN pg_index AS i ON c.oid = i.indexrelid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE t.oid = to_regclass(%(table)s) AND c.relname = %(index)s;

-- name: indexes_of_table
-- For a CREATE INDEX that leaves the name to the server.
SELECT
    i.indexrelid::bigint AS oid,
    n.nspname AS schema_name,
    c.relname AS index_name,
    i.indisvalid AND i.indisready AS usable,
    true AS same_table,
    pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index AS i
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE i.indrelid = to_regclass(%(table)s)
ORDER BY i.indexrelid;

-- name: index_shape
-- What makes two indexes the same: everything but name, table, attribute numbers and state.
SELECT
    to_jsonb(i) - ARRAY[
        'indexrelid', 'indrelid', 'indkey', 'indexprs', 'indpred', 'indisvalid', 'indisready', 'indislive',
        'indcheckxmin', 'indisclustered', 'indisreplident', 'indisprimary'
    ]
    || jsonb_build_object(
        'method', a.amname,
        'options', c.reloptions,
        'class_options', (
            SELECT jsonb_agg(to_jsonb(o.attoptions) ORDER BY o.attnum)
            FROM pg_attribute AS o
            WHERE o.attrelid = i.indexrelid
        ),
        'predicate', pg_get_expr(i.indpred, i.indrelid),
        'columns', (
            SELECT jsonb_agg(pg_get_indexdef(i.indexrelid, k::integer, false) ORDER BY k)
            FROM generate_series(1, i.indnatts) AS k
        )
    ) AS shape
FROM pg_index AS i
INNER JOIN pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_am AS a ON c.relam = a.oid
WHERE i.indexrelid = %(oid)s::oid;

-- name: index_tablespace
-- Of an index that lies where the database does, the database's.
SELECT s.spcname
FROM pg_class AS c
INNER JOIN pg_database AS d ON d.datname = current_database()
INNER JOIN pg_tablespace AS s ON s.oid = coalesce(nullif(c.reltablespace, 0), d.dattablespace)
WHERE c.oid = %(oid)s::oid;

-- name: plain_columns
-- How many of these columns have a type of the server's own, or an enum, whose comparison is the server's.
SELECT count(*) AS known
FROM pg_attribute AS a
INNER JOIN pg_type AS t ON a.atttypid = t.oid
WHERE
    a.attrelid = to_regclass(%(table)s)
    AND a.attname = ANY(%(columns)s::text [])
    AND NOT a.attisdropped
    AND a.attgenerated <> 'v'
    AND (t.typtype = 'e' OR (t.typtype IN ('b', 'r') AND t.typnamespace = 'pg_catalog'::regnamespace));

-- name: index_builder
-- Whether some session is building this very index now.
SELECT pid
FROM pg_stat_progress_create_index
WHERE index_relid = %(oid)s::oid AND pid <> pg_backend_pid();
