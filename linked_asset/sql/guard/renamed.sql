-- The schema that was `linked` until somebody renamed it: our triggers call their functions there.
select distinct n.nspname::text as name
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as i on i.oid = c.relnamespace and i.nspname = 'public'
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname <> 'linked'
where t.tgname in ({{ triggers }}) and p.proname in ({{ functions }}) and exists (
    select from pg_catalog.pg_class as r where r.relnamespace = n.oid and r.relkind = 'r' and r.relname in ({{ tables }})
)
