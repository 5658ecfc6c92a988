-- What differs in the groups of some sources.
select d.source_id, a."originalFileName" as file_name, d.kind, count(*) as members
from linked.disagreements(:sources) as d
left join public.asset as a on a.id = d.source_id
group by d.source_id, a."originalFileName", d.kind
order by d.source_id, d.kind
