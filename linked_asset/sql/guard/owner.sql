-- The role that owns Immich's tables: everything of ours belongs to it, and everything is done as that role. What keeps who
-- asks from becoming it, if anything does; whether a member has its rights without becoming it does not matter.
select
    pg_catalog.pg_get_userbyid(c.relowner)::text as name,
    case
        when not pg_has_role(session_user, c.relowner, membership.kind)
            then format(
                'to act as %1$I, which owns Immich''s tables: use that role, or `grant %1$I to %2$I%3$s`',
                pg_get_userbyid(c.relowner),
                session_user,
                case when membership.kind = 'SET' then ' with set true' end
            )
    end as lacking
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
cross join (
    select case when current_setting('server_version_num')::integer >= 160000 then 'SET' else 'MEMBER' end as kind
) as membership
where c.relname = 'asset' and c.relkind in ('r', 'p')
