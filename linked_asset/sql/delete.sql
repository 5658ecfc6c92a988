-- Deleting assets the way Immich does, with the traces that its clients need.

{% from "macro/hold.sql" import hold %}

-- stack."primaryAssetId" is NO ACTION: deleting a primary asset fails. Immich gives such a stack another primary asset,
-- or dissolves it when fewer than two would be left; so do we, before the assets go.
create or replace function linked.leave_stacks(p_assets uuid[]) returns void
language plpgsql
as $linked$
declare
    v_stacks uuid[] := array(
        select "stackId" from public.asset where id = any (p_assets) and "stackId" is not null
        union
        select id from public.stack where "primaryAssetId" = any (p_assets)
    );
begin
    if cardinality(v_stacks) > 0 then
        update public.asset set "stackId" = null where id = any (p_assets) and "stackId" is not null;
        perform linked.dissolve_stacks(v_stacks);
    end if;
end
$linked$;
comment on function linked.leave_stacks(uuid[]) is
    'Takes assets that are about to be deleted out of the lead of their stacks, dissolving stacks of fewer than two.';

-- Immich's audit triggers look at pg_trigger_depth(): below a trigger its clients would not learn of the delete. Album and
-- memory rows are deleted first because their triggers still fire one level down, and would not below the cascade.
create or replace function linked.delete_assets(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("asset", "id = any (p_assets)", "update") }}
{% for table in rows_of_assets + ["asset_face"] %}
    {{ hold(table, '"assetId" = any (p_assets)') }}
{% endfor %}
    perform linked.leave_stacks(p_assets);
    if pg_trigger_depth() > 1 then
        insert into public.album_asset_audit ("albumId", "assetId")
        select {{ album_asset.albumId }}, {{ album_asset.assetId }}
        from public.album_asset where {{ album_asset.assetId }} = any (p_assets);
        insert into public.memory_asset_audit ("memoryId", "assetId")
        select "memoriesId", {{ memory_asset.assetId }}
        from public.memory_asset where {{ memory_asset.assetId }} = any (p_assets);
    end if;
    delete from public.album_asset where {{ album_asset.assetId }} = any (p_assets);
    delete from public.memory_asset where {{ memory_asset.assetId }} = any (p_assets);
    delete from public.move_history where "entityId" = any (p_assets);
    if pg_trigger_depth() > 0 then
        insert into public.asset_audit ("assetId", "ownerId")
        select id, "ownerId" from public.asset where id = any (p_assets);
    end if;
    perform linked.keep_plans();
    delete from public.asset where id = any (p_assets);
    perform linked.plan_anew();
end
$linked$;
comment on function linked.delete_assets(uuid[]) is
    'Deletes rows of asset, with the audit rows that a delete by Immich itself would leave. Touches no file.';

-- Invariants: no clone without its source; a group without clones is no group.
create or replace function linked.forget_members(p_assets uuid[]) returns void
language plpgsql
as $linked$
declare
    v_gone uuid[] := p_assets;
    v_sources uuid[];
begin
    delete from linked.brought where asset_id = any (p_assets);
    with gone as (
        delete from linked.member where asset_id = any (p_assets) returning source_id
    )
    select array_agg(distinct source_id) into v_sources from gone;
    with alone as (
        delete from linked.member source
        where source.asset_id = any (v_sources)
            and not exists (
                select from linked.member clone
                where clone.source_id = source.asset_id and clone.asset_id <> source.asset_id
                    and clone.asset_id <> all (p_assets)
            )
        returning asset_id
    )
    select v_gone || array_agg(asset_id) into v_gone from alone;
    delete from linked.face where asset_id = any (v_gone);
    perform linked.forget_marks(v_gone);
    perform linked.leave_albums_of_nobody(v_sources);
end
$linked$;
comment on function linked.forget_members(uuid[]) is
    'Takes assets out of their groups, and sources that have no clone left with them.';

create or replace function linked.contents_of(
    p_members uuid[], out owner_ids uuid[], out checksums bytea[], out source_ids uuid[]
)
language plpgsql stable
as $linked$
begin
    select array_agg(asset."ownerId"), array_agg(asset.checksum), array_agg(member.source_id)
    into owner_ids, checksums, source_ids
    from linked.member join public.asset on asset.id = member.asset_id
    where member.asset_id = any (p_members);
end
$linked$;
comment on function linked.contents_of(uuid[]) is
    'In whose account what content of which source is, member by member: what linked.fill_gaps() asks for once they are gone.';

