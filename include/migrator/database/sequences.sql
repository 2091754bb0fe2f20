-- Sequences, and the columns that take their values from them.

-- name: locked
-- Until the transaction ends no sequence of these is renamed or dropped: its value is asked for by the oid.
select s.oid::int8 as oid, pg_catalog.pg_sequence_last_value(s.oid) as last_value
from pg_catalog.pg_class as s
where
    case
        when s.relkind = 'S' and s.relpersistence <> 't' then pg_catalog.has_sequence_privilege(s.oid, 'SELECT')
    end;

-- name: sequences
-- Every sequence with what decides its next value; its position is in the sequence itself. Not those of extensions.
select
    s.oid::int8 as oid, s.oid::regclass::text as name, n.nspname::text as nspname, s.relname::text as relname,
    q.seqtypid::regtype::text as type, q.seqincrement as increment, q.seqmin as minimum, q.seqmax as maximum,
    q.seqcycle as cycles,
    pg_catalog.has_sequence_privilege(s.oid, 'SELECT') and s.oid = any(%(locked)s::oid[]) as readable
from pg_catalog.pg_class as s
inner join pg_catalog.pg_namespace as n on s.relnamespace = n.oid
inner join pg_catalog.pg_sequence as q on s.oid = q.seqrelid
where
    s.relkind = 'S' and s.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not n.nspname = any(%(exclude)s::text[])
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = s.oid and e.deptype = 'e'
    )
order by 1;

-- name: feeds
-- A column is fed by the sequence that it owns, by that of its identity, and by those that its default names. What a
-- partition has from its parent is told once, of the parent. `hidden`: why nobody can be sure to run nothing of others,
-- or to see all rows, when he reads the column.
with fed as (
    select d.objid as seqid, d.refobjid as relid, d.refobjsubid as attnum
    from pg_catalog.pg_depend as d
    where
        d.classid = 'pg_catalog.pg_class'::regclass and d.objsubid = 0 and d.deptype in ('a', 'i')
        and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjsubid > 0
    union
    select d.refobjid, f.adrelid, f.adnum::int4
    from pg_catalog.pg_depend as d
    inner join pg_catalog.pg_attrdef as f on d.objid = f.oid
    where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
)

select
    s.oid::regclass::text as sequence, c.oid::regclass::text as table_name,
    n.nspname::text as nspname, c.relname::text as relname, a.attname::text as attname,
    pg_catalog.quote_ident(a.attname) as quoted,
    pg_catalog.format_type(a.atttypid, null) as type,
    c.relkind = 'p' as partitioned,
    case
        when c.relkind not in ('r', 'p') then 'it is no table of this server'
        when a.atttypid not in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
            then 'its type is ' || pg_catalog.format_type(a.atttypid, null)
        when a.attgenerated <> '' then 'it is generated'
        when pg_catalog.row_security_active(c.oid) then 'row security hides rows'
        when not pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') then 'the role may not read it'
    end as hidden,
    exists (
        select from pg_catalog.pg_index as i
        inner join pg_catalog.pg_class as x on i.indexrelid = x.oid
        inner join pg_catalog.pg_am as m on x.relam = m.oid
        where
            i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indisvalid and i.indpred is null
            and m.amname = 'btree'
    ) as indexed,
    (
        with recursive below (oid) as (
            select c.oid
            union all
            select h.inhrelid from pg_catalog.pg_inherits as h inner join below as b on h.inhparent = b.oid
        )

        select pg_catalog.array_agg(b.oid::regclass::text) from below as b
    ) as parts,
    (
        with recursive below (oid) as (
            select c.oid
            union all
            select h.inhrelid from pg_catalog.pg_inherits as h inner join below as b on h.inhparent = b.oid
        )

        select pg_catalog.sum(pg_catalog.pg_relation_size(b.oid))::int8 from below as b
    ) as bytes
from fed as f
inner join pg_catalog.pg_class as s on f.seqid = s.oid and s.relkind = 'S' and s.relpersistence <> 't'
inner join pg_catalog.pg_class as c on f.relid = c.oid and c.relpersistence <> 't' and not c.relispartition
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_attribute as a on f.relid = a.attrelid and f.attnum = a.attnum
where
    n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not n.nspname = any(%(exclude)s::text[])
order by 1, 2, a.attname collate "C";
