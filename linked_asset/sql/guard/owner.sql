-- The role that owns Immich's tables: everything of ours belongs to it.
select pg_catalog.pg_get_userbyid(c.relowner)::text
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
where c.relname = 'asset' and c.relkind in ('r', 'p')
