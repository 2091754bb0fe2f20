-- What the catalog says about a migration's objects: one query per kind of fact. All of them only read, take no lock
-- on the relations (pg_relation_size() would, so what is locked exclusively is not measured), and work on a standby.

-- name: server
-- What every fact depends on: version, session settings, and where an unqualified name is looked up.
SELECT
    current_setting('server_version_num')::int AS server_version_num,
    current_setting('TimeZone') AS timezone,
    coalesce(current_schema(), 'public') AS schema,
    current_database()::text AS database,
    (
        SELECT t.spcname FROM pg_catalog.pg_tablespace AS t
        INNER JOIN pg_catalog.pg_database AS d ON t.oid = d.dattablespace
        WHERE d.datname = current_database()
    ) AS tablespace,
    pg_catalog.pg_is_in_recovery() AS standby,
    coalesce(%(role)s::text, current_user::text) AS role,
    coalesce((SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = coalesce(%(role)s, current_user::text)), false)
        AS superuser

-- name: row_functions
-- Functions of one argument that is a row: they can be written like a column of it.
SELECT DISTINCT p.proname AS name
FROM pg_catalog.pg_proc AS p
INNER JOIN pg_catalog.pg_type AS t ON p.proargtypes[0] = t.oid
WHERE
    p.pronargs - p.pronargdefaults <= 1 AND p.pronargs > 0
    AND (t.typtype = 'c' OR t.oid IN ('pg_catalog.record'::regtype, 'pg_catalog.anyelement'::regtype))

-- name: operators
-- Those outside pg_catalog, with what they call.
SELECT
    o.oprname AS name,
    s.nspname AS schema,
    f.nspname AS function_schema,
    p.proname AS function,
    array_remove(ARRAY[
        CASE WHEN o.oprleft <> 0 THEN pg_catalog.format_type(o.oprleft, null) END, pg_catalog.format_type(o.oprright, null)
    ], null) AS operands
FROM pg_catalog.pg_operator AS o
INNER JOIN pg_catalog.pg_namespace AS s ON o.oprnamespace = s.oid
INNER JOIN pg_catalog.pg_proc AS p ON o.oprcode = p.oid
INNER JOIN pg_catalog.pg_namespace AS f ON p.pronamespace = f.oid
WHERE o.oprname = any(%(names)s::text []) AND s.nspname <> 'pg_catalog'
ORDER BY 1, 2, 3, 4, 5

-- name: casts
-- What is an extension's in C, or the server's own, does as it says.
SELECT
    pg_catalog.format_type(c.castsource, null) AS source,
    pg_catalog.format_type(c.casttarget, null) AS target,
    ARRAY(
        SELECT pg_catalog.format_type(t.oid, null) FROM pg_catalog.pg_type AS t
        WHERE t.oid IN (c.castsource, c.casttarget) AND t.typnamespace <> 'pg_catalog'::regnamespace
    ) AS own,
    s.nspname AS schema,
    p.proname AS function
FROM pg_catalog.pg_cast AS c
INNER JOIN pg_catalog.pg_proc AS p ON c.castfunc = p.oid
INNER JOIN pg_catalog.pg_language AS l ON p.prolang = l.oid
INNER JOIN pg_catalog.pg_namespace AS s ON p.pronamespace = s.oid
WHERE s.nspname <> 'pg_catalog' AND l.lanname NOT IN ('internal', 'c')
ORDER BY c.oid

-- name: callers
-- Functions whose bodies have one of these names as a word, and those whose bodies have theirs.
WITH RECURSIVE bodies AS MATERIALIZED (
    SELECT
        p.proname::text AS name,
        p.prosrc || ' ' || coalesce((
            SELECT string_agg(c.proname, ' ')
            FROM pg_catalog.pg_depend AS d
            INNER JOIN pg_catalog.pg_proc AS c ON d.refobjid = c.oid AND d.refclassid = 'pg_catalog.pg_proc'::regclass
            WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
        ), '') AS text
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_language AS l ON p.prolang = l.oid
    WHERE p.oid >= 16384 AND l.lanname IN ('sql', 'plpgsql')
),
found AS (
    SELECT n COLLATE "C" AS name FROM unnest(%(names)s::text []) AS n
    UNION
    SELECT b.name
    FROM found AS f
    INNER JOIN bodies AS b
        ON strpos(b.text, f.name) > 0 AND b.text ~ ('\m' || regexp_replace(f.name, '\W', '.', 'g') || '\M')
)
SELECT f.name FROM found AS f
LIMIT %(most)s

-- name: collations
-- Those of these names that pg_catalog does not have.
SELECT c.collname AS name
FROM pg_catalog.pg_collation AS c
WHERE c.collname = any(%(names)s::text [])
GROUP BY c.collname
HAVING bool_and(c.collnamespace <> 'pg_catalog'::regnamespace)

-- name: populated_schemas
-- Where all tables of the database are; none when there are too many of them.
SELECT s.nspname AS name
FROM pg_catalog.pg_namespace AS s
WHERE
    s.nspname !~ '^pg_' AND s.nspname <> 'information_schema'
    AND EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relnamespace = s.oid)
    AND (SELECT count(*) FROM pg_catalog.pg_class) < %(most)s

-- name: event_triggers
-- They run code of their own at each DDL statement; those that are enabled for replicas only do not.
SELECT
    e.evtname AS name,
    e.evtevent AS event,
    s.nspname || '.' || p.proname AS function,
    coalesce(e.evttags, '{}') AS tags
FROM pg_catalog.pg_event_trigger AS e
INNER JOIN pg_catalog.pg_proc AS p ON e.evtfoid = p.oid
INNER JOIN pg_catalog.pg_namespace AS s ON p.pronamespace = s.oid
WHERE e.evtenabled IN ('O', 'A')
ORDER BY e.evtname

-- name: names
-- Relations as the search path finds them. Not to_regclass(): it fails on a schema that one may not use.
SELECT
    w.schema AS asked_schema,
    w.name AS asked_name,
    found.oid::bigint AS oid
FROM unnest(%(schemas)s::text [], %(names)s::text []) AS w (schema, name)
CROSS JOIN LATERAL (
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    INNER JOIN pg_catalog.pg_namespace AS s ON c.relnamespace = s.oid
    WHERE
        c.relname = w.name
        AND (s.nspname = w.schema OR (w.schema IS NULL AND s.nspname = any(pg_catalog.current_schemas(true))))
    ORDER BY array_position(pg_catalog.current_schemas(true), s.nspname)
    LIMIT 1
) AS found

