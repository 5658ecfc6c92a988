-- What statements had to leave undone, and what is looked at a second time.

create or replace function linked.leave_note(
    p_place text, p_stale jsonb, p_fresh jsonb, p_statement text, p_sources uuid[]
) returns void
language plpgsql
as $linked$
begin
    insert into linked.note (place, stale, fresh, statement, sources)
    values (p_place, p_stale, p_fresh, p_statement, p_sources);
    perform pg_notify('linked', 'note');
end
$linked$;
comment on function linked.leave_note(text, jsonb, jsonb, text, uuid[]) is
    'Notes what a statement changed, for the next one that has the turn on these groups (null: on everything).';

-- In the order in which they were left, those last that were tried already. One that meets rows of others stays, however often,
-- and one that meets what a later note tells (a person that is gone, say) for a while; what fails again and again becomes an
-- incident: its groups may differ, and reconcile tells.
create or replace function linked.work_notes(p_sources uuid[], p_until timestamptz) returns void
language plpgsql
as $linked$
declare
    v_note record;
    v_sqlstate text;
    v_message text;
    v_context text;
begin
    for v_note in
        select id, place, stale, fresh, statement, tries
        from linked.note
        where p_sources is null or sources <@ p_sources
        order by tries > 0, id
    loop
        begin
            delete from linked.note where id = v_note.id;
            perform linked.plan_for(jsonb_array_length(coalesce(v_note.fresh, v_note.stale)));
            execute format('select linked.%I($1, $2, $3)', 'redo_' || replace(v_note.place, ' ', '_'))
            using v_note.stale, v_note.fresh, v_note.statement;
        exception when others then
            get stacked diagnostics
                v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
            if v_sqlstate in ('55P03', '40P01', '40001') then
                update linked.note set tries = greatest(tries, 1) where id = v_note.id;
            elsif v_note.tries < (case when v_sqlstate like '23%' then 20 else 2 end) then
                update linked.note set tries = tries + 1 where id = v_note.id;
            else
                delete from linked.note where id = v_note.id;
                perform linked.record_incident(v_note.place, v_sqlstate, v_message, v_context);
            end if;
        end;
        exit when clock_timestamp() >= p_until;
    end loop;
end
$linked$;
comment on function linked.work_notes(uuid[], timestamptz) is
    'Does what was noted for these groups (null: all that was noted), until the time is over.';

