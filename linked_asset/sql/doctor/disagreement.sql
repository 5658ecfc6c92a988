-- Members that disagree, by kind: what `linked-asset reconcile` would repair.
select kind, count(*) as members
from linked.disagreements(array(select source_id from linked.member where asset_id = source_id))
group by kind
order by kind