-- name: objects
-- Everything that depends on what is dropped, however far away; what is needed by something that stays is in `needs`.
WITH RECURSIVE family AS (
    SELECT o AS oid FROM unnest(%(relations)s::oid []) AS o
    UNION
    SELECT h.inhrelid FROM family AS f INNER JOIN pg_catalog.pg_inherits AS h ON f.oid = h.inhparent
),
roots AS (
    SELECT
        'pg_catalog.pg_class'::regclass::oid AS classid,
        f.oid AS objid,
        null::text AS label
    FROM family AS f
    UNION ALL
    SELECT
        'pg_catalog.pg_type'::regclass,
        t.oid,
        null
    FROM pg_catalog.pg_type AS t WHERE t.typname = any(%(types)s::text [])
    UNION ALL
    SELECT
        'pg_catalog.pg_proc'::regclass,
        p.oid,
        null
    FROM pg_catalog.pg_proc AS p WHERE p.proname = any(%(functions)s::text []) AND p.pronamespace <> 11
    UNION ALL
    SELECT
        'pg_catalog.pg_namespace'::regclass,
        n.oid,
        'schema ' || n.nspname
    FROM pg_catalog.pg_namespace AS n WHERE n.nspname = any(%(schemas)s::text [])
    UNION ALL
    SELECT
        'pg_catalog.pg_extension'::regclass,
        e.oid,
        'extension ' || e.extname
    FROM pg_catalog.pg_extension AS e WHERE e.extname = any(%(extensions)s::text [])
    UNION ALL
    SELECT
        'pg_catalog.pg_foreign_server'::regclass,
        f.oid,
        'server ' || f.srvname
    FROM pg_catalog.pg_foreign_server AS f WHERE f.srvname = any(%(servers)s::text [])
    UNION ALL
    SELECT
        'pg_catalog.pg_foreign_data_wrapper'::regclass,
        f.oid,
        'fdw ' || f.fdwname
    FROM pg_catalog.pg_foreign_data_wrapper AS f WHERE f.fdwname = any(%(wrappers)s::text [])
    UNION ALL
    SELECT
        d.classid,
        d.objid,
        CASE d.deptype WHEN 'o' THEN 'owned by ' ELSE 'granted to ' END || r.rolname
    FROM pg_catalog.pg_shdepend AS d
    INNER JOIN pg_catalog.pg_roles AS r ON d.refobjid = r.oid
    WHERE
        r.rolname = any(%(roles)s::text []) AND d.refclassid = 'pg_catalog.pg_authid'::regclass
        AND d.deptype IN ('o', 'a', 'r') AND d.objsubid = 0
        AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database AS b WHERE b.datname = current_database())
),
reached AS (
    SELECT
        classid,
        objid,
        0 AS objsubid
    FROM roots
    UNION
    SELECT
        'pg_catalog.pg_class'::regclass,
        a.attrelid,
        a.attnum::int
    FROM pg_catalog.pg_attribute AS a
    INNER JOIN family AS f ON a.attrelid = f.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT
        next.classid,
        next.objid,
        next.objsubid
    FROM reached AS r
    CROSS JOIN LATERAL (
        SELECT
            d.classid,
            d.objid,
            d.objsubid
        FROM pg_catalog.pg_depend AS d
        WHERE
            r.classid = d.refclassid AND r.objid = d.refobjid AND r.objsubid IN (0, d.refobjsubid)
            AND NOT ( -- its TOAST table, on which nothing else depends
                d.deptype = 'i' AND d.refobjsubid = 0 AND d.classid = 'pg_catalog.pg_class'::regclass
                AND d.refclassid = 'pg_catalog.pg_class'::regclass
            )
        UNION ALL
        SELECT
            d.refclassid,
            d.refobjid,
            d.refobjsubid
        FROM pg_catalog.pg_depend AS d
        WHERE r.classid = d.classid AND r.objid = d.objid AND d.deptype IN ('i', 'e')
    ) AS next
    WHERE r.classid <> 'pg_catalog.pg_namespace'::regclass OR r.objid >= 16384 OR r.objid = 2200
),
labelled AS (
    SELECT
        classid,
        objid,
        array_agg(label) AS labels
    FROM roots
    WHERE label IS NOT null
    GROUP BY classid, objid
),
named AS (
    SELECT
        r.*,
        r.objid AS relation_oid,
        '' AS name
    FROM reached AS r WHERE r.classid = 'pg_catalog.pg_class'::regclass AND r.objsubid = 0
    UNION ALL
    SELECT
        r.*,
        r.objid,
        a.attname
    FROM reached AS r
    CROSS JOIN LATERAL (
        SELECT c.attname FROM pg_catalog.pg_attribute AS c
        WHERE c.attrelid = r.objid AND c.attnum = r.objsubid
        OFFSET 0 -- there are few, so that the whole of pg_attribute is not to be read
    ) AS a
    WHERE r.classid = 'pg_catalog.pg_class'::regclass AND r.objsubid <> 0
    UNION ALL
    SELECT
        r.*,
        c.conrelid,
        c.conname
    FROM reached AS r INNER JOIN pg_catalog.pg_constraint AS c ON r.objid = c.oid
    WHERE r.classid = 'pg_catalog.pg_constraint'::regclass
    UNION ALL
    SELECT
        r.*,
        c.adrelid,
        ''
    FROM reached AS r INNER JOIN pg_catalog.pg_attrdef AS c ON r.objid = c.oid
    WHERE r.classid = 'pg_catalog.pg_attrdef'::regclass
    UNION ALL
    SELECT
        r.*,
        c.tgrelid,
        c.tgname
    FROM reached AS r INNER JOIN pg_catalog.pg_trigger AS c ON r.objid = c.oid
    WHERE r.classid = 'pg_catalog.pg_trigger'::regclass
    UNION ALL
    SELECT
        r.*,
        null,
        c.typname
    FROM reached AS r INNER JOIN pg_catalog.pg_type AS c ON r.objid = c.oid
    WHERE r.classid = 'pg_catalog.pg_type'::regclass
    UNION ALL
    SELECT
        r.*,
        coalesce(w.ev_class, p.polrelid, s.stxrelid, b.prrelid),
        coalesce(w.rulename, p.polname, s.stxname, f.proname, '')
    FROM reached AS r
    LEFT JOIN pg_catalog.pg_rewrite AS w ON r.classid = 'pg_catalog.pg_rewrite'::regclass AND r.objid = w.oid
    LEFT JOIN pg_catalog.pg_policy AS p ON r.classid = 'pg_catalog.pg_policy'::regclass AND r.objid = p.oid
    LEFT JOIN pg_catalog.pg_statistic_ext AS s ON r.classid = 'pg_catalog.pg_statistic_ext'::regclass AND r.objid = s.oid
    LEFT JOIN pg_catalog.pg_publication_rel AS b
        ON r.classid = 'pg_catalog.pg_publication_rel'::regclass AND r.objid = b.oid
    LEFT JOIN pg_catalog.pg_proc AS f ON r.classid = 'pg_catalog.pg_proc'::regclass AND r.objid = f.oid
    WHERE
        r.classid NOT IN (
            'pg_catalog.pg_class'::regclass, 'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_attrdef'::regclass,
            'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_type'::regclass
        )
)
SELECT
    n.classid::bigint AS catalog_oid,
    n.objid::bigint AS oid,
    n.objsubid AS subid,
    n.relation_oid::bigint AS relation_oid,
    n.name::text AS name,
    l.labels,
    (
        SELECT string_agg(d.deptype::text || ':' || d.classid || ':' || d.objid || ':' || d.objsubid, ' ')
        FROM pg_catalog.pg_depend AS d
        WHERE n.classid = d.refclassid AND n.objid = d.refobjid AND n.objsubid IN (0, d.refobjsubid)
    ) AS dependents,
    (
        SELECT string_agg(d.deptype::text || ':' || d.refclassid || ':' || d.refobjid || ':' || d.refobjsubid, ' ')
        FROM pg_catalog.pg_depend AS d
        WHERE n.classid = d.classid AND n.objid = d.objid AND n.objsubid = d.objsubid AND d.deptype IN ('i', 'P', 'S', 'e')
    ) AS needed_by
