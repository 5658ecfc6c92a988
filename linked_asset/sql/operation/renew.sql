-- What a function returns cannot be replaced, and what a later version has no use for would stay. Not those that somebody's view,
-- or a trigger, depends on, nor those that have no name of ours.
do $linked$
declare
    v_routine regprocedure;
begin
    for v_routine in
        select p.oid
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'linked'
        where p.proname in ({{ functions | join(", ") }})
            and p.prorettype <> 'trigger'::regtype
            and not exists (
                select from pg_depend d where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid and d.deptype = 'n'
            )
    loop
        execute format('drop routine %s', v_routine);
    end loop;
end
$linked$;
