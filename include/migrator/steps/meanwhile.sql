-- What others have changed since the gates were asked that a migration's statements may run without naming it. Each change
-- makes a new row of the catalog, also one that puts things back.

-- name: now
SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text AS oldest;

-- name: relations
-- Many rows of pg_class are written anew by what changes nothing here, such as TRUNCATE.
SELECT
    c.oid::bigint AS relation,
    pg_catalog.md5(ROW(
        c.relname, c.relnamespace, c.relowner, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relispartition,
        c.reloptions, c.relacl
    )::text) AS content
FROM pg_catalog.pg_class AS c
WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c');

-- name: lockable
-- Tables that LOCK TABLE takes, in one order for all steps. Those that a transaction has made itself nobody else sees.
SELECT
    pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS name,
    m.mode
FROM (
    SELECT
        pg_catalog.unnest(%(relations)s::text[]) AS relation,
        pg_catalog.unnest(%(modes)s::text[]) AS mode
) AS m
CROSS JOIN pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.relkind IN ('r', 'p') AND m.relation = n.nspname::text || '.' || c.relname::text
ORDER BY c.oid, m.mode;

-- name: lock_timeout
-- In milliseconds.
SELECT s.setting::integer AS lock_timeout
FROM pg_catalog.pg_settings AS s
WHERE s.name = 'lock_timeout';

-- name: told
-- As a person calls it; what is gone by now is called by its kind.
SELECT
    CASE m.catalog
        WHEN 'pg_attribute' THEN 'columns of '
        WHEN 'pg_auth_members' THEN 'memberships of '
        WHEN 'pg_db_role_setting' THEN 'settings of '
        WHEN 'pg_enum' THEN 'labels of '
        WHEN 'pg_inherits' THEN 'place of '
        WHEN 'pg_ts_config_map' THEN 'mapping of '
        ELSE ''
    END || coalesce(
        pg_catalog.pg_describe_object(m.class::bigint::pg_catalog.oid, m.object::bigint::pg_catalog.oid, 0),
        'something in ' || m.catalog
    ) AS what
FROM (
    SELECT
        pg_catalog.unnest(%(catalogs)s::text[]) AS catalog,
        pg_catalog.unnest(%(classes)s::bigint[]) AS class,
        pg_catalog.unnest(%(objects)s::bigint[]) AS object
) AS m
ORDER BY what;

-- name: written
-- Rows of transactions that had not ended, or not begun, when the oldest one was the oldest, as the session that asks sees
-- them. Which of them were there already is remembered: a snapshot does not list sub-transactions, and takes those that
-- are under way for ended. Numbers of transactions come round: age() counts from the last one there is. Temporary tables
-- run nothing of others. Of what no row's writer may be read, the content is compared. And how many rows there are, since
-- nothing is left of one that was dropped.
WITH RECURSIVE mine AS (
    SELECT r.oid
    FROM pg_catalog.pg_roles AS r
    WHERE r.rolname = SESSION_USER
    UNION
    SELECT m.roleid
    FROM mine
    INNER JOIN pg_catalog.pg_auth_members AS m ON mine.oid = m.member
),

-- And whose rights are taken here: of owners of views and of functions.
roles AS MATERIALIZED (
    SELECT mine.oid FROM mine
    UNION
    SELECT s.refobjid
    FROM pg_catalog.pg_shdepend AS s
    WHERE
        s.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
        AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.deptype = 'o'
),

passing AS MATERIALIZED (
    SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.relpersistence = 't'
),

passing_schemas AS MATERIALIZED (
    SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname ~ '^pg_(temp|toast)'
),

composite AS MATERIALIZED (
    SELECT c.oid, c.reltype
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind = 'c' AND c.relnamespace NOT IN (SELECT oid FROM passing_schemas)
),

with_columns AS MATERIALIZED (
    SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
),

