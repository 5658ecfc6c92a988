-- What every participant gives (sources) and gets (clones).
select
    p.user_id::text as id,
    u.name,
    u."deletedAt" is not null as awaits_deletion,
    (select count(*) from linked.member as m where m.owner_id = p.user_id and m.asset_id = m.source_id) as sources,
    (select count(*) from linked.member as m where m.owner_id = p.user_id and m.asset_id <> m.source_id) as clones
from (
    select user_id from linked.participant
    union
    select owner_id from linked.member
) as p
left join public."user" as u on u.id = p.user_id
order by u.name, p.user_id
