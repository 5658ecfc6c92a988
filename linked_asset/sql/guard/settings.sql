-- Settings of the server, of this database or of a role that keep sync from working: what is set, where, and how it is undone.
with setting as (
    select d.setdatabase, d.setrole, split_part(entry, '=', 1) as name, substr(entry, strpos(entry, '=') + 1) as value
    from pg_catalog.pg_db_role_setting as d
    cross join unnest(d.setconfig) as entry
    where
        d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
        -- Roles that never write to Immich's tables may have what they like.
        and (d.setrole = 0 or has_table_privilege(d.setrole, 'public.asset', 'UPDATE'))
),
place as (
    select
        name,
        value,
        concat_ws(
            ' in ',
            case when setrole <> 0 then format('role %I', setrole::regrole::text) end,
            case when setdatabase <> 0 then format('database %I', current_database()) end
        ) as what,
        case
            when setrole = 0 and setdatabase = 0 then format('alter role all reset %I', name)
            when setrole = 0 then format('alter database %I reset %I', current_database(), name)
            when setdatabase = 0 then format('alter role %s reset %I', setrole::regrole, name)
            else format('alter role %s in database %I reset %I', setrole::regrole, current_database(), name)
        end as remedy
    from setting
    union all
    select name, reset_val, 'the server', format('alter system reset %I; select pg_reload_conf()', name)
    from pg_catalog.pg_settings as s
    where s.source <> 'client' and not exists (select from setting where setting.name = s.name)
)
select name, value, coalesce(nullif(what, ''), 'all roles') as what, remedy
from place
where
    (name = 'default_transaction_isolation' and value in ('repeatable read', 'serializable'))
    or (name = 'session_replication_role' and value <> 'origin')
    or name = 'linked.writing'
order by name, what
