-- Content of tables and positions of sequences.

-- name: tables
-- Everything that holds rows of its own: tables and partitions. Not the parents of partitions (their rows are their
-- partitions'), not materialized views (a restore fills them anew: theirs is what the query gives then), not foreign
-- tables (their rows are elsewhere), not members of extensions.
select
    c.oid::regclass::text as name,
    n.nspname::text as nspname,
    c.relname::text as relname,
    c.oid,
    exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and a.attgenerated <> '' and not a.attisdropped
    ) as generated,
    r.rolname = current_user or r.rolsuper as ours
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_roles as r on c.relowner = r.oid
where
    c.relkind = 'r' and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not n.nspname = any(%(exclude)s::text[])
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
    )
order by c.relpages desc, n.nspname collate "C", c.relname collate "C";

-- name: columns
-- In the order of their names, for two tables that have the same columns in another order.
select
    a.attname::text,
    a.attnum,
    a.attgenerated::text as generated
from pg_catalog.pg_attribute as a
where a.attrelid = %(table)s::regclass and a.attnum > 0 and not a.attisdropped
order by a.attname collate "C";

-- name: sequences
-- A sequence that was never used has no last value. Not readable without SELECT or USAGE on it.
select
    s.oid::regclass::text as name,
    case
        when pg_catalog.has_sequence_privilege(s.oid, 'SELECT, USAGE') then pg_catalog.pg_sequence_last_value(s.oid)
    end as last_value,
    pg_catalog.has_sequence_privilege(s.oid, 'SELECT, USAGE') as readable
from pg_catalog.pg_class as s
inner join pg_catalog.pg_namespace as n on s.relnamespace = n.oid
where
    s.relkind = 'S' and s.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not n.nspname = any(%(exclude)s::text[])
order by 1;
