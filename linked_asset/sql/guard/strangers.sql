-- What is somebody else's and would go with the addon, or keep it from going: views and tables in schema linked, and whatever
-- elsewhere depends on ours. (Our triggers on Immich's tables are no strangers, nor is a trigger that calls our functions.)
with ours as (
    select 'pg_catalog.pg_class'::regclass as classid, c.oid
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'linked'
    union all
    select 'pg_catalog.pg_proc'::regclass, p.oid
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
    union all
    select 'pg_catalog.pg_type'::regclass, t.oid
    from pg_catalog.pg_type as t
    join pg_catalog.pg_namespace as n on n.oid = t.typnamespace and n.nspname = 'linked'
),
dependent as (
    select d.classid, d.objid
    from ours
    join pg_catalog.pg_depend as d on d.refclassid = ours.classid and d.refobjid = ours.oid
    where d.deptype in ('n', 'a')
),
relation as (
    select r.ev_class as id
    from dependent
    join pg_catalog.pg_rewrite as r on dependent.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = dependent.objid
    union
    select k.conrelid
    from dependent
    join pg_catalog.pg_constraint as k on dependent.classid = 'pg_catalog.pg_constraint'::regclass and k.oid = dependent.objid
    union
    select dependent.objid
    from dependent
    where dependent.classid = 'pg_catalog.pg_class'::regclass
    union
    select ours.oid
    from ours
    where ours.classid = 'pg_catalog.pg_class'::regclass
)
select format(
    '%s %s', case when c.relkind = 'v' then 'view' when c.relkind = 'm' then 'materialized view' when c.relkind = 'S' then 'sequence' else 'table' end,
    c.oid::regclass
)
from relation
join pg_catalog.pg_class as c on c.oid = relation.id and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where not (n.nspname = 'linked' and c.relkind = 'r' and c.relname = any (array[{{ tables | join(", ") }}]))
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'i'
    )
union
select format('function %s', p.oid::regprocedure)
from dependent
join pg_catalog.pg_proc as p on dependent.classid = 'pg_catalog.pg_proc'::regclass and p.oid = dependent.objid
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname <> 'linked'
order by 1
