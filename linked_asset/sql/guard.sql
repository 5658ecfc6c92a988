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

-- The mark is the transaction's own id, which no other transaction ever has: left on in a pooled session, or set for a
-- role or a database, it marks nothing. Asking assigns no id.
create or replace function linked.is_off() returns boolean
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    return coalesce(current_setting('linked.writing', true) = pg_current_xact_id_if_assigned()::text, false)
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
    perform set_config('linked.writing', pg_current_xact_id()::text, true);
end
$linked$;
comment on function linked.start_writing() is
    'Waits for its turn and marks what follows in this transaction as the addon''s own writing.';

create or replace function linked.stop_writing() returns void
language plpgsql
as $linked$
begin
    perform set_config('linked.writing', '', true);
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

-- How much of p_budget a statement may still use: well below a timeout that the role or the database has set, so that
-- what is too much for one statement is queued instead of cancelled.
create or replace function linked.time_left(p_budget interval) returns interval
language sql volatile
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
    select least(
        p_budget,
        nullif(current_setting('statement_timeout'), '0')::interval * 0.4 - (clock_timestamp() - statement_timestamp())
    )
$linked$;
comment on function linked.time_left(interval) is
    'What is left of a budget of time, or of four tenths of statement_timeout where that is less. Below zero: nothing.';

create or replace function linked.differences() returns setof text
language sql stable
set search_path = pg_catalog, public, vectors, pg_temp
set quote_all_identifiers = off
as $linked$
    select line from (
{{ differences | indent(8, first=True) }}
    ) as difference
    where kind <> 'new_column'
$linked$;
comment on function linked.differences() is
    'How Immich''s tables differ from those that the functions were rendered for. Empty when they fit.';

-- One standing fault fails in statement after statement: it is one incident, counted. A row that another transaction
-- holds is not waited for; the same fault then has two.
create or replace function linked.record_incident(p_place text, p_sqlstate text, p_message text, p_context text)
returns void
language plpgsql
as $linked$
declare
    v_differences text;
begin
    update linked.incident
    set times = times + 1, last_at = clock_timestamp(), context = p_context
    where id = (
        select id from linked.incident
        where resolved_at is null and place = p_place and sqlstate = p_sqlstate and message = p_message
        order by id
        limit 1
        for update skip locked
    );
    if not found then
        insert into linked.incident (place, sqlstate, message, context)
        values (p_place, p_sqlstate, p_message, p_context);
    end if;
    perform pg_notify('linked', 'incident');
    -- These errors come up when Immich was upgraded under us, and as well in a trigger of somebody else's.
    if p_sqlstate like '42%' or p_sqlstate = '23502' then
        v_differences := array_to_string(array(select linked.differences()), '; ');
        if v_differences <> '' then
            update linked.installation
            set suspended_at = clock_timestamp(), suspended_why = v_differences
            where suspended_at is null;
        end if;
    end if;
exception when others then
    raise log 'linked assets: % (%) in %; the incident could not be recorded: %', p_message, p_sqlstate, p_place, sqlerrm;
end
$linked$;
comment on function linked.record_incident(text, text, text, text) is
    'Remembers that the addon could not do its part, and suspends sync when Immich''s tables no longer fit. Never raises.';
