-- The linked albums as last understood, with what their prefixes match.
select
    a.album_id::text as id,
    a.name,
    a.owner_id::text as owner_id,
    owner.name as owner,
    a.is_live as live,
    case when a.deletes_own then 'own' else 'all' end as deletes,
    album.description,
    (
        select coalesce(jsonb_agg(jsonb_build_object('path', coalesce(nullif(p.path, ''), '/'), 'matches', m.matches) order by p.path), '[]')
        from linked.prefix as p
        cross join lateral (
            select count(*) as matches
            from public.asset as s
            where s."ownerId" = a.owner_id
                and (p.path = '' or starts_with(s."originalPath", p.path || '/'))
                and not exists (select from linked.member as c where c.asset_id = s.id and c.asset_id <> c.source_id)
        ) as m
        where p.album_id = a.album_id
    ) as prefixes,
    (
        select coalesce(jsonb_agg(jsonb_build_object('id', p.user_id, 'name', u.name, 'role', p.role, 'awaits_deletion', u."deletedAt" is not null)
            order by p.role <> 'owner', u.name), '[]')
        from linked.participant as p
        left join public."user" as u on u.id = p.user_id
        where p.album_id = a.album_id
    ) as participants,
    (
        select count(distinct c.source_id)
        from linked.covered(linked.assets_of_albums(array[a.album_id])) as c
        where c.album_id = a.album_id
    ) as media
from linked.linked_album as a
left join public.album as album on album.id = a.album_id
left join public."user" as owner on owner.id = a.owner_id
order by a.name, a.album_id
