-- Reconcile: whatever was missed, by a fault or while sync was suspended, is made good. What moves, replaces or deletes files
-- or rows is never taken from a clone: there the source counts. Of edits the last one counts, told by a date that only edits
-- of that table move ("updatedAt" of asset moves with favourites, stacks and the locked folder, so asset has none). Of tags and
-- albums, which have no date, all that anybody has.

{% from "macro/person.sql" import shown, is_person with context %}
{% from "macro/hold.sql" import hold %}
{% set exceptions = ["visibility", "thumbhash", "isEdited", "encodedVideoPath", "sidecarPath"] %}

create or replace function linked.member_disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    with pair as materialized (
        select member.source_id, member.asset_id, member.owner_id, member.can_write, member.deletes_own
        from linked.member
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
    ), wanted as materialized (
        select wanted.source_id, wanted.user_id, wanted.can_write, wanted.deletes_own, wanted.linkable
        from linked.wanted(array(
            select unnest(p_sources)
            union
            select "livePhotoVideoId" from public.asset where id = any (p_sources) and "livePhotoVideoId" is not null
        )) as wanted
    )
    select wanted.source_id, wanted.source_id, 'member'
    from wanted
    join public.asset source on source.id = wanted.source_id
    where wanted.linkable
        and not exists (
            select from linked.member where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
        )
        and not exists (
            select from public.asset own
            where own."ownerId" = wanted.user_id and own.checksum = source.checksum and own."libraryId" is null
        )
    union all
    select pair.source_id, pair.asset_id, 'member'
    from pair
    left join wanted on wanted.source_id = pair.source_id and wanted.user_id = pair.owner_id
    where (wanted.can_write, wanted.deletes_own) is distinct from (pair.can_write, pair.deletes_own)
    union all
    select member.source_id, member.asset_id, 'member'
    from linked.member
    where member.source_id = any (p_sources)
        and not exists (select from public.asset where asset.id = member.asset_id)
$linked$;
comment on function linked.member_disagreements(uuid[]) is
    'Groups that have too few or too many members, or members with other rights.';

create or replace function linked.row_disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    with pair as materialized (
        select member.source_id, member.asset_id, member.owner_id, member.can_write
        from linked.member
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
    )
    select pair.source_id, pair.asset_id, 'asset'
    from pair
    join public.asset source on source.id = pair.source_id
    join public.asset mine on mine.id = pair.asset_id
    left join linked.member video on video.source_id = source."livePhotoVideoId" and video.owner_id = pair.owner_id
    where {{ differ("asset", "shared", "mine", "source", without=exceptions) }}
        or (mine.visibility <> source.visibility and 'locked' not in (mine.visibility, source.visibility))
{% for column, what in [("thumbhash", "image"), ("isEdited", "image"), ("encodedVideoPath", "video")] if column in asset %}
        or (
            mine."{{ column }}" is distinct from source."{{ column }}"
            and not exists (
                select from linked.unsettled
                where unsettled.source_id = source.id and what = '{{ what }}' and marked_at is not null
            )
        )
{% endfor %}
{% if "sidecarPath" in asset %}
        or mine."sidecarPath" is distinct from case when pair.can_write
            then source."sidecarPath" else linked.viewers_sidecar(source."originalPath") end
{% endif %}
        or mine."livePhotoVideoId" is distinct from video.asset_id
{% for table in rows_of_assets %}
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), '{{ table }}'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.{{ table }} theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.{{ table }} mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id{% for column in key(table) %} and mine.{{ column }} = theirs.{{ column }}{% endfor %}

    where (mine.member_id is null or theirs.member_id is null or {{ differ(table, "shared", "mine", "theirs") }})
{%- if table == "asset_file" and "encodedVideoPath" not in asset %}

        and (
            coalesce(mine.type, theirs.type) <> 'encoded_video'
            or not exists (
                select from linked.unsettled
                where unsettled.source_id = coalesce(mine.source_id, theirs.source_id) and what = 'video'
                    and marked_at is not null
            )
        )
{%- endif %}
{%- if table == "asset_file" and sidecar_rows_of_viewers %}

        and (
            coalesce(mine.type, theirs.type) <> 'sidecar'
            or exists (
                select from linked.member
                where member.asset_id = coalesce(mine.member_id, theirs.member_id) and member.can_write
            )
        )
{%- endif %}

{% endfor %}
$linked$;
comment on function linked.row_disagreements(uuid[]) is
    'Members whose row of asset, or rows with a key of their own below it, differ from the source.';

