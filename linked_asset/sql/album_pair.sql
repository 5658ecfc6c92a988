-- Counterpart albums: an album of an account's own pictures, for the other accounts' members.

{% from "macro/hold.sql" import hold %}

-- A row that sync has just added to an album or a tag may be one that Immich is about to insert: it has looked, found
-- nothing, and inserts without ON CONFLICT. A row trigger can let that row go; Immich does not read these rows back. It is
-- called for every row of anybody's: so what holds none that sync added is found out once, and remembered while the
-- transaction lasts. The condition on the holder is one that no index serves, because a plan made when there were few rows
-- would go through all of its rows, for each that is added.
{% macro skip_known(table, holder, asset, held) %}
create or replace function linked.is_known_{{ table }}(p_holder uuid, p_asset uuid) returns boolean
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
set lock_timeout = '0'
set enable_seqscan = off
as $linked$
begin
    if not exists ({{ held }}) then
        perform set_config('linked.untouched', p_holder::text, true);
        return false;
    end if;
    begin
        perform linked.wait_for_turn(null, false);
    exception when lock_not_available or deadlock_detected then
        -- Sync may have added the row in a transaction that goes on and on: here its end is waited for without an error.
        perform set_config('linked.writing', pg_current_xact_id()::text, true);
        insert into public.{{ table }} ({{ holder }}, {{ asset }}) values (p_holder, p_asset)
        on conflict do nothing;
        if found then
            delete from public.{{ table }} where {{ holder }} = p_holder and {{ asset }} = p_asset;
        end if;
        perform linked.stop_writing();
    end;
    return exists (
        select from public.{{ table }} known
        where known.{{ asset }} = p_asset and (known.{{ holder }} = p_holder) is true
    );
end
$linked$;
comment on function linked.is_known_{{ table }}(uuid, uuid) is
    'Whether Immich is about to insert what sync has just inserted. Waits for the turn where sync may have.';

-- What is set for a function is set for each row.
create or replace function linked.skip_known_{{ table }}() returns trigger
language plpgsql security definer
as $linked$
begin
    if pg_catalog.current_setting('linked.writing', true)
            operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
        or pg_catalog.current_setting('linked.untouched', true) operator(pg_catalog.=) new.{{ holder }}::pg_catalog.text
    then
        return new;
    end if;
    if linked.is_known_{{ table }}(new.{{ holder }}, new.{{ asset }}) then
        return null;
    end if;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.skip_known_{{ table }}() is
    'Drops rows that are there already, because sync was faster than Immich, instead of letting Immich''s insert fail.';
create or replace trigger linked_{{ table }}_skip_known before insert on public.{{ table }}
for each row execute function linked.skip_known_{{ table }}();
comment on trigger linked_{{ table }}_skip_known on public.{{ table }} is
    'Drops rows that are there already, because sync was faster than Immich, instead of letting Immich''s insert fail.';
{% endmacro %}

{{ skip_known("album_asset", album_asset.albumId, album_asset.assetId,
    "select from linked.album_pair where album_pair.album_id = p_holder") }}
{{ skip_known("tag_asset", tag_asset.tagId, tag_asset.assetId,
    'select from public.tag mine cross join linked.participant join public.tag theirs '
    ~ 'on theirs."userId" = participant.user_id and theirs.value = mine.value and theirs.id <> mine.id '
    ~ "where mine.id = p_holder") }}

-- The rows are found with plans for as many as there are. They are written with a plan that is kept: PostgreSQL checks foreign
-- keys row by row, and would plan that anew for each of them.
create or replace function linked.write_album_assets(p_albums uuid[], p_assets uuid[]) returns uuid[]
language plpgsql
set plan_cache_mode = auto
as $linked$
declare
    v_touched uuid[];
begin
    {{ hold("album", "id = any (p_albums)", "key share") }}
    {{ hold("asset", "id = any (p_assets)", "key share") }}
    with added as (
        insert into public.album_asset ({{ album_asset.albumId }}, {{ album_asset.assetId }})
        select album_id, asset_id from unnest(p_albums, p_assets) as pair (album_id, asset_id)
        on conflict do nothing
        returning {{ album_asset.albumId }} as album_id, {{ album_asset.assetId }} as asset_id
    ), noted as (
        insert into linked.brought (asset_id, holder_id)
        select added.asset_id, added.album_id
        from added join linked.member on member.asset_id = added.asset_id and not member.can_write
        on conflict do nothing
    )
    select array_agg(distinct album_id) into v_touched from added;
    return v_touched;
