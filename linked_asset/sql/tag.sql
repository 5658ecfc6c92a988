-- Tags: the counterpart of a tag is the one with the same value (path) in the other account.

{% from "macro/frame.sql" import on, changed, is_member, groups_of, takes_part with context %}
{% from "macro/hold.sql" import hold %}

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
                rtrim(array_to_string((string_to_array(tag.value, '/'))[:v_depth - 1], '/'), '/') as parent
            from unnest(p_users, p_values, p_like) as tag (user_id, value, like_id)
            where cardinality(string_to_array(tag.value, '/')) = v_depth
                or (string_to_array(tag.value, '/'))[v_depth] <> ''
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

-- The rows are found with plans for as many as there are, and written with one that is kept, like those of albums.
create or replace function linked.write_tags(p_assets uuid[], p_tags uuid[]) returns void
language plpgsql
set plan_cache_mode = auto
as $linked$
begin
    {{ hold("tag", "id = any (p_tags)", "key share") }}
    {{ hold("asset", "id = any (p_assets)", "key share") }}
    with added as (
        insert into public.tag_asset ({{ tag_asset.assetId }}, {{ tag_asset.tagId }})
        select asset_id, tag_id from unnest(p_assets, p_tags) as pair (asset_id, tag_id)
        on conflict do nothing
        returning {{ tag_asset.assetId }} as asset_id, {{ tag_asset.tagId }} as tag_id
    )
    insert into linked.brought (asset_id, holder_id)
    select added.asset_id, added.tag_id
    from added join linked.member on member.asset_id = added.asset_id and not member.can_write
    on conflict do nothing;
end
$linked$;
comment on function linked.write_tags(uuid[], uuid[]) is
    'Puts tags on assets, pair by pair, and notes which clones of viewers are among them.';

create or replace function linked.erase_tags(p_assets uuid[], p_tags uuid[]) returns void
language plpgsql
set plan_cache_mode = auto
as $linked$
begin
    perform from public.tag_asset
    join unnest(p_assets, p_tags) as pair (asset_id, tag_id)
        on {{ tag_asset.assetId }} = pair.asset_id and {{ tag_asset.tagId }} = pair.tag_id
    for update of tag_asset nowait;
    delete from public.tag_asset
    using unnest(p_assets, p_tags) as pair (asset_id, tag_id)
    where {{ tag_asset.assetId }} = pair.asset_id and {{ tag_asset.tagId }} = pair.tag_id;
    delete from linked.brought
    using unnest(p_assets, p_tags) as pair (asset_id, tag_id)
    where brought.asset_id = pair.asset_id and brought.holder_id = pair.tag_id;
end
$linked$;
comment on function linked.erase_tags(uuid[], uuid[]) is 'Takes tags off assets, pair by pair.';

-- What a viewer puts on clones is the viewer's own. p_tags: of p_from, these; null: all.
create or replace function linked.add_tags(p_from uuid[], p_to uuid[], p_tags uuid[] default null) returns void
language plpgsql
as $linked$
declare
    v_users uuid[];
    v_assets uuid[];
    v_tags uuid[];
begin
    perform linked.plan_for(cardinality(p_from));
    select array_agg(pair.to_id), array_agg(theirs.{{ tag_asset.tagId }}), array_agg(member.owner_id)
    into v_assets, v_tags, v_users
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member their_member on their_member.asset_id = pair.from_id and their_member.can_write
    join linked.member on member.asset_id = pair.to_id
    join public.tag_asset theirs on theirs.{{ tag_asset.assetId }} = pair.from_id
    where p_tags is null or theirs.{{ tag_asset.tagId }} = any (p_tags);
    if v_assets is null then
        return;
    end if;
    perform linked.make_tags(array_agg(missing.user_id), array_agg(missing.value), array_agg(missing.like_id))
    from (
        select wanted.user_id, their_tag.value::text as value, their_tag."userId" as like_id
        from (select distinct user_id, tag_id from unnest(v_users, v_tags) as wanted (user_id, tag_id)) as wanted
        join public.tag their_tag on their_tag.id = wanted.tag_id
        where not exists (
            select from public.tag where tag."userId" = wanted.user_id and tag.value = their_tag.value
        )
    ) as missing
    having count(*) > 0;

    select array_agg(wanted.asset_id), array_agg(my_tag.id)
    into v_assets, v_tags
    from unnest(v_assets, v_tags, v_users) as wanted (asset_id, tag_id, user_id)
    join public.tag their_tag on their_tag.id = wanted.tag_id
    join public.tag my_tag on my_tag."userId" = wanted.user_id and my_tag.value = their_tag.value;
    perform linked.write_tags(v_assets, v_tags);
