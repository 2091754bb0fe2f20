-- Roles of the target's names on the server for restored copies.

-- name: of_target
-- Every role there that may be named, and what the role that migrates may do as it. SET came with 16, as a word of its own.
select
    r.rolname::text as name,
    pg_catalog.concat_ws(
        ' ',
        case when pg_catalog.pg_has_role(r.oid, 'USAGE') then 'inherit' end,
        case when pg_catalog.pg_has_role(r.oid, %(become)s) then 'set' end
    ) as may
from pg_catalog.pg_roles as r
where r.rolname !~ '^pg_'
order by r.rolname;

-- name: lock
-- Who makes some, and who drops those of which there is no more need, wait for each other.
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('migrator stand-ins', 0));

-- name: there
-- Which of these roles there are, whether one is marked, and whether we have made it.
select
    r.rolname::text as name,
    coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid') = %(mark)s, false) as marked,
    exists (
        select from pg_catalog.pg_auth_members as m
        where m.roleid = r.oid and m.member = (select u.oid from pg_catalog.pg_roles as u where u.rolname = current_user)
    ) as ours
from pg_catalog.pg_roles as r
where r.rolname = any(%(names)s::text []);

-- name: marked
-- All that we have made.
select r.rolname::text as name
from pg_catalog.pg_roles as r
where
    pg_catalog.shobj_description(r.oid, 'pg_authid') = %(mark)s
    and exists (
        select from pg_catalog.pg_auth_members as m
        where m.roleid = r.oid and m.member = (select u.oid from pg_catalog.pg_roles as u where u.rolname = current_user)
    )
order by r.rolname;

-- name: marks_of_copies
-- Whoever has made them: each says which stand-ins it needs.
select pg_catalog.shobj_description(r.oid, 'pg_authid') as mark
from pg_catalog.pg_roles as r
where pg_catalog.shobj_description(r.oid, 'pg_authid') like '{"migrator_copy"%%';

-- name: may_not_make
-- Whether a role may make nothing in a schema.
select n.nspname::text as name
from pg_catalog.pg_namespace as n
where n.nspname = %(schema)s and not pg_catalog.has_schema_privilege(%(role)s, n.oid, 'CREATE');
