-- The moment of a snapshot, and the bookkeeping of restored copies.

-- name: moment
-- Everything that is dumped and hashed is of this very snapshot. A standby has no current insert position.
select
    pg_catalog.pg_export_snapshot() as snapshot,
    pg_catalog.clock_timestamp() as taken_at,
    case
        when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
        else pg_catalog.pg_current_wal_lsn()
    end::text as lsn,
    pg_catalog.current_database()::text as dbname;

-- name: members
-- Which of these are members of extensions here, too, with the definitions that schema.extension_member gives them.
select
    m.name,
    coalesce(
        case m.classid
            when 'pg_catalog.pg_proc'::regclass then (
                select pg_catalog.pg_get_functiondef(p.oid)
                from pg_catalog.pg_proc as p where p.oid = m.objid and p.prokind <> 'a'
            )
            when 'pg_catalog.pg_class'::regclass then pg_catalog.pg_get_viewdef(m.objid)
        end, ''
    ) as definition
from (
    select
        e.classid, e.objid, i.type || ' ' || i.identity || ' of ' || pg_catalog.quote_ident(x.extname) as name
    from pg_catalog.pg_depend as e
    inner join pg_catalog.pg_extension as x on e.refobjid = x.oid
    cross join lateral pg_catalog.pg_identify_object(e.classid, e.objid, 0) as i
    where e.deptype = 'e' and e.refclassid = 'pg_catalog.pg_extension'::regclass
) as m
where m.name = any(%(names)s::text []);

-- name: missing_roles
-- Which of these roles are not on this server.
select r.name
from pg_catalog.unnest(%(roles)s::text []) as r (name)
where not exists (select from pg_catalog.pg_roles as p where p.rolname = r.name) and r.name <> 'public'
order by r.name;
