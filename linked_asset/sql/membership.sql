-- Refresh membership: the clones that there are become those that there should be.

{% from "macro/frame.sql" import deletes_own, hides_alone with context %}
{% from "macro/person.sql" import is_person with context %}

-- Videos after their stills: they go where these are by then. Unlinking is done at once, all of it.
create or replace function linked.refresh_membership(
    p_assets uuid[], p_all_at_once boolean default false, p_unseen uuid[] default '{}'
) returns void
language plpgsql
as $linked$
declare
    v_parts uuid[];
    v_queued boolean;
begin
    if coalesce(cardinality(p_assets), 0) = 0 then
        return;
    end if;
    perform linked.plan_for(cardinality(p_assets));
    v_parts := array(
        select video.id
        from public.asset still
        join public.asset video on video.id = still."livePhotoVideoId" and video."ownerId" = still."ownerId"
        where still.id = any (p_assets)
        union
        select video.id
        from public.asset video
        join public.asset still on still."livePhotoVideoId" = video.id and still."ownerId" = video."ownerId"
        where video.id = any (p_assets)
    );
    v_queued := linked.refresh_clones(
        array(select id from unnest(p_assets) as id where id is not null except select unnest(v_parts)), p_all_at_once, p_unseen
    );
    if cardinality(v_parts) > 0 then
        v_queued := linked.refresh_clones(v_parts, p_all_at_once, p_unseen) or v_queued;
    end if;
    if v_queued then
        perform linked.begin_linking();
    end if;
end
$linked$;
comment on function linked.refresh_membership(uuid[], boolean, uuid[]) is
    'Compares the clones that these assets and their video parts should have with those that exist: creates what is missing, deletes what is too much. Unseen: rows that no other transaction can have written to.';

create or replace function linked.begin_linking() returns void
language plpgsql
as $linked$
begin
    perform pg_notify('linked', 'queue');
    perform linked.work_slices(interval '2 seconds', 200);
exception when lock_not_available or deadlock_detected or serialization_failure then
    null;
end
$linked$;
comment on function linked.begin_linking() is
    'Links of what was just queued as much as one statement may take time for. What is held by others stays queued.';

