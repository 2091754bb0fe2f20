-- name: others
-- What a statement names that may lead to the table that it writes: its parents and children, views over it, and
-- functions whose bodies have the name of one of these, or what they call has. Of a body only the words are known, so
-- what a function of the same name would read counts too. `opaque`: nobody can tell from its words. `owned`: somebody's
-- function is called there. One that is declared immutable has promised to read nothing; one of an extension is trusted.
-- Where only some columns are written, those count of which a view says that it reads them, and what is made of them; a
-- whole row it reads without saying so.
WITH RECURSIVE below AS (
    SELECT to_regclass(%(written)s)::oid AS oid
    UNION
    SELECT i.inhrelid
    FROM below AS b
    INNER JOIN pg_inherits AS i ON b.oid = i.inhparent
    WHERE NOT %(by_itself)s
),

family AS (
    SELECT oid FROM below
    UNION
    SELECT i.inhparent
    FROM family AS f
    INNER JOIN pg_inherits AS i ON f.oid = i.inhrelid
),

bodies AS MATERIALIZED (
    SELECT
        p.oid,
        p.proname,
        regexp_split_to_array(p.prosrc || ' ' || lower(p.prosrc), '[^[:alnum:]_$]+') AS words,
        l.lanname NOT IN ('sql', 'plpgsql', 'internal') AS outside
    FROM pg_proc AS p
    INNER JOIN pg_language AS l ON p.prolang = l.oid
    WHERE
        p.oid >= 16384 AND p.provolatile <> 'i'
        AND NOT EXISTS (
            SELECT 1
            FROM pg_depend AS d
            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        )
),

named AS (
    SELECT
        'pg_class'::regclass::oid AS class,
        to_regclass(r.name)::oid AS oid
    FROM unnest(%(reads)s::text []) AS r (name)
    UNION
    SELECT
        'pg_proc'::regclass::oid AS class,
        p.oid
    FROM unnest(%(schemas)s::text [], %(calls)s::text []) AS c (nspname, proname)
    INNER JOIN pg_proc AS p ON c.proname = p.proname
    INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
    WHERE c.nspname IN ('', n.nspname)
),

seen AS (
    SELECT
        class,
        oid,
        class AS first_class,
        oid AS first
    FROM named
    UNION
    SELECT
        x.class,
        x.oid,
        s.first_class,
        s.first
    FROM seen AS s
    CROSS JOIN LATERAL (
        SELECT
            d.refclassid AS class,
            d.refobjid AS oid
        FROM pg_class AS v
        INNER JOIN pg_rewrite AS w ON v.oid = w.ev_class
        INNER JOIN pg_depend AS d ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        WHERE
            s.class = 'pg_class'::regclass AND v.oid = s.oid AND v.relkind = 'v'
            AND (
                %(columns)s::text [] = '{}'
                OR d.refclassid <> 'pg_class'::regclass
                OR d.refobjid NOT IN (SELECT f.oid FROM family AS f)
                OR w.ev_action::text LIKE '%%:varattno 0 %%'
                OR EXISTS (
                    SELECT 1
                    FROM pg_attribute AS a
                    WHERE
                        a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                        AND (a.attname = ANY(%(columns)s::text []) OR a.attgenerated <> '')
                )
            )
        UNION ALL
        SELECT
            d.refclassid AS class,
            d.refobjid AS oid
        FROM bodies AS b
        INNER JOIN pg_depend AS d ON b.oid = d.objid AND d.classid = 'pg_proc'::regclass
        WHERE s.class = 'pg_proc'::regclass AND b.oid = s.oid
        UNION ALL
        SELECT
            'pg_class'::regclass::oid AS class,
            c.oid
        FROM bodies AS b
        INNER JOIN pg_class AS c ON c.relname = ANY(b.words) AND c.relkind IN ('r', 'p', 'v', 'f')
        WHERE s.class = 'pg_proc'::regclass AND b.oid = s.oid
        UNION ALL
        SELECT
            'pg_proc'::regclass::oid AS class,
            c.oid
        FROM bodies AS b
        INNER JOIN pg_proc AS c ON c.proname = ANY(b.words)
        WHERE s.class = 'pg_proc'::regclass AND b.oid = s.oid AND c.oid IN (SELECT o.oid FROM bodies AS o)
    ) AS x
    WHERE x.class IN ('pg_class'::regclass, 'pg_proc'::regclass)
),

