-- name: shape
-- Everything that lies in the ledger's schema, and what reaches into it from elsewhere, one line each. In words that are
-- the same on every major, for any name of the schema and any owner. Catalog only; search_path must be pg_catalog, so
-- that definitions are printed qualified.
WITH ledger AS (
    SELECT
        n.oid,
        n.nspname,
        n.nspowner,
        n.nspacl,
        pg_catalog.quote_ident(n.nspname) || '.' AS prefix
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname = %(schema)s
),

relations AS MATERIALIZED (
    SELECT
        c.oid,
        c.relname,
        c.relkind,
        c.relowner,
        c.relacl,
        c.relpersistence,
        c.relrowsecurity,
        c.relforcerowsecurity,
        l.prefix
    FROM pg_catalog.pg_class AS c
    INNER JOIN ledger AS l ON c.relnamespace = l.oid
),

owner AS (
    SELECT relowner AS oid FROM relations WHERE relname = 'ledger_identity'
),

functions AS (
    SELECT
        p.*,
        l.prefix
    FROM pg_catalog.pg_proc AS p
    INNER JOIN ledger AS l ON p.pronamespace = l.oid
),

types AS MATERIALIZED (
    SELECT
        t.oid,
        t.typname,
        t.typtype,
        t.typowner,
        t.typrelid,
        t.typelem
    FROM pg_catalog.pg_type AS t
    INNER JOIN ledger AS l ON t.typnamespace = l.oid
),

granted AS (
    SELECT
        'schema' AS on_what,
        a.grantee,
        a.privilege_type
    FROM ledger AS l, pg_catalog.aclexplode(l.nspacl) AS a
    UNION ALL
    SELECT
        r.relname::text,
        a.grantee,
        a.privilege_type
    FROM relations AS r, pg_catalog.aclexplode(r.relacl) AS a
    UNION ALL
    SELECT
        pg_catalog.concat(r.relname, '.', t.attname),
        a.grantee,
        a.privilege_type
    FROM relations AS r
    INNER JOIN pg_catalog.pg_attribute AS t ON r.oid = t.attrelid, pg_catalog.aclexplode(t.attacl) AS a
    UNION ALL
    SELECT
        'whatever is made there',
        a.grantee,
        a.privilege_type
    FROM ledger AS l
    INNER JOIN pg_catalog.pg_default_acl AS d ON l.oid = d.defaclnamespace, pg_catalog.aclexplode(d.defaclacl) AS a
),

-- What PostgreSQL itself knows to depend on a relation or type of the ledger.
dependents AS (
    SELECT DISTINCT
        d.classid,
        d.objid
    FROM pg_catalog.pg_depend AS d
    WHERE
        (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid IN (SELECT r.oid FROM relations AS r))
        OR (d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN (SELECT t.oid FROM types AS t))
),