FROM named AS n
LEFT JOIN labelled AS l ON n.classid = l.classid AND n.objid = l.objid AND n.objsubid = 0

-- name: catalogs
-- Where objects are: what pg_depend has as numbers.
SELECT
    c.oid::bigint AS oid,
    c.relname AS name
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 11 AND c.relkind = 'r'

-- name: closure
-- Relations that a migration names, and those that its statements can reach: tables of indexes, partition trees,
-- both ends of foreign keys, what views read, columns of domains, everything in a schema. `far`: TRUNCATE CASCADE
-- follows foreign keys to the end; `written`: so do ON DELETE and ON UPDATE where they change rows. Sizes from pages, never from n_live_tup.
WITH RECURSIVE locked AS MATERIALIZED (
    SELECT DISTINCT l.relation FROM pg_catalog.pg_locks AS l WHERE l.mode = 'AccessExclusiveLock' AND l.locktype = 'relation'
),
far AS (
    SELECT o AS oid FROM unnest(%(far)s::oid []) AS o
    UNION
    SELECT next.oid
    FROM far AS f
    CROSS JOIN LATERAL (
        SELECT con.conrelid AS oid FROM pg_catalog.pg_constraint AS con WHERE con.confrelid = f.oid AND con.contype = 'f'
        UNION ALL
        SELECT h.inhrelid FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = f.oid
    ) AS next
),
named AS (
    SELECT o AS oid FROM unnest(%(oids)s::oid []) AS o
    UNION
    SELECT oid FROM far
    UNION
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    INNER JOIN pg_catalog.pg_namespace AS s ON c.relnamespace = s.oid
    WHERE s.nspname = any(%(schemas)s::text []) AND c.relkind IN ('r', 'p', 'm', 'v', 'S', 'f')
),
tables AS (
    SELECT coalesce(i.indrelid, n.oid) AS oid
    FROM named AS n
    LEFT JOIN pg_catalog.pg_index AS i ON n.oid = i.indexrelid
),
viewed AS (
    SELECT oid FROM tables
    UNION
    SELECT d.refobjid
    FROM viewed AS v
    INNER JOIN pg_catalog.pg_rewrite AS r ON v.oid = r.ev_class
    INNER JOIN pg_catalog.pg_depend AS d ON r.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::regclass
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> v.oid
),
ancestors AS (
    SELECT oid FROM viewed
    UNION
    SELECT h.inhparent FROM pg_catalog.pg_inherits AS h INNER JOIN ancestors AS a ON h.inhrelid = a.oid
),
trees AS (
    SELECT oid FROM ancestors
    UNION
    SELECT h.inhrelid FROM pg_catalog.pg_inherits AS h INNER JOIN trees AS t ON h.inhparent = t.oid
),
written AS (
    SELECT oid FROM trees
    UNION
    SELECT con.conrelid FROM pg_catalog.pg_constraint AS con INNER JOIN written AS w ON con.confrelid = w.oid
    WHERE con.contype = 'f' AND (con.confdeltype IN ('c', 'n', 'd') OR con.confupdtype IN ('c', 'n', 'd'))
),
linked AS (
    SELECT oid FROM written
    UNION
    SELECT con.confrelid FROM pg_catalog.pg_constraint AS con INNER JOIN trees AS t ON con.conrelid = t.oid
    WHERE con.contype = 'f'
    UNION
    SELECT con.conrelid FROM pg_catalog.pg_constraint AS con INNER JOIN written AS w ON con.confrelid = w.oid
    WHERE con.contype = 'f'
),
beyond AS (
    SELECT oid FROM linked
    UNION
    SELECT h.inhrelid FROM pg_catalog.pg_inherits AS h INNER JOIN beyond AS b ON h.inhparent = b.oid
),
everything AS (
    SELECT oid FROM beyond
    UNION
    SELECT i.indexrelid FROM pg_catalog.pg_index AS i INNER JOIN beyond AS b ON i.indrelid = b.oid
    UNION
    SELECT d.objid
    FROM pg_catalog.pg_depend AS d
    INNER JOIN beyond AS b ON d.refobjid = b.oid
    INNER JOIN pg_catalog.pg_class AS q ON d.objid = q.oid AND q.relkind = 'S'
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.classid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid <> 0
    UNION
    SELECT d.refobjid
    FROM pg_catalog.pg_attrdef AS f
    INNER JOIN beyond AS b ON f.adrelid = b.oid
    INNER JOIN pg_catalog.pg_depend AS d
        ON f.oid = d.objid AND d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
    INNER JOIN pg_catalog.pg_class AS q ON d.refobjid = q.oid AND q.relkind = 'S'
)
SELECT
    c.oid::bigint AS oid,
    s.nspname AS schema,
    c.relname AS name,
    c.relkind::text AS kind,
    c.relpersistence::text AS persistence,
    greatest(c.reltuples, -1)::float8 AS reltuples,
    c.relpages AS relpages,
    CASE
        WHEN c.relkind NOT IN ('r', 'm', 'i', 'S') THEN 0
        WHEN c.relkind = 'S' THEN current_setting('block_size')::int -- always one page
        WHEN c.oid IN (SELECT l.relation FROM locked AS l) THEN c.relpages::bigint * current_setting('block_size')::int
        ELSE coalesce(pg_catalog.pg_relation_size(c.oid), 0)
    END AS bytes,
    current_setting('block_size')::int AS block_size,
    i.indrelid::bigint AS table_oid,
    c.relispartition AS is_partition,
    (SELECT h.inhparent::bigint FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = c.oid ORDER BY h.inhseqno LIMIT 1) AS parent_oid,
    pt.partdefid::bigint AS default_oid,
    CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END AS bound,
    CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_key,
    CASE WHEN c.relkind = 'p' THEN (
        SELECT h.inhrelid::bigint FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = c.oid AND h.inhdetachpending LIMIT 1
    ) END AS pending_oid,
    c.relrowsecurity AS row_security,
    c.relforcerowsecurity AS force_row_security,
    c.relreplident::text AS replica_identity,
    c.relispopulated AS populated,
    c.reltype <> 0 AND EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        INNER JOIN pg_catalog.pg_class AS u ON d.objid = u.oid
        WHERE
            d.refclassid = 'pg_catalog.pg_type'::regclass AND d.classid = 'pg_catalog.pg_class'::regclass
            AND d.objsubid > 0 AND u.relkind IN ('r', 'p', 'm')
            AND d.refobjid IN (c.reltype, (SELECT t.typarray FROM pg_catalog.pg_type AS t WHERE t.oid = c.reltype))
    ) AS row_type_used,
    o.rolname AS owner,
    CASE WHEN c.relkind = 'v' THEN coalesce(c.reloptions, '{}') ELSE '{}' END AS options,
    CASE
        WHEN c.relkind IN ('i', 'I', 't') THEN '{}'
        ELSE
            CASE
                WHEN o.rolname <> %(role)s
                    THEN ARRAY[format('ALTER %%s %%s OWNER TO %%I', w.kind, c.oid::regclass, o.rolname)]
                ELSE '{}'
            END
            || ARRAY(
                SELECT
                    format(
                        'GRANT %%s ON %%s %%s TO %%s%%s',
                        pg_catalog.string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type),
                        CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                        c.oid::regclass,
                        CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
                        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                    )
                FROM pg_catalog.aclexplode(c.relacl) AS g
                WHERE g.grantee <> c.relowner
                GROUP BY g.grantee, g.is_grantable
                ORDER BY g.grantee, g.is_grantable
            )
            || ARRAY(
                SELECT format('COMMENT ON %%s %%s IS %%L', w.kind, c.oid::regclass, b.description)
                FROM pg_catalog.pg_description AS b
                WHERE b.objoid = c.oid AND b.classoid = 'pg_catalog.pg_class'::regclass AND b.objsubid = 0
            )
    END AS kept,
    am.amname AS access_method,
    ts.spcname AS tablespace,
    CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, null) END AS of_type,
    (SELECT pg_catalog.format_type(q.seqtypid, null) FROM pg_catalog.pg_sequence AS q WHERE q.seqrelid = c.oid) AS sequence_type,
    pg_catalog.pg_has_role(%(role)s, c.relowner, 'USAGE') AS owned,
    CASE
        WHEN c.relkind IN ('r', 'p', 'm', 'v', 'f') THEN ARRAY(
            SELECT p
            FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text []) AS p
            WHERE pg_catalog.has_table_privilege(%(role)s, c.oid, p)
        )
        WHEN c.relkind = 'S' THEN ARRAY(
            SELECT p
            FROM unnest('{SELECT,USAGE,UPDATE}'::text []) AS p
            WHERE pg_catalog.has_sequence_privilege(%(role)s, c.oid, p)
        )
    END AS privileges
