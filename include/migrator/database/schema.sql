-- Everything that a schema consists of, read from the catalogs of PostgreSQL 14 to 18.
-- Each query gives (kind, schema, name, definition, part_of), free of OIDs. All are run with a search_path of pg_catalog,
-- so that the server writes every name with its schema. Columns that only some majors have are read through to_jsonb.
-- Members of extensions are left out: the extension and its version stand for them, but for those that belong to a role
-- that is no superuser. Options are sorted, as pg_dump does.

-- name: database
-- A copy must be created with the same encoding and locale, or text sorts and compares differently.
select 'database' as kind, null::text as nspname, v.name, v.definition, null::text as part_of
from pg_catalog.pg_database as d
cross join lateral (
    values
        ('encoding', pg_catalog.pg_encoding_to_char(d.encoding)::text),
        ('collate', d.datcollate::text),
        ('ctype', d.datctype::text),
        ('provider', coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c')),
        ('locale', coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale', '')),
        ('rules', pg_catalog.to_jsonb(d) ->> 'daticurules')
) as v (name, definition)
where d.datname = pg_catalog.current_database() and v.definition is not null;

-- name: setting
-- Settings of this database and of roles in it. Values of custom settings may be secrets: only their hash is kept.
select
    'setting', null::text,
    case
        when s.setrole = 0 then 'database'
        else 'role ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(s.setrole)) || ' in database'
    end,
    (
        select pg_catalog.string_agg(
            case
                when pg_catalog.split_part(c.setting, '=', 1) ~ '[.]'
                    then pg_catalog.split_part(c.setting, '=', 1) || '=md5:' || pg_catalog.md5(c.setting)
                else c.setting
            end,
            ', ' order by c.setting collate "C"
        )
        from pg_catalog.unnest(s.setconfig) as c (setting)
    ),
    null::text
from pg_catalog.pg_db_role_setting as s
inner join pg_catalog.pg_database as d on s.setdatabase = d.oid
where d.datname = pg_catalog.current_database();

-- name: schema
-- Schemas themselves, so that an empty one is seen.
select 'schema', n.nspname::text, pg_catalog.quote_ident(n.nspname), '', null::text
from pg_catalog.pg_namespace as n
where
    n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_namespace'::regclass and e.objid = n.oid and e.deptype = 'e'
    );

-- name: table
-- What belongs to the table as a whole: persistence, partitioning, inheritance, options, replica identity, row security.
select
    'table', n.nspname::text, c.oid::regclass::text,
    pg_catalog.concat_ws(
        ' ',
        case c.relpersistence when 'u' then 'unlogged' end,
        case c.relkind when 'p' then 'partitioned table' when 'f' then 'foreign table' else 'table' end,
        case when c.relkind = 'p' then 'partition by ' || pg_catalog.pg_get_partkeydef(c.oid) end,
        case when c.relispartition then 'partition of ' end || h.parents
        || case when c.relispartition then ' ' || pg_catalog.pg_get_expr(c.relpartbound, c.oid) end,
        case when not c.relispartition then 'inherits (' || h.parents || ')' end,
        case when c.reloftype <> 0 then 'of ' || c.reloftype::regtype::text end,
        'using ' || (
            select pg_catalog.quote_ident(m.amname) from pg_catalog.pg_am as m
            where m.oid = c.relam and m.amname <> 'heap'
        ),
        'with (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.unnest(c.reloptions) as o (option)
        ) || ')',
        'toast with (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.pg_class as t cross join pg_catalog.unnest(t.reloptions) as o (option)
            where t.oid = c.reltoastrelid
        ) || ')',
        case c.relreplident
            when 'f' then 'replica identity full'
            when 'n' then 'replica identity nothing'
            when 'i' then 'replica identity using ' || (
                select i.indexrelid::regclass::text
                from pg_catalog.pg_index as i where i.indrelid = c.oid and i.indisreplident
            )
        end,
        case when c.relrowsecurity then 'row security enabled' end,
        case when c.relforcerowsecurity then 'row security forced' end,
        (
            select
                'server ' || pg_catalog.quote_ident(s.srvname)
                || coalesce(' options (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.unnest(f.ftoptions) as o (option)
        ) || ')', '')
            from pg_catalog.pg_foreign_table as f inner join pg_catalog.pg_foreign_server as s on f.ftserver = s.oid
            where f.ftrelid = c.oid
        )
    ),
    null::text
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join lateral (
    select
        pg_catalog.string_agg(
            i.inhparent::regclass::text || case when i.inhdetachpending then ' [detach pending]' else '' end, ', '
            order by i.inhseqno
        ) as parents
    from pg_catalog.pg_inherits as i where i.inhrelid = c.oid
) as h on true
where
    c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
    );

-- name: tablespace
-- Apart from the table's definition, because a restored copy does not have the tablespaces.
select
    'tablespace', n.nspname::text, c.oid::regclass::text, pg_catalog.quote_ident(t.spcname),
    'table ' || coalesce(i.indrelid, c.oid)::regclass::text
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_tablespace as t on c.reltablespace = t.oid
left join pg_catalog.pg_index as i on c.oid = i.indexrelid
where c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema';

-- name: columns
-- The order of columns is an entry of its own: a column dropped and added again comes last, and the tolerant
-- comparison leaves this entry out. NOT NULL is part of the column, also on PostgreSQL 18, where it is a constraint
-- with a name; that name is shown only when it is not the one the server would choose. A column of a view is shown only
-- where it has something that the query of the view does not say: a default for INSERT, say.
with attribute as (
    select
        n.nspname::text as nspname, c.relname, c.relkind, c.oid as relid, a.*, t.typcollation, t.typstorage,
        case c.relkind when 'v' then 'view ' when 'm' then 'materialized_view ' else 'table ' end
        || c.oid::regclass::text as part_of
    from pg_catalog.pg_attribute as a
    inner join pg_catalog.pg_class as c on a.attrelid = c.oid
    inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    inner join pg_catalog.pg_type as t on a.atttypid = t.oid
    where
        c.relkind in ('r', 'p', 'f', 'v', 'm') and c.relpersistence <> 't' and a.attnum > 0 and not a.attisdropped
        and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
        and not exists (
            select from pg_catalog.pg_depend as e
            where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
        )
)