create or replace function linked.face_disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    with pair as materialized (
        select member.source_id, member.asset_id, member.owner_id, member.can_write
        from linked.member
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
    ), face as materialized (
        select member.source_id, member.asset_id, member.can_write, known.face_id, known.face_key,
            known.left_open, asset_face.id, asset_face."deletedAt" is not null as is_hidden,
            case when person."ownerId" = member.owner_id then person.{{ person.personGroupId }} end as person_id,
            person_pair.person_key,
            -- A stranger's person, from an ordinary album, is nobody's business but the stranger's.
            person."ownerId" <> member.owner_id and not known.left_open and exists (
                select
                from linked.member sibling
                join linked.face their_face on their_face.asset_id = sibling.asset_id
                where sibling.source_id = member.source_id and sibling.owner_id = person."ownerId"
                    and their_face.face_key = known.face_key
                    and (not sibling.can_write or member.can_write)
            ) as is_misplaced
        from linked.member
        join linked.face known on known.asset_id = member.asset_id
        left join public.asset_face on asset_face.id = known.face_id
        {{ shown("asset_face", "member.owner_id", outer=true) }}
        left join linked.person_pair
            on {{ is_person("person", "person_pair") }} and person."ownerId" = member.owner_id
        where member.source_id = any (p_sources)
    ), shown as materialized (
        -- Persons of one group are the same, paired or not.
        select face_key, count(distinct person_id) > max(agreeing) as is_unclear
        from (
            select face_key, person_id,
                case when person_key is null then 1 else count(*) over (partition by face_key, person_key) end as agreeing
            from (
                select distinct face_key, person_id, person_key from face where can_write and person_id is not null
            ) as one
        ) as known
        group by face_key
    )
    select coalesce(my_face.source_id, their_face.source_id), coalesce(my_face.asset_id, their_face.asset_id), 'asset_face'
    from (
        select pair.source_id, pair.asset_id, face.face_id, face.face_key
        from pair join face on face.asset_id = pair.asset_id
    ) as my_face
    full join (
        select pair.source_id, pair.asset_id, face.face_id, face.face_key
        from pair join face on face.asset_id = pair.source_id
    ) as their_face using (asset_id, face_key)
    left join public.asset_face mine on mine.id = my_face.face_id
    left join public.asset_face theirs on theirs.id = their_face.face_id
    left join public.face_search my_search on my_search."faceId" = mine.id
    left join public.face_search their_search on their_search."faceId" = theirs.id
    where mine.id is null or theirs.id is null
        or {{ differ("asset_face", "shared", "mine", "theirs") }}
{% if has("cluster_group") %}
        or case
            when my_face.asset_id in (select linked.twins(p_sources)) then my_search."faceId" is not null
            else {{ differ("face_search", "shared", "my_search", "their_search") }}
        end
{% else %}
        or {{ differ("face_search", "shared", "my_search", "their_search") }}
{% endif %}
    union all
    select member.source_id, member.asset_id, 'asset_face'
    from linked.member
    join public.asset_face on asset_face."assetId" = member.asset_id
    where member.source_id = any (p_sources) and (member.can_write or asset_face."sourceType" <> 'manual')
        and not exists (select from linked.face where face.face_id = asset_face.id)
    union all
    select face.source_id, face.asset_id, 'person'
    from face left join shown on shown.face_key = face.face_key
    where face.id is not null
        and (
            face.is_misplaced
            or (
                shown.face_key is not null and not face.is_hidden
                and case
                    when face.person_id is null then not face.left_open
                    else shown.is_unclear and face.can_write
                end
            )
        )
$linked$;
comment on function linked.face_disagreements(uuid[]) is
    'Members that lack a face of the group, have another, or show somebody else on it.';

