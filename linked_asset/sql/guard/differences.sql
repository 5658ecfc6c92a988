-- Compares Immich's live tables with those of one release, as far as we touch them. One row per difference, none when
-- the tables fit. Used online as it is, and by the psql scripts inside a block that raises.
--
-- :expected is jsonb:
-- {table: {"columns": {column: [type or null, nullable]}, "keys": [[[column, ...], partial], ...], "inserted": boolean,
-- "copied": boolean, "elsewhere": [column, ...]}}
-- Not compared: indexes, functions, checks, defaults, the order of columns, other tables, and the type of embeddings,
-- which depends on the vector extension in use. A column that we do not know matters where we could not insert without it.
-- Where we copy rows one that another release has which we know ("elsewhere") would have to be kept in sync. Of any other (new_column)
-- nothing is known: it is left to its default on clones, and the tables fit.
with expected_table as (
    select e.key as table_name, e.value as shape, c.oid as relation
    from jsonb_each(:expected) as e
    left join pg_catalog.pg_class as c
        on c.relname = e.key
        and c.relnamespace = (select n.oid from pg_catalog.pg_namespace as n where n.nspname = 'public')
        and c.relkind in ('r', 'p')
),
expected_column as (
    select t.table_name, t.relation, e.key as column_name, e.value ->> 0 as type_name, (e.value ->> 1)::boolean as nullable
    from expected_table as t
    cross join lateral jsonb_each(t.shape -> 'columns') as e
    where t.relation is not null
),
live_column as (
    select
        t.table_name,
        (t.shape ->> 'inserted')::boolean as inserted,
        (t.shape ->> 'copied')::boolean as copied,
        t.shape -> 'elsewhere' as elsewhere,
        a.attname::text as column_name,
        case when y.typtype = 'e' then y.typname::text else pg_catalog.format_type(a.atttypid, null) end as type_name,
        not a.attnotnull as nullable,
        not (a.atthasdef or a.attidentity <> '' or a.attgenerated <> '') as without_default
    from expected_table as t
    join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type as y on y.oid = a.atttypid
),
expected_key as (
    select
        t.table_name,
        t.relation,
        (select array_agg(k.name order by k.name collate "C") from jsonb_array_elements_text(e.value -> 0) as k (name)) as columns,
        (e.value ->> 1)::boolean as partial
    from expected_table as t
    cross join lateral jsonb_array_elements(t.shape -> 'keys') as e
    where t.relation is not null
),
live_key as (
    select
        t.table_name,
        array_agg(a.attname::text order by a.attname::text collate "C") as columns,
        i.indpred is not null as partial
    from expected_table as t
    join pg_catalog.pg_index as i on i.indrelid = t.relation and i.indisunique and i.indisvalid and i.indexprs is null
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0 : i.indnkeyatts - 1])
    group by t.table_name, i.indexrelid, i.indpred is not null
),
difference as (
    select 'missing_table' as kind, table_name, null as column_name, null::text as wanted, null::text as live
    from expected_table
    where relation is null
    union all
    select 'missing_column', table_name, column_name, type_name, null
    from expected_column
    where (table_name, column_name) not in (select l.table_name, l.column_name from live_column as l)
    union all
    select 'other_type', table_name, column_name, w.type_name, l.type_name
    from expected_column as w
    join live_column as l using (table_name, column_name)
    where w.type_name <> l.type_name
    union all
    select
        'other_nullability',
        table_name,
        column_name,
        case when w.nullable then 'null allowed' else 'not null' end,
        case when l.nullable then 'null allowed' else 'not null' end
    from expected_column as w
    join live_column as l using (table_name, column_name)
    where w.nullable <> l.nullable
    union all
    select 'required_column', table_name, column_name, null, type_name
    from live_column
    where
        inserted
        and not nullable
        and without_default
        and (table_name, column_name) not in (select w.table_name, w.column_name from expected_column as w)
    union all
    select case when elsewhere ? column_name then 'unknown_column' else 'new_column' end, table_name, column_name, null, type_name
    from live_column
    where
        copied
        and (nullable or not without_default)
        and (table_name, column_name) not in (select w.table_name, w.column_name from expected_column as w)
    union all
    select 'missing_key', table_name, null, array_to_string(columns, ', ') || case when partial then ' (partial)' else '' end, null
    from expected_key
    where (table_name, columns, partial) not in (select l.table_name, l.columns, l.partial from live_key as l)
)
select
    kind,
    table_name,
    column_name,
    wanted,
    live,
    case kind
        when 'missing_table' then format('table %s is missing', table_name)
        when 'missing_column' then format('%s.%s is missing', table_name, column_name)
        when 'other_type' then format('%s.%s is %s instead of %s', table_name, column_name, live, wanted)
        when 'other_nullability' then format('%s.%s is %s instead of %s', table_name, column_name, live, wanted)
        when 'required_column' then format('%s.%s (%s, not null, no default) is unknown', table_name, column_name, live)
        when 'unknown_column' then format('%s.%s (%s) is unknown and would not be kept in sync', table_name, column_name, live)
        when 'new_column' then format('%s.%s (%s) is new to us: clones get its default, and it is not kept in sync', table_name, column_name, live)
        when 'missing_key' then format('%s has no unique key on %s', table_name, wanted)
    end as line
from difference
order by table_name, kind, column_name, wanted