FROM everything AS e
INNER JOIN pg_catalog.pg_class AS c ON e.oid = c.oid
INNER JOIN pg_catalog.pg_namespace AS s ON c.relnamespace = s.oid
INNER JOIN pg_catalog.pg_roles AS o ON c.relowner = o.oid
CROSS JOIN LATERAL (
    SELECT CASE c.relkind
        WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE'
    END AS kind
) AS w
LEFT JOIN pg_catalog.pg_am AS am ON c.relam = am.oid
LEFT JOIN pg_catalog.pg_tablespace AS ts ON c.reltablespace = ts.oid
LEFT JOIN pg_catalog.pg_index AS i ON c.oid = i.indexrelid
LEFT JOIN pg_catalog.pg_partitioned_table AS pt ON c.oid = pt.partrelid
WHERE s.nspname <> 'pg_toast'
ORDER BY c.oid

-- name: columns
-- Types as format_type() writes them, so that a change of type can be judged. Keys of indexes and constraints are numbers.
SELECT
    a.attrelid::bigint AS oid,
    a.attname AS name,
    a.attnum AS number,
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    a.attnotnull AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS con
        WHERE con.conrelid = a.attrelid AND con.contype = 'n' AND NOT con.convalidated AND a.attnum = any(con.conkey)
    ) AS not_null,
    coalesce(co.collname, '') AS collation,
    CASE WHEN a.atthasdef THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END AS default,
    a.attgenerated::text AS generated,
    a.attidentity::text AS identity,
    coalesce(t.typtype = 'd', false) AS domain,
    CASE WHEN t.typtype = 'd' THEN (
        WITH RECURSIVE bottom AS (
            SELECT
                t.typbasetype AS oid,
                t.typtypmod AS mod
            UNION ALL
            SELECT
                b.typbasetype,
                b.typtypmod
            FROM bottom AS l INNER JOIN pg_catalog.pg_type AS b ON l.oid = b.oid
            WHERE b.typtype = 'd'
        )
        SELECT pg_catalog.format_type(l.oid, null)
        FROM bottom AS l INNER JOIN pg_catalog.pg_type AS b ON l.oid = b.oid
        WHERE b.typtype <> 'd'
    ) ELSE '' END AS base
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_type AS t ON a.atttypid = t.oid
LEFT JOIN pg_catalog.pg_collation AS co ON a.attcollation = co.oid
LEFT JOIN pg_catalog.pg_attrdef AS d ON a.atthasdef AND a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE a.attrelid = any(%(oids)s::oid []) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- name: sequences
-- Which column takes its values from which sequence, and which sequence goes away with which column.
SELECT
    d.refobjid::bigint AS table_oid,
    a.attname AS column,
    d.objid::bigint AS oid,
    true AS owned,
    d.deptype = 'i' AS used
FROM pg_catalog.pg_depend AS d
INNER JOIN pg_catalog.pg_class AS q ON d.objid = q.oid AND q.relkind = 'S'
INNER JOIN pg_catalog.pg_attribute AS a ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
WHERE
    d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
    AND d.refobjid = any(%(oids)s::oid []) AND d.deptype IN ('a', 'i')
UNION ALL
SELECT
    f.adrelid::bigint,
    a.attname,
    d.refobjid::bigint,
    false,
    true
FROM pg_catalog.pg_attrdef AS f
INNER JOIN pg_catalog.pg_depend AS d
    ON f.oid = d.objid AND d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
INNER JOIN pg_catalog.pg_class AS q ON d.refobjid = q.oid AND q.relkind = 'S'
INNER JOIN pg_catalog.pg_attribute AS a ON f.adrelid = a.attrelid AND f.adnum = a.attnum
WHERE f.adrelid = any(%(oids)s::oid [])

-- name: constraints
-- Validity decides whether SET NOT NULL scans; the referenced table of a foreign key is locked as well.
SELECT
    con.conrelid::bigint AS oid,
    con.conname AS name,
    con.contype::text AS kind,
    con.convalidated AS validated,
    con.enforced,
    CASE
        WHEN con.contype <> 'n' OR con.connoinherit OR NOT con.convalidated THEN pg_catalog.pg_get_constraintdef(con.oid)
    END AS definition,
    con.confrelid::bigint AS referenced_oid,
    con.conindid::bigint AS index_oid,
    con.confdeltype::text AS on_delete,
    con.confupdtype::text AS on_update,
    con.conparentid <> 0 OR con.coninhcount > 0 AS inherited,
    con.conkey AS numbers