lines (kind, name, text) AS (
    SELECT
        'relation',
        r.relname::text,
        pg_catalog.format(
            'kind %%s, persistence %%s, row security %%s, forced %%s',
            r.relkind, r.relpersistence, r.relrowsecurity, r.relforcerowsecurity
        )
    FROM relations AS r
    WHERE r.relkind NOT IN ('i', 'I')
    UNION ALL
    SELECT
        'owner',
        r.relname::text,
        'another one than the ledger''s'
    FROM relations AS r
    WHERE r.relowner <> (SELECT o.oid FROM owner AS o)
    UNION ALL
    SELECT
        'owner',
        f.proname::text,
        'another one than the ledger''s'
    FROM functions AS f
    WHERE f.proowner <> (SELECT o.oid FROM owner AS o)
    UNION ALL
    -- An administrator may have made the schema. Whoever owns it can drop it.
    SELECT
        'owner',
        'schema',
        'neither the ledger''s, nor the database''s, nor a superuser'
    FROM ledger AS l
    INNER JOIN pg_catalog.pg_roles AS o ON l.nspowner = o.oid
    WHERE
        NOT o.rolsuper
        AND l.nspowner <> (SELECT w.oid FROM owner AS w)
        AND l.nspowner <> (SELECT d.datdba FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
    UNION ALL
    SELECT
        'column',
        pg_catalog.concat(r.relname, '.', a.attname),
        pg_catalog.concat_ws(
            ' ',
            pg_catalog.format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'not null' END,
            'default ' || pg_catalog.replace(pg_catalog.pg_get_expr(d.adbin, d.adrelid), r.prefix, '{schema}.'),
            CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END,
            CASE WHEN a.attgenerated <> '' THEN 'generated ' || a.attgenerated::text END,
            CASE WHEN a.attcollation NOT IN (0, 100) THEN 'collation ' || a.attcollation::text END
        )
    FROM relations AS r
    INNER JOIN pg_catalog.pg_attribute AS a ON r.oid = a.attrelid
    LEFT JOIN pg_catalog.pg_attrdef AS d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    -- NOT NULL is a constraint of its own from 18 on; the column says it on all of them.
    SELECT
        'constraint',
        pg_catalog.concat(r.relname, '.', c.conname),
        pg_catalog.concat_ws(
            ' ',
            pg_catalog.replace(pg_catalog.pg_get_constraintdef(c.oid), r.prefix, '{schema}.'),
            CASE WHEN NOT c.convalidated THEN '(not validated)' END
        )
    FROM relations AS r
    INNER JOIN pg_catalog.pg_constraint AS c ON r.oid = c.conrelid
    WHERE c.contype NOT IN ('n', 't')
    UNION ALL
    SELECT
        'index',
        pg_catalog.concat(r.relname, '.', x.relname),
        pg_catalog.concat_ws(
            ' ',
            pg_catalog.replace(pg_catalog.pg_get_indexdef(i.indexrelid), r.prefix, '{schema}.'),
            CASE WHEN NOT (i.indisvalid AND i.indisready AND i.indislive) THEN '(invalid)' END,
            CASE WHEN NOT i.indimmediate THEN '(deferred)' END
        )
    FROM relations AS r
    INNER JOIN pg_catalog.pg_index AS i ON r.oid = i.indrelid
    INNER JOIN pg_catalog.pg_class AS x ON i.indexrelid = x.oid
    WHERE r.relkind <> 't'
    UNION ALL
    SELECT
        'trigger',
        pg_catalog.concat(r.relname, '.', t.tgname),
        pg_catalog.concat_ws(
            ' ',
            pg_catalog.replace(pg_catalog.pg_get_triggerdef(t.oid), r.prefix, '{schema}.'),
            'enabled',
            t.tgenabled
        )
    FROM relations AS r
    INNER JOIN pg_catalog.pg_trigger AS t ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal
    UNION ALL
    -- The server's own, of foreign keys: their names hold oids, so the constraint's stands for them.
    SELECT
        'check of a foreign key',
        pg_catalog.concat(r.relname, '.', c.conname),
        pg_catalog.concat_ws(' ', p.proname, 'enabled', t.tgenabled)
    FROM relations AS r
    INNER JOIN pg_catalog.pg_trigger AS t ON r.oid = t.tgrelid
    INNER JOIN pg_catalog.pg_proc AS p ON t.tgfoid = p.oid
    LEFT JOIN pg_catalog.pg_constraint AS c ON t.tgconstraint = c.oid
    WHERE t.tgisinternal
    UNION ALL
    SELECT
        'rule',
        pg_catalog.concat(r.relname, '.', w.rulename),
        pg_catalog.concat_ws(' ', pg_catalog.pg_get_ruledef(w.oid), 'enabled', w.ev_enabled)
    FROM relations AS r
    INNER JOIN pg_catalog.pg_rewrite AS w ON r.oid = w.ev_class
    UNION ALL
    SELECT
        'policy',
        pg_catalog.concat(r.relname, '.', p.polname),
        'rows that some do not see'
    FROM relations AS r
    INNER JOIN pg_catalog.pg_policy AS p ON r.oid = p.polrelid
    UNION ALL
    SELECT
        'sequence',
        r.relname::text,
        pg_catalog.format(
            '%%s from %%s by %%s, %%s to %%s, cycle %%s',
            pg_catalog.format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle
        )
    FROM relations AS r
    INNER JOIN pg_catalog.pg_sequence AS s ON r.oid = s.seqrelid
    UNION ALL
    SELECT
        'function',
        pg_catalog.format('%%s(%%s)', f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid)),
        pg_catalog.concat_ws(
            ' ',
            pg_catalog.format_type(f.prorettype, NULL),
            a.lanname,
            'kind',
            f.prokind,
            'volatility',
            f.provolatile,
            CASE WHEN f.prosecdef THEN 'security definer' END,
            CASE WHEN f.proleakproof THEN 'leakproof' END,
            pg_catalog.array_to_string(f.proconfig, ', '),
            'body',
            pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(f.prosrc, 'UTF8')), 'hex')
        )
    FROM functions AS f
    INNER JOIN pg_catalog.pg_language AS a ON f.prolang = a.oid
    UNION ALL
    -- Types of their own; each table has a type of its rows, and each of those one of arrays.
    SELECT
        'type',
        t.typname::text,
        'kind ' || t.typtype::text
    FROM types AS t
    WHERE NOT (t.typrelid <> 0 OR t.typelem IN (SELECT o.oid FROM types AS o))
    UNION ALL
    -- Reading changes nothing. Whoever may do more may write a review.
    SELECT
        'grant',
        g.on_what,
        pg_catalog.format(
            '%%s to %%s',
            g.privilege_type,
            CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(g.grantee)::text END
        )
    FROM granted AS g
    WHERE
        g.privilege_type NOT IN ('SELECT', 'USAGE', 'EXECUTE')
        AND g.grantee <> coalesce((SELECT o.oid FROM owner AS o), 0)
        AND NOT (
            g.on_what = 'schema'
            AND g.grantee = (SELECT l.nspowner FROM ledger AS l)
        )
    UNION ALL
    SELECT
        'child',
        pg_catalog.concat(p.relname, ' < ', pg_catalog.format('%%I.%%I', n.nspname, c.relname)),
        'its rows count as the ledger''s'
    FROM relations AS p
    INNER JOIN pg_catalog.pg_inherits AS i ON p.oid = i.inhparent
    INNER JOIN pg_catalog.pg_class AS c ON i.inhrelid = c.oid
    INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
    WHERE p.relkind <> 'i'
    UNION ALL
    SELECT
        'parent',
        r.relname::text,
        'its rows count as another table''s'
    FROM relations AS r
    INNER JOIN pg_catalog.pg_inherits AS i ON r.oid = i.inhrelid
    WHERE r.relkind <> 'i'
    UNION ALL
    -- Views and rules elsewhere: what can be written through them; reading through one changes nothing.
    SELECT
        'way in',
        pg_catalog.pg_describe_object(d.classid, d.objid, 0),
        'writes to the ledger'
    FROM dependents AS d
    INNER JOIN pg_catalog.pg_rewrite AS w ON d.objid = w.oid
    INNER JOIN pg_catalog.pg_class AS v ON w.ev_class = v.oid
    WHERE
        d.classid = 'pg_catalog.pg_rewrite'::regclass
        AND v.oid NOT IN (SELECT r.oid FROM relations AS r)
        AND (
            v.relkind NOT IN ('v', 'm')
            OR w.ev_type <> '1'
            OR pg_catalog.pg_relation_is_updatable(v.oid, true) & 28 <> 0
        )
    UNION ALL
    -- The rest that leans on it from elsewhere: foreign keys, functions with a parsed body, casts, statistics, columns of
    -- its types. A publication only reads.
    SELECT
        'elsewhere',
        pg_catalog.pg_describe_object(d.classid, d.objid, 0),
        'depends on the ledger'
    FROM dependents AS d
    WHERE
        d.classid NOT IN (
            'pg_catalog.pg_rewrite'::regclass,
            'pg_catalog.pg_attrdef'::regclass,
            'pg_catalog.pg_publication_rel'::regclass,
            'pg_catalog.pg_trigger'::regclass,
            'pg_catalog.pg_policy'::regclass
        )
        AND NOT (d.classid = 'pg_catalog.pg_type'::regclass AND d.objid IN (SELECT t.oid FROM types AS t))
        AND NOT (
            d.classid = 'pg_catalog.pg_class'::regclass
            AND (
                d.objid IN (SELECT r.oid FROM relations AS r)
                OR EXISTS (SELECT 1 FROM pg_catalog.pg_class AS t WHERE t.oid = d.objid AND t.relkind = 't')
                OR EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = d.objid)
            )
        )
        AND NOT (
            d.classid = 'pg_catalog.pg_constraint'::regclass
            AND EXISTS (
                SELECT 1
                FROM pg_catalog.pg_constraint AS c
                WHERE c.oid = d.objid AND c.conrelid IN (SELECT r.oid FROM relations AS r)
            )
        )
    UNION ALL
    -- Operators, collations, extensions, ... that lie in the schema itself. What is in it of these kinds is told above.
    SELECT
        'object',
        pg_catalog.pg_describe_object(d.classid, d.objid, 0),
        'lies in the ledger''s schema'
    FROM pg_catalog.pg_depend AS d
    INNER JOIN ledger AS l ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = l.oid
    WHERE
        d.classid NOT IN (
            'pg_catalog.pg_class'::regclass,
            'pg_catalog.pg_type'::regclass,
            'pg_catalog.pg_proc'::regclass,
            'pg_catalog.pg_default_acl'::regclass
        )
        AND pg_catalog.pg_describe_object(d.classid, d.objid, 0) NOT LIKE 'publication %%'
    UNION ALL
    SELECT
        'event trigger',
        e.evtname::text,
        'its function names the ledger'
    FROM pg_catalog.pg_event_trigger AS e
    INNER JOIN pg_catalog.pg_proc AS p ON e.evtfoid = p.oid
    CROSS JOIN ledger AS l
    WHERE
        e.evtenabled <> 'D'
        AND (
            pg_catalog.strpos(p.prosrc, l.prefix) > 0
            OR pg_catalog.strpos(p.prosrc, '"' || l.nspname::text || '".') > 0
            OR pg_catalog.strpos(p.prosrc, 'schema_migration_') > 0
            OR pg_catalog.strpos(p.prosrc, 'ledger_identity') > 0
        )
    UNION ALL
    SELECT
        'subscription',
        r.relname::text,
        'rows come from another server'
    FROM relations AS r
    INNER JOIN pg_catalog.pg_subscription_rel AS s ON r.oid = s.srrelid
    UNION ALL
    SELECT
        'security label',
        r.relname::text,
        s.provider
    FROM relations AS r
    INNER JOIN pg_catalog.pg_seclabel AS s ON s.classoid = 'pg_catalog.pg_class'::regclass AND r.oid = s.objoid
)

