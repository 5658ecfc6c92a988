-- Tags: the counterpart of a tag is the one with the same value (path) in the other account.

-- Creates what is missing of the tags p_values in the accounts p_users, with their parents, Immich's closure rows, and the
-- colours that the tags have in the accounts p_like.
create or replace function linked.make_tags(p_users uuid[], p_values text[], p_like uuid[]) returns void
language plpgsql
as $linked$
declare
    v_depth integer := 1;
    v_made uuid[];
begin
    -- A loop because a tag needs its parent's id.
    loop
        with path as (
            select distinct on (tag.user_id, value)
                tag.user_id, tag.like_id,
                array_to_string((string_to_array(tag.value, '/'))[:v_depth], '/') as value,
                array_to_string((string_to_array(tag.value, '/'))[:v_depth - 1], '/') as parent
            from unnest(p_users, p_values, p_like) as tag (user_id, value, like_id)
            where cardinality(string_to_array(tag.value, '/')) >= v_depth
            order by tag.user_id, value, tag.like_id
        ), made as (
            insert into public.tag ("userId", value, color, "parentId")
            select path.user_id, path.value, model.color, parent.id
            from path
            left join public.tag model on model."userId" = path.like_id and model.value = path.value
            left join public.tag parent on parent."userId" = path.user_id and parent.value = path.parent
            on conflict do nothing
            returning id
        ), noted as (
            insert into linked.made_tag (tag_id) select id from made returning tag_id
        )
        select array_agg(tag_id) into v_made from noted;
        insert into public.tag_closure (id_ancestor, id_descendant)
        select id, id from unnest(v_made) as id
        union
        select closure.id_ancestor, tag.id
        from public.tag
        join public.tag_closure closure on closure.id_descendant = tag."parentId"
        where tag.id = any (v_made)
        union
        select tag."parentId", tag.id
        from public.tag where tag.id = any (v_made) and tag."parentId" is not null
        on conflict do nothing;
        v_depth := v_depth + 1;
        exit when not exists (
            select from unnest(p_values) as value where cardinality(string_to_array(value, '/')) >= v_depth
        );
    end loop;
end
$linked$;
comment on function linked.make_tags(uuid[], text[], uuid[]) is
    'Creates tags with their parents in accounts that lack them, and remembers that the addon made them.';

