-- A trigger of somebody else that has a name of ours would be replaced.
do $names$
declare
    v_taken text := (
        select string_agg(format('trigger %I on %I calls %s', t.tgname, c.relname, t.tgfoid::regproc), '; ' order by c.relname, t.tgname)
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_class as c on c.oid = t.tgrelid
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        join pg_catalog.pg_namespace as f on f.oid = p.pronamespace and f.nspname <> 'linked'
        where (c.relname, t.tgname) in ({{ triggers | join(", ") }})
    );
begin
    if v_taken is not null then
        raise exception using errcode = 'LA001', message = format('somebody else''s trigger has a name of ours (%s): rename or drop it', v_taken);
    end if;
end
$names$;
