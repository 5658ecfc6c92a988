-- Members that differ from their source, by table. A viewer's own tags, faces and persons are no difference. Albums and stacks
-- are left to `linked-asset reconcile --dry-run`. Nor is a viewer's own sidecar path, or what the source of an unsettled group is
-- marked with.
{% set own = ["visibility", "thumbhash", "encodedVideoPath", "sidecarPath"] %}
with pair as (
    select asset_id, source_id, can_write from linked.member where asset_id <> source_id
)
select kind, members
from (
    select 'asset' as kind, count(*) as members
    from pair
    join public.asset source on source.id = pair.source_id
    join public.asset mine on mine.id = pair.asset_id
    where {{ differ("asset", "shared", "mine", "source", without=own) }}
        or (
            mine.thumbhash is distinct from source.thumbhash
            and not exists (
                select from linked.unsettled where source_id = source.id and what = 'image' and marked_at is not null
            )
        )
{% if "encodedVideoPath" in asset %}
        or (
            mine."encodedVideoPath" is distinct from source."encodedVideoPath"
            and not exists (
                select from linked.unsettled where source_id = source.id and what = 'video' and marked_at is not null
            )
        )
{% endif %}
{% if "sidecarPath" in asset %}
        or mine."sidecarPath" is distinct from case when pair.can_write
            then source."sidecarPath" else linked.viewers_sidecar(source."originalPath") end
{% endif %}
        or (mine.visibility <> source.visibility and 'locked' not in (mine.visibility, source.visibility))
    union all
    select 'linked.member', count(*)
    from linked.member
    where not exists (select from public.asset where asset.id = member.asset_id)
{% for table in ["asset_exif", "asset_file", "smart_search", "asset_job_status"] %}
    union all
    select '{{ table }}', count(*)
    from (
        select pair.asset_id, pair.source_id, theirs.*
        from pair join public.{{ table }} theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.asset_id as my_id, mine.*
        from pair join public.{{ table }} mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.my_id = theirs.asset_id{% for column in key(table) %} and mine.{{ column }} = theirs.{{ column }}{% endfor %}

    where mine.my_id is null or theirs.asset_id is null
        or {{ differ(table, "shared", "mine", "theirs") }}
{% endfor %}
    union all
    select 'asset_face', count(*)
    from (
        select pair.asset_id, my_face.face_id, my_face.face_key, my_face.own, pair.source_id
        from pair join linked.face my_face on my_face.asset_id = pair.asset_id
    ) as my_face
    full join (
        select pair.asset_id, their_face.face_id, their_face.face_key
        from pair join linked.face their_face on their_face.asset_id = pair.source_id
    ) as their_face using (asset_id, face_key)
    left join public.asset_face mine on mine.id = my_face.face_id
    left join public.asset_face theirs on theirs.id = their_face.face_id
    left join linked.person_pair my_pair on my_pair.person_id = mine."personId"
    left join linked.person_pair their_pair on their_pair.person_id = theirs."personId"
    where mine.id is null or theirs.id is null
        or {{ differ("asset_face", "shared", "mine", "theirs") }}
        or (my_pair.person_key <> their_pair.person_key and not my_face.own)
    union all
    select 'asset_face', count(*)
    from linked.member
    join public.asset_face on asset_face."assetId" = member.asset_id
    where (member.can_write or asset_face."sourceType" <> 'manual')
        and not exists (select from linked.face where face.face_id = asset_face.id)
    union all
    select 'tag_asset', count(*)
    from pair
    join linked.member on member.asset_id = pair.asset_id and member.can_write
    where (
            select array_agg(tag.value order by tag.value)
            from public.tag_asset join public.tag on tag.id = {{ tag_asset.tagId }}
            where {{ tag_asset.assetId }} = pair.asset_id
        ) is distinct from (
            select array_agg(tag.value order by tag.value)
            from public.tag_asset join public.tag on tag.id = {{ tag_asset.tagId }}
            where {{ tag_asset.assetId }} = pair.source_id
        )
) as disagreement
where members > 0
