-- With what the indexes were built that call functions which somebody has made.

-- name: built
-- By file: an index that is built anew has another one. What it calls is found by what the catalog knows of, and by
-- names in the text of a function. 16384 is the first oid that is given.
with recursive reached as (
    select
        i.indexrelid,
        d.refclassid as classid,
        d.refobjid as objid
    from pg_catalog.pg_depend as d
    inner join pg_catalog.pg_index as i on d.objid = i.indexrelid
    where
        d.classid = 'pg_catalog.pg_class'::regclass and d.refobjid >= 16384
        and d.refclassid in (
            'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_opclass'::regclass,
            'pg_catalog.pg_ts_config'::regclass, 'pg_catalog.pg_ts_dict'::regclass
        )
    union
    select
        r.indexrelid,
        n.classid,
        n.objid
    from reached as r
    cross join lateral (
        select
            d.refclassid as classid,
            d.refobjid as objid
        from pg_catalog.pg_depend as d
        where
            d.classid = r.classid and d.objid = r.objid and d.refobjid >= 16384
            and d.refclassid in (
                'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_opclass'::regclass,
                'pg_catalog.pg_ts_config'::regclass, 'pg_catalog.pg_ts_dict'::regclass
            )
        union all
        select
            'pg_catalog.pg_proc'::regclass,
            m.amproc
        from pg_catalog.pg_opclass as k
        inner join pg_catalog.pg_amproc as m on k.opcfamily = m.amprocfamily
        where r.classid = 'pg_catalog.pg_opclass'::regclass and k.oid = r.objid and m.amproc >= 16384
        union all
        select
            'pg_catalog.pg_proc'::regclass,
            q.oid
        from pg_catalog.pg_proc as p
        inner join pg_catalog.pg_proc as q
            on pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower(q.proname::text)) > 0
        where
            r.classid = 'pg_catalog.pg_proc'::regclass and p.oid = r.objid and p.probin is null and q.oid >= 16384
    ) as n
)

select
    c.relfilenode::bigint as file,
    c.oid::regclass::text as name,
    pg_catalog.md5(pg_catalog.string_agg(x.code, e'\n' order by x.code collate "C")) as code
from reached as r
inner join pg_catalog.pg_class as c on r.indexrelid = c.oid
cross join lateral (
    -- How a body is written, and where in the statement it stood, does not matter.
    select pg_catalog.concat_ws(
        ' ', p.prolang, p.prosrc, p.probin,
        pg_catalog.regexp_replace(p.prosqlbody::text, ':(stmt_)?(location|len) -?\d+', '', 'g'),
        array(select s.setting from pg_catalog.unnest(p.proconfig) as s (setting) order by s.setting collate "C")::text
    ) as code
    from pg_catalog.pg_proc as p
    where r.classid = 'pg_catalog.pg_proc'::regclass and p.oid = r.objid
    union all
    select pg_catalog.concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict)
    from pg_catalog.pg_ts_config_map as m
    where r.classid = 'pg_catalog.pg_ts_config'::regclass and m.mapcfg = r.objid
    union all
    select pg_catalog.concat_ws(' ', d.dicttemplate, d.dictinitoption)
    from pg_catalog.pg_ts_dict as d
    where r.classid = 'pg_catalog.pg_ts_dict'::regclass and d.oid = r.objid
) as x
where c.relfilenode <> 0 and c.relpersistence <> 't'
group by c.oid;
