-- What is somebody else's and would go with the addon, or keep it from going: whatever schema linked has that is not ours by
-- name, and whatever elsewhere depends on ours. (Our triggers on Immich's tables are no strangers, nor is a trigger that calls
-- our functions. A function of another shape with a name of ours is no stranger either: it goes.)
with inside as (
    select d.classid, d.objid
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_namespace as n on n.oid = d.refobjid and n.nspname = 'linked'
    where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.deptype = 'n'
    union
    -- Types of rows and arrays belong to no schema but their owner's.
    select 'pg_catalog.pg_type'::regclass, t.oid
    from pg_catalog.pg_type as t
    join pg_catalog.pg_namespace as n on n.oid = t.typnamespace and n.nspname = 'linked'
),
dependent as (
    select d.classid, d.objid, d.deptype
    from inside
    join pg_catalog.pg_depend as d on d.refclassid = inside.classid and d.refobjid = inside.objid
    where d.deptype in ('n', 'a')
),
found as (
    select classid, objid
    from inside
    union
    select 'pg_catalog.pg_class'::regclass, r.ev_class
    from dependent
    join pg_catalog.pg_rewrite as r on dependent.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = dependent.objid
    union
    select 'pg_catalog.pg_class'::regclass, k.conrelid
    from dependent
    join pg_catalog.pg_constraint as k on dependent.classid = 'pg_catalog.pg_constraint'::regclass and k.oid = dependent.objid
    where k.conrelid <> 0
    union
    select 'pg_catalog.pg_class'::regclass, a.adrelid
    from dependent
    join pg_catalog.pg_attrdef as a on dependent.classid = 'pg_catalog.pg_attrdef'::regclass and a.oid = dependent.objid
    union
    select classid, objid
    from dependent
    where
        classid = 'pg_catalog.pg_class'::regclass
        or deptype = 'n' and classid <> all (
            array['pg_catalog.pg_rewrite', 'pg_catalog.pg_constraint', 'pg_catalog.pg_attrdef', 'pg_catalog.pg_trigger']::regclass[]
        )
)
select distinct
    format(
        '%s %s',
        case when exists (select from pg_catalog.pg_type as t where found.classid = 'pg_catalog.pg_type'::regclass and t.oid = found.objid and t.typtype = 'd') then 'domain' else named.type end,
        named.identity
    )
from found
cross join lateral pg_catalog.pg_identify_object(found.classid, found.objid, 0) as named
where
    not exists (
        select from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'linked'
        where found.classid = 'pg_catalog.pg_class'::regclass and c.oid = found.objid
            and (c.relkind in ('i', 'I', 't') or c.relkind = 'r' and c.relname in ({{ tables }}))
    )
    and not exists (
        select from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
        where found.classid = 'pg_catalog.pg_proc'::regclass and p.oid = found.objid and p.proname in ({{ functions }})
    )
    -- What comes and goes with another object is not named beside it.
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = found.classid and d.objid = found.objid and (
            d.deptype in ('i', 'e')
            or d.deptype = 'a' and exists (
                select from inside where inside.classid = d.refclassid and inside.objid = d.refobjid
            )
        )
    )
order by 1
