-- Repairs what differs in the groups of some sources.
select m.source_id, a."originalFileName" as file_name, m.kind, m.repaired, m.unrepaired, m.failure
from linked.mend_alone(:sources) as m
left join public.asset as a on a.id = m.source_id
order by m.source_id, m.kind
