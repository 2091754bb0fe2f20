-- Large objects: bytes that are in no table of anybody's, and that rows name by a number only.

-- name: content
-- By pieces, so that one of gigabytes takes no more memory than another.
with objects as (
    select
        m.oid,
        pg_catalog.current_setting('lo_compat_privileges') = 'on'
        or (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user)
        or exists (
            select from pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) as a
            where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'USAGE'))
        ) as readable
    from pg_catalog.pg_largeobject_metadata as m
)

select
    count(distinct o.oid) as number,
    coalesce(
        sum(
            pg_catalog.hashtextextended(
                pg_catalog.concat_ws(' ', o.oid, p.number, pg_catalog.encode(p.digest, 'hex')), 0
            )::numeric
        ), 0
    )::text as hash
from objects as o
left join lateral (
    with recursive pieces as (
        select
            0::bigint as number,
            pg_catalog.length(f.bytes) as size,
            pg_catalog.sha256(f.bytes) as digest
        from (select pg_catalog.lo_get(o.oid, 0, 1048576) as bytes where o.readable) as f
        union all
        select
            b.number + 1,
            pg_catalog.length(f.bytes),
            pg_catalog.sha256(f.bytes)
        from pieces as b
        cross join lateral (select pg_catalog.lo_get(o.oid, (b.number + 1) * 1048576, 1048576) as bytes) as f
        where b.size = 1048576
    )

    select
        b.number,
        b.digest
    from pieces as b
) as p on true;

-- name: rights
select
    coalesce(
        sum(
            pg_catalog.hashtextextended(
                pg_catalog.concat_ws(
                    ' ', m.oid, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.lomowner)), (
                        select string_agg(a::text, ' ' order by a::text)
                        from pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) as a
                    ), pg_catalog.obj_description(m.oid, 'pg_largeobject')
                ), 0
            )::numeric
        ), 0
    )::text as hash
from pg_catalog.pg_largeobject_metadata as m;