create or replace function linked.company_disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    with tagged as materialized (
        select member.source_id, member.asset_id, member.can_write, tag.id as tag_id, tag.value
        from linked.member
        join public.tag_asset on tag_asset.{{ tag_asset.assetId }} = member.asset_id
        join public.tag on tag.id = tag_asset.{{ tag_asset.tagId }}
        where member.source_id = any (p_sources)
    ), listed as materialized (
        select member.source_id, member.asset_id, album_pair.album_key
        from linked.member
        join public.album_asset on album_asset.{{ album_asset.assetId }} = member.asset_id
        join public.album on album.id = album_asset.{{ album_asset.albumId }} and {{ owner_of("album") }} = member.owner_id
        join public.asset on asset.id = member.asset_id and asset.visibility <> 'locked'
        left join linked.album_pair on album_pair.album_id = album.id
        where member.source_id = any (p_sources) and member.can_write
            and album."deletedAt" is null and not linked.is_linked_album(album."albumName")
    ), stacked as materialized (
        select member.source_id, member.asset_id, member.owner_id, asset."stackId" as stack_id, stack_pair.stack_key,
            stack."primaryAssetId" = member.asset_id as is_primary
        from linked.member
        join public.asset on asset.id = member.asset_id
        join public.stack on stack.id = asset."stackId"
        left join linked.stack_pair on stack_pair.stack_id = stack.id
        where member.source_id = any (p_sources) and member.can_write
    )
    select distinct sibling.source_id, sibling.asset_id, 'tag_asset'
    from tagged theirs
    join linked.member sibling on sibling.source_id = theirs.source_id and sibling.asset_id <> theirs.asset_id
    where theirs.can_write
        and not exists (
            select from tagged mine where mine.asset_id = sibling.asset_id and mine.value = theirs.value
        )
    union all
    select distinct mine.source_id, mine.asset_id, 'tag_asset'
    from tagged mine
    join linked.brought on brought.asset_id = mine.asset_id and brought.holder_id = mine.tag_id
    where not exists (
            select from tagged theirs where theirs.asset_id = mine.source_id and theirs.value = mine.value
        )
    union all
    select brought.source_id, brought.asset_id, 'album_asset'
    from linked.brought_for_nobody(p_sources) as brought
    union all
    select distinct sibling.source_id, sibling.asset_id, 'album_asset'
    from listed
    join linked.member sibling on sibling.source_id = listed.source_id and sibling.asset_id <> listed.asset_id
    join public.asset mine on mine.id = sibling.asset_id and mine.visibility <> 'locked'
    where not exists (
            select from linked.album_pair my_pair
            join public.album_asset known on known.{{ album_asset.albumId }} = my_pair.album_id
            where my_pair.album_key = listed.album_key and my_pair.owner_id = sibling.owner_id
                and known.{{ album_asset.assetId }} = sibling.asset_id
        )
        and not exists (
            select from linked.album_refusal
            where album_refusal.album_key = listed.album_key and album_refusal.owner_id = sibling.owner_id
        )
        and not exists (
            select from linked.album_pair shared
            join public.album_user on album_user.{{ album_user.albumId }} = shared.album_id
            where shared.album_key = listed.album_key and album_user.{{ album_user.userId }} = sibling.owner_id
                and album_user.role <> 'owner'
        )
    union all
    select distinct sibling.source_id, sibling.asset_id, 'stack'
    from stacked
    join linked.member sibling on sibling.source_id = stacked.source_id and sibling.asset_id <> stacked.asset_id
    join public.asset mine on mine.id = sibling.asset_id
    left join linked.stack_pair my_pair on my_pair.stack_id = mine."stackId"
    left join public.stack my_stack on my_stack.id = mine."stackId"
    where (
            sibling.can_write
            -- Beside stacks of a viewer's that stand until the next write.
            or mine."stackId" is null and not exists (
                select from linked.passing_stack
                join public.stack passing on passing.id = passing_stack.stack_id
                where passing."ownerId" = sibling.owner_id
            )
        )
        and case
            when (my_pair.stack_key = stacked.stack_key) is not true then exists (
                select from public.asset mate
                join linked.member mate_member on mate_member.asset_id = mate.id
                join linked.member my_mate
                    on my_mate.source_id = mate_member.source_id and my_mate.owner_id = sibling.owner_id
                where mate."stackId" = stacked.stack_id and mate.id <> stacked.asset_id and mate_member.can_write
            )
            else stacked.is_primary and my_stack."primaryAssetId" <> sibling.asset_id
                -- A picture that the other account does not have can lead only this one.
                and exists (
                    select from linked.member leader
                    join linked.member their_member on their_member.source_id = leader.source_id
                    where leader.asset_id = my_stack."primaryAssetId" and their_member.owner_id = stacked.owner_id
                )
        end
$linked$;
comment on function linked.company_disagreements(uuid[]) is
    'Members that lack a tag, album or stack that a sibling of a writer has.';

-- The invariant of section 12.2, asked of some groups: no row, and all their members agree. Read only, no lock. What is a
-- viewer's own (tags, albums, stacks, persons, faces drawn by hand, the path of the sidecar) is no difference.
create or replace function linked.disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    select * from linked.member_disagreements(p_sources)
    union all
    select * from linked.row_disagreements(p_sources)
    union all
    select * from linked.face_disagreements(p_sources)
    union all
    select * from linked.company_disagreements(p_sources)
$linked$;
comment on function linked.disagreements(uuid[]) is
    'What is to be made good in the groups of these sources: for each member and kind of row that differs one row.';

-- What Immich's jobs produced counts on viewers' clones too: the file from before is gone. Where the content is not the
-- source's, a date tells nothing.
create or replace function linked.last_written(p_sources uuid[], p_table text)
returns table (from_id uuid, to_id uuid)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    with dated as (
        select member.source_id, member.asset_id,
            case p_table
{% for table in rows_of_assets if table != "asset_job_status" %}
                when '{{ table }}' then (
                    select {{ 'max("updatedAt")' if has_column(table, "updatedAt") else "max(to_timestamp(0))" }} from public.{{ table }} where "assetId" = member.asset_id
                )
{% endfor %}
            end as written_at
        from linked.member
        join public.asset source on source.id = member.source_id
        join public.asset mine on mine.id = member.asset_id and mine.checksum = source.checksum
        where member.source_id = any (p_sources) and (
                member.can_write
                or p_table in ({% for table in rows_of_assets if is_followed(table) %}'{{ table }}'{{ ", " if not loop.last }}{% endfor %})
            )
    ), origin as (
        select distinct on (source_id) source_id, asset_id
        from dated
        order by source_id, written_at desc nulls last, asset_id = source_id desc, asset_id
    )
    select origin.asset_id, member.asset_id
    from origin join linked.member using (source_id)
    where member.asset_id <> origin.asset_id;
