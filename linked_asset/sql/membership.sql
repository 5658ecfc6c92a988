-- Refresh membership: which assets are linked for whom, and making it so.

-- Security rule: a prefix covers assets of the album's owner only, an album only assets of its participants, and nobody's
-- locked folder. A clone is never covered. The video part of a live photo is covered through its stills alone, wherever its
-- own file lies.
create or replace function linked.covered(p_assets uuid[])
returns table (source_id uuid, through_id uuid, album_id uuid, owner_id uuid, path text, linkable boolean)
language sql stable
as $linked$
    with candidate as (
        select source.id as source_id, coalesce(still.id, source.id) as through_id,
            source."ownerId" as owner_id, source."originalPath" as path,
            coalesce(still."originalPath", source."originalPath") as through_path,
            source."deletedAt" is null and not source."isOffline" and source.status = 'active'
            and (still.id is null or still."deletedAt" is null and not still."isOffline" and still.status = 'active')
                as linkable
        from public.asset source
        left join public.asset still
            on still."livePhotoVideoId" = source.id and still."ownerId" = source."ownerId"
        where source.id = any (p_assets)
            and source.visibility <> 'locked' and (still.id is null or still.visibility <> 'locked')
            and not exists (
                select from linked.member
                where member.asset_id = source.id and member.asset_id <> member.source_id
            )
            and not exists (
                select from linked.member
                where member.asset_id = still.id and member.asset_id <> member.source_id
            )
    ), hit as (
        select candidate.*, linked_album.album_id
        from candidate
        join linked.linked_album on linked_album.owner_id = candidate.owner_id
        join linked.prefix on prefix.album_id = linked_album.album_id
        where prefix.path = '' or starts_with(candidate.through_path, prefix.path || '/')
        union all
        select candidate.*, participant.album_id
        from candidate
        join public.album_asset on album_asset.{{ album_asset.assetId }} = candidate.through_id
        join linked.participant
            on participant.album_id = album_asset.{{ album_asset.albumId }} and participant.user_id = candidate.owner_id
    )
    select distinct hit.source_id, hit.through_id, hit.album_id, hit.owner_id, hit.path, hit.linkable
    from hit
$linked$;
comment on function linked.covered(uuid[]) is
    'Which of these assets are sources, by which linked albums (of a video part through which still), and whether new clones may be made (not in the trash, not offline).';

-- Who has the file in a library of their own needs no clone. A video part goes where a still of it is: not where the still
-- was left out, dismissed or not linked for any cause.
create or replace function linked.wanted(p_assets uuid[])
returns table (source_id uuid, user_id uuid, can_write boolean, linkable boolean)
language sql stable
as $linked$
    with taker as materialized (
        select participant.album_id, participant.user_id, participant.role <> 'viewer' as can_write,
            linked_album.is_live and account."deletedAt" is null as linkable,
            exists (
                select from public.asset own
                where own."ownerId" = participant.user_id and own."libraryId" is not null
            ) as has_library
        from linked.participant
        join linked.linked_album on linked_album.album_id = participant.album_id
        join public."user" account on account.id = participant.user_id
    )
    select covered.source_id, taker.user_id,
        bool_or(taker.can_write),
        bool_or(covered.linkable and taker.linkable)
    from linked.covered(p_assets) as covered
    join taker on taker.album_id = covered.album_id and taker.user_id <> covered.owner_id
    where not exists (
            select from linked.dismissal
            where dismissal.source_id = covered.source_id and dismissal.user_id = taker.user_id
        )
        and not exists (
            select from linked.replacement
            where replacement.source_id = covered.source_id and replacement.user_id = taker.user_id
                and begun_at > clock_timestamp() - interval '1 minute'
        )
        and not (
            taker.has_library
            and exists (
                select from public.asset own
                where own."originalPath" = covered.path and own."ownerId" = taker.user_id
                    and own."libraryId" is not null
            )
        )
        and (
            covered.through_id = covered.source_id
            or exists (
                select from linked.member still
                where still.source_id = covered.through_id and still.owner_id = taker.user_id
            )
        )
    group by covered.source_id, taker.user_id
