-- The linked albums in words: what stands at installation counts, so it is shown.
select
    a.name,
    coalesce((select u.name from public."user" as u where u.id = a.owner_id), 'nobody') as owner,
    array(
        select coalesce(nullif(p.path, ''), '/') from linked.prefix as p where p.album_id = a.album_id order by p.path
    ) as prefixes,
    a.deletes_own,
    array(
        select format('%s (%s)', u.name, p.role)
        from linked.participant as p
        join public."user" as u on u.id = p.user_id
        where p.album_id = a.album_id and p.role <> 'owner'
        order by u.name
    ) as others
from linked.linked_album as a
order by a.name
