-- Locks Immich's tables, all or none, before anything is done to them. Only the first one is waited for{{ "" if wait else " (not here)" }}, while
-- nothing is held that anybody could want; no other one ever is. So no statement of Immich's can deadlock with us.
do $lock$
declare
    v_table record;
    v_tries integer := 0;
begin
    loop
        begin
            for v_table in
                select c.oid::regclass as name, row_number() over (order by c.relname <> 'asset', c.relname) = 1 as is_first
                from pg_catalog.pg_class as c
                join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
                where c.relkind in ('r', 'p') and (
{% if tables %}
                    c.relname in ({{ tables | join(", ") }}) or
{% endif %}
                    exists (
                        select from pg_catalog.pg_trigger as t
                        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
                        join pg_catalog.pg_namespace as f on f.oid = p.pronamespace and f.nspname = 'linked'
                        where t.tgrelid = c.oid
                    )
                )
                order by c.relname <> 'asset', c.relname
            loop
                execute format(
                    'lock table only %s in {{ mode }} mode%s',
                    v_table.name,
                    case when {{ "v_table.is_first" if wait else "false" }} then '' else ' nowait' end
                );
            end loop;
            return;
        exception
            when lock_not_available then
                v_tries := v_tries + 1;
                if v_tries > 30 then
                    raise;
                end if;
        end;
        perform pg_sleep(0.02 + 0.1 * random());
    end loop;
end
$lock$;