-- Unlinking deletes clone rows and nothing else: no file, no source, nothing to the trash. What the addon had made around
-- them in their owners' accounts goes when nothing is left in it; of accounts that take part no more also what had been
-- emptied before. Of live photos the video goes with the last still.
create or replace function linked.unlink(p_clones uuid[]) returns void
language plpgsql
as $linked$
declare
    v_clones uuid[];
    v_owners uuid[];
    v_checksums bytea[];
    v_sources uuid[];
    v_albums uuid[];
    v_persons uuid[];
    v_tags uuid[];
begin
    if coalesce(cardinality(p_clones), 0) = 0 then
        return;
    end if;
    v_clones := p_clones || linked.video_clones(p_clones);
    select owner_ids, checksums, source_ids into v_owners, v_checksums, v_sources from linked.contents_of(v_clones);
    v_albums := array(
        select distinct album_pair.album_id
        from public.album_asset
        join linked.album_pair on album_pair.album_id = album_asset.{{ album_asset.albumId }}
        where album_asset.{{ album_asset.assetId }} = any (v_clones)
    );
    v_persons := array(
        select distinct person_pair.pair_id
        from public.asset_face
        join public.asset on asset.id = asset_face."assetId"
        join linked.person_pair
            on person_pair.person_id = asset_face.{{ asset_face.personGroupId }} and person_pair.owner_id = asset."ownerId"
        where asset_face."assetId" = any (v_clones) or asset_face."assetId" = any (v_sources)
    );
    v_tags := array(
        select distinct {{ tag_asset.tagId }} from public.tag_asset where {{ tag_asset.assetId }} = any (v_clones)
    );
    -- Whatever is remembered: what is not external, or of a library, is nobody's clone but somebody's original.
    perform linked.delete_assets(array(
        select id from public.asset where id = any (v_clones) and "isExternal" and "libraryId" is null
    ));
    perform linked.forget_members(v_clones);
    perform linked.forget_persons(v_persons);
    perform linked.note_unused_tags(v_tags);
    perform linked.delete_albums(array(
        select album_id from linked.album_pair
        where album_id = any (v_albums) and album_id <> album_key
            and not exists (select from public.album_asset where {{ album_asset.albumId }} = album_id)
    ));
    perform linked.part_albums(v_albums);
{% if has("cluster_group") %}
    -- Who is left of a cluster group may be the one that has the embeddings now.
    insert into linked.queue (source_id, thorough)
    select distinct member.source_id, true
    from unnest(v_owners, v_sources) as gone (owner_id, source_id)
    join public."user" theirs on theirs.id = gone.owner_id
    join linked.member on member.source_id = gone.source_id and member.asset_id <> member.source_id
    join public."user" mine on mine.id = member.owner_id and mine."clusterGroupId" = theirs."clusterGroupId"
    on conflict (source_id) do update set thorough = true;
    if found then
        perform pg_notify('linked', 'queue');
    end if;
{% endif %}
    perform linked.fill_gaps(v_owners, v_checksums, v_sources);
end
$linked$;
comment on function linked.unlink(uuid[]) is 'Deletes clones, and links what they had kept out by having the same content.';

-- Immich deletes the files of a member that is deleted for good, so no other row of the group may stay behind.
create or replace function linked.delete_groups(p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_members uuid[];
    v_owners uuid[];
    v_checksums bytea[];
    v_of uuid[];
begin
    if coalesce(cardinality(p_sources), 0) = 0 then
        return;
    end if;
    v_members := array(select asset_id from linked.member where source_id = any (p_sources));
    select owner_ids, checksums, source_ids into v_owners, v_checksums, v_of from linked.contents_of(v_members);
    perform linked.credit_quota(v_members);
    perform linked.take_off_quota(v_members);
    perform linked.delete_assets(v_members);
    perform linked.forget_members(v_members);
    delete from linked.dismissal where source_id = any (p_sources);
    delete from linked.queue where source_id = any (p_sources);
    perform linked.fill_gaps(v_owners, v_checksums, v_of);
end
$linked$;
comment on function linked.delete_groups(uuid[]) is 'Deletes all that is left of groups of which a member was deleted for good.';

-- A viewer's trash and delete, and those of anybody who may not delete for others, hide the clone from that account alone.
create or replace function linked.dismiss(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    if coalesce(cardinality(p_clones), 0) = 0 then
        return;
    end if;
    insert into linked.dismissal (source_id, user_id)
    select source_id, owner_id from linked.member where asset_id = any (p_clones)
    on conflict do nothing;
    -- Others may have deleted it for good already, and Immich's job for this clone be on its way.
    perform linked.credit_quota(array(
        select id from public.asset
        where id in (select unnest(p_clones || linked.video_clones(p_clones))) and status = 'deleted'
    ));
    perform linked.unlink(p_clones);
end
$linked$;
comment on function linked.dismiss(uuid[]) is 'Removes clones that their accounts have deleted for themselves alone, and remembers that they are not wanted back.';