select
    'column', a.nspname, a.relid::regclass::text || '.' || pg_catalog.quote_ident(a.attname),
    pg_catalog.concat_ws(
        ' ',
        pg_catalog.format_type(a.atttypid, a.atttypmod),
        case when a.attcollation <> a.typcollation then 'collate ' || a.attcollation::regcollation::text end,
        case when a.attstorage <> a.typstorage then
            'storage '
            || case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end
        end,
        case a.attcompression when 'p' then 'compression pglz' when 'l' then 'compression lz4' end,
        case a.attidentity
            when 'a' then 'generated always as identity' when 'd' then 'generated by default as identity'
        end,
        case a.attgenerated
            when 's' then 'generated always as (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') stored'
            when 'v' then 'generated always as (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') virtual'
            else 'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)
        end,
        case when k.coninhcount = 0 and k.conname <> a.relname || '_' || a.attname || '_not_null'
            and pg_catalog.octet_length(a.relname || '_' || a.attname || '_not_null') < 64
            then 'constraint ' || pg_catalog.quote_ident(k.conname)
        end,
        case when a.attinhcount > 0 and a.attislocal then 'inherited, and local' end,
        case when a.attnotnull then 'not null' end,
        case when k.connoinherit then 'no inherit' end,
        case when not k.convalidated then 'not valid' end,
        'with (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.unnest(a.attoptions) as o (option)
        ) || ')',
        'statistics ' || nullif(pg_catalog.to_jsonb(a) ->> 'attstattarget', '-1'),
        'options (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.unnest(a.attfdwoptions) as o (option)
        ) || ')'
    ),
    a.part_of
from attribute as a
left join pg_catalog.pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
left join pg_catalog.pg_constraint as k
    on a.attrelid = k.conrelid and k.contype = 'n' and a.attnum = k.conkey[1]
where
    a.relkind in ('r', 'p', 'f') or d.oid is not null or a.attstorage <> a.typstorage or a.attcompression <> ''
    or a.attoptions is not null or coalesce(pg_catalog.to_jsonb(a) ->> 'attstattarget', '-1') <> '-1'
union all
select
    'column_order', a.nspname, a.relid::regclass::text,
    pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum),
    'table ' || a.relid::regclass::text
from attribute as a
where a.relkind in ('r', 'p', 'f')
group by a.nspname, a.relid;

-- name: constraint
-- NOT NULL constraints are part of their column. A foreign key whose triggers are disabled does nothing. The extra rows
-- that a foreign key to a partitioned table has for each partition are left out: the server numbers their names in the
-- order of creation. What their triggers are switched to is told of the foreign key itself.
with recursive extra (oid, key) as (
    select k.oid, k.oid as key
    from pg_catalog.pg_constraint as k
    where k.contype = 'f'
    union all
    select x.oid, e.key
    from extra as e
    inner join pg_catalog.pg_constraint as k on e.oid = k.oid
    inner join pg_catalog.pg_constraint as x on k.oid = x.conparentid and k.conrelid = x.conrelid
)

select
    'constraint', n.nspname::text, k.conrelid::regclass::text || '.' || pg_catalog.quote_ident(k.conname),
    pg_catalog.concat_ws(
        ' ',
        pg_catalog.pg_get_constraintdef(k.oid),
        'with (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.pg_class as x cross join pg_catalog.unnest(x.reloptions) as o (option)
            where k.contype in ('p', 'u', 'x') and x.oid = k.conindid
        ) || ')',
        case when k.contype in ('p', 'u', 'x') and not i.indisvalid then '[index invalid]' end,
        case when k.contype in ('p', 'u', 'x') and i.indisclustered then '[clustered]' end,
        case when k.contype = 'c' and k.coninhcount > 0 and k.conislocal then '[inherited, and local]' end,
        t.switched
    ),
    'table ' || k.conrelid::regclass::text
from pg_catalog.pg_constraint as k
inner join pg_catalog.pg_class as c on k.conrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join pg_catalog.pg_constraint as p on k.conparentid = p.oid and k.conrelid = p.conrelid
left join pg_catalog.pg_index as i on k.conindid = i.indexrelid
left join (
    select
        coalesce(e.key, t.tgconstraint) as key,
        pg_catalog.string_agg(distinct case t.tgenabled
            when 'D' then '[disabled on ' when 'R' then '[replica on ' else '[always on '
        end || t.tgrelid::regclass::text || ']', ' ') as switched
    from pg_catalog.pg_trigger as t
    left join extra as e on t.tgconstraint = e.oid
    where t.tgisinternal and t.tgconstraint <> 0 and t.tgenabled <> 'O'
    group by 1
) as t on k.oid = t.key
where
    k.contype in ('c', 'p', 'u', 'f', 'x') and p.oid is null and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
    );

-- name: index
-- Indexes that no constraint stands for. An invalid one is shown as such.
select
    'index', n.nspname::text, i.indexrelid::regclass::text,
    pg_catalog.concat_ws(
        ' ',
        pg_catalog.pg_get_indexdef(i.indexrelid),
        'attached to ' || (
            select h.inhparent::regclass::text from pg_catalog.pg_inherits as h where h.inhrelid = i.indexrelid
        ),
        'statistics (' || (
            select pg_catalog.string_agg(
                a.attnum || ': ' || (pg_catalog.to_jsonb(a) ->> 'attstattarget'), ', ' order by a.attnum
            )
            from pg_catalog.pg_attribute as a
            where
                a.attrelid = i.indexrelid and coalesce(pg_catalog.to_jsonb(a) ->> 'attstattarget', '-1') <> '-1'
        ) || ')',
        case when not i.indisvalid then '[invalid]' end,
        case when i.indisclustered then '[clustered]' end
    ),
    case c.relkind when 'm' then 'materialized_view ' else 'table ' end || i.indrelid::regclass::text
from pg_catalog.pg_index as i
inner join pg_catalog.pg_class as c on i.indrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't'
    and not exists (
        select from pg_catalog.pg_constraint as k
        where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    )
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
    );

-- name: statistics
-- Extended statistics.
select
    'statistics', n.nspname::text, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.stxname),
    pg_catalog.concat_ws(
        ' ', pg_catalog.pg_get_statisticsobjdef(s.oid),
        'statistics ' || nullif(pg_catalog.to_jsonb(s) ->> 'stxstattarget', '-1')
    ),
    'table ' || s.stxrelid::regclass::text
from pg_catalog.pg_statistic_ext as s
inner join pg_catalog.pg_namespace as n on s.stxnamespace = n.oid
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema';

-- name: sequence
-- Definition and owner column; the position of a sequence is data, not schema.
select
    'sequence', n.nspname::text, c.oid::regclass::text,
    pg_catalog.concat_ws(
        ' ',
        case c.relpersistence when 'u' then 'unlogged' end,
        'as ' || s.seqtypid::regtype::text, 'start ' || s.seqstart, 'increment ' || s.seqincrement,
        'min ' || s.seqmin, 'max ' || s.seqmax, 'cache ' || s.seqcache, case when s.seqcycle then 'cycle' end,
        case d.deptype when 'i' then 'identity of ' else 'owned by ' end
        || d.refobjid::regclass::text || '.' || pg_catalog.quote_ident(a.attname)
    ),
    'table ' || d.refobjid::regclass::text
from pg_catalog.pg_sequence as s
inner join pg_catalog.pg_class as c on s.seqrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join pg_catalog.pg_depend as d
    on
        d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
left join pg_catalog.pg_attribute as a on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
where
    n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
    );

