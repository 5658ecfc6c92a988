-- People: a person of one account and the person of another who stands for the same human being. In Immich a person is known
-- by an id and whose it is, here by the id of its row in linked.person_pair.

{% from "macro/frame.sql" import on, changed, is_member, groups_of, takes_part with context %}
{% from "macro/person.sql" import shown, is_person, in_account with context %}
{% from "macro/hold.sql" import hold %}

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
    v_owners uuid[];
    v_pairs uuid[];
begin
    if coalesce(cardinality(p_faces), 0) = 0 then
        return;
    end if;
    {{ hold("asset_face", "id in (
            select my_face.face_id
            from linked.face their_face join linked.face my_face on my_face.face_key = their_face.face_key
            where their_face.face_id = any (p_faces)
        )") }}
    with cleared as (
        update public.asset_face mine
        set {{ asset_face.personGroupId }} = null
        from unnest(p_faces) as origin (face_id)
        join public.asset_face theirs on theirs.id = origin.face_id and theirs.{{ asset_face.personGroupId }} is null
        join linked.face their_face on their_face.face_id = theirs.id
        join linked.face my_face on my_face.face_key = their_face.face_key and my_face.face_id <> their_face.face_id
        where mine.id = my_face.face_id and mine.{{ asset_face.personGroupId }} is not null and not my_face.own and p_only is null
        returning mine.id
    )
    select array_agg(id) into v_cleared from cleared;

    select array_agg(my_face.face_id), array_agg(member.owner_id), array_agg(person.{{ person.personGroupId }}), array_agg(person."ownerId")
    into v_faces, v_users, v_persons, v_owners
    from unnest(p_faces) as origin (face_id)
    join public.asset_face theirs on theirs.id = origin.face_id
    join linked.face their_face on their_face.face_id = theirs.id
    join linked.member their_member on their_member.asset_id = their_face.asset_id
    {{ shown("theirs", "their_member.owner_id") }}
    join linked.face my_face on my_face.face_key = their_face.face_key and not my_face.own
    join linked.member on member.asset_id = my_face.asset_id
    where (my_face.face_id <> origin.face_id or person."ownerId" <> member.owner_id)
        and (p_only is null or (my_face.asset_id = any (p_only) and not my_face.left_open));
    if v_faces is not null then
        v_pairs := linked.remember_persons(v_persons, v_owners);
        perform linked.find_counterparts(v_pairs, v_users, v_faces);
        perform from public.person
        join linked.person_pair my_pair on {{ is_person("person", "my_pair") }}
        where my_pair.person_key in (select person_key from linked.person_pair where pair_id = any (v_pairs))
        for key share of person nowait;
        update public.asset_face mine
        set {{ asset_face.personGroupId }} = my_pair.person_id
        from unnest(v_faces, v_users, v_pairs) as target (face_id, user_id, pair_id)
        join linked.person_pair their_pair on their_pair.pair_id = target.pair_id
        join linked.person_pair my_pair
            on my_pair.person_key = their_pair.person_key and my_pair.owner_id = target.user_id
        where mine.id = target.face_id and mine.{{ asset_face.personGroupId }} is distinct from my_pair.person_id;
        update linked.face set left_open = false where face_id = any (v_faces) and left_open;
        perform linked.fill_blanks(array(select distinct pair_id from unnest(v_pairs) as pair_id));
    end if;
    perform linked.choose_feature_faces(v_cleared || v_faces);
end
$linked$;
comment on function linked.propagate_people(uuid[], uuid[]) is
    'Assigns the faces that correspond to p_faces to the counterparts of the persons that p_faces are assigned to.';

create or replace function linked.remember_persons(p_persons uuid[], p_owners uuid[]) returns uuid[]
language plpgsql
as $linked$
begin
    -- Whoever renames or deletes one cannot see yet that it is remembered.
    perform from public.person
    where person.{{ person.personGroupId }} in (
            select one.person_id
            from unnest(p_persons, p_owners) as one (person_id, owner_id)
            where not exists (
                select from linked.person_pair
                where person_pair.person_id = one.person_id and person_pair.owner_id = one.owner_id
            )
        )
        and person."ownerId" = any (p_owners)
    for share nowait;
    insert into linked.person_pair (person_id, owner_id, person_key)
    select asked.person_id, asked.owner_id, gen_random_uuid()
    from (select distinct person_id, owner_id from unnest(p_persons, p_owners) as one (person_id, owner_id)) as asked
    join public.person on {{ is_person("person", "asked") }}
    where not exists (
        select from linked.person_pair
        where person_pair.person_id = asked.person_id and person_pair.owner_id = asked.owner_id
    );
    return array(
        select person_pair.pair_id
        from unnest(p_persons, p_owners) with ordinality as asked (person_id, owner_id, position)
        left join linked.person_pair
            on person_pair.person_id = asked.person_id and person_pair.owner_id = asked.owner_id
        order by asked.position
    );
end
$linked$;
comment on function linked.remember_persons(uuid[], uuid[]) is
    'The ids under which these persons of these accounts are remembered, in this order; who was not is from now on. Null: is gone.';

-- Nothing of a viewer's, nor of a stranger's who sees the picture in an ordinary album, leads: neither what is on their own
-- members, nor a person of theirs on somebody else's.
create or replace function linked.leading_faces(p_faces uuid[], p_last boolean default false) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select distinct on (face.face_key) face.face_id
        from linked.face
        join linked.member on member.asset_id = face.asset_id and member.can_write
        join public.asset_face on asset_face.id = face.face_id
        {{ shown("asset_face", "member.owner_id", outer=true) }}
        where face.face_id = any (p_faces) and not face.left_open
            and (
                asset_face.{{ asset_face.personGroupId }} is null
                or exists (
                    select from linked.member writer
                    where writer.source_id = member.source_id and writer.owner_id = person."ownerId" and writer.can_write
                )
            )
        order by face.face_key, case when p_last then asset_face."updatedAt" end desc nulls last,
            member.asset_id = member.source_id desc, face.face_id
    );
end
$linked$;
comment on function linked.leading_faces(uuid[], boolean) is
    'One for each set of corresponding faces of these that others may follow: the last changed if asked for, else a source''s for choice.';

create or replace function linked.refill_people(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    if not exists (select from linked.face where asset_id = any (p_assets)) then
        return;
    end if;
    perform linked.recognize_own_faces(p_assets);
    perform linked.propagate_people(
        linked.leading_faces(array(
            select distinct their_face.face_id
            from linked.face my_face
            join linked.face their_face on their_face.face_key = my_face.face_key
            join public.asset_face on asset_face.id = their_face.face_id
            where my_face.asset_id = any (p_assets) and asset_face.{{ asset_face.personGroupId }} is not null
        )),
        p_assets
    );
end
$linked$;
comment on function linked.refill_people(uuid[]) is
    'Assigns the faces of these members to the counterparts of the persons that siblings'' faces are assigned to.';

-- Where nobody watched, the later of what a viewer and what others put on a face counts.
create or replace function linked.recognize_own_faces(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.face
    set own = true
    from linked.member
    join public.asset_face mine on mine."assetId" = member.asset_id and mine.{{ asset_face.personGroupId }} is not null
    where member.asset_id = any (p_assets) and not member.can_write
        and face.face_id = mine.id and not face.own and not face.left_open
        and not exists (
            select from linked.face their_face
            join linked.member writer on writer.asset_id = their_face.asset_id and writer.can_write
            join public.asset_face theirs on theirs.id = their_face.face_id
            where their_face.face_key = face.face_key
                and (
                    theirs."updatedAt" > mine."updatedAt"
                    or theirs.{{ asset_face.personGroupId }} = mine.{{ asset_face.personGroupId }}
                    or exists (
                        select from linked.person_pair my_pair
                        join linked.person_pair their_pair on their_pair.person_key = my_pair.person_key
                        where my_pair.person_id = mine.{{ asset_face.personGroupId }} and my_pair.owner_id = member.owner_id
                            and their_pair.person_id = theirs.{{ asset_face.personGroupId }} and their_pair.owner_id = writer.owner_id
                    )
                )
        );
end
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
        array_agg(person.{{ person.personGroupId }}) filter (where is_last.yes)
    into v_theirs, v_mine, v_persons
    from linked.face their_face
    join public.asset_face on asset_face.id = their_face.face_id
    join linked.member theirs on theirs.asset_id = their_face.asset_id
    {{ shown("asset_face", "theirs.owner_id") }}
    join linked.member mine
        on mine.source_id = theirs.source_id and mine.owner_id = person."ownerId" and not mine.can_write
    join linked.face my_face on my_face.face_key = their_face.face_key and my_face.asset_id = mine.asset_id
    join public.asset_face known on known.id = my_face.face_id
    cross join lateral (
        select not my_face.own or known."updatedAt" <= asset_face."updatedAt" as yes
    ) as is_last
    where their_face.face_id = any (p_faces) and theirs.owner_id <> person."ownerId" and not their_face.left_open;
    if v_theirs is null then
        return;
    end if;
    {{ hold("asset_face", "id = any (v_theirs || v_mine)") }}
    update public.asset_face set {{ asset_face.personGroupId }} = null where id = any (v_theirs);
    update public.asset_face
    set {{ asset_face.personGroupId }} = given.person_id
    from unnest(v_mine, v_persons) as given (face_id, person_id)
    where asset_face.id = given.face_id;
    update linked.face set own = true, left_open = false where face_id = any (v_mine);
end
$linked$;
comment on function linked.hand_to_viewers(uuid[]) is
    'Moves persons of viewers from the faces of others'' members to the same faces of the viewers'' clones.';

create or replace function linked.find_counterparts(p_pairs uuid[], p_users uuid[], p_faces uuid[]) returns void
language plpgsql
as $linked$
declare
    v_todo record;
    v_found uuid;
begin
    -- A loop because every pairing narrows the choice for the next; names go first, they are surest.
    for v_todo in
        select target.pair_id, target.user_id,
            array_agg(target.face_id order by asset_face."deletedAt" is not null, target.face_id) as faces
        from unnest(p_pairs, p_users, p_faces) as target (pair_id, user_id, face_id)
        join public.asset_face on asset_face.id = target.face_id
        join linked.person_pair on person_pair.pair_id = target.pair_id
        join public.person on {{ is_person("person", "person_pair") }}
        group by target.pair_id, target.user_id, person.name
        order by person.name = '', count(*) desc, target.pair_id
    loop
        continue when exists (
            select from linked.person_pair their_pair
            join linked.person_pair my_pair on my_pair.person_key = their_pair.person_key
            where their_pair.pair_id = v_todo.pair_id and my_pair.owner_id = v_todo.user_id
        );
        v_found := coalesce(
{% if has("person_group") %}
            linked.person_of_group(v_todo.pair_id, v_todo.user_id, v_todo.faces[1]),
{% endif %}
            linked.person_by_face(v_todo.pair_id, v_todo.user_id, v_todo.faces),
            linked.person_by_name(v_todo.pair_id, v_todo.user_id),
            linked.person_by_embedding(v_todo.pair_id, v_todo.user_id),
            linked.make_person(v_todo.pair_id, v_todo.user_id, v_todo.faces[1])
        );
        {{ hold("asset_face", "id = any (v_todo.faces)") }}
        update public.asset_face set {{ asset_face.personGroupId }} = v_found where id = any (v_todo.faces) and {{ asset_face.personGroupId }} is distinct from v_found;
        perform linked.pair_persons(v_todo.pair_id, v_found, v_todo.user_id);
    end loop;
end
$linked$;
comment on function linked.find_counterparts(uuid[], uuid[], uuid[]) is
    'Pairs each person with a person of the user, found or made, and assigns p_faces to whom was not paired before.';

-- Two persons can stand for one human being when no account has a person of its own on both sides.
create or replace function linked.free_persons(p_pair uuid, p_user uuid) returns setof uuid
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select {{ person.personGroupId }} from public.person where "ownerId" = p_user
    except
    select person_pair.person_id
    from linked.person_pair asked
    join linked.person_pair their_pair on their_pair.person_key = asked.person_key
    join linked.person_pair taken on taken.owner_id = their_pair.owner_id
    join linked.person_pair on person_pair.person_key = taken.person_key and person_pair.owner_id = p_user
    where asked.pair_id = p_pair;
end
$linked$;
comment on function linked.free_persons(uuid, uuid) is
    'The persons of a user that are not paired with somebody else than this person.';
{% if has("person_group") %}

-- Accounts whose faces Immich recognizes together have views of one group, by Immich's own rule. The group is looked at, too:
-- who leaves takes the groups along before the account itself.
create or replace function linked.person_of_group(p_pair uuid, p_user uuid, p_face uuid) returns uuid
language plpgsql
as $linked$
declare
    v_group uuid := (
        select person_group.id
        from linked.person_pair
        join public.person_group on person_group.id = person_pair.person_id
        join public."user" theirs
            on theirs.id = person_pair.owner_id and theirs."clusterGroupId" = person_group."clusterGroupId"
        join public."user" mine on mine.id = p_user and mine."clusterGroupId" = person_group."clusterGroupId"
        where person_pair.pair_id = p_pair
    );
begin
    if v_group is not null
        and not exists (select from public.person where "personGroupId" = v_group and "ownerId" = p_user)
    then
        perform linked.insert_person(v_group, p_pair, p_user, p_face);
    end if;
    return v_group;
end
$linked$;
comment on function linked.person_of_group(uuid, uuid, uuid) is
    'Where the user is in the cluster group of this person''s account: the user''s person of the same group, which is made where missing.';
{% endif %}

create or replace function linked.person_by_face(p_pair uuid, p_user uuid, p_faces uuid[]) returns uuid
language plpgsql stable
as $linked$
begin
    return (select asset_face.{{ asset_face.personGroupId }}
    from public.asset_face
    where asset_face.id = any (p_faces)
        and asset_face.{{ asset_face.personGroupId }} in (select linked.free_persons(p_pair, p_user))
    group by asset_face.{{ asset_face.personGroupId }}
    order by count(*) desc, asset_face.{{ asset_face.personGroupId }}
    limit 1
    );
end
$linked$;
comment on function linked.person_by_face(uuid, uuid, uuid[]) is
    'The person to whom the user''s account has already assigned the same faces.';

create or replace function linked.person_by_name(p_pair uuid, p_user uuid) returns uuid
language plpgsql stable
as $linked$
begin
    return (select min(candidate.{{ person.personGroupId }}::text)::uuid
    from linked.person_pair
    join public.person theirs on {{ is_person("theirs", "person_pair") }}
    join public.person candidate
        on candidate."ownerId" = p_user and lower(btrim(candidate.name)) = lower(btrim(theirs.name))
    where person_pair.pair_id = p_pair and btrim(theirs.name) <> ''
        and candidate.{{ person.personGroupId }} in (select linked.free_persons(p_pair, p_user))
    having count(*) = 1
    );
end
$linked$;
comment on function linked.person_by_name(uuid, uuid) is
    'The one person of the user with the same name.';

-- A namesake of somebody else in the person's account is left for that one, and so is whoever looks more like somebody else
-- there. Compared are some faces of the person with some of each of the user's, without the vector index: it is approximate, and
-- looks at everybody's faces.
create or replace function linked.person_by_embedding(p_pair uuid, p_user uuid) returns uuid
language plpgsql stable
as $linked$
declare
    v_found uuid;
    v_distance double precision := linked.recognition_distance();
begin
    with theirs as materialized (
        select face_search.embedding
        from linked.person_pair
        join public.asset_face on asset_face.{{ asset_face.personGroupId }} = person_pair.person_id
        join public.face_search on face_search."faceId" = asset_face.id
        where person_pair.pair_id = p_pair and asset_face."deletedAt" is null
        order by asset_face.id
        limit 10
    ), candidate as materialized (
        select person.{{ person.personGroupId }} as person_id
        from linked.free_persons(p_pair, p_user) as free (person_id)
        join public.person on person.{{ person.personGroupId }} = free.person_id and person."ownerId" = p_user
        where btrim(person.name) = ''
            or lower(btrim(person.name)) not in (
                select lower(btrim(other.name))
                from linked.person_pair asked
                join public.person other on other."ownerId" = asked.owner_id and other.{{ person.personGroupId }} <> asked.person_id
                where asked.pair_id = p_pair
            )
    ), mine as materialized (
        select candidate.person_id, face_search.embedding
        from candidate
        cross join lateral (
            select asset_face.id
            from public.asset_face
            where asset_face.{{ asset_face.personGroupId }} = candidate.person_id and asset_face."deletedAt" is null
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
        select from linked.some_rival_faces(p_pair, p_user) as rival_face
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

create or replace function linked.some_rival_faces(p_pair uuid, p_user uuid) returns setof uuid
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select face.id
    from linked.person_pair asked
    join public.person rival on rival."ownerId" = asked.owner_id and rival.{{ person.personGroupId }} <> asked.person_id
    cross join lateral (
        select asset_face.id
        from public.asset_face
        where asset_face.{{ asset_face.personGroupId }} = rival.{{ person.personGroupId }} and asset_face."deletedAt" is null
        order by asset_face.id
        limit 10
    ) as face
    where asked.pair_id = p_pair
        and not exists (
            select from linked.person_pair rival_pair
            join linked.person_pair their_pair on their_pair.person_key = rival_pair.person_key
            where {{ is_person("rival", "rival_pair") }} and their_pair.owner_id = p_user
        );
end
$linked$;
comment on function linked.some_rival_faces(uuid, uuid) is
    'A few faces of each other person in this person''s account who has no counterpart with the user yet.';

create or replace function linked.recognition_distance() returns double precision
language plpgsql stable
as $linked$
begin
    return (select coalesce(
        (
            select (value #>> '{machineLearning,facialRecognition,maxDistance}')::double precision
            from public.system_metadata where key = 'system-config'
        ),
        0.5
    )
    );
end
$linked$;
comment on function linked.recognition_distance() is
    'The distance of embeddings up to which Immich takes two faces for one person''s, from its settings.';

create or replace function linked.make_person(p_pair uuid, p_user uuid, p_face uuid) returns uuid
language plpgsql
as $linked$
declare
    v_id uuid := gen_random_uuid();
begin
{% if has("person_group") %}
    insert into public.person_group (id, "clusterGroupId")
    select v_id, "clusterGroupId" from public."user" where id = p_user;
{% endif %}
    perform linked.insert_person(v_id, p_pair, p_user, p_face);
    return v_id;
end
$linked$;
comment on function linked.make_person(uuid, uuid, uuid) is 'Creates a person of the user, with the user''s own face as feature face.';

-- No thumbnail: Immich deletes that file with the person, so none may be shared. Its nightly job draws one where it is empty.
create or replace function linked.insert_person(p_id uuid, p_pair uuid, p_user uuid, p_face uuid) returns void
language plpgsql
as $linked$
begin
    insert into public.person ({{ person.personGroupId }}, "ownerId", {{ names("person", "shared") }}, "faceAssetId", "thumbnailPath")
    select p_id, p_user, {{ names("person", "shared", "theirs") }}, p_face, ''
    from linked.person_pair
    join public.person theirs on {{ is_person("theirs", "person_pair") }}
    where person_pair.pair_id = p_pair;
    insert into linked.person_pair (person_id, owner_id, person_key, made) values (p_id, p_user, gen_random_uuid(), true);
end
$linked$;
comment on function linked.insert_person(uuid, uuid, uuid, uuid) is 'Writes the row of a person that the addon makes.';

-- A person's details travel from an account to another only when that account may write on some picture that shows the
-- person and is shared with the other; from there they go on likewise. So nothing of a viewer's ever leaves the viewer's
-- account, whoever is a viewer of one album and an editor of another counts as an editor for whom that other album shows,
-- and two accounts that share no picture learn from each other what a third, a writer with both, passes on.
create or replace function linked.reached(p_pairs uuid[]) returns table (origin_id uuid, pair_id uuid, kept_alike boolean)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    with recursive pair as (
        select person_pair.*
        from linked.person_pair
        where person_pair.person_key in (
            select asked.person_key from linked.person_pair asked where asked.pair_id = any (p_pairs)
        )
    ), step as materialized (
        select teller.pair_id as from_id, told.pair_id as to_id
        from pair teller
        join pair told on told.person_key = teller.person_key and told.pair_id <> teller.pair_id
        where exists (select from linked.member where member.owner_id = teller.owner_id and member.can_write)
            and exists (
                select
                from public.asset_face
                join linked.member theirs
                    on theirs.asset_id = asset_face."assetId" and theirs.owner_id = teller.owner_id and theirs.can_write
                join linked.member mine on mine.source_id = theirs.source_id and mine.owner_id = told.owner_id
                where asset_face.{{ asset_face.personGroupId }} = teller.person_id
                -- Asked pair by pair: the first picture answers, nothing is joined whole.
                offset 0
            )
    ), reached as (
        select pair.pair_id as origin_id, pair.pair_id
        from pair where pair.pair_id = any (p_pairs)
        union
        select reached.origin_id, step.to_id
        from reached join step on step.from_id = reached.pair_id
    )
    select reached.origin_id, reached.pair_id, {% if has("person_user") %}exists (
            select
            from linked.person_pair one
            join linked.person_pair other on other.pair_id = reached.pair_id and other.person_id = one.person_id
            join public.person_user
                on person_user."personGroupId" = one.person_id
                and person_user."sharedById" in (one.owner_id, other.owner_id)
                and person_user."sharedWithId" in (one.owner_id, other.owner_id)
            where one.pair_id = reached.origin_id
        ){% else %}false{% endif %}

    from reached where reached.pair_id <> reached.origin_id;
end
$linked$;
comment on function linked.reached(uuid[]) is
    'The counterparts to which the details of these persons travel. Kept alike: one has shared the person with the other, and names and birth dates between the two are Immich''s own affair.';

-- As Immich does in the account in which a face is reassigned; the job for missing thumbnails draws the new one.
create or replace function linked.choose_feature_faces(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("person", '"faceAssetId" = any (p_faces)') }}
    update public.person
    set "faceAssetId" = other.face_id, "thumbnailPath" = ''
    from public.person led
    join public.asset_face feature on feature.id = led."faceAssetId" and feature.{{ asset_face.personGroupId }} is distinct from led.{{ person.personGroupId }}
    cross join lateral (
        select asset_face.id as face_id
        from public.asset_face
        {{ in_account("asset_face", 'led."ownerId"') }}
        where asset_face.{{ asset_face.personGroupId }} = led.{{ person.personGroupId }} and asset_face."deletedAt" is null
{% if "isVisible" in asset_face %}
            and asset_face."isVisible"
{% endif %}
        limit 1
    ) as other
    where led."faceAssetId" = any (p_faces) and person.{{ person.personGroupId }} = led.{{ person.personGroupId }} and person."ownerId" = led."ownerId";
end
$linked$;
comment on function linked.choose_feature_faces(uuid[]) is
    'Gives persons whose feature face is among these, and shows somebody else now, another of their faces.';

{# Counterparts of persons, and what else is paired with these. #}
{% macro hold_persons(pairs) -%}
perform from public.person
    join linked.person_pair on {{ is_person("person", "person_pair") }}
    where person_pair.person_key in (select person_key from linked.person_pair where pair_id = any ({{ pairs }}))
    for no key update of person nowait;
{%- endmacro %}
create or replace function linked.fill_blanks(p_pairs uuid[]) returns void
language plpgsql
as $linked$
declare
    v_pairs uuid[] := array(
        select person_pair.pair_id
        from linked.person_pair
        where person_pair.person_key in (
            select counterpart.person_key
            from linked.person_pair asked
            join linked.person_pair counterpart on counterpart.person_key = asked.person_key
            join public.person on {{ is_person("person", "counterpart") }}
            where asked.pair_id = any (p_pairs)
            group by counterpart.person_key
            having (min(person.name) = '' and max(person.name) <> '')
                or count(person."birthDate") not in (0, count(*))
                or count(person.color) not in (0, count(*))
        )
    );
begin
    -- Nearly always nothing is blank that somebody could fill, and it need not be asked whose details travel where.
    if cardinality(v_pairs) = 0 then
        return;
    end if;
    {{ hold_persons("v_pairs") }}
    update public.person
    set name = coalesce(nullif(person.name, ''), known.name, ''),
        "birthDate" = coalesce(person."birthDate", known.birth_date),
        color = coalesce(person.color, known.color)
    from (
        select reached.pair_id,
            (array_agg(one.name order by origin.pair_id = any (p_pairs) desc, origin.pair_id)
                filter (where one.name <> '' and not reached.kept_alike))[1] as name,
            (array_agg(one."birthDate" order by origin.pair_id = any (p_pairs) desc, origin.pair_id)
                filter (where one."birthDate" is not null and not reached.kept_alike))[1] as birth_date,
            (array_agg(one.color order by origin.pair_id = any (p_pairs) desc, origin.pair_id)
                filter (where one.color is not null))[1] as color
        from linked.reached(v_pairs) as reached
        join linked.person_pair origin on origin.pair_id = reached.origin_id
        join public.person one on {{ is_person("one", "origin") }}
        group by reached.pair_id
    ) as known
    join linked.person_pair on person_pair.pair_id = known.pair_id
    where {{ is_person("person", "person_pair") }}
        and (
            (person.name = '' and known.name is not null)
            or (person."birthDate" is null and known.birth_date is not null)
            or (person.color is null and known.color is not null)
        );
    perform linked.note_details(v_pairs);
end
$linked$;
comment on function linked.fill_blanks(uuid[]) is
    'Fills what is blank in the name, birth date and colour of persons or their counterparts from those whose details travel to them.';

-- At pairing blanks are filled, on either side, and nothing is overwritten. Where some account has a person of its own on both
-- sides they stay apart: in one cluster group Immich itself can have given an account two persons for one human being.
create or replace function linked.pair_persons(p_pair uuid, p_person uuid, p_owner uuid) returns void
language plpgsql
as $linked$
declare
    v_key uuid := (select person_key from linked.person_pair where pair_id = p_pair);
    v_other uuid := (linked.remember_persons(array[p_person], array[p_owner]))[1];
    v_other_key uuid := (select person_key from linked.person_pair where pair_id = v_other);
begin
    if exists (
        select
        from linked.person_pair one
        join linked.person_pair other on other.owner_id = one.owner_id and other.pair_id <> one.pair_id
        where one.person_key = v_key and other.person_key = v_other_key
    ) then
        return;
    end if;
    update linked.person_pair set person_key = v_key where person_key = v_other_key;
    perform linked.fill_blanks(array[p_pair]);
    perform linked.note_details(array[p_pair]);
end
$linked$;
comment on function linked.pair_persons(uuid, uuid, uuid) is
    'Makes a person, and a person of another account, and those paired with them, counterparts.';

-- Each column on its own: at pairing nothing was overwritten, so another one may differ, and stays as it is. Of counterparts
-- that change in one statement one leads.
{% for column in columns("person", "shared") %}
create or replace function linked.propagate_person_{{ column.name | lower }}(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold_persons("p_pairs") }}
    update public.person mine
    set "{{ column.name }}" = theirs."{{ column.name }}"
    from (
        select reached.pair_id, reached.origin_id, reached.kept_alike,
            first_value(reached.origin_id) over (partition by person_pair.person_key order by reached.origin_id) as leader
        from linked.reached(p_pairs) as reached
        join linked.person_pair on person_pair.pair_id = reached.origin_id
    ) as told
    join linked.person_pair their_pair on their_pair.pair_id = told.origin_id
    join public.person theirs on {{ is_person("theirs", "their_pair") }}
    join linked.person_pair my_pair on my_pair.pair_id = told.pair_id
    where {{ is_person("mine", "my_pair") }} and told.origin_id = told.leader
{% if column.canonical != "color" %}
        and not told.kept_alike
{% endif %}
        and mine."{{ column.name }}" is distinct from theirs."{{ column.name }}";
end
$linked$;
comment on function linked.propagate_person_{{ column.name | lower }}(uuid[]) is
    'Gives the {{ column.name }} of these persons to the counterparts that they reach.';
{% endfor %}

-- Whom a merge is told to: the counterparts on the same pictures, where its account may write on them, and whom these reach.
-- The moved faces are those that show the new person here and the old one there.
create or replace function linked.reached_by_merge(p_old uuid, p_new uuid) returns uuid[]
language plpgsql stable
as $linked$
begin
    return (with first as materialized (
        select old_pair.pair_id
        from linked.person_pair merged
        join linked.person_pair target on target.pair_id = p_new
        join linked.person_pair old_pair
            on old_pair.person_key = merged.person_key and old_pair.pair_id <> merged.pair_id
        cross join lateral (
            select
            from public.asset_face theirs
            join linked.face their_face on their_face.face_id = theirs.id
            join linked.member their_member
                on their_member.asset_id = their_face.asset_id and their_member.owner_id = old_pair.owner_id
            join linked.face my_face on my_face.face_key = their_face.face_key
            join public.asset_face mine on mine.id = my_face.face_id and mine.{{ asset_face.personGroupId }} = target.person_id
            join linked.member
                on member.asset_id = my_face.asset_id and member.owner_id = target.owner_id and member.can_write
            where theirs.{{ asset_face.personGroupId }} = old_pair.person_id
            limit 1
        ) as moved
        where merged.pair_id = p_old
    )
    select array(
        select pair_id from first
        union
        select reached.pair_id
        from linked.reached(array(select pair_id from first)) as reached
        where reached.pair_id <> p_old
    )
    );
end
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
        select person_pair.pair_id
        from linked.person_pair
        where person_pair.pair_id = any (p_old)
            and (
                person_pair.made
                or exists (
                    select from public.asset_face
                    join linked.member
                        on member.asset_id = asset_face."assetId" and member.owner_id = person_pair.owner_id
                        and member.can_write
                    where asset_face.{{ asset_face.personGroupId }} = person_pair.person_id
                )
            )
    );
begin
    {{ hold("asset_face", asset_face.personGroupId ~ " in (select person_id from linked.person_pair where pair_id = any (p_old))") }}
    update public.asset_face
    set {{ asset_face.personGroupId }} = new_pair.person_id
    from unnest(p_old, p_new) as merged (old_id, new_id)
    join linked.person_pair old_pair on old_pair.pair_id = merged.old_id
    join linked.person_pair new_pair on new_pair.pair_id = merged.new_id
    join public.asset_face moved on moved.{{ asset_face.personGroupId }} = old_pair.person_id
    {{ in_account("moved", "old_pair.owner_id") }}
    left join linked.member on member.asset_id = moved."assetId"
    left join linked.face on face.face_id = moved.id
    where asset_face.id = moved.id
        and (face.face_id is not null or merged.old_id = any (v_whole))
        and (member.can_write or member.asset_id is null or not face.own);
    perform linked.delete_persons(array(
        select pair_id from linked.person_pair
        where pair_id = any (v_whole)
            and not exists (
                select from public.asset_face {{ in_account("asset_face", "person_pair.owner_id") }}
                where asset_face.{{ asset_face.personGroupId }} = person_pair.person_id
            )
    ));
    delete from linked.person_pair where pair_id = any (p_old);
end
$linked$;
comment on function linked.merge_persons(uuid[], uuid[]) is
    'Makes persons of accounts to which a merge is told others of the same accounts.';

-- Immich merges by moving all faces of one person to another in one statement, then deletes the first. Where an account has
-- counterparts of both, they are merged too; else the pairing moves along.
create or replace function linked.follow_merge(p_owner uuid, p_old uuid, p_new uuid) returns void
language plpgsql
as $linked$
declare
    v_old_pair uuid := (select pair_id from linked.person_pair where person_id = p_old and owner_id = p_owner);
    v_new_pair uuid;
    v_told uuid[];
    v_old uuid[];
    v_new uuid[];
begin
    if v_old_pair is null then
        return;
    end if;
    v_new_pair := (linked.remember_persons(array[p_new], array[p_owner]))[1];
    v_told := linked.reached_by_merge(v_old_pair, v_new_pair);
    select array_agg(old_pair.pair_id), array_agg(new_pair.pair_id) into v_old, v_new
    from linked.person_pair old_pair
    join linked.person_pair target on target.pair_id = v_new_pair
    join linked.person_pair new_pair
        on new_pair.person_key = target.person_key and new_pair.owner_id = old_pair.owner_id
    where old_pair.pair_id = any (v_told) and old_pair.pair_id <> new_pair.pair_id;
    perform linked.merge_persons(v_old, v_new);

    update linked.person_pair
    set person_key = (select person_key from linked.person_pair where pair_id = v_new_pair)
    where pair_id = any (v_told);
    delete from linked.person_pair where pair_id = v_old_pair;
    -- Persons that were made for the one are now called like the other.
    {{ hold_persons("array[v_new_pair]") }}
    update public.person
    set name = target.name
    from linked.reached(array[v_new_pair]) as reached
    join linked.person_pair made_pair on made_pair.pair_id = reached.pair_id and made_pair.made
    join public.person target on target.{{ person.personGroupId }} = p_new and target."ownerId" = p_owner
    where {{ is_person("person", "made_pair") }} and made_pair.pair_id = any (v_told) and not reached.kept_alike
        and target.name not in ('', person.name);
    perform linked.fill_blanks(array[v_new_pair]);
    perform linked.note_details(array[v_new_pair]);
end
$linked$;
comment on function linked.follow_merge(uuid, uuid, uuid) is
    'After all faces of one person of an account were moved to another: merges the counterparts alike.';

{# The rows of audit that Immich's own triggers leave out below a trigger, from another depth on where there are groups. #}
create or replace function linked.delete_persons(p_pairs uuid[]) returns void
language plpgsql
as $linked$
{% if has("person_group") %}
declare
    v_groups uuid[] := array(select distinct person_id from linked.person_pair where pair_id = any (p_pairs));
{% endif %}
begin
    if pg_trigger_depth() > {{ 1 if has("person_group") else 0 }} then
        insert into public.person_audit ({{ person_audit.personGroupId }}, "ownerId")
        select person.{{ person.personGroupId }}, person."ownerId"
        from linked.person_pair join public.person on {{ is_person("person", "person_pair") }}
        where person_pair.pair_id = any (p_pairs);
    end if;
    perform from public.person
    join linked.person_pair on {{ is_person("person", "person_pair") }}
    where person_pair.pair_id = any (p_pairs)
    for update of person nowait;
    delete from public.person
    using linked.person_pair
    where person_pair.pair_id = any (p_pairs) and {{ is_person("person", "person_pair") }};
    delete from linked.person_pair where pair_id = any (p_pairs);
{% if has("person_group") %}
    v_groups := array(
        select id from public.person_group
        where id = any (v_groups)
            and not exists (select from public.person where "personGroupId" = person_group.id)
    );
    if pg_trigger_depth() > 0 then
        insert into public.person_group_audit ("personGroupId", "clusterGroupId")
        select id, "clusterGroupId" from public.person_group where id = any (v_groups);
    end if;
    delete from public.person_group where id = any (v_groups);
{% endif %}
end
$linked$;
comment on function linked.delete_persons(uuid[]) is
    'Deletes persons{% if has("person_group") %} and groups of which nobody has a person any more{% endif %}, with the audit rows that a delete by Immich itself would leave.';

-- A nameless person that the addon made and whose last face is somebody else's now stands for nobody: the counterparts are free
-- for that somebody else. Immich's nightly job deletes it, with its thumbnail.
create or replace function linked.part_from_emptied(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.person_pair
    set person_key = gen_random_uuid()
    from public.person
    where person_pair.pair_id = any (p_pairs) and person_pair.made
        and {{ is_person("person", "person_pair") }} and person.name = ''
        and not exists (
            select from public.asset_face {{ in_account("asset_face", "person_pair.owner_id") }}
            where asset_face.{{ asset_face.personGroupId }} = person_pair.person_id
        );
end
$linked$;
comment on function linked.part_from_emptied(uuid[]) is
    'Unpairs those of these persons that the addon made, that have no name and that are on no picture any more.';

-- A person who is on no linked picture any more has no counterparts; one that the addon made and that is on no picture at
-- all goes.
create or replace function linked.forget_persons(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.delete_persons(array(
        select person_pair.pair_id
        from linked.person_pair
        where person_pair.pair_id = any (p_pairs) and person_pair.made
            and not exists (
                select from public.asset_face {{ in_account("asset_face", "person_pair.owner_id") }}
                where asset_face.{{ asset_face.personGroupId }} = person_pair.person_id
            )
    ));
    delete from linked.person_pair
    where pair_id = any (p_pairs)
        and not exists (
            select from public.asset_face
            join linked.member on member.asset_id = asset_face."assetId" and member.owner_id = person_pair.owner_id
            where asset_face.{{ asset_face.personGroupId }} = person_pair.person_id
        );
end
$linked$;
comment on function linked.forget_persons(uuid[]) is
    'Unpairs persons who are on no member any more, and deletes those of them that the addon made for nothing else.';

{% if has("person_group") %}
-- Whoever joins or leaves a cluster group takes the persons along: to new groups, where others have persons of the old ones.
-- The faces follow in the same transaction.
create or replace function linked.follow_moved_persons(p_owners uuid[], p_old uuid[], p_new uuid[]) returns uuid[]
language plpgsql
as $linked$
declare
    v_moved uuid[];
begin
    with moved as (
        update linked.person_pair
        set person_id = moved.new_id
        from unnest(p_owners, p_old, p_new) as moved (owner_id, old_id, new_id)
        where person_pair.owner_id = moved.owner_id and person_pair.person_id = moved.old_id
        returning person_pair.pair_id
    )
    select array_agg(pair_id) into v_moved from moved;
    perform set_config('linked.moved_in', pg_current_xact_id()::text, true);
    return v_moved;
end
$linked$;
comment on function linked.follow_moved_persons(uuid[], uuid[], uuid[]) is
    'Remembers persons under the groups to which they have moved. Returns which are remembered.';

-- An account that had deleted its person of a group can get one again, from Immich: the faces never left the group.
create or replace function linked.resume_persons(p_owners uuid[], p_groups uuid[]) returns void
language plpgsql
as $linked$
declare
    v_resumed uuid[];
begin
    with resumed as (
        update linked.face
        set left_open = false
        from unnest(p_owners, p_groups) as fresh (owner_id, group_id)
        join public.asset_face on asset_face."personGroupId" = fresh.group_id
        join linked.member on member.asset_id = asset_face."assetId" and member.owner_id = fresh.owner_id
        where face.face_id = asset_face.id and face.left_open
        returning face.face_id
    )
    select array_agg(face_id) into v_resumed from resumed;
    if v_resumed is not null then
        perform linked.propagate_people(linked.leading_faces(v_resumed));
    end if;
end
$linked$;
comment on function linked.resume_persons(uuid[], uuid[]) is
    'Takes faces of these accounts that had been left open, and show these new persons, for assigned.';

-- A merge within a cluster group reaches the pictures of all its accounts, in whatever order: what it does to a viewer's clone
-- is nothing that the viewer has put there.
create or replace function linked.agree_within_groups(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.face
    set own = false
    from public.asset_face mine
    where mine.id = face.face_id and face.own
        and face.face_key in (select changed.face_key from linked.face changed where changed.face_id = any (p_faces))
        and exists (
            select from linked.face their_face
            join linked.member on member.asset_id = their_face.asset_id and member.can_write
            join public.asset_face theirs on theirs.id = their_face.face_id
            where their_face.face_key = face.face_key and theirs."personGroupId" = mine."personGroupId"
        );
end
$linked$;
comment on function linked.agree_within_groups(uuid[]) is
    'Lets faces of viewers'' clones follow again that correspond to these, and show the same group as a writer''s.';

{% endif %}
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
        where face.asset_id = any (p_clones) and face.own and mine.{{ asset_face.personGroupId }} is not null
            and not exists (
                select from linked.face their_face
                join linked.member on member.asset_id = their_face.asset_id and member.can_write
                join public.asset_face theirs on theirs.id = their_face.face_id and theirs.{{ asset_face.personGroupId }} is not null
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
        select distinct person_pair.pair_id
        from linked.member
        join public.asset_face on asset_face."assetId" = member.asset_id
        join linked.person_pair
            on person_pair.person_id = asset_face.{{ asset_face.personGroupId }} and person_pair.owner_id = member.owner_id
        where member.asset_id = any (p_clones)
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
        where known.{{ asset_face.personGroupId }} is null or known.{{ asset_face.personGroupId }} = drawn.{{ asset_face.personGroupId }}
        order by twice.known_id, twice.face_id
    ) as same;
    {{ hold("asset_face", "id = any (v_known || v_drawn)") }}
    update public.asset_face known
    set {{ asset_face.personGroupId }} = drawn.{{ asset_face.personGroupId }}
    from unnest(v_drawn, v_known) as same (face_id, known_id)
    join public.asset_face drawn on drawn.id = same.face_id
    where known.id = same.known_id and known.{{ asset_face.personGroupId }} is distinct from drawn.{{ asset_face.personGroupId }};
    update linked.face
    set own = true, left_open = false
    from public.asset_face known
    where face.face_id = any (v_known) and known.id = face.face_id and known.{{ asset_face.personGroupId }} is not null;
    perform linked.delete_faces(v_drawn);
    insert into linked.face (face_id, face_key, asset_id, own)
    select asset_face.id, asset_face.id, asset_face."assetId", true
    from public.asset_face where asset_face.id = any (p_faces);
end
$linked$;
comment on function linked.adopt_drawn_faces(uuid[]) is
    'Remembers faces that a viewer drew; one that lies on a face which was found gives it the person, and goes.';

-- Three changes of whom faces show are not passed on: the person was deleted (that unassigns in one account alone); recognition
-- was reset (one statement that leaves an account without any assigned face; faces of members are then filled again from
-- siblings that still have theirs); and what viewers do.
{% set face_concerns_us %}
exists (
                    select from stale
                    where {{ is_member('stale."assetId"') }}
                        or exists (
                            select from linked.person_pair where person_pair.person_id = stale.{{ asset_face.personGroupId }}
                        )
                )
{%- endset %}
{% call(fresh, stale, statement) on("asset_face", "update", "Propagates changes of faces, and whom they show, to the siblings.",
    look=face_concerns_us,
    columns=columns("asset_face", "shared") | map(attribute="name") | list + [asset_face.personGroupId | replace('"', "")]
) %}

            declare
                v_changed uuid[];
                v_unassigned uuid[];
                v_reset uuid[];
                v_merge record;
            begin
                v_changed := array(select id from {{ changed(fresh, stale, names("asset_face", "shared")) }});
                if cardinality(v_changed) > 0 then
                    select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from {{ fresh }} where id = any (v_changed)), false);
                    if v_from is not null then
                        perform linked.propagate_faces(v_from, v_to, v_changed);
                    end if;
                end if;

                v_changed := array(select id from {{ changed(fresh, stale, asset_face.personGroupId) }});
{% if has("person_group") %}
                -- These only follow their person to another group.
                if current_setting('linked.moved_in', true) = pg_current_xact_id_if_assigned()::text then
                    v_changed := array(
                        select fresh.id
                        from {{ fresh }}
                        join public.asset on asset.id = fresh."assetId"
                        where fresh.id = any (v_changed)
                            and not exists (
                                select from linked.person_pair
                                where person_pair.person_id = fresh."personGroupId" and person_pair.owner_id = asset."ownerId"
                            )
                    );
                end if;
{% endif %}
                if cardinality(v_changed) > 0 then
                    -- Immich moves all faces of a person, and says so by naming the person, only when it merges.
                    if {{ statement }} ~* 'where[^;]*{{ asset_face.personGroupId }}' then
                        for v_merge in
                            with moved as materialized (
                                select distinct member.owner_id, face.old_id, face.new_id
                                from (
                                    select id, min(old_id)::uuid as old_id, min(new_id)::uuid as new_id
                                    from (
                                        select id, null as old_id, {{ asset_face.personGroupId }}::text as new_id from {{ fresh }}
                                        union all
                                        select id, {{ asset_face.personGroupId }}::text, null from {{ stale }}
                                    ) as one
                                    where id = any (v_changed)
                                    group by id
                                ) as face
                                join public.asset_face on asset_face.id = face.id
                                join linked.member on member.asset_id = asset_face."assetId" and member.can_write
                                where face.old_id is not null and face.new_id is not null
                            )
                            select moved.owner_id, moved.old_id, moved.new_id
                            from moved
                            where not exists (
                                select from public.asset_face left_over {{ in_account("left_over", "moved.owner_id") }}
                                where left_over.{{ asset_face.personGroupId }} = moved.old_id
                            )
                        loop
                            perform linked.follow_merge(v_merge.owner_id, v_merge.old_id, v_merge.new_id);
                        end loop;
                    end if;

                    v_unassigned := array(
                        select id from {{ stale }} where {{ asset_face.personGroupId }} is not null
                        intersect
                        select id from {{ fresh }} where {{ asset_face.personGroupId }} is null
                    );
                    v_reset := array(
                        select asset."ownerId"
                        from {{ fresh }} join public.asset on asset.id = fresh."assetId"
                        where fresh.id = any (v_unassigned)
                        group by asset."ownerId"
                        having (count(*) > 1 or {{ statement }} ~* 'where[^;]*"sourceType"')
                            and not exists (
                                select from public.asset_face
                                join public.asset other on other.id = asset_face."assetId"
                                where other."ownerId" = asset."ownerId" and asset_face.{{ asset_face.personGroupId }} is not null
                                    and asset_face."sourceType" = 'machine-learning'
                            )
                    );
                    update linked.face
                    set left_open = asset_face.{{ asset_face.personGroupId }} is null
                            and (
                                face.left_open
                                or not exists (
                                    select from public.person
                                    where person.{{ person.personGroupId }} = stale.{{ asset_face.personGroupId }}
                                )
                                or (not member.can_write and member.owner_id <> all (v_reset))
                            ),
                        own = asset_face.{{ asset_face.personGroupId }} is not null and not member.can_write
                    from {{ stale }}
                    join public.asset_face on asset_face.id = stale.id
                    join linked.member on member.asset_id = asset_face."assetId"
                    where face.face_id = stale.id and stale.id = any (v_changed);
{% if has("person_group") %}
                    perform linked.agree_within_groups(v_changed);
{% endif %}
                    perform linked.hand_to_viewers(v_changed);
                    perform linked.part_from_emptied(array(
                        select distinct person_pair.pair_id
                        from {{ stale }}
                        join public.asset on asset.id = stale."assetId"
                        join linked.person_pair
                            on person_pair.person_id = stale.{{ asset_face.personGroupId }} and person_pair.owner_id = asset."ownerId"
                        where stale.id = any (v_changed)
                    ));
                    perform linked.propagate_people(linked.leading_faces(array(
                        select asset_face.id
                        from public.asset_face
                        join public.asset on asset.id = asset_face."assetId"
                        where asset_face.id = any (v_changed)
                            and (asset_face.{{ asset_face.personGroupId }} is not null or asset."ownerId" <> all (v_reset))
                    )));
                    if cardinality(v_reset) > 0 then
                        perform linked.refill_people(array(
                            select fresh."assetId"
                            from {{ fresh }} join public.asset on asset.id = fresh."assetId"
                            where asset."ownerId" = any (v_reset)
                        ));
                    end if;
                end if;
            end;
{% endcall %}

{% set person_key = '"ownerId", ' ~ person.personGroupId %}
{% set person_concerns_us %}
exists (
                    select from stale
                    where exists (select from linked.person_pair where {{ is_person("stale", "person_pair") }})
                )
{%- endset %}
{% call(fresh, stale, statement) on("person", "update", "Propagates names, birth dates and colours of persons.", look=person_concerns_us) %}

            declare
                v_moved uuid[];
            begin
{% if has("person_group") %}
                if exists (select {{ person_key }} from {{ fresh }} except select {{ person_key }} from {{ stale }}) then
                    -- Both tables have the rows in the order in which they were updated.
                    v_moved := linked.follow_moved_persons(
                        array_agg(stale."ownerId"), array_agg(stale."personGroupId"), array_agg(fresh."personGroupId")
                    )
                    from (select *, row_number() over () as place from {{ stale }}) as stale
                    join (select *, row_number() over () as place from {{ fresh }}) as fresh
                        on fresh.place = stale.place and fresh."ownerId" = stale."ownerId"
                    where fresh."personGroupId" <> stale."personGroupId";
                end if;
{% endif %}
{% for column in columns("person", "shared") %}
                perform linked.propagate_person_{{ column.name | lower }}(array(
                    select person_pair.pair_id
                    from {{ changed(fresh, stale, '"' ~ column.name ~ '"', key=person_key) }}
                    join linked.person_pair on {{ is_person("changed", "person_pair") }}
                    where (person_pair.pair_id = any (v_moved)) is not true
                ));
{% endfor %}
                perform linked.note_details(array(
                    select person_pair.pair_id
                    from {{ changed(fresh, stale, names("person", "shared"), key=person_key) }}
                    join linked.person_pair on {{ is_person("changed", "person_pair") }}
                ));
            end;
{% endcall %}

{% if has("person_group") %}
{% set new_person_concerns_us %}
exists (
                    select from fresh
                    where exists (
                        select from public.asset_face join linked.face on face.face_id = asset_face.id
                        where asset_face."personGroupId" = fresh."personGroupId" and face.left_open
                    )
                )
{%- endset %}
{% call(fresh, stale, statement) on("person", "insert", "Assigns faces again whose account has got back the person that it had deleted.", look=new_person_concerns_us) %}

            perform linked.resume_persons(array_agg("ownerId"), array_agg("personGroupId")) from {{ fresh }};
{% endcall %}

{% endif %}
{% call(fresh, stale, statement) on("person", "delete", "Unpairs deleted persons.", look=person_concerns_us) %}

            delete from linked.person_pair using {{ stale }} where {{ is_person("stale", "person_pair") }};
{% if has("person_group") %}
            -- The faces stay with the group as long as somebody has a person of it.
            update linked.face
            set left_open = true
            from {{ stale }}
            join linked.member on member.owner_id = stale."ownerId"
            join public.asset_face on asset_face."assetId" = member.asset_id and asset_face."personGroupId" = stale."personGroupId"
            where face.face_id = asset_face.id and not face.left_open;
{% endif %}
{% endcall %}
