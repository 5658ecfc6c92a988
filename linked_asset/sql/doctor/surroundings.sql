-- What around the addon makes it show less, or more, than a family expects.
with template as (
    select coalesce((value #>> '{storageTemplate,enabled}')::boolean, false) as enabled
    from (select 1) as one
    left join public.system_metadata on key = 'system-config'
)
select
    'storage template' as check,
    format('%s: new uploads leave the prefix %s as soon as the storage template moves them', linked_album.name, prefix.path) as what,
    'write the folder that the template moves them to into the album''s description' as remedy
from linked.prefix
join linked.linked_album using (album_id)
cross join template
where template.enabled and prefix.path ~ '/upload(/|$)'
union all
select
    'storage template',
    format('%s: uploads never get under the prefix %s, because the storage template is switched off', linked_album.name, prefix.path),
    'switch the storage template on, or write the upload folder into the album''s description'
from linked.prefix
join linked.linked_album using (album_id)
cross join template
where not template.enabled and prefix.path ~ '/library/[^/]+$'
    and not exists (
        select from public.asset
        where asset."ownerId" = linked_album.owner_id and starts_with(asset."originalPath", prefix.path || '/')
    )
union all
select distinct
    'partner sharing',
    format('%s shows the timeline of %s next to the clones of the same pictures', viewer.name, owner.name),
    format('%s: switch off "show in timeline" for the partner %s', viewer.name, owner.name)
from public.partner
join public."user" owner on owner.id = partner."sharedById"
join public."user" viewer on viewer.id = partner."sharedWithId"
join linked.participant one on one.user_id = owner.id
join linked.participant other on other.album_id = one.album_id and other.user_id = viewer.id
where partner."inTimeline"
order by 1, 2