-- name: view
-- Views and materialized views; one that was never filled is shown as such.
select
    case c.relkind when 'v' then 'view' else 'materialized_view' end, n.nspname::text, c.oid::regclass::text,
    pg_catalog.concat_ws(
        ' ',
        'using ' || (
            select pg_catalog.quote_ident(m.amname) from pg_catalog.pg_am as m
            where m.oid = c.relam and m.amname <> 'heap'
        ),
        'with (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.unnest(c.reloptions) as o (option)
        ) || ')',
        'toast with (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.pg_class as t cross join pg_catalog.unnest(t.reloptions) as o (option)
            where t.oid = c.reltoastrelid
        ) || ')',
        pg_catalog.pg_get_viewdef(c.oid),
        case when not c.relispopulated then '[not populated]' end
    ),
    null::text
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    c.relkind in ('v', 'm') and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
    );

-- name: function
-- Functions, procedures and aggregates, by their argument types.
select
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, n.nspname::text,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
    || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
    case
        when p.prokind <> 'a' then pg_catalog.pg_get_functiondef(p.oid)
        else (
            select pg_catalog.concat_ws(
                ' ', 'returns', pg_catalog.pg_get_function_result(p.oid), 'sfunc', g.aggtransfn::regprocedure, 'stype',
                g.aggtranstype::regtype, 'sspace ' || nullif(g.aggtransspace, 0),
                'finalfunc ' || nullif(g.aggfinalfn, 0)::regprocedure, case when g.aggfinalextra then 'extra' end,
                'modify', g.aggfinalmodify, 'combinefunc ' || nullif(g.aggcombinefn, 0)::regprocedure,
                'serialfunc ' || nullif(g.aggserialfn, 0)::regprocedure,
                'deserialfunc ' || nullif(g.aggdeserialfn, 0)::regprocedure, 'initcond ' || g.agginitval,
                'msfunc ' || nullif(g.aggmtransfn, 0)::regprocedure,
                'minvfunc ' || nullif(g.aggminvtransfn, 0)::regprocedure,
                'mstype ' || nullif(g.aggmtranstype, 0)::regtype, 'msspace ' || nullif(g.aggmtransspace, 0),
                'mfinalfunc ' || nullif(g.aggmfinalfn, 0)::regprocedure, case when g.aggmfinalextra then 'extra' end,
                'modify', g.aggmfinalmodify, 'minitcond ' || g.aggminitval,
                'sortop ' || nullif(g.aggsortop, 0)::regoperator, 'parallel', p.proparallel,
                case g.aggkind when 'h' then 'hypothetical' end
            )
            from pg_catalog.pg_aggregate as g where g.aggfnoid = p.oid
        )
    end,
    null::text
from pg_catalog.pg_proc as p
inner join pg_catalog.pg_namespace as n on p.pronamespace = n.oid
where
    n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid and e.deptype in ('e', 'i')
    );

-- name: trigger
-- Triggers that people made; those of constraints follow from others, and so do those cloned to partitions, unless one
-- is enabled otherwise than what it was cloned from.
select
    'trigger', n.nspname::text, t.tgrelid::regclass::text || '.' || pg_catalog.quote_ident(t.tgname),
    pg_catalog.concat_ws(
        ' ', pg_catalog.pg_get_triggerdef(t.oid),
        case t.tgenabled when 'D' then '[disabled]' when 'R' then '[replica]' when 'A' then '[always]' end
    ),
    case c.relkind when 'v' then 'view ' else 'table ' end || t.tgrelid::regclass::text
from pg_catalog.pg_trigger as t
inner join pg_catalog.pg_class as c on t.tgrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    case t.tgparentid
        when 0 then not t.tgisinternal
        else t.tgenabled <> (select p.tgenabled from pg_catalog.pg_trigger as p where p.oid = t.tgparentid)
            and not exists (
                select from pg_catalog.pg_constraint as k where k.oid = t.tgconstraint and k.contype <> 't'
            )
    end
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't';

-- name: rule
-- Rewrite rules beside those that make a view.
select
    'rule', n.nspname::text, r.ev_class::regclass::text || '.' || pg_catalog.quote_ident(r.rulename),
    pg_catalog.concat_ws(
        ' ', pg_catalog.pg_get_ruledef(r.oid),
        case r.ev_enabled when 'D' then '[disabled]' when 'R' then '[replica]' when 'A' then '[always]' end
    ),
    case c.relkind when 'v' then 'view ' else 'table ' end || r.ev_class::regclass::text
from pg_catalog.pg_rewrite as r
inner join pg_catalog.pg_class as c on r.ev_class = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    r.rulename <> '_RETURN' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema';

-- name: policy
-- Row security policies.
select
    'policy', n.nspname::text, p.polrelid::regclass::text || '.' || pg_catalog.quote_ident(p.polname),
    pg_catalog.concat_ws(
        ' ',
        case when p.polpermissive then 'permissive' else 'restrictive' end,
        'for ' || case p.polcmd
            when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
        end,
        'to ' || (
            select pg_catalog.string_agg(r.name, ', ' order by r.name collate "C")
            from (
                select
                    case
                        when u.id = 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(u.id))
                    end as name
                from pg_catalog.unnest(p.polroles) as u (id)
            ) as r
        ),
        'using (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
        'with check (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'
    ),
    'table ' || p.polrelid::regclass::text
from pg_catalog.pg_policy as p
inner join pg_catalog.pg_class as c on p.polrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema';

-- name: type
-- Enums with their labels in order, domains, composite types and ranges.
select
    'type', n.nspname::text, t.oid::regtype::text,
    case t.typtype
        when 'e' then (
            select 'enum (' || coalesce(pg_catalog.string_agg(
                pg_catalog.quote_literal(e.enumlabel), ', ' order by e.enumsortorder
            ), '') || ')'
            from pg_catalog.pg_enum as e where e.enumtypid = t.oid
        )
        when 'd' then pg_catalog.concat_ws(
            ' ',
            'domain ' || pg_catalog.format_type(t.typbasetype, t.typtypmod),
            case when t.typcollation <> b.typcollation then 'collate ' || t.typcollation::regcollation::text end,
            'default ' || pg_catalog.pg_get_expr(t.typdefaultbin, 0),
            case when t.typnotnull then 'not null' end,
            (
                select pg_catalog.string_agg(
                    'constraint ' || pg_catalog.quote_ident(k.conname) || ' ' || pg_catalog.pg_get_constraintdef(k.oid),
                    ' ' order by k.conname collate "C"
                )
                from pg_catalog.pg_constraint as k where k.contypid = t.oid and k.contype = 'c'
            )
        )
        when 'c' then (
            select 'composite (' || coalesce(pg_catalog.string_agg(
                pg_catalog.quote_ident(a.attname) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
                || case
                    when a.attcollation <> 0 and a.attcollation <> 'pg_catalog."default"'::regcollation
                        then ' collate ' || a.attcollation::regcollation::text
                    else ''
                end,
                ', ' order by a.attnum
            ), '') || ')'
            from pg_catalog.pg_attribute as a
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        )
        when 'r' then (
            select pg_catalog.concat_ws(
                ' ', 'range of', r.rngsubtype::regtype,
                (
                    select 'subtype_opclass ' || i.identity
                    from pg_catalog.pg_identify_object('pg_catalog.pg_opclass'::regclass, r.rngsubopc, 0) as i
                ),
                'collate ' || nullif(r.rngcollation, 0)::regcollation,
                'canonical ' || nullif(r.rngcanonical, 0)::regprocedure,
                'diff ' || nullif(r.rngsubdiff, 0)::regprocedure, 'multirange', r.rngmultitypid::regtype
            )
            from pg_catalog.pg_range as r where r.rngtypid = t.oid
        )
        else pg_catalog.concat_ws(
            ' ', 'base type', t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze,
            t.typsubscript, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typispreferred, t.typdelim,
            'default ' || t.typdefault
        )
    end,
    null::text
