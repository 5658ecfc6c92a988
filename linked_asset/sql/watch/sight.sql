-- What tells in a glance whether anybody has changed Immich's tables (made anew, they have other oids) or our triggers on them, and
-- whether somebody is loading a dump just now: a trigger that we made meanwhile would be in the way of the dump's own.
with relation as (
    select c.oid, c.relname
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p')
)

select
    (
        select md5(string_agg(line, e'\n' order by line collate "C"))
        from (
            select format('%s %I %I %s %s', r.oid, r.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
            from relation as r
            join pg_catalog.pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
            union all
            select format('%s %s', r.oid, pg_get_constraintdef(k.oid))
            from relation as r
            join pg_catalog.pg_constraint as k on k.conrelid = r.oid and k.contype in ('p', 'u')
            union all
            select format('%s %s', r.oid, pg_get_indexdef(i.indexrelid))
            from relation as r
            join pg_catalog.pg_index as i on i.indrelid = r.oid and i.indisunique
        ) as part (line)
    ) as tables,
    (
        select md5(string_agg(format('%s %I %s', t.tgrelid, t.tgname, t.tgenabled), e'\n' order by t.tgrelid, t.tgname))
        from pg_catalog.pg_trigger as t
        join relation as r on r.oid = t.tgrelid
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'linked'
    ) as triggers,
    exists (
        select from pg_catalog.pg_stat_activity as a
        where
            a.datname = current_database()
            and a.application_name in ('psql', 'pg_restore')
            and (a.state <> 'idle' or a.state_change > clock_timestamp() - interval '10 seconds')
    ) as is_loading
