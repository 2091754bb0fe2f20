-- What stays the same when it gets another name or goes to another schema.

-- name: tables
-- Tables, partitioned ones and partitions, with the numbers and the names of the columns that they have, and whether
-- they store what they generate.
select
    c.oid,
    c.oid::regclass::text as name,
    array_agg(a.attnum::int4 order by a.attnum) filter (where a.attnum is not null) as numbers,
    array_agg(a.attname::text order by a.attnum) filter (where a.attnum is not null) as columns,
    coalesce(bool_or(a.attgenerated = 's'), false) as generated
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join pg_catalog.pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
where
    c.relkind in ('r', 'p') and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not n.nspname = any(%(exclude)s::text[])
group by c.oid
order by 2;

-- name: held
-- By table and row type, the columns that have values of it; 0 stands for regclass and its like. Other types of the
-- server's own are left out, 16384 being the first oid that is given: they have none of these in them.
with recursive named as (
    select t.oid
    from pg_catalog.pg_type as t
    where t.typnamespace = 'pg_catalog'::regnamespace and t.typname like 'reg%%'
),

parts as (
    select t.oid as whole, t.typelem as part
    from pg_catalog.pg_type as t
    where t.typelem >= 16384 or t.typelem in (select n.oid from named as n)
    union all
    select t.oid, t.typbasetype
    from pg_catalog.pg_type as t
    where t.typbasetype <> 0
    union all
    select r.rngtypid, r.rngsubtype
    from pg_catalog.pg_range as r
    where r.rngtypid >= 16384
    union all
    select r.rngmultitypid, r.rngtypid
    from pg_catalog.pg_range as r
    where r.rngtypid >= 16384
    union all
    select c.reltype, a.atttypid
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid
    where c.reltype >= 16384 and a.attnum > 0 and not a.attisdropped
),

reach as (
    select t.oid as of_type, t.typrelid as kind
    from pg_catalog.pg_type as t
    where t.oid >= 16384 and t.typrelid <> 0
    union all
    select n.oid, 0
    from named as n
    union
    select p.whole, r.kind
    from reach as r
    inner join parts as p on r.of_type = p.part
)

select
    c.oid,
    r.kind,
    array_agg(distinct a.attname::text) as columns
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
inner join reach as r on a.atttypid = r.of_type
where
    c.relkind in ('r', 'p') and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not n.nspname = any(%(exclude)s::text[])
group by c.oid, r.kind;

-- name: types
select
    c.oid,
    c.oid::regclass::text as name,
    array_agg(a.attnum::int4 order by a.attnum) filter (where a.attnum is not null) as numbers,
    array_agg(a.attname::text order by a.attnum) filter (where a.attnum is not null) as columns
from pg_catalog.pg_class as c
left join pg_catalog.pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
where c.oid = any(%(types)s::oid[])
group by c.oid;

-- name: sequences
select s.oid
from pg_catalog.pg_class as s
where s.relkind = 'S' and s.relpersistence <> 't';

-- name: named
-- All that a regclass and its like may name, as one number: what is made anew has another oid, and the old one, where a
-- row has it, names nothing any more.
with things as (
    select c.oid, c.relnamespace as schema, c.relname as name from pg_catalog.pg_class as c
    union all
    select p.oid, p.pronamespace, p.proname from pg_catalog.pg_proc as p
    union all
    select t.oid, t.typnamespace, t.typname from pg_catalog.pg_type as t
    union all
    select o.oid, o.oprnamespace, o.oprname from pg_catalog.pg_operator as o
    union all
    select l.oid, l.collnamespace, l.collname from pg_catalog.pg_collation as l
    union all
    select f.oid, f.cfgnamespace, f.cfgname from pg_catalog.pg_ts_config as f
    union all
    select d.oid, d.dictnamespace, d.dictname from pg_catalog.pg_ts_dict as d
    union all
    select n.oid, n.oid as schema, n.nspname from pg_catalog.pg_namespace as n
)

select
    coalesce(
        pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws('.', t.oid, n.nspname, t.name), 0)::numeric), 0
    )::text as total
from things as t
inner join pg_catalog.pg_namespace as n on t.schema = n.oid
where
    t.oid >= 16384 and n.nspname !~ '^pg_(toast|temp)'
    and not n.nspname = any(%(exclude)s::text[]);