$linked$;
comment on function linked.wanted(uuid[]) is
    'The clones that these assets should have. Not linkable: one that exists stays, but none is made now.';

-- Videos after their stills: they go where these are by then. Unlinking is done at once, all of it.
create or replace function linked.refresh_membership(p_assets uuid[], p_all_at_once boolean default false) returns void
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
        array(select id from unnest(p_assets) as id where id is not null except select unnest(v_parts)), p_all_at_once
    );
    if cardinality(v_parts) > 0 then
        v_queued := linked.refresh_clones(v_parts, p_all_at_once) or v_queued;
    end if;
    if v_queued then
        perform linked.begin_linking();
    end if;
end
$linked$;
comment on function linked.refresh_membership(uuid[], boolean) is
    'Compares the clones that these assets and their video parts should have with those that exist: creates what is missing, deletes what is too much.';

create or replace function linked.begin_linking() returns void
language plpgsql
as $linked$
begin
    perform pg_notify('linked', 'queue');
    perform linked.work_queue(interval '2 seconds', 200);
end
$linked$;
comment on function linked.begin_linking() is 'Links of what was just queued as much as one statement may take time for.';

-- Nothing to take from anybody: then even the comparison is left to the slices in which many are linked. Roles that have
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
        join linked.member on member.owner_id = participant.user_id and not member.can_write
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
create or replace function linked.refresh_clones(p_sources uuid[], p_all_at_once boolean) returns boolean
language plpgsql
as $linked$
declare
    v_sources uuid[];
    v_users uuid[];
    v_can_write boolean[];
    v_linkable boolean[];
    v_editors uuid[];
    v_viewers uuid[];
begin
    select array_agg(source_id), array_agg(user_id), array_agg(can_write), array_agg(linkable)
    into v_sources, v_users, v_can_write, v_linkable
    from linked.wanted(p_sources);

    perform linked.unlink(array(
        select member.asset_id
        from linked.member
        left join unnest(v_sources, v_users) as wanted (source_id, user_id)
            on wanted.source_id = member.source_id and wanted.user_id = member.owner_id
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
            and wanted.source_id is null
    ));

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
{% endif %}

    select array_agg(wanted.source_id), array_agg(wanted.user_id), array_agg(wanted.can_write)
    into v_sources, v_users, v_can_write
    from unnest(v_sources, v_users, v_can_write, v_linkable) as wanted (source_id, user_id, can_write, linkable)
    where wanted.linkable
        and not exists (
            select from linked.member
            where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
        );
    if v_sources is null then
        return false;
    end if;
    if p_all_at_once
        or cardinality(v_sources) <= 250 * extract(epoch from linked.time_left(interval '2 seconds'))
    then
        perform linked.link(v_sources, v_users, v_can_write);
        return false;
    end if;
    insert into linked.queue (source_id)
    select distinct source_id from unnest(v_sources) as source_id
    on conflict do nothing;
    return true;
end
$linked$;
comment on function linked.refresh_clones(uuid[], boolean) is
    'Compares the clones that these assets should have with those that exist, whatever becomes of their video parts.';

-- No conflict target: both of Immich's unique indexes on checksums may object. Then the account has the picture already,
-- and it is left out. User after user, so that where Immich goes through all assets in stored order, its jobs for members of one
-- group do not run side by side.
create or replace function linked.link(p_sources uuid[], p_users uuid[], p_can_write boolean[]) returns void
language plpgsql
as $linked$
declare
    v_sources uuid[];
    v_clones uuid[];
