-- What the rights on one object open of others: through parents, queries, rules, policies, triggers and functions.

-- name: nodes
-- `saved` and `shown` differ from those before where what the object does is written anew: a rename alone changes only
-- what is shown, other line ends only what is saved. `own_rights`: it works with its owner's, whoever uses it.
select
    'relation' as kind, c.oid::int8 as oid, c.oid::regclass::text as name, n.nspname::text as schema_name,
    c.relname::text as bare, c.relkind in ('r', 'p', 'f', 'm') as is_rows,
    c.relkind <> 'v' or not exists (
        select from pg_catalog.pg_options_to_table(c.reloptions) as o
        where o.option_name = 'security_invoker' and o.option_value::bool
    ) as own_rights,
    pg_catalog.md5(r.ev_action::text) as saved, pg_catalog.pg_get_viewdef(r.ev_class) as shown,
    null::text as code, null::text [] as roles, null::bool as widens
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join pg_catalog.pg_rewrite as r on c.oid = r.ev_class and r.rulename = '_RETURN'
where c.relkind in ('r', 'p', 'f', 'v', 'm') and c.oid >= 16384 and not n.nspname = any(%(exclude)s::text [])
union all
select
    'function', p.oid::int8,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
    || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
    n.nspname::text, p.proname::text, false, p.prosecdef,
    pg_catalog.concat(l.lanname, p.prosrc, p.probin, pg_catalog.md5(p.prosqlbody::text)),
    pg_catalog.concat(l.lanname, p.prosrc, p.probin, pg_catalog.pg_get_function_sqlbody(p.oid)),
    case when l.lanname in ('sql', 'plpgsql') and p.prokind in ('f', 'p') then pg_catalog.pg_get_functiondef(p.oid) end,
    null, null
from pg_catalog.pg_proc as p
inner join pg_catalog.pg_namespace as n on p.pronamespace = n.oid
inner join pg_catalog.pg_language as l on p.prolang = l.oid
where p.oid >= 16384 and not n.nspname = any(%(exclude)s::text [])
union all
select
    'rule', r.oid::int8, r.ev_class::regclass::text || '.' || pg_catalog.quote_ident(r.rulename), null, null, false, true,
    pg_catalog.md5(r.ev_qual::text || r.ev_action::text), pg_catalog.pg_get_ruledef(r.oid), null, null, null
from pg_catalog.pg_rewrite as r
where r.rulename <> '_RETURN' and r.oid >= 16384
union all
select
    'policy', p.oid::int8, p.polrelid::regclass::text || '.' || pg_catalog.quote_ident(p.polname), null, null, false, false,
    pg_catalog.concat(p.polcmd, p.polpermissive, p.polroles, pg_catalog.md5(pg_catalog.concat(p.polqual, p.polwithcheck))),
    pg_catalog.concat(
        p.polcmd, p.polpermissive, p.polroles, pg_catalog.pg_get_expr(p.polqual, p.polrelid), '/',
        pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
    ),
    null,
    array(
        select case when r.role = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.role)) end
        from pg_catalog.unnest(p.polroles) as r (role)
    ),
    p.polpermissive
from pg_catalog.pg_policy as p;

-- name: edges
-- `by`: whether to read or to write leads there; null: both do.
with used as (
    select
        d.classid, d.objid,
        case d.refclassid when 'pg_catalog.pg_class'::regclass then 'relation' else 'function' end as kind,
        coalesce(o.oprcode::oid, d.refobjid) as oid
    from pg_catalog.pg_depend as d
    left join pg_catalog.pg_operator as o on d.refclassid = 'pg_catalog.pg_operator'::regclass and d.refobjid = o.oid
    where
        d.refclassid in (
            'pg_catalog.pg_class'::regclass, 'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass
        )
        and d.deptype = 'n' and coalesce(o.oprcode::oid, d.refobjid) >= 16384
)

select 'relation' as kind, i.inhparent::int8 as oid, 'relation' as to_kind, i.inhrelid::int8 as to_oid, null::text as by
from pg_catalog.pg_inherits as i
union
select 'relation', r.ev_class::int8, u.kind, u.oid::int8, 'read'
from pg_catalog.pg_rewrite as r
inner join used as u on u.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = u.objid
where r.rulename = '_RETURN' and u.oid <> r.ev_class
union
select 'relation', r.ev_class::int8, 'relation', max(u.oid::int8), 'write'
from pg_catalog.pg_rewrite as r
inner join used as u on u.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = u.objid and u.kind = 'relation'
where r.rulename = '_RETURN' and u.oid <> r.ev_class and pg_catalog.pg_relation_is_updatable(r.ev_class, false) <> 0
group by r.ev_class
having count(distinct u.oid) = 1
union
select 'relation', r.ev_class::int8, 'rule', r.oid::int8, 'write'
from pg_catalog.pg_rewrite as r
where r.rulename <> '_RETURN' and r.ev_enabled <> 'D'
union
select 'rule', r.oid::int8, u.kind, u.oid::int8, null
from pg_catalog.pg_rewrite as r
inner join used as u on u.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = u.objid
where r.rulename <> '_RETURN' and u.oid <> r.ev_class
union
select 'relation', p.polrelid::int8, 'policy', p.oid::int8, null
from pg_catalog.pg_policy as p
inner join pg_catalog.pg_class as c on p.polrelid = c.oid
where c.relrowsecurity
union
select 'policy', u.objid::int8, u.kind, u.oid::int8, null
from used as u
where u.classid = 'pg_catalog.pg_policy'::regclass and u.kind = 'function'
union
select 'relation', t.tgrelid::int8, 'function', t.tgfoid::int8, 'write'
from pg_catalog.pg_trigger as t
inner join pg_catalog.pg_proc as p on t.tgfoid = p.oid
where p.prosecdef and not t.tgisinternal and t.tgenabled <> 'D'
union
select 'function', u.objid::int8, u.kind, u.oid::int8, null
from used as u
where u.classid = 'pg_catalog.pg_proc'::regclass;
