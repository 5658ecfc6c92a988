-- Everything that is, or should be, the source of a group.
select id
from unnest(linked.assets_of_albums(array(select album_id from linked.linked_album))) as id
union
select source_id from linked.member
order by 1
