-- Restored copies: a marked role, what it owns, and the databases in which that lies.

-- name: marked_roles
-- Roles that say that they are a copy's. Only who may make roles can make them say so, and only ours count: we are a
-- member of each that we have made.
select
    r.rolname::text as name,
    r.oid::bigint as role_oid,
    pg_catalog.shobj_description(r.oid, 'pg_authid') as mark
from pg_catalog.pg_roles as r
where
    pg_catalog.shobj_description(r.oid, 'pg_authid') like '{"migrator_copy"%%'
    and exists (
        select from pg_catalog.pg_auth_members as m
        where m.roleid = r.oid and m.member = (select u.oid from pg_catalog.pg_roles as u where u.rolname = current_user)
    )
order by r.rolname;

-- name: databases
-- Those of one copy, with what they say about themselves.
select
    d.datname::text as name,
    pg_catalog.pg_get_userbyid(d.datdba) = current_user as ours,
    d.datallowconn as opened,
    pg_catalog.shobj_description(d.oid, 'pg_database') as mark
from pg_catalog.pg_database as d
where d.datname = any(%(names)s::text []);

-- name: old_marks
-- Copies of an earlier version, which had no role of their own.
select
    d.datname::text as name,
    pg_catalog.shobj_description(d.oid, 'pg_database') as mark
from pg_catalog.pg_database as d
where
    pg_catalog.shobj_description(d.oid, 'pg_database') like '{"migrator_copy": 1,%%'
    and pg_catalog.pg_get_userbyid(d.datdba) = current_user
order by d.datname;

-- name: open_to_everybody
-- Databases that a copy's role could connect to, because every role can.
select
    d.datname::text as name,
    pg_catalog.pg_get_userbyid(d.datdba)::text as owner
from pg_catalog.pg_database as d
where d.datallowconn and pg_catalog.has_database_privilege('public', d.oid, 'CONNECT')
order by d.datname;

-- name: reachable
-- The same for some roles by name.
select r.name, d.datname::text as database
from pg_catalog.unnest(%(roles)s::text []) as r (name)
cross join pg_catalog.pg_database as d
where
    d.datallowconn and pg_catalog.has_database_privilege(r.name, d.oid, 'CONNECT')
    and not d.datname = any(%(own)s::text [])
order by r.name, d.datname;

-- name: schemas_to_give
-- From PostgreSQL 15 on the database's owner has `public`, before that the superuser that made the cluster.
select n.nspname::text as name
from pg_catalog.pg_namespace as n
where
    pg_catalog.pg_has_role(n.nspowner, 'USAGE') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by n.nspname;

-- name: others_in_it
-- Until PostgreSQL 15 a role may let others be members of itself.
select pg_catalog.pg_get_userbyid(m.member)::text as member
from pg_catalog.pg_auth_members as m
inner join pg_catalog.pg_roles as r on m.roleid = r.oid
where r.rolname = %(role)s and pg_catalog.pg_get_userbyid(m.member) <> current_user
order by 1;

-- name: settings_of
-- Databases for which a role has settings of its own. It may give itself some for any database.
select d.datname::text as name
from pg_catalog.pg_db_role_setting as s
inner join pg_catalog.pg_roles as r on s.setrole = r.oid
inner join pg_catalog.pg_database as d on s.setdatabase = d.oid
where r.rolname = %(role)s
order by 1;

-- name: end_sessions
-- Whoever is logged in as a copy's role, but for ourselves.
select pg_catalog.pg_terminate_backend(a.pid)
from pg_catalog.pg_stat_activity as a
where a.usename = %(role)s and not a.pid = any(%(ours)s::int []);

-- name: moment_in
-- VALID UNTIL wants a text.
select (pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => %(seconds)s::float8))::text as moment;

-- name: powers
-- What the role of a copy and the stand-ins may not have, in words. None of it is ever given; a person may have.
select r.rolname::text as name, array_remove(array[
    case when r.rolsuper then 'is a superuser' end,
    case when r.rolcreatedb then 'may create databases' end,
    case when r.rolcreaterole then 'may create roles' end,
    case when r.rolreplication then 'may replicate' end,
    case when r.rolbypassrls then 'passes row level security' end,
    case when r.rolcanlogin and r.rolname <> %(role)s then 'may log in' end,
    case when exists (
        select from pg_catalog.pg_auth_members as m
        where
            m.member = r.oid
            and (r.rolname <> %(role)s or not pg_catalog.pg_get_userbyid(m.roleid) = any(%(stand_ins)s::text []))
    ) then 'is a member of roles' end
], null) as powers
from pg_catalog.pg_roles as r
where r.rolname = %(role)s or r.rolname = any(%(stand_ins)s::text [])
order by r.rolname <> %(role)s, r.rolname;