end
$linked$;
comment on function linked.last_written(uuid[], text) is
    'Which member each sibling is to be made equal to in a table: the one that was written last.';

-- Dates are edited in the exif, and Immich's metadata extraction carries them to the asset.
create or replace function linked.take_dates(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("asset", "id = any (p_to)") }}
    update public.asset source
    set "localDateTime" = theirs."localDateTime", "fileCreatedAt" = theirs."fileCreatedAt"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.to_id and member.asset_id = member.source_id
    join public.asset theirs on theirs.id = pair.from_id
    join public.asset_exif my_exif on my_exif."assetId" = pair.to_id
    join public.asset_exif their_exif on their_exif."assetId" = pair.from_id
    where source.id = pair.to_id
        and my_exif."dateTimeOriginal" is distinct from their_exif."dateTimeOriginal"
        and (source."localDateTime", source."fileCreatedAt") is distinct from (theirs."localDateTime", theirs."fileCreatedAt");
end
$linked$;
comment on function linked.take_dates(uuid[], uuid[]) is
    'Gives sources the dates of the member whose exif they are about to take over.';

{% if has("asset_edit") %}
-- What an edit makes of the picture is told by the asset, too.
create or replace function linked.take_edits(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("asset", "id = any (p_to)") }}
    update public.asset source
    set "isEdited" = theirs."isEdited", width = theirs.width, height = theirs.height, thumbhash = theirs.thumbhash
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.to_id and member.asset_id = member.source_id
    join public.asset theirs on theirs.id = pair.from_id
    where source.id = pair.to_id
        and exists (
            select from public.asset_edit
            where "assetId" in (pair.from_id, pair.to_id)
            group by sequence, action, parameters
            having count(*) = 1
        );
end
$linked$;
comment on function linked.take_edits(uuid[], uuid[]) is
    'Gives sources the measures and the thumbhash of the member whose edits they are about to take over.';
{% endif %}

