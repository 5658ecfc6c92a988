-- What the scripts had linked together, each with the linked album that goes on with it, and with whom that is not shared.
with participant as (
    select a.album_cluster, a.owner_id, bool_or(a.base_owner) as is_owner
    from linked.album as a
    where exists (select from public."user" as u where u.id = a.owner_id)
    group by a.album_cluster, a.owner_id
),
owned as (
    select p.album_cluster, p.owner_id, u.name, l.id as album_id, l."albumName" as album_name
    from participant as p
    join public."user" as u on u.id = p.owner_id
    left join lateral (
        select m.id, m."albumName"
        from public.album as m
        where m."ownerId" = p.owner_id and m."deletedAt" is null and lower(btrim(m."albumName", E' \t\r\n')) like 'linked album%'
        order by m.id in (select a.id from linked.album as a where a.album_cluster = p.album_cluster) desc, m."createdAt"
        limit 1
    ) as l on true
    where p.is_owner
)

select
    o.name as owner,
    o.album_id,
    o.album_name,
    array(
        select u.name
        from participant as p
        join public."user" as u on u.id = p.owner_id
        where
            p.album_cluster = o.album_cluster
            and p.owner_id <> o.owner_id
            and not exists (
                select from public.album_user as s
                where to_jsonb(s) ->> :album = o.album_id::text and to_jsonb(s) ->> :user = p.owner_id::text
            )
        order by u.name
    ) as missing
from owned as o
order by o.name
