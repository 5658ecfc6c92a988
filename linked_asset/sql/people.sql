-- People: a person of one account and the person of another who stands for the same human being.

-- Whom a face shows is told to the same face on the other members (of p_only, if given), except where a viewer has put
-- somebody on it. A person of another account on a member's face (Immich lets users of a shared album do that) is replaced
-- by that account's own.
create or replace function linked.propagate_people(p_faces uuid[], p_only uuid[] default null) returns void
language plpgsql
as $linked$
declare
    v_cleared uuid[];
    v_faces uuid[];
    v_users uuid[];
    v_persons uuid[];
begin
    with cleared as (
        update public.asset_face mine
        set "personId" = null
        from unnest(p_faces) as origin (face_id)
        join public.asset_face theirs on theirs.id = origin.face_id and theirs."personId" is null
        join linked.face their_face on their_face.face_id = theirs.id
        join linked.face my_face on my_face.face_key = their_face.face_key and my_face.face_id <> their_face.face_id
        where mine.id = my_face.face_id and mine."personId" is not null and not my_face.own and p_only is null
        returning mine.id
    )
    select array_agg(id) into v_cleared from cleared;

    select array_agg(my_face.face_id), array_agg(member.owner_id), array_agg(person.id)
    into v_faces, v_users, v_persons
    from unnest(p_faces) as origin (face_id)
    join public.asset_face theirs on theirs.id = origin.face_id
    join public.person on person.id = theirs."personId"
    join linked.face their_face on their_face.face_id = theirs.id
    join linked.face my_face on my_face.face_key = their_face.face_key and not my_face.own
    join linked.member on member.asset_id = my_face.asset_id
    where (my_face.face_id <> origin.face_id or person."ownerId" <> member.owner_id)
        and (p_only is null or (my_face.asset_id = any (p_only) and not my_face.left_open));
    if v_faces is not null then
        perform linked.find_counterparts(v_persons, v_users, v_faces);
        update public.asset_face mine
        set "personId" = my_pair.person_id
        from unnest(v_faces, v_users, v_persons) as target (face_id, user_id, person_id)
        join linked.person_pair their_pair on their_pair.person_id = target.person_id
        join linked.person_pair my_pair
            on my_pair.person_key = their_pair.person_key and my_pair.owner_id = target.user_id
        where mine.id = target.face_id and mine."personId" is distinct from my_pair.person_id;
        update linked.face set left_open = false where face_id = any (v_faces) and left_open;
        perform linked.fill_blanks(array(select distinct id from unnest(v_persons) as id));
    end if;
    perform linked.choose_feature_faces(v_cleared || v_faces);
end
$linked$;
comment on function linked.propagate_people(uuid[], uuid[]) is
    'Assigns the faces that correspond to p_faces to the counterparts of the persons that p_faces are assigned to.';

-- Nothing of a viewer's, nor of a stranger's who sees the picture in an ordinary album, leads: neither what is on their own
-- members, nor a person of theirs on somebody else's.
create or replace function linked.leading_faces(p_faces uuid[], p_last boolean default false) returns uuid[]
language sql stable
as $linked$
    select array(
        select distinct on (face.face_key) face.face_id
        from linked.face
        join linked.member on member.asset_id = face.asset_id and member.can_write
        join public.asset_face on asset_face.id = face.face_id
        left join public.person on person.id = asset_face."personId"
        where face.face_id = any (p_faces)
            and (
                person.id is null
                or exists (
                    select from linked.member writer
                    where writer.source_id = member.source_id and writer.owner_id = person."ownerId" and writer.can_write
                )
            )
        order by face.face_key, case when p_last then asset_face."updatedAt" end desc nulls last,
            member.asset_id = member.source_id desc, face.face_id
    )
$linked$;
comment on function linked.leading_faces(uuid[], boolean) is
    'One for each set of corresponding faces of these that others may follow: the last changed if asked for, else a source''s for choice.';

