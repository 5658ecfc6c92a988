-- Linked albums: reading them the way their owner wrote them.

create or replace function linked.is_linked_album(p_name text) returns boolean
language sql immutable
as $linked$
    select lower(btrim(p_name, E' \t\r\n')) like 'linked album%'
$linked$;
comment on function linked.is_linked_album(text) is
    'An album is linked when its name starts with `linked album`, in any case, surrounding blanks ignored.';

-- A line of slashes and blanks is somebody's drawing: only exactly one slash means everything.
create or replace function linked.prefixes(p_description text) returns setof text
language sql immutable
as $linked$
    select distinct rtrim(line, E' \t\r/')
    from regexp_split_to_table(p_description, E'\n') as line
    where line like '/%'
        and (rtrim(line, E' \t\r/') <> '' or rtrim(line, E' \t\r') = '/')
$linked$;
comment on function linked.prefixes(text) is
    'The prefixes in an album''s description: its lines that start with a slash, without trailing blanks and slashes.';

{% if "ownerId" not in album %}
-- In some releases an editor can take an album from its owner, who for a moment is none. The last one counts meanwhile.
{% endif %}
create or replace function linked.standing_albums(p_albums uuid[])
returns table (album_id uuid, owner_id uuid, name text, is_live boolean)
language sql stable
as $linked$
{% if "ownerId" in album %}
    select album.id, album."ownerId", album."albumName", album."deletedAt" is null
    from public.album
    where album.id = any (p_albums) and linked.is_linked_album(album."albumName")
{% else %}
    select album.id, coalesce(owner.id, known.owner_id), album."albumName", album."deletedAt" is null and owner.id is not null
    from public.album
    cross join lateral (select {{ owner_of("album") }} as id) as owner
    left join linked.linked_album known on known.album_id = album.id
    where album.id = any (p_albums) and linked.is_linked_album(album."albumName")
        and (owner.id is not null or known.album_id is not null)
{% endif %}
$linked$;
comment on function linked.standing_albums(uuid[]) is
    'Those of these albums that are linked. Not live: Immich keeps the album soft-deleted, or it has no owner.';

{% if needs_approval %}
-- Immich asks whether somebody may write before it writes: an editor may have left, or become a viewer, between the two.
create or replace function linked.written_by_owners(p_albums uuid[], p_since timestamptz) returns uuid[]
language sql stable
as $linked$
    select array(
        select given.id
        from unnest(p_albums) as given (id)
        where not exists (
                select from public.album_user
                where album_user.{{ album_user.albumId }} = given.id
                    and (
                        album_user.role::text = 'editor'
                        or (album_user.role::text = 'viewer' and album_user."updatedAt" > greatest(album_user."createdAt", p_since))
                    )
            )
            and not exists (
                select from public.album_user_audit
                where album_user_audit."albumId" = given.id and album_user_audit."deletedAt" > p_since
            )
    )
$linked$;
comment on function linked.written_by_owners(uuid[], timestamptz) is
    'Those of these albums into which nobody but their owner can have written since then, as far as Immich remembers who took part.';

{% endif %}
-- Nobody watched what was written while sync was off, or in an album that was none of ours: where an editor may have had a hand in
-- it, or sync itself brought it from another account, the owner is asked. So it is where something waits already: that it does must
-- not be forgotten when the editor leaves. What stands at the first installation counts (linked.take_over).
create or replace function linked.trusted(p_albums uuid[]) returns uuid[]
language sql stable
as $linked$
{% if needs_approval %}
    select case
        when current_setting('linked.takes_over', true) = pg_current_xact_id_if_assigned()::text then p_albums
        else array(
            select id from unnest(linked.written_by_owners(p_albums, '-infinity')) as id
            where not exists (
                    select from linked.participant where participant.album_id = id and participant.role = 'editor'
                )
                and not exists (select from linked.waiting where waiting.album_id = id)
                and not exists (select from linked.album_pair where album_pair.album_id = id)
        )
    end
{% else %}
    select p_albums
{% endif %}
$linked$;
comment on function linked.trusted(uuid[]) is
    'Those of these albums of which all counts that is written in them, although it is not known when and by whom.';