told AS (
    SELECT
        s.first_class,
        s.first,
        bool_or(s.class = 'pg_class'::regclass AND s.oid IN (SELECT f.oid FROM family AS f)) AS reads,
        bool_or(b.oid IS NOT NULL AND (b.outside OR b.words && '{execute}' OR b.words && %(runs)s::text [])) AS opaque,
        bool_or(b.oid IS NOT NULL) AS owned
    FROM seen AS s
    LEFT JOIN bodies AS b ON s.oid = b.oid AND s.class = 'pg_proc'::regclass
    GROUP BY s.first_class, s.first
)

SELECT
    coalesce(
        CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || c.oid::regclass::text,
        'function ' || p.oid::regprocedure::text
    ) AS name,
    t.reads,
    coalesce(t.opaque OR (p.oid < 16384 AND p.proname = ANY(%(runs)s::text [])), FALSE) AS opaque,
    t.owned
FROM told AS t
LEFT JOIN pg_class AS c ON t.first = c.oid AND t.first_class = 'pg_class'::regclass
LEFT JOIN pg_proc AS p ON t.first = p.oid AND t.first_class = 'pg_proc'::regclass
WHERE t.first IS NOT NULL
ORDER BY name;

-- name: changes_beside
-- What changes a column of these names with those that are written: it is generated, or a trigger has its name, or nobody
-- can tell from the trigger's words.
WITH RECURSIVE family AS (
    SELECT to_regclass(%(written)s)::oid AS oid
    UNION
    SELECT x.oid
    FROM family AS f
    CROSS JOIN LATERAL (
        SELECT i.inhrelid AS oid FROM pg_inherits AS i WHERE i.inhparent = f.oid
        UNION ALL
        SELECT i.inhparent AS oid FROM pg_inherits AS i WHERE i.inhrelid = f.oid
    ) AS x
),

bodies AS MATERIALIZED (
    SELECT
        p.oid,
        p.proname,
        regexp_split_to_array(p.prosrc || ' ' || lower(p.prosrc), '[^[:alnum:]_$]+') AS words,
        l.lanname NOT IN ('sql', 'plpgsql', 'internal') AS outside
    FROM pg_proc AS p
    INNER JOIN pg_language AS l ON p.prolang = l.oid
    WHERE p.oid >= 16384
),

run AS (
    SELECT
        t.oid AS trigger,
        t.tgfoid AS oid
    FROM pg_trigger AS t
    WHERE t.tgrelid IN (SELECT f.oid FROM family AS f) AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 16 <> 0
    UNION
    SELECT
        r.trigger,
        c.oid
    FROM run AS r
    INNER JOIN bodies AS b ON r.oid = b.oid
    INNER JOIN bodies AS c ON c.proname = ANY(b.words)
)

SELECT 'column ' || quote_ident(a.attname) || ', which is generated,' AS name
FROM pg_attribute AS a
WHERE
    a.attrelid IN (SELECT f.oid FROM family AS f) AND a.attgenerated <> '' AND a.attname = ANY(%(sees)s::text [])
UNION
SELECT 'trigger ' || quote_ident(t.tgname)
FROM run AS r
INNER JOIN pg_trigger AS t ON r.trigger = t.oid
LEFT JOIN bodies AS b ON r.oid = b.oid
WHERE
    b.outside OR b.words && '{execute}' OR b.words && %(sees)s::text []
    OR string_to_array(encode(t.tgargs, 'escape'), '\000') && %(sees)s::text []
ORDER BY name;