from pg_catalog.pg_type as t
inner join pg_catalog.pg_namespace as n on t.typnamespace = n.oid
left join pg_catalog.pg_type as b on t.typbasetype = b.oid
left join pg_catalog.pg_class as c on t.typrelid = c.oid
where
    n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and t.typtype in ('e', 'd', 'c', 'r', 'b') and (t.typtype <> 'c' or c.relkind = 'c')
    and not exists (select from pg_catalog.pg_type as l where l.typarray = t.oid)
    and not exists (
        select from pg_catalog.pg_depend as e
        where
            e.classid = 'pg_catalog.pg_type'::regclass and e.objid = t.oid
            and (e.deptype = 'e' or (e.deptype = 'i' and t.typtype = 'b'))
    );

-- name: extension
-- plpgsql is in every database unless somebody dropped it.
select
    'extension', null::text, pg_catalog.quote_ident(x.extname),
    'version ' || x.extversion || ' schema ' || pg_catalog.quote_ident(n.nspname), null::text
from pg_catalog.pg_extension as x inner join pg_catalog.pg_namespace as n on x.extnamespace = n.oid;

-- name: extension_member
-- Of a role that is no superuser: ALTER EXTENSION ... ADD by whoever has made a trusted one, for example. No dump has
-- them. Names as ALTER EXTENSION ... DROP wants them. With names: those, whoever owns them.
with object as (
    select 'pg_catalog.pg_class'::regclass as classid, c.oid, c.relowner as owner from pg_catalog.pg_class as c
    where c.relkind <> 'c'
    union all
    select 'pg_catalog.pg_proc'::regclass, p.oid, p.proowner from pg_catalog.pg_proc as p
    union all
    select 'pg_catalog.pg_type'::regclass, t.oid, t.typowner
    from pg_catalog.pg_type as t
    left join pg_catalog.pg_class as c on t.typrelid = c.oid
    where t.typtype in ('e', 'd', 'c', 'r', 'b') and coalesce(c.relkind, 'c') = 'c' and t.typcategory <> 'A'
    union all
    select 'pg_catalog.pg_namespace'::regclass, n.oid, n.nspowner from pg_catalog.pg_namespace as n
    union all
    select 'pg_catalog.pg_operator'::regclass, o.oid, o.oprowner from pg_catalog.pg_operator as o
    union all
    select 'pg_catalog.pg_opclass'::regclass, o.oid, o.opcowner from pg_catalog.pg_opclass as o
    union all
    select 'pg_catalog.pg_opfamily'::regclass, o.oid, o.opfowner from pg_catalog.pg_opfamily as o
    union all
    select 'pg_catalog.pg_collation'::regclass, c.oid, c.collowner from pg_catalog.pg_collation as c
    union all
    select 'pg_catalog.pg_conversion'::regclass, c.oid, c.conowner from pg_catalog.pg_conversion as c
    union all
    select 'pg_catalog.pg_ts_config'::regclass, t.oid, t.cfgowner from pg_catalog.pg_ts_config as t
    union all
    select 'pg_catalog.pg_ts_dict'::regclass, t.oid, t.dictowner from pg_catalog.pg_ts_dict as t
    union all
    select 'pg_catalog.pg_language'::regclass, l.oid, l.lanowner from pg_catalog.pg_language as l
    union all
    select 'pg_catalog.pg_foreign_data_wrapper'::regclass, w.oid, w.fdwowner
    from pg_catalog.pg_foreign_data_wrapper as w
    union all
    select 'pg_catalog.pg_foreign_server'::regclass, s.oid, s.srvowner from pg_catalog.pg_foreign_server as s
    union all
    select 'pg_catalog.pg_event_trigger'::regclass, t.oid, t.evtowner from pg_catalog.pg_event_trigger as t
    union all
    select 'pg_catalog.pg_cast'::regclass, c.oid, t.typowner
    from pg_catalog.pg_cast as c
    inner join pg_catalog.pg_type as t on t.oid in (c.castsource, c.casttarget)
    union all
    select 'pg_catalog.pg_transform'::regclass, f.oid, t.typowner
    from pg_catalog.pg_transform as f
    inner join pg_catalog.pg_type as t on f.trftype = t.oid
)

select
    'extension_member', i.schema, m.name,
    case o.classid
        when 'pg_catalog.pg_proc'::regclass then (
            select pg_catalog.pg_get_functiondef(p.oid)
            from pg_catalog.pg_proc as p where p.oid = o.oid and p.prokind <> 'a'
        )
        when 'pg_catalog.pg_class'::regclass then pg_catalog.concat_ws(
            ' ', pg_catalog.pg_get_viewdef(o.oid), '(' || (
                select pg_catalog.string_agg(
                    pg_catalog.concat_ws(
                        ' ', pg_catalog.quote_ident(a.attname), pg_catalog.format_type(a.atttypid, a.atttypmod),
                        'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid),
                        case when a.attnotnull then 'not null' end
                    ), ', ' order by a.attnum
                )
                from pg_catalog.pg_attribute as a
                left join pg_catalog.pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
                where a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
            ) || ')', (
                select pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ' order by k.conname collate "C")
                from pg_catalog.pg_constraint as k where k.conrelid = o.oid and k.contype <> 'n'
            )
        )
    end,
    'extension ' || pg_catalog.quote_ident(x.extname)
from object as o
inner join pg_catalog.pg_depend as e on o.classid = e.classid and o.oid = e.objid and e.deptype = 'e'
inner join pg_catalog.pg_extension as x on e.refobjid = x.oid
inner join pg_catalog.pg_roles as r on o.owner = r.oid
cross join lateral pg_catalog.pg_identify_object(o.classid, o.oid, 0) as i
cross join lateral (
    select i.type || ' ' || i.identity || ' of ' || pg_catalog.quote_ident(x.extname) as name
) as m
where
    case
        when %(names)s::text [] is null then not r.rolsuper
        else m.name = any(%(names)s::text [])
    end;