create or replace function linked.add_tags(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
declare
    v_users uuid[];
    v_values text[];
    v_like uuid[];
begin
    select array_agg(user_id), array_agg(value), array_agg(like_id)
    into v_users, v_values, v_like
    from (
        select distinct member.owner_id as user_id, their_tag.value::text as value, their_tag."userId" as like_id
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join linked.member on member.asset_id = pair.to_id
        join public.tag_asset theirs on theirs.{{ tag_asset.assetId }} = pair.from_id
        join public.tag their_tag on their_tag.id = theirs.{{ tag_asset.tagId }}
        where not exists (
            select from public.tag where tag."userId" = member.owner_id and tag.value = their_tag.value
        )
    ) as missing;
    if v_users is not null then
        perform linked.make_tags(v_users, v_values, v_like);
    end if;
    insert into public.tag_asset ({{ tag_asset.assetId }}, {{ tag_asset.tagId }})
    select pair.to_id, my_tag.id
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.to_id
    join public.tag_asset theirs on theirs.{{ tag_asset.assetId }} = pair.from_id
    join public.tag their_tag on their_tag.id = theirs.{{ tag_asset.tagId }}
    join public.tag my_tag on my_tag."userId" = member.owner_id and my_tag.value = their_tag.value
    on conflict do nothing;
end
$linked$;
comment on function linked.add_tags(uuid[], uuid[]) is
    'Puts the tags of p_from on the members p_to, pair by pair, by value.';

-- What a viewer tags stays the viewer's own: nothing is taken off a viewer's clone that the source never had.
create or replace function linked.propagate_tags(p_from uuid[], p_to uuid[], p_taken_off text[] default null) returns void
language plpgsql
as $linked$
begin
    if not exists (
        select from public.tag_asset
        where {{ tag_asset.assetId }} = any (p_from) or {{ tag_asset.assetId }} = any (p_to)
    ) then
        return;
    end if;
    delete from public.tag_asset mine
    using unnest(p_from, p_to) as pair (from_id, to_id), public.tag my_tag, linked.member
    where mine.{{ tag_asset.assetId }} = pair.to_id and my_tag.id = mine.{{ tag_asset.tagId }}
        and member.asset_id = pair.to_id and (member.can_write or my_tag.value = any (p_taken_off))
        and not exists (
            select from public.tag_asset theirs
            join public.tag their_tag on their_tag.id = theirs.{{ tag_asset.tagId }}
            where theirs.{{ tag_asset.assetId }} = pair.from_id and their_tag.value = my_tag.value
        );
    perform linked.add_tags(p_from, p_to);
end
$linked$;
comment on function linked.propagate_tags(uuid[], uuid[], text[]) is
    'Makes the tags on the members p_to those that p_from have, pair by pair, by value.';

-- Immich's metadata extraction looks tags up, then deletes and inserts the rows of tag_asset in one transaction: a tag that
-- has just lost its last use may get it back. So it is only noted here, and swept by a later transaction.
create or replace function linked.note_unused_tags(p_tags uuid[]) returns void
language sql
as $linked$
    update linked.made_tag
    set unused_in = case when used.tag_id is null then pg_current_xact_id()::text end
    from (
        select made.tag_id as id, (
            select closure.id_ancestor
            from public.tag_closure closure
            join public.tag_asset on tag_asset.{{ tag_asset.tagId }} = closure.id_descendant
            where closure.id_ancestor = made.tag_id
            limit 1
        ) as tag_id
        from linked.made_tag made
        where made.tag_id in (
            select id_ancestor from public.tag_closure where id_descendant = any (p_tags)
        )
    ) as used
    where made_tag.tag_id = used.id
        and (made_tag.unused_in is null) = (used.tag_id is null)
$linked$;
comment on function linked.note_unused_tags(uuid[]) is
    'Notes which of these tags and their parents, where the addon made them, no asset uses any more.';

-- A tag that Immich has looked up a moment ago (its upsert moves "updatedAt") is about to be used.
create or replace function linked.sweep_tags() returns void
language plpgsql
as $linked$
declare
    v_unused uuid[] := array(
        select made_tag.tag_id
        from linked.made_tag join public.tag on tag.id = made_tag.tag_id
        where made_tag.unused_in = 'removal'
            or (
                made_tag.unused_in <> pg_current_xact_id()::text
                and (tag."updatedAt" = tag."createdAt" or tag."updatedAt" < clock_timestamp() - interval '10 seconds')
            )
    );
begin
    perform linked.note_unused_tags(v_unused);
    with unused as (
        delete from linked.made_tag
        where tag_id = any (v_unused) and unused_in is not null
        returning tag_id
    )
    delete from public.tag
    where id in (select tag_id from unused)
        and not exists (
            select from public.tag child
            where child."parentId" = tag.id and child.id not in (select tag_id from unused)
        );
end
$linked$;
comment on function linked.sweep_tags() is
    'Deletes tags that the addon made and that no asset has used since an earlier transaction.';

-- A deleted tag is gone from the members of its owner: so it is taken off their siblings. (The rows of tag_asset went with
-- the tag before anybody could tell what its value was.)
create or replace function linked.take_off_deleted_tags(p_users uuid[], p_values text[]) returns void
language plpgsql
as $linked$
declare
    v_tags uuid[];
begin
    with gone as (
        delete from public.tag_asset
        using unnest(p_users, p_values) as deleted (user_id, value), public.tag, linked.member, linked.member deleter
        where tag.value = deleted.value and tag."userId" <> deleted.user_id
            and tag_asset.{{ tag_asset.tagId }} = tag.id
            and member.asset_id = tag_asset.{{ tag_asset.assetId }}
            and deleter.source_id = member.source_id and deleter.owner_id = deleted.user_id and deleter.can_write
        returning tag_asset.{{ tag_asset.tagId }} as id
    )
    select array_agg(distinct id) into v_tags from gone;
    perform linked.note_unused_tags(v_tags);
end
$linked$;
comment on function linked.take_off_deleted_tags(uuid[], text[]) is
    'Takes the counterparts of deleted tags off the siblings of the members that had them.';

create or replace function linked.propagate_tag_colors(p_tags uuid[]) returns void
language sql
as $linked$
    update public.tag mine
    set color = theirs.color
    from public.tag theirs
    where theirs.id = any (p_tags)
        and mine.value = theirs.value and mine."userId" <> theirs."userId"
        and mine.color is distinct from theirs.color
        and exists (
            select from public.tag_asset my_use
            join linked.member on member.asset_id = my_use.{{ tag_asset.assetId }}
            join linked.member their_member
                on their_member.source_id = member.source_id and their_member.owner_id = theirs."userId"
            join public.tag_asset their_use on their_use.{{ tag_asset.assetId }} = their_member.asset_id
            where my_use.{{ tag_asset.tagId }} = mine.id and their_use.{{ tag_asset.tagId }} = theirs.id
                and their_member.can_write
        )
$linked$;
comment on function linked.propagate_tag_colors(uuid[]) is
    'Gives the colour of tags to their counterparts in accounts that have them on the same picture.';
