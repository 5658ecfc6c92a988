-- What a role lacks for installing, in PostgreSQL's words. All is done as the role that owns Immich's tables, and what is
-- ours belongs to it.
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
)
select format('to act as %I, which owns Immich''s tables: use that role', pg_get_userbyid(owner.id)) as lacking
from owner
where not pg_has_role(session_user, owner.id, 'MEMBER')
union all
select format('to change what belongs to %I: use that role once', pg_get_userbyid(ours.owner))
from ours
where not pg_has_role(session_user, ours.owner, 'MEMBER')
union all
select format('CREATE on database %I', current_database())
where not has_database_privilege(session_user, current_database(), 'CREATE')
union all
select format('%s on table %s (its owner, %I)', string_agg(privilege, ', ' order by privilege), name, pg_get_userbyid(owner.id))
from owner
cross join unnest(cast(:tables as text[])) as name
cross join unnest(array['DELETE', 'INSERT', 'SELECT', 'TRIGGER', 'UPDATE']) as privilege
where not has_table_privilege(owner.id, format('public.%I', name), privilege)
group by name, owner.id