-- name: ownership
-- Owners, and privileges as the difference to the default ones: `grant` for others, `owner_grant` for the owner's own.
-- NULL and a spelled-out default are the same; who granted is not compared.
with object as (
    select
        n.nspname::text as nspname,
        case c.relkind
            when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized_view' else 'table'
        end as kind,
        c.oid::regclass::text as name, c.relowner as owner, c.relacl as acl,
        (case c.relkind when 'S' then 's' else 'r' end)::"char" as acltype,
        'pg_catalog.pg_class'::regclass as classid, c.oid
    from pg_catalog.pg_class as c inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and c.relpersistence <> 't'
    union all
    select
        n.nspname::text, case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
        pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
        || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
        p.proowner, p.proacl, 'f'::"char", 'pg_catalog.pg_proc'::regclass, p.oid
    from pg_catalog.pg_proc as p inner join pg_catalog.pg_namespace as n on p.pronamespace = n.oid
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select
        n.nspname::text, 'schema', pg_catalog.quote_ident(n.nspname), n.nspowner, n.nspacl,
        'n'::"char", 'pg_catalog.pg_namespace'::regclass, n.oid
    from pg_catalog.pg_namespace as n
    union all
    select
        n.nspname::text, 'type', t.oid::regtype::text, t.typowner, t.typacl, 'T'::"char",
        'pg_catalog.pg_type'::regclass, t.oid
    from pg_catalog.pg_type as t
    inner join pg_catalog.pg_namespace as n on t.typnamespace = n.oid
    left join pg_catalog.pg_class as c on t.typrelid = c.oid
    where t.typtype in ('e', 'd', 'c', 'r') and (t.typtype <> 'c' or c.relkind = 'c')
    union all
    select
        null::text, 'foreign_server', pg_catalog.quote_ident(s.srvname), s.srvowner, s.srvacl, 'S'::"char",
        'pg_catalog.pg_foreign_server'::regclass, s.oid
    from pg_catalog.pg_foreign_server as s
    union all
    select
        n.nspname::text, 'column', c.oid::regclass::text || '.' || pg_catalog.quote_ident(a.attname),
        c.relowner, a.attacl, 'c'::"char", 'pg_catalog.pg_class'::regclass, c.oid
    from pg_catalog.pg_attribute as a
    inner join pg_catalog.pg_class as c on a.attrelid = c.oid
    inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    where a.attacl is not null and not a.attisdropped
),

visible as (
    select o.*
    from object as o
    where
        (o.nspname is null or (o.nspname !~ '^pg_' and o.nspname <> 'information_schema'))
        and not exists (
            select from pg_catalog.pg_depend as e
            where
                e.classid = o.classid and e.objid = o.oid
                and (e.deptype = 'e' or (e.deptype = 'i' and o.kind in ('type', 'function', 'sequence')))
        )
),

privilege as (
    select o.kind, o.nspname, o.name, o.owner, x.sign, x.grantee, x.privilege_type, x.is_grantable
    from visible as o
    cross join lateral (
        (
            select '+' as sign, g.grantee, g.privilege_type, g.is_grantable
            from pg_catalog.aclexplode(coalesce(o.acl, pg_catalog.acldefault(o.acltype, o.owner))) as g
            except
            select '+', g.grantee, g.privilege_type, g.is_grantable
            from pg_catalog.aclexplode(pg_catalog.acldefault(o.acltype, o.owner)) as g
        )
        union all
        (
            select '-', g.grantee, g.privilege_type, g.is_grantable
            from pg_catalog.aclexplode(pg_catalog.acldefault(o.acltype, o.owner)) as g
            except
            select '-', g.grantee, g.privilege_type, g.is_grantable
            from pg_catalog.aclexplode(coalesce(o.acl, pg_catalog.acldefault(o.acltype, o.owner))) as g
        )
    ) as x
)

select
    'owner', o.nspname, o.kind || ' ' || o.name, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o.owner)),
    o.kind || ' ' || o.name
from visible as o
where o.kind <> 'column'
union all
select
    case when p.grantee = p.owner then 'owner_grant' else 'grant' end, p.nspname, p.kind || ' ' || p.name,
    pg_catalog.string_agg(
        p.sign || p.privilege_type || case when p.is_grantable then ' with grant option' else '' end
        || case p.sign when '+' then ' to ' else ' from ' end
        || case
            when p.grantee = 0 then 'public'
            when p.grantee = p.owner then 'owner'
            else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(p.grantee))
        end,
        ', '
        order by
            p.sign collate "C", pg_catalog.pg_get_userbyid(p.grantee) collate "C", p.privilege_type collate "C",
            p.is_grantable
    ),
    p.kind || ' ' || p.name
from privilege as p
group by p.grantee = p.owner, p.nspname, p.kind, p.name;

-- name: used_by
-- Functions and operators of somebody's own that expressions use. No text has the operator of IS DISTINCT FROM, NULLIF,
-- CASE x WHEN, JOIN USING or (a, b) < (c, d), nor which of several functions of a name it is: the same text is
-- something else after a restore. Names as in `ownership`.
with own as (
    select
        d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid,
        case d.refclassid
            when 'pg_catalog.pg_operator'::regclass then 'operator ' || d.refobjid::regoperator::text
            else 'function ' || d.refobjid::regprocedure::text
        end as identity
    from pg_catalog.pg_depend as d
    where
        d.refclassid in ('pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_proc'::regclass)
        and d.refobjid >= 16384 and d.deptype in ('n', 'a')
),

relation as (
    select
        c.oid, c.oid::regclass::text as name, n.nspname::text as nspname,
        case c.relkind when 'v' then 'view ' when 'm' then 'materialized_view ' else 'table ' end
        || c.oid::regclass::text as whole
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    where
        c.relpersistence <> 't'
        and not exists (
            select from pg_catalog.pg_depend as e
            where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
        )
),

