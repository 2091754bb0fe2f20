-- Tables whose rows a restore puts through functions of somebody's making: those see an empty search_path then.

-- name: concerned
-- Table, the kinds of what calls the function, and the functions. pg_depend has each function, operator and operator class
-- that an expression names; 16384 is the first OID that is not the server's own (FirstNormalObjectId).
with recursive made as (
    select d.classid, d.objid, f.function_oid
    from pg_catalog.pg_depend as d
    left join lateral (
        select d.refobjid
        where d.refclassid = 'pg_catalog.pg_proc'::regclass
        union all
        select o.oprcode::oid
        from pg_catalog.pg_operator as o
        where d.refclassid = 'pg_catalog.pg_operator'::regclass and d.refobjid = o.oid
        union all
        select p.amproc::oid
        from pg_catalog.pg_opclass as c
        inner join pg_catalog.pg_amproc as p on c.opcfamily = p.amprocfamily
        where d.refclassid = 'pg_catalog.pg_opclass'::regclass and d.refobjid = c.oid
    ) as f (function_oid) on true
    where
        d.refobjid >= 16384
        and d.refclassid in (
            'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_opclass'::regclass
        )
),

types as (
    select k.contypid as type_oid, m.function_oid
    from made as m
    inner join pg_catalog.pg_constraint as k on m.classid = 'pg_catalog.pg_constraint'::regclass and m.objid = k.oid
    where k.contypid <> 0
    union
    select p.whole, t.function_oid
    from types as t
    inner join parts as p on t.type_oid = p.part
),

using_them as (
    select i.indrelid as relid, m.function_oid
    from made as m
    inner join pg_catalog.pg_index as i on m.classid = 'pg_catalog.pg_class'::regclass and m.objid = i.indexrelid
    union
    select k.conrelid, m.function_oid
    from made as m
    inner join pg_catalog.pg_constraint as k on m.classid = 'pg_catalog.pg_constraint'::regclass and m.objid = k.oid
    where k.conrelid <> 0
    union
    select c.oid, m.function_oid
    from made as m
    inner join pg_catalog.pg_class as c on m.classid = 'pg_catalog.pg_class'::regclass and m.objid = c.oid
    where c.relkind in ('r', 'p')
    union
    select a.adrelid, m.function_oid
    from made as m
    inner join pg_catalog.pg_attrdef as a on m.classid = 'pg_catalog.pg_attrdef'::regclass and m.objid = a.oid
    inner join pg_catalog.pg_attribute as c on a.adrelid = c.attrelid and a.adnum = c.attnum
    where c.attgenerated <> ''
    union
    select a.attrelid, t.function_oid
    from types as t
    inner join pg_catalog.pg_attribute as a on t.type_oid = a.atttypid
    where a.attnum > 0 and not a.attisdropped
    union
    select b.refobjid, m.function_oid
    from made as m
    inner join pg_catalog.pg_rewrite as r on m.classid = 'pg_catalog.pg_rewrite'::regclass and m.objid = r.oid
    inner join pg_catalog.pg_class as v on r.ev_class = v.oid and v.relkind = 'm'
    inner join pg_catalog.pg_depend as b
        on b.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = b.objid
        and b.refclassid = 'pg_catalog.pg_class'::regclass
),

below as (
    select u.relid, u.function_oid, u.relid as top_oid
    from using_them as u
    union
    select h.inhrelid, b.function_oid, b.top_oid
    from below as b
    inner join pg_catalog.pg_inherits as h on b.relid = h.inhparent
)

select
    c.oid::regclass::text as name,
    b.top_oid::regclass::text as top_name,
    pg_catalog.array_agg(distinct f.oid::regprocedure::text) filter (
        where not coalesce(f.proconfig::text ~ 'search_path=', false) and l.lanname not in ('c', 'internal')
        and f.prosqlbody is null
    ) as loose
from below as b
inner join pg_catalog.pg_class as c on b.relid = c.oid
left join pg_catalog.pg_proc as f on b.function_oid = f.oid
left join pg_catalog.pg_language as l on f.prolang = l.oid
where c.relkind in ('r', 'p')
group by c.oid, b.top_oid
order by 1, 2;

-- name: empty
-- Of a database that has just been restored: a table without a page has no rows. A partitioned one has its partitions'.
select t.name
from pg_catalog.unnest(%(tables)s::text[]) as t (name)
where
    coalesce(
        (
            select pg_catalog.sum(pg_catalog.pg_relation_size(p.relid))
            from pg_catalog.pg_partition_tree(t.name::regclass) as p
        ),
        pg_catalog.pg_relation_size(t.name::regclass)
    ) = 0;
