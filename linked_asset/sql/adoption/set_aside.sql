-- The triggers of the scripts go, their tables wait under another name until what they say has been taken over.
do $aside$
declare
    v_owner text := (
        select pg_get_userbyid(c.relowner)
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
        where c.relname = 'asset'
    );
    v_trigger record;
begin
    perform set_config('role', 'none', true);
    for v_trigger in
        select t.tgname, t.tgrelid::regclass as on_table
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
        where not t.tgisinternal
    loop
        execute format('drop trigger %I on %s', v_trigger.tgname, v_trigger.on_table);
    end loop;
    alter schema linked rename to linked_to_adopt;
    execute format('grant usage on schema linked_to_adopt to %I', v_owner);
    execute format('grant select on all tables in schema linked_to_adopt to %I', v_owner);
end
$aside$;
