-- Rows outside a group that would make Immich delete the group's files.

{% from "macro/hold.sql" import hold %}

-- Until v2.7 Immich can replace an asset's file: the new file lies in the upload folder of whoever did it, and Immich keeps the
-- old one as a copy in the trash and deletes it for good later. On a clone both would take the family's picture along. So a
-- clone whose file was replaced becomes an asset of its owner's own, and its source stays what it was.
create or replace function linked.release(p_moved uuid[]) returns void
language plpgsql
as $linked$
declare
    v_released uuid[] := array(
        select mine.id
        from public.asset mine
        join linked.member on member.asset_id = mine.id
        where mine.id = any (p_moved)
            and (
                position('/upload/' || mine."ownerId" || '/' in mine."originalPath") > 0
                or (member.can_write and not linked.is_covered_at(member.source_id, mine."originalPath"))
            )
    );
begin
    if cardinality(v_released) = 0 then
        return;
    end if;
    -- The old file comes back as a row of its own, a few statements later: a new clone would be in its way.
    delete from linked.replacement where begun_at < clock_timestamp() - interval '1 minute';
    insert into linked.replacement (source_id, user_id)
    select source_id, owner_id from linked.member where asset_id = any (v_released)
    on conflict (source_id, user_id) do update set begun_at = excluded.begun_at;
    perform linked.make_own(v_released);
end
$linked$;
comment on function linked.release(uuid[]) is
    'Makes clones whose file was replaced assets of their owners'' own.';