end
$linked$;
comment on function linked.write_album_assets(uuid[], uuid[]) is
    'Puts assets into albums, pair by pair, and notes which clones of viewers are among them. Returns the albums that changed.';

create or replace function linked.erase_album_assets(p_albums uuid[], p_assets uuid[]) returns void
language plpgsql
set plan_cache_mode = auto
as $linked$
begin
    perform from public.album_asset
    join unnest(p_albums, p_assets) as pair (album_id, asset_id)
        on {{ album_asset.albumId }} = pair.album_id and {{ album_asset.assetId }} = pair.asset_id
    for update of album_asset nowait;
    delete from public.album_asset
    using unnest(p_albums, p_assets) as pair (album_id, asset_id)
    where {{ album_asset.albumId }} = pair.album_id and {{ album_asset.assetId }} = pair.asset_id;
    delete from linked.brought
    using unnest(p_albums, p_assets) as pair (album_id, asset_id)
    where brought.asset_id = pair.asset_id and brought.holder_id = pair.album_id;
end
$linked$;
comment on function linked.erase_album_assets(uuid[], uuid[]) is 'Takes assets out of albums, pair by pair.';

create or replace function linked.make_counterparts(p_albums uuid[], p_users uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.album_pair (album_id, album_key, owner_id)
    select album.id, album.id, {{ owner_of("album") }}
    from public.album
    where album.id = any (p_albums) and {{ owner_of("album") }} is not null
        and not exists (select from linked.album_pair known where known.album_id = album.id)
    -- Whoever changes or deletes it cannot see yet that it is remembered.
    for share of album nowait
    on conflict do nothing;

    with missing as materialized (
        select gen_random_uuid() as album_id, wanted.album_key, wanted.owner_id, wanted.their_id
        from (
            select distinct on (their_pair.album_key, owner_id)
                their_pair.album_key, wanted.owner_id, their_pair.album_id as their_id
            from unnest(p_albums, p_users) as wanted (album_id, owner_id)
            join linked.album_pair their_pair on their_pair.album_id = wanted.album_id
            order by their_pair.album_key, owner_id, their_pair.album_id = their_pair.album_key desc
        ) as wanted
        where not exists (
                select from linked.album_pair
                where album_pair.album_key = wanted.album_key and album_pair.owner_id = wanted.owner_id
            )
            and not exists (
                select from linked.album_refusal
                where album_refusal.album_key = wanted.album_key and album_refusal.owner_id = wanted.owner_id
            )
            and not exists (
                select from linked.album_pair shared
                join public.album_user on album_user.{{ album_user.albumId }} = shared.album_id
                where shared.album_key = wanted.album_key and album_user.{{ album_user.userId }} = wanted.owner_id
                    and album_user.role <> 'owner'
            )
    ), made as (
        insert into public.album (id{% if "ownerId" in album %}, "ownerId"{% endif %}, "albumName", description, "order", "isActivityEnabled")
        select missing.album_id{% if "ownerId" in album %}, missing.owner_id{% endif %}, theirs."albumName", theirs.description, theirs."order",
            theirs."isActivityEnabled"
        from missing join public.album theirs on theirs.id = missing.their_id
{% if "ownerId" not in album %}
    ), owned as (
        insert into public.album_user ({{ album_user.albumId }}, {{ album_user.userId }}, role)
        select album_id, owner_id, 'owner' from missing
{% endif %}
    )
    insert into linked.album_pair (album_id, album_key, owner_id)
    select album_id, album_key, owner_id from missing;
end
$linked$;
comment on function linked.make_counterparts(uuid[], uuid[]) is
    'Creates what is missing of the counterparts of albums in accounts, pair by pair.';

-- Albums of an account's own in which members are that it may change. What a viewer puts into albums is the viewer's own.
-- p_albums: of these; null: of all.
create or replace function linked.add_to_albums(p_from uuid[], p_to uuid[], p_albums uuid[] default null) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_theirs uuid[];
    v_users uuid[];
    v_albums uuid[];
begin
    perform linked.plan_for(cardinality(p_from));
    select array_agg(mine.id), array_agg(album.id), array_agg(mine."ownerId")
    into v_assets, v_theirs, v_users
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.from_id and member.can_write
    join public.album_asset theirs on theirs.{{ album_asset.assetId }} = pair.from_id
    join public.album on album.id = theirs.{{ album_asset.albumId }} and {{ owner_of("album") }} = member.owner_id
    join public.asset mine on mine.id = pair.to_id and mine.visibility <> 'locked'
    where album."deletedAt" is null
        and (p_albums is null or album.id = any (p_albums))
        and not linked.is_linked_album(album."albumName");
    if v_assets is null then
        return;
    end if;
    v_albums := array(select distinct id from unnest(v_theirs) as id);
    perform linked.make_counterparts(array_agg(album_id), array_agg(user_id))
    from (select distinct album_id, user_id from unnest(v_theirs, v_users) as wanted (album_id, user_id)) as wanted;

    select array_agg(my_pair.album_id), array_agg(wanted.asset_id)
    into v_theirs, v_assets
    from unnest(v_theirs, v_users, v_assets) as wanted (album_id, user_id, asset_id)
    join linked.album_pair their_pair on their_pair.album_id = wanted.album_id
    join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key and my_pair.owner_id = wanted.user_id
    join public.album mine on mine.id = my_pair.album_id;
    v_theirs := linked.write_album_assets(v_theirs, v_assets);
    {{ hold("album", "id = any (v_theirs)") }}
    update public.album set "updatedAt" = clock_timestamp() where id = any (v_theirs);
    perform linked.propagate_covers(v_albums);
end
$linked$;
comment on function linked.add_to_albums(uuid[], uuid[], uuid[]) is
    'Puts the members p_to into the counterparts of the albums that p_from are in, pair by pair, creating what is missing.';

-- Never more than what left: a member that is not in an album for another cause tells nothing about its siblings.
create or replace function linked.leave_albums(p_albums uuid[], p_assets uuid[]) returns void
language plpgsql
as $linked$
declare
    v_albums uuid[];
    v_assets uuid[];
begin
    perform linked.plan_for(cardinality(p_assets));
    delete from linked.brought
    using unnest(p_albums, p_assets) as gone (album_id, asset_id)
    where brought.asset_id = gone.asset_id and brought.holder_id = gone.album_id;

    select array_agg(my_pair.album_id), array_agg(my_member.asset_id)
    into v_albums, v_assets
    from unnest(p_albums, p_assets) as gone (album_id, asset_id)
    join public.album on album.id = gone.album_id
    join public.asset theirs on theirs.id = gone.asset_id and theirs.visibility <> 'locked'
    join linked.member their_member
        on their_member.asset_id = theirs.id and their_member.owner_id = {{ owner_of("album") }} and their_member.can_write
    join linked.album_pair their_pair on their_pair.album_id = album.id
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.asset_id <> their_member.asset_id
    join linked.album_pair my_pair
        on my_pair.album_key = their_pair.album_key and my_pair.owner_id = my_member.owner_id
    left join public.album_asset again
        on again.{{ album_asset.albumId }} = gone.album_id and again.{{ album_asset.assetId }} = gone.asset_id
    where again.{{ album_asset.assetId }} is null
        and (
            my_member.can_write
            or exists (
                select from linked.brought
                where brought.asset_id = my_member.asset_id and brought.holder_id = my_pair.album_id
            )
        );
    perform linked.erase_album_assets(v_albums, v_assets);

    -- What a viewer took out comes back.
    perform linked.add_to_albums(array_agg(sibling.asset_id), array_agg(member.asset_id))
    from linked.member
    join linked.member sibling on sibling.source_id = member.source_id and sibling.can_write
    where member.asset_id = any (p_assets) and not member.can_write
    having count(*) > 0;
end
$linked$;
comment on function linked.leave_albums(uuid[], uuid[]) is
    'After members left albums: takes their siblings out of the counterparts, pair by pair.';

create or replace function linked.brought_for_nobody(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, album_id uuid)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select member.source_id, member.asset_id, my_pair.album_id
    from linked.member
    join linked.brought on brought.asset_id = member.asset_id
    join linked.album_pair my_pair on my_pair.album_id = brought.holder_id
    where member.source_id = any (p_sources)
        and not exists (
            select from linked.member sibling
            join public.album_asset theirs on theirs.{{ album_asset.assetId }} = sibling.asset_id
            join linked.album_pair their_pair
                on their_pair.album_id = theirs.{{ album_asset.albumId }} and their_pair.owner_id = sibling.owner_id
            where sibling.source_id = member.source_id and sibling.can_write
                and their_pair.album_key = my_pair.album_key
        )
        -- What is in a locked folder is in no album, and tells nothing.
        and not exists (
            select from linked.member sibling
            join public.asset on asset.id = sibling.asset_id and asset.visibility = 'locked'
            where sibling.source_id = member.source_id and sibling.can_write
        );
end
$linked$;
comment on function linked.brought_for_nobody(uuid[]) is
    'Clones of viewers in counterparts that sync had put them into, where nobody else has the picture in it now.';

create or replace function linked.leave_albums_of_nobody(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.erase_album_assets(array_agg(album_id), array_agg(asset_id))
    from linked.brought_for_nobody(p_sources)
    having count(*) > 0;
end
$linked$;
comment on function linked.leave_albums_of_nobody(uuid[]) is
    'Takes clones of viewers out of the counterparts in which nobody else has the picture now.';

{% macro hold_counterparts(albums) -%}
{{ hold("album", "id in (
            select my_pair.album_id
            from linked.album_pair their_pair join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key
            where their_pair.album_id = any (" ~ albums ~ ")
        )") }}
{%- endmacro %}
create or replace function linked.propagate_covers(p_albums uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold_counterparts("p_albums") }}
    update public.album mine
    set "albumThumbnailAssetId" = wanted.cover_id
    from (
        select my_pair.album_id, my_member.asset_id as cover_id
        from public.album theirs
        join linked.member their_member on their_member.asset_id = theirs."albumThumbnailAssetId"
        join linked.album_pair their_pair on their_pair.album_id = theirs.id
        join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key and my_pair.album_id <> theirs.id
        join linked.member my_member
            on my_member.source_id = their_member.source_id and my_member.owner_id = my_pair.owner_id
        where theirs.id = any (p_albums)
    ) as wanted
    where mine.id = wanted.album_id and mine."albumThumbnailAssetId" is distinct from wanted.cover_id
        and exists (
            select from public.album_asset
            where {{ album_asset.albumId }} = wanted.album_id and {{ album_asset.assetId }} = wanted.cover_id
        );
end
$linked$;
comment on function linked.propagate_covers(uuid[]) is
    'Gives the counterparts of these albums the same cover, where it is a member.';

-- What counts is what any of the counterparts holds: who took their own pictures out of theirs, or locked them, has no more
-- rights by it. Where none holds any, who is a viewer of anything has none. While a change of role that sync missed is not
-- followed yet, members still have the rights of before: so the role has to allow it too.
create or replace function linked.may_edit_album(p_album uuid, p_owner uuid) returns boolean
language plpgsql stable
as $linked$
declare
    v_roles text[] := array(select role from linked.participant where user_id = p_owner);
    v_seen boolean;
    v_edited boolean;
begin
    if cardinality(v_roles) = 0 then
        return false;
    end if;
    v_edited := exists (
        select from linked.album_pair my_pair
        join linked.album_pair their_pair on their_pair.album_key = my_pair.album_key
        join public.album_asset on album_asset.{{ album_asset.albumId }} = their_pair.album_id
        join linked.member their_member on their_member.asset_id = album_asset.{{ album_asset.assetId }}
        join linked.member my_member
            on my_member.source_id = their_member.source_id and my_member.owner_id = p_owner and my_member.can_write
        where my_pair.album_id = p_album
            and (my_member.asset_id = my_member.source_id or v_roles && '{owner,editor}')
    );
    if v_edited or 'viewer' = any (v_roles) then
        return v_edited;
    end if;
    return not exists (
        select from linked.album_pair my_pair
        join linked.album_pair their_pair on their_pair.album_key = my_pair.album_key
        join public.album_asset on album_asset.{{ album_asset.albumId }} = their_pair.album_id
        join linked.member on member.asset_id = album_asset.{{ album_asset.assetId }}
        where my_pair.album_id = p_album
    );
end
$linked$;
comment on function linked.may_edit_album(uuid, uuid) is
    'Whether the owner of a counterpart may change the pictures in it, and so what all counterparts are called.';

-- The creator's album, unless its owner may not edit it any more. Who still has clones, or rights, from before a change that
-- sync missed comes last.
create or replace function linked.leading_album(p_key uuid) returns uuid
language plpgsql stable
as $linked$
begin
    return (
        with held as materialized (
            select distinct member.source_id
            from linked.album_pair
            join public.album_asset on album_asset.{{ album_asset.albumId }} = album_pair.album_id
            join linked.member on member.asset_id = album_asset.{{ album_asset.assetId }}
            where album_pair.album_key = p_key
        ), editor as materialized (
            select source."ownerId" as user_id from held join public.asset source on source.id = held.source_id
            union
            select user_id from linked.wanted(array(select source_id from held)) as wanted where can_write
        )
        select album_pair.album_id
        from linked.album_pair
        join public.album on album.id = album_pair.album_id
        where album_pair.album_key = p_key and linked.may_edit_album(album_pair.album_id, album_pair.owner_id)
        order by
            album_pair.owner_id in (select user_id from editor) desc,
            album_pair.album_id = album_pair.album_key desc, album."createdAt", album_pair.album_id
        limit 1
    );
end
$linked$;
comment on function linked.leading_album(uuid) is
    'Which of the albums with a key the others take after, where they differ. Null: none.';

-- The counterpart of who may only look takes after the leading one instead. Who is not linked learns nothing.
create or replace function linked.propagate_album_details(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_origins uuid[] := array(
        select distinct on (changed.album_key)
            case when changed.may_edit then changed.album_id else linked.leading_album(changed.album_key) end
        from (
            select album_pair.*, linked.may_edit_album(album_id, owner_id) as may_edit
            from linked.album_pair
            where album_id = any (p_albums)
        ) as changed
        order by changed.album_key, changed.may_edit desc, changed.album_id = changed.album_key desc, changed.album_id
    );
begin
    {{ hold_counterparts("v_origins") }}
    update public.album mine
    set "albumName" = theirs."albumName", description = theirs.description, "order" = theirs."order"
    from public.album theirs
    join linked.album_pair their_pair on their_pair.album_id = theirs.id
    join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key
    where theirs.id = any (v_origins) and mine.id = my_pair.album_id and mine.id <> theirs.id
        and my_pair.owner_id in (select user_id from linked.participant)
        and (mine."albumName", mine.description, mine."order")
            is distinct from (theirs."albumName", theirs.description, theirs."order");
    perform linked.propagate_covers(v_origins);
end
$linked$;
comment on function linked.propagate_album_details(uuid[]) is
    'Gives name, description, order and cover of these albums to their counterparts.';

create or replace function linked.delete_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
begin
    if pg_trigger_depth() > 1 then
        insert into public.album_audit ("albumId", "userId")
        select {{ album_user.albumId }}, {{ album_user.userId }}
        from public.album_user where {{ album_user.albumId }} = any (p_albums);
    end if;
    {{ hold("album", "id = any (p_albums)", "update") }}
    -- While the content is there: where the owner is a user of the album, it goes with its owner's row.
    delete from linked.brought
    using public.album_asset
    where album_asset.{{ album_asset.albumId }} = any (p_albums)
        and brought.asset_id = album_asset.{{ album_asset.assetId }}
        and brought.holder_id = album_asset.{{ album_asset.albumId }};
    delete from public.album_user where {{ album_user.albumId }} = any (p_albums);
{% if "ownerId" in album %}
    if pg_trigger_depth() > 0 then
        insert into public.album_audit ("albumId", "userId")
        select id, "ownerId" from public.album where id = any (p_albums);
    end if;
{% endif %}
    delete from public.album where id = any (p_albums);
    delete from linked.album_pair where album_id = any (p_albums);
end
$linked$;
comment on function linked.delete_albums(uuid[]) is
    'Deletes albums that the addon made, with the audit rows that a delete by Immich itself would leave.';

-- An album that holds what its owner put there for themselves stays, and only the rest leaves it. For themselves is what the
-- other accounts have no member of, and what sync did not bring to a viewer.
create or replace function linked.withdraw_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_albums uuid[];
    v_assets uuid[];
    v_kept uuid[];
begin
    with held as materialized (
        select album_pair.album_id, member.asset_id,
            case
                when member.can_write then exists (
                    select from linked.album_pair other
                    join linked.member sibling
                        on sibling.source_id = member.source_id and sibling.owner_id = other.owner_id
                    where other.album_key = album_pair.album_key and other.album_id <> album_pair.album_id
                )
                else exists (
                    select from linked.brought
                    where brought.asset_id = member.asset_id and brought.holder_id = album_pair.album_id
                )
            end as leaves
        from linked.album_pair
        join public.album_asset on album_asset.{{ album_asset.albumId }} = album_pair.album_id
        left join linked.member
            on member.asset_id = album_asset.{{ album_asset.assetId }} and member.owner_id = album_pair.owner_id
        where album_pair.album_id = any (p_albums)
    ), kept as (
        select album_id from held group by album_id having not bool_and(leaves)
    )
    select array_agg(held.album_id) filter (where held.leaves), array_agg(held.asset_id) filter (where held.leaves),
        array_agg(distinct held.album_id)
    into v_albums, v_assets, v_kept
    from kept join held on held.album_id = kept.album_id;
    perform linked.erase_album_assets(v_albums, v_assets);
    delete from linked.album_pair where album_id = any (v_kept);
    perform linked.delete_albums(array(
        select unnest(p_albums) except select unnest(v_kept)
    ));
end
$linked$;
comment on function linked.withdraw_albums(uuid[]) is
    'Takes counterpart albums out of accounts: all of an album, or what the others have in it.';

-- The creator's delete is everybody's, while the creator may edit the album; any other is somebody's own. Albums that go with their owner's account tell
-- nothing (Immich has marked the account as deleted by then); who saw such an album itself now needs a counterpart.
create or replace function linked.follow_deleted_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_keys uuid[] := array(
        select album_pair.album_key
        from linked.album_pair
        join public."user" account on account.id = album_pair.owner_id and account."deletedAt" is null
        where album_pair.album_id = any (p_albums) and album_pair.album_id = album_pair.album_key
            and linked.may_edit_album(album_pair.album_id, album_pair.owner_id)
    );
    v_orphans uuid[];
    v_others uuid[];
begin
    insert into linked.album_refusal (album_key, owner_id)
    select album_pair.album_key, album_pair.owner_id
    from linked.album_pair
    join public."user" account on account.id = album_pair.owner_id and account."deletedAt" is null
    where album_pair.album_id in (select unnest(p_albums) except select unnest(v_keys))
    on conflict do nothing;
    v_orphans := array(
        select other.album_id
        from linked.album_pair
        join linked.album_pair other on other.album_key = album_pair.album_key
        where album_pair.album_id = any (p_albums)
        except
        select album_id from linked.album_pair where album_key = any (v_keys) or album_id = any (p_albums)
    );
    v_others := array(
        select user_id from linked.participant
        except
        select owner_id from linked.album_pair where album_id = any (p_albums)
    );
    perform linked.withdraw_albums(array(
        select album_id from linked.album_pair where album_key = any (v_keys)
        except
        select unnest(p_albums)
    ));
    delete from linked.album_pair where album_id = any (p_albums);
    delete from linked.album_refusal where album_key = any (v_keys);
    perform linked.spread_albums(v_orphans, v_others);
end
$linked$;
comment on function linked.follow_deleted_albums(uuid[]) is
    'After albums were deleted: withdraws the counterparts of a creator''s album, remembers who refused one.';

-- Whoever sees an album because it is shared with them needs no counterpart of it; who had seen that counterpart now needs one.
-- What somebody shows who may not edit it takes nothing from anybody.
create or replace function linked.follow_shared_albums(p_albums uuid[], p_users uuid[]) returns void
language plpgsql
as $linked$
declare
    -- Found first, and asked about then: of all albums it would be asked where the tables are read from end to end.
    v_withdrawn uuid[] := array(
        with seen as materialized (
            select my_pair.album_id, their_pair.album_id as their_id, their_pair.owner_id as their_owner_id
            from unnest(p_albums, p_users) as shared (album_id, user_id)
            join linked.album_pair their_pair on their_pair.album_id = shared.album_id
            join linked.album_pair my_pair
                on my_pair.album_key = their_pair.album_key and my_pair.owner_id = shared.user_id
            where my_pair.album_id <> my_pair.album_key
        )
        select album_id from seen where linked.may_edit_album(their_id, their_owner_id)
    );
    v_left uuid[] := array(
        select {{ album_user.userId }} from public.album_user where {{ album_user.albumId }} = any (v_withdrawn)
    );
begin
    perform linked.withdraw_albums(v_withdrawn);
    if cardinality(v_left) > 0 then
        perform linked.spread_albums(linked.counterparts(p_albums), v_left);
    end if;
end
$linked$;
comment on function linked.follow_shared_albums(uuid[], uuid[]) is
    'After albums were shared with users: takes the counterparts out of their accounts.';

-- p_users: to whom; null: to everybody.
create or replace function linked.spread_albums(p_albums uuid[], p_users uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.add_to_albums(array_agg(their_member.asset_id), array_agg(my_member.asset_id), p_albums)
    from public.album_asset
    join linked.member their_member on their_member.asset_id = album_asset.{{ album_asset.assetId }}
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.asset_id <> their_member.asset_id
    join public."user" account on account.id = my_member.owner_id
    where album_asset.{{ album_asset.albumId }} = any (p_albums)
        and (p_users is null or my_member.owner_id = any (p_users))
    having count(*) > 0;
end
$linked$;
comment on function linked.spread_albums(uuid[], uuid[]) is
    'Gives accounts the counterparts that they now need of these albums.';

-- Counterparts of albums hold the pictures of who may not write in these themselves.
create or replace function linked.counterparts(p_albums uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select distinct other.album_id
        from linked.album_pair
        join linked.album_pair other on other.album_key = album_pair.album_key
        where album_pair.album_id = any (p_albums)
    );
end
$linked$;
comment on function linked.counterparts(uuid[]) is 'These albums, as far as they have counterparts, and the counterparts.';

-- Albums of accounts that are not linked any more are their own affair, and the others' are no counterparts of them: not
-- when linked again either, because what they are called may be private by then. The key of a creator who left is nobody's
-- album. Who saw such an album itself now needs a counterpart.
create or replace function linked.part_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_parted uuid[] := array(
        select album_id from linked.album_pair
        where album_id = any (p_albums) and owner_id not in (select user_id from linked.participant)
            and (
                album_id = album_key
                or not exists (
                    select from public.album_asset
                    join linked.member on member.asset_id = album_asset.{{ album_asset.assetId }}
                    where album_asset.{{ album_asset.albumId }} = album_pair.album_id
                        and member.owner_id = album_pair.owner_id
                )
            )
    );
    v_left uuid[];
begin
    if cardinality(v_parted) = 0 then
        return;
    end if;
    v_left := array(select unnest(linked.counterparts(v_parted)) except select unnest(v_parted));
    delete from linked.album_pair where album_id = any (v_parted);
    with passed as materialized (
        select id as old_key, gen_random_uuid() as new_key from unnest(v_parted) as id
    ), refused as (
        update linked.album_refusal set album_key = new_key from passed where album_key = old_key
    )
    update linked.album_pair set album_key = new_key from passed where album_key = old_key;
    perform linked.spread_albums(v_left, array(
        select distinct {{ album_user.userId }} from public.album_user
        where {{ album_user.albumId }} = any (v_parted) and role <> 'owner'
    ));
end
$linked$;
comment on function linked.part_albums(uuid[]) is
    'Parts those of these albums from their counterparts whose owners are not linked any more.';
