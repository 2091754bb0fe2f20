-- What stays the same when it gets another name or goes to another schema.

-- name: tables
-- Tables, partitioned ones and partitions, with the numbers and the names of the columns that they have.
select
    c.oid,
    c.oid::regclass::text as name,
    array_agg(a.attnum::int4 order by a.attnum) filter (where a.attnum is not null) as numbers,
    array_agg(a.attname::text order by a.attnum) filter (where a.attnum is not null) as columns
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join pg_catalog.pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
where
    c.relkind in ('r', 'p') and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not n.nspname = any(%(exclude)s::text[])
group by c.oid
order by 2;

-- name: sequences
select s.oid
from pg_catalog.pg_class as s
where s.relkind = 'S' and s.relpersistence <> 't';