create or replace function linked.take_over() returns void
language plpgsql
as $linked$
begin
    perform set_config('linked.takes_over', pg_current_xact_id()::text, true);
end
$linked$;
comment on function linked.take_over() is
    'Lets all count that stands in albums, for the rest of the transaction.';

-- A name that makes an album linked counts in p_names alone, a prefix in p_lines; elsewhere they wait. A prefix below one that counts links no more than that.
-- Returns how membership changes by it: not at all (null), or that somebody gains by it, or may lose by it ('more', 'less').
create or replace function linked.understand(p_albums uuid[], p_names uuid[], p_lines uuid[]) returns text
language plpgsql
as $linked$
declare
    v_counting uuid[];
    v_more bigint := 0;
    v_less bigint := 0;
    v_count bigint;
begin
    v_counting := array(
        select standing.album_id
        from linked.standing_albums(p_albums) as standing
        where standing.album_id = any (p_names)
            or exists (select from linked.linked_album known where known.album_id = standing.album_id)
    );
    delete from linked.linked_album
    where album_id = any (p_albums) and album_id <> all (v_counting);
    get diagnostics v_count = row_count;
    v_less := v_less + v_count;

    -- Whoever owns the album now has not written what stands in it.
    delete from linked.prefix
    using linked.linked_album known, linked.standing_albums(v_counting) as standing
    where known.album_id = prefix.album_id and standing.album_id = known.album_id
        and standing.owner_id <> known.owner_id and known.album_id <> all (p_lines);

    select
        count(*) filter (where known.album_id is null or standing.is_live > known.is_live),
        count(*) filter (where known.owner_id <> standing.owner_id)
    into v_more, v_count
    from linked.standing_albums(v_counting) as standing
    left join linked.linked_album known on known.album_id = standing.album_id;
    v_less := v_less + v_count;

    insert into linked.linked_album as known (album_id, owner_id, name, is_live)
    select album_id, owner_id, name, is_live from linked.standing_albums(v_counting)
    on conflict (album_id) do update
    set owner_id = excluded.owner_id, name = excluded.name, is_live = excluded.is_live
    where (known.owner_id, known.name, known.is_live)
        is distinct from (excluded.owner_id, excluded.name, excluded.is_live);

    insert into linked.prefix (album_id, path)
    select album.id, line.path
    from public.album
    cross join linked.prefixes(album.description) as line (path)
    where album.id = any (v_counting)
        and (
            album.id = any (p_lines)
            or exists (
                select from linked.prefix wider
                where wider.album_id = album.id and (wider.path = '' or starts_with(line.path, wider.path || '/'))
            )
        )
    on conflict do nothing;
    get diagnostics v_count = row_count;
    v_more := v_more + v_count;

    -- Below one that waits, what counted until now goes on to count.
    delete from linked.prefix
    where album_id = any (p_albums)
        and not exists (
            select from public.album, linked.prefixes(album.description) as line (path)
            where album.id = prefix.album_id
                and (
                    line.path = prefix.path
                    or (
                        (line.path = '' or starts_with(prefix.path, line.path || '/'))
                        and not exists (
                            select from linked.prefix wider
                            where wider.album_id = album.id and wider.path = line.path
                        )
                    )
                )
        );
    get diagnostics v_count = row_count;
    v_less := v_less + v_count;

    delete from linked.waiting where album_id = any (p_albums);
    insert into linked.waiting (album_id, path)
    select standing.album_id, null
    from linked.standing_albums(p_albums) as standing
    where standing.album_id <> all (v_counting)
    union all
    select album.id, line.path
    from public.album
    cross join linked.prefixes(album.description) as line (path)
    where album.id = any (v_counting)
        and not exists (select from linked.prefix where prefix.album_id = album.id and prefix.path = line.path);

    delete from linked.participant
    where album_id = any (p_albums)
        and not exists (
            select from linked.album_participants(p_albums) as live
            where live.album_id = participant.album_id and live.user_id = participant.user_id
        );
    get diagnostics v_count = row_count;
    v_less := v_less + v_count;

    with joined as (
        insert into linked.participant as known (album_id, user_id, role)
        select live.album_id, live.user_id, live.role
        from linked.album_participants(p_albums) as live
        on conflict (album_id, user_id) do nothing
        returning known.album_id
    )
    select v_more + count(*) into v_more from joined;

    update linked.participant
    set role = live.role
    from linked.album_participants(p_albums) as live
    where participant.album_id = live.album_id and participant.user_id = live.user_id and participant.role <> live.role;
    get diagnostics v_count = row_count;
    v_less := v_less + v_count;
    return case when v_less > 0 then 'less' when v_more > 0 then 'more' end;