used as (
    select
        o.identity, c.nspname, c.whole as part_of,
        case r.rulename
            when '_RETURN' then c.whole else 'rule ' || c.name || '.' || pg_catalog.quote_ident(r.rulename)
        end as name
    from own as o
    inner join pg_catalog.pg_rewrite as r on o.objid = r.oid
    inner join relation as c on r.ev_class = c.oid
    where o.classid = 'pg_catalog.pg_rewrite'::regclass
    union all
    select o.identity, c.nspname, c.whole, 'constraint ' || c.name || '.' || pg_catalog.quote_ident(k.conname)
    from own as o
    inner join pg_catalog.pg_constraint as k on o.objid = k.oid
    inner join relation as c on k.conrelid = c.oid
    left join pg_catalog.pg_constraint as p on k.conparentid = p.oid and k.conrelid = p.conrelid
    where o.classid = 'pg_catalog.pg_constraint'::regclass and k.contype in ('c', 'f', 'x') and p.oid is null
    union all
    select o.identity, c.nspname, c.whole, 'trigger ' || c.name || '.' || pg_catalog.quote_ident(t.tgname)
    from own as o
    inner join pg_catalog.pg_trigger as t on o.objid = t.oid
    inner join relation as c on t.tgrelid = c.oid
    where
        o.classid = 'pg_catalog.pg_trigger'::regclass and t.tgparentid = 0 and not t.tgisinternal
        and not (o.refclassid = 'pg_catalog.pg_proc'::regclass and o.refobjid = t.tgfoid)
    union all
    select o.identity, c.nspname, c.whole, 'policy ' || c.name || '.' || pg_catalog.quote_ident(p.polname)
    from own as o
    inner join pg_catalog.pg_policy as p on o.objid = p.oid
    inner join relation as c on p.polrelid = c.oid
    where o.classid = 'pg_catalog.pg_policy'::regclass
    union all
    select o.identity, c.nspname, c.whole, 'column ' || c.name || '.' || pg_catalog.quote_ident(a.attname)
    from own as o
    left join pg_catalog.pg_attrdef as d on o.objid = d.oid and o.classid = 'pg_catalog.pg_attrdef'::regclass
    inner join pg_catalog.pg_attribute as a
        on a.attrelid = coalesce(d.adrelid, o.objid) and a.attnum = coalesce(d.adnum, o.objsubid)
    inner join relation as c on a.attrelid = c.oid
    where d.oid is not null or (o.classid = 'pg_catalog.pg_class'::regclass and o.objsubid > 0)
    union all
    select
        o.identity, c.nspname, c.whole,
        case when k.oid is null then 'index ' || i.indexrelid::regclass::text
            else 'constraint ' || c.name || '.' || pg_catalog.quote_ident(k.conname)
        end
    from own as o
    inner join pg_catalog.pg_index as i on o.objid = i.indexrelid
    inner join relation as c on i.indrelid = c.oid
    left join pg_catalog.pg_constraint as k on i.indexrelid = k.conindid and k.contype in ('p', 'u', 'x')
    where o.classid = 'pg_catalog.pg_class'::regclass
    union all
    select o.identity, c.nspname, c.whole as part_of, c.whole as name
    from own as o
    inner join pg_catalog.pg_partitioned_table as p on o.objid = p.partrelid
    inner join relation as c on p.partrelid = c.oid
    where o.classid = 'pg_catalog.pg_class'::regclass and o.objsubid = 0
    union all
    select
        o.identity, n.nspname, c.whole,
        'statistics ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.stxname)
    from own as o
    inner join pg_catalog.pg_statistic_ext as s on o.objid = s.oid
    inner join pg_catalog.pg_namespace as n on s.stxnamespace = n.oid
    inner join relation as c on s.stxrelid = c.oid
    where o.classid = 'pg_catalog.pg_statistic_ext'::regclass
    union all
    select o.identity, n.nspname, r.name as part_of, r.name as name
    from own as o
    inner join pg_catalog.pg_proc as p on o.objid = p.oid
    inner join pg_catalog.pg_namespace as n on p.pronamespace = n.oid
    cross join lateral (
        select
            case p.prokind when 'p' then 'procedure ' else 'function ' end || pg_catalog.quote_ident(n.nspname) || '.'
            || pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')'
            as name
    ) as r
    where
        o.classid = 'pg_catalog.pg_proc'::regclass and p.prokind <> 'a'
        and not exists (
            select from pg_catalog.pg_depend as e
            where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid and e.deptype in ('e', 'i')
        )
    union all
    select
        o.identity, n.nspname, 'type ' || t.oid::regtype::text as part_of, 'type ' || t.oid::regtype::text as name
    from own as o
    left join pg_catalog.pg_constraint as k on o.objid = k.oid and o.classid = 'pg_catalog.pg_constraint'::regclass
    inner join pg_catalog.pg_type as t on t.oid = coalesce(k.contypid, o.objid) and t.typtype = 'd'
    inner join pg_catalog.pg_namespace as n on t.typnamespace = n.oid
    where
        (k.oid is not null or o.classid = 'pg_catalog.pg_type'::regclass)
        and not exists (
            select from pg_catalog.pg_depend as e
            where e.classid = 'pg_catalog.pg_type'::regclass and e.objid = t.oid and e.deptype = 'e'
        )
)

select
    'used_by', u.nspname, u.name, pg_catalog.string_agg(u.identity, ', ' order by u.identity collate "C"), u.part_of
from (select distinct * from used) as u
where u.nspname !~ '^pg_' and u.nspname <> 'information_schema'
group by u.nspname, u.name, u.part_of;

-- name: default_privileges
-- ALTER DEFAULT PRIVILEGES changes what the next CREATE TABLE grants.
select
    'default_privileges', n.nspname::text,
    'for ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.defaclrole))
    || coalesce(' in ' || pg_catalog.quote_ident(n.nspname), '')
    || ' on ' || case d.defaclobjtype
        when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
        when 'n' then 'schemas' else 'large objects'
    end,
    coalesce((
        select pg_catalog.string_agg(
            g.privilege_type || case when g.is_grantable then ' with grant option' else '' end || ' to '
            || case
                when g.grantee = 0 then 'public'
                else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee))
            end,
            ', ' order by pg_catalog.pg_get_userbyid(g.grantee) collate "C", g.privilege_type collate "C"
        )
        from pg_catalog.aclexplode(d.defaclacl) as g
    ), ''),
    null::text
from pg_catalog.pg_default_acl as d
left join pg_catalog.pg_namespace as n on d.defaclnamespace = n.oid;

-- name: comment
-- Comments on objects of the database, with the words of pg_identify_object for what they are on.
select
    'comment', coalesce(i.schema, (pg_catalog.regexp_match(i.identity, ' on ("[^"]+"|[^ ."]+)[.]'))[1]),
    i.type || ' ' || i.identity, d.description,
    case
        when d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid > 0 and c.relkind in ('r', 'p', 'f')
            then 'table ' || c.oid::regclass::text
        when d.classoid = 'pg_catalog.pg_class'::regclass then i.type || ' ' || i.identity
    end
from pg_catalog.pg_description as d
cross join lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) as i
left join pg_catalog.pg_class as c on d.classoid = 'pg_catalog.pg_class'::regclass and d.objoid = c.oid
where
    d.objoid >= 16384 and i.identity is not null and coalesce(i.schema, '') !~ '^pg_'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = d.classoid and e.objid = d.objoid and e.deptype = 'e'
    );

-- name: security_label
-- Labels, as extensions read them that mask columns, for example.
select
    'security_label', coalesce(i.schema, (pg_catalog.regexp_match(i.identity, ' on ("[^"]+"|[^ ."]+)[.]'))[1]),
    i.type || ' ' || i.identity || ' for ' || pg_catalog.quote_ident(l.provider), l.label, null::text
from pg_catalog.pg_seclabel as l
cross join lateral pg_catalog.pg_identify_object(l.classoid, l.objoid, l.objsubid) as i
where
    l.objoid >= 16384 and i.identity is not null
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = l.classoid and e.objid = l.objoid and e.deptype = 'e'
    );