made AS (
    SELECT tableoid AS catalog, oid AS object, NULL::pg_catalog.oid AS class, xmin AS writer
    FROM pg_catalog.pg_namespace
    WHERE oid NOT IN (SELECT oid FROM passing_schemas)
    UNION ALL
    SELECT tableoid, oid, NULL, xmin
    FROM pg_catalog.pg_proc
    WHERE pronamespace NOT IN (SELECT oid FROM passing_schemas)
    UNION ALL
    SELECT tableoid, aggfnoid, 'pg_catalog.pg_proc'::pg_catalog.regclass, xmin FROM pg_catalog.pg_aggregate
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_operator
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_opclass
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_opfamily
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_amop
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_amproc
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_am
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_cast
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_transform
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_language
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_extension
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_event_trigger
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_collation
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_conversion
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_ts_parser
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_ts_template
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_ts_dict
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_ts_config
    UNION ALL
    SELECT tableoid, mapcfg, 'pg_catalog.pg_ts_config'::pg_catalog.regclass, xmin FROM pg_catalog.pg_ts_config_map
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_foreign_server
    UNION ALL
    SELECT tableoid, ftrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, xmin FROM pg_catalog.pg_foreign_table
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_default_acl
    UNION ALL
    SELECT tableoid, oid, NULL, xmin
    FROM pg_catalog.pg_type
    WHERE typnamespace NOT IN (SELECT oid FROM passing_schemas)
    UNION ALL
    SELECT tableoid, enumtypid, 'pg_catalog.pg_type'::pg_catalog.regclass, xmin FROM pg_catalog.pg_enum
    UNION ALL
    SELECT tableoid, rngtypid, 'pg_catalog.pg_type'::pg_catalog.regclass, xmin FROM pg_catalog.pg_range
    UNION ALL
    SELECT tableoid, oid, NULL, xmin
    FROM pg_catalog.pg_constraint
    WHERE conrelid NOT IN (SELECT oid FROM passing) AND connamespace NOT IN (SELECT oid FROM passing_schemas)
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_trigger WHERE tgrelid NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_rewrite WHERE ev_class NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_policy WHERE polrelid NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, oid, NULL, xmin FROM pg_catalog.pg_attrdef WHERE adrelid NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, oid, NULL, xmin
    FROM pg_catalog.pg_statistic_ext
    WHERE stxrelid NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, indexrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, xmin
    FROM pg_catalog.pg_index
    WHERE indrelid NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, inhrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, xmin
    FROM pg_catalog.pg_inherits
    WHERE inhrelid NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, partrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, xmin
    FROM pg_catalog.pg_partitioned_table
    WHERE partrelid NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, seqrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, xmin
    FROM pg_catalog.pg_sequence
    WHERE seqrelid NOT IN (SELECT oid FROM passing)
    UNION ALL
    SELECT tableoid, oid, NULL, xmin
    FROM pg_catalog.pg_class
    WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND relpersistence <> 't'
    UNION ALL
    SELECT tableoid, oid, NULL, xmin
    FROM pg_catalog.pg_database
    WHERE datname = pg_catalog.current_database()
    UNION ALL
    SELECT tableoid, member, 'pg_catalog.pg_authid'::pg_catalog.regclass, xmin
    FROM pg_catalog.pg_auth_members
    WHERE member IN (SELECT oid FROM roles)
    UNION ALL
    SELECT s.tableoid, s.setrole, 'pg_catalog.pg_authid'::pg_catalog.regclass, s.xmin
    FROM pg_catalog.pg_db_role_setting AS s
    INNER JOIN pg_catalog.pg_database AS d ON s.setdatabase IN (0, d.oid)
    WHERE d.datname = pg_catalog.current_database() AND (s.setrole = 0 OR s.setrole IN (SELECT oid FROM mine))
    UNION ALL
    -- What a composite type consists of.
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, c.reltype, 'pg_catalog.pg_type'::pg_catalog.regclass, a.xmin
    FROM composite AS c
    INNER JOIN pg_catalog.pg_attribute AS a ON c.oid = a.attrelid
    WHERE a.attnum > 0
    UNION ALL
    -- Not counted: none goes but with its table.
    SELECT tableoid, attrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, xmin
    FROM pg_catalog.pg_attribute
    WHERE attnum > 0 AND attrelid IN (SELECT oid FROM with_columns)
),

-- Each catalog is read once: what is new, and what is counted.
found AS MATERIALIZED (
    SELECT
        m.catalog,
        m.class,
        m.object,
        m.writer,
        pg_catalog.age(m.writer) <= pg_catalog.age(%(oldest)s::text::pg_catalog.xid8::pg_catalog.xid) AS is_new
    FROM made AS m
    WHERE
        pg_catalog.age(m.writer) <= pg_catalog.age(%(oldest)s::text::pg_catalog.xid8::pg_catalog.xid)
        OR (m.catalog <> 'pg_catalog.pg_attribute'::pg_catalog.regclass AND (m.object >= 16384 OR m.object = 0))
)

SELECT
    f.catalog::pg_catalog.regclass::text AS catalog,
    coalesce(f.class, f.catalog)::bigint AS class,
    f.object::bigint,
    f.writer::text AS writer
FROM found AS f
WHERE f.is_new
UNION ALL
SELECT
    'pg_authid', 'pg_catalog.pg_authid'::pg_catalog.regclass::bigint, r.oid::bigint,
    pg_catalog.md5(ROW(r.rolname, r.rolsuper, r.rolinherit, r.rolbypassrls)::text)
FROM pg_catalog.pg_roles AS r
WHERE r.oid IN (SELECT oid FROM roles)
UNION ALL
SELECT
    'pg_user_mapping', 'pg_catalog.pg_user_mapping'::pg_catalog.regclass::bigint, u.umid::bigint,
    pg_catalog.md5(ROW(u.srvid, u.umuser, u.umoptions)::text)
FROM pg_catalog.pg_user_mappings AS u
UNION ALL
SELECT f.catalog::pg_catalog.regclass::text, NULL, NULL, pg_catalog.count(*)::text
FROM found AS f
WHERE f.catalog <> 'pg_catalog.pg_attribute'::pg_catalog.regclass AND (f.object >= 16384 OR f.object = 0)
GROUP BY f.catalog
UNION ALL
SELECT 'pg_user_mapping', NULL, NULL, pg_catalog.count(*)::text FROM pg_catalog.pg_user_mappings;