-- Nothing to take from anybody: then even the comparison is left to the slices in which many are linked. Rights that have
-- become stronger count at once.
create or replace function linked.extend_membership(p_albums uuid[], p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_missing uuid[];
begin
    perform linked.plan_for(cardinality(p_sources));
    perform linked.refresh_membership(array(
        select distinct member.source_id
        from linked.participant
        join linked.linked_album on linked_album.album_id = participant.album_id
        join linked.member
            on member.owner_id = participant.user_id
            and (not member.can_write or member.deletes_own and not linked_album.deletes_own)
        where participant.album_id = any (p_albums) and participant.role <> 'viewer'
            and member.source_id in (select unnest(p_sources))
    ));
    v_missing := array(
        select distinct id
        from unnest(p_sources) as id
        cross join (select distinct user_id from linked.participant where album_id = any (p_albums)) as taker
        where not exists (
            select from linked.member where member.source_id = id and member.owner_id = taker.user_id
        )
    );
    if cardinality(v_missing) <= 500 then
        perform linked.refresh_membership(v_missing);
    else
        insert into linked.queue (source_id) select unnest(v_missing) on conflict do nothing;
        perform linked.begin_linking();
    end if;
end
$linked$;
comment on function linked.extend_membership(uuid[], uuid[]) is
    'Links what these albums cover for those who have come to take part in them, where nobody loses anything.';

-- Linking of many assets is queued, to be worked off in slices. Returns whether it was.
create or replace function linked.refresh_clones(p_sources uuid[], p_all_at_once boolean, p_unseen uuid[]) returns boolean
language plpgsql
as $linked$
declare
    v_sources uuid[];
    v_users uuid[];
    v_can_write boolean[];
    v_deletes_own boolean[];
    v_linkable boolean[];
    v_editors uuid[];
    v_viewers uuid[];
    v_is_few boolean;
    v_until timestamptz := clock_timestamp() + linked.time_left(interval '2 seconds');
begin
    select array_agg(source_id), array_agg(user_id), array_agg(can_write), array_agg(deletes_own), array_agg(linkable)
    into v_sources, v_users, v_can_write, v_deletes_own, v_linkable
    from linked.wanted(p_sources);

    perform linked.unlink(array(
        select member.asset_id
        from linked.member
        left join unnest(v_sources, v_users) as wanted (source_id, user_id)
            on wanted.source_id = member.source_id and wanted.user_id = member.owner_id
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
            and wanted.source_id is null
    ));

    update linked.member
    set deletes_own = wanted.deletes_own
    from unnest(v_sources, v_users, v_deletes_own) as wanted (source_id, user_id, deletes_own)
    where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
        and member.deletes_own <> wanted.deletes_own;

    with changed as (
        update linked.member
        set can_write = wanted.can_write
        from unnest(v_sources, v_users, v_can_write) as wanted (source_id, user_id, can_write)
        where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
            and member.can_write <> wanted.can_write
        returning member.asset_id, member.can_write
    )
    select array_agg(asset_id) filter (where can_write), array_agg(asset_id) filter (where not can_write)
    into v_editors, v_viewers
    from changed;
    perform linked.bring_in(v_editors);
    perform linked.set_apart(v_viewers);
{% if "sidecarPath" in asset %}
    perform linked.assign_sidecars(v_editors || v_viewers);
{% elif sidecar_rows_of_viewers %}
    perform linked.propagate_asset_file(array_agg(source_id), array_agg(asset_id))
    from linked.member where asset_id = any (v_editors || v_viewers);
{% endif %}

    select array_agg(wanted.source_id order by wanted.user_id, wanted.source_id),
        array_agg(wanted.user_id order by wanted.user_id, wanted.source_id),
        array_agg(wanted.can_write order by wanted.user_id, wanted.source_id),
        array_agg(wanted.deletes_own order by wanted.user_id, wanted.source_id)
    into v_sources, v_users, v_can_write, v_deletes_own
    from unnest(v_sources, v_users, v_can_write, v_deletes_own, v_linkable)
        as wanted (source_id, user_id, can_write, deletes_own, linkable)
    where wanted.linkable
        and not exists (
            select from linked.member
            where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
        );
    if v_sources is null then
        return false;
    end if;
    if p_all_at_once then
        perform linked.link(v_sources, v_users, v_can_write, v_deletes_own);
        perform linked.look_again_at(array(select unnest(v_sources) except select unnest(p_unseen)));
        return false;
    end if;
    v_is_few := cardinality(v_sources) <= 250 * extract(epoch from linked.time_left(interval '2 seconds'));
    -- Pictures of many persons take longer than others.
    while v_is_few and cardinality(v_sources) > 0 and clock_timestamp() < v_until loop
        perform linked.link(v_sources[:25], v_users[:25], v_can_write[:25], v_deletes_own[:25]);
        perform linked.look_again_at(array(select unnest(v_sources[:25]) except select unnest(p_unseen)));
        v_sources := v_sources[26:];
        v_users := v_users[26:];
        v_can_write := v_can_write[26:];
        v_deletes_own := v_deletes_own[26:];
    end loop;
    insert into linked.queue (source_id)
    select distinct source_id from unnest(v_sources) as source_id
    on conflict do nothing;
    if v_is_few and cardinality(v_sources) > 0 then
        perform pg_notify('linked', 'queue');
    end if;
    return not v_is_few;
end
$linked$;
comment on function linked.refresh_clones(uuid[], boolean, uuid[]) is
    'Compares the clones that these assets should have with those that exist, whatever becomes of their video parts.';

-- Whoever deletes a source cannot see yet that it is one: it is held until we are seen.
-- No conflict target: both of Immich's unique indexes on checksums may object. Then the account has the picture already,
-- and it is left out. User after user, so that where Immich goes through all assets in stored order, its jobs for members of one
-- group do not run side by side.
create or replace function linked.link(
    p_sources uuid[], p_users uuid[], p_can_write boolean[], p_deletes_own boolean[]
) returns void
language plpgsql
as $linked$
declare
    v_sources uuid[];
    v_clones uuid[];
begin
    with plan as materialized (
        select gen_random_uuid() as clone_id, wanted.*
        from unnest(p_sources, p_users, p_can_write, p_deletes_own)
            with ordinality as wanted (source_id, user_id, can_write, deletes_own, position)
    ), made as (
        insert into public.asset (id, "ownerId", {{ names("asset", "shared", without=["sidecarPath"]) }}
            {%- for name, value in births("asset") %}, {{ name }}{% endfor %}
            {%- if "sidecarPath" in asset %}, "sidecarPath"{% endif %})
        select plan.clone_id, plan.user_id, {{ names("asset", "shared", "s", without=["sidecarPath"]) }}
            {%- for name, value in births("asset") %}, {{ value }}{% endfor %}
            {%- if "sidecarPath" in asset %},
            case when plan.can_write then s."sidecarPath" else linked.viewers_sidecar(s."originalPath") end{% endif %}

        from plan join public.asset s on s.id = plan.source_id
        where (select linked.keep_plans())
        order by plan.user_id, plan.position
        for key share of s nowait
        on conflict do nothing
        returning id
    ), clone as (
        insert into linked.member (asset_id, source_id, owner_id, can_write, deletes_own)
        select plan.clone_id, plan.source_id, plan.user_id, plan.can_write, plan.deletes_own
        from plan join made on made.id = plan.clone_id
        returning asset_id, source_id
    )
    select array_agg(source_id), array_agg(asset_id) into v_sources, v_clones from clone;
    perform linked.plan_anew();
    if v_sources is null then
        return;
    end if;
    insert into linked.member (asset_id, source_id, owner_id, can_write)
    select asset.id, asset.id, asset."ownerId", true
    from public.asset where asset.id = any (v_sources)
    on conflict do nothing;
    perform linked.propagate_rows(v_sources, v_clones, p_are_new => true);
    perform linked.pair_live_photos(array(
        select id from public.asset where id = any (v_sources) and "livePhotoVideoId" is not null
        union
        select "livePhotoVideoId" from public.asset where "livePhotoVideoId" = any (v_sources)
    ));
    perform linked.join_counterparts(v_clones);
end
$linked$;
comment on function linked.link(uuid[], uuid[], boolean[], boolean[]) is
    'Creates clones of the sources in the accounts of the users, with everything that hangs on them.';

-- A new clone takes its place in everything that exists already: tags and stack of the source; the albums of any sibling; the
-- person that any sibling's face is assigned to (the source's, if it has one).
create or replace function linked.join_counterparts(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    perform
        linked.propagate_tags(array_agg(source_id), array_agg(asset_id)),
        linked.propagate_stacks(array_agg(source_id), array_agg(asset_id))
    from linked.member
    where asset_id = any (p_clones);

    perform linked.add_to_albums(array_agg(sibling.asset_id), array_agg(clone.asset_id))
    from linked.member clone
    join linked.member sibling on sibling.source_id = clone.source_id and sibling.asset_id <> all (p_clones)
    where clone.asset_id = any (p_clones) and sibling.can_write;

    perform linked.refill_people(p_clones);
end
$linked$;
comment on function linked.join_counterparts(uuid[]) is
    'Gives new clones the tags, stacks, albums and people of their siblings.';

-- Who may only look has tags, albums and stacks of their own on clones; who may write shares them.
create or replace function linked.bring_in(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    if p_clones is null then
        return;
    end if;
    perform
        linked.add_tags(array_agg(clone.asset_id), array_agg(sibling.asset_id)),
        linked.add_to_albums(array_agg(clone.asset_id), array_agg(sibling.asset_id)),
        linked.bring_in_stacks(array_agg(clone.asset_id), array_agg(sibling.asset_id))
    from linked.member clone
    join linked.member sibling on sibling.source_id = clone.source_id and sibling.asset_id <> clone.asset_id
    where clone.asset_id = any (p_clones);
    delete from linked.brought where asset_id = any (p_clones);
    perform linked.bring_in_faces(p_clones);
end
$linked$;
comment on function linked.bring_in(uuid[]) is
    'Gives what viewers had put on these clones to the siblings, now that they may write.';

-- What an account shared while it could write is the group's; the albums that it made itself are its own. Stacks of one linked
-- picture and others of the account's were never shared: of viewers they do not last.
create or replace function linked.set_apart(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    if p_clones is null then
        return;
    end if;
    insert into linked.brought (asset_id, holder_id)
    select member.asset_id, mine.{{ tag_asset.tagId }}
    from linked.member
    join public.tag_asset mine on mine.{{ tag_asset.assetId }} = member.asset_id
    join public.tag my_tag on my_tag.id = mine.{{ tag_asset.tagId }}
    join public.tag_asset theirs on theirs.{{ tag_asset.assetId }} = member.source_id
    join public.tag their_tag on their_tag.id = theirs.{{ tag_asset.tagId }} and their_tag.value = my_tag.value
    where member.asset_id = any (p_clones)
    union
    select member.asset_id, album_pair.album_id
    from linked.member
    join public.album_asset mine on mine.{{ album_asset.assetId }} = member.asset_id
    join linked.album_pair
        on album_pair.album_id = mine.{{ album_asset.albumId }} and album_pair.owner_id = member.owner_id
    where member.asset_id = any (p_clones) and album_pair.album_id <> album_pair.album_key
    on conflict do nothing;
    perform linked.leave_albums_of_nobody(array(select source_id from linked.member where asset_id = any (p_clones)));
    perform linked.propagate_stacks(array_agg(source_id), array_agg(asset_id))
    from linked.member where asset_id = any (p_clones);
end
$linked$;
comment on function linked.set_apart(uuid[]) is
    'Takes note of what is shared on these clones, now that they may not write any more.';

-- A row that leaves an account, or changes its content, makes room for a clone that had been left out.
create or replace function linked.fill_gaps(p_owners uuid[], p_checksums bytea[], p_except uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.refresh_membership(array(
        select distinct asset.id
        from unnest(p_owners, p_checksums, p_except) as gap (owner_id, checksum, source_id)
        join public.asset on asset.checksum = gap.checksum and asset."ownerId" <> gap.owner_id
        where asset.id is distinct from gap.source_id
            and not exists (
                select from linked.member where member.asset_id = asset.id and member.asset_id <> member.source_id
            )
    ));
end
$linked$;
comment on function linked.fill_gaps(uuid[], bytea[], uuid[]) is
    'Links sources that were left out because an account had their content, after a row of it is gone.';

create or replace function linked.sources_on(p_owners uuid[], p_paths text[]) returns setof uuid
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select source.id
    from unnest(p_owners, p_paths) as own (owner_id, path)
    join public.asset source on source."originalPath" = own.path and source."ownerId" <> own.owner_id
    where own.owner_id in (select user_id from linked.participant);
end
$linked$;
comment on function linked.sources_on(uuid[], text[]) is
    'What others have on the files of participants'' own libraries: whether these need clones depends on that.';

-- Linking makes tables of a few rows large within seconds, long before autovacuum looks at them, and plans for few rows read
-- every row of many.
create or replace function linked.keep_statistics() returns void
language plpgsql
as $linked$
begin
    if pg_relation_size('linked.member') / current_setting('block_size')::bigint
        > (select 10 + 2 * relpages from pg_class where oid = 'linked.member'::regclass)
    then
        analyze linked.member, linked.face;
    end if;
end
$linked$;
comment on function linked.keep_statistics() is
    'Has PostgreSQL look anew at what the addon remembers, whenever that has doubled.';

-- A row in an index over vectors takes as much time as up to ten clones without.
create or replace function linked.take_slice(p_size integer) returns uuid[]
language sql volatile
as $linked$
    with waiting as (
        select source_id, queued_at from linked.queue where not thorough order by queued_at limit p_size
    ), counted as (
        select source_id, sum(
            (select count(*) from public.smart_search where smart_search."assetId" = source_id)
            + (select count(*) from public.asset_face where asset_face."assetId" = source_id)
        ) over (order by queued_at, source_id) as vectors, row_number() over (order by queued_at, source_id) as place
        from waiting
    ), slice as (
        delete from linked.queue
        where source_id in (select source_id from counted where vectors <= 2 * p_size or place = 1)
        returning source_id
    )
    select array_agg(source_id) from slice
$linked$;
comment on function linked.take_slice(integer) is
    'Takes from the queue what is only to be linked: at most p_size sources with at most twice as many faces and embeddings, one source at least. Null: there is none.';

-- What only has to be linked comes first. Every slice has its statements planned anew (some 50 milliseconds): the first is
-- small, the others as large as the time allows that is left, by what the session has seen. Of groups that may have missed
-- changes most have not: many are compared at once, and a few repaired.
create or replace function linked.work_slices(p_budget interval, p_slice integer) returns void
language plpgsql
as $linked$
declare
    v_left interval := linked.time_left(p_budget);
    v_until timestamptz := clock_timestamp() + v_left;
    v_users bigint := (select max(users) from (select count(*) as users from linked.participant group by album_id) as n);
    v_sources integer := greatest(
        1, p_slice * least(1, extract(epoch from v_left) / nullif(extract(epoch from p_budget), 0)) / greatest(1, v_users)
    );
    v_rate numeric := nullif(current_setting('linked.sources_per_second', true), '');
    v_size integer := greatest(v_sources, least(v_rate * extract(epoch from v_left), 8 * v_sources));
    v_begun timestamptz;
    v_slice uuid[];
    v_differ uuid[];
begin
    if v_left < interval '0' then
        return;
    end if;
    perform linked.plan_for(8 * p_slice);
    loop
        v_begun := clock_timestamp();
        v_slice := linked.take_slice(v_size);
        if v_slice is not null then
            perform linked.attempt(v_slice, false);
            v_rate := v_size / extract(epoch from clock_timestamp() - v_begun);
            -- The last slice is not a whole one.
            if exists (select from linked.queue where not thorough) then
                perform set_config('linked.sources_per_second', v_rate::text, false);
            end if;
            v_size := least(v_rate * extract(epoch from v_until - clock_timestamp()), 8 * v_sources);
            exit when v_size < greatest(1, v_sources / 2);
        else
            v_slice := array(select source_id from linked.queue order by queued_at limit 10 * v_sources);
            exit when cardinality(v_slice) = 0;
            v_differ := array(
                select found.source_id
                from linked.disagreements(v_slice) as found
                group by found.source_id
                order by found.source_id = any (v_slice) desc
            );
            delete from linked.queue
            where source_id in (select unnest(v_slice) except select unnest(v_differ));
            if cardinality(v_differ) > 0 then
                perform linked.mend(v_differ[:v_sources]);
            end if;
        end if;
        perform linked.keep_statistics();
        exit when clock_timestamp() >= v_until;
    end loop;
end
$linked$;
comment on function linked.work_slices(interval, integer) is
    'Works off what is queued, first about p_slice clones (fewer where statement_timeout is short), until p_budget is used up or nothing is left.';

-- Immich takes linking back before it is done: the album is unshared, an account deleted, a prefix removed.
create or replace function linked.drop_needless_queue() returns void
language plpgsql
as $linked$
declare
    v_queued uuid[] := array(select source_id from linked.queue where not thorough);
begin
    delete from linked.queue
    where not thorough
        and source_id in (
            select unnest(v_queued)
            except
            select wanted.source_id
            from linked.wanted(v_queued) as wanted
            where wanted.linkable
                and not exists (
                    select from linked.member
                    where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
                )
        );
end
$linked$;
comment on function linked.drop_needless_queue() is
    'Takes from the queue what no linked album wants any more.';

create or replace function linked.work_off(p_budget interval) returns bigint
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
declare
    v_until timestamptz := clock_timestamp() + p_budget;
begin
    perform linked.start_writing();
    perform set_config('jit', 'off', true);
    perform linked.work_notes(null, v_until);
    perform linked.look_again(v_until);
    perform linked.work_slices(v_until - clock_timestamp(), 100);
    perform linked.settle();
    perform linked.tell_of_work(linked.has_work());
    perform linked.stop_writing();
    return linked.left_to_do();
end
$linked$;
comment on function linked.work_off(interval) is
    'Works off notes, second looks and queued linking for about p_budget. Returns how much is left. To be called in short transactions.';

create or replace function linked.left_to_do() returns bigint
language sql stable
as $linked$
    select (select count(*) from linked.queue) + (select count(*) from linked.note)
        + (
            select count(*) from linked.second_look
            where settled_after is null
                or settled_after <= coalesce(
                    (select running from pg_snapshot_xip(pg_current_snapshot()) as running order by running limit 1), settled_after
                )
        )
$linked$;
comment on function linked.left_to_do() is
    'How much is queued, noted, and to be looked at a second time, less what waits for transactions that are still under way.';

-- State and rows can drift apart unseen: Immich's in-app restore puts another database beside what is remembered, and rows go
-- while sync is suspended. A source that is gone takes its clones along; a clone that is gone is made anew. Faces of members
-- that are gone are not forgotten here: that they are gone tells that somebody removed them.
create or replace function linked.forget_the_gone() returns void
language plpgsql
as $linked$
begin
    delete from linked.stack_pair where not exists (select from public.stack where stack.id = stack_pair.stack_id);
    delete from linked.album_pair where not exists (select from public.album where album.id = album_pair.album_id);
    delete from linked.person_pair
    where not exists (select from public.person where {{ is_person("person", "person_pair") }});
    delete from linked.made_tag where not exists (select from public.tag where tag.id = made_tag.tag_id);
    delete from linked.passing_stack where not exists (select from public.stack where stack.id = passing_stack.stack_id);
    delete from linked.brought
    where not exists (
            select from public.tag_asset
            where tag_asset.{{ tag_asset.assetId }} = brought.asset_id
                and tag_asset.{{ tag_asset.tagId }} = brought.holder_id
        )
        and not exists (
            select from public.album_asset
            where album_asset.{{ album_asset.assetId }} = brought.asset_id
                and album_asset.{{ album_asset.albumId }} = brought.holder_id
        );
    perform linked.unlink(array(
        select member.asset_id
        from linked.member join public.asset on asset.id = member.asset_id
        where not exists (select from public.asset source where source.id = member.source_id)
    ));
    perform linked.forget_members(array(
        select asset_id from linked.member
        where not exists (select from public.asset where asset.id = member.asset_id)
    ));
    insert into linked.member (asset_id, source_id, owner_id, can_write)
    select distinct source.id, source.id, source."ownerId", true
    from linked.member join public.asset source on source.id = member.source_id
    on conflict do nothing;
    delete from linked.face where not exists (select from linked.member where member.asset_id = face.asset_id);
    delete from linked.unsettled where not exists (select from public.asset where asset.id = unsettled.source_id);
    perform linked.note_unused_tags(array(select tag_id from linked.made_tag));
end
$linked$;
comment on function linked.forget_the_gone() is
    'Makes what is remembered fit the rows that exist, after a restore or after sync was suspended.';

-- A clone can be remembered no more: schema `linked` was lost, or a backup was restored beside it. Nothing is known for a
-- clone by its looks alone. But where an account is to have a clone of a source, and has an external asset without a library
-- (Immich itself never writes such) on that file, with that content, the asset takes the clone's place: a second could not be made.
create or replace function linked.adopt() returns bigint
language plpgsql
as $linked$
declare
    v_clones uuid[] := array(select linked.clones_unknown());
    v_sources uuid[];
    v_count bigint;
begin
    if cardinality(v_clones) = 0 then
        return 0;
    end if;
    select array_agg(mine.id), array_agg(source.id) into v_clones, v_sources
    from public.asset mine
    join public.asset source
        on source."originalPath" = mine."originalPath" and source.checksum = mine.checksum
        and source."ownerId" <> mine."ownerId"
    where mine.id = any (v_clones) and not (source."isExternal" and source."libraryId" is null);
    insert into linked.member (asset_id, source_id, owner_id, can_write, deletes_own)
    select mine.id, covered.source_id, mine."ownerId", bool_or(participant.role <> 'viewer'),
        {{ deletes_own("linked_album.deletes_own", "participant.role <> 'viewer'") }}
    from unnest(v_clones, v_sources) as pair (clone_id, source_id)
    join public.asset mine on mine.id = pair.clone_id
    join linked.covered(v_sources) as covered on covered.source_id = pair.source_id
    join linked.linked_album on linked_album.album_id = covered.album_id
    join linked.participant on participant.album_id = covered.album_id and participant.user_id = mine."ownerId"
    group by mine.id, covered.source_id
    on conflict do nothing;
    get diagnostics v_count = row_count;
    insert into linked.member (asset_id, source_id, owner_id, can_write)
    select source.id, source.id, source."ownerId", true
    from public.asset source
    where source.id in (select source_id from linked.member where asset_id = any (v_clones))
    on conflict do nothing;
    return v_count;
end
$linked$;
comment on function linked.adopt() is
    'Takes assets that stand where clones of sources are to be for these clones. Returns how many.';

create or replace function linked.clones_unknown() returns setof uuid
language sql stable
as $linked$
    select mine.id
    from public.asset mine
    where mine."isExternal" and mine."libraryId" is null
{% if "deviceId" in asset %}
        and mine."deviceId" = 'linked'
{% endif %}
        and not exists (select from linked.member where member.asset_id = mine.id)
        and exists (
            select from public.asset theirs
            where theirs."originalPath" = mine."originalPath" and theirs."ownerId" <> mine."ownerId"
        )
$linked$;
comment on function linked.clones_unknown() is
    'Assets that look like clones, on a file of somebody else''s asset, and that nobody remembers.';

-- What an account deleted for good for itself alone is hidden from it. That any other clone was deleted tells nothing certain of its
-- source (and of its file): it is made anew. A row that is gone without Immich's audit row was never deleted: another backup
-- has been restored.
create or replace function linked.follow_deletions() returns bigint
language plpgsql
as $linked$
declare
    v_albums uuid[] := array(
        select album_pair.album_id
        from linked.album_pair
        where not exists (select from public.album where album.id = album_pair.album_id)
            and exists (select from public.album_audit where album_audit."albumId" = album_pair.album_id)
    );
    v_count bigint;
begin
    insert into linked.dismissal (source_id, user_id)
    select distinct member.source_id, member.owner_id
    from linked.member
    join public.asset_audit on asset_audit."assetId" = member.asset_id
    where {{ hides_alone("member") }}
        and not exists (select from public.asset where asset.id = member.asset_id)
    on conflict do nothing;
    get diagnostics v_count = row_count;
    perform linked.follow_deleted_albums(v_albums);
    return v_count + cardinality(v_albums);
end
$linked$;
comment on function linked.follow_deletions() is
    'Does what was to be done when accounts deleted albums, or clones for themselves alone, unseen. Returns how many they were.';

create or replace function linked.remembered() returns bigint
language sql stable
as $linked$
    select (select count(*) from linked.member) + (select count(*) from linked.face)
        + (select count(*) from linked.person_pair) + (select count(*) from linked.album_pair)
        + (select count(*) from linked.stack_pair) + (select count(*) from linked.made_tag)
$linked$;
comment on function linked.remembered() is 'How many rows the addon remembers something of.';

create or replace function linked.review() returns table (kind text, changes bigint)
language plpgsql
as $linked$
declare
    v_albums uuid[] := array(select id from public.album union select album_id from linked.linked_album);
    v_trusted uuid[] := linked.trusted(v_albums);
    v_remembered bigint;
begin
    return query
    select 'linked album', (linked.understand(v_albums, v_trusted, v_trusted) is not null)::integer::bigint;
    return query select 'deletion', linked.follow_deletions();
    v_remembered := linked.remembered();
    perform linked.forget_the_gone();
    perform linked.sweep_stacks();
    return query select 'row that is gone', v_remembered - linked.remembered();
    return query select 'forgotten clone', linked.adopt();
    return query select 'replaced file', linked.disarm_kept_copies();
    return query select 'album', linked.equalize_albums();
    return query select 'person', linked.equalize_persons();
end
$linked$;
comment on function linked.review() is
    'Makes what is remembered, and what all groups share, fit what Immich has, after whatever happened unseen. Returns what did not.';

create or replace function linked.enqueue_all() returns bigint
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    perform linked.review();
    insert into linked.queue (source_id, thorough)
    select id, bool_or(thorough)
    from (
        select id, false from unnest(linked.assets_of_albums(array(select album_id from linked.linked_album))) as id
        union all
        select source_id, true from linked.member
    ) as due (id, thorough)
    group by id
    on conflict (source_id) do update set thorough = queue.thorough or excluded.thorough;
    perform linked.tell_of_work(linked.has_work());
    perform linked.stop_writing();
    return linked.left_to_do();
end
$linked$;
comment on function linked.enqueue_all() is
    'Queues everything that the linked albums cover, and every group that exists for repair. Returns how many are queued.';

-- For psql: a procedure may commit between slices. It waits for locks as long as the Python commands do, holding none meanwhile.
create or replace procedure linked.drain()
language plpgsql
as $linked$
declare
    v_left bigint;
    v_tries integer := 0;
    v_patience timestamptz;
    v_begun timestamptz := clock_timestamp();
begin
    loop
        begin
            perform set_config('lock_timeout', '3s', true);
            v_left := case when v_left is null then linked.enqueue_all() else linked.work_off(interval '200 milliseconds') end;
            v_tries := 0;
            v_patience := null;
        exception when lock_not_available or deadlock_detected or serialization_failure then
            v_tries := v_tries + 1;
            v_patience := coalesce(v_patience, clock_timestamp() + interval '25 seconds');
            if clock_timestamp() > v_patience then
                raise exception 'Immich is busy: what is to be linked could not be locked in % tries (%)', v_tries, sqlerrm
                using errcode = 'lock_not_available', hint = 'Call it again later: it goes on from there.';
            end if;
        end;
        commit;
        exit when v_left = 0;
        perform pg_sleep(case when v_tries > 0 then least(4, 0.25 * 2 ^ v_tries) else 0 end);
    end loop;
    update linked.incident set resolved_at = clock_timestamp() where resolved_at is null and last_at < v_begun;
    commit;
end
$linked$;
comment on procedure linked.drain() is
    'Links everything that the linked albums cover, and repairs every group, in small transactions; with that, what had happened is no incident any more.';