FROM (SELECT true AS conenforced) AS before_18
CROSS JOIN LATERAL (
    -- Where pg_constraint has the column, this is that one. All of a row as JSON, to look for it, costs as much as the rest.
    SELECT
        c.*,
        conenforced AS enforced
    FROM pg_catalog.pg_constraint AS c
    WHERE c.conrelid = any(%(oids)s::oid []) AND c.contype IN ('c', 'f', 'p', 'u', 'x', 'n')
) AS con
ORDER BY con.conrelid, con.conname

-- name: indexes
-- An invalid index is the rest of a failed CREATE INDEX CONCURRENTLY.
SELECT
    i.indrelid::bigint AS table_oid,
    i.indexrelid::bigint AS oid,
    i.indisunique AS is_unique,
    i.indisvalid AS is_valid,
    i.indisprimary AS is_primary,
    i.indisclustered AS is_clustered,
    i.indimmediate AS is_immediate,
    i.indisreplident AS is_replica_identity,
    i.indkey::int [] AS numbers,
    i.indnkeyatts AS key_columns,
    i.indcollation::bigint [] AS collation_oids,
    CASE
        WHEN NOT i.indcollation::oid [] <@ '{0,100}' THEN ARRAY( -- none, and the default one
            SELECT coalesce(co.collname::text, '')
            FROM unnest(i.indcollation::oid [], i.indkey::int []) WITH ORDINALITY AS k (collation_oid, attnum, place)
            LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND k.attnum = a.attnum
            LEFT JOIN pg_catalog.pg_collation AS co
                ON k.collation_oid = co.oid AND k.collation_oid IS DISTINCT FROM a.attcollation
            ORDER BY k.place
        )
    END AS collations,
    am.amname AS method,
    c.relkind = 'I' AS is_partitioned,
    CASE WHEN i.indpred IS NOT null THEN pg_catalog.pg_get_expr(i.indpred, i.indrelid) END AS predicate,
    pg_catalog.pg_get_indexdef(i.indexrelid) AS definition,
    h.inhparent::bigint AS parent_oid,
    EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE
            d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid AND d.deptype = 'i'
            AND d.refclassid = 'pg_catalog.pg_constraint'::regclass
    ) AS backs_constraint
FROM pg_catalog.pg_index AS i
INNER JOIN pg_catalog.pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_catalog.pg_am AS am ON c.relam = am.oid
LEFT JOIN pg_catalog.pg_inherits AS h ON c.relispartition AND i.indexrelid = h.inhrelid
WHERE i.indrelid = any(%(oids)s::oid [])
ORDER BY i.indrelid, i.indexrelid

-- name: triggers
-- The users' own, on 14 also those of partitions, which it takes for internal; a foreign key's are implied by it. tgtype: TRIGGER_TYPE_* in src/include/catalog/pg_trigger.h.
SELECT
    t.tgrelid::bigint AS oid,
    t.tgname AS name,
    s.nspname || '.' || p.proname AS function,
    t.tgtype::int AS type,
    t.tgenabled::text AS enabled,
    t.tgparentid <> 0 AS inherited
FROM pg_catalog.pg_trigger AS t
INNER JOIN pg_catalog.pg_proc AS p ON t.tgfoid = p.oid
INNER JOIN pg_catalog.pg_namespace AS s ON p.pronamespace = s.oid
WHERE t.tgrelid = any(%(oids)s::oid []) AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
ORDER BY t.tgrelid, t.tgname

-- name: rules
-- ev_type: 1 SELECT, 2 UPDATE, 3 INSERT, 4 DELETE.
SELECT
    r.ev_class::bigint AS oid,
    r.rulename AS name,
    r.ev_type::text AS type,
    r.is_instead AS instead,
    r.ev_enabled::text AS enabled,
    pg_catalog.pg_get_ruledef(r.oid) AS definition
FROM pg_catalog.pg_rewrite AS r
WHERE r.ev_class = any(%(oids)s::oid []) AND r.ev_type <> '1'
ORDER BY r.ev_class, r.rulename

-- name: policies
SELECT
    p.polrelid::bigint AS oid,
    p.polname AS name
FROM pg_catalog.pg_policy AS p
WHERE p.polrelid = any(%(oids)s::oid [])
ORDER BY p.polrelid, p.polname

-- name: views
-- Views that read the relations, and with which columns; a change of such a column's type fails. Without `reads` only
-- a rule of the view mentions the relation.
SELECT
    d.refobjid::bigint AS oid,
    v.oid::bigint AS view_oid,
    s.nspname || '.' || v.relname AS name,
    array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attname IS NOT null) AS columns,
    bool_or(r.ev_type = '1') AS reads
FROM pg_catalog.pg_depend AS d
INNER JOIN pg_catalog.pg_rewrite AS r ON d.objid = r.oid
INNER JOIN pg_catalog.pg_class AS v ON r.ev_class = v.oid
INNER JOIN pg_catalog.pg_namespace AS s ON v.relnamespace = s.oid
LEFT JOIN pg_catalog.pg_attribute AS a ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.refobjsubid > 0
WHERE
    d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
    AND d.refobjid = any(%(oids)s::oid []) AND v.oid <> d.refobjid AND v.relkind IN ('v', 'm')
GROUP BY d.refobjid, v.oid, s.nspname, v.relname
ORDER BY d.refobjid, v.oid

-- name: view_calls
-- Functions that the query of a view calls, itself or by an operator.
SELECT DISTINCT
    v.oid::bigint AS oid,
    s.nspname AS schema,
    p.proname AS name
FROM pg_catalog.pg_class AS v
INNER JOIN pg_catalog.pg_rewrite AS r ON v.oid = r.ev_class AND r.ev_type = '1'
INNER JOIN pg_catalog.pg_depend AS d ON r.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::regclass
LEFT JOIN pg_catalog.pg_operator AS o ON d.refclassid = 'pg_catalog.pg_operator'::regclass AND d.refobjid = o.oid
INNER JOIN pg_catalog.pg_proc AS p
    ON p.oid = CASE WHEN d.refclassid = 'pg_catalog.pg_proc'::regclass THEN d.refobjid ELSE o.oprcode::oid END
INNER JOIN pg_catalog.pg_namespace AS s ON p.pronamespace = s.oid
WHERE v.oid = any(%(oids)s::oid []) AND v.relkind = 'v' AND s.nspname <> 'pg_catalog'
ORDER BY 1, 2, 3

-- name: statistics
SELECT
    t.stxrelid::bigint AS oid,
    s.nspname || '.' || t.stxname AS name
