-- People: a person of one account and the person of another who stands for the same human being.

-- Whom a face shows is told to the same face on the other members (of p_only, if given). A person of another account on a
-- member's face (Immich lets users of a shared album do that) is replaced by that account's own.
create or replace function linked.propagate_people(p_faces uuid[], p_only uuid[] default null) returns void
language plpgsql
as $linked$
declare
    v_faces uuid[];
    v_users uuid[];
    v_persons uuid[];
begin
    update public.asset_face mine
    set "personId" = null
    from unnest(p_faces) as origin (face_id)
    join public.asset_face theirs on theirs.id = origin.face_id and theirs."personId" is null
    join linked.face their_face on their_face.face_id = theirs.id
    join linked.face my_face on my_face.face_key = their_face.face_key and my_face.face_id <> their_face.face_id
    where mine.id = my_face.face_id and mine."personId" is not null and p_only is null;

    select array_agg(my_face.face_id), array_agg(member.owner_id), array_agg(person.id)
    into v_faces, v_users, v_persons
    from unnest(p_faces) as origin (face_id)
    join public.asset_face theirs on theirs.id = origin.face_id
    join public.person on person.id = theirs."personId"
    join linked.face their_face on their_face.face_id = theirs.id
    join linked.face my_face on my_face.face_key = their_face.face_key
    join linked.member on member.asset_id = my_face.asset_id
    where (my_face.face_id <> origin.face_id or person."ownerId" <> member.owner_id)
        and (p_only is null or (my_face.asset_id = any (p_only) and not my_face.left_open));
    if v_faces is null then
        return;
    end if;
    perform linked.find_counterparts(v_persons, v_users, v_faces);
    update public.asset_face mine
    set "personId" = my_pair.person_id
    from unnest(v_faces, v_users, v_persons) as target (face_id, user_id, person_id)
    join linked.person_pair their_pair on their_pair.person_id = target.person_id
    join linked.person_pair my_pair
        on my_pair.person_key = their_pair.person_key and my_pair.owner_id = target.user_id
    where mine.id = target.face_id and mine."personId" is distinct from my_pair.person_id;
    update linked.face set left_open = false where face_id = any (v_faces) and left_open;
end
$linked$;
comment on function linked.propagate_people(uuid[], uuid[]) is
    'Assigns the faces that correspond to p_faces to the counterparts of the persons that p_faces are assigned to.';

create or replace function linked.leading_faces(p_faces uuid[]) returns uuid[]
language sql stable
as $linked$
    select array(
        select distinct on (face.face_key) face.face_id
        from linked.face join linked.member on member.asset_id = face.asset_id
        where face.face_id = any (p_faces) and member.can_write
        order by face.face_key, member.asset_id = member.source_id desc, face.face_id
    )
$linked$;
comment on function linked.leading_faces(uuid[]) is
    'Of faces that changed: one for each set of corresponding faces, a source''s for choice, none of a viewer''s.';

create or replace function linked.refill_people(p_assets uuid[]) returns void
language sql
as $linked$
    select linked.propagate_people(
        array(
            select distinct on (their_face.face_key) their_face.face_id
            from linked.face my_face
            join linked.face their_face on their_face.face_key = my_face.face_key
            join linked.member on member.asset_id = their_face.asset_id
            join public.asset_face on asset_face.id = their_face.face_id
            where my_face.asset_id = any (p_assets) and asset_face."personId" is not null
            order by their_face.face_key, member.asset_id = member.source_id desc, member.can_write desc, their_face.face_id
        ),
        p_assets
    )
$linked$;
comment on function linked.refill_people(uuid[]) is
    'Assigns the faces of these members to the counterparts of the persons that any sibling''s faces are assigned to.';

create or replace function linked.find_counterparts(p_persons uuid[], p_users uuid[], p_faces uuid[]) returns void
language plpgsql
as $linked$
declare
    v_todo record;
    v_found uuid;
begin
    insert into linked.person_pair (person_id, person_key, owner_id)
    select person.id, person.id, person."ownerId"
    from public.person where person.id = any (p_persons)
    on conflict do nothing;
    -- A loop because every pairing narrows the choice for the next; names go first, they are surest.
    for v_todo in
        select target.person_id, target.user_id, array_agg(target.face_id order by target.face_id) as faces
        from unnest(p_persons, p_users, p_faces) as target (person_id, user_id, face_id)
        join public.person on person.id = target.person_id
        join linked.person_pair their_pair on their_pair.person_id = target.person_id
        group by target.person_id, target.user_id, person.name, their_pair.person_key
        order by person.name = '', count(*) desc, target.person_id
    loop
        continue when exists (
            select from linked.person_pair their_pair
            join linked.person_pair my_pair on my_pair.person_key = their_pair.person_key
            where their_pair.person_id = v_todo.person_id and my_pair.owner_id = v_todo.user_id
        );
        v_found := coalesce(
            linked.person_by_face(v_todo.person_id, v_todo.user_id, v_todo.faces),
            linked.person_by_name(v_todo.person_id, v_todo.user_id),
            linked.person_by_embedding(v_todo.person_id, v_todo.user_id),
            linked.make_person(v_todo.person_id, v_todo.user_id, v_todo.faces[1])
        );
        perform linked.pair_persons(v_todo.person_id, v_found);
    end loop;
