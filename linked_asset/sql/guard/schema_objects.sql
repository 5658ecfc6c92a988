-- How many objects of any kind schema `linked` has.
select count(*)
from pg_catalog.pg_depend as d
join pg_catalog.pg_namespace as n on n.oid = d.refobjid and n.nspname = 'linked'
where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.deptype = 'n'