SELECT
    l.kind,
    l.name,
    l.text
FROM lines AS l
ORDER BY l.kind COLLATE "C", l.name COLLATE "C", l.text COLLATE "C";

-- name: locked
-- What this very transaction has locked of the ledger more strongly than reading does: nobody can write a row, take a
-- guard off or truncate without, and the lock stays until the end.
SELECT
    c.relname AS name,
    l.mode
FROM pg_catalog.pg_locks AS l
INNER JOIN pg_catalog.pg_class AS c ON l.relation = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    n.nspname = %(schema)s
    AND l.locktype = 'relation'
    AND l.pid = pg_catalog.pg_backend_pid()
    AND l.granted
    AND l.mode <> 'AccessShareLock'
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
ORDER BY c.relname, l.mode;

-- name: relations
-- Cheaper than their shape.
SELECT c.relname AS name
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = %(schema)s;

-- name: is_light
-- Whether this very transaction has written to no catalog, by its own counters, which nobody else can reset, and no trigger
-- may wait for its COMMIT. Whose trigger that is does not matter: PostgreSQL's own evaluate expressions and operators of
-- anybody. It can wait only where a row was written, and there nobody makes one deferrable until this transaction ends.
SELECT
    pg_catalog.current_setting('track_counts')::pg_catalog.bool
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_stat_xact_sys_tables
        WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
    )
    AND NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_trigger AS t
        INNER JOIN pg_catalog.pg_locks AS l ON t.tgrelid = l.relation
        WHERE
            t.tgdeferrable
            AND l.locktype = 'relation'
            AND l.pid = pg_catalog.pg_backend_pid()
            AND l.mode <> 'AccessShareLock'
    ) AS found;

-- name: held_cursors
-- The query of a cursor WITH HOLD runs to its end at COMMIT, after everything was looked at.
SELECT c.name
FROM pg_catalog.pg_cursors AS c
WHERE c.is_holdable AND c.creation_time >= pg_catalog.transaction_timestamp()
ORDER BY c.name;

-- name: granted
-- What others than the owner have got on a relation of the ledger beyond reading: by ALTER DEFAULT PRIVILEGES, when it
-- was made.
SELECT
    r.relname AS name,
    g.rolname AS grantee,
    pg_catalog.string_agg(DISTINCT a.privilege_type, ', ') AS privileges
FROM pg_catalog.pg_class AS r
INNER JOIN pg_catalog.pg_namespace AS n ON r.relnamespace = n.oid
CROSS JOIN LATERAL pg_catalog.aclexplode(r.relacl) AS a
LEFT JOIN pg_catalog.pg_roles AS g ON a.grantee = g.oid
WHERE n.nspname = %(schema)s AND a.grantee <> r.relowner AND a.privilege_type NOT IN ('SELECT', 'USAGE')
GROUP BY r.relname, g.rolname
ORDER BY r.relname, g.rolname;