begin
    with plan as materialized (
        select gen_random_uuid() as clone_id, wanted.*
        from unnest(p_sources, p_users, p_can_write) with ordinality as wanted (source_id, user_id, can_write, position)
    ), made as (
        insert into public.asset (id, "ownerId", {{ names("asset", "shared", without=["sidecarPath"]) }}
            {%- for name, value in births("asset") %}, {{ name }}{% endfor %}
            {%- if "sidecarPath" in asset %}, "sidecarPath"{% endif %})
        select plan.clone_id, plan.user_id, {{ names("asset", "shared", "s", without=["sidecarPath"]) }}
            {%- for name, value in births("asset") %}, {{ value }}{% endfor %}
            {%- if "sidecarPath" in asset %},
            case when plan.can_write then s."sidecarPath" else linked.viewers_sidecar(s."originalPath") end{% endif %}

        from plan join public.asset s on s.id = plan.source_id
        order by plan.user_id, plan.position
        on conflict do nothing
        returning id
    ), clone as (
        insert into linked.member (asset_id, source_id, owner_id, can_write)
        select plan.clone_id, plan.source_id, plan.user_id, plan.can_write
        from plan join made on made.id = plan.clone_id
        returning asset_id, source_id
    )
    select array_agg(source_id), array_agg(asset_id) into v_sources, v_clones from clone;
    if v_sources is null then
        return;
    end if;
    insert into linked.member (asset_id, source_id, owner_id, can_write)
    select asset.id, asset.id, asset."ownerId", true
    from public.asset where asset.id = any (v_sources)
    on conflict do nothing;
    perform linked.propagate_rows(v_sources, v_clones);
    perform linked.pair_live_photos(v_sources);
    perform linked.join_counterparts(v_clones);
end
$linked$;
comment on function linked.link(uuid[], uuid[], boolean[]) is
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

-- What an account shared while it could write is the group's; the albums that it made itself are its own.
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
language sql stable
as $linked$
    select source.id
    from unnest(p_owners, p_paths) as own (owner_id, path)
    join public.asset source on source."originalPath" = own.path and source."ownerId" <> own.owner_id
    where own.owner_id in (select user_id from linked.participant)
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

create or replace function linked.work_queue(p_budget interval, p_slice integer) returns void
language plpgsql
as $linked$
declare
    v_left interval := linked.time_left(p_budget);
    v_until timestamptz := clock_timestamp() + v_left;
    v_users bigint := (select max(users) from (select count(*) as users from linked.participant group by album_id) as n);
    v_sources integer := greatest(
        1, p_slice * least(1, extract(epoch from v_left) / nullif(extract(epoch from p_budget), 0)) / greatest(1, v_users)
    );
    v_slice uuid[];
    v_thorough uuid[];
begin
    if v_left < interval '0' then
        return;
    end if;
    loop
        with slice as (
            delete from linked.queue
            where source_id in (select source_id from linked.queue order by queued_at limit v_sources)
            returning source_id, thorough
        )
        select
            array_agg(source_id) filter (where not thorough),
            array_agg(source_id) filter (where thorough)
        into v_slice, v_thorough
        from slice;
        exit when v_slice is null and v_thorough is null;
        perform linked.refresh_queued(v_slice, false);
        perform linked.refresh_queued(v_thorough, true);
        perform linked.keep_statistics();
        exit when clock_timestamp() >= v_until;
    end loop;
end
$linked$;
comment on function linked.work_queue(interval, integer) is
    'Works off queued linking, about p_slice clones at a time (fewer where statement_timeout is short), until p_budget is used up or nothing is left.';

-- One source that cannot be linked does not keep the others from it.
create or replace function linked.refresh_queued(p_sources uuid[], p_thorough boolean) returns void
language plpgsql
as $linked$
declare
    v_sqlstate text;
    v_message text;
    v_context text;
    v_source uuid;
begin
    if p_thorough then
        perform linked.repair_groups(p_sources);
    else
        perform linked.refresh_membership(p_sources, p_all_at_once => true);
    end if;
exception
-- Somebody holds a lock for a while: all stay queued, and it is not waited for once more for each.
when lock_not_available or deadlock_detected or serialization_failure then
    raise;
when others then
    get stacked diagnostics
        v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
    if cardinality(p_sources) = 1 then
        perform linked.record_incident(
            'linking of ' || p_sources[1]::text, v_sqlstate, v_message, v_context
        );
    else
        foreach v_source in array p_sources loop
            perform linked.refresh_queued(array[v_source], p_thorough);
        end loop;
    end if;
