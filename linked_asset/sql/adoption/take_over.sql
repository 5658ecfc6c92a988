-- Takes over what the scripts of immich-linked-assets have made. Nothing of it gets another id. A clone of theirs is a plain copy of
-- its source's row, of the source's library even; from here on it is one of ours, which Immich never moves.
do $linked$ begin perform linked.start_writing(); end $linked$;

create temporary table adopted on commit drop as
select distinct on (source.id, mine."ownerId") mine.id as clone_id, source.id as source_id, mine."ownerId" as owner_id, base.album_cluster
from linked_to_adopt.asset as base
join linked_to_adopt.asset as known on known.asset_cluster = base.asset_cluster and not known.base_owner
join public.asset as source on source.id = base.id and source."ownerId" = base.owner_id
join public.asset as mine
    on mine.id = known.id and mine."ownerId" = known.owner_id and mine."ownerId" <> source."ownerId"
    and mine."originalPath" = source."originalPath" and mine.checksum = source.checksum
where
    base.base_owner
    and not exists (select from linked_to_adopt.asset as also where also.id = source.id and not also.base_owner)
    and not exists (
        select from public.asset as own
        where own."ownerId" = mine."ownerId" and own.checksum = mine.checksum and own."libraryId" is null and own.id <> mine.id
    )
order by source.id, mine."ownerId", mine.id;

update public.asset
set "isExternal" = true, "libraryId" = null{% if "deviceId" in asset %}, "deviceId" = 'linked'{% endif %}

where id in (select clone_id from adopted);

insert into linked.member (asset_id, source_id, owner_id, can_write)
select clone_id, source_id, owner_id, true from adopted
union all
select distinct asset.id, asset.id, asset."ownerId", true
from adopted join public.asset on asset.id = adopted.source_id;

insert into linked.face (face_id, face_key, asset_id)
select distinct on (known.face_cluster, asset_face."assetId") asset_face.id, known.face_cluster, asset_face."assetId"
from linked_to_adopt.asset_face as known
join public.asset_face on asset_face.id = known.id
join linked.member on member.asset_id = asset_face."assetId"
order by known.face_cluster, asset_face."assetId", asset_face.id;

-- Two persons are one where most of their faces say so: people may have been merged in one account and not in the other.
with shown as (
    select theirs.{{ asset_face.personGroupId }} as person_key, mine.{{ asset_face.personGroupId }} as person_id, my_member.owner_id, count(*) as faces
    from linked.face as their_face
    join linked.member as their_member on their_member.asset_id = their_face.asset_id and their_member.asset_id = their_member.source_id
    join linked.face as my_face on my_face.face_key = their_face.face_key and my_face.face_id <> their_face.face_id
    join linked.member as my_member on my_member.asset_id = my_face.asset_id and my_member.source_id = their_member.source_id
    join public.asset_face as theirs on theirs.id = their_face.face_id
    join public.asset_face as mine on mine.id = my_face.face_id
    join public.person as their_person on their_person.{{ person.personGroupId }} = theirs.{{ asset_face.personGroupId }} and their_person."ownerId" = their_member.owner_id
    join public.person as my_person on my_person.{{ person.personGroupId }} = mine.{{ asset_face.personGroupId }} and my_person."ownerId" = my_member.owner_id
    group by 1, 2, 3
), most as (
    select distinct on (person_key, owner_id) person_key, person_id, owner_id, faces
    from shown
    order by person_key, owner_id, faces desc, person_id
), pair as (
    select distinct on (person_id, owner_id) person_key, person_id, owner_id
    from most
    order by person_id, owner_id, faces desc, person_key
)
insert into linked.person_pair (person_id, person_key, owner_id, made)
select person_id, person_key, owner_id,
    exists (select from linked_to_adopt.asset_face as known where known.person_id = pair.person_id and not known.base_owner)
from pair
union all
select distinct person.{{ person.personGroupId }}, person.{{ person.personGroupId }}, person."ownerId", false
from pair join public.person on person.{{ person.personGroupId }} = pair.person_key
on conflict do nothing;

-- Immich deletes the picture of a person with the person: the scripts let two have one.
update public.person
set "thumbnailPath" = ''
from linked.person_pair
where
    person.{{ person.personGroupId }} = person_pair.person_id
    and person."ownerId" = person_pair.owner_id
    and person_pair.person_key <> person_pair.person_id
    and exists (
        select from public.person as theirs
        where theirs.{{ person.personGroupId }} = person_pair.person_key and theirs."thumbnailPath" = person."thumbnailPath"
    );

with counterpart as (
    select base.id as album_key, album.id as album_id, album."ownerId" as owner_id
    from linked_to_adopt.shared_album as base
    join public.album as original on original.id = base.id and original."ownerId" = base.owner_id
    join linked_to_adopt.shared_album as known on known.shared_album_cluster = base.shared_album_cluster
    join public.album on album.id = known.id and album."ownerId" = known.owner_id
    where base.base_owner and (known.id = base.id or not known.base_owner) and not linked.is_linked_album(original."albumName")
)
insert into linked.album_pair (album_id, album_key, owner_id)
select album_id, album_key, owner_id from counterpart
on conflict do nothing;

-- A copy of the linked album itself is nobody's album, as long as nobody has put anything into it.
delete from public.album
using linked_to_adopt.shared_album as known, linked_to_adopt.shared_album as base
where
    album.id = known.id and not known.base_owner
    and base.shared_album_cluster = known.shared_album_cluster and base.base_owner
    and linked.is_linked_album(album."albumName")
    and not exists (
        select from public.album_asset
        where
            album_asset.{{ album_asset.albumId }} = album.id
            and album_asset.{{ album_asset.assetId }} not in (select asset_id from linked.member)
    );

insert into linked.stack_pair (stack_id, stack_key, owner_id)
select stack.id, known.stack_cluster, stack."ownerId"
from linked_to_adopt.stack as known
join public.stack on stack.id = known.id and stack."ownerId" = known.owner_id
on conflict do nothing;

-- What was linked by a tag is linked by being in the album from now on.
insert into public.album_asset ({{ album_asset.albumId }}, {{ album_asset.assetId }})
select distinct linked_album.id, adopted.source_id
from adopted
join public.asset as source on source.id = adopted.source_id and source.visibility <> 'hidden'
cross join lateral (
    select album.id
    from linked_to_adopt.album as base
    join public.album on album."ownerId" = base.owner_id and album."deletedAt" is null and linked.is_linked_album(album."albumName")
    where base.album_cluster = adopted.album_cluster and base.base_owner
    order by album.id = base.id desc, album."createdAt"
    limit 1
) as linked_album
on conflict do nothing;

do $linked$ begin perform linked.stop_writing(); end $linked$;
