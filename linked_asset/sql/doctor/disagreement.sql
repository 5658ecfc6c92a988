-- Members that disagree, by kind: what `linked-asset reconcile` would repair.
select kind, count(*) as members
from linked.disagreements(array(select distinct source_id from linked.member))
group by kind
order by kind
