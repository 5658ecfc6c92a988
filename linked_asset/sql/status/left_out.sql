-- For every user the covered media that have no clone in that account, by the first reason that applies.
with covered as materialized (
    select c.source_id, c.album_id
    from linked.covered(linked.assets_of_albums(array(select album_id from linked.linked_album))) as c
    -- The video part of a live photo is where its still is, or left out with it.
    where c.through_id = c.source_id
),
due as (
    select c.source_id, p.user_id, bool_or(a.is_live) as is_live
    from covered as c
    join linked.linked_album as a on a.album_id = c.album_id
    join linked.participant as p on p.album_id = c.album_id
    join public.asset as s on s.id = c.source_id and s."ownerId" <> p.user_id
    where not exists (select from linked.member as m where m.source_id = c.source_id and m.owner_id = p.user_id)
    group by c.source_id, p.user_id
)
select
    d.user_id::text as id,
    case
        when e.dismissed then 'dismissed'
        when s.status = 'deleted' then 'source_awaits_deletion'
        when s."deletedAt" is not null then 'source_trashed'
        when s."isOffline" then 'source_offline'
        when not d.is_live then 'album_awaits_deletion'
        when u."deletedAt" is not null then 'user_awaits_deletion'
        when e.own_copy then 'own_copy'
        when e.own_library then 'own_library'
        when e.queued then 'queued'
        else 'missing'
    end as reason,
    count(*) as media,
    coalesce(sum(x."fileSizeInByte"), 0)::bigint as bytes
from due as d
join public.asset as s on s.id = d.source_id
join public."user" as u on u.id = d.user_id
left join public.asset_exif as x on x."assetId" = d.source_id
cross join lateral (
    select
        exists (select from linked.dismissal as h where h.source_id = d.source_id and h.user_id = d.user_id) as dismissed,
        exists (select from linked.queue as q where q.source_id = d.source_id) as queued,
        exists (select from public.asset as o where o."ownerId" = d.user_id and o.checksum = s.checksum and o."libraryId" is null) as own_copy,
        exists (
            select from public.asset as o
            where o."originalPath" = s."originalPath" and o."ownerId" = d.user_id and o."libraryId" is not null
        ) as own_library
) as e
group by 1, 2
order by 1, 2