end
$linked$;
comment on function linked.find_counterparts(uuid[], uuid[], uuid[]) is
    'Pairs each person with a person of the user, found or made, whom p_faces are about to be assigned to.';

-- Two persons can stand for one human being when no account has a person of its own on both sides.
create or replace function linked.free_persons(p_person uuid, p_user uuid) returns setof uuid
language sql stable
as $linked$
    select candidate.id
    from public.person candidate
    where candidate."ownerId" = p_user
        and not exists (
            select from linked.person_pair candidate_pair
            join linked.person_pair on person_pair.person_key = candidate_pair.person_key
            join linked.person_pair their_pair on their_pair.owner_id = person_pair.owner_id
            join linked.person_pair asked on asked.person_key = their_pair.person_key
            where candidate_pair.person_id = candidate.id and asked.person_id = p_person
        )
$linked$;
comment on function linked.free_persons(uuid, uuid) is
    'The persons of a user that are not paired with somebody else than this person.';

create or replace function linked.person_by_face(p_person uuid, p_user uuid, p_faces uuid[]) returns uuid
language sql stable
as $linked$
    select asset_face."personId"
    from public.asset_face
    where asset_face.id = any (p_faces)
        and asset_face."personId" in (select linked.free_persons(p_person, p_user))
    group by asset_face."personId"
    order by count(*) desc, asset_face."personId"
    limit 1
$linked$;
comment on function linked.person_by_face(uuid, uuid, uuid[]) is
    'The person to whom the user''s account has already assigned the same faces.';

create or replace function linked.person_by_name(p_person uuid, p_user uuid) returns uuid
language sql stable
as $linked$
    select min(candidate.id::text)::uuid
    from public.person theirs
    join public.person candidate on lower(btrim(candidate.name)) = lower(btrim(theirs.name))
    where theirs.id = p_person and btrim(theirs.name) <> ''
        and candidate.id in (select linked.free_persons(p_person, p_user))
    having count(*) = 1
$linked$;
comment on function linked.person_by_name(uuid, uuid) is
    'The one person of the user with the same name.';

-- A namesake of somebody else in the person's account is left for that one, and so is whoever looks more like somebody else
-- there. Compared are some faces of the person with all of the user's, without the vector index: it is approximate, and
-- looks at everybody's faces.
create or replace function linked.person_by_embedding(p_person uuid, p_user uuid) returns uuid
language plpgsql stable
as $linked$
declare
    v_found uuid;
begin
    with theirs as materialized (
        select face_search.embedding
        from public.asset_face
        join public.face_search on face_search."faceId" = asset_face.id
        where asset_face."personId" = p_person and asset_face."deletedAt" is null
        order by asset_face.id
        limit 10
    ), mine as materialized (
        select asset_face."personId" as person_id, face_search.embedding
        from public.asset_face
        join public.face_search on face_search."faceId" = asset_face.id
        join public.person candidate on candidate.id = asset_face."personId"
        where candidate.id in (select linked.free_persons(p_person, p_user)) and asset_face."deletedAt" is null
            and not exists (
                select from public.person other
                join public.person asked on asked."ownerId" = other."ownerId" and asked.id <> other.id
                where asked.id = p_person and btrim(candidate.name) <> ''
                    and lower(btrim(other.name)) = lower(btrim(candidate.name))
            )
    ), near as materialized (
        select mine.person_id, min(mine.embedding <=> theirs.embedding) as distance
        from theirs cross join mine
        where mine.embedding <=> theirs.embedding <= linked.recognition_distance()
        group by mine.person_id
        order by distance, mine.person_id
        limit 3
    )
    select near.person_id into v_found
    from near
    where not exists (
        select from linked.some_rival_faces(p_person, p_user) as rival_face
        join public.face_search rival on rival."faceId" = rival_face
        cross join lateral (select mine.embedding from mine where mine.person_id = near.person_id limit 50) as known
        where known.embedding <=> rival.embedding < near.distance
    )
    order by near.distance, near.person_id
    limit 1;
    return v_found;