FROM pg_catalog.pg_statistic_ext AS t
INNER JOIN pg_catalog.pg_namespace AS s ON t.stxnamespace = s.oid
WHERE t.stxrelid = any(%(oids)s::oid []) OR t.stxname = any(%(names)s::text [])
ORDER BY t.oid

-- name: statistics_tables
-- Tables of the statistics that statements name.
SELECT t.stxrelid::bigint AS oid
FROM pg_catalog.pg_statistic_ext AS t
WHERE t.stxname = any(%(names)s::text [])

-- name: missing
-- Names that no type, function or server of any schema has.
SELECT 'type ' || w AS name FROM unnest(%(types)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.typname = w)
UNION ALL
SELECT 'function ' || w FROM unnest(%(functions)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.proname = w)
UNION ALL
SELECT 'server ' || w FROM unnest(%(servers)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server AS f WHERE f.srvname = w)

-- name: absent
-- Names of roles, collations, servers, constraints and large objects that are nowhere.
SELECT 'role ' || w AS name FROM unnest(%(named_roles)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = w)
UNION ALL
SELECT 'collation ' || w FROM unnest(%(collations)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_collation AS c WHERE c.collname = w)
UNION ALL
SELECT 'server ' || w FROM unnest(%(servers)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server AS f WHERE f.srvname = w)
UNION ALL
SELECT 'constraint ' || w FROM unnest(%(constraints)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS c WHERE c.conname = w)
UNION ALL
SELECT 'large object ' || w FROM unnest(%(large_objects)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata AS l WHERE l.oid = w::oid)
UNION ALL
SELECT 'tablespace ' || w FROM unnest(%(tablespaces)s::text []) AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_tablespace AS t WHERE t.spcname = w)

-- name: publications
-- A table may be in one by name, or because the publication is for all.
SELECT
    p.pubname AS name,
    p.puballtables AS for_all,
    p.pubupdate OR p.pubdelete AS changes,
    r.prrelid::bigint AS oid
FROM pg_catalog.pg_publication AS p
LEFT JOIN pg_catalog.pg_publication_rel AS r ON p.oid = r.prpubid
WHERE p.puballtables OR r.prrelid = any(%(oids)s::oid []) OR p.pubname = any(%(names)s::text [])
ORDER BY p.pubname

-- name: published_schemas
-- PostgreSQL 15 and later: of all tables in them, also of those that will be.
SELECT
    n.nspname AS schema,
    p.pubname AS name,
    p.pubupdate OR p.pubdelete AS changes
FROM pg_catalog.pg_publication AS p
INNER JOIN pg_catalog.pg_publication_namespace AS s ON p.oid = s.pnpubid
INNER JOIN pg_catalog.pg_namespace AS n ON s.pnnspid = n.oid
ORDER BY n.nspname, p.pubname

-- name: publication_members
-- Tables of the publications that statements name.
SELECT r.prrelid::bigint AS oid
FROM pg_catalog.pg_publication AS p
INNER JOIN pg_catalog.pg_publication_rel AS r ON p.oid = r.prpubid
WHERE p.pubname = any(%(names)s::text [])