-- name: read_tables
-- Those with rows of their own among what it names, and what views read.
WITH RECURSIVE named AS (
    SELECT to_regclass(r.name)::oid AS oid
    FROM unnest(%(reads)s::text []) AS r (name)
    UNION
    SELECT x.oid
    FROM named AS n
    CROSS JOIN LATERAL (
        SELECT i.inhrelid AS oid FROM pg_inherits AS i WHERE i.inhparent = n.oid
        UNION ALL
        SELECT d.refobjid AS oid
        FROM pg_rewrite AS w
        INNER JOIN pg_depend AS d ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        INNER JOIN pg_class AS v ON w.ev_class = v.oid AND v.relkind = 'v'
        WHERE w.ev_class = n.oid AND d.refclassid = 'pg_class'::regclass
    ) AS x
)

SELECT c.oid::regclass::text AS name
FROM named AS n
INNER JOIN pg_class AS c ON n.oid = c.oid
WHERE c.relkind = 'r' AND c.oid <> to_regclass(%(written)s) AND has_table_privilege(c.oid, 'SELECT')
ORDER BY name;

-- name: hidden
-- Those of these tables of which a policy may hide rows from our role: unless one for all commands lets it see every row,
-- and none takes rows away.
SELECT c.oid::regclass::text AS name
FROM unnest(%(tables)s::text []) AS t (name)
INNER JOIN pg_class AS c ON to_regclass(t.name) = c.oid
WHERE
    row_security_active(c.oid)
    AND (
        NOT EXISTS (
            SELECT 1
            FROM pg_policy AS p
            WHERE
                p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*'
                AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                AND EXISTS (SELECT 1 FROM unnest(p.polroles) AS r (oid) WHERE r.oid = 0 OR pg_has_role(r.oid, 'USAGE'))
        )
        OR EXISTS (SELECT 1 FROM pg_policy AS p WHERE p.polrelid = c.oid AND NOT p.polpermissive)
    )
ORDER BY name;

-- name: types
-- Of columns, in this order, each with its collation, as a cast has them.
SELECT
    format_type(a.atttypid, a.atttypmod)
    || coalesce(' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(o.collname), '') AS type
FROM unnest(%(columns)s::text []) WITH ORDINALITY AS w (name, place)
INNER JOIN pg_attribute AS a ON to_regclass(%(table)s) = a.attrelid AND w.name = a.attname
LEFT JOIN pg_collation AS o ON a.attcollation = o.oid
LEFT JOIN pg_namespace AS n ON o.collnamespace = n.oid
ORDER BY w.place;

-- name: are_apart
-- Whether no two rows of one table can have the same values in these columns of another one, into which its own are
-- copied: a unique index is on some of them, of all its rows, and none gets another type or another way to be equal.
SELECT
    NOT EXISTS (
        SELECT 1
        FROM pg_inherits AS i
        INNER JOIN pg_class AS c ON i.inhparent = c.oid
        WHERE i.inhparent = to_regclass(%(source)s) AND c.relkind <> 'p' AND NOT %(by_itself)s
    )
    AND EXISTS (
        SELECT 1
        FROM pg_index AS i
        WHERE
            i.indrelid = to_regclass(%(source)s) AND i.indisunique AND i.indisvalid AND i.indimmediate
            AND i.indpred IS NULL AND i.indexprs IS NULL
            AND NOT EXISTS (
                SELECT 1
                FROM unnest(i.indkey::int2 []) WITH ORDINALITY AS k (attnum, place)
                INNER JOIN pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum
                WHERE
                    k.place <= i.indnkeyatts
                    AND NOT EXISTS (
                        SELECT 1
                        FROM unnest(%(given)s::text [], %(columns)s::text []) AS m (given, name)
                        INNER JOIN pg_attribute AS o ON to_regclass(%(table)s) = o.attrelid AND m.name = o.attname
                        WHERE
                            m.given = a.attname AND o.atttypid = a.atttypid AND o.attcollation = a.attcollation
                            AND o.atttypmod IN (-1, a.atttypmod)
                    )
            )
    ) AS found;