exception when undefined_function then
    return null;
end
$linked$;
comment on function linked.person_by_embedding(uuid, uuid) is
    'The person of the user whose faces are nearest, within Immich''s recognition distance.';

create or replace function linked.some_rival_faces(p_person uuid, p_user uuid) returns setof uuid
language sql stable
as $linked$
    select face.id
    from public.person asked
    join public.person rival on rival."ownerId" = asked."ownerId" and rival.id <> asked.id
    cross join lateral (
        select asset_face.id
        from public.asset_face
        where asset_face."personId" = rival.id and asset_face."deletedAt" is null
        order by asset_face.id
        limit 10
    ) as face
    where asked.id = p_person
        and not exists (
            select from linked.person_pair rival_pair
            join linked.person_pair their_pair on their_pair.person_key = rival_pair.person_key
            where rival_pair.person_id = rival.id and their_pair.owner_id = p_user
        )
$linked$;
comment on function linked.some_rival_faces(uuid, uuid) is
    'A few faces of each other person in this person''s account who has no counterpart with the user yet.';

create or replace function linked.recognition_distance() returns double precision
language sql stable
as $linked$
    select coalesce(
        (
            select (value #>> '{machineLearning,facialRecognition,maxDistance}')::double precision
            from public.system_metadata where key = 'system-config'
        ),
        0.5
    )
$linked$;
comment on function linked.recognition_distance() is
    'The distance of embeddings up to which Immich takes two faces for one person''s, from its settings.';

-- No thumbnail: Immich deletes that file with the person, so none may be shared. Its nightly job draws one where it is empty.
create or replace function linked.make_person(p_person uuid, p_user uuid, p_face uuid) returns uuid
language plpgsql
as $linked$
declare
    v_id uuid := gen_random_uuid();
begin
    insert into public.person (id, "ownerId", {{ names("person", "shared") }}, "faceAssetId", "thumbnailPath")
    select v_id, p_user, {{ names("person", "shared", "theirs") }}, p_face, ''
    from public.person theirs where theirs.id = p_person;
    insert into linked.person_pair (person_id, person_key, owner_id, made) values (v_id, v_id, p_user, true);
    return v_id;
end
$linked$;
comment on function linked.make_person(uuid, uuid, uuid) is 'Creates a person of the user, with the user''s own face as feature face.';

create or replace function linked.fill_blanks(p_person uuid) returns void
language sql
as $linked$
    update public.person
    set name = coalesce(nullif(person.name, ''), known.name, ''),
        "birthDate" = coalesce(person."birthDate", known.birth_date),
        color = coalesce(person.color, known.color)
    from (
        select
            (array_agg(one.name order by one.id = p_person desc, one.id) filter (where one.name <> ''))[1] as name,
            (array_agg(one."birthDate" order by one.id = p_person desc, one.id)
                filter (where one."birthDate" is not null))[1] as birth_date,
            (array_agg(one.color order by one.id = p_person desc, one.id) filter (where one.color is not null))[1] as color
        from linked.person_pair join public.person one on one.id = person_pair.person_id
        where person_pair.person_key = (select person_key from linked.person_pair where person_id = p_person)
    ) as known
    where person.id in (
            select counterpart.person_id
            from linked.person_pair
            join linked.person_pair counterpart on counterpart.person_key = person_pair.person_key
            where person_pair.person_id = p_person
        )
        and (
            (person.name = '' and known.name is not null)
            or (person."birthDate" is null and known.birth_date is not null)
            or (person.color is null and known.color is not null)
        )
$linked$;
comment on function linked.fill_blanks(uuid) is
    'Fills what is blank in the name, birth date and colour of a person or its counterparts from the others.';

-- At pairing blanks are filled, on either side, and nothing is overwritten.
create or replace function linked.pair_persons(p_one uuid, p_other uuid) returns void
language plpgsql
as $linked$
declare
    v_key uuid := (select person_key from linked.person_pair where person_id = p_one);
begin
    insert into linked.person_pair (person_id, person_key, owner_id)
    select id, id, "ownerId" from public.person where id = p_other
    on conflict do nothing;
    update linked.person_pair
    set person_key = v_key
    where person_key = (select person_key from linked.person_pair where person_id = p_other);
    perform linked.fill_blanks(p_one);
end
$linked$;
comment on function linked.pair_persons(uuid, uuid) is 'Makes two persons of different accounts, and those paired with them, counterparts.';

-- A viewer's persons follow the others, and are followed by nobody with whom the viewer shares no other pictures. Each column on its own: at pairing nothing was
-- overwritten, so another one may differ, and stays as it is.
{% for column in columns("person", "shared") %}
create or replace function linked.propagate_person_{{ column.name | lower }}(p_persons uuid[]) returns void
language sql
as $linked$
    update public.person mine
    set "{{ column.name }}" = theirs."{{ column.name }}"
    from (
        select distinct on (person_pair.person_key) person_pair.person_key, person_pair.person_id
        from linked.person_pair
        where person_pair.person_id = any (p_persons)
        order by person_pair.person_key, person_pair.person_id
    ) as origin
    join public.person theirs on theirs.id = origin.person_id
    join linked.person_pair my_pair on my_pair.person_key = origin.person_key and my_pair.person_id <> origin.person_id
    where mine.id = my_pair.person_id
        and exists (
            select from linked.member their_member
            join linked.member my_member on my_member.source_id = their_member.source_id
            where their_member.owner_id = theirs."ownerId" and their_member.can_write
                and my_member.owner_id = my_pair.owner_id
        )
        and mine."{{ column.name }}" is distinct from theirs."{{ column.name }}"
$linked$;
comment on function linked.propagate_person_{{ column.name | lower }}(uuid[]) is
    'Gives the {{ column.name }} of these persons to their counterparts.';
{% endfor %}

-- Immich merges by moving all faces of one person to another in one statement, then deletes the first. Where an account has
-- counterparts of both, they are merged too; else the pairing moves along.
create or replace function linked.follow_merge(p_old uuid, p_new uuid) returns void
language plpgsql
as $linked$
declare
    v_old uuid[];
    v_new uuid[];
begin
    if not exists (select from linked.person_pair where person_id = p_old) then
        return;
    end if;
    insert into linked.person_pair (person_id, person_key, owner_id)
    select id, id, "ownerId" from public.person where id = p_new
    on conflict do nothing;
    select array_agg(old_pair.person_id), array_agg(new_pair.person_id)
    into v_old, v_new
    from linked.person_pair merged
    join linked.person_pair old_pair on old_pair.person_key = merged.person_key and old_pair.person_id <> p_old
    join linked.person_pair target on target.person_id = p_new
    join linked.person_pair new_pair
        on new_pair.person_key = target.person_key and new_pair.owner_id = old_pair.owner_id
    where merged.person_id = p_old and old_pair.person_id <> new_pair.person_id;
    update public.asset_face
    set "personId" = merged.new_id
    from unnest(v_old, v_new) as merged (old_id, new_id)
    where asset_face."personId" = merged.old_id;
    perform linked.delete_persons(v_old);

    update linked.person_pair
    set person_key = (select person_key from linked.person_pair where person_id = p_new)
    where person_id <> p_old
        and person_key = (select person_key from linked.person_pair where person_id = p_old);
    delete from linked.person_pair where person_id = p_old;
    -- Persons that were made for the one are now called like the other.
    update public.person
    set name = coalesce(nullif(target.name, ''), person.name)
    from linked.person_pair target_pair
    join public.person target on target.id = target_pair.person_id
    join linked.person_pair made_pair on made_pair.person_key = target_pair.person_key and made_pair.made
    where target_pair.person_id = p_new and person.id = made_pair.person_id and person.id <> p_new
        and target.name not in ('', person.name);
    perform linked.fill_blanks(p_new);
end
$linked$;
comment on function linked.follow_merge(uuid, uuid) is
    'After all faces of one person were moved to another of the same account: merges the counterparts alike.';

create or replace function linked.delete_persons(p_persons uuid[]) returns void
language plpgsql
as $linked$
begin
    if pg_trigger_depth() > 0 then
        insert into public.person_audit ("personId", "ownerId")
        select id, "ownerId" from public.person where id = any (p_persons);
    end if;
    delete from public.person where id = any (p_persons);
    delete from linked.person_pair where person_id = any (p_persons);
end
$linked$;
comment on function linked.delete_persons(uuid[]) is
    'Deletes persons, with the audit rows that a delete by Immich itself would leave.';

-- A person who is on no linked picture any more has no counterparts; one that the addon made and that is on no picture at
-- all goes.
create or replace function linked.forget_persons(p_persons uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.delete_persons(array(
        select person_pair.person_id
        from linked.person_pair
        where person_pair.person_id = any (p_persons) and person_pair.made
            and not exists (select from public.asset_face where asset_face."personId" = person_pair.person_id)
    ));
    delete from linked.person_pair
    where person_id = any (p_persons)
        and not exists (
            select from public.asset_face
            join linked.member on member.asset_id = asset_face."assetId"
            where asset_face."personId" = person_pair.person_id
        );
end
$linked$;
comment on function linked.forget_persons(uuid[]) is
    'Unpairs persons who are on no member any more, and deletes those of them that the addon made for nothing else.';
