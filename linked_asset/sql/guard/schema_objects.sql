-- How many tables, views, sequences and functions schema `linked` has.
select count(*)
from pg_catalog.pg_namespace as n
cross join lateral (
    select from pg_catalog.pg_class as c where c.relnamespace = n.oid
    union all
    select from pg_catalog.pg_proc as p where p.pronamespace = n.oid
) as object
where n.nspname = 'linked'