create or replace function linked.refill_people(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.recognize_own_faces(p_assets);
    perform linked.propagate_people(
        linked.leading_faces(array(
            select distinct their_face.face_id
            from linked.face my_face
            join linked.face their_face on their_face.face_key = my_face.face_key
            join public.asset_face on asset_face.id = their_face.face_id
            where my_face.asset_id = any (p_assets) and asset_face."personId" is not null
        )),
        p_assets
    );
end
$linked$;
comment on function linked.refill_people(uuid[]) is
    'Assigns the faces of these members to the counterparts of the persons that siblings'' faces are assigned to.';

-- Where nobody watched, the later of what a viewer and what others put on a face counts.
create or replace function linked.recognize_own_faces(p_assets uuid[]) returns void
language sql
as $linked$
    update linked.face
    set own = true
    from linked.member
    join public.asset_face mine on mine."assetId" = member.asset_id and mine."personId" is not null
    where member.asset_id = any (p_assets) and not member.can_write
        and face.face_id = mine.id and not face.own
        and not exists (
            select from linked.face their_face
            join linked.member writer on writer.asset_id = their_face.asset_id and writer.can_write
            join public.asset_face theirs on theirs.id = their_face.face_id
            where their_face.face_key = face.face_key
                and (
                    theirs."updatedAt" > mine."updatedAt"
                    or exists (
                        select from linked.person_pair my_pair
                        join linked.person_pair their_pair on their_pair.person_key = my_pair.person_key
                        where my_pair.person_id = mine."personId" and their_pair.person_id = theirs."personId"
                    )
                )
        )
$linked$;
comment on function linked.recognize_own_faces(uuid[]) is
    'Remembers of faces of viewers'' clones that the viewer put the person on them, where that was missed.';

-- Immich lets whoever sees a picture in a shared album put a person of theirs on it. A viewer's belongs on the viewer's
-- clone, unless the viewer put somebody on that later.
create or replace function linked.hand_to_viewers(p_faces uuid[]) returns void
language plpgsql
as $linked$
declare
    v_theirs uuid[];
    v_mine uuid[];
    v_persons uuid[];
begin
    select array_agg(their_face.face_id), array_agg(my_face.face_id) filter (where is_last.yes),
        array_agg(person.id) filter (where is_last.yes)
    into v_theirs, v_mine, v_persons
    from linked.face their_face
    join public.asset_face on asset_face.id = their_face.face_id
    join public.person on person.id = asset_face."personId"
    join linked.member theirs on theirs.asset_id = their_face.asset_id and theirs.owner_id <> person."ownerId"
    join linked.member mine
        on mine.source_id = theirs.source_id and mine.owner_id = person."ownerId" and not mine.can_write
    join linked.face my_face on my_face.face_key = their_face.face_key and my_face.asset_id = mine.asset_id
    join public.asset_face known on known.id = my_face.face_id
    cross join lateral (
        select not my_face.own or known."updatedAt" <= asset_face."updatedAt" as yes
    ) as is_last
    where their_face.face_id = any (p_faces);
    if v_theirs is null then
        return;
    end if;
    update public.asset_face set "personId" = null where id = any (v_theirs);
    update public.asset_face
    set "personId" = given.person_id
    from unnest(v_mine, v_persons) as given (face_id, person_id)
    where asset_face.id = given.face_id;
    update linked.face set own = true, left_open = false where face_id = any (v_mine);
end
$linked$;
comment on function linked.hand_to_viewers(uuid[]) is
    'Moves persons of viewers from the faces of others'' members to the same faces of the viewers'' clones.';

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
        select target.person_id, target.user_id,
            array_agg(target.face_id order by asset_face."deletedAt" is not null, target.face_id) as faces
        from unnest(p_persons, p_users, p_faces) as target (person_id, user_id, face_id)
        join public.asset_face on asset_face.id = target.face_id
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
        update public.asset_face set "personId" = v_found where id = any (v_todo.faces);
        perform linked.pair_persons(v_todo.person_id, v_found);
    end loop;
end
$linked$;
comment on function linked.find_counterparts(uuid[], uuid[], uuid[]) is
    'Pairs each person with a person of the user, found or made, and assigns p_faces to whom was not paired before.';

-- Two persons can stand for one human being when no account has a person of its own on both sides.
create or replace function linked.free_persons(p_person uuid, p_user uuid) returns setof uuid
language sql stable
as $linked$
    select id from public.person where "ownerId" = p_user
    except
    select person_pair.person_id
    from linked.person_pair asked
    join linked.person_pair their_pair on their_pair.person_key = asked.person_key
    join linked.person_pair taken on taken.owner_id = their_pair.owner_id
    join linked.person_pair on person_pair.person_key = taken.person_key and person_pair.owner_id = p_user
    where asked.person_id = p_person
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
-- there. Compared are some faces of the person with some of each of the user's, without the vector index: it is approximate, and
-- looks at everybody's faces.
create or replace function linked.person_by_embedding(p_person uuid, p_user uuid) returns uuid
language plpgsql stable
as $linked$
declare
    v_found uuid;
    v_distance double precision := linked.recognition_distance();
begin
    with theirs as materialized (
        select face_search.embedding
        from public.asset_face
        join public.face_search on face_search."faceId" = asset_face.id
        where asset_face."personId" = p_person and asset_face."deletedAt" is null
        order by asset_face.id
        limit 10
    ), candidate as materialized (
        select person.id
        from linked.free_persons(p_person, p_user) as free (id)
        join public.person on person.id = free.id
        where btrim(person.name) = ''
            or lower(btrim(person.name)) not in (
                select lower(btrim(other.name))
                from public.person asked
                join public.person other on other."ownerId" = asked."ownerId" and other.id <> asked.id
                where asked.id = p_person
            )
    ), mine as materialized (
        select candidate.id as person_id, face_search.embedding
        from candidate
        cross join lateral (
            select asset_face.id
            from public.asset_face
            where asset_face."personId" = candidate.id and asset_face."deletedAt" is null
            order by asset_face.id
            limit 10
        ) as face
        join public.face_search on face_search."faceId" = face.id
    ), near as materialized (
        select mine.person_id, min(mine.embedding <=> theirs.embedding) as distance
        from theirs cross join mine
        where mine.embedding <=> theirs.embedding <= v_distance
        group by mine.person_id
        order by distance, mine.person_id
        limit 3
    )
    select near.person_id into v_found
    from near
    where not exists (
        select from linked.some_rival_faces(p_person, p_user) as rival_face
        join public.face_search rival on rival."faceId" = rival_face
        cross join lateral (select mine.embedding from mine where mine.person_id = near.person_id) as known
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

-- A person's details travel from an account to another only when that account may write on some picture that shows the
-- person and is shared with the other; from there they go on likewise. So nothing of a viewer's ever leaves the viewer's
-- account, whoever is a viewer of one album and an editor of another counts as an editor for whom that other album shows,
-- and two accounts that share no picture learn from each other what a third, a writer with both, passes on.
create or replace function linked.reached(p_persons uuid[]) returns table (origin_id uuid, person_id uuid)
language sql stable
as $linked$
    with recursive pair as (
        select person_pair.*
        from linked.person_pair
        where person_pair.person_key in (
            select asked.person_key from linked.person_pair asked where asked.person_id = any (p_persons)
        )
    ), step as materialized (
        select teller.person_id as from_id, told.person_id as to_id
        from pair teller
        join pair told on told.person_key = teller.person_key and told.person_id <> teller.person_id
        where exists (select from linked.member where member.owner_id = teller.owner_id and member.can_write)
            and exists (
                select
                from public.asset_face
                join linked.member theirs
                    on theirs.asset_id = asset_face."assetId" and theirs.owner_id = teller.owner_id and theirs.can_write
                join linked.member mine on mine.source_id = theirs.source_id and mine.owner_id = told.owner_id
                where asset_face."personId" = teller.person_id
                -- Asked pair by pair: the first picture answers, nothing is joined whole.
                offset 0
            )
    ), reached as (
        select pair.person_id as origin_id, pair.person_id
        from pair where pair.person_id = any (p_persons)
        union
        select reached.origin_id, step.to_id
        from reached join step on step.from_id = reached.person_id
    )
    select reached.origin_id, reached.person_id from reached where reached.person_id <> reached.origin_id
$linked$;
comment on function linked.reached(uuid[]) is
    'The counterparts to which the details of these persons travel.';

-- As Immich does in the account in which a face is reassigned; the job for missing thumbnails draws the new one.
create or replace function linked.choose_feature_faces(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    update public.person
    set "faceAssetId" = other.face_id, "thumbnailPath" = ''
    from public.person led
    join public.asset_face feature on feature.id = led."faceAssetId" and feature."personId" is distinct from led.id
    cross join lateral (
        select asset_face.id as face_id
        from public.asset_face
        where asset_face."personId" = led.id and asset_face."deletedAt" is null
{% if "isVisible" in asset_face %}
            and asset_face."isVisible"
{% endif %}
        limit 1
    ) as other
    where led."faceAssetId" = any (p_faces) and person.id = led.id;
end
$linked$;
comment on function linked.choose_feature_faces(uuid[]) is
    'Gives persons whose feature face is among these, and shows somebody else now, another of their faces.';

create or replace function linked.fill_blanks(p_persons uuid[]) returns void
language plpgsql
as $linked$
declare
    v_persons uuid[] := array(
        select person_pair.person_id
        from linked.person_pair
        where person_pair.person_key in (
            select counterpart.person_key
            from linked.person_pair asked
            join linked.person_pair counterpart on counterpart.person_key = asked.person_key
            join public.person on person.id = counterpart.person_id
            where asked.person_id = any (p_persons)
            group by counterpart.person_key
            having (min(person.name) = '' and max(person.name) <> '')
                or count(person."birthDate") not in (0, count(*))
                or count(person.color) not in (0, count(*))
        )
    );
begin
    -- Nearly always nothing is blank that somebody could fill, and it need not be asked whose details travel where.
    if cardinality(v_persons) = 0 then
        return;
    end if;
    update public.person
    set name = coalesce(nullif(person.name, ''), known.name, ''),
        "birthDate" = coalesce(person."birthDate", known.birth_date),
        color = coalesce(person.color, known.color)
    from (
        select reached.person_id,
            (array_agg(one.name order by one.id = any (p_persons) desc, one.id) filter (where one.name <> ''))[1] as name,
            (array_agg(one."birthDate" order by one.id = any (p_persons) desc, one.id)
                filter (where one."birthDate" is not null))[1] as birth_date,
            (array_agg(one.color order by one.id = any (p_persons) desc, one.id)
                filter (where one.color is not null))[1] as color
        from linked.reached(v_persons) as reached
        join public.person one on one.id = reached.origin_id
        group by reached.person_id
    ) as known
    where person.id = known.person_id
        and (
            (person.name = '' and known.name is not null)
            or (person."birthDate" is null and known.birth_date is not null)
            or (person.color is null and known.color is not null)
        );
    perform linked.note_details(v_persons);
end
$linked$;
comment on function linked.fill_blanks(uuid[]) is
    'Fills what is blank in the name, birth date and colour of persons or their counterparts from those whose details travel to them.';

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
    perform linked.fill_blanks(array[p_one]);
    perform linked.note_details(array[p_one]);
end
$linked$;
comment on function linked.pair_persons(uuid, uuid) is 'Makes two persons of different accounts, and those paired with them, counterparts.';

-- Each column on its own: at pairing nothing was overwritten, so another one may differ, and stays as it is. Of counterparts
-- that change in one statement one leads.
{% for column in columns("person", "shared") %}
create or replace function linked.propagate_person_{{ column.name | lower }}(p_persons uuid[]) returns void
language sql
as $linked$
    update public.person mine
    set "{{ column.name }}" = theirs."{{ column.name }}"
    from (
        select reached.person_id, reached.origin_id,
            first_value(reached.origin_id) over (partition by person_pair.person_key order by reached.origin_id) as leader
        from linked.reached(p_persons) as reached
        join linked.person_pair on person_pair.person_id = reached.origin_id
    ) as told
    join public.person theirs on theirs.id = told.origin_id
    where mine.id = told.person_id and told.origin_id = told.leader
        and mine."{{ column.name }}" is distinct from theirs."{{ column.name }}"
$linked$;
comment on function linked.propagate_person_{{ column.name | lower }}(uuid[]) is
    'Gives the {{ column.name }} of these persons to the counterparts that they reach.';
{% endfor %}

-- Whom a merge is told to: the counterparts on the same pictures, where its account may write on them, and whom these reach.
-- The moved faces are those that show the new person here and the old one there.
create or replace function linked.reached_by_merge(p_old uuid, p_new uuid) returns uuid[]
language sql stable
as $linked$
    with first as materialized (
        select old_pair.person_id
        from linked.person_pair merged
        join linked.person_pair old_pair
            on old_pair.person_key = merged.person_key and old_pair.person_id <> merged.person_id
        cross join lateral (
            select
            from public.asset_face theirs
            join linked.face their_face on their_face.face_id = theirs.id
            join linked.face my_face on my_face.face_key = their_face.face_key
            join public.asset_face mine on mine.id = my_face.face_id and mine."personId" = p_new
            join linked.member on member.asset_id = my_face.asset_id and member.can_write
            where theirs."personId" = old_pair.person_id
            limit 1
        ) as moved
        where merged.person_id = p_old
    )
    select array(
        select person_id from first
        union
        select reached.person_id
        from linked.reached(array(select person_id from first)) as reached
        where reached.person_id <> p_old
    )
$linked$;
comment on function linked.reached_by_merge(uuid, uuid) is
    'The counterparts of the first person to whom it is told that all its faces were moved to the second.';

-- What the account put on a clone on which it may not write stays, and the old person with it. Who only views the pictures of
-- a person that is not the addon's keeps it with all that it shows besides them.
create or replace function linked.merge_persons(p_old uuid[], p_new uuid[]) returns void
language plpgsql
as $linked$
declare
    v_whole uuid[] := array(
        select person_pair.person_id
        from linked.person_pair
        where person_pair.person_id = any (p_old)
            and (
                person_pair.made
                or exists (
                    select from public.asset_face
                    join linked.member on member.asset_id = asset_face."assetId" and member.can_write
                    where asset_face."personId" = person_pair.person_id
                )
            )
    );
begin
    update public.asset_face
    set "personId" = merged.new_id
    from unnest(p_old, p_new) as merged (old_id, new_id)
    join public.asset_face moved on moved."personId" = merged.old_id
    left join linked.member on member.asset_id = moved."assetId"
    left join linked.face on face.face_id = moved.id
    where asset_face.id = moved.id
        and (face.face_id is not null or merged.old_id = any (v_whole))
        and (member.can_write or member.asset_id is null or not face.own);
    perform linked.delete_persons(array(
        select person_id
        from unnest(v_whole) as person_id
        where not exists (select from public.asset_face where asset_face."personId" = person_id)
    ));
    delete from linked.person_pair where person_id = any (p_old);
end
$linked$;
comment on function linked.merge_persons(uuid[], uuid[]) is
    'Makes persons of accounts to which a merge is told others of the same accounts.';

-- Immich merges by moving all faces of one person to another in one statement, then deletes the first. Where an account has
-- counterparts of both, they are merged too; else the pairing moves along.
create or replace function linked.follow_merge(p_old uuid, p_new uuid) returns void
language plpgsql
as $linked$
declare
    v_told uuid[];
    v_old uuid[];
    v_new uuid[];
begin
    if not exists (select from linked.person_pair where person_id = p_old) then
        return;
    end if;
    v_told := linked.reached_by_merge(p_old, p_new);
    insert into linked.person_pair (person_id, person_key, owner_id)
    select id, id, "ownerId" from public.person where id = p_new
    on conflict do nothing;
    select array_agg(old_pair.person_id), array_agg(new_pair.person_id) into v_old, v_new
    from linked.person_pair old_pair
    join linked.person_pair target on target.person_id = p_new
    join linked.person_pair new_pair
        on new_pair.person_key = target.person_key and new_pair.owner_id = old_pair.owner_id
    where old_pair.person_id = any (v_told) and old_pair.person_id <> new_pair.person_id;
    perform linked.merge_persons(v_old, v_new);

    update linked.person_pair
    set person_key = (select person_key from linked.person_pair where person_id = p_new)
    where person_id = any (v_told);
    delete from linked.person_pair where person_id = p_old;
    -- Persons that were made for the one are now called like the other.
    update public.person
    set name = target.name
    from linked.reached(array[p_new]) as reached
    join linked.person_pair made_pair on made_pair.person_id = reached.person_id and made_pair.made
    join public.person target on target.id = p_new
    where person.id = made_pair.person_id and person.id = any (v_told) and target.name not in ('', person.name);
    perform linked.fill_blanks(array[p_new]);
    perform linked.note_details(array[p_new]);
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

-- A nameless person that the addon made and whose last face is somebody else's now stands for nobody: the counterparts are free
-- for that somebody else. Immich's nightly job deletes it, with its thumbnail.
create or replace function linked.part_from_emptied(p_persons uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.person_pair
    set person_key = gen_random_uuid()
    from public.person
    where person_pair.person_id = any (p_persons) and person_pair.made
        and person.id = person_pair.person_id and person.name = ''
        and not exists (select from public.asset_face where asset_face."personId" = person.id);
end
$linked$;
comment on function linked.part_from_emptied(uuid[]) is
    'Unpairs those of these persons that the addon made, that have no name and that are on no picture any more.';

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

-- What a viewer put on clones for themselves is everybody's once they may write: faces drawn by hand, and whom they put on
-- faces, unless a writer did so later. A drawn face goes where one was found in the same place that shows nobody else.
create or replace function linked.bring_in_faces(p_clones uuid[]) returns void
language plpgsql
as $linked$
declare
    v_brought uuid[];
begin
    perform linked.plan_for(cardinality(p_clones));
    perform linked.adopt_drawn_faces(array(
        select asset_face.id
        from public.asset_face
        where asset_face."assetId" = any (p_clones) and asset_face."sourceType" = 'manual'
            and not exists (select from linked.face where face.face_id = asset_face.id)
    ));
    v_brought := array(
        select mine.id
        from linked.face
        join public.asset_face mine on mine.id = face.face_id
        where face.asset_id = any (p_clones) and face.own and mine."personId" is not null
            and not exists (
                select from linked.face their_face
                join linked.member on member.asset_id = their_face.asset_id and member.can_write
                join public.asset_face theirs on theirs.id = their_face.face_id and theirs."personId" is not null
                where their_face.face_key = face.face_key and theirs."updatedAt" > mine."updatedAt"
            )
    );
    perform linked.copy_faces(array_agg(clone.asset_id), array_agg(sibling.asset_id))
    from linked.member clone
    join linked.member sibling on sibling.source_id = clone.source_id and sibling.asset_id <> clone.asset_id
    where clone.asset_id = any (p_clones)
        and exists (select from linked.face where face.asset_id = clone.asset_id and face.own)
    having count(*) > 0;
    update linked.face set own = false where asset_id = any (p_clones) and own;
    perform linked.propagate_people(linked.leading_faces(v_brought));
    perform linked.refill_people(p_clones);
    perform linked.fill_blanks(array(
        select distinct asset_face."personId"
        from public.asset_face where asset_face."assetId" = any (p_clones) and asset_face."personId" is not null
    ));
end
$linked$;
comment on function linked.bring_in_faces(uuid[]) is
    'Brings the faces and persons that viewers put on these clones, on which they may write from now on, to the siblings.';

create or replace function linked.adopt_drawn_faces(p_faces uuid[]) returns void
language plpgsql
as $linked$
declare
    v_drawn uuid[];
    v_known uuid[];
begin
    select array_agg(face_id), array_agg(known_id)
    into v_drawn, v_known
    from (
        select distinct on (twice.known_id) twice.face_id, twice.known_id
        from linked.at_known_places(p_faces) as twice
        join public.asset_face drawn on drawn.id = twice.face_id and drawn."deletedAt" is null
        join public.asset_face known on known.id = twice.known_id and known."deletedAt" is null
        where known."personId" is null or known."personId" = drawn."personId"
        order by twice.known_id, twice.face_id
    ) as same;
    update public.asset_face known
    set "personId" = drawn."personId"
    from unnest(v_drawn, v_known) as same (face_id, known_id)
    join public.asset_face drawn on drawn.id = same.face_id
    where known.id = same.known_id and known."personId" is distinct from drawn."personId";
    update linked.face
    set own = true, left_open = false
    from public.asset_face known
    where face.face_id = any (v_known) and known.id = face.face_id and known."personId" is not null;
    perform linked.delete_faces(v_drawn);
    insert into linked.face (face_id, face_key, asset_id, own)
    select asset_face.id, asset_face.id, asset_face."assetId", true
    from public.asset_face where asset_face.id = any (p_faces);
end
$linked$;
comment on function linked.adopt_drawn_faces(uuid[]) is
    'Remembers faces that a viewer drew; one that lies on a face which was found gives it the person, and goes.';
