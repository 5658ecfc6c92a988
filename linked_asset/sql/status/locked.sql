-- Media that a linked album would cover, were they not in somebody's locked folder. A number, nothing else about them.
select count(*)
from public.asset as s
where s.visibility = 'locked'
    and s.id = any (linked.assets_of_albums(array(select album_id from linked.linked_album)))
    and not exists (select from linked.member as c where c.asset_id = s.id and c.asset_id <> c.source_id)
