-- Live photos: a clone's video part is the clone of its source's video part.

{% from "macro/hold.sql" import hold %}

-- Before a user pairs a video with a still, Immich hides it. A video of the user's own that stays on no still is shown again; not
-- what Immich has extracted from a picture.
create or replace function linked.pair_live_photos(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    with wanted as materialized (
        select still.asset_id, video.asset_id as video_id, clone."livePhotoVideoId" as present_id
        from (
            select id, "livePhotoVideoId" from public.asset where id = any (p_sources)
            union
            select id, "livePhotoVideoId" from public.asset where "livePhotoVideoId" = any (p_sources)
        ) as source
        join linked.member still on still.source_id = source.id and still.asset_id <> still.source_id
        join public.asset clone on clone.id = still.asset_id
        left join linked.member video
            on video.source_id = source."livePhotoVideoId" and video.owner_id = still.owner_id
        where clone."livePhotoVideoId" is distinct from video.asset_id
        for no key update of clone nowait
    ), paired as (
        update public.asset mine
        set "livePhotoVideoId" = wanted.video_id
        from wanted
        where mine.id = wanted.asset_id
        returning mine.id, wanted.present_id
    )
    update public.asset video
    set visibility = 'timeline'
    from paired
    where video.id = paired.present_id and video.visibility = 'hidden'
        and position('/encoded-video/' in video."originalPath") = 0
        and not exists (select from linked.member where member.asset_id = video.id)
        and not exists (
            select from public.asset other where other."livePhotoVideoId" = video.id and other.id <> paired.id
        );
end
$linked$;
comment on function linked.pair_live_photos(uuid[]) is
    'Gives the clones of stills the clones of their video parts, for groups of which p_sources are the stills or the videos.';

-- Immich pairs still and video on whichever member it works on (metadata extraction of a clone finds the clone's video).
-- A video that is not a member stays unpaired: it is nobody else's.
create or replace function linked.follow_live_photos(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("asset", "id in (select source_id from linked.member where asset_id = any (p_changed) and can_write)") }}
    update public.asset source
    set "livePhotoVideoId" = source_video.asset_id
    from linked.member
    join public.asset theirs on theirs.id = member.asset_id
    left join linked.member video on video.asset_id = theirs."livePhotoVideoId"
    left join linked.member source_video
        on source_video.source_id = video.source_id and source_video.asset_id = source_video.source_id
    where member.asset_id = any (p_changed) and member.can_write and member.asset_id <> member.source_id
        and source.id = member.source_id
        and source."livePhotoVideoId" is distinct from source_video.asset_id
        and (theirs."livePhotoVideoId" is null or source_video.owner_id = source."ownerId");
end
$linked$;
comment on function linked.follow_live_photos(uuid[]) is
    'Brings the pairing of still and video on a clone to its source.';

create or replace function linked.video_clones(p_stills uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select video.asset_id
        from public.asset still
        join linked.member video on video.asset_id = still."livePhotoVideoId" and video.asset_id <> video.source_id
        where still.id = any (p_stills)
        except
        select other."livePhotoVideoId"
        from public.asset still
        join public.asset other on other."livePhotoVideoId" = still."livePhotoVideoId"
        where still.id = any (p_stills)
            and not exists (select from unnest(p_stills) as id where id = other.id)
    );
end
$linked$;
comment on function linked.video_clones(uuid[]) is
    'The clones of video parts that belong to these clones of stills and to no other.';
