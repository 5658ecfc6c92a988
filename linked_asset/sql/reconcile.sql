-- Reconcile: whatever was missed, by a fault or while sync was suspended, is made good. Nothing is lost by it: where two
-- members differ the one that Immich wrote last counts, and of tags and albums, which have no date, all that anybody has.

-- The member of each group that was written last, and may write; the source when none was.
create or replace function linked.newest(p_sources uuid[], p_table text)
returns table (from_id uuid, to_id uuid)
language sql stable
as $linked$
    with dated as (
        select member.source_id, member.asset_id, member.can_write,
            case p_table
                when 'asset' then (select "updatedAt" from public.asset where id = member.asset_id)
                when 'asset_exif' then (select "updatedAt" from public.asset_exif where "assetId" = member.asset_id)
                when 'asset_file' then (select max("updatedAt") from public.asset_file where "assetId" = member.asset_id)
                when 'asset_face' then (select max("updatedAt") from public.asset_face where "assetId" = member.asset_id)
                when 'smart_search' then (
                    select to_timestamp(0) from public.smart_search where "assetId" = member.asset_id
                )
                when 'asset_job_status' then (
                    select to_timestamp(0) from public.asset_job_status where "assetId" = member.asset_id
                )
            end as written_at
        from linked.member
        where member.source_id = any (p_sources)
    ), origin as (
        select distinct on (source_id) source_id, asset_id
        from dated
        where can_write
        order by source_id, written_at desc nulls last, asset_id = source_id desc, asset_id
    )
    select origin.asset_id, member.asset_id
    from origin join linked.member using (source_id)
    where member.asset_id <> origin.asset_id
$linked$;
comment on function linked.newest(uuid[], text) is
    'Which member each sibling is to be made equal to in a table: the one that was written last.';

-- A face whose counterparts were forgotten is known again by where it is.
create or replace function linked.recognize_faces(p_sources uuid[]) returns void
language sql
as $linked$
    with stray as (
        select member.source_id, asset_face.*
        from linked.member
        join public.asset_face on asset_face."assetId" = member.asset_id
        where member.source_id = any (p_sources)
            and not exists (select from linked.face where face.face_id = asset_face.id)
    )
    insert into linked.face (face_id, face_key, asset_id)
    select distinct on (known.face_key, stray."assetId") stray.id, known.face_key, stray."assetId"
    from stray
    join linked.member sibling on sibling.source_id = stray.source_id and sibling.asset_id <> stray."assetId"
    join linked.face known on known.asset_id = sibling.asset_id
    join public.asset_face other on other.id = known.face_id
    where (other."boundingBoxX1", other."boundingBoxY1", other."boundingBoxX2", other."boundingBoxY2")
            = (stray."boundingBoxX1", stray."boundingBoxY1", stray."boundingBoxX2", stray."boundingBoxY2")
        and other."sourceType" = stray."sourceType"
    order by known.face_key, stray."assetId", stray.id
    on conflict do nothing
$linked$;
comment on function linked.recognize_faces(uuid[]) is
    'Pairs faces that are not remembered with the siblings'' faces at the same place.';

-- An embedding has no date: whoever has it gives it to the others.
create or replace function linked.fill_embeddings(p_sources uuid[]) returns void
language sql
as $linked$
    insert into public.face_search ("faceId", {{ names("face_search", "shared") }})
    select distinct on (mine.face_id) mine.face_id, {{ names("face_search", "shared", "theirs") }}
    from linked.member
    join linked.face mine on mine.asset_id = member.asset_id
    join linked.face other on other.face_key = mine.face_key and other.face_id <> mine.face_id
    join public.face_search theirs on theirs."faceId" = other.face_id
    where member.source_id = any (p_sources)
        and not exists (select from public.face_search where face_search."faceId" = mine.face_id)
    order by mine.face_id, other.face_id
    on conflict do nothing
$linked$;
comment on function linked.fill_embeddings(uuid[]) is
    'Gives faces that lack their embedding the one that a counterpart has.';

