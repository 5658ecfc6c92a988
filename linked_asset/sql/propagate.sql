-- Propagate: make siblings' shared columns and rows equal to those of one member, touching only what differs.

-- A statement can change several members of a group at once; siblings then take after one of them, the source for choice.
-- What a viewer changed is undone by taking after the source, unless a job of Immich's changed it together with files on
-- disk (p_followed): there the change has to be followed, because the old file is gone.
create or replace function linked.siblings(p_changed uuid[], p_followed boolean)
returns table (from_id uuid, to_id uuid)
language sql stable
as $linked$
    with origin as (
        select distinct on (member.source_id)
            member.source_id,
            case when member.can_write or p_followed then member.asset_id else member.source_id end as asset_id
        from linked.member
        where member.asset_id = any (p_changed)
        order by member.source_id, member.can_write desc, member.asset_id = member.source_id desc, member.asset_id
    )
    select origin.asset_id, member.asset_id
    from origin join linked.member using (source_id)
    where member.asset_id <> origin.asset_id
$linked$;
comment on function linked.siblings(uuid[], boolean) is
    'For members that changed: whom to take as origin, and which siblings to make equal to it.';

-- The locked folder is personal: nobody is locked by a sibling, and a locked clone stays locked whatever the others do.
create or replace function linked.propagate_asset(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.make_room(p_from, p_to);
    update public.asset mine
    set {{ assignments("asset", "shared", "theirs", without=["visibility"]) }},
        visibility = case when 'locked' in (mine.visibility, theirs.visibility) then mine.visibility else theirs.visibility end
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    where mine.id = pair.to_id
        and (
            {{ differ("asset", "shared", "mine", "theirs", without=["visibility"]) }}
            or (mine.visibility <> theirs.visibility and 'locked' not in (mine.visibility, theirs.visibility))
        );
end
$linked$;
comment on function linked.propagate_asset(uuid[], uuid[]) is
    'Makes the shared columns of asset of the members p_to equal to those of p_from, pair by pair.';

-- Immich's unique index on (owner, checksum) leaves room for one row of a content in each account. When the content of a
-- group changes, clones whose owner already has the new content are unlinked (their own copy stays). Where it is the
-- source's owner who has it, the member that brought the new content becomes an asset of its own.
create or replace function linked.make_room(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
declare
    v_taken uuid[];
    v_released uuid[];
begin
    select array_agg(mine.id), array_agg(pair.from_id) filter (where member.asset_id = member.source_id)
    into v_taken, v_released
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    join public.asset mine on mine.id = pair.to_id
    join linked.member on member.asset_id = mine.id
    where mine.checksum <> theirs.checksum
        and mine."libraryId" is null
        and exists (
            select from public.asset other
            where other."ownerId" = mine."ownerId" and other.checksum = theirs.checksum
                and other."libraryId" is null and other.id <> mine.id
        );
    if v_taken is null then
        return;
    end if;
    perform linked.make_own(v_released);
    perform linked.unlink(array(
        select asset_id from linked.member where asset_id = any (v_taken) and asset_id <> source_id
    ));
end
$linked$;
comment on function linked.make_room(uuid[], uuid[]) is
    'Keeps a change of content from running into a row of the same content that an account already has.';

-- Thumbhash, sidecar and encoded video that a job of Immich made for a viewer's clone: the source takes them over, so
-- that everybody follows.
create or replace function linked.follow_viewers(p_changed uuid[]) returns void
language sql
as $linked$
    update public.asset source
    set {{ assignments("asset", "produced", "theirs") }}
    from linked.member
    join public.asset theirs on theirs.id = member.asset_id
    where member.asset_id = any (p_changed) and not member.can_write
        and source.id = member.source_id
        and {{ differ("asset", "produced", "source", "theirs") }}
$linked$;
comment on function linked.follow_viewers(uuid[]) is
    'Brings what Immich''s jobs produced on clones of viewers to their sources.';

{% for table in ["asset_exif", "asset_file", "smart_search", "asset_job_status"] %}
create or replace function linked.propagate_{{ table }}(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
{% if key(table) %}
    delete from public.{{ table }} mine
    using unnest(p_from, p_to) as pair (from_id, to_id)
    where mine."assetId" = pair.to_id
        and not exists (
            select from public.{{ table }} theirs
            where theirs."assetId" = pair.from_id
{% for column in key(table) %}
                and theirs.{{ column }} = mine.{{ column }}
{% endfor %}
        );
{% endif %}
    insert into public.{{ table }} ("assetId", {% for column in key(table) %}{{ column }}, {% endfor %}{{ names(table, "shared") }})
    select pair.to_id, {% for column in key(table) %}theirs.{{ column }}, {% endfor %}{{ names(table, "shared", "theirs") }}
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.{{ table }} theirs on theirs."assetId" = pair.from_id
    left join public.{{ table }} mine
        on mine."assetId" = pair.to_id{% for column in key(table) %} and mine.{{ column }} = theirs.{{ column }}{% endfor %}

    where mine."assetId" is null
        or {{ differ(table, "shared", "mine", "theirs") }}
    on conflict ("assetId"{% for column in key(table) %}, {{ column }}{% endfor %}) do update
    set {{ assignments(table, "shared", "excluded") }};
end
$linked$;
comment on function linked.propagate_{{ table }}(uuid[], uuid[]) is
    'Makes the rows of {{ table }} of the members p_to equal to those of p_from, pair by pair.';
{% endfor %}

-- asset_job_status comes last: as soon as it is there, Immich's jobs may look at what the asset lacks.
create or replace function linked.propagate_rows(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.propagate_asset_exif(p_from, p_to);
    perform linked.propagate_asset_file(p_from, p_to);
    perform linked.propagate_smart_search(p_from, p_to);
    perform linked.propagate_faces(p_from, p_to);
    perform linked.propagate_asset_job_status(p_from, p_to);
end
$linked$;
comment on function linked.propagate_rows(uuid[], uuid[]) is
    'Makes every row that hangs on the members p_to equal to those of p_from.';
