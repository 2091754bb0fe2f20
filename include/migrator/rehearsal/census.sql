-- What lies on a server beside the content of its databases.

-- name: census
-- Roles, memberships, databases, settings and comments. Copies of other runs come and go with their stand-ins, and a
-- copy's role and its database have one name: marked roles are left out with all that hangs on them, but for our own.
with others as (
    select r.oid, r.rolname, m.mark like '{"migrator_copy"%%' as is_copy
    from pg_catalog.pg_roles as r
    cross join lateral (select pg_catalog.shobj_description(r.oid, 'pg_authid') as mark) as m
    where
        (m.mark like '{"migrator_copy"%%' or m.mark like '{"migrator_stand_in"%%')
        and not r.rolname = any(%(own)s::text [])
),

databases as (
    select d.*
    from pg_catalog.pg_database as d
    where
        not exists (
            select from others as o
            where o.is_copy and (d.datname = o.rolname or d.datname::text = any(
                select o.rolname::text || s.suffix from pg_catalog.unnest(%(suffixes)s::text []) as s (suffix)
            ))
        )
        and d.datname <> %(calibration)s
)

select 'role' as kind, r.rolname::text as name, (
    pg_catalog.to_jsonb(r)
    - case when r.rolname = any(%(own)s::text []) then '{rolpassword,rolconfig,rolcanlogin,rolvaliduntil}'::text []
        else '{rolpassword,rolconfig}'::text [] end
)::text as description
from pg_catalog.pg_roles as r
where not exists (select from others as o where o.oid = r.oid)
union all
select
    'membership',
    pg_catalog.pg_get_userbyid(m.member)::text || ' in ' || pg_catalog.pg_get_userbyid(m.roleid)::text
    || ' by ' || pg_catalog.pg_get_userbyid(m.grantor)::text,
    (pg_catalog.to_jsonb(m) - '{oid,roleid,member,grantor}'::text [])::text
from pg_catalog.pg_auth_members as m
where not exists (select from others as o where o.oid in (m.roleid, m.member))
union all
select
    'database', d.datname::text,
    (
        pg_catalog.to_jsonb(d) - '{datname,datacl,datfrozenxid,datminmxid,datlastsysoid,datcollversion}'::text []
        || pg_catalog.jsonb_build_object('granted', (
            -- What was granted and taken back is as before, although it is written down then.
            select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a) order by pg_catalog.to_jsonb(a)::text)
            from pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) as a
        ))
    )::text
from databases as d
union all
select
    'settings',
    case when s.setrole <> 0 then 'role ' || pg_catalog.pg_get_userbyid(s.setrole)::text else 'every role' end
    || case when s.setdatabase <> 0 then ' in database ' || d.datname::text else '' end,
    s.setconfig::text
from pg_catalog.pg_db_role_setting as s
left join databases as d on s.setdatabase = d.oid
where
    (s.setdatabase = 0 or d.oid is not null)
    and not exists (select from others as o where o.oid = s.setrole)
union all
select
    'comment', coalesce('database ' || d.datname::text, 'role ' || pg_catalog.pg_get_userbyid(c.objoid)::text),
    c.description
from pg_catalog.pg_shdescription as c
left join databases as d on c.objoid = d.oid and c.classoid = 'pg_catalog.pg_database'::regclass
where
    d.oid is not null or (
        c.classoid = 'pg_catalog.pg_authid'::regclass and not exists (select from others as o where o.oid = c.objoid)
    )
union all
select 'tablespace', t.spcname::text, (pg_catalog.to_jsonb(t) - 'spcname')::text
from pg_catalog.pg_tablespace as t
order by 1, 2, 3;
