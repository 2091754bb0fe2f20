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
-- By table and row type, the columns that have values of it. Types of the server's own have none of others in them:
-- they are left out, 16384 being the first oid that is given.
with recursive parts as (
    select t.oid as whole, t.typelem as part
    from pg_catalog.pg_type as t
    where t.typelem >= 16384
    union all
    select t.oid, t.typbasetype
    from pg_catalog.pg_type as t
    where t.typbasetype >= 16384
    union all
    select r.rngtypid, r.rngsubtype
    from pg_catalog.pg_range as r
    where r.rngsubtype >= 16384
    union all
    select r.rngmultitypid, r.rngtypid
    from pg_catalog.pg_range as r
    where r.rngtypid >= 16384
    union all
    select c.reltype, a.atttypid
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid
    where c.reltype >= 16384 and a.atttypid >= 16384 and a.attnum > 0 and not a.attisdropped
),

reach as (
    select t.oid as of_type, t.typrelid as kind
    from pg_catalog.pg_type as t
    where t.oid >= 16384 and t.typrelid <> 0
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