end
$linked$;
comment on function linked.understand(uuid[], uuid[], uuid[]) is
    'Brings what is remembered of these albums (linked or not, prefixes, participants) up to what Immich has.';

create or replace function linked.album_participants(p_albums uuid[])
returns table (album_id uuid, user_id uuid, role text)
language sql stable
as $linked$
    select linked_album.album_id, linked_album.owner_id, 'owner'
    from linked.linked_album
    where linked_album.album_id = any (p_albums)
    union
    select linked_album.album_id, album_user.{{ album_user.userId }}, album_user.role::text
    from linked.linked_album
    join public.album_user on album_user.{{ album_user.albumId }} = linked_album.album_id
    where linked_album.album_id = any (p_albums) and album_user.{{ album_user.userId }} <> linked_album.owner_id
$linked$;
comment on function linked.album_participants(uuid[]) is 'The owner of each of these linked albums and the users it is shared with.';

create or replace function linked.assets_of_albums(p_albums uuid[]) returns uuid[]
language sql stable
as $linked$
    select array(
        select asset.id
        from linked.linked_album
        join linked.prefix on prefix.album_id = linked_album.album_id
        join public.asset on asset."ownerId" = linked_album.owner_id
        where linked_album.album_id = any (p_albums)
            and (prefix.path = '' or starts_with(asset."originalPath", prefix.path || '/'))
        union
        select {{ album_asset.assetId }}
        from public.album_asset
        where {{ album_asset.albumId }} = any (p_albums)
    )
$linked$;
comment on function linked.assets_of_albums(uuid[]) is 'Every asset that one of these linked albums may cover, video parts of live photos apart.';

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

-- Only the owner can have written the name of an album that is shared with nobody.
create or replace function linked.approve_by_album(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_waiting uuid[] := array(
        select distinct waiting.album_id
        from linked.waiting
        join public.album on album.id = waiting.album_id
        join public.album approval on {{ owner_of("approval") }} = {{ owner_of("album") }}
        where approval.id = any ({% if needs_approval %}linked.written_by_owners(p_albums, clock_timestamp() - interval '1 minute'){% else %}p_albums{% endif %})
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
comment on function linked.approve_by_album(uuid[]) is
    'Approves what waits in the linked albums of those who own these albums, as far as these are shared with nobody.';

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
create or replace function linked.follow_media_folder(p_old_paths text[], p_new_paths text[]) returns uuid[]
language plpgsql
as $linked$
declare
    v_kept text := linked.common_end(p_old_paths[1], p_new_paths[1]);
    v_old_root text := left(p_old_paths[1], -length(v_kept));
    v_new_root text := left(p_new_paths[1], -length(v_kept));
    v_albums uuid[];
begin
    if v_kept = '' or exists (
        select from unnest(p_old_paths, p_new_paths) as moved (old_path, new_path)
        where not starts_with(moved.old_path, v_old_root || '/')
            or moved.new_path <> v_new_root || substr(moved.old_path, length(v_old_root) + 1)
    ) then
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
comment on function linked.follow_media_folder(text[], text[]) is
    'Rewrites the prefixes in descriptions of linked albums when all paths that changed moved from one root to another. Returns these albums.';

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