create or replace function linked.look_again_at(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.second_look (source_id) select distinct source_id from unnest(p_sources) as source_id;
end
$linked$;
comment on function linked.look_again_at(uuid[]) is
    'Has groups compared once more that were made while somebody may have been writing to their sources unseen.';

-- Whoever wrote to a source before we had committed, and did not see that it is linked, has a transaction that was under way
-- when we are first seen here. What wrote later has seen it. (A restored database counts its transactions anew.)
create or replace function linked.look_again(p_until timestamptz) returns void
language plpgsql
as $linked$
declare
    v_now pg_snapshot := pg_current_snapshot();
    v_over xid8 := coalesce(
        (select min(running) from pg_snapshot_xip(pg_current_snapshot()) as running), pg_snapshot_xmax(pg_current_snapshot())
    );
    v_albums uuid[];
    v_since xid8;
    v_sources uuid[];
begin
    update linked.second_look set settled_after = pg_snapshot_xmax(v_now)
    where settled_after is null and made_in <> pg_current_xact_id();

    with due as (
        delete from linked.second_look
        where album_id is not null and (settled_after <= v_over or settled_after > pg_snapshot_xmax(v_now))
        returning album_id, since
    )
    select array_agg(distinct album_id), min(since) into v_albums, v_since from due;
    if v_albums is not null then
        insert into linked.queue (source_id)
        select asset.id
        from unnest(linked.assets_of_albums(v_albums)) as covered (id)
        join public.asset on asset.id = covered.id
        where (v_since > pg_snapshot_xmax(v_now) or age(asset.xmin) <= age(xid(v_since)))
            and not exists (select from linked.member where member.asset_id = asset.id)
        on conflict do nothing;
    end if;

    loop
        with due as (
            delete from linked.second_look
            where ctid = any (array(
                select ctid from linked.second_look
                where source_id is not null and (settled_after <= v_over or settled_after > pg_snapshot_xmax(v_now))
                limit 1000
            ))
            returning source_id
        )
        select array_agg(distinct source_id) into v_sources from due;
        exit when v_sources is null;
        perform linked.plan_for(cardinality(v_sources));
        -- Nearly all are as they should be; but to plan how they are compared costs as much as writing to 50.
        if cardinality(v_sources) > 50 then
            v_sources := array(select distinct found.source_id from linked.disagreements(v_sources) as found);
        end if;
        perform linked.equal_to_sources(v_sources);
        exit when clock_timestamp() >= p_until;
    end loop;
end
$linked$;
comment on function linked.look_again(timestamptz) is
    'Looks a second time at what was linked while others may have been writing to it unseen, if these are done, until the time is over.';

create or replace function linked.equal_to_sources(p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
    select array_agg(source_id), array_agg(asset_id) into v_from, v_to
    from linked.member where source_id = any (p_sources) and asset_id <> source_id;
    if v_from is null then
        return;
    end if;
    perform linked.propagate_asset(v_from, v_to);
    perform linked.propagate_rows(v_from, v_to);
    perform linked.pair_live_photos(p_sources);
    perform linked.join_counterparts(v_to);
end
$linked$;
comment on function linked.equal_to_sources(uuid[]) is 'Makes the clones of these sources equal to them.';

-- Each part on its own: none undoes the statement's own work or that of another.
create or replace function linked.work_along(p_sources uuid[], p_has_time boolean) returns void
language plpgsql
as $linked$
declare
    v_begun timestamptz := clock_timestamp();
    v_until timestamptz := v_begun + interval '50 milliseconds';
begin
    perform linked.work_notes(p_sources, v_until);
    if p_sources is not null then
        if not linked.is_worth_a_turn() or not pg_try_advisory_xact_lock(1818848875, 0) then
            return;
        end if;
        perform linked.work_notes(null, v_until);
    end if;
    begin
        perform linked.settle();
        perform linked.sweep_tags();
        perform linked.sweep_stacks();
    exception when others then
        null;
    end;
    if (p_has_time or not exists (select from linked.pace where next_at > v_begun))
        and (exists (select from linked.queue) or exists (select from linked.second_look))
    then
        begin
            perform linked.look_again(v_until);
        exception when others then
            null;
        end;
        begin
            perform linked.work_slices(interval '50 milliseconds', 30);
        exception when others then
            null;
        end;
    end if;
    insert into linked.pace (next_at) values (clock_timestamp() + 20 * (clock_timestamp() - v_begun))
    on conflict (singleton) do update set next_at = excluded.next_at;
    perform linked.tell_of_work(linked.has_work());
end
$linked$;
comment on function linked.work_along(uuid[], boolean) is
    'Does with a statement that has the turn on these groups (null: on everything) some of what others left. Linking without time of its own: a twentieth of the time at most, in all sessions together.';

create or replace function linked.is_worth_a_turn() returns boolean
language plpgsql stable
as $linked$
begin
    return exists (select from linked.note)
        or exists (select from linked.passing_stack)
        or exists (select from linked.made_tag where unused_in is not null)
        or not exists (select from linked.pace where next_at > clock_timestamp());
end
$linked$;
comment on function linked.is_worth_a_turn() is
    'Whether to do more of what is left than others have just done. Of tags, stacks and notes there is never much.';

-- What every statement asks must not depend on how much there was to do once. Who meets another one that tells leaves it to them.
create or replace function linked.tell_of_work(p_has_work boolean) returns void
language plpgsql
as $linked$
begin
    update linked.installation
    set has_work = p_has_work
    where ctid = (select ctid from linked.installation where has_work <> p_has_work for update skip locked);
end
$linked$;
comment on function linked.tell_of_work(boolean) is
    'Has the statements of others know whether there is anything left to do but notes.';

create or replace function linked.has_work() returns boolean
language plpgsql stable
as $linked$
begin
    return exists (select from linked.queue) or exists (select from linked.second_look)
        or exists (select from linked.passing_stack) or exists (select from linked.made_tag where unused_in is not null)
        or exists (select from linked.unsettled where marked_at is null);
end
$linked$;
comment on function linked.has_work() is 'Whether there is anything left to do but notes.';

-- Of a statement that is none of our business. It waits for nobody.
create or replace function linked.work_aside() returns void
language plpgsql
as $linked$
declare
    v_lock_timeout text := current_setting('lock_timeout');
begin
    if linked.is_worth_a_turn() and pg_try_advisory_xact_lock(1818848875, 0) then
        perform linked.take_turn(null, false);
        perform linked.work_along(null, false);
        perform linked.stop_writing();
        perform set_config('lock_timeout', v_lock_timeout, true);
    end if;
end
$linked$;
comment on function linked.work_aside() is
    'Does with a statement that concerns nothing linked what others left, if nobody else has the turn.';