-- Thumbnails and video are the group's: Immich makes the asset's own, and would delete these. A job that has looked already will,
-- without the group's learning of it.
create or replace function linked.make_own(p_members uuid[]) returns void
language plpgsql
as $linked$
begin
    if coalesce(cardinality(p_members), 0) = 0 then
        return;
    end if;
    perform linked.remember_unsettled(
        array(select distinct source_id from linked.member where asset_id = any (p_members) and asset_id <> source_id), 'image'
    );
    {{ hold("asset", "id in (
            select sibling.asset_id
            from linked.member leaver join linked.member sibling on sibling.source_id = leaver.source_id
            where leaver.asset_id = any (p_members)
        )") }}
    {{ hold("asset_file", '"assetId" in (
            select sibling.asset_id
            from linked.member leaver join linked.member sibling on sibling.source_id = leaver.source_id
            where leaver.asset_id = any (p_members)
        )') }}
    {{ hold("asset_job_status", '"assetId" = any (p_members)') }}
    perform linked.leave_paths(p_members);
    perform linked.forget_members(p_members);
    delete from public.asset_file where "assetId" = any (p_members);
{% if "previewAt" in asset_job_status %}
    update public.asset_job_status set "previewAt" = null, "thumbnailAt" = null where "assetId" = any (p_members);
{% endif %}
    update public.asset
    set "isExternal" = false, thumbhash = null{% if "encodedVideoPath" in asset %}, "encodedVideoPath" = ''{% endif %}

    where id = any (p_members);
end
$linked$;
comment on function linked.make_own(uuid[]) is 'Takes members out of their groups as assets that share no file with them.';

-- Where a job writes follows from owner and id. Whoever leaves and keeps the id has its next picture written to where the group
-- names what was made of the last: the others do without, until Immich makes their own.
create or replace function linked.leave_paths(p_leaving uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from public.asset_file
    using linked.member leaver, linked.member other
    where leaver.asset_id = any (p_leaving)
        and other.source_id = leaver.source_id and other.asset_id <> leaver.asset_id
        and asset_file."assetId" = other.asset_id
        and linked.is_made_for(asset_file.path, leaver.owner_id, leaver.asset_id);
{% if "encodedVideoPath" in asset %}
    update public.asset
    set "encodedVideoPath" = null
    from linked.member leaver, linked.member other
    where leaver.asset_id = any (p_leaving)
        and other.source_id = leaver.source_id and other.asset_id <> leaver.asset_id
        and asset.id = other.asset_id
        and linked.is_made_for(asset."encodedVideoPath", leaver.owner_id, leaver.asset_id);
{% endif %}
end
$linked$;
comment on function linked.leave_paths(uuid[]) is
    'Makes the siblings of members that become assets of their own forget the files that jobs wrote for these.';

create or replace function linked.is_made_for(p_path text, p_owner uuid, p_asset uuid) returns boolean
language sql immutable
as $linked$
    select position('/' || p_asset in p_path) > 0
        and (
            position('/thumbs/' || p_owner || '/' in p_path) > 0
            or position('/encoded-video/' || p_owner || '/' in p_path) > 0
        )
$linked$;
comment on function linked.is_made_for(text, uuid, uuid) is
    'Whether a job of Immich for this asset has written the file, and another one would write to it again.';

-- The copy in the trash must not point to files that somebody else's asset still needs, its sidecar among them: it comes after the
-- clone has left its group, which may be gone with it. Immich's unlink tolerates a path that does not exist.
create or replace function linked.disarm_copies(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.replacement
    using public.asset mine, public.asset source
    where mine.id = any (p_assets)
        and replacement.user_id = mine."ownerId"
        and source.id = replacement.source_id and source.checksum = mine.checksum;
    update public.asset mine
    set "originalPath" = mine."originalPath" || '.replaced-' || mine.id
{%- if "sidecarPath" in asset %}, "sidecarPath" = null{% endif %}

    from public.asset theirs
    where mine.id = any (p_assets)
        and theirs."originalPath" = mine."originalPath"
        and theirs."ownerId" <> mine."ownerId"
        -- Clones that do not know yet that their source has got another file say nothing.
        and not exists (
            select from linked.member where member.asset_id = theirs.id and member.asset_id <> member.source_id
        );
end
$linked$;
comment on function linked.disarm_copies(uuid[]) is
    'Points uploads that claim the file of somebody else''s asset to a path that does not exist, before Immich deletes it.';

-- The same for what happened while sync was off: the clone still counts as one, and the copy is as it was written.
create or replace function linked.disarm_kept_copies() returns bigint
language plpgsql
as $linked$
declare
    v_copies uuid[] := array(
        select mine.id
        from linked.member
        join public.asset source on source.id = member.source_id
        join public.asset mine on mine."originalPath" = source."originalPath" and mine."ownerId" <> source."ownerId"
        where member.asset_id = member.source_id
            and mine."libraryId" is null and not mine."isExternal"
            and not exists (select from linked.member clone where clone.asset_id = mine.id)
    );
begin
    if cardinality(v_copies) > 0 then
        perform linked.disarm_copies(v_copies);
        perform linked.drop_copies(v_copies);
    end if;
    return cardinality(v_copies);
end
$linked$;
comment on function linked.disarm_kept_copies() is
    'Disarms what Immich kept of the old file of a clone that was replaced while sync was off, and deletes it from the trash. Returns how many.';

create or replace function linked.release_replaced(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.make_own(array(
        select mine.id
        from linked.member
        join public.asset mine on mine.id = member.asset_id
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
            and position('/upload/' || mine."ownerId" || '/' in mine."originalPath") > 0
    ));
end
$linked$;
comment on function linked.release_replaced(uuid[]) is
    'Makes clones whose file was replaced while sync was off assets of their owners'' own.';

-- In the trash such a copy is nothing: no file to restore, no size that Immich ever added to a quota. The picture itself is
-- linked again in its place.
create or replace function linked.drop_copies(p_trashed uuid[]) returns void
language plpgsql
as $linked$
declare
    v_copies uuid[];
    v_owners uuid[];
    v_checksums bytea[];
begin
    select array_agg(id), array_agg("ownerId"), array_agg(checksum)
    into v_copies, v_owners, v_checksums
    from public.asset
    where id = any (p_trashed) and "deletedAt" is not null and right("originalPath", 46) = '.replaced-' || id;
    if v_copies is not null then
        perform linked.delete_assets(v_copies);
        perform linked.fill_gaps(v_owners, v_checksums, v_copies);
    end if;
end
$linked$;
comment on function linked.drop_copies(uuid[]) is
    'Deletes what Immich put into the trash as the old file of a replaced clone.';

-- Immich makes thumbnails and videos for a clone in its owner's folders, and removes these folders with the account.
create or replace function linked.replace_files_of_users(p_users uuid[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
begin
    with gone as (
        delete from public.asset_file
        using unnest(p_users) as account (id)
        where position('/thumbs/' || account.id || '/' in asset_file.path) > 0
            or position('/encoded-video/' || account.id || '/' in asset_file.path) > 0
        returning asset_file."assetId"
    )
    select array_agg(distinct "assetId") into v_assets from gone;
{% if "previewAt" in asset_job_status %}
    update public.asset_job_status set "previewAt" = null, "thumbnailAt" = null where "assetId" = any (v_assets);
{% endif %}
{% if "encodedVideoPath" in asset %}
    update public.asset
    set "encodedVideoPath" = null
    from unnest(p_users) as account (id)
    where position('/encoded-video/' || account.id || '/' in asset."encodedVideoPath") > 0;
{% endif %}
end
$linked$;
comment on function linked.replace_files_of_users(uuid[]) is
    'Forgets files in the folders of deleted accounts that other assets refer to, so that Immich makes them anew.';

-- A statement reads what it needs before it waits for its turn. The cover that it then sets may be gone by then; Immich's
-- own foreign key would refuse it. (GET /albums sets missing covers, in one statement over all albums.)
create or replace function linked.drop_gone_cover() returns trigger
language plpgsql security definer
as $linked$
begin
    if (new."albumThumbnailAssetId" operator(pg_catalog.=) old."albumThumbnailAssetId") is not true
        and not exists (
            select from public.asset where asset.id operator(pg_catalog.=) new."albumThumbnailAssetId"
        )
    then
        new."albumThumbnailAssetId" := null;
    end if;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.drop_gone_cover() is
    'Leaves an album without a cover instead of letting Immich''s statement fail, when the cover was deleted while it waited.';
create or replace trigger linked_album_drop_gone_cover before update on public.album
for each row execute function linked.drop_gone_cover();
comment on trigger linked_album_drop_gone_cover on public.album is
    'Leaves an album without a cover instead of letting Immich''s statement fail, when the cover was deleted while it waited.';
{% if has("integrity_report") %}

-- Immich's look for missing files reports each row that names one, in upserts of ten thousand by path: a file of a group comes
-- twice, and PostgreSQL refuses to update one row a second time.
create or replace function linked.report_once() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    if exists (
        select from linked.member
        where member.asset_id <> member.source_id
            and member.asset_id = coalesce(
                new."assetId", (select "assetId" from public.asset_file where asset_file.id = new."fileAssetId")
            )
    ) then
        return null;
    end if;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.report_once() is
    'Leaves clones out of Immich''s report of missing files: the source is reported.';
create or replace trigger linked_integrity_report_once before insert on public.integrity_report
for each row execute function linked.report_once();
comment on trigger linked_integrity_report_once on public.integrity_report is
    'Leaves clones out of Immich''s report of missing files: the source is reported.';
{% endif %}
