-- Those that are enabled.
select c.relname, t.tgname
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
where t.tgenabled in ('O', 'A')
