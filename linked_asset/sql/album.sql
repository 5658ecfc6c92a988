-- Changes of linked albums and of other albums that sync has to do with.

{% from "macro/frame.sql" import on, changed, is_member, groups_of, takes_part with context %}

create or replace function linked.refresh_albums(p_albums uuid[], p_names uuid[], p_lines uuid[]) returns void
language plpgsql
as $linked$
declare
    v_before uuid[];
    v_users uuid[];
    v_sources uuid[];
    v_change text;
begin
    v_before := array(select distinct user_id from linked.participant where album_id = any (p_albums));
    v_change := linked.understand(p_albums, p_names, p_lines);
    if v_change is null then
        return;
    end if;
    v_sources := linked.assets_of_albums(array(
        select album_id from linked.linked_album where album_id = any (p_albums)
    ));
    perform linked.plan_for(cardinality(v_sources));
    -- Shared anew: what the viewer had hidden comes back.
    v_users := array(
        select distinct user_id from linked.participant
        where album_id = any (p_albums) and user_id <> all (v_before)
    );
    delete from linked.dismissal
    where user_id = any (v_users) and source_id = any (v_sources);
    -- What is being uploaded is not seen yet, nor does whoever uploads it see the change.
    insert into linked.second_look (album_id)
    select album_id from linked.linked_album where album_id = any (p_albums);
    if v_change = 'more' then
        perform linked.extend_membership(p_albums, v_sources);
    else
        perform linked.drop_needless_queue();
        perform linked.refresh_membership(array(
            select id from unnest(v_sources) as id
            union
            select source_id from linked.member where owner_id = any (v_before)
        ));
        perform linked.tidy_up();
    end if;
end
$linked$;
comment on function linked.refresh_albums(uuid[], uuid[], uuid[]) is
    'After a change of albums or of who they are shared with: brings membership up to date.';

create or replace function linked.is_approval(p_name text) returns boolean
language sql immutable
as $linked$
    select lower(btrim(p_name, E' \t\r\n')) like 'approve linked album%'
$linked$;
comment on function linked.is_approval(text) is
    'An album of this name approves all that waits in its owner''s linked albums, in any case, surrounding blanks ignored.';

-- Only the owner can have written the name of an album that is shared with nobody. What was written after that does not wait yet, but
-- stands in the albums already where the approval was noted and is worked off later.
create or replace function linked.approve_by_album(p_albums uuid[], p_at timestamptz) returns void
language plpgsql
as $linked$
declare
    v_waiting uuid[] := array(
        select distinct waiting.album_id
        from linked.waiting
        join public.album on album.id = waiting.album_id
        join public.album approval on {{ owner_of("approval") }} = {{ owner_of("album") }}
        where approval.id = any ({% if needs_approval %}linked.written_by_owners(p_albums, p_at - interval '1 minute'){% else %}p_albums{% endif %})
            and album."updatedAt" <= p_at
            and not exists (
                select from public.album_user
                where album_user.{{ album_user.albumId }} = approval.id and album_user.role::text <> 'owner'
            )
    );
begin
    if cardinality(v_waiting) > 0 then
        perform linked.refresh_albums(v_waiting, v_waiting, v_waiting);
    end if;
end
$linked$;
comment on function linked.approve_by_album(uuid[], timestamptz) is
    'Approves what waits in the linked albums of those who own these albums, which they wrote at p_at, as far as these are shared with nobody.';

create or replace function linked.approve(p_album uuid) returns bigint
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
declare
    v_waiting bigint := (select count(*) from linked.waiting where album_id = p_album);
begin
    perform linked.start_writing();
    perform linked.refresh_albums(array[p_album], array[p_album], array[p_album]);
    perform linked.stop_writing();
    return v_waiting;
end
$linked$;
comment on function linked.approve(uuid) is
    'Lets count what waits in an album. Returns how much that was.';

