-- Triggers on Immich's tables that somebody else's schema `linked` is behind.
select format('%I on %s', t.tgname, t.tgrelid::regclass)
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
join pg_catalog.pg_namespace as f on f.oid = p.pronamespace
where not t.tgisinternal and (f.nspname = 'linked' or p.prosrc ~ '\mlinked\.')
order by 1
