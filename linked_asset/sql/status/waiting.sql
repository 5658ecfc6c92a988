-- What counts only once an album's owner has approved it.
select w.album_id::text, a."albumName" as name, coalesce(nullif(w.path, ''), '/') as path, w.policy, coalesce(w.path, w.policy) is null as is_name
from linked.waiting as w
join public.album as a on a.id = w.album_id
order by a."albumName", w.album_id, w.path nulls first, w.policy nulls first
