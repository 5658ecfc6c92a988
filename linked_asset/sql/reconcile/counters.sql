-- Rows that this transaction has changed so far, by table. What waits or tells is no difference between members.
select schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del
from pg_catalog.pg_stat_xact_all_tables
where schemaname in ('public', 'linked')
    and relname not in ('queue', 'incident', 'installation', 'quota_credit')
    and relname not like '%\_audit'
    and n_tup_ins + n_tup_upd + n_tup_del > 0
