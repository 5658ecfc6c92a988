-- What there is of ours in a database, by name: tables and functions of schema `linked`, and triggers that call functions there.
select format('table linked.%I', c.relname) as object
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'linked'
where c.relname in ({{ tables }})
union all
select format('function linked.%I', p.proname)
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
where p.proname in ({{ functions }})
union all
select format('trigger %I on %I', t.tgname, c.relname)
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
where t.tgname in ({{ triggers }})
