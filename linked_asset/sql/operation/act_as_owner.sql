-- Until the session ends what follows is done as the role that owns Immich's tables.
do $own$
begin
    perform set_config('role', pg_get_userbyid(c.relowner), false)
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relname = 'asset';
end
$own$;
