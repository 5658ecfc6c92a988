-- Drops everything of the addon but the schema, with Alembic's version table in it: Alembic still has to write there.
do $linked$
declare
    v_object record;
    v_tables text;
begin
    for v_object in
        select tg.tgname as name, tg.tgrelid::regclass as relation
        from pg_trigger tg
        join pg_proc p on p.oid = tg.tgfoid
        join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'linked' and not tg.tgisinternal
    loop
        execute format('drop trigger %I on %s', v_object.name, v_object.relation);
    end loop;
    for v_object in
        select p.oid::regprocedure as signature
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'linked'
    loop
        execute format('drop routine %s', v_object.signature);
    end loop;
    select string_agg(c.oid::regclass::text, ', ') into v_tables
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'linked' and c.relkind = 'r' and c.relname <> 'alembic_version';
    if v_tables is not null then
        execute 'drop table ' || v_tables;
    end if;
end
$linked$;