-- Likewise albums of the same name in which the members of both accounts are.
create or replace function linked.recognize_albums(p_sources uuid[]) returns void
language sql
as $linked$
    insert into linked.album_pair (album_id, album_key, owner_id)
    select distinct on (their_pair.album_key, mine."ownerId") mine.id, their_pair.album_key, mine."ownerId"
    from linked.member
    join linked.member sibling on sibling.source_id = member.source_id and sibling.asset_id <> member.asset_id
    join public.album_asset my_row on my_row.{{ album_asset.assetId }} = member.asset_id
    join public.album mine on mine.id = my_row.{{ album_asset.albumId }} and mine."ownerId" = member.owner_id
    join public.album_asset their_row on their_row.{{ album_asset.assetId }} = sibling.asset_id
    join linked.album_pair their_pair
        on their_pair.album_id = their_row.{{ album_asset.albumId }} and their_pair.owner_id = sibling.owner_id
    join public.album theirs on theirs.id = their_pair.album_id
    where member.source_id = any (p_sources) and member.can_write
        and mine."albumName" = theirs."albumName"
        and not exists (select from linked.album_pair where album_pair.album_id = mine.id)
    order by their_pair.album_key, mine."ownerId", mine."createdAt", mine.id
    on conflict do nothing
$linked$;
comment on function linked.recognize_albums(uuid[]) is
    'Pairs albums that are not remembered with the other accounts'' albums of the same name and pictures.';

-- Tags, stacks, albums and people of all members, brought to all members.
create or replace function linked.reunite(p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_clones uuid[];
begin
    perform linked.recognize_albums(p_sources);
    select array_agg(clone.asset_id) filter (where clone.can_write), array_agg(clone.source_id) filter (where clone.can_write)
    into v_from, v_to
    from linked.member clone
    where clone.source_id = any (p_sources) and clone.asset_id <> clone.source_id;
    perform linked.add_tags(v_from, v_to);
    perform linked.add_to_albums(v_from, v_to);
    perform linked.propagate_stacks(array_agg(mine.id), array_agg(source.id))
    from unnest(v_from, v_to) as pair (from_id, to_id)
    join public.asset mine on mine.id = pair.from_id and mine."stackId" is not null
    join public.asset source on source.id = pair.to_id and source."stackId" is null;

    select array_agg(clone.source_id), array_agg(clone.asset_id) into v_from, v_to
    from linked.member clone
    where clone.source_id = any (p_sources) and clone.asset_id <> clone.source_id;
    perform linked.propagate_tags(v_from, v_to);
    perform linked.add_to_albums(v_from, v_to);
    perform linked.leave_albums_of_nobody(p_sources);
    perform linked.propagate_stacks(v_from, v_to);
    perform linked.refill_people(array(select asset_id from linked.member where source_id = any (p_sources)));
end
$linked$;
comment on function linked.reunite(uuid[]) is
    'Gives all members of these groups the tags, stacks, albums and people that any of them has.';

create or replace function linked.repair_groups(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.release_replaced(p_sources);
    perform linked.refresh_membership(p_sources, p_all_at_once => true);
    perform linked.follow_live_photos(array(
        select member.asset_id
        from linked.member
        join public.asset source on source.id = member.source_id and source."livePhotoVideoId" is null
        join public.asset mine on mine.id = member.asset_id and mine."livePhotoVideoId" is not null
        where member.source_id = any (p_sources)
    ));
    perform linked.propagate_asset(array_agg(from_id), array_agg(to_id)) from linked.newest(p_sources, 'asset');
    perform linked.pair_live_photos(p_sources);
    perform linked.recognize_faces(p_sources);
{% for table in ["asset_exif", "asset_file", "smart_search", "asset_face", "asset_job_status"] %}
    perform linked.propagate_{{ "faces" if table == "asset_face" else table }}(array_agg(from_id), array_agg(to_id))
    from linked.newest(p_sources, '{{ table }}');
{% endfor %}
    perform linked.fill_embeddings(p_sources);
    perform linked.reunite(p_sources);
end
$linked$;
comment on function linked.repair_groups(uuid[]) is
    'Makes membership right, and all members equal, for these sources. Touches only what differs.';

create or replace function linked.repair(p_sources uuid[]) returns void
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    perform linked.repair_groups(p_sources);
    perform linked.stop_writing();
end
$linked$;
comment on function linked.repair(uuid[]) is 'linked.repair_groups for reconcile, as the addon''s own writing.';

create or replace function linked.repair_state() returns void
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    perform linked.take_stock();
    perform linked.propagate_album_details(array(select album_key from linked.album_pair));
    perform linked.stop_writing();
end
$linked$;
comment on function linked.repair_state() is
    'What reconcile does before it goes through the groups, as the addon''s own writing.';