create or replace function linked.equalize_job_status(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    with known as (
        select member.source_id
{%- for column in columns("asset_job_status", "shared") %},
            coalesce(
                max(status."{{ column.name }}") filter (where member.asset_id = member.source_id),
                max(status."{{ column.name }}") filter (where member.can_write)
            ) as "{{ column.name }}"
{%- endfor %}

        from linked.member
        join public.asset_job_status status on status."assetId" = member.asset_id
        where member.source_id = any (p_sources)
        group by member.source_id
    )
    insert into public.asset_job_status ("assetId", {{ names("asset_job_status", "shared") }})
    select member.asset_id, {{ names("asset_job_status", "shared", "known") }}
    from known
    join linked.member on member.source_id = known.source_id
    left join public.asset_job_status present on present."assetId" = member.asset_id
    where present."assetId" is null
        or {{ differ("asset_job_status", "shared", "present", "known") }}
    on conflict ("assetId") do update
    set {{ assignments("asset_job_status", "shared", "excluded") }};
end
$linked$;
comment on function linked.equalize_job_status(uuid[]) is
    'Gives all members the job status of the source, filled up from those of editors.';

-- A face whose counterparts were forgotten is known again by where it is; boxes that a machine found on two members may differ
-- a little. What a viewer drew is the viewer's own.
create or replace function linked.match_faces(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    with stray as (
        select member.source_id, asset_face.*,
            array["boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2"] as box
        from linked.member
        join public.asset_face on asset_face."assetId" = member.asset_id
        where member.source_id = any (p_sources) and (member.can_write or asset_face."sourceType" <> 'manual')
            and not exists (select from linked.face where face.face_id = asset_face.id)
    )
    insert into linked.face (face_id, face_key, asset_id)
    select distinct on (stray.id) stray.id, known.face_key, stray."assetId"
    from stray
    join linked.member sibling on sibling.source_id = stray.source_id and sibling.asset_id <> stray."assetId"
    join linked.face known on known.asset_id = sibling.asset_id
    join public.asset_face other on other.id = known.face_id
    cross join lateral (
        select array[other."boundingBoxX1", other."boundingBoxY1", other."boundingBoxX2", other."boundingBoxY2"] as box
    ) as their
    where other."sourceType" = stray."sourceType"
        and (
            their.box = stray.box
            or (
                stray."sourceType" = 'machine-learning'
                and (other."imageWidth", other."imageHeight") = (stray."imageWidth", stray."imageHeight")
                and linked.overlap(stray.box, their.box) > 0.5
            )
        )
    order by stray.id, linked.overlap(stray.box, their.box) desc nulls last, known.face_key
    on conflict do nothing;
end
$linked$;
comment on function linked.match_faces(uuid[]) is
    'Pairs faces that are not remembered with the siblings'' remembered faces at the same place.';

create or replace function linked.recognize_faces(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.match_faces(p_sources);
    insert into linked.face (face_id, face_key, asset_id)
    select asset_face.id, asset_face.id, asset_face."assetId"
    from linked.member
    join public.asset_face on asset_face."assetId" = member.asset_id
    where member.asset_id = any (p_sources) and member.asset_id = member.source_id
    on conflict do nothing;
    perform linked.match_faces(p_sources);
end
$linked$;
comment on function linked.recognize_faces(uuid[]) is
    'Remembers faces that are not remembered as counterparts of those at the same place.';

-- A face that was there when sync last looked, and is gone from the source since, was removed; one that the source never had
-- was found or drawn on a clone meanwhile.
create or replace function linked.bring_new_faces(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.face (face_id, face_key, asset_id)
    select asset_face.id, asset_face.id, asset_face."assetId"
    from linked.member
    join public.asset_face on asset_face."assetId" = member.asset_id
    where member.source_id = any (p_sources) and member.can_write
    on conflict do nothing;

    with fresh as materialized (
        select distinct on (mine.face_key) gen_random_uuid() as face_id, mine.face_key, mine.face_id as their_face_id,
            member.source_id
        from linked.member
        join linked.face mine on mine.asset_id = member.asset_id
        join public.asset_face on asset_face.id = mine.face_id
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id and member.can_write
            and not exists (
                select from linked.face theirs
                where theirs.face_key = mine.face_key and theirs.asset_id = member.source_id
            )
        order by mine.face_key, mine.face_id
    ), made as (
        insert into public.asset_face (id, "assetId", {{ names("asset_face", "shared") }})
        select fresh.face_id, fresh.source_id, {{ names("asset_face", "shared", "theirs") }}
        from fresh join public.asset_face theirs on theirs.id = fresh.their_face_id
        returning id
    ), embedded as (
        insert into public.face_search ("faceId", {{ names("face_search", "shared") }})
        select fresh.face_id, {{ names("face_search", "shared", "theirs") }}
        from fresh join public.face_search theirs on theirs."faceId" = fresh.their_face_id
    )
    insert into linked.face (face_id, face_key, asset_id)
    select fresh.face_id, fresh.face_key, fresh.source_id
    from fresh join made on made.id = fresh.face_id;
end
$linked$;
comment on function linked.bring_new_faces(uuid[]) is
    'Gives sources the faces that were found or drawn on clones unseen.';

-- An embedding has no date: whoever has it gives it to the others.
create or replace function linked.fill_embeddings(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into public.face_search ("faceId", {{ names("face_search", "shared") }})
    select distinct on (mine.face_id) mine.face_id, {{ names("face_search", "shared", "theirs") }}
    from linked.member
    join linked.face mine on mine.asset_id = member.asset_id
    join public.asset_face on asset_face.id = mine.face_id
    join linked.face other on other.face_key = mine.face_key and other.face_id <> mine.face_id
    join public.face_search theirs on theirs."faceId" = other.face_id
    where member.source_id = any (p_sources)
        and not exists (select from public.face_search where face_search."faceId" = mine.face_id)
{% if has("cluster_group") %}
        and mine.asset_id not in (select linked.twins(p_sources))
{% endif %}
    order by mine.face_id, other.face_id
    on conflict do nothing;
end
$linked$;
comment on function linked.fill_embeddings(uuid[]) is
    'Gives faces that lack their embedding the one that a counterpart has.';

create or replace function linked.equalize_faces(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.recognize_faces(p_sources);
    perform linked.bring_new_faces(p_sources);
    perform linked.fill_embeddings(p_sources);
    perform linked.propagate_faces(array_agg(source_id), array_agg(asset_id))
    from linked.member
    where source_id = any (p_sources) and asset_id <> source_id;
end
$linked$;
comment on function linked.equalize_faces(uuid[]) is
    'Gives all members the faces that the source has and those that were added to clones.';

{% if has("cluster_group") %}
create or replace function linked.follow_cluster_groups(p_users uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.queue (source_id, thorough)
    select member.source_id, true
    from linked.member where member.owner_id = any (p_users)
    on conflict (source_id) do update set thorough = true;
    if found then
        perform linked.begin_linking();
    end if;
end
$linked$;
comment on function linked.follow_cluster_groups(uuid[]) is
    'Has the embeddings of these users'' members looked at again, who have joined or left a cluster group.';

{% endif %}
-- Of two assignments of a face the later one counts. What viewers and strangers put on others' faces leads no more than it
-- does live.
create or replace function linked.equalize_people(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.hand_to_viewers(array(
        select face.face_id
        from linked.member
        join linked.face on face.asset_id = member.asset_id
        where member.source_id = any (p_sources)
    ));
    perform linked.propagate_people(
        linked.leading_faces(
            array(
                select face.face_id
                from linked.member
                join linked.face on face.asset_id = member.asset_id
                join public.asset_face on asset_face.id = face.face_id
                where member.source_id = any (p_sources) and asset_face.{{ asset_face.personGroupId }} is not null
            ),
            p_last => true
        ),
        array(select asset_id from linked.member where source_id = any (p_sources))
    );
end
$linked$;
comment on function linked.equalize_people(uuid[]) is
    'Assigns the faces of all members to the counterparts of whom any of them shows.';

-- Likewise albums of the same name in which the members of both accounts are.
create or replace function linked.recognize_albums(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.album_pair (album_id, album_key, owner_id)
    select distinct album.id, album.id, member.owner_id
    from linked.member
    join public.album_asset on album_asset.{{ album_asset.assetId }} = member.asset_id
    join public.album on album.id = album_asset.{{ album_asset.albumId }} and {{ owner_of("album") }} = member.owner_id
    where member.source_id = any (p_sources) and member.asset_id = member.source_id
        and album."deletedAt" is null and not linked.is_linked_album(album."albumName")
        and not exists (
            select from public.album_asset sibling_row
            join linked.member sibling on sibling.asset_id = sibling_row.{{ album_asset.assetId }}
            join linked.album_pair sibling_pair
                on sibling_pair.album_id = sibling_row.{{ album_asset.albumId }} and sibling_pair.owner_id = sibling.owner_id
            join public.album sibling_album
                on sibling_album.id = sibling_pair.album_id and sibling_album."albumName" = album."albumName"
            where sibling.source_id = member.source_id
        )
    on conflict do nothing;

    insert into linked.album_pair (album_id, album_key, owner_id)
    select distinct on (their_pair.album_key, member.owner_id) mine.id, their_pair.album_key, member.owner_id
    from linked.member
    join linked.member sibling on sibling.source_id = member.source_id and sibling.asset_id <> member.asset_id
    join public.album_asset my_row on my_row.{{ album_asset.assetId }} = member.asset_id
    join public.album mine on mine.id = my_row.{{ album_asset.albumId }} and {{ owner_of("mine") }} = member.owner_id
    join public.album_asset their_row on their_row.{{ album_asset.assetId }} = sibling.asset_id
    join linked.album_pair their_pair
        on their_pair.album_id = their_row.{{ album_asset.albumId }} and their_pair.owner_id = sibling.owner_id
    join public.album theirs on theirs.id = their_pair.album_id
    where member.source_id = any (p_sources) and member.can_write
        and mine."albumName" = theirs."albumName"
        and not exists (select from linked.album_pair where album_pair.album_id = mine.id)
    order by their_pair.album_key, member.owner_id, mine."createdAt", mine.id
    on conflict do nothing;
end
$linked$;
comment on function linked.recognize_albums(uuid[]) is
    'Pairs albums that are not remembered with the other accounts'' albums of the same name and pictures.';

-- Tags, albums and stacks of all members, brought to all members. What is in a locked folder is in no album.
create or replace function linked.reunite(p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_clones uuid[];
    v_sources uuid[];
begin
    perform linked.recognize_albums(p_sources);
    select array_agg(clone.asset_id) filter (where clone.can_write), array_agg(clone.source_id) filter (where clone.can_write)
    into v_clones, v_sources
    from linked.member clone
    where clone.source_id = any (p_sources) and clone.asset_id <> clone.source_id;
    perform linked.add_tags(v_clones, v_sources);
    -- What is left of a stack would be dissolved while the others are put into it.
    perform linked.dissolve_stacks(
        array(
            select counterpart.stack_id
            from linked.member
            join public.asset on asset.id = member.asset_id
            join linked.stack_pair on stack_pair.stack_id = asset."stackId"
            join linked.stack_pair counterpart on counterpart.stack_key = stack_pair.stack_key
            where member.source_id = any (p_sources)
        ),
        p_keep_lone => true
    );
    perform linked.propagate_stacks(array_agg(mine.id), array_agg(source.id))
    from unnest(v_clones, v_sources) as pair (from_id, to_id)
    join public.asset mine on mine.id = pair.from_id and mine."stackId" is not null
    join public.asset source on source.id = pair.to_id and source."stackId" is null;
    perform linked.add_to_albums(array_agg(theirs.id), array_agg(mine.id))
    from linked.member member
    join linked.member sibling on sibling.source_id = member.source_id and sibling.asset_id <> member.asset_id
    join public.asset theirs on theirs.id = member.asset_id and theirs.visibility <> 'locked'
    join public.asset mine on mine.id = sibling.asset_id and mine.visibility <> 'locked'
    where member.source_id = any (p_sources) and member.can_write;

    select array_agg(clone.source_id), array_agg(clone.asset_id) into v_sources, v_clones
    from linked.member clone
    where clone.source_id = any (p_sources) and clone.asset_id <> clone.source_id;
    perform linked.propagate_tags(v_sources, v_clones);
    perform linked.leave_albums_of_nobody(p_sources);
    perform linked.propagate_stacks(v_sources, v_clones);
end
$linked$;
comment on function linked.reunite(uuid[]) is
    'Gives all members of these groups the tags, stacks and albums that any of them has.';

create or replace function linked.repair_groups(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.release_replaced(p_sources);
    perform linked.refresh_membership(p_sources, p_all_at_once => true);
    perform linked.take_dates(array_agg(from_id), array_agg(to_id)) from linked.last_written(p_sources, 'asset_exif');
{% if has("asset_edit") %}
    perform linked.take_edits(array_agg(from_id), array_agg(to_id)) from linked.last_written(p_sources, 'asset_edit');
{% endif %}
    perform linked.propagate_asset(array_agg(source_id), array_agg(asset_id))
    from linked.member
    where source_id = any (p_sources) and asset_id <> source_id;
    perform linked.pair_live_photos(p_sources);
    -- Of what jobs produced the last is there for certain: each deletes what its own member had before.
{% for table in rows_of_assets if table != "asset_job_status" %}
    perform linked.propagate_{{ table }}(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, '{{ table }}');
{% endfor %}
    -- By dates that equalizing moves.
    perform linked.recognize_own_faces(array(select asset_id from linked.member where source_id = any (p_sources)));
    perform linked.equalize_faces(p_sources);
    perform linked.equalize_job_status(p_sources);
    perform linked.reunite(p_sources);
    perform linked.equalize_people(p_sources);
end
$linked$;
comment on function linked.repair_groups(uuid[]) is
    'Makes membership right, and all members equal, for these sources. Touches only what differs.';

-- One source that cannot be linked or repaired does not keep the others from it. Returns what was wrong with which.
create or replace function linked.attempt(p_sources uuid[], p_thorough boolean)
returns table (source_id uuid, failure text)
language plpgsql
as $linked$
declare
    v_sqlstate text;
    v_message text;
    v_context text;
    v_source uuid;
begin
    if coalesce(cardinality(p_sources), 0) = 0 then
        return;
    end if;
    if p_thorough then
        perform linked.repair_groups(p_sources);
    else
        perform linked.refresh_membership(p_sources, p_all_at_once => true);
    end if;
exception
-- Somebody holds a lock for a while: it is not waited for once more for each.
when lock_not_available or deadlock_detected or serialization_failure then
    raise;
when others then
    get stacked diagnostics
        v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
    if cardinality(p_sources) = 1 then
        perform linked.record_incident(
            case when p_thorough then 'repair of ' else 'linking of ' end || p_sources[1]::text,
            v_sqlstate, v_message, v_context
        );
        return query select p_sources[1], v_message;
    else
        foreach v_source in array p_sources loop
            return query select * from linked.attempt(array[v_source], p_thorough);
        end loop;
    end if;
end
$linked$;
comment on function linked.attempt(uuid[], boolean) is
    'Links these sources, or repairs their groups; where one fails, the others alone, and an incident for that one.';

-- Finds out itself what there is to do, and afterwards whether it is done.
create or replace function linked.mend(p_sources uuid[])
returns table (source_id uuid, kind text, repaired bigint, unrepaired bigint, failure text)
language plpgsql
as $linked$
declare
    v_sources uuid[];
    v_kinds text[];
    v_members bigint[];
    v_repair uuid[];
    v_failed uuid[];
    v_failures text[];
begin
    select array_agg(found.source_id), array_agg(found.kind), array_agg(found.members)
    into v_sources, v_kinds, v_members
    from (
        select disagreement.source_id, disagreement.kind, count(*) as members
        from linked.disagreements(p_sources) as disagreement
        group by 1, 2
    ) as found;
    delete from linked.queue where queue.source_id = any (p_sources);
    if v_sources is null then
        return;
    end if;
    v_repair := array(
        select distinct found.source_id
        from unnest(v_sources, v_kinds) as found (source_id, kind)
        where found.kind <> 'member'
    );
    select array_agg(attempt.source_id), array_agg(attempt.failure) into v_failed, v_failures
    from (
        select * from linked.attempt(
            array(
                select found.source_id from unnest(v_sources) as found (source_id)
                except
                select unnest(v_repair)
            ),
            false
        )
        union all
        select * from linked.attempt(v_repair, true)
    ) as attempt;
    return query
    select found.source_id, found.kind, greatest(found.members - coalesce(still.members, 0), 0),
        coalesce(still.members, 0), failed.failure
    from unnest(v_sources, v_kinds, v_members) as found (source_id, kind, members)
    left join (
        select disagreement.source_id, disagreement.kind, count(*) as members
        from linked.disagreements(array(select distinct unnest(v_sources))) as disagreement
        group by 1, 2
    ) as still on still.source_id = found.source_id and still.kind = found.kind
    left join unnest(v_failed, v_failures) as failed (source_id, failure) on failed.source_id = found.source_id;
end
$linked$;
comment on function linked.mend(uuid[]) is
    'Repairs what differs in the groups of these sources, and says how many members of each that were and could not be.';

create or replace function linked.mend_alone(p_sources uuid[])
returns table (source_id uuid, kind text, repaired bigint, unrepaired bigint, failure text)
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    perform linked.plan_for(cardinality(p_sources));
    perform set_config('jit', 'off', true);
    return query select * from linked.mend(p_sources);
    perform linked.stop_writing();
end
$linked$;
comment on function linked.mend_alone(uuid[]) is 'linked.mend for reconcile, as the addon''s own writing.';

-- Albums have no date of their edits: one leads. What was renamed by who had been unlinked unseen is nobody else's affair.
create or replace function linked.equalize_albums() returns bigint
language plpgsql
as $linked$
declare
    v_albums uuid[];
    v_leading uuid[];
begin
    perform linked.part_albums(array(select album_id from linked.album_pair));
    with unlike as materialized (
        select mine.id as album_id, theirs.id as their_id, my_pair.album_key
        from linked.album_pair my_pair
        join public.album mine on mine.id = my_pair.album_id
        join linked.album_pair their_pair
            on their_pair.album_key = my_pair.album_key and their_pair.album_id <> my_pair.album_id
        join public.album theirs on theirs.id = their_pair.album_id
        left join linked.member their_cover on their_cover.asset_id = theirs."albumThumbnailAssetId"
        left join linked.member my_cover
            on my_cover.source_id = their_cover.source_id and my_cover.owner_id = my_pair.owner_id
        where my_pair.owner_id in (select user_id from linked.participant)
            and (
                (mine."albumName", mine.description, mine."order")
                    is distinct from (theirs."albumName", theirs.description, theirs."order")
                or (
                    mine."albumThumbnailAssetId" is distinct from my_cover.asset_id
                    and exists (
                        select from public.album_asset
                        where {{ album_asset.albumId }} = mine.id and {{ album_asset.assetId }} = my_cover.asset_id
                    )
                )
            )
    ), chief as materialized (
        select linked.leading_album(album_key) as album_id
        from (select distinct album_key from unlike) as differing
    )
    select array_agg(unlike.album_id), array_agg(distinct chief.album_id)
    into v_albums, v_leading
    from unlike join chief on chief.album_id = unlike.their_id;
    if v_leading is not null then
        perform linked.propagate_album_details(v_leading);
    end if;
    return coalesce(cardinality(v_albums), 0);
end
$linked$;
comment on function linked.equalize_albums() is
    'Gives counterpart albums the details of those that lead. Returns how many had others.';

-- What changed of a person since its details were noted was edited unseen. Two that were noted with different names have
-- had them since they were paired, where nothing is overwritten.
create or replace function linked.equalize_persons() returns bigint
language plpgsql
as $linked$
declare
    v_edited uuid[];
    v_changes bigint := 0;
begin
{% for column in columns("person", "shared") %}
    v_edited := array(
        select distinct on (edited.person_key) edited.pair_id
        from linked.reached(array(
            select person_pair.pair_id
            from linked.person_pair join public.person on {{ is_person("person", "person_pair") }}
            where person_pair.details -> '{{ column.name }}' is distinct from coalesce(to_jsonb(person."{{ column.name }}"), 'null')
                and person_pair.details is not null
        )) as reached
        join linked.person_pair edited on edited.pair_id = reached.origin_id
        join public.person theirs on {{ is_person("theirs", "edited") }}
        join linked.person_pair my_pair on my_pair.pair_id = reached.pair_id
        join public.person mine on {{ is_person("mine", "my_pair") }}
        where mine."{{ column.name }}" is distinct from theirs."{{ column.name }}"
{% if column.canonical != "color" %}
            and not reached.kept_alike
{% endif %}
        order by edited.person_key, theirs."updatedAt" desc, edited.pair_id
    );
    v_changes := v_changes + cardinality(v_edited);
    perform linked.propagate_person_{{ column.name | lower }}(v_edited);
{% endfor %}
    perform linked.note_details(array(select pair_id from linked.person_pair));
    return v_changes;
end
$linked$;
comment on function linked.equalize_persons() is
    'Gives names, birth dates and colours that were edited unseen to the counterparts. Returns how many were.';

create or replace function linked.note_details(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.person_pair
    set details = noted.details
    from (
        select counterpart.pair_id, jsonb_build_object(
{%- for column in columns("person", "shared") %}'{{ column.name }}', person."{{ column.name }}"{% if not loop.last %}, {% endif %}{% endfor %}) as details
        from linked.person_pair counterpart
        join public.person on {{ is_person("person", "counterpart") }}
        where counterpart.person_key in (
            select asked.person_key from linked.person_pair asked where asked.pair_id = any (p_pairs)
        )
    ) as noted
    where person_pair.pair_id = noted.pair_id and person_pair.details is distinct from noted.details;
end
$linked$;
comment on function linked.note_details(uuid[]) is
    'Notes what these persons and their counterparts are called, so that an edit that sync misses can be told later.';

-- What all groups share, before any of them is looked at.
create or replace function linked.catch_up() returns table (kind text, changes bigint)
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    return query select review.kind, review.changes from linked.review() as review where review.changes > 0;
    perform linked.stop_writing();
end
$linked$;
comment on function linked.catch_up() is 'linked.review for reconcile, as the addon''s own writing.';
