-- Every file that a row of Immich's names, and whether it belongs to a member. What a viewer's clone has for a sidecar is no file.
select path, bool_or(is_linked) as is_linked
from (
    select a."originalPath" as path, m.asset_id is not null as is_linked
    from public.asset as a
    left join linked.member as m on m.asset_id = a.id
{% for column in ["encodedVideoPath", "sidecarPath"] if asset.has(column) %}
    union all
    select a."{{ column }}", m.asset_id is not null
    from public.asset as a
    left join linked.member as m on m.asset_id = a.id
{% endfor %}
    union all
    select f.path, m.asset_id is not null
    from public.asset_file as f
    left join linked.member as m on m.asset_id = f."assetId"
    union all
    select "thumbnailPath", false from public.person
) as named
where path <> '' and path not like '%/read-only.xmp'
group by path
