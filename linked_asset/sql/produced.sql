-- Files that Immich's jobs produce, where jobs of one group's members overlap.
--
-- A job reads the path that its asset has, writes to a path of its own, tells the database, and then deletes what it had read.
-- The group takes over what it is told, so that its file can be deleted by a job only after the path was left and came back: then
-- whoever had read it before may still delete it. Neither file nor start of a job can be seen from here. So such a group is
-- remembered as unsettled, and when it has been quiet its source alone is marked the way in which Immich's job for what is
-- missing finds it: one job, no overlap.

{% from "macro/hold.sql" import hold %}

-- A job tells of a file after it has written it, and deletes another one afterwards; in between, as long as this at most, another
-- job may do the same. Of a video the deletion is queued before the database is told, and encoding takes its time.
create or replace function linked.unsettled_for(p_kind text) returns interval
language sql immutable
as $linked$
    select case when p_kind = 'encoded_video' then interval '1 hour' else interval '{{ deletes_within }}' end
$linked$;
comment on function linked.unsettled_for(text) is
    'How long files of a kind may still be deleted by jobs that overlapped with the one that was last heard of.';

-- Nothing is written for a group's first files, nor while only one member's jobs run. Of videos a job deletes what it has read only
-- where it tells that there is none any more.
create or replace function linked.watch_produced(p_source uuid, p_kinds text[], p_old text[], p_new text[]) returns void
language plpgsql
as $linked$
declare
    v_now timestamptz := clock_timestamp();
    v_back text[];
begin
    if not exists (select from linked.produced where source_id = p_source)
        and not exists (
            select from unnest(p_old, p_new) as told (old_path, new_path) where old_path <> coalesce(new_path, '')
        )
    then
        return;
    end if;
    v_back := array(
        select told.kind
        from unnest(p_kinds, p_old, p_new) as told (kind, old_path, new_path)
        join linked.produced back
            on back.source_id = p_source and back.kind = told.kind and back.path = told.new_path
        where told.new_path is distinct from told.old_path
            and exists (
                select from linked.produced other
                where other.source_id = p_source and other.kind = told.kind and other.path <> told.new_path
                    and (other.path = '' or told.kind <> 'encoded_video')
                    and other.told_at > v_now - linked.unsettled_for(told.kind)
            )
    );
    update linked.unsettled set since = v_now where source_id = p_source and marked_at is null;
    perform linked.remember_unsettled(array[p_source], what)
    from (
        select distinct case kind when 'encoded_video' then 'video' else 'image' end as what from unnest(v_back) as kind
    ) as back;

    insert into linked.produced (source_id, kind, path, told_at)
    select p_source, told.kind, known.path, v_now
    from unnest(p_kinds, p_old, p_new) as told (kind, old_path, new_path)
    cross join lateral (
        select coalesce(told.new_path, '') as path union select coalesce(told.old_path, told.new_path)
    ) as known
    where told.old_path <> coalesce(told.new_path, '')
        or exists (select from linked.produced where source_id = p_source and produced.kind = told.kind)
    on conflict (source_id, kind, md5(path)) do update set told_at = excluded.told_at
    where produced.path in (
        select coalesce(told.new_path, '')
        from unnest(p_kinds, p_new) as told (kind, new_path)
        where told.kind = produced.kind
    );
end
$linked$;
comment on function linked.watch_produced(uuid, text[], text[], text[]) is
    'Takes note of files that a job told of, and of the group as unsettled where a path comes back while others may still delete it.';

-- A few at a time: jobs for all assets leave some for every group.
create or replace function linked.forget_produced() returns void
language plpgsql
as $linked$
begin
    delete from linked.produced
    where ctid = any (array(
        select ctid from linked.produced where told_at < clock_timestamp() - interval '1 day' order by told_at limit 200
    ));
end
$linked$;
comment on function linked.forget_produced() is 'Forgets files of which jobs told more than a day ago.';

