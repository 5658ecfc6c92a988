-- Everything of ours belongs to the role that owns Immich's tables, whoever installs, and what follows is done as that role:
-- with more rights our functions would fire that role's triggers, and call what it has in schema public, with these rights.
do $own$
declare
    v_owner text := (
        select pg_get_userbyid(c.relowner)
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
        where c.relname = 'asset' and c.relkind in ('r', 'p')
    );
    v_statement text;
begin
    if v_owner is null then
        return;
    end if;
    if not exists (select from pg_catalog.pg_namespace where nspname = 'linked') then
        -- Either may lack the right to.
        if has_database_privilege(v_owner, current_database(), 'CREATE') then
            perform set_config('role', v_owner, true);
        else
            perform set_config('role', 'none', true);
        end if;
        execute format('create schema linked authorization %I', v_owner);
    end if;
    perform set_config('role', 'none', true);
    for v_statement in
        select format('alter schema linked owner to %I', v_owner)
        from pg_catalog.pg_namespace
        where nspname = 'linked' and pg_get_userbyid(nspowner) <> v_owner
        union all
        select format('alter table %s owner to %I', c.oid::regclass, v_owner)
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'linked'
        where c.relkind = 'r' and c.relname in ({{ tables | join(", ") }}) and pg_get_userbyid(c.relowner) <> v_owner
        union all
        select format('alter routine %s owner to %I', p.oid::regprocedure, v_owner)
        from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
        where p.proname in ({{ functions | join(", ") }}) and pg_get_userbyid(p.proowner) <> v_owner
    loop
        execute v_statement;
    end loop;
    perform set_config('role', v_owner, true);
exception when insufficient_privilege then
    raise exception using
        errcode = 'insufficient_privilege',
        message = format('everything of linked assets belongs to "%s", the owner of Immich''s tables, and "%s" may not make it so (%s): '
            'use that role, or a superuser', v_owner, session_user, sqlerrm);
end
$own$;
