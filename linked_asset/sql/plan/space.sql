-- What hangs on each source is copied for each user who is to have a clone: how many rows that makes, table by table, and
-- what they will take with their indexes if they are like those that exist.
with wanted as materialized (
    select w.source_id, w.user_id
    from linked.wanted(linked.assets_of_albums(array(select album_id from linked.linked_album))) as w
    join public.asset as s on s.id = w.source_id
    where w.linkable
        and not exists (select from linked.member as m where m.source_id = w.source_id and m.owner_id = w.user_id)
        and not exists (
            select from public.asset as o
            where o."ownerId" = w.user_id and o.checksum = s.checksum and o."libraryId" is null
        )
),
copied as (
{% for table, rows in tables %}
    select '{{ table }}' as name, (select count(*) from wanted{{ rows }}) as rows, (select count(*) from public.{{ table }}) as known
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
)
select
    name,
    rows,
    (rows * pg_total_relation_size(format('public.%I', name)::regclass) / greatest(known, 1))::bigint as bytes,
    rows > 0 and exists (
        select from pg_index as i
        join pg_class as c on c.oid = i.indexrelid
        join pg_am as a on a.oid = c.relam
        where i.indrelid = format('public.%I', name)::regclass and a.amname not in ('btree', 'hash', 'gin', 'gist', 'brin', 'spgist')
    ) as has_vector_index
from copied
order by name
