-- What linked albums are, as their owners wrote them, and what they cover for whom.

{% from "macro/frame.sql" import deletes_own with context %}

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

-- Where lines contradict each other, the one by which no picture is lost.
create or replace function linked.deletes_own(p_description text) returns boolean
language sql immutable
as $linked$
    select exists (
        select from regexp_split_to_table(p_description, E'\n') as line
        where line ~* '^\s*deletes\s*:\s*own\s*$'
    )
$linked$;
comment on function linked.deletes_own(text) is
    'Whether a line of an album''s description says `deletes: own`, in any case, blanks ignored.';

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

-- A name that makes an album linked counts in p_names alone, a prefix, and the end of `deletes: own`, in p_lines; elsewhere they
-- wait. A prefix below one that counts links no more than that.
-- Returns how membership changes by it: not at all (null), or that somebody gains by it, or may lose by it ('more', 'less').
create or replace function linked.understand(p_albums uuid[], p_names uuid[], p_lines uuid[]) returns text
language plpgsql
as $linked$
declare
    v_counting uuid[];
    v_own uuid[];
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

    v_own := array(
        select album.id
        from public.album
        left join linked.linked_album known on known.album_id = album.id
        where album.id = any (v_counting)
            and (linked.deletes_own(album.description) or known.deletes_own and known.album_id <> all (p_lines))
    );
    select
        count(*) filter (
            where known.album_id is null or standing.is_live > known.is_live
                or known.deletes_own and standing.album_id <> all (v_own)
        ),
        count(*) filter (
            where known.owner_id <> standing.owner_id or not known.deletes_own and standing.album_id = any (v_own)
        )
    into v_more, v_count
    from linked.standing_albums(v_counting) as standing
    left join linked.linked_album known on known.album_id = standing.album_id;
    v_less := v_less + v_count;

    insert into linked.linked_album as known (album_id, owner_id, name, is_live, deletes_own)
    select album_id, owner_id, name, is_live, album_id = any (v_own) from linked.standing_albums(v_counting)
    on conflict (album_id) do update
    set owner_id = excluded.owner_id, name = excluded.name, is_live = excluded.is_live, deletes_own = excluded.deletes_own
    where (known.owner_id, known.name, known.is_live, known.deletes_own)
        is distinct from (excluded.owner_id, excluded.name, excluded.is_live, excluded.deletes_own);

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
    insert into linked.waiting (album_id, path, policy)
    select standing.album_id, null, null
    from linked.standing_albums(p_albums) as standing
    where standing.album_id <> all (v_counting)
    union all
    select album.id, line.path, null
    from public.album
    cross join linked.prefixes(album.description) as line (path)
    where album.id = any (v_counting)
        and not exists (select from linked.prefix where prefix.album_id = album.id and prefix.path = line.path)
    union all
    select album.id, null, 'deletes: all'
    from public.album
    where album.id = any (v_own) and not linked.deletes_own(album.description);

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
    'Brings what is remembered of these albums (linked or not, prefixes, policy, participants) up to what Immich has.';

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
language plpgsql stable
as $linked$
begin
    return array(
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
    );
end
$linked$;
comment on function linked.assets_of_albums(uuid[]) is 'Every asset that one of these linked albums may cover, video parts of live photos apart.';