end
$linked$;
comment on function linked.refresh_queued(uuid[], boolean) is
    'Refreshes the membership of queued sources; where one fails, the others alone, and an incident for that one.';

create or replace function linked.work_off(p_budget interval) returns bigint
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    perform linked.work_queue(p_budget, 100);
    perform linked.settle();
    perform linked.stop_writing();
    return (select count(*) from linked.queue);
end
$linked$;
comment on function linked.work_off(interval) is
    'Works off queued linking for about p_budget. Returns how many sources are still queued. To be called in short transactions.';

-- A member that Immich deleted for good while nobody watched took the group's files along: the others must go too. (A row that
-- is gone without Immich's audit row was never deleted: another backup has been restored.)
create or replace function linked.finish_deletions() returns void
language plpgsql
as $linked$
begin
    perform linked.delete_groups(array(
        select distinct member.source_id
        from linked.member
        join public.asset_audit on asset_audit."assetId" = member.asset_id
        join public."user" account on account.id = member.owner_id
        where member.can_write
            and not exists (select from public.asset where asset.id = member.asset_id)
    ));
end
$linked$;
comment on function linked.finish_deletions() is
    'Deletes what is left of groups of which Immich deleted a member for good while sync was suspended.';

-- State and rows can drift apart unseen: Immich's in-app restore puts another database beside what is remembered, rows go
-- while sync is suspended, and what is remembered can be lost while the clones are still there. A source that is gone takes its
-- clones along; a clone that is gone, or that nobody remembers, is made anew. (Immich itself never writes external assets
-- without a library.)
create or replace function linked.forget_the_gone() returns void
language plpgsql
as $linked$
begin
    delete from linked.stack_pair where not exists (select from public.stack where stack.id = stack_pair.stack_id);
    delete from linked.album_pair where not exists (select from public.album where album.id = album_pair.album_id);
    delete from linked.person_pair where not exists (select from public.person where person.id = person_pair.person_id);
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
    perform linked.delete_assets(array(
        select id from public.asset
        where "isExternal" and "libraryId" is null
{% if "deviceId" in asset %}
            and "deviceId" = 'linked'
{% endif %}
            and not exists (select from linked.member where member.asset_id = asset.id)
    ));
    delete from linked.face where not exists (select from public.asset_face where asset_face.id = face.face_id);
    delete from linked.unsettled where not exists (select from public.asset where asset.id = unsettled.source_id);
    perform linked.note_unused_tags(array(select tag_id from linked.made_tag));
end
$linked$;
comment on function linked.forget_the_gone() is
    'Makes what is remembered fit the rows that exist, after a restore or after sync was suspended.';

create or replace function linked.take_stock() returns void
language plpgsql
as $linked$
begin
    perform linked.understand(array(
        select id from public.album
        union
        select album_id from linked.linked_album
    ));
    perform linked.finish_deletions();
    perform linked.disarm_kept_copies();
    perform linked.forget_the_gone();
end
$linked$;
comment on function linked.take_stock() is
    'Makes what is remembered fit what Immich has, after whatever happened unseen.';

create or replace function linked.enqueue_all() returns bigint
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    perform linked.take_stock();
    insert into linked.queue (source_id, thorough)
    select id, bool_or(thorough)
    from (
        select id, false from unnest(linked.assets_of_albums(array(select album_id from linked.linked_album))) as id
        union all
        select source_id, true from linked.member
    ) as due (id, thorough)
    group by id
    on conflict (source_id) do update set thorough = queue.thorough or excluded.thorough;
    perform linked.stop_writing();
    return (select count(*) from linked.queue);
end
$linked$;
comment on function linked.enqueue_all() is
    'Queues everything that the linked albums cover, and every group that exists for repair. Returns how many are queued.';

-- For psql: a procedure may commit between slices.
create or replace procedure linked.drain()
language plpgsql
as $linked$
begin
    perform linked.enqueue_all();
    commit;
    while linked.work_off(interval '200 milliseconds') > 0 loop
        commit;
    end loop;
end
$linked$;
comment on procedure linked.drain() is 'Links everything that the linked albums cover, in small transactions.';
