-- Faces: the same face on each member, told apart by a key because a face has no natural one.

{% from "macro/frame.sql" import on, changed, is_member, groups_of, takes_part with context %}
{% from "macro/hold.sql" import hold %}

-- What somebody else has done to other faces, and waits for a turn to have it noticed, is left to them.
create or replace function linked.propagate_faces(
    p_from uuid[], p_to uuid[], p_faces uuid[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_keys uuid[];
begin
    if p_faces is not null then
        v_keys := array(
            select face_key from linked.face where face_id = any (p_faces) union select id from unnest(p_faces) as id
        );
    end if;
    delete from linked.face
    where (asset_id = any (p_from) or asset_id = any (p_to)) and (v_keys is null or face_key = any (v_keys))
        and not exists (select from public.asset_face where asset_face.id = face.face_id);
    if not exists (
        select from public.asset_face where "assetId" = any (p_from) or "assetId" = any (p_to)
    ) then
        return;
    end if;
    insert into linked.face (face_id, face_key, asset_id)
    select asset_face.id, asset_face.id, asset_face."assetId"
    from public.asset_face
    where asset_face."assetId" = any (p_from) and (p_faces is null or asset_face.id = any (p_faces))
    on conflict do nothing;

    if not p_are_new then
        {{ hold("asset_face", '"assetId" = any (p_to)') }}
        perform linked.leave_to_viewers(p_from, p_to, v_keys);
        -- Faces that the origin does not have, except those that a viewer drew by hand on a clone: they are the viewer's own.
        perform linked.delete_faces(array(
            select mine.id
            from unnest(p_from, p_to) as pair (from_id, to_id)
            join public.asset_face mine on mine."assetId" = pair.to_id
            join linked.member on member.asset_id = pair.to_id
            left join linked.face my_face on my_face.face_id = mine.id
            where (member.can_write or my_face.face_id is not null or mine."sourceType" <> 'manual')
                and (v_keys is null or my_face.face_key = any (v_keys) or my_face.face_id is null and mine.id = any (p_faces))
                and not exists (
                    select from linked.face their_face
                    where their_face.asset_id = pair.from_id and their_face.face_key = my_face.face_key
                )
        ));

        update public.asset_face mine
        set {{ assignments("asset_face", "shared", "theirs") }}
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join linked.face their_face on their_face.asset_id = pair.from_id
        join public.asset_face theirs on theirs.id = their_face.face_id
        join linked.face my_face on my_face.asset_id = pair.to_id and my_face.face_key = their_face.face_key
        where mine.id = my_face.face_id
            and (v_keys is null or their_face.face_key = any (v_keys))
            and {{ differ("asset_face", "shared", "mine", "theirs") }};
    end if;
    perform linked.copy_faces(p_from, p_to, v_keys);
end
$linked$;
comment on function linked.propagate_faces(uuid[], uuid[], uuid[], boolean) is
    'Makes these faces (null: all) and their embeddings on the members p_to equal to those on p_from, pair by pair. What is new has none yet.';

-- From then on it is like one that the viewer drew by hand.
create or replace function linked.leave_to_viewers(p_from uuid[], p_to uuid[], p_keys uuid[]) returns void
language plpgsql
as $linked$
begin
    with left_over as materialized (
        select my_face.face_id
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join linked.face my_face
            on my_face.asset_id = pair.to_id and my_face.own and (p_keys is null or my_face.face_key = any (p_keys))
        join public.asset_face mine on mine.id = my_face.face_id and mine."deletedAt" is null
        where not exists (
            select from linked.face their_face
            join public.asset_face theirs on theirs.id = their_face.face_id and theirs."deletedAt" is null
            where their_face.asset_id = pair.from_id and their_face.face_key = my_face.face_key
        )
    ), forgotten as (
        delete from linked.face using left_over where face.face_id = left_over.face_id
    )
    update public.asset_face
    set "sourceType" = 'manual'
    from left_over
    where asset_face.id = left_over.face_id;
end
$linked$;
comment on function linked.leave_to_viewers(uuid[], uuid[], uuid[]) is
    'Leaves a face that is removed or hidden to the viewers who put a person on it.';

create or replace function linked.copy_faces(p_from uuid[], p_to uuid[], p_keys uuid[] default null) returns void
language plpgsql
as $linked$
begin
    {{ hold("asset", "id = any (p_to)", "key share") }}
    with missing as materialized (
        select distinct on (their_face.face_key, pair.to_id)
            gen_random_uuid() as face_id, their_face.face_key, their_face.face_id as their_face_id, pair.to_id
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join linked.face their_face on their_face.asset_id = pair.from_id
        where (p_keys is null or their_face.face_key = any (p_keys))
            and not exists (
                select from linked.face my_face
                where my_face.asset_id = pair.to_id and my_face.face_key = their_face.face_key
            )
    ), made as (
        insert into public.asset_face (id, "assetId", {{ names("asset_face", "shared") }})
        select missing.face_id, missing.to_id, {{ names("asset_face", "shared", "theirs") }}
        from missing join public.asset_face theirs on theirs.id = missing.their_face_id
        where (select linked.keep_plans())
        returning id
    )
    insert into linked.face (face_id, face_key, asset_id)
    select missing.face_id, missing.face_key, missing.to_id
    from missing join made on made.id = missing.face_id;
    perform linked.plan_anew();

    insert into public.face_search ("faceId", {{ names("face_search", "shared") }})
    select my_face.face_id, {{ names("face_search", "shared", "theirs") }}
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.face their_face on their_face.asset_id = pair.from_id
    join public.face_search theirs on theirs."faceId" = their_face.face_id
    join linked.face my_face on my_face.asset_id = pair.to_id and my_face.face_key = their_face.face_key
    left join public.face_search mine on mine."faceId" = my_face.face_id
    where (p_keys is null or their_face.face_key = any (p_keys))
        and (mine."faceId" is null or {{ differ("face_search", "shared", "mine", "theirs") }})
{% if has("cluster_group") %}
        and pair.to_id not in (
            select linked.twins(array(select source_id from linked.member where asset_id = any (p_to)))
        )
{% endif %}
    on conflict ("faceId") do update
    set {{ assignments("face_search", "shared", "excluded") }};
{% if has("cluster_group") %}
    perform linked.forget_twins(array(select distinct source_id from linked.member where asset_id = any (p_from || p_to)));
{% endif %}
end
$linked$;
comment on function linked.copy_faces(uuid[], uuid[], uuid[]) is
    'Gives the members p_to those of these faces (null: all) of p_from that they lack, and their embeddings, pair by pair.';

{% if has("cluster_group") %}
-- Immich recognizes the faces of all accounts of a cluster group together, and takes a face that is there twice for one that
-- is seen often. So in each cluster group one member has the embeddings, the source if it can be. A face without one is left
-- alone by Immich's recognition, and follows the others.
create or replace function linked.twins(p_sources uuid[]) returns setof uuid
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select placed.asset_id
    from (
        select member.asset_id,
            row_number() over (
                partition by member.source_id, account."clusterGroupId"
                order by member.asset_id = member.source_id desc, member.owner_id
            ) as place
        from linked.member
        join public."user" account on account.id = member.owner_id
        where member.source_id = any (p_sources)
    ) as placed
    where placed.place > 1;
end
$linked$;
comment on function linked.twins(uuid[]) is
    'The members of these groups whose faces have no embeddings, because another member has them for the same cluster group.';

create or replace function linked.forget_twins(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from public.face_search
    using linked.face
    where face.asset_id in (select linked.twins(p_sources)) and face_search."faceId" = face.face_id;
end
$linked$;
comment on function linked.forget_twins(uuid[]) is 'Deletes the embeddings of faces that another member has for the same cluster group.';

{% endif %}
create or replace function linked.delete_faces(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    if cardinality(p_faces) = 0 then
        return;
    end if;
    if pg_trigger_depth() > 0 then
        insert into public.asset_face_audit ("assetFaceId", "assetId")
        select id, "assetId" from public.asset_face where id = any (p_faces);
    end if;
    perform linked.keep_plans();
    delete from public.asset_face where id = any (p_faces);
    perform linked.plan_anew();
    delete from linked.face where face_id = any (p_faces);
end
$linked$;
comment on function linked.delete_faces(uuid[]) is
    'Deletes faces, with the audit rows that a delete by Immich itself would leave.';

-- Immich itself takes two boxes for one face when they overlap by more than half.
create or replace function linked.overlap(p_one integer[], p_other integer[]) returns double precision
language sql immutable
as $linked$
    select area.shared / nullif(area.sum - area.shared, 0)
    from (
        select greatest(0, least(p_one[3], p_other[3]) - greatest(p_one[1], p_other[1]))::double precision
            * greatest(0, least(p_one[4], p_other[4]) - greatest(p_one[2], p_other[2])) as shared,
            (p_one[3] - p_one[1])::double precision * (p_one[4] - p_one[2])
            + (p_other[3] - p_other[1])::double precision * (p_other[4] - p_other[2]) as sum
    ) as area
$linked$;
comment on function linked.overlap(integer[], integer[]) is
    'How much of two boxes (left, top, right, bottom) together lies in both: 0 to 1, null where neither has an area.';

create or replace function linked.at_known_places(p_faces uuid[]) returns table (face_id uuid, known_id uuid)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select mine.id, other.id
    from public.asset_face mine
    join linked.face known on known.asset_id = mine."assetId" and known.face_id not in (select unnest(p_faces))
    join public.asset_face other on other.id = known.face_id
    where mine.id = any (p_faces)
        and (mine."imageWidth", mine."imageHeight") = (other."imageWidth", other."imageHeight")
        and linked.overlap(
            array[mine."boundingBoxX1", mine."boundingBoxY1", mine."boundingBoxX2", mine."boundingBoxY2"],
            array[other."boundingBoxX1", other."boundingBoxY1", other."boundingBoxX2", other."boundingBoxY2"]
        ) > 0.5;
end
$linked$;
comment on function linked.at_known_places(uuid[]) is
    'Which of these faces lie where the member has a face already that is remembered.';

-- A job that looked at a member before sync had brought it the faces of a sibling finds the same ones again. The newcomer
-- goes: the other may be assigned already.
create or replace function linked.drop_found_again(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from public.asset_face
    where id in (
        select mine.id
        from linked.at_known_places(p_faces) as twice
        join public.asset_face mine on mine.id = twice.face_id and mine."sourceType" = 'machine-learning'
        join public.asset_face other on other.id = twice.known_id and other."sourceType" = 'machine-learning'
    );
end
$linked$;
comment on function linked.drop_found_again(uuid[]) is
    'Deletes those of these new faces that were found by machine where a member has a face found by machine already.';

{# Whom a face shows concerns pairings of persons; a face alone its group. #}
{% set new_faces_concern %}
case
                when not exists (select from fresh where fresh.{{ asset_face.personGroupId }} is not null)
                    then {{ groups_of("fresh", 'fresh."assetId"') }}
            end
{%- endset %}
{% call(fresh, stale, statement) on("asset_face", "insert", "Propagates new faces, and whom they show, to the siblings.",
    look='exists (select from fresh where ' ~ is_member('fresh."assetId"') ~ ')',
    sources=new_faces_concern
) %}

            perform linked.drop_found_again(array(select id from {{ fresh }}));
            select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from {{ fresh }}), false);
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select id from {{ fresh }}));
            end if;
            perform linked.hand_to_viewers(array(select id from {{ fresh }} where {{ asset_face.personGroupId }} is not null));
            perform linked.propagate_people(linked.leading_faces(array(
                select id from {{ fresh }} where {{ asset_face.personGroupId }} is not null
            )));
{% endcall %}

{% call(fresh, stale, statement) on("asset_face", "delete", "Propagates removed faces to the siblings.",
    look='exists (select from stale where ' ~ is_member('stale."assetId"') ~ ')'
) %}

            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from {{ stale }} where exists (select from public.asset where asset.id = stale."assetId")),
                false
            );
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select id from {{ stale }}));
            end if;
            -- What a viewer removed is there again, and shows whom it showed.
            perform linked.refill_people(array(
                select member.asset_id
                from {{ stale }} join linked.member on member.asset_id = stale."assetId"
                where not member.can_write
            ));
{% endcall %}

{% set face_asset = '(select asset_face."assetId" from public.asset_face where asset_face.id = fresh."faceId")' %}
{% for event in ["insert", "update"] %}
{% call(fresh, stale, statement) on("face_search", event, "Propagates the embeddings of faces to the siblings.",
    look='exists (select from fresh where ' ~ is_member(face_asset) ~ ')', sources=groups_of("fresh", face_asset)
) %}

            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(
                    select asset_face."assetId"
                    from {{ fresh }} join public.asset_face on asset_face.id = fresh."faceId"
                ),
                false
            );
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select "faceId" from {{ fresh }}));
            end if;
{% endcall %}
{% endfor %}