-- name: publication
-- PostgreSQL 15 and later: schemas, column lists and row filters.
select
    'publication', null::text, pg_catalog.quote_ident(p.pubname),
    pg_catalog.concat_ws(
        ' ',
        case when p.puballtables then 'for all tables' end,
        (
            select 'schemas (' || pg_catalog.string_agg(
                pg_catalog.quote_ident(n.nspname), ', ' order by n.nspname collate "C"
            ) || ')'
            from pg_catalog.pg_publication_namespace as s
            inner join pg_catalog.pg_namespace as n on s.pnnspid = n.oid
            where s.pnpubid = p.oid
        ),
        (
            select 'tables (' || pg_catalog.string_agg(
                r.prrelid::regclass::text
                || coalesce(' columns ' || (
                    select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ' ' order by a.attname collate "C")
                    from pg_catalog.pg_attribute as a
                    where a.attrelid = r.prrelid and a.attnum = any(r.prattrs)
                ), '')
                || coalesce(' where ' || pg_catalog.pg_get_expr(r.prqual, r.prrelid), ''),
                ', ' order by r.prrelid::regclass::text collate "C"
            ) || ')'
            from pg_catalog.pg_publication_rel as r where r.prpubid = p.oid
        ),
        case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
        case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end,
        case when p.pubviaroot then 'via root' end,
        'generated columns ' || nullif(pg_catalog.to_jsonb(p) ->> 'pubgencols', 'n')
    ),
    null::text
from pg_catalog.pg_publication as p;

-- name: publication_14
-- PostgreSQL 14 knows whole tables only.
select
    'publication', null::text, pg_catalog.quote_ident(p.pubname),
    pg_catalog.concat_ws(
        ' ',
        case when p.puballtables then 'for all tables' end,
        (
            select 'tables (' || pg_catalog.string_agg(
                r.prrelid::regclass::text, ', ' order by r.prrelid::regclass::text collate "C"
            ) || ')'
            from pg_catalog.pg_publication_rel as r where r.prpubid = p.oid
        ),
        case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
        case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end,
        case when p.pubviaroot then 'via root' end
    ),
    null::text
from pg_catalog.pg_publication as p;

-- name: cluster_facing
-- What reaches beyond the database: subscriptions, foreign servers and the users mapped to them (without their options,
-- which hold passwords), event triggers.
select
    'subscription', null::text, pg_catalog.quote_ident(s.subname),
    pg_catalog.concat_ws(
        ' ', case when s.subenabled then 'enabled' else 'disabled' end,
        'publications (' || pg_catalog.array_to_string(s.subpublications, ', ') || ')'
    ),
    null::text
from pg_catalog.pg_subscription as s
inner join pg_catalog.pg_database as d on s.subdbid = d.oid
where d.datname = pg_catalog.current_database()
union all
select
    'foreign_server', null::text, pg_catalog.quote_ident(s.srvname),
    pg_catalog.concat_ws(
        ' ', 'wrapper', pg_catalog.quote_ident(w.fdwname), s.srvtype, s.srvversion,
        'options (' || (
            select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
            from pg_catalog.unnest(s.srvoptions) as o (option)
        ) || ')'
    ),
    null::text
from pg_catalog.pg_foreign_server as s
inner join pg_catalog.pg_foreign_data_wrapper as w on s.srvfdw = w.oid
union all
select
    'user_mapping', null::text,
    case when u.umuser = 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(u.umuser)) end
    || ' on ' || pg_catalog.quote_ident(u.srvname),
    '', 'foreign_server ' || pg_catalog.quote_ident(u.srvname)
from pg_catalog.pg_user_mappings as u
union all
select
    'event_trigger', null::text, pg_catalog.quote_ident(t.evtname),
    pg_catalog.concat_ws(
        ' ', t.evtevent, 'when tag in (' || pg_catalog.array_to_string(t.evttags, ', ') || ')',
        'execute', t.evtfoid::regprocedure,
        case t.evtenabled when 'D' then '[disabled]' when 'R' then '[replica]' when 'A' then '[always]' end
    ),
    null::text
from pg_catalog.pg_event_trigger as t
where
    not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_event_trigger'::regclass and e.objid = t.oid and e.deptype = 'e'
    );

