-- Where the addon could not do its part, the newest first.
select
    count(*) over () as total,
    i.happened_at,
    i.last_at,
    i.times,
    i.place,
    i.sqlstate,
    i.message
from linked.incident as i
where i.resolved_at is null
order by i.last_at desc, i.id desc
limit 10