-- What sync had emptied before an account was unlinked goes too: albums and persons that the addon made.
create or replace function linked.tidy_up() returns void
language plpgsql
as $linked$
begin
    perform linked.forget_persons(array(
        select pair_id from linked.person_pair
        where made and owner_id not in (select user_id from linked.participant)
    ));
    perform linked.delete_albums(array(
        select album_id from linked.album_pair
        where album_id <> album_key and owner_id not in (select user_id from linked.participant)
            and not exists (
                select from public.album_asset
                where album_asset.{{ album_asset.albumId }} = album_pair.album_id
            )
    ));
    perform linked.part_albums(array(select album_id from linked.album_pair));
end
$linked$;
comment on function linked.tidy_up() is
    'Deletes what the addon made in accounts that are not linked any more, where nothing is left in it, and parts the rest from it.';

-- Immich rewrites the root of all paths in one statement without a condition when its media folder moves, but not the
-- prefixes in descriptions.
create or replace function linked.follow_media_folder(p_old_paths text[], p_new_paths text[], p_rows bigint) returns uuid[]
language plpgsql
as $linked$
declare
    v_kept text := linked.common_end(p_old_paths[1], p_new_paths[1]);
    v_old_root text := left(p_old_paths[1], -length(v_kept));
    v_new_root text := left(p_new_paths[1], -length(v_kept));
    v_albums uuid[];
begin
    if not exists (
            select from linked.prefix, unnest(p_old_paths, p_new_paths) as moved (old_path, new_path)
            where starts_with(moved.old_path, prefix.path || '/') and not starts_with(moved.new_path, prefix.path || '/')
        )
        or p_rows <> (select count(*) from public.asset)
        or v_kept = ''
        or exists (
            select from unnest(p_old_paths, p_new_paths) as moved (old_path, new_path)
            where not starts_with(moved.old_path, v_old_root || '/')
                or moved.new_path <> v_new_root || substr(moved.old_path, length(v_old_root) + 1)
        )
    then
        return null;
    end if;
    with moved as (
        update public.album
        set description = (
            select string_agg(
                case when line = v_old_root or starts_with(line, v_old_root || '/')
                    then v_new_root || substr(line, length(v_old_root) + 1) else line end,
                E'\n' order by place
            )
            from regexp_split_to_table(album.description, E'\n') with ordinality as lines (line, place)
        )
        where id in (
            select album_id from linked.prefix where path = v_old_root or starts_with(path, v_old_root || '/')
        )
        returning id
    )
    select array_agg(id) into v_albums from moved;
    update linked.prefix
    set path = v_new_root || substr(path, length(v_old_root) + 1)
    where album_id = any (v_albums) and (path = v_old_root or starts_with(path, v_old_root || '/'));
    perform linked.understand(v_albums, '{}', '{}');
    return v_albums;
end
$linked$;
comment on function linked.follow_media_folder(text[], text[], bigint) is
    'Rewrites the prefixes in descriptions of linked albums when a statement has moved all assets (p_rows of them) from one root to another. Returns these albums.';

create or replace function linked.common_end(p_one text, p_other text) returns text
language sql immutable
as $linked$
    with piece as (
        select place, one, other
        from rows from (
            unnest(string_to_array(reverse(p_one), '/')), unnest(string_to_array(reverse(p_other), '/'))
        ) with ordinality as pieces (one, other, place)
    )
    select coalesce(
        reverse(string_agg(one || '/', '' order by place) filter (
            where place < (select coalesce(min(place), 2147483647) from piece where one is distinct from other)
        )),
        ''
    )
    from piece
$linked$;
comment on function linked.common_end(text, text) is 'The whole path components that two paths have in common at their end, with the slash before them.';

