-- What may keep a database from being snapshotted and restored by roles that are no superusers.

-- name: locale
-- What CREATE DATABASE must be told, or text sorts and compares differently. Releases before 15 have no provider.
select
    pg_catalog.pg_encoding_to_char(d.encoding)::text as encoding,
    d.datcollate::text as lc_collate,
    d.datctype::text as lc_ctype,
    coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') as provider,
    coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale', '') as locale,
    coalesce(pg_catalog.to_jsonb(d) ->> 'daticurules', '') as rules
from pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database();

-- name: extensions
-- In the order in which they were made: what one needs comes before it.
select x.extname::text as name, n.nspname::text as schema_name, x.extversion::text as version
from pg_catalog.pg_extension as x
inner join pg_catalog.pg_namespace as n on x.extnamespace = n.oid
where x.extname <> 'plpgsql'
order by x.oid;

-- name: offers
-- What CREATE EXTENSION can make on this server, and whether a role that is no superuser may.
select
    v.name::text as name, v.version::text as version,
    v.trusted or not v.superuser as everybody,
    v.version = a.default_version as preset
from pg_catalog.pg_available_extension_versions as v
inner join pg_catalog.pg_available_extensions as a on v.name = a.name;

-- name: templates
-- Databases that an administrator has marked for copies to be made from. Nobody has to connect to one.
select
    d.datname::text as name,
    pg_catalog.shobj_description(d.oid, 'pg_database') as mark,
    pg_catalog.pg_encoding_to_char(d.encoding)::text as encoding,
    d.datcollate::text as lc_collate,
    d.datctype::text as lc_ctype,
    coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') as provider,
    coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale', '') as locale,
    coalesce(pg_catalog.to_jsonb(d) ->> 'daticurules', '') as rules
from pg_catalog.pg_database as d
where d.datistemplate and pg_catalog.shobj_description(d.oid, 'pg_database') like '{"migrator_template"%%'
order by d.datname;

-- name: icu
-- Built --with-icu, the server has collations of it.
select exists (select from pg_catalog.pg_collation as c where c.collprovider = 'i') as icu;

-- name: held_extensions
-- Those that do not belong to whoever restores.
select x.extname::text as name
from pg_catalog.pg_extension as x
where not pg_catalog.pg_has_role(x.extowner, 'USAGE') and x.extname <> 'plpgsql'
order by 1;

-- name: held_schemas
select n.nspname::text as name
from pg_catalog.pg_namespace as n
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by 1;

-- name: held_members
-- Of extensions of others, as pg_dump writes the entry of an object's privileges (dumpACL in src/bin/pg_dump/pg_dump.c).
select m.schema_name, m.entry
from (
    select
        'pg_catalog.pg_proc'::regclass as cat, f.oid as object_oid, f.proowner as owner_oid, n.nspname::text as schema_name,
        case f.prokind when 'p' then 'PROCEDURE ' else 'FUNCTION ' end || pg_catalog.quote_ident(f.proname)
        || '(' || pg_catalog.pg_get_function_identity_arguments(f.oid) || ')' as entry
    from pg_catalog.pg_proc as f
    inner join pg_catalog.pg_namespace as n on f.pronamespace = n.oid
    union all
    select
        'pg_catalog.pg_class'::regclass, c.oid, c.relowner, n.nspname::text,
        case c.relkind when 'S' then 'SEQUENCE ' else 'TABLE ' end || pg_catalog.quote_ident(c.relname)
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    union all
    select
        'pg_catalog.pg_type'::regclass, t.oid, t.typowner, n.nspname::text,
        case t.typtype when 'd' then 'DOMAIN ' else 'TYPE ' end || pg_catalog.quote_ident(t.typname)
    from pg_catalog.pg_type as t
    inner join pg_catalog.pg_namespace as n on t.typnamespace = n.oid
    union all
    select
        'pg_catalog.pg_foreign_data_wrapper'::regclass, w.oid, w.fdwowner, '-',
        'FOREIGN DATA WRAPPER ' || pg_catalog.quote_ident(w.fdwname)
    from pg_catalog.pg_foreign_data_wrapper as w
) as m
inner join pg_catalog.pg_depend as d on m.cat = d.classid and m.object_oid = d.objid and d.deptype = 'e'
where not pg_catalog.pg_has_role(m.owner_oid, 'USAGE');

-- name: held_tables
-- Of extensions of others: a dump has the rows of some (pg_extension_config_dump).
select n.nspname::text as schema_name, c.relname::text as name
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_depend as d
    on d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid and d.deptype = 'e'
where c.relkind in ('r', 'S') and not pg_catalog.pg_has_role(c.relowner, 'USAGE');

-- name: unreadable
-- What pg_dump must read and the role may not. It locks each table in ACCESS SHARE mode, which wants SELECT and the schema.
select
    case c.relkind when 'S' then 'sequence' when 'm' then 'materialized view' else 'table' end as kind,
    c.oid::regclass::text as name,
    n.oid::regnamespace::text as schema_name
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    c.relkind in ('r', 'p', 'm', 'S') and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
    )
    and not (
        pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        and case c.relkind
            when 'S' then pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
            else pg_catalog.has_table_privilege(c.oid, 'SELECT')
        end
    )
order by 1, 2;

-- name: policed
-- Tables of which the role would see the rows that policies choose: pg_dump turns that into an error.
select c.oid::regclass::text as name, pg_catalog.pg_has_role(c.relowner, 'USAGE') as ours
from pg_catalog.pg_class as c
where c.relkind in ('r', 'p') and c.relrowsecurity and pg_catalog.row_security_active(c.oid)
order by 1;

-- name: large_objects
-- Those that the role may not read, by owner.
select pg_catalog.pg_get_userbyid(m.lomowner)::text as owner_name, count(*) as number, min(m.oid)::bigint as first_oid
from pg_catalog.pg_largeobject_metadata as m
where
    not pg_catalog.pg_has_role(m.lomowner, 'USAGE')
    and pg_catalog.current_setting('lo_compat_privileges') = 'off'
    and not exists (
        select from pg_catalog.aclexplode(m.lomacl) as a
        where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'USAGE'))
    )
group by m.lomowner
order by 1;

-- name: forced
-- Tables whose policies hold for their owners, who the roles of copies are.
select c.oid::regclass::text as name
from pg_catalog.pg_class as c
where c.relkind in ('r', 'p') and c.relrowsecurity and c.relforcerowsecurity
order by 1;

-- name: role
select
    r.rolname::text as name,
    r.rolbypassrls or r.rolsuper as bypasses,
    r.rolsuper or (r.rolcreatedb and r.rolcreaterole) as makes
from pg_catalog.pg_roles as r
where r.rolname = current_user;