-- name: functions
-- Volatility by name, arguments and place on the search path: a volatile default rewrites the table.
SELECT
    p.proname AS name,
    s.nspname AS schema,
    p.oid::bigint AS oid,
    p.provolatile::text AS volatility,
    p.prokind::text AS kind,
    p.pronargs - p.pronargdefaults AS least,
    CASE WHEN p.provariadic <> 0 THEN 1000 ELSE p.pronargs END AS most,
    array_position(pg_catalog.current_schemas(true), s.nspname) AS position,
    l.lanname AS language,
    CASE
        WHEN l.lanname IN ('sql', 'plpgsql') AND s.nspname <> 'pg_catalog' AND p.prokind IN ('f', 'p')
            THEN pg_catalog.pg_get_functiondef(p.oid)
        ELSE ''
    END AS body,
    pg_catalog.pg_has_role(%(role)s, p.proowner, 'USAGE') AS owned,
    CASE
        WHEN s.nspname = 'pg_catalog' OR p.prokind NOT IN ('f', 'p', 'w') THEN '{}'
        ELSE
            CASE
                WHEN pg_catalog.pg_get_userbyid(p.proowner) <> %(role)s THEN ARRAY[format(
                    'ALTER ROUTINE %%s OWNER TO %%I', p.oid::regprocedure, pg_catalog.pg_get_userbyid(p.proowner)
                )]
                ELSE '{}'
            END
            || CASE
                WHEN p.proacl IS NOT NULL AND NOT EXISTS (
                    SELECT FROM pg_catalog.aclexplode(p.proacl) AS g WHERE g.grantee = 0
                ) THEN ARRAY[format('REVOKE EXECUTE ON ROUTINE %%s FROM PUBLIC', p.oid::regprocedure)]
                ELSE '{}'
            END
            || ARRAY(
                SELECT
                    format(
                        'GRANT EXECUTE ON ROUTINE %%s TO %%I%%s', p.oid::regprocedure,
                        pg_catalog.pg_get_userbyid(g.grantee),
                        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                    )
                FROM pg_catalog.aclexplode(p.proacl) AS g
                WHERE g.grantee NOT IN (0, p.proowner)
                ORDER BY g.grantee
            )
            || ARRAY(
                SELECT format('COMMENT ON ROUTINE %%s IS %%L', p.oid::regprocedure, b.description)
                FROM pg_catalog.pg_description AS b
                WHERE b.objoid = p.oid AND b.classoid = 'pg_catalog.pg_proc'::regclass AND b.objsubid = 0
            )
    END AS kept,
    ARRAY(
        SELECT ARRAY[m.nspname::text, q.proname::text]
        FROM pg_catalog.pg_aggregate AS g
        CROSS JOIN LATERAL (
            VALUES
            (g.aggtransfn::oid), (g.aggfinalfn::oid), (g.aggcombinefn::oid), (g.aggserialfn::oid),
            (g.aggdeserialfn::oid), (g.aggmtransfn::oid), (g.aggminvtransfn::oid), (g.aggmfinalfn::oid)
        ) AS f (oid)
        INNER JOIN pg_catalog.pg_proc AS q ON f.oid = q.oid
        INNER JOIN pg_catalog.pg_namespace AS m ON q.pronamespace = m.oid
        WHERE g.aggfnoid = p.oid AND s.nspname <> 'pg_catalog'
    ) AS parts,
    ARRAY(
        WITH reached AS (
            SELECT
                'pg_catalog.pg_proc'::regclass::oid AS classid,
                p.oid
            UNION ALL
            SELECT
                'pg_catalog.pg_operator'::regclass::oid,
                o.oid
            FROM pg_catalog.pg_operator AS o
            WHERE o.oprcode = p.oid
            UNION ALL
            SELECT
                'pg_catalog.pg_opclass'::regclass::oid,
                k.oid
            FROM pg_catalog.pg_amproc AS m
            INNER JOIN pg_catalog.pg_opclass AS k ON m.amprocfamily = k.opcfamily
            WHERE m.amproc = p.oid
        )

        SELECT u.what FROM (
            SELECT 'index ' || i.relnamespace::regnamespace || '.' || i.relname AS what
            FROM reached AS x
            INNER JOIN pg_catalog.pg_depend AS d ON x.classid = d.refclassid AND x.oid = d.refobjid
            INNER JOIN pg_catalog.pg_class AS i ON d.objid = i.oid
            WHERE
                d.classid = 'pg_catalog.pg_class'::regclass
                AND i.relkind IN ('i', 'I') AND NOT i.relispartition
            UNION
            -- Up to 14 what a generated column calls is the column's, and not its expression's.
            SELECT
                CASE WHEN a.attname IS NULL THEN 'partition key of ' ELSE 'generated column ' || a.attname || ' of ' END
                || c.relnamespace::regnamespace || '.' || c.relname
            FROM reached AS x
            INNER JOIN pg_catalog.pg_depend AS d ON x.classid = d.refclassid AND x.oid = d.refobjid
            INNER JOIN pg_catalog.pg_class AS c ON d.objid = c.oid
            LEFT JOIN pg_catalog.pg_attribute AS a ON d.objid = a.attrelid AND d.objsubid = a.attnum AND d.objsubid > 0
            WHERE
                d.classid = 'pg_catalog.pg_class'::regclass
                AND c.relkind IN ('r', 'p') AND (a.attgenerated = 's' OR a.attname IS NULL)
                AND NOT c.relispartition
            UNION
            SELECT
                'CHECK ' || k.conname || ' of ' || coalesce(
                    c.relnamespace::regnamespace || '.' || c.relname,
                    'domain ' || m.typnamespace::regnamespace || '.' || m.typname
                )
            FROM reached AS x
            INNER JOIN pg_catalog.pg_depend AS d ON x.classid = d.refclassid AND x.oid = d.refobjid
            INNER JOIN pg_catalog.pg_constraint AS k ON d.objid = k.oid
            LEFT JOIN pg_catalog.pg_class AS c ON k.conrelid = c.oid
            LEFT JOIN pg_catalog.pg_type AS m ON k.contypid = m.oid
            WHERE
                d.classid = 'pg_catalog.pg_constraint'::regclass
                AND k.contype = 'c' AND k.convalidated AND k.coninhcount = 0
            UNION
            SELECT 'generated column ' || a.attname || ' of ' || c.relnamespace::regnamespace || '.' || c.relname
            FROM reached AS x
            INNER JOIN pg_catalog.pg_depend AS d ON x.classid = d.refclassid AND x.oid = d.refobjid
            INNER JOIN pg_catalog.pg_attrdef AS g ON d.objid = g.oid
            INNER JOIN pg_catalog.pg_attribute AS a ON g.adrelid = a.attrelid AND g.adnum = a.attnum
            INNER JOIN pg_catalog.pg_class AS c ON a.attrelid = c.oid
            WHERE
                d.classid = 'pg_catalog.pg_attrdef'::regclass
                AND a.attgenerated = 's' AND NOT c.relispartition
            UNION
            SELECT 'materialized view ' || c.relnamespace::regnamespace || '.' || c.relname
            FROM reached AS x
            INNER JOIN pg_catalog.pg_depend AS d ON x.classid = d.refclassid AND x.oid = d.refobjid
            INNER JOIN pg_catalog.pg_rewrite AS r ON d.objid = r.oid
            INNER JOIN pg_catalog.pg_class AS c ON r.ev_class = c.oid
            WHERE
                d.classid = 'pg_catalog.pg_rewrite'::regclass
                AND c.relkind = 'm' AND c.relispopulated
        ) AS u
        WHERE s.nspname <> 'pg_catalog'
        ORDER BY u.what
    ) AS restored,
    ARRAY(
        SELECT DISTINCT u.what
        FROM (
            SELECT
                d.classid,
                d.objid
            FROM (
                SELECT
                    'pg_catalog.pg_proc'::regclass::oid AS classid,
                    p.oid
                UNION ALL
                SELECT
                    'pg_catalog.pg_operator'::regclass::oid,
                    o.oid
                FROM pg_catalog.pg_operator AS o
                WHERE o.oprcode = p.oid
            ) AS r
            INNER JOIN pg_catalog.pg_depend AS d ON r.classid = d.refclassid AND r.oid = d.refobjid
        ) AS x
        CROSS JOIN LATERAL (
            SELECT 'trigger ' || t.tgname || ' of ' || t.tgrelid::regclass AS what
            FROM pg_catalog.pg_trigger AS t
            WHERE x.classid = 'pg_catalog.pg_trigger'::regclass AND x.objid = t.oid
            UNION ALL
            SELECT 'event trigger ' || t.evtname
            FROM pg_catalog.pg_event_trigger AS t
            WHERE x.classid = 'pg_catalog.pg_event_trigger'::regclass AND x.objid = t.oid
            UNION ALL
            SELECT 'policy ' || l.polname || ' of ' || l.polrelid::regclass
            FROM pg_catalog.pg_policy AS l
            WHERE x.classid = 'pg_catalog.pg_policy'::regclass AND x.objid = l.oid
            UNION ALL
            SELECT 'a default of ' || f.adrelid::regclass
            FROM pg_catalog.pg_attrdef AS f
            WHERE x.classid = 'pg_catalog.pg_attrdef'::regclass AND x.objid = f.oid
            UNION ALL
            SELECT 'a CHECK of ' || coalesce(nullif(k.conrelid, 0)::regclass::text, k.contypid::regtype::text)
            FROM pg_catalog.pg_constraint AS k
            WHERE x.classid = 'pg_catalog.pg_constraint'::regclass AND x.objid = k.oid
            UNION ALL
            SELECT CASE r.rulename WHEN '_RETURN' THEN '' ELSE 'rule ' || r.rulename || ' of ' END || r.ev_class::regclass
            FROM pg_catalog.pg_rewrite AS r
            WHERE x.classid = 'pg_catalog.pg_rewrite'::regclass AND x.objid = r.oid
        ) AS u
        WHERE s.nspname <> 'pg_catalog'
        ORDER BY u.what
    ) AS used,
    ARRAY(
        SELECT pg_catalog.format_type(t.oid, null)
        FROM unnest(p.proargtypes::oid []) WITH ORDINALITY AS t (oid, position)
        ORDER BY t.position
    ) AS arguments
FROM pg_catalog.pg_proc AS p
INNER JOIN pg_catalog.pg_namespace AS s ON p.pronamespace = s.oid
INNER JOIN pg_catalog.pg_language AS l ON p.prolang = l.oid
WHERE p.proname = any(%(names)s::text [])
ORDER BY array_position(pg_catalog.current_schemas(true), s.nspname) NULLS LAST, p.oid

