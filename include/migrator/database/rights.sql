-- Who may do what with which object, and what it does with whose rights.

-- name: objects
-- `words` is what a statement says beside the definition, and OR REPLACE takes away when it does not say it again.
select
    c.oid::int8 as oid,
    case c.relkind when 'v' then 'view' when 'm' then 'materialized_view' when 'S' then 'sequence' else 'table' end as kind,
    c.oid::regclass::text as name,
    pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner)) as owner,
    case c.relkind when 'v' then coalesce(c.reloptions, '{}') else '{}' end
    || case when c.relrowsecurity then '{ROW LEVEL SECURITY}'::text [] else '{}' end
    || case when c.relforcerowsecurity then '{FORCE ROW LEVEL SECURITY}'::text [] else '{}' end as words
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    c.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not n.nspname = any(%(exclude)s::text[])
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
    )
union all
select
    p.oid::int8,
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
    || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
    pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(p.proowner)),
    array[case p.provolatile when 'i' then 'IMMUTABLE' when 's' then 'STABLE' else 'VOLATILE' end]
    || case when p.prosecdef then '{SECURITY DEFINER}'::text [] else '{}' end
    || case when p.proleakproof then '{LEAKPROOF}'::text [] else '{}' end
    || case when p.proisstrict then '{STRICT}'::text [] else '{}' end
    || case p.proparallel when 's' then '{PARALLEL SAFE}'::text [] when 'r' then '{PARALLEL RESTRICTED}' else '{}' end
    || array['COST ' || p.procost]
    || case when p.proretset then array['ROWS ' || p.prorows] else '{}' end
    || array(select 'SET ' || s.setting from pg_catalog.unnest(p.proconfig) as s (setting))
from pg_catalog.pg_proc as p
inner join pg_catalog.pg_namespace as n on p.pronamespace = n.oid
where
    n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not n.nspname = any(%(exclude)s::text[])
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid and e.deptype in ('e', 'i')
    )
order by 2, 3;

-- name: grants
-- What each role may do, by default or because it was granted; the owner's own are left out. A column's come with its
-- name.
with object as (
    select
        c.oid, c.relowner as owner, coalesce(
            c.relacl, pg_catalog.acldefault((case c.relkind when 'S' then 's' else 'r' end)::"char", c.relowner)
        ) as acl,
        null::text as attname
    from pg_catalog.pg_class as c where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
    union all
    select a.attrelid, c.relowner, a.attacl, pg_catalog.quote_ident(a.attname)
    from pg_catalog.pg_attribute as a inner join pg_catalog.pg_class as c on a.attrelid = c.oid
    where a.attacl is not null and not a.attisdropped
    union all
    select p.oid, p.proowner, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), null
    from pg_catalog.pg_proc as p
)

select distinct
    o.oid::int8 as oid, o.attname,
    case when g.grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end as role,
    g.privilege_type as privilege
from object as o
cross join lateral pg_catalog.aclexplode(o.acl) as g
where o.oid = any(%(oids)s::oid[]) and g.grantee <> o.owner;