create or replace function linked.remember_unsettled(p_sources uuid[], p_what text) returns void
language plpgsql
as $linked$
begin
    insert into linked.unsettled (source_id, what)
    select source_id, p_what from unnest(p_sources) as source_id
    on conflict (source_id, what) do update set since = excluded.since;
    if found then
        perform linked.tell_of_work(true);
    end if;
end
$linked$;
comment on function linked.remember_unsettled(uuid[], text) is
    'Remembers groups whose thumbnails (image), or whose encoded video (video), may be without a file.';

-- Of what the source alone is marked with nothing is carried to the clones or from them (linked.propagate_asset): Immich's job for
-- what is missing would take them too, or not the source. It never takes a hidden video, the moving part of a live photo: there all
-- members do without the encoded file. Of a picture that is edited it makes only what the edits make of it (v2.5 to v3.1 at
-- least): until then the source passes for one that is not. An asset without siblings is told to Immich, no more: nothing overlaps.
create or replace function linked.settle() returns void
language plpgsql
as $linked$
declare
    v_images uuid[];
    v_videos uuid[];
begin
    perform linked.forget_produced();
    with due as (
        update linked.unsettled set marked_at = clock_timestamp()
        where (source_id, what) in (
            select source_id, what from linked.unsettled
            where marked_at is null
                and since < clock_timestamp() - linked.unsettled_for(case what when 'video' then 'encoded_video' end)
            order by since
            limit 100
        )
        returning source_id, what
    )
    select array_agg(source_id) filter (where what = 'image'), array_agg(source_id) filter (where what = 'video')
    into v_images, v_videos
    from due;
    if v_images is null and v_videos is null then
        return;
    end if;
    {{ hold("asset", "id in (
            select unnest(v_images || v_videos)
            union all
            select asset_id from linked.member where source_id = any (v_images || v_videos)
        )") }}
    update public.asset
    set thumbhash = null
        {%- if "isEdited" in asset %},
        "isEdited" = "isEdited" and not exists (select from linked.member where member.asset_id = asset.id){% endif %}

    where id = any (v_images);
{% if "encodedVideoPath" in asset %}
    update public.asset set "encodedVideoPath" = null where id = any (v_videos);
    update public.asset mine
    set "encodedVideoPath" = null
    from linked.member join public.asset source on source.id = member.source_id
    where member.source_id = any (v_videos) and source.visibility = 'hidden' and mine.id = member.asset_id;
{% else %}
    delete from public.asset_file where "assetId" = any (v_videos) and type = 'encoded_video';
    delete from public.asset_file mine
    using linked.member, public.asset source
    where member.source_id = any (v_videos) and source.id = member.source_id and source.visibility = 'hidden'
        and mine."assetId" = member.asset_id and mine.type = 'encoded_video';
{% endif %}
    delete from linked.unsettled
    where source_id = any (v_images || v_videos) and not exists (select from linked.member where member.asset_id = source_id);
    delete from linked.unsettled
    using public.asset
    where source_id = any (v_videos) and what = 'video' and asset.id = source_id and asset.visibility = 'hidden';
end
$linked$;
comment on function linked.settle() is
    'Marks the sources of unsettled groups that have been quiet for Immich''s job for missing thumbnails (or videos).';

-- Of what is marked no more nothing is left but what Immich does about it.
create or replace function linked.forget_marks(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.unsettled where source_id = any (p_sources) and marked_at is not null;
{% if "isEdited" in asset %}
    if found then
        perform linked.say_edited(p_sources);
    end if;
{% endif %}
end
$linked$;
comment on function linked.forget_marks(uuid[]) is
    'Has assets that leave their groups pass no more for what they are not.';

-- The job of the source has written what was missing. Where others came in between, or the picture was edited meanwhile (then
-- it has written what the edits make of it, no more), the source is marked once more.
create or replace function linked.note_settled(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    if not exists (select from linked.unsettled where source_id = any (p_changed) and marked_at is not null) then
        return;
    end if;
    with written as (
        select source_id, what, since > marked_at{% if "isEdited" in asset %} or what = 'image' and "isEdited"{% endif %} as again
        from linked.unsettled join public.asset on asset.id = source_id
        where source_id = any (p_changed) and marked_at is not null
            and case what
                when 'image' then thumbhash is not null
{% if "encodedVideoPath" in asset %}
                else "encodedVideoPath" <> ''
{% else %}
                else exists (select from public.asset_file where "assetId" = asset.id and asset_file.type = 'encoded_video')
{% endif %}
            end
    ), anew as (
        update linked.unsettled set marked_at = null
        from written
        where written.again and (unsettled.source_id, unsettled.what) = (written.source_id, written.what)
    )
    delete from linked.unsettled
    using written
    where not written.again and (unsettled.source_id, unsettled.what) = (written.source_id, written.what);
{% if "isEdited" in asset %}
    perform linked.say_edited(p_changed);
{% endif %}
    if exists (select from linked.unsettled where source_id = any (p_changed) and marked_at is null) then
        perform linked.tell_of_work(true);
    end if;
end
$linked$;
comment on function linked.note_settled(uuid[]) is
    'Forgets that groups are unsettled when what their source was marked with has been written.';

{% if has("asset_edit") %}
create or replace function linked.say_edited(p_assets uuid[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[] := array(
        select id
        from public.asset
        where id = any (p_assets) and not "isEdited"
            and exists (select from public.asset_edit where asset_edit."assetId" = asset.id)
            and not exists (
                select from linked.unsettled
                where unsettled.source_id = asset.id and what = 'image' and marked_at is not null
            )
    );
begin
    if cardinality(v_assets) = 0 then
        return;
    end if;
    {{ hold("asset", "id = any (v_assets)") }}
    update public.asset set "isEdited" = true where id = any (v_assets);
end
$linked$;
comment on function linked.say_edited(uuid[]) is
    'Has those of these assets that passed for not edited, and are marked no more, say again that they are.';

-- Immich writes what it reads of the file unless the picture is edited, which a marked source does not say.
create or replace function linked.keep_measures(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    update public.asset source
    set width = theirs.width, height = theirs.height
    from (
        select distinct on (unsettled.source_id) unsettled.source_id, clone.width, clone.height
        from linked.unsettled
        join linked.member on member.source_id = unsettled.source_id and member.asset_id <> member.source_id
        join public.asset clone on clone.id = member.asset_id and clone."isEdited"
        where unsettled.source_id = any (p_changed) and what = 'image' and marked_at is not null
        order by unsettled.source_id, clone.id
    ) as theirs
    where source.id = theirs.source_id and not source."isEdited"
        and (source.width, source.height) is distinct from (theirs.width, theirs.height);
end
$linked$;
comment on function linked.keep_measures(uuid[]) is
    'Gives marked sources of edited pictures that have just changed the measures back that the edits give them.';

-- That the last edit is gone Immich tells of the asset that it was taken from, where it says it was edited: a marked source does not,
-- and what becomes of a marked source is not carried to the clones.
create or replace function linked.follow_edits(p_edited uuid[]) returns void
language plpgsql
as $linked$
declare
    v_clones uuid[] := array(
        select clone.asset_id
        from linked.member
        join linked.unsettled on unsettled.source_id = member.source_id and what = 'image' and marked_at is not null
        join linked.member clone on clone.source_id = member.source_id and clone.asset_id <> clone.source_id
        where member.asset_id = any (p_edited)
    );
begin
    if cardinality(v_clones) = 0 then
        return;
    end if;
    {{ hold("asset", "id = any (v_clones)") }}
    update public.asset
    set "isEdited" = not "isEdited"
    where id = any (v_clones)
        and "isEdited" <> exists (select from public.asset_edit where asset_edit."assetId" = asset.id);
end
$linked$;
comment on function linked.follow_edits(uuid[]) is
    'Has clones whose source is marked say whether they are edited.';
{% endif %}