-- name: rare
-- Collations, casts, operators and their classes, conversions, transforms, text search objects, languages, wrappers.
select o.kind, i.schema, i.identity, o.definition, null::text
from (
    select 'collation' as kind, 'pg_catalog.pg_collation'::regclass as classid, c.oid, pg_catalog.concat_ws(
        ' ', 'provider', c.collprovider, c.collcollate, c.collctype,
        coalesce(
            pg_catalog.to_jsonb(c) ->> 'colllocale', pg_catalog.to_jsonb(c) ->> 'colliculocale'
        ),
        'rules ' || (pg_catalog.to_jsonb(c) ->> 'collicurules'),
        case when not c.collisdeterministic then 'nondeterministic' end
    ) as definition
    from pg_catalog.pg_collation as c
    union all
    select
        'cast', 'pg_catalog.pg_cast'::regclass, c.oid,
        pg_catalog.concat_ws(' ', c.castcontext, c.castmethod, nullif(c.castfunc, 0)::regprocedure)
    from pg_catalog.pg_cast as c
    union all
    select
        'operator', 'pg_catalog.pg_operator'::regclass, o.oid,
        pg_catalog.concat_ws(
            ' ', o.oprcode, 'returns', o.oprresult::regtype, nullif(o.oprcom, 0)::regoperator,
            nullif(o.oprnegate, 0)::regoperator, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash
        )
    from pg_catalog.pg_operator as o
    union all
    select
        'operator_class', 'pg_catalog.pg_opclass'::regclass, o.oid,
        pg_catalog.concat_ws(
            ' ', 'for', o.opcintype::regtype, case when o.opcdefault then 'default' end,
            'family ' || (
                select i.identity
                from pg_catalog.pg_identify_object('pg_catalog.pg_opfamily'::regclass, o.opcfamily, 0) as i
            ),
            'storage ' || nullif(o.opckeytype, 0)::regtype
        )
    from pg_catalog.pg_opclass as o
    union all
    select 'operator_family', 'pg_catalog.pg_opfamily'::regclass, o.oid, pg_catalog.concat_ws(
        ', ',
        (
            select pg_catalog.string_agg(
                m.amopstrategy || ' ' || m.amopopr::regoperator || coalesce(' ordered by ' || f.identity, ''), ', '
                order by m.amopstrategy, m.amopopr::regoperator::text collate "C"
            )
            from pg_catalog.pg_amop as m
            left join lateral pg_catalog.pg_identify_object(
                'pg_catalog.pg_opfamily'::regclass, nullif(m.amopsortfamily, 0), 0
            ) as f on true
            where m.amopfamily = o.oid
        ),
        (
            select pg_catalog.string_agg(
                'function ' || m.amprocnum || ' (' || m.amproclefttype::regtype || ', ' || m.amprocrighttype::regtype
                || ') ' || m.amproc::regprocedure, ', '
                order by
                    m.amprocnum, m.amproclefttype::regtype::text collate "C", m.amprocrighttype::regtype::text collate "C"
            )
            from pg_catalog.pg_amproc as m where m.amprocfamily = o.oid
        )
    )
    from pg_catalog.pg_opfamily as o
    union all
    select 'conversion', 'pg_catalog.pg_conversion'::regclass, c.oid, pg_catalog.concat_ws(
        ' ', pg_catalog.pg_encoding_to_char(c.conforencoding), 'to', pg_catalog.pg_encoding_to_char(c.contoencoding),
        c.conproc::regprocedure, case when c.condefault then 'default' end
    )
    from pg_catalog.pg_conversion as c
    union all
    select 'transform', 'pg_catalog.pg_transform'::regclass, t.oid, pg_catalog.concat_ws(
        ' ', 'from ' || nullif(t.trffromsql, 0)::regprocedure, 'to ' || nullif(t.trftosql, 0)::regprocedure
    )
    from pg_catalog.pg_transform as t
    union all
    select 'access_method', 'pg_catalog.pg_am'::regclass, m.oid, pg_catalog.concat_ws(' ', m.amtype, m.amhandler)
    from pg_catalog.pg_am as m
    union all
    select 'text_search_parser', 'pg_catalog.pg_ts_parser'::regclass, t.oid, pg_catalog.concat_ws(
        ' ', t.prsstart, t.prstoken, t.prsend, t.prsheadline, t.prslextype
    )
    from pg_catalog.pg_ts_parser as t
    union all
    select
        'text_search_template', 'pg_catalog.pg_ts_template'::regclass, t.oid,
        pg_catalog.concat_ws(' ', t.tmplinit, t.tmpllexize)
    from pg_catalog.pg_ts_template as t
    union all
    select 'text_search_configuration', 'pg_catalog.pg_ts_config'::regclass, t.oid, pg_catalog.concat_ws(
        ' ',
        (
            select 'parser ' || i.identity
            from pg_catalog.pg_identify_object('pg_catalog.pg_ts_parser'::regclass, t.cfgparser, 0) as i
        ),
        (
            select pg_catalog.string_agg(
                m.maptokentype || ' ' || m.mapdict::regdictionary, ', ' order by m.maptokentype, m.mapseqno
            )
            from pg_catalog.pg_ts_config_map as m where m.mapcfg = t.oid
        )
    )
    from pg_catalog.pg_ts_config as t
    union all
    select 'text_search_dictionary', 'pg_catalog.pg_ts_dict'::regclass, t.oid, pg_catalog.concat_ws(
        ' ',
        (
            select 'template ' || i.identity
            from pg_catalog.pg_identify_object('pg_catalog.pg_ts_template'::regclass, t.dicttemplate, 0) as i
        ),
        t.dictinitoption
    )
    from pg_catalog.pg_ts_dict as t
    union all
    select 'language', 'pg_catalog.pg_language'::regclass, l.oid, pg_catalog.concat_ws(
        ' ', case when l.lanpltrusted then 'trusted' end, nullif(l.lanplcallfoid, 0)::regprocedure,
        'inline ' || nullif(l.laninline, 0)::regprocedure, 'validator ' || nullif(l.lanvalidator, 0)::regprocedure
    )
    from pg_catalog.pg_language as l
    union all
    select
        'foreign_data_wrapper', 'pg_catalog.pg_foreign_data_wrapper'::regclass, w.oid,
        pg_catalog.concat_ws(
            ' ', nullif(w.fdwhandler, 0)::regprocedure, nullif(w.fdwvalidator, 0)::regprocedure,
            'options (' || (
                select pg_catalog.string_agg(o.option, ', ' order by o.option collate "C")
                from pg_catalog.unnest(w.fdwoptions) as o (option)
            ) || ')'
        )
    from pg_catalog.pg_foreign_data_wrapper as w
) as o
cross join lateral pg_catalog.pg_identify_object(o.classid, o.oid, 0) as i
where
    o.oid >= 16384 and coalesce(i.schema, '') !~ '^pg_' and coalesce(i.schema, '') <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = o.classid and e.objid = o.oid and e.deptype in ('e', 'i')
    );

-- name: depends_on_extension
-- ALTER ... DEPENDS ON EXTENSION: DROP EXTENSION takes it along.
select
    'depends_on_extension', i.schema, i.type || ' ' || i.identity || ' ' || pg_catalog.quote_ident(x.extname), '',
    null::text
from pg_catalog.pg_depend as e
inner join pg_catalog.pg_extension as x on e.refobjid = x.oid
cross join lateral pg_catalog.pg_identify_object(e.classid, e.objid, 0) as i
where e.refclassid = 'pg_catalog.pg_extension'::regclass and e.deptype = 'x';

-- name: rare_owner
-- Owners of what nobody is granted rights on.
select
    'owner', i.schema, o.kind || ' ' || i.identity, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o.owner)),
    null::text
from (
    select 'statistics' as kind, 'pg_catalog.pg_statistic_ext'::regclass as classid, s.oid, s.stxowner as owner
    from pg_catalog.pg_statistic_ext as s
    union all
    select 'collation', 'pg_catalog.pg_collation'::regclass, c.oid, c.collowner from pg_catalog.pg_collation as c
    union all
    select 'operator', 'pg_catalog.pg_operator'::regclass, o.oid, o.oprowner from pg_catalog.pg_operator as o
    union all
    select 'operator_class', 'pg_catalog.pg_opclass'::regclass, o.oid, o.opcowner from pg_catalog.pg_opclass as o
    union all
    select 'operator_family', 'pg_catalog.pg_opfamily'::regclass, o.oid, o.opfowner from pg_catalog.pg_opfamily as o
    union all
    select 'conversion', 'pg_catalog.pg_conversion'::regclass, c.oid, c.conowner from pg_catalog.pg_conversion as c
    union all
    select 'text_search_configuration', 'pg_catalog.pg_ts_config'::regclass, t.oid, t.cfgowner
    from pg_catalog.pg_ts_config as t
    union all
    select 'text_search_dictionary', 'pg_catalog.pg_ts_dict'::regclass, t.oid, t.dictowner
    from pg_catalog.pg_ts_dict as t
    union all
    select 'publication', 'pg_catalog.pg_publication'::regclass, p.oid, p.pubowner from pg_catalog.pg_publication as p
    union all
    select 'foreign_data_wrapper', 'pg_catalog.pg_foreign_data_wrapper'::regclass, w.oid, w.fdwowner
    from pg_catalog.pg_foreign_data_wrapper as w
    union all
    select 'event_trigger', 'pg_catalog.pg_event_trigger'::regclass, t.oid, t.evtowner
    from pg_catalog.pg_event_trigger as t
) as o
cross join lateral pg_catalog.pg_identify_object(o.classid, o.oid, 0) as i
where
    o.oid >= 16384 and coalesce(i.schema, '') !~ '^pg_' and coalesce(i.schema, '') <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = o.classid and e.objid = o.oid and e.deptype in ('e', 'i')
    );
