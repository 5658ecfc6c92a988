-- Only what nobody has touched since it was seen: what happens meanwhile, or once more, stays open.
update linked.incident
set resolved_at = now()
where resolved_at is null
    and (id, xmin::text) in (select * from unnest(cast(:ids as bigint[]), cast(:versions as text[])))
