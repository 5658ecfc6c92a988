-- Counterpart albums: an album of an account's own pictures, for the other accounts' members.

-- A row that sync has just added to an album or a tag may be one that Immich is about to insert: it has looked, found
-- nothing, and inserts without ON CONFLICT. A row trigger can let that row go; Immich does not read these rows back. An
-- album takes one member of a group only: whoever it is shared with has a member too, and would see the picture twice.
{% for table, one, other in [
    ("album_asset", album_asset.albumId, album_asset.assetId),
    ("tag_asset", tag_asset.tagId, tag_asset.assetId),
] %}
create or replace function linked.skip_known_{{ table }}() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    if not linked.is_off()
        and exists (
            select from public.{{ table }} known
            where known.{{ one }} = new.{{ one }}
{% if table == "album_asset" %}
                and known.{{ other }} in (
                    select sibling.asset_id
                    from linked.member join linked.member sibling on sibling.source_id = member.source_id
                    where member.asset_id = new.{{ other }}
                )
{% else %}
                and known.{{ other }} = new.{{ other }}
{% endif %}
        )
    then
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
{% endfor %}

create or replace function linked.add_to_albums(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
declare
    v_touched uuid[];
    v_albums uuid[];
begin
    v_albums := array(
        select distinct album.id
        from public.album_asset theirs
        join linked.member on member.asset_id = theirs.{{ album_asset.assetId }}
        join public.album on album.id = theirs.{{ album_asset.albumId }} and album."ownerId" = member.owner_id
        where theirs.{{ album_asset.assetId }} = any (p_from) and member.can_write
            and album."deletedAt" is null and not linked.is_linked_album(album."albumName")
    );
    insert into linked.album_pair (album_id, album_key, owner_id)
    select id, id, "ownerId" from public.album where id = any (v_albums)
    on conflict do nothing;

    with missing as materialized (
        select gen_random_uuid() as album_id, wanted.album_key, wanted.owner_id, wanted.their_id
        from (
            select distinct on (their_pair.album_key, member.owner_id)
                their_pair.album_key, member.owner_id, their_pair.album_id as their_id
            from unnest(p_from, p_to) as pair (from_id, to_id)
            join linked.member on member.asset_id = pair.to_id
            join public.album_asset theirs on theirs.{{ album_asset.assetId }} = pair.from_id
            join linked.album_pair their_pair on their_pair.album_id = theirs.{{ album_asset.albumId }}
            where their_pair.album_id = any (v_albums)
            order by their_pair.album_key, member.owner_id, their_pair.album_id = their_pair.album_key desc
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
            )
    ), made as (
        insert into public.album (id, "ownerId", "albumName", description, "order", "isActivityEnabled")
        select missing.album_id, missing.owner_id, theirs."albumName", theirs.description, theirs."order",
            theirs."isActivityEnabled"
        from missing join public.album theirs on theirs.id = missing.their_id
    )
    insert into linked.album_pair (album_id, album_key, owner_id)
    select album_id, album_key, owner_id from missing;

    with added as (
        insert into public.album_asset ({{ album_asset.albumId }}, {{ album_asset.assetId }})
        select distinct my_pair.album_id, pair.to_id
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join linked.member on member.asset_id = pair.to_id
        join public.album_asset theirs on theirs.{{ album_asset.assetId }} = pair.from_id
        join linked.album_pair their_pair on their_pair.album_id = theirs.{{ album_asset.albumId }}
        join linked.album_pair my_pair
            on my_pair.album_key = their_pair.album_key and my_pair.owner_id = member.owner_id
        where their_pair.album_id = any (v_albums)
            and not exists (
                select from public.album_asset known
                join linked.member other on other.asset_id = known.{{ album_asset.assetId }}
                where known.{{ album_asset.albumId }} = my_pair.album_id and other.source_id = member.source_id
            )
        on conflict do nothing
        returning {{ album_asset.albumId }} as id
    )
    select array_agg(distinct id) into v_touched from added;
    update public.album set "updatedAt" = clock_timestamp() where id = any (v_touched);
    perform linked.propagate_covers(v_albums);
end
$linked$;
comment on function linked.add_to_albums(uuid[], uuid[]) is
    'Puts the members p_to into the counterparts of the albums that p_from are in, pair by pair, creating what is missing.';

-- What is in an album of the one account belongs into the counterpart in the other; what the one account's counterpart
-- does not hold leaves the other's. Where an account has no counterpart (it refused it, or sees the album itself), that
-- tells nothing. Never deletes a row in order to insert it again: comments and likes hang on it.
create or replace function linked.propagate_albums(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    if not exists (
        select from public.album_asset
        where {{ album_asset.assetId }} = any (p_from) or {{ album_asset.assetId }} = any (p_to)
    ) then
        return;
    end if;
    delete from public.album_asset mine
    using unnest(p_from, p_to) as pair (from_id, to_id), linked.member their_member, linked.album_pair my_pair,
        linked.album_pair their_pair
    where mine.{{ album_asset.assetId }} = pair.to_id and my_pair.album_id = mine.{{ album_asset.albumId }}
        and their_member.asset_id = pair.from_id
        and their_pair.album_key = my_pair.album_key and their_pair.owner_id = their_member.owner_id
        and not exists (
            select from public.album_asset theirs
            where theirs.{{ album_asset.albumId }} = their_pair.album_id
                and theirs.{{ album_asset.assetId }} = pair.from_id
        );
    perform linked.add_to_albums(p_from, p_to);
end
$linked$;
comment on function linked.propagate_albums(uuid[], uuid[]) is
    'Puts the members p_to into, and takes them out of, the counterparts of the albums that p_from are in, pair by pair.';

create or replace function linked.propagate_covers(p_albums uuid[]) returns void
language sql
as $linked$
    update public.album mine
    set "albumThumbnailAssetId" = my_member.asset_id
    from public.album theirs
    join linked.album_pair their_pair on their_pair.album_id = theirs.id
    join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key and my_pair.album_id <> theirs.id
    join linked.member their_member on their_member.asset_id = theirs."albumThumbnailAssetId"
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.owner_id = my_pair.owner_id
    join public.album_asset
        on album_asset.{{ album_asset.albumId }} = my_pair.album_id
        and album_asset.{{ album_asset.assetId }} = my_member.asset_id
    where theirs.id = any (p_albums) and mine.id = my_pair.album_id
        and mine."albumThumbnailAssetId" is distinct from my_member.asset_id
$linked$;
comment on function linked.propagate_covers(uuid[]) is
    'Gives the counterparts of these albums the same cover, where it is a member.';

-- A viewer's counterpart takes after the creator's album instead.
create or replace function linked.propagate_album_details(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_origins uuid[] := array(
        select distinct on (changed.album_key)
            case
                when exists (select from linked.member where member.owner_id = changed.owner_id and member.can_write)
                    then changed.album_id
                else changed.album_key
            end
        from linked.album_pair changed
        where changed.album_id = any (p_albums)
        order by changed.album_key, changed.album_id = changed.album_key desc, changed.album_id
    );
begin
    update public.album mine
    set "albumName" = theirs."albumName", description = theirs.description, "order" = theirs."order"
    from public.album theirs
    join linked.album_pair their_pair on their_pair.album_id = theirs.id
    join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key
    where theirs.id = any (v_origins) and mine.id = my_pair.album_id and mine.id <> theirs.id
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
    delete from public.album_user where {{ album_user.albumId }} = any (p_albums);
    if pg_trigger_depth() > 0 then
        insert into public.album_audit ("albumId", "userId")
        select id, "ownerId" from public.album where id = any (p_albums);
    end if;
    delete from public.album where id = any (p_albums);
    delete from linked.album_pair where album_id = any (p_albums);
end
$linked$;
comment on function linked.delete_albums(uuid[]) is
    'Deletes albums that the addon made, with the audit rows that a delete by Immich itself would leave.';

-- An album that holds assets of its owner's own stays, and only the linked ones leave it.
create or replace function linked.withdraw_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_kept uuid[] := array(
        select distinct {{ album_asset.albumId }}
        from public.album_asset
        where {{ album_asset.albumId }} = any (p_albums)
            and not exists (select from linked.member where member.asset_id = album_asset.{{ album_asset.assetId }})
    );
begin
    delete from public.album_asset
    using linked.member
    where {{ album_asset.albumId }} = any (v_kept) and member.asset_id = album_asset.{{ album_asset.assetId }};
    delete from linked.album_pair where album_id = any (v_kept);
    perform linked.delete_albums(array(
        select id from unnest(p_albums) as id where id <> all (v_kept)
    ));
end
$linked$;
comment on function linked.withdraw_albums(uuid[]) is
    'Takes counterpart albums out of accounts: all of an album, or what is linked in it.';

-- The creator's delete is everybody's; somebody else's is their own. Albums that go with their owner's account tell
-- nothing (Immich has marked the account as deleted by then); who saw such an album itself now needs a counterpart.
create or replace function linked.follow_deleted_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_keys uuid[];
    v_orphans uuid[];
begin
    insert into linked.album_refusal (album_key, owner_id)
    select album_pair.album_key, album_pair.owner_id
    from linked.album_pair
    join public."user" account on account.id = album_pair.owner_id and account."deletedAt" is null
    where album_pair.album_id = any (p_albums) and album_pair.album_id <> album_pair.album_key
    on conflict do nothing;
    v_keys := array(
        select album_pair.album_key
        from linked.album_pair
        join public."user" account on account.id = album_pair.owner_id and account."deletedAt" is null
        where album_pair.album_id = any (p_albums) and album_pair.album_id = album_pair.album_key
    );
    v_orphans := array(
        select other.album_id
        from linked.album_pair
        join linked.album_pair other on other.album_key = album_pair.album_key
        where album_pair.album_id = any (p_albums) and other.album_id <> all (p_albums)
            and album_pair.album_key <> all (v_keys)
    );
    delete from linked.album_pair where album_id = any (p_albums);
    perform linked.withdraw_albums(array(select album_id from linked.album_pair where album_key = any (v_keys)));
    delete from linked.album_refusal where album_key = any (v_keys);
    perform linked.spread_albums(v_orphans, null);
end
$linked$;
comment on function linked.follow_deleted_albums(uuid[]) is
    'After albums were deleted: withdraws the counterparts of a creator''s album, remembers who refused one.';

-- Whoever sees an album because it is shared with them needs no counterpart of it.
create or replace function linked.follow_shared_albums(p_albums uuid[], p_users uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.withdraw_albums(array(
        select my_pair.album_id
        from unnest(p_albums, p_users) as shared (album_id, user_id)
        join linked.album_pair their_pair on their_pair.album_id = shared.album_id
        join linked.album_pair my_pair
            on my_pair.album_key = their_pair.album_key and my_pair.owner_id = shared.user_id
        where my_pair.album_id <> my_pair.album_key
    ));
end
$linked$;
comment on function linked.follow_shared_albums(uuid[], uuid[]) is
    'After albums were shared with users: takes the counterparts out of their accounts.';

-- p_users: to whom; null: to everybody.
create or replace function linked.spread_albums(p_albums uuid[], p_users uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.propagate_albums(array_agg(their_member.asset_id), array_agg(my_member.asset_id))
    from public.album_asset
    join linked.member their_member on their_member.asset_id = album_asset.{{ album_asset.assetId }}
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.asset_id <> their_member.asset_id
    join public."user" account on account.id = my_member.owner_id and account."deletedAt" is null
    where album_asset.{{ album_asset.albumId }} = any (p_albums)
        and (p_users is null or my_member.owner_id = any (p_users))
    having count(*) > 0;
end
$linked$;
comment on function linked.spread_albums(uuid[], uuid[]) is
    'Gives accounts the counterparts that they now need of these albums.';