{# When a statement wrote its albums, however much later that is worked off: who could have written then is asked. #}
{% macro written_at(rows) -%}
(select min("updatedAt") from {{ rows }})
{%- endmacro %}
{% set new_album_concerns_us %}
exists (select from fresh where linked.is_linked_album(fresh."albumName") or linked.is_approval(fresh."albumName"))
{%- endset %}
{% call(fresh, stale, statement) on("album", "insert", "Takes note of new linked albums.", look=new_album_concerns_us, calls=true) %}

            -- Whoever makes an album owns it, whatever editors it is made with. They may have written to it since, where this was noted.
            declare
                v_made uuid[] := array(select id from {{ fresh }} where linked.is_linked_album("albumName"));
            begin
                perform linked.refresh_albums(v_made, v_made, array(
                    select fresh.id from {{ fresh }} join public.album on album.id = fresh.id and album.description is not distinct from fresh.description
                    where fresh.id = any (v_made)
                ));
                perform linked.approve_by_album(
                    array(select id from {{ fresh }} where linked.is_approval("albumName")), {{ written_at(fresh) }}
                );
            end;
{% endcall %}

{# `restored`: albums of an account that is back. #}
{% set album_concerns_us %}
exists (
                    select from fresh
                    where exists (select from linked.linked_album where linked_album.album_id = fresh.id)
                        or exists (select from linked.album_pair where album_pair.album_id = fresh.id)
                        or exists (select from linked.waiting where waiting.album_id = fresh.id)
                        or linked.is_linked_album(fresh."albumName") or linked.is_approval(fresh."albumName")
                )
                or exists (select from stale where stale."deletedAt" is not null)
{%- endset %}
{% call(fresh, stale, statement) on("album", "update", "Follows edits of linked albums and their prefixes, and of albums with counterparts.",
    look=album_concerns_us, calls=true,
    columns=["albumName", "description", "deletedAt", "order", "albumThumbnailAssetId"],
    patient="exists (select from fresh join linked.linked_album on linked_album.album_id = fresh.id)"
) %}

            perform linked.refresh_albums(
                array(
                    select id from {{ changed(fresh, stale, '"albumName", description, "deletedAt"') }}
                    intersect
                    (
                        select id from {{ fresh }} where linked.is_linked_album("albumName")
                        union
                        select id from {{ stale }} where linked.is_linked_album("albumName")
                    )
                ),
{% if needs_approval %}
                linked.written_by_owners(array(select id from {{ changed(fresh, stale, '"albumName"') }}), {{ written_at(fresh) }} - interval '1 minute'),
                -- A new name can make an album linked that had lines before.
                array(
                    select unnest(linked.written_by_owners(
                        array(select id from {{ changed(fresh, stale, 'description') }}), {{ written_at(fresh) }} - interval '1 minute'
                    ))
                    union
                    select unnest(linked.trusted(array(select id from {{ changed(fresh, stale, '"albumName"') }})))
                )
{% else %}
                array(select id from {{ fresh }}),
                array(select id from {{ fresh }})
{% endif %}
            );
{% if needs_approval %}
            perform linked.approve_by_album(
                array(
                    select id from {{ changed(fresh, stale, '"albumName"') }}
                    intersect
                    select id from {{ fresh }} where linked.is_approval("albumName")
                ),
                {{ written_at(fresh) }}
            );
{% endif %}
            perform linked.follow_deleted_albums(array(
                select fresh.id
                from {{ fresh }} join linked.album_pair on album_pair.album_id = fresh.id
                where linked.is_linked_album(fresh."albumName")
            ));
            perform linked.propagate_album_details(array(
                select changed.id
                from {{ changed(fresh, stale, '"albumName", description, "order", "albumThumbnailAssetId"') }}
                join linked.album_pair on album_pair.album_id = changed.id
            ));
            -- Albums of an account that is back.
            perform linked.spread_albums(
                array(
                    select id from {{ stale }} where "deletedAt" is not null
                    intersect
                    select id from {{ fresh }} where "deletedAt" is null
                ),
                null
            );
{% endcall %}

{% set gone_album_concerns_us %}
exists (
                    select from stale
                    where exists (select from linked.linked_album where linked_album.album_id = stale.id)
                        or exists (select from linked.album_pair where album_pair.album_id = stale.id)
                        or exists (select from linked.waiting where waiting.album_id = stale.id)
                )
{%- endset %}
{% call(fresh, stale, statement) on("album", "delete", "Unlinks what deleted linked albums had linked, and withdraws the counterparts of others.",
    look=gone_album_concerns_us,
    patient="exists (select from stale join linked.linked_album on linked_album.album_id = stale.id)"
) %}

            perform linked.refresh_albums(array(select id from {{ stale }}), '{}', '{}');
            perform linked.follow_deleted_albums(array(
                select stale.id from {{ stale }} join linked.album_pair on album_pair.album_id = stale.id
            ));
{% endcall %}

{% for event in ["insert", "update", "delete"] %}
{% set rows = "stale" if event == "delete" else "fresh" %}
{% set is_linked = "exists (select from linked.linked_album where linked_album.album_id = " ~ rows ~ "." ~ album_user.albumId ~ ")" %}
{% set is_paired = "exists (select from linked.album_pair where album_pair.album_id = " ~ rows ~ "." ~ album_user.albumId ~ ")" %}
{% call(fresh, stale, statement) on("album_user", event, "Links and unlinks users with whom a linked album is shared.",
    look="exists (select from " ~ rows ~ " where " ~ is_linked ~ " or " ~ is_paired ~ ")",
    patient="false" if event == "insert" else "exists (select from " ~ rows ~ " where " ~ is_linked ~ ")"
) %}

            perform linked.refresh_albums(
                array(
                    select linked_album.album_id
                    from {{ stale if event == "delete" else fresh }}
                    join linked.linked_album on linked_album.album_id = {{ rows }}.{{ album_user.albumId }}
                ),
                '{}',
                '{}'
            );
{% if event == "insert" %}
            perform linked.follow_shared_albums(
                array_agg(fresh.{{ album_user.albumId }}), array_agg(fresh.{{ album_user.userId }})
            )
            from {{ fresh }} join linked.album_pair on album_pair.album_id = fresh.{{ album_user.albumId }}
            where fresh.role <> 'owner'
            having count(*) > 0;
{% elif event == "delete" %}
            perform linked.spread_albums(
                linked.counterparts(array_agg(stale.{{ album_user.albumId }})), array_agg(stale.{{ album_user.userId }})
            )
            from {{ stale }}
            join linked.album_pair on album_pair.album_id = stale.{{ album_user.albumId }}
            join public.album on album.id = stale.{{ album_user.albumId }}
            where stale.role <> 'owner'
            having count(*) > 0;
{% endif %}
{% endcall %}
{% endfor %}

{% set added_concerns_us %}
exists (
                    select from fresh
                    where exists (select from linked.linked_album where linked_album.album_id = fresh.{{ album_asset.albumId }})
                        or {{ is_member("fresh." ~ album_asset.assetId) }}
                )
{%- endset %}
{% call(fresh, stale, statement) on("album_asset", "insert", "Links what is put into a linked album, and puts the siblings into the counterparts of others.", look=added_concerns_us) %}

            perform linked.refresh_membership(array(
                select fresh.{{ album_asset.assetId }}
                from {{ fresh }} join linked.linked_album on linked_album.album_id = fresh.{{ album_asset.albumId }}
            ));
            select from_ids, to_ids into v_from, v_to from linked.siblings(array(select {{ album_asset.assetId }} from {{ fresh }}), false);
            if v_from is not null then
                perform linked.add_to_albums(v_from, v_to, array(select distinct {{ album_asset.albumId }} from {{ fresh }}));
            end if;
{% endcall %}

{% set removed_concerns_us %}
exists (
                    select from stale
                    where exists (select from linked.linked_album where linked_album.album_id = stale.{{ album_asset.albumId }})
                        or {{ is_member("stale." ~ album_asset.assetId) }}
                )
{%- endset %}
{% call(fresh, stale, statement) on("album_asset", "delete", "Unlinks what is taken out of a linked album, and takes the siblings out of the counterparts of others.",
    look=removed_concerns_us,
    patient="exists (select from stale join linked.linked_album on linked_album.album_id = stale." ~ album_asset.albumId ~ ")"
) %}

            perform linked.refresh_membership(array(
                select stale.{{ album_asset.assetId }}
                from {{ stale }} join linked.linked_album on linked_album.album_id = stale.{{ album_asset.albumId }}
            ));
            perform linked.leave_albums(
                array_agg(stale.{{ album_asset.albumId }}), array_agg(stale.{{ album_asset.assetId }})
            )
            from {{ stale }} join linked.member on member.asset_id = stale.{{ album_asset.assetId }}
            having count(*) > 0;
{% endcall %}
