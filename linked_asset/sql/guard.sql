-- Never break Immich: who may write, in which order, and what happens when our part fails.

-- Every writer on a watched table takes one transaction-scoped advisory lock before it locks its first row. Two sessions
-- that write to two members of one group can then never wait for each other crosswise. A BEFORE STATEMENT trigger is the
-- only place early enough: PostgreSQL locks a row before any row trigger sees it.
create or replace function linked.line_up() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    if not linked.is_off() then
        perform pg_advisory_xact_lock(1818848875, 0);
    end if;
    return null;
exception when others then
    return null;
end
$linked$;
comment on function linked.line_up() is
    'Lines writers up by an advisory lock before they lock rows, so that no two statements can deadlock over the members of a group.';

create or replace function linked.is_off() returns boolean
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    return coalesce(current_setting('linked.writing', true), '') = 'on'
        or not exists (select from linked.installation where suspended_at is null);
end
$linked$;
comment on function linked.is_off() is
    'True while the addon itself writes (its own changes need no sync), and while sync is suspended.';

create or replace function linked.start_writing() returns void
language plpgsql
as $linked$
begin
    perform pg_advisory_xact_lock(1818848875, 0);
    perform set_config('linked.writing', 'on', true);
end
$linked$;
comment on function linked.start_writing() is
    'Waits for its turn and marks what follows in this transaction as the addon''s own writing.';

create or replace function linked.stop_writing() returns void
language plpgsql
as $linked$
begin
    perform set_config('linked.writing', 'off', true);
    perform set_config('plan_cache_mode', 'auto', true);
end
$linked$;
comment on function linked.stop_writing() is 'Ends what linked.start_writing() began.';

-- PL/pgSQL keeps plans, and a plan made for arrays of a few rows joins them with nested loops: quadratic for thousands, in the
-- pooled connections that Immich uses. A statement of many rows pays for plans of its own.
create or replace function linked.plan_for(p_rows bigint) returns void
language plpgsql
as $linked$
begin
    if p_rows >= 50 then
        perform set_config('plan_cache_mode', 'force_custom_plan', true);
    end if;
end
$linked$;
comment on function linked.plan_for(bigint) is
    'Has everything that follows planned for its own arrays where a statement has many rows. Until linked.stop_writing().';

-- Class 42 means that Immich's tables are not the ones that the functions were rendered for (Immich was upgraded): then
-- nothing of ours can work, and sync stays suspended until `alembic upgrade head`.
create or replace function linked.record_incident(p_place text, p_sqlstate text, p_message text, p_context text)
returns void
language plpgsql
as $linked$
begin
    insert into linked.incident (place, sqlstate, message, context)
    values (p_place, p_sqlstate, p_message, p_context);
    perform pg_notify('linked', 'incident');
    if p_sqlstate like '42%' then
        update linked.installation
        set suspended_at = clock_timestamp(), suspended_why = p_message
        where suspended_at is null;
    end if;
exception when others then
    raise log 'linked assets: % (%) in %; the incident could not be recorded: %', p_message, p_sqlstate, p_place, sqlerrm;
end
$linked$;
comment on function linked.record_incident(text, text, text, text) is
    'Remembers that the addon could not do its part, and suspends sync when Immich''s tables no longer fit. Never raises.';
