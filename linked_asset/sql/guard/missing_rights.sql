-- What a role that may act as the owner of Immich's tables lacks for installing.
with owner as (
    select c.relowner as id
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relname = 'asset'
),
ours as (
    select n.nspowner as owner from pg_catalog.pg_namespace as n where n.nspname = 'linked'
    union
    select p.proowner
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
    where p.proname = any (cast(:functions as text[]))
),
membership as (
    select case when current_setting('server_version_num')::integer >= 160000 then 'SET' else 'MEMBER' end as kind
)
select format('to change what belongs to %I: use that role once', pg_get_userbyid(ours.owner)) as lacking
from ours
cross join membership
where not pg_has_role(session_user, ours.owner, membership.kind)
union all
select format('CREATE on database %I, for %I', current_database(), pg_get_userbyid(owner.id))
from owner
where not has_database_privilege(owner.id, current_database(), 'CREATE')
    and not has_database_privilege(session_user, current_database(), 'CREATE')
union all
select format('%s on table %s (its owner, %I)', string_agg(privilege, ', ' order by privilege), name, pg_get_userbyid(owner.id))
from owner
cross join unnest(cast(:tables as text[])) as name
cross join unnest(array['DELETE', 'INSERT', 'SELECT', 'TRIGGER', 'UPDATE']) as privilege
where not has_table_privilege(owner.id, format('public.%I', name), privilege)
group by name, owner.id
