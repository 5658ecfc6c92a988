-- For the rest of the transaction: whoever may act as the role that owns Immich's tables does so. With more rights our
-- functions would fire that role's triggers, and call what it has in schema public, with these rights. What was installed by
-- another owner has to be put right first, by whoever can read it.
select
    case
        when pg_has_role(c.relowner, case when current_setting('server_version_num')::integer >= 160000 then 'SET' else 'MEMBER' end)
            and not exists (
                select from pg_catalog.pg_namespace as l
                where l.nspname = 'linked' and not has_schema_privilege(c.relowner, l.oid, 'USAGE')
            )
            then set_config('role', pg_get_userbyid(c.relowner), true)
    end
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
where c.relname = 'asset' and c.relkind in ('r', 'p')
