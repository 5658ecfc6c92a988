-- What a role lacks for installing, in PostgreSQL's words.
select format('CREATE on database %I', current_database())
where
    not has_database_privilege(current_database(), 'CREATE')
    and not exists (select from pg_catalog.pg_namespace where nspname = 'linked')
union all
select format('%s on table %s', string_agg(privilege, ', ' order by privilege), name)
from unnest(cast(:tables as text[])) as name
cross join unnest(array['DELETE', 'INSERT', 'SELECT', 'TRIGGER', 'UPDATE']) as privilege
where not has_table_privilege(format('public.%I', name), privilege)
group by name