end
$linked$;
comment on function linked.add_tags(uuid[], uuid[], uuid[]) is
    'Puts the tags of p_from on the members p_to, pair by pair, by value.';

-- What an account with read rights alone put on its clone stays: nothing is taken off there that sync did not bring.
create or replace function linked.propagate_tags(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_tags uuid[];
begin
    perform linked.plan_for(cardinality(p_from));
    select array_agg(mine.{{ tag_asset.assetId }}), array_agg(my_tag.id)
    into v_assets, v_tags
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.to_id
    join public.tag_asset mine on mine.{{ tag_asset.assetId }} = pair.to_id
    join public.tag my_tag on my_tag.id = mine.{{ tag_asset.tagId }}
    where not exists (
            select from public.tag_asset theirs
            join public.tag their_tag on their_tag.id = theirs.{{ tag_asset.tagId }}
            where theirs.{{ tag_asset.assetId }} = pair.from_id and their_tag.value = my_tag.value
        )
        and (
            member.can_write
            or exists (
                select from linked.brought
                where brought.asset_id = pair.to_id and brought.holder_id = my_tag.id
            )
        );
    if v_assets is not null then
        perform linked.erase_tags(v_assets, v_tags);
        perform linked.note_unused_tags(array(select distinct id from unnest(v_tags) as id));
    end if;
    perform linked.add_tags(p_from, p_to);
end
$linked$;
comment on function linked.propagate_tags(uuid[], uuid[]) is
    'Makes the tags on the members p_to those that p_from have, pair by pair, by value.';

-- Never more than what was taken off: a tag that a sibling has for another cause stays. What a viewer took off comes back.
create or replace function linked.lose_tags(p_assets uuid[], p_tags uuid[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_tags uuid[];
begin
    perform linked.plan_for(cardinality(p_assets));
    delete from linked.brought
    using unnest(p_assets, p_tags) as gone (asset_id, tag_id)
    where brought.asset_id = gone.asset_id and brought.holder_id = gone.tag_id;

    select array_agg(my_member.asset_id), array_agg(my_tag.id)
    into v_assets, v_tags
    from unnest(p_assets, p_tags) as gone (asset_id, tag_id)
    join public.asset on asset.id = gone.asset_id
    left join public.tag_asset again
        on again.{{ tag_asset.assetId }} = gone.asset_id and again.{{ tag_asset.tagId }} = gone.tag_id
    join public.tag their_tag on their_tag.id = gone.tag_id
    join linked.member their_member on their_member.asset_id = gone.asset_id and their_member.can_write
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.asset_id <> their_member.asset_id
    join public.tag my_tag on my_tag."userId" = my_member.owner_id and my_tag.value = their_tag.value
    where again.{{ tag_asset.assetId }} is null
        and (
            my_member.can_write
            or exists (
                select from linked.brought
                where brought.asset_id = my_member.asset_id and brought.holder_id = my_tag.id
            )
        );
    if v_assets is not null then
        perform linked.erase_tags(v_assets, v_tags);
    end if;

    perform linked.add_tags(array_agg(member.source_id), array_agg(member.asset_id))
    from linked.member
    join public.asset on asset.id = member.asset_id
    where member.asset_id = any (p_assets) and not member.can_write
    having count(*) > 0;
end
$linked$;
comment on function linked.lose_tags(uuid[], uuid[]) is
    'After tags were taken off members: takes their counterparts off the siblings.';

-- Where a group was deleted, its clones have lost their tags without a trigger.
create or replace function linked.made_like(p_tags uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select made_tag.tag_id
        from public.tag theirs
        cross join (select distinct user_id from linked.participant) as account
        join public.tag on tag."userId" = account.user_id and tag.value = theirs.value
        join linked.made_tag on made_tag.tag_id = tag.id
        where theirs.id = any (p_tags)
    );
end
$linked$;
comment on function linked.made_like(uuid[]) is 'The tags of the addon''s with the same value as one of these.';

-- Immich's metadata extraction looks tags up, then deletes and inserts the rows of tag_asset in one transaction: a tag that
-- has just lost its last use may get it back. So it is only noted here, and swept by a later transaction.
create or replace function linked.note_unused_tags(p_tags uuid[]) returns void
language plpgsql
as $linked$
begin
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
        and (made_tag.unused_in is null) = (used.tag_id is null);
end
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
    {{ hold("tag", "id = any (v_unused)", "update") }}
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
    v_assets uuid[];
    v_tags uuid[];
begin
    select array_agg(member.asset_id), array_agg(tag.id)
    into v_assets, v_tags
    from unnest(p_users, p_values) as deleted (user_id, value)
    join public.tag on tag.value = deleted.value and tag."userId" <> deleted.user_id
    join public.tag_asset on tag_asset.{{ tag_asset.tagId }} = tag.id
    join linked.member on member.asset_id = tag_asset.{{ tag_asset.assetId }}
    join linked.member deleter
        on deleter.source_id = member.source_id and deleter.owner_id = deleted.user_id and deleter.can_write
    where (
            member.can_write
            or exists (
                select from linked.brought where brought.asset_id = member.asset_id and brought.holder_id = tag.id
            )
        )
        -- Put on again by somebody before the delete had its turn.
        and not exists (
            select from public.tag again
            join public.tag_asset theirs on theirs.{{ tag_asset.tagId }} = again.id
            where again."userId" = deleted.user_id and again.value = deleted.value
                and theirs.{{ tag_asset.assetId }} = deleter.asset_id
        );
    if v_assets is not null then
        perform linked.erase_tags(v_assets, v_tags);
        perform linked.note_unused_tags(array(select distinct id from unnest(v_tags) as id));
    end if;
end
$linked$;
comment on function linked.take_off_deleted_tags(uuid[], text[]) is
    'Takes the counterparts of deleted tags off the siblings of the members that had them.';

create or replace function linked.propagate_tag_colors(p_tags uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("tag", 'value in (select value from public.tag where id = any (p_tags)) and "userId" in (select user_id from linked.participant)') }}
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
        );
end
$linked$;
comment on function linked.propagate_tag_colors(uuid[]) is
    'Gives the colour of tags to their counterparts in accounts that have them on the same picture.';

{% set tagged_concerns_us %}
exists (
                    select from fresh
                    where {{ is_member("fresh." ~ tag_asset.assetId) }}
                        or exists (select from linked.made_tag where made_tag.tag_id = fresh.{{ tag_asset.tagId }})
                )
{%- endset %}
{% call(fresh, stale, statement) on("tag_asset", "insert", "Puts tags on the siblings.", look=tagged_concerns_us) %}

            declare
                v_tags uuid[] := array(select distinct {{ tag_asset.tagId }} from {{ fresh }});
            begin
                select from_ids, to_ids into v_from, v_to from linked.siblings(array(select {{ tag_asset.assetId }} from {{ fresh }}), false);
                if v_from is not null then
                    perform linked.add_tags(v_from, v_to, v_tags);
                end if;
                perform linked.note_unused_tags(v_tags);
            end;
{% endcall %}

{% set tagged_concerns_us %}
exists (
                    select from stale
                    where {{ is_member("stale." ~ tag_asset.assetId) }}
                        or exists (select from linked.made_tag where made_tag.tag_id = stale.{{ tag_asset.tagId }})
                        -- Of an asset that is gone nobody remembers whether it was a member.
                        or not exists (select from public.asset where asset.id = stale.{{ tag_asset.assetId }})
                        and exists (
                            select from public.tag join linked.participant on participant.user_id = tag."userId"
                            where tag.id = stale.{{ tag_asset.tagId }}
                        )
                )
{%- endset %}
{% call(fresh, stale, statement) on("tag_asset", "delete", "Takes tags off the siblings.", look=tagged_concerns_us) %}

            perform linked.lose_tags(array_agg(stale.{{ tag_asset.assetId }}), array_agg(stale.{{ tag_asset.tagId }}))
            from {{ stale }} join linked.member on member.asset_id = stale.{{ tag_asset.assetId }}
            having count(*) > 0;
            perform linked.note_unused_tags(linked.made_like(array(select distinct {{ tag_asset.tagId }} from {{ stale }})));
            -- Immich takes all tags off an asset before it puts back those that it has read. A viewer's are neither in the sidecar
            -- nor in the exif that these are read from.
            if position('{{ tag_asset.tagId }}' in {{ statement }}) = 0 then
                insert into public.tag_asset ({{ tag_asset.tagId }}, {{ tag_asset.assetId }})
                select tag.id, asset.id
                from {{ stale }}
                join linked.member on member.asset_id = stale.{{ tag_asset.assetId }} and not member.can_write
                join public.asset on asset.id = member.asset_id
                join public.tag on tag.id = stale.{{ tag_asset.tagId }}
                on conflict do nothing;
            end if;
{% endcall %}

-- From v3.2 on Immich renames tags, and what is below them. On the siblings the tag of the new value takes the place of that of the old
-- one, which may be on pictures that are nobody else's affair. What a viewer renames is the viewer's own from then on.
create or replace function linked.follow_renamed_tags(p_tags uuid[], p_values text[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_tags uuid[];
    v_from uuid[];
    v_to uuid[];
begin
    perform linked.plan_for((select count(*) from public.tag_asset where {{ tag_asset.tagId }} = any (p_tags)));
    select array_agg(member.asset_id), array_agg(tag.id)
    into v_assets, v_tags
    from unnest(p_tags, p_values) as renamed (tag_id, value)
    join public.tag_asset theirs on theirs.{{ tag_asset.tagId }} = renamed.tag_id
    join linked.member their_member on their_member.asset_id = theirs.{{ tag_asset.assetId }} and their_member.can_write
    join linked.member
        on member.source_id = their_member.source_id and member.asset_id <> their_member.asset_id
    join public.tag on tag."userId" = member.owner_id and tag.value = renamed.value
    join public.tag_asset mine on mine.{{ tag_asset.tagId }} = tag.id and mine.{{ tag_asset.assetId }} = member.asset_id
    where (
            member.can_write
            or exists (
                select from linked.brought where brought.asset_id = member.asset_id and brought.holder_id = tag.id
            )
        )
        -- Another tag of the old value has been put on since.
        and not exists (
            select from public.tag again
            join public.tag_asset use on use.{{ tag_asset.tagId }} = again.id
            where again."userId" = their_member.owner_id and again.value = renamed.value
                and use.{{ tag_asset.assetId }} = their_member.asset_id
        );
    if v_assets is not null then
        perform linked.erase_tags(v_assets, v_tags);
        perform linked.note_unused_tags(array(select distinct id from unnest(v_tags) as id));
    end if;

    select array_agg(their_member.asset_id), array_agg(member.asset_id)
    into v_from, v_to
    from (select distinct {{ tag_asset.assetId }} as asset_id from public.tag_asset where {{ tag_asset.tagId }} = any (p_tags)) as used
    join linked.member their_member on their_member.asset_id = used.asset_id and their_member.can_write
    join linked.member
        on member.source_id = their_member.source_id and member.asset_id <> their_member.asset_id;
    if v_from is not null then
        perform linked.add_tags(v_from, v_to, p_tags);
    end if;

    delete from linked.brought where holder_id = any (p_tags);
    select array_agg(member.source_id), array_agg(member.asset_id)
    into v_from, v_to
    from public.tag_asset
    join linked.member on member.asset_id = tag_asset.{{ tag_asset.assetId }} and not member.can_write
    where tag_asset.{{ tag_asset.tagId }} = any (p_tags);
    if v_from is not null then
        perform linked.add_tags(v_from, v_to);
    end if;
end
$linked$;
comment on function linked.follow_renamed_tags(uuid[], text[]) is
    'After tags that had these values were renamed: puts the tags of the new values on the siblings, instead of those of the old ones.';

{% call(fresh, stale, statement) on("tag", "update", "Propagates the colours of tags, and what they are called.", look="exists (select from fresh where " ~ takes_part('fresh."userId"') ~ ") and exists (select from " ~ changed("fresh", "stale", "color, value") ~ ")") %}

            perform linked.propagate_tag_colors(array(
                select id from {{ changed(fresh, stale, "color") }}
            ));
            perform linked.follow_renamed_tags(array_agg(renamed.id), array_agg(renamed.old_value))
            from (
                select id, max(old_value) as old_value
                from (
                    select id, value::text as old_value, null as new_value from {{ stale }}
                    union all
                    select id, null, value::text from {{ fresh }}
                ) as version
                group by id
                having max(old_value) <> max(new_value)
            ) as renamed
            having count(*) > 0;
{% endcall %}

{% set gone_tag_concerns_us %}
exists (
                    select from stale
                    where {{ takes_part('stale."userId"') }}
                        or exists (select from linked.made_tag where made_tag.tag_id = stale.id)
                )
{%- endset %}
{% call(fresh, stale, statement) on("tag", "delete", "Takes deleted tags off the siblings.", look=gone_tag_concerns_us) %}

            delete from linked.made_tag using {{ stale }} where made_tag.tag_id = stale.id;
            perform linked.take_off_deleted_tags(array_agg(stale."userId"), array_agg(stale.value::text))
            from {{ stale }} join public."user" account on account.id = stale."userId"
            having count(*) > 0;
            perform linked.note_unused_tags(array(select "parentId" from {{ stale }} where "parentId" is not null));
{% endcall %}