-- name: types
-- Types outside pg_catalog, and the tables that have columns of them, however deep inside arrays, domains, composites.
WITH RECURSIVE wanted AS (
    SELECT t.oid FROM pg_catalog.pg_type AS t WHERE t.typname = any(%(names)s::text []) AND t.typtype IN ('c', 'd', 'e', 'r', 'b', 'm')
    AND t.typnamespace <> 11 AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
    AND t.typelem = 0
),
made_of AS (
    SELECT
        w.oid AS root,
        w.oid
    FROM wanted AS w
    UNION
    SELECT
        m.root,
        next.oid
    FROM made_of AS m
    CROSS JOIN LATERAL (
        SELECT t.oid FROM pg_catalog.pg_depend AS d INNER JOIN pg_catalog.pg_type AS t ON d.objid = t.oid
        WHERE
            d.classid = 'pg_catalog.pg_type'::regclass AND d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = m.oid
            AND (t.typbasetype = m.oid OR t.typelem = m.oid)
        UNION ALL
        SELECT t.oid FROM pg_catalog.pg_depend AS d INNER JOIN pg_catalog.pg_class AS c ON d.objid = c.oid AND c.relkind = 'c'
        INNER JOIN pg_catalog.pg_type AS t ON c.reltype = t.oid
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = m.oid
    ) AS next
)
SELECT
    t.oid::bigint AS oid,
    s.nspname AS schema,
    t.typname AS name,
    t.typtype::text AS kind,
    t.typnotnull AS not_null,
    pg_catalog.pg_get_expr(t.typdefaultbin, 0) AS default_text,
    CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) ELSE '' END AS base,
    CASE WHEN t.typtype = 'd' THEN (
        WITH RECURSIVE bottom AS (
            SELECT
                t.typbasetype AS oid,
                t.typtypmod AS mod
            UNION ALL
            SELECT
                b.typbasetype,
                b.typtypmod
            FROM bottom AS l INNER JOIN pg_catalog.pg_type AS b ON l.oid = b.oid
            WHERE b.typtype = 'd'
        )
        SELECT pg_catalog.format_type(l.oid, l.mod)
        FROM bottom AS l INNER JOIN pg_catalog.pg_type AS b ON l.oid = b.oid
        WHERE b.typtype <> 'd'
    ) ELSE '' END AS bottom,
    EXISTS (
        WITH RECURSIVE below AS (
            SELECT t.typbasetype AS oid
            UNION
            SELECT b.typbasetype FROM below AS l INNER JOIN pg_catalog.pg_type AS b ON l.oid = b.oid
        )
        SELECT FROM below AS l
        INNER JOIN pg_catalog.pg_type AS b ON l.oid = b.oid
        LEFT JOIN pg_catalog.pg_constraint AS con ON b.oid = con.contypid
        WHERE b.typtype = 'd' AND (b.typnotnull OR con.oid IS NOT null)
    ) AS checked_below,
    array_position(pg_catalog.current_schemas(true), s.nspname) AS position,
    pg_catalog.pg_has_role(%(role)s, t.typowner, 'USAGE') AS owned,
    ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
    ARRAY(
        SELECT DISTINCT a.attrelid::bigint
        FROM made_of AS m
        INNER JOIN pg_catalog.pg_depend AS d
            ON m.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_type'::regclass
            AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objsubid > 0
        INNER JOIN pg_catalog.pg_attribute AS a ON d.objid = a.attrelid AND d.objsubid = a.attnum AND m.oid = a.atttypid
        INNER JOIN pg_catalog.pg_class AS c ON a.attrelid = c.oid
        WHERE m.root = t.oid AND c.relkind IN ('r', 'm') AND NOT a.attisdropped
    ) AS tables,
    t.typtype = 'd' AND EXISTS (
        SELECT FROM made_of AS m
        INNER JOIN pg_catalog.pg_type AS b ON m.oid = b.oid AND b.typtype <> 'd'
        INNER JOIN pg_catalog.pg_depend AS d
            ON m.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_type'::regclass
            AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objsubid > 0
        INNER JOIN pg_catalog.pg_class AS c ON d.objid = c.oid
        WHERE m.root = t.oid AND c.relkind IN ('r', 'm', 'p')
    ) AS contained,
    ARRAY(SELECT c.oid::bigint FROM pg_catalog.pg_class AS c WHERE t.typtype = 'c' AND c.reloftype = t.oid) AS typed_tables,
    ARRAY(
        SELECT DISTINCT n.nspname || '.' || y.typname
        FROM parts AS p
        INNER JOIN pg_catalog.pg_type AS l ON p.part = l.oid
        INNER JOIN pg_catalog.pg_type AS y ON y.oid = CASE WHEN l.typelem <> 0 THEN l.typelem ELSE l.oid END
        INNER JOIN pg_catalog.pg_namespace AS n ON y.typnamespace = n.oid
        WHERE p.whole = t.oid
        ORDER BY 1
    ) AS parts
FROM wanted AS w
INNER JOIN pg_catalog.pg_type AS t ON w.oid = t.oid
INNER JOIN pg_catalog.pg_namespace AS s ON t.typnamespace = s.oid
ORDER BY array_position(pg_catalog.current_schemas(true), s.nspname) NULLS LAST

-- name: domain_constraints
SELECT
    con.contypid::bigint AS oid,
    con.conname AS name,
    con.contype::text AS kind,
    con.convalidated AS validated,
    pg_catalog.pg_get_constraintdef(con.oid) AS definition
FROM pg_catalog.pg_constraint AS con
WHERE con.contypid = any(%(oids)s::oid [])
ORDER BY con.contypid, con.conname

-- name: schemas
SELECT
    s.nspname AS name,
    pg_catalog.pg_has_role(%(role)s, s.nspowner, 'USAGE') AS owned,
    pg_catalog.has_schema_privilege(%(role)s, s.oid, 'CREATE') AS may_create,
    pg_catalog.has_schema_privilege(%(role)s, s.oid, 'USAGE') AS may_use,
    -- Superusers may everywhere, whatever is granted.
    EXISTS (
        SELECT FROM pg_catalog.aclexplode(s.nspacl) AS a
        LEFT JOIN pg_catalog.pg_roles AS r ON a.grantee = r.oid
        WHERE a.privilege_type = 'CREATE' AND a.grantee <> s.nspowner AND NOT coalesce(r.rolsuper, false)
    ) AS others_create
FROM pg_catalog.pg_namespace AS s
WHERE s.nspname = any(%(names)s::text [])

-- name: extensions
SELECT
    w.name,
    e.extversion AS installed,
    coalesce(pg_catalog.pg_has_role(%(role)s, e.extowner, 'USAGE'), true) AS owned,
    EXISTS (SELECT FROM pg_catalog.pg_available_extensions AS a WHERE a.name = w.name) AS available,
    ARRAY(SELECT v.version FROM pg_catalog.pg_available_extension_versions AS v WHERE v.name = w.name) AS versions
FROM unnest(%(names)s::text []) AS w (name)
LEFT JOIN pg_catalog.pg_extension AS e ON w.name = e.extname
