-- Never break Immich, never in the way: whose turn it is, what is noted for later, and what happens when our part fails.

{% from "macro/frame.sql" import patience %}
-- The work of one statement is done by one session at a time: for what concerns single groups by locks of their own (and a
-- shared one on all), for pairings, membership and the rest by an exclusive one. It is wanted after Immich's statement has
-- written its rows, and held until its transaction is over. Whoever has the turn may want a row that somebody holds who waits
-- for a turn: so nobody waits long, and what could not be done is noted. It is asked for again and again, never waited for in
-- PostgreSQL's queue: there such a circle would be a deadlock, and could end a statement of Immich's. Without a queue, whoever
-- wants the exclusive lock closes the door meanwhile: those who want a shared one look first whether it is open. A statement
-- whose rows hang together with those of many tables calls us for each of them: once it has waited in vain it does not do so again.
create or replace function linked.wait_for_turn(p_sources uuid[], p_patient boolean) returns void
language plpgsql
as $linked$
declare
    v_turns integer[];
    v_next integer := 1;
    v_is_door_closed boolean := false;
    v_shares_all boolean := false;
    v_until timestamptz;
begin
    if p_sources is not null then
        v_turns := array(select distinct linked.turn(id) from unnest(p_sources) as id order by 1);
    end if;
    loop
        if p_sources is null then
            if pg_try_advisory_xact_lock(1818848875, 0) then
                return;
            end if;
            v_is_door_closed := v_is_door_closed or pg_try_advisory_xact_lock(1818848875, 2);
        else
            v_shares_all := v_shares_all
                or pg_try_advisory_lock_shared(1818848875, 2)
                and pg_advisory_unlock_shared(1818848875, 2)
                and pg_try_advisory_xact_lock_shared(1818848875, 0);
            while v_shares_all and pg_try_advisory_xact_lock(1818848876, v_turns[v_next]) loop
                if v_next = cardinality(v_turns) then
                    return;
                end if;
                v_next := v_next + 1;
            end loop;
        end if;
        v_until := coalesce(v_until, case
            when p_patient then statement_timestamp() + {{ patience }}
            when current_setting('linked.gave_up', true) = extract(epoch from statement_timestamp())::text then '-infinity'
            else clock_timestamp() + interval '100 milliseconds'
        end);
        if clock_timestamp() >= v_until then
            raise lock_not_available using message = 'somebody else has the turn';
        end if;
        perform pg_sleep(0.001);
    end loop;
end
$linked$;
comment on function linked.wait_for_turn(uuid[], boolean) is
    'Waits for the turn on these groups, or on everything (null): 100 ms or, patiently, three seconds since the statement began (less where statement_timeout is short). Raises lock_not_available.';

-- The mark is the transaction's own id, which no other transaction ever has: left on in a pooled session, or set for a
-- role or a database, it marks nothing.
create or replace function linked.take_turn(p_sources uuid[], p_patient boolean) returns void
language plpgsql
as $linked$
begin
    perform linked.wait_for_turn(p_sources, p_patient);
    perform set_config('lock_timeout', '1ms', true);
    perform set_config('linked.writing', pg_current_xact_id()::text, true);
    perform set_config('plan_cache_mode', 'force_generic_plan', true);
end
$linked$;
comment on function linked.take_turn(uuid[], boolean) is
    'Waits for the turn, marks what follows in this transaction as the addon''s own writing, and has it not wait for rows that others hold.';

create or replace function linked.turn(p_source uuid) returns integer
language sql immutable
as $linked$
    select uuid_hash(p_source) & 255
$linked$;
comment on function linked.turn(uuid) is 'Which of the locks on groups is that of this source.';

create or replace function linked.start_writing() returns void
language plpgsql
as $linked$
begin
    perform pg_advisory_xact_lock(1818848875, 0);
    perform set_config('linked.writing', pg_current_xact_id()::text, true);
end
$linked$;
comment on function linked.start_writing() is
    'For commands: waits for the turn on everything and marks what follows in this transaction as the addon''s own writing.';

create or replace function linked.stop_writing() returns void
language plpgsql
as $linked$
begin
    perform set_config('linked.writing', '', true);
    perform set_config('plan_cache_mode', 'auto', true);
end
$linked$;
comment on function linked.stop_writing() is 'Ends what linked.take_turn() or linked.start_writing() began.';

-- PL/pgSQL keeps plans, and a plan made for arrays of a few rows joins them with nested loops: quadratic for thousands, in the
-- pooled connections that Immich uses. A statement of many rows pays for plans of its own; one of few has kept ones from the
-- start (linked.take_turn()), since PostgreSQL thinks a plan for an array of one element so much better that it makes a new one
-- each time, which is two fifths of what an upload costs. A plan that was made when a table was empty goes when autovacuum has
-- analysed it.
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

-- The setting holds for whatever runs meanwhile: with it PostgreSQL also plans anew, for every single row, what foreign keys
-- check or delete, and (from PostgreSQL 18 on) what a default written in SQL computes. A statement that inserts or deletes
-- much has these keep their plans once it is planned itself.
create or replace function linked.keep_plans() returns boolean
language plpgsql
as $linked$
begin
    if current_setting('plan_cache_mode') = 'force_custom_plan' then
        perform set_config('plan_cache_mode', 'auto', true);
        perform set_config('linked.plans', 'anew', true);
    end if;
    return true;
end
$linked$;
comment on function linked.keep_plans() is
    'Has plans kept until linked.plan_anew(), whatever linked.plan_for() said. Always true: a condition of the statement for whose rows it is meant.';

create or replace function linked.plan_anew() returns void
language plpgsql
as $linked$
begin
    if current_setting('linked.plans', true) = 'anew' then
        perform set_config('plan_cache_mode', 'force_custom_plan', true);
        perform set_config('linked.plans', '', true);
    end if;
end
$linked$;
comment on function linked.plan_anew() is 'Ends what linked.keep_plans() began.';

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
    -- Triggers look at rows before they know whether sync is suspended.
    if p_sqlstate like '42%' and exists (select from linked.installation where suspended_at is not null) then
        return;
    end if;
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
