-- Locks Immich's tables, all or none, before anything is done to them. Only the first one is waited for{{ "" if wait else " (not here)" }}, while
-- nothing is held that anybody could want; no other one ever is. So no statement of Immich's can deadlock with us. Tried
-- again for {{ seconds }} s at most (or as many as are left of what `linked.patience` says), and after a few it is told who holds what.
do $lock$
declare
    v_table record;
    v_begun timestamptz := clock_timestamp();
    v_give_up timestamptz := v_begun
        + least({{ seconds }}, coalesce(nullif(current_setting('linked.patience', true), '')::numeric, {{ seconds }})) * interval '1 second';
    v_usual text := current_setting('lock_timeout');
    v_role text := current_setting('role');
    v_told text;
    v_holders text;
begin
    perform set_config('lock_timeout', '1s', true);
    loop
        begin
            for v_table in
                select c.oid, c.oid::regclass as name, row_number() over (order by c.relname <> 'asset', c.relname) = 1 as is_first
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
            perform set_config('lock_timeout', v_usual, true);
            return;
        exception when lock_not_available then
            null;
        end;
        if v_told is null and clock_timestamp() > v_begun + interval '2 seconds' or clock_timestamp() >= v_give_up then
            -- Of other roles' sessions a superuser alone sees more than the number.
            perform set_config('role', 'none', true);
            v_holders := (
                select string_agg(
                    format(
                        '%s (%s) since %s',
                        coalesce('process ' || l.pid, 'a prepared transaction'),
                        concat_ws(', ', nullif(a.application_name, ''), a.usename, a.state),
                        coalesce(to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS'), 'some time')
                    ),
                    '; '
                )
                from (
                    select distinct pid
                    from pg_catalog.pg_locks
                    where locktype = 'relation' and relation = v_table.oid and granted and pid is distinct from pg_backend_pid()
                        and database = (select oid from pg_catalog.pg_database where datname = current_database())
{% if mode != "access exclusive" %}
                        and mode not in ('AccessShareLock', 'RowShareLock')
{% endif %}
                ) as l
                left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
            );
            perform set_config('role', v_role, true);
            v_told := format('table %s is held by %s', v_table.name, coalesce(v_holders, 'somebody who is just gone'));
            if clock_timestamp() >= v_give_up then
                raise exception using errcode = 'lock_not_available', message = v_told;
            end if;
            raise warning using errcode = 'LA002', message = 'Immich is busy: ' || v_told || '; waiting';
        end if;
        perform pg_sleep(0.1 + 0.2 * random());
    end loop;
end
$lock$;
