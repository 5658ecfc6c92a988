-- What there is in schema :schema, and the triggers that call its functions: of which kind, what it is called, of which
-- table, whose it is, and its definition in PostgreSQL's own words. Alembic's version table is left out.
with relation as (
    select c.*
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = :schema and c.relname <> 'alembic_version'
),
routine as (
    select p.*
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = :schema
)
select
    'function' as kind,
    format('%s.%I(%s)', :schema, p.proname, pg_catalog.oidvectortypes(p.proargtypes)) as name,
    null as table_name,
    pg_catalog.pg_get_userbyid(p.proowner)::text as owner,
    case when p.prokind = 'a' then 'aggregate' else pg_catalog.pg_get_functiondef(p.oid) end as definition
from routine as p
union all
select
    'trigger',
    format(
        '%I on %s',
        t.tgname,
        case when c.oid in (select r.oid from relation as r) then format('%s.%I', :schema, c.relname) else quote_ident(c.relname) end
    ),
    c.relname::text,
    null,
    pg_catalog.pg_get_triggerdef(t.oid) || case when t.tgenabled in ('O', 'A') then '' else ' disabled' end
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
where not t.tgisinternal and (t.tgfoid in (select p.oid from routine as p) or t.tgrelid in (select r.oid from relation as r))
union all
select
    case when c.relkind in ('r', 'p') then 'table' when c.relkind in ('v', 'm') then 'view' else 'relation' end,
    format('%s.%I', :schema, c.relname),
    c.relname::text,
    pg_catalog.pg_get_userbyid(c.relowner)::text,
    concat_ws(' ', c.relkind, c.relpersistence, case when c.relrowsecurity then 'row security' end)
from relation as c
where c.relkind in ('r', 'p', 'v', 'm', 'f') or (
    c.relkind = 'S' and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
    )
)
union all
select
    'column',
    format('%s.%I.%I', :schema, c.relname, a.attname),
    c.relname::text,
    null,
    concat_ws(
        ' ',
        pg_catalog.format_type(a.atttypid, a.atttypmod),
        'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid),
        case when a.attidentity <> '' then 'identity' end,
        case when a.attnotnull then 'not null' end
    )
from relation as c
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where c.relkind in ('r', 'p')
union all
select
    'constraint',
    format('%I on %s.%I', k.conname, :schema, c.relname),
    c.relname::text,
    null,
    pg_catalog.pg_get_constraintdef(k.oid)
from relation as c
join pg_catalog.pg_constraint as k on k.conrelid = c.oid and k.contype in ('c', 'f', 'p', 'u', 'x')
union all
select
    'index',
    format('%s.%I', :schema, x.relname),
    c.relname::text,
    null,
    pg_catalog.pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' invalid' end
from relation as c
join pg_catalog.pg_index as i on i.indrelid = c.oid
join pg_catalog.pg_class as x on x.oid = i.indexrelid
where not exists (select from pg_catalog.pg_constraint as k where k.conindid = i.indexrelid and k.conrelid = c.oid)
union all
select
    'rule',
    format('%I on %s.%I', r.rulename, :schema, c.relname),
    c.relname::text,
    null,
    pg_catalog.pg_get_ruledef(r.oid)
from relation as c
join pg_catalog.pg_rewrite as r on r.ev_class = c.oid
where c.relkind in ('r', 'p')