{# Security rule: a prefix covers assets of the album's owner only, an album only assets of its participants, and nobody's
   locked folder. A clone is never covered. The video part of a live photo is covered through its stills alone, wherever its
   own file lies. `path`: where the file of `source` lies. #}
{% macro covering(sources, path='source."originalPath"') %}
    with candidate as (
        select source.id as source_id, coalesce(still.id, source.id) as through_id,
            source."ownerId" as owner_id, {{ path }} as path,
            coalesce(still."originalPath", {{ path }}) as through_path,
            source."deletedAt" is null and not source."isOffline" and source.status = 'active'
            and (still.id is null or still."deletedAt" is null and not still."isOffline" and still.status = 'active')
                as linkable
        from public.asset source
        left join public.asset still
            on still."livePhotoVideoId" = source.id and still."ownerId" = source."ownerId"
        where {{ sources }}
            and source.visibility <> 'locked' and (still.id is null or still.visibility <> 'locked')
            and not exists (
                select from linked.member
                where member.asset_id = source.id and member.asset_id <> member.source_id
            )
            and not exists (
                select from linked.member
                where member.asset_id = still.id and member.asset_id <> member.source_id
            )
    ), hit as (
        select candidate.*, linked_album.album_id
        from candidate
        join linked.linked_album on linked_album.owner_id = candidate.owner_id
        join linked.prefix on prefix.album_id = linked_album.album_id
        where prefix.path = '' or starts_with(candidate.through_path, prefix.path || '/')
        union all
        select candidate.*, participant.album_id
        from candidate
        join public.album_asset on album_asset.{{ album_asset.assetId }} = candidate.through_id
        join linked.participant
            on participant.album_id = album_asset.{{ album_asset.albumId }} and participant.user_id = candidate.owner_id
    )
{%- endmacro %}
create or replace function linked.covered(p_assets uuid[])
returns table (source_id uuid, through_id uuid, album_id uuid, owner_id uuid, path text, linkable boolean)
language sql stable
as $linked$
{{ covering("source.id = any (p_assets)") }}
    select distinct hit.source_id, hit.through_id, hit.album_id, hit.owner_id, hit.path, hit.linkable
    from hit
$linked$;
comment on function linked.covered(uuid[]) is
    'Which of these assets are sources, by which linked albums (of a video part through which still), and whether new clones may be made (not in the trash, not offline).';

create or replace function linked.is_covered_at(p_source uuid, p_path text) returns boolean
language sql stable
as $linked$
{{ covering("source.id = p_source", path="p_path") }}
    select exists (select from hit)
$linked$;
comment on function linked.is_covered_at(uuid, text) is
    'Whether a linked album would cover an asset if its file lay at p_path.';

-- Of several albums that cover an asset the stronger right counts, for each account that of those in which it may write. Who
-- has the file in a library of their own needs no clone. A video part goes where a still of it is: not where the still
-- was left out, dismissed or not linked for any cause.
create or replace function linked.wanted(p_assets uuid[])
returns table (source_id uuid, user_id uuid, can_write boolean, deletes_own boolean, linkable boolean)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    with taker as materialized (
        select participant.album_id, participant.user_id, participant.role <> 'viewer' as can_write, linked_album.deletes_own,
            linked_album.is_live and account."deletedAt" is null as linkable,
            exists (
                select from public.asset own
                where own."ownerId" = participant.user_id and own."libraryId" is not null
            ) as has_library
        from linked.participant
        join linked.linked_album on linked_album.album_id = participant.album_id
        join public."user" account on account.id = participant.user_id
    )
    select covered.source_id, taker.user_id,
        bool_or(taker.can_write),
        {{ deletes_own("taker.deletes_own", "taker.can_write") }},
        bool_or(covered.linkable and taker.linkable)
    from linked.covered(p_assets) as covered
    join taker on taker.album_id = covered.album_id and taker.user_id <> covered.owner_id
    where not exists (
            select from linked.dismissal
            where dismissal.source_id = covered.source_id and dismissal.user_id = taker.user_id
        )
        and not exists (
            select from linked.replacement
            where replacement.source_id = covered.source_id and replacement.user_id = taker.user_id
                and begun_at > clock_timestamp() - interval '1 minute'
        )
        and not (
            taker.has_library
            and exists (
                select from public.asset own
                where own."originalPath" = covered.path and own."ownerId" = taker.user_id
                    and own."libraryId" is not null
            )
        )
        and (
            covered.through_id = covered.source_id
            or exists (
                select from linked.member still
                where still.source_id = covered.through_id and still.owner_id = taker.user_id
            )
            -- The copy of the old file that Immich is about to enter refers to the video.
            or exists (
                select from linked.replacement still
                where still.source_id = covered.through_id and still.user_id = taker.user_id
                    and begun_at > clock_timestamp() - interval '1 minute'
            )
        )
    group by covered.source_id, taker.user_id;
end
$linked$;
comment on function linked.wanted(uuid[]) is
    'The clones that these assets should have. Not linkable: one that exists stays, but none is made now.';
