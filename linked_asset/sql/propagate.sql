-- Propagate: make siblings' shared columns and rows equal to those of one member, touching only what differs.

{% from "macro/frame.sql" import on, changed, is_member, groups_of, takes_part with context %}
{% from "macro/hold.sql" import hold %}

-- A statement can change several members of a group at once; siblings then take after one of them, the source for choice.
-- What a viewer changed is undone by taking after the source, unless a job of Immich's changed it together with files on
-- disk (p_followed): there the change has to be followed, because the old file is gone.
create or replace function linked.siblings(
    p_changed uuid[], p_followed boolean, out from_ids uuid[], out to_ids uuid[]
)
language plpgsql stable
as $linked$
declare
    v_source uuid;
    v_from uuid;
begin
    -- Others may have deleted assets, and wait for their turn to have it noticed.
    if cardinality(p_changed) = 1 then
        select source_id, case when can_write or p_followed then asset_id else source_id end
        into v_source, v_from
        from linked.member where asset_id = p_changed[1];
        select array_agg(theirs.id), array_agg(mine.id) into from_ids, to_ids
        from public.asset theirs
        join linked.member on member.source_id = v_source and member.asset_id <> v_from
        join public.asset mine on mine.id = member.asset_id
        where theirs.id = v_from;
        return;
    end if;
    with origin as (
        select distinct on (member.source_id)
            member.source_id,
            case when member.can_write or p_followed then member.asset_id else member.source_id end as asset_id
        from linked.member
        where member.asset_id = any (p_changed)
        order by member.source_id, member.can_write desc, member.asset_id = member.source_id desc, member.asset_id
    )
    select array_agg(theirs.id), array_agg(mine.id) into from_ids, to_ids
    from origin join linked.member using (source_id)
    join public.asset theirs on theirs.id = origin.asset_id
    join public.asset mine on mine.id = member.asset_id
    where member.asset_id <> origin.asset_id;
end
$linked$;
comment on function linked.siblings(uuid[], boolean) is
    'For members that changed: whom to take as origin, and which siblings to make equal to it, pair by pair. Null: there are none.';

{% if "sidecarPath" in asset or sidecar_rows_of_viewers %}
-- Immich's sidecar job writes a viewer's edit to a file that everybody's metadata is read from. A path below a file can neither be
-- written nor read, and makes the job go on without.
create or replace function linked.viewers_sidecar(p_original text) returns text
language sql immutable
as $linked$
    select p_original || '/read-only.xmp'
$linked$;
comment on function linked.viewers_sidecar(text) is
    'The sidecar path of a viewer''s clone: one that cannot be written.';

create or replace function linked.assign_sidecars(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
{% if sidecar_rows_of_viewers %}
    insert into public.asset_file as mine ("assetId", type, path)
    select member.asset_id, 'sidecar', linked.viewers_sidecar(source."originalPath")
    from linked.member
    join public.asset source on source.id = member.source_id
    where member.asset_id = any (p_clones) and not member.can_write
    on conflict ("assetId", type) do update set path = excluded.path
    where mine.path <> excluded.path;
{% else %}
    update public.asset mine
    set "sidecarPath" = theirs.path
    from (
        select member.asset_id,
            case when member.can_write then source."sidecarPath" else linked.viewers_sidecar(source."originalPath") end as path
        from linked.member
        join public.asset source on source.id = member.source_id
        where member.asset_id = any (p_clones)
    ) as theirs
    where mine.id = theirs.asset_id and mine."sidecarPath" is distinct from theirs.path;
{% endif %}
end
$linked$;
comment on function linked.assign_sidecars(uuid[]) is
    'Gives viewers'' clones a sidecar that cannot be written{{ ", and editors'' clones that of their source" if "sidecarPath" in asset }}.';

{% endif %}
{# A change of one column takes no other along: two members that are changed at once in different columns both keep their
   change, in whatever order. A viewer's sidecar path follows from that of the picture. #}
{% macro is_asked(column) -%}
(p_columns is null or {% if column == "sidecarPath" %}p_columns && array['sidecarPath', 'originalPath']{% else %}'{{ column }}' = any (p_columns){% endif %})
{%- endmacro %}
{% macro if_changed(column, theirs, mine) -%}
case when {{ is_asked(column) }} then {{ theirs }} else {{ mine }} end
{%- endmacro %}
{# Columns that a member does not simply take over from another. #}
{% set exceptions = [] %}
{% for column in ["visibility", "thumbhash", "isEdited", "encodedVideoPath", "sidecarPath"] if column in asset %}
{{- exceptions.append(column) or "" }}
{%- endfor %}
{% macro taken_over(column) %}
{% if column == "visibility" -%}
case when 'locked' in (mine.visibility, theirs.visibility) then mine.visibility else theirs.visibility end
{%- elif column == "sidecarPath" -%}
case when member.can_write then theirs."sidecarPath" else linked.viewers_sidecar(theirs."originalPath") end
{%- else -%}
case when {{ "video" if column == "encodedVideoPath" else "image" }}.source_id in (mine.id, theirs.id) then mine."{{ column }}" else theirs."{{ column }}" end
{%- endif %}
{% endmacro %}
-- The locked folder is personal: nobody is locked by a sibling, and a locked clone stays locked whatever the others do. What
-- a source is marked with until its thumbnails (or video) are made anew is its own.
create or replace function linked.propagate_asset(p_from uuid[], p_to uuid[], p_columns text[] default null) returns void
language plpgsql
as $linked$
begin
    if p_columns is null or 'checksum' = any (p_columns) then
        perform linked.make_room(p_from, p_to);
    end if;
    {{ hold("asset", "id = any (p_to)") }}
    update public.asset mine
    set {% for column in columns("asset", "shared", without=exceptions) %}"{{ column.name }}" = {{ if_changed(column.name, 'theirs."' ~ column.name ~ '"', 'mine."' ~ column.name ~ '"') }},
        {% endfor %}
        {%- for column in exceptions %}
        "{{ column }}" = {{ if_changed(column, taken_over(column), 'mine."' ~ column ~ '"') }}{{ "," if not loop.last }}
        {% endfor %}

    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    join linked.member on member.asset_id = pair.to_id
    left join linked.unsettled image
        on image.source_id = member.source_id and image.what = 'image' and image.marked_at is not null
    left join linked.unsettled video
        on video.source_id = member.source_id and video.what = 'video' and video.marked_at is not null
    where mine.id = pair.to_id
        and (
{% for column in columns("asset", "shared", without=exceptions) %}
            {{ is_asked(column.name) }} and mine."{{ column.name }}" is distinct from theirs."{{ column.name }}" or
{% endfor %}
{% for column in exceptions %}
            {{ is_asked(column) }} and mine."{{ column }}" is distinct from {{ taken_over(column) }}{{ " or" if not loop.last }}
{% endfor %}
        );
{% if sidecar_rows_of_viewers %}
    perform linked.assign_sidecars(p_to);
{% endif %}
end
$linked$;
comment on function linked.propagate_asset(uuid[], uuid[], text[]) is
    'Makes these columns of asset (null: all that are shared) of the members p_to equal to those of p_from, pair by pair.';

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

-- Thumbhash and encoded video that a job of Immich made for a viewer's clone: the source takes them over, so that everybody
-- follows; but not while it is marked to have its own made. (A viewer's sidecar is the viewer's own.)
create or replace function linked.follow_viewers(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("asset", "id in (select source_id from linked.member where asset_id = any (p_changed) and not can_write)") }}
{% for column in columns("asset", "produced") %}
    update public.asset source
    set "{{ column.name }}" = theirs."{{ column.name }}"
    from linked.member
    join public.asset theirs on theirs.id = member.asset_id
    where member.asset_id = any (p_changed) and not member.can_write
        and source.id = member.source_id
        and source."{{ column.name }}" is distinct from theirs."{{ column.name }}"
        and not exists (
            select from linked.unsettled
            where unsettled.source_id = source.id and marked_at is not null
                and what = '{{ "image" if column.name == "thumbhash" else "video" }}'
        );
{% endfor %}
end
$linked$;
comment on function linked.follow_viewers(uuid[]) is
    'Brings what Immich''s jobs produced on clones of viewers to their sources.';

{# Viewers have sidecars of their own, and a source that is marked to have its video made anew is left alone. Where sidecars stand
   in a column, only the migration to the release in which they are files writes such rows: for everybody what they had. #}
{% macro is_passed_on(table, alias) %}
{% if table == "asset_file" and "sidecarPath" in asset %}

        and {{ alias }}.type <> 'sidecar'
{%- endif %}
{% if table == "asset_file" and sidecar_rows_of_viewers %}

        and (
            {{ alias }}.type <> 'sidecar'
            or not exists (
                select from linked.member viewer
                where viewer.asset_id in (pair.from_id, pair.to_id) and not viewer.can_write
            )
        )
{%- endif %}
{% if table == "asset_file" and "encodedVideoPath" not in asset %}

        and (
            {{ alias }}.type <> 'encoded_video'
            or not exists (
                select from linked.member
                join linked.unsettled on unsettled.source_id = member.source_id and what = 'video' and marked_at is not null
                where member.asset_id = pair.from_id
            )
        )
{%- endif %}
{% endmacro %}
{% for table in rows_of_assets %}
{% set is_keyed = key(table) != [] %}
{% macro is_meant(alias) %}
{% if is_keyed %}

        and (p_keys is null or row({% for column in key(table) %}{{ alias }}.{{ column }}{{ ", " if not loop.last }}{% endfor %})::text = any (p_keys))
{%- endif %}
{% endmacro %}
create or replace function linked.propagate_{{ table }}(
    p_from uuid[], p_to uuid[], {{ "p_keys" if is_keyed else "p_columns" }} text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
{% if not is_keyed %}
declare
    v_updated bigint;
{% endif %}
begin
    if not p_are_new then
        {{ hold(table, '"assetId" = any (p_to)') }}
{% if is_set(table) %}
{% if table in deletions %}
        with gone as (
{% endif %}
        delete from public.{{ table }} mine
        using unnest(p_from, p_to) as pair (from_id, to_id)
        where mine."assetId" = pair.to_id
            and not exists (
                select from public.{{ table }} theirs
                where theirs."assetId" = pair.from_id
{% for column in key(table) %}
                    and theirs.{{ column }} = mine.{{ column }}
{% endfor %}
            )
{{- is_meant("mine") }}
{{- is_passed_on(table, "mine") }}
{%- if table in deletions %}

        returning mine.*
        )
        insert into public.{{ deletions[table][0] }} ({% for column in deletions[table][1] %}"{{ column }}"{{ ", " if not loop.last }}{% endfor %})
        select {{ deletions[table][1].values() | join(", ") }} from gone where pg_trigger_depth() > 0
{%- endif %};
{% endif %}
{% if not is_keyed %}
        update public.{{ table }} mine
        set {% for column in columns(table, "shared") %}"{{ column.name }}" = {{ if_changed(column.name, 'theirs."' ~ column.name ~ '"', 'mine."' ~ column.name ~ '"') }}
            {{- "," if not loop.last }}
            {% endfor %}

        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.{{ table }} theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id
            and {{ differ(table, "shared", "mine", "theirs") }};
        -- Nearly always that was all.
        get diagnostics v_updated = row_count;
        if v_updated = cardinality(p_to) then
            return;
        end if;
{% if table == "asset_exif" %}
        -- What a viewer writes before the source has anything (a picture of a library that Immich has not read yet).
        delete from public.asset_exif mine
        using unnest(p_from, p_to) as pair (from_id, to_id), linked.member
        where mine."assetId" = pair.to_id and member.asset_id = pair.to_id and not member.can_write
            and not exists (select from public.asset_exif theirs where theirs."assetId" = pair.from_id);
{% endif %}
{% elif not has_unique_key(table) %}
        update public.{{ table }} mine
        set {{ assignments(table, "shared", "theirs") }}
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.{{ table }} theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id{% for column in key(table) %} and mine.{{ column }} = theirs.{{ column }}{% endfor %}

            and {{ differ(table, "shared", "mine", "theirs") }}
{{- is_meant("mine") }};
{% endif %}
        {{ hold("asset", "id = any (p_to)", "key share") }}
    end if;
    insert into public.{{ table }} ("assetId", {% for column in key(table) %}{{ column }}, {% endfor %}{{ names(table, "shared") }})
    select pair.to_id, {% for column in key(table) %}theirs.{{ column }}, {% endfor %}{{ names(table, "shared", "theirs") }}
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.{{ table }} theirs on theirs."assetId" = pair.from_id
    left join public.{{ table }} mine
        on mine."assetId" = pair.to_id{% for column in key(table) %} and mine.{{ column }} = theirs.{{ column }}{% endfor %}

    where (select linked.keep_plans()) and (
        mine."assetId" is null
{%- if is_keyed and has_unique_key(table) %} or {{ differ(table, "shared", "mine", "theirs") }}{% endif %})
{{- is_meant("theirs") }}
{{- is_passed_on(table, "theirs") }}
{%- if is_keyed and has_unique_key(table) %}

    on conflict ("assetId"{% for column in key(table) %}, {{ column }}{% endfor %}) do update
    set {{ assignments(table, "shared", "excluded") }}
{%- elif not is_keyed %}

    on conflict ("assetId") do nothing
{%- endif %};
    perform linked.plan_anew();
{% if table == "asset_file" and sidecar_rows_of_viewers %}
    perform linked.assign_sidecars(p_from || p_to);
{% endif %}
end
$linked$;
comment on function linked.propagate_{{ table }}(uuid[], uuid[], text[], boolean) is
    'Makes the rows of {{ table }} ({{ "with these keys" if is_keyed else "in these columns" }}, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
{% endfor %}

{# Whose product is followed whoever's clone the job was for. #}
{% set followed = ["previewAt", "thumbnailAt", "ocrAt"] %}
-- What a viewer's job wrote is undone, less files and what is read from the picture alone: then that it ran says nothing of the
-- source, and Immich's jobs for what is missing would pass the source by.
create or replace function linked.undo_viewers_status(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    if cardinality(p_clones) = 0 then
        return;
    end if;
    delete from public.asset_job_status mine
    where mine."assetId" = any (p_clones)
{% for column in followed if column in asset_job_status %}
        and mine."{{ column }}" is null
{% endfor %}
        and not exists (
            select from linked.member join public.asset_job_status theirs on theirs."assetId" = member.source_id
            where member.asset_id = mine."assetId"
        );
    update public.asset_job_status mine
    set {{ assignments("asset_job_status", "shared", "theirs", without=followed) }}
    from linked.member
    left join public.asset_job_status theirs on theirs."assetId" = member.source_id
    where member.asset_id = any (p_clones) and mine."assetId" = member.asset_id
        and {{ differ("asset_job_status", "shared", "mine", "theirs", without=followed) }};
end
$linked$;
comment on function linked.undo_viewers_status(uuid[]) is
    'Gives clones of viewers back the job status of their sources, of all jobs whose product a viewer''s clone does not pass on.';

-- asset_job_status comes last: as soon as it is there, Immich's jobs may look at what the asset lacks.
create or replace function linked.propagate_rows(p_from uuid[], p_to uuid[], p_are_new boolean default false) returns void
language plpgsql
as $linked$
begin
{% for table in rows_of_assets if table != "asset_job_status" %}
    perform linked.propagate_{{ table }}(p_from, p_to, p_are_new => p_are_new);
{% endfor %}
    perform linked.propagate_faces(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_asset_job_status(p_from, p_to, p_are_new => p_are_new);
end
$linked$;
comment on function linked.propagate_rows(uuid[], uuid[], boolean) is
    'Makes every row that hangs on the members p_to equal to those of p_from. On what is new none hangs yet.';

{# Rows that hang on an asset. A delete of what is no set is a reset, and not passed on. #}
{% for table in rows_of_assets %}
{% for event in ["insert", "update"] + (["delete"] if is_set(table) else []) %}
{% set rows = "stale" if event == "delete" else "fresh" %}
{% set changed_names = columns(table, "shared") | map(attribute="name") | list if event == "update" and not key(table) else [] %}
{% call(fresh, stale, statement) on(
    table, event, "Propagates rows of " ~ table ~ " to the siblings.",
    look="exists (select from " ~ rows ~ " where " ~ is_member(rows ~ '."assetId"') ~ ")",
    columns=changed_names, key="assetId", concern=is_member('fresh."assetId"'),
    sources=groups_of(rows, rows ~ '."assetId"')
) %}

{% if key(table) %}
            declare
                v_keys text[] := array(
                select row({{ key(table) | join(", ") }})::text from {{ stale if event == "delete" else fresh }}
{% if event == "update" %}
                union
                select row({{ key(table) | join(", ") }})::text from {{ stale }}
{% endif %}
            );
            begin
{% endif %}
{% if table == "asset_file" %}
            -- A job tells of one asset's files; what writes those of several (a new media folder) is no job.
            perform linked.watch_produced(member.source_id, file.kinds, file.old_paths, file.new_paths)
            from (
                select "assetId", array_agg(kind) as kinds, array_agg(old_path) as old_paths, array_agg(new_path) as new_paths
                from (
                    select "assetId", type{% if "isEdited" in asset_file %} || case when "isEdited" then ' edited' else '' end{% endif %} as kind, max(old_path) as old_path, max(new_path) as new_path
                    from (
{% if event != "insert" %}
                        select *, path as old_path, null as new_path from {{ stale }}
{% endif %}
{% if event == "update" %}
                        union all
{% endif %}
{% if event != "delete" %}
                        select *, null as old_path, path as new_path from {{ fresh }}
{% endif %}
                    ) as version
                    where type <> 'sidecar'
                    group by 1, 2
                ) as file
                group by "assetId"
            ) as file
            join linked.member on member.asset_id = file."assetId"
            where (
                select count(*)
                from (select distinct "assetId" from {{ stale if event == "delete" else fresh }} limit 2) as first
            ) = 1;
{% endif %}
{% if table == "asset_job_status" %}
            perform linked.undo_viewers_status(array(
                select member.asset_id
                from {{ fresh }} join linked.member on member.asset_id = fresh."assetId"
                where not member.can_write
            ));
{% endif %}
{% if table == "asset_file" and event == "insert" and "encodedVideoPath" not in asset %}
            perform linked.note_settled(array(select "assetId" from {{ fresh }} where type = 'encoded_video'));
{% endif %}
            select from_ids, to_ids into v_from, v_to from linked.siblings(
{% if event == "delete" %}
                array(select "assetId" from {{ stale }} where exists (select from public.asset where asset.id = stale."assetId")),
{% else %}
                array(select "assetId" from {{ fresh }}),
{% endif %}
                {{ is_followed(table) | lower }}
            );
            if v_from is not null then
                perform linked.propagate_{{ table }}(v_from, v_to{% if changed_names %}, v_columns{% elif key(table) %}, v_keys{% endif %});
            end if;
{% if table == "asset_edit" %}
            perform linked.follow_edits(array(select "assetId" from {{ stale if event == "delete" else fresh }}));
{% endif %}
{% if key(table) %}
            end;
{% endif %}
{% endcall %}
{% endfor %}
{% endfor %}
{% if has("asset_edit") %}

-- Immich replaces the edits of an asset in one transaction: it deletes all, and inserts without ON CONFLICT. In between there can be
-- some again: what a viewer may not delete, which stays, and what somebody did to a sibling, whose place the new ones take.
create or replace function linked.replace_edits() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
set lock_timeout = '0'
as $linked$
declare
    v_source uuid;
    v_can_write boolean;
begin
    if current_setting('linked.writing', true) = pg_current_xact_id_if_assigned()::text then
        return new;
    end if;
    select source_id, can_write into v_source, v_can_write from linked.member where member.asset_id = new."assetId";
    if v_source is null or not exists (select from linked.installation where suspended_at is null) then
        return new;
    end if;
    begin
        perform linked.wait_for_turn(array[v_source], false);
    exception when lock_not_available or deadlock_detected then
        -- Sync may have inserted one in a transaction that goes on and on: here its end is waited for without an error.
        perform set_config('linked.writing', pg_current_xact_id()::text, true);
        insert into public.asset_edit ("assetId", sequence, action, parameters)
        values (new."assetId", new.sequence, new.action, new.parameters)
        on conflict do nothing;
        if found then
            delete from public.asset_edit where "assetId" = new."assetId" and sequence = new.sequence;
        end if;
        perform linked.stop_writing();
    end;
    if not v_can_write then
        return case
            when not exists (
                select from public.asset_edit known where known."assetId" = new."assetId" and known.sequence = new.sequence
            ) then new
        end;
    end if;
    -- Not as writing of the addon's own: it goes from the siblings, too.
{% if "asset_edit" in deletions %}
    insert into public.asset_edit_audit ("editId", "assetId")
    select id, "assetId" from public.asset_edit where "assetId" = new."assetId" and sequence >= new.sequence;
{% endif %}
    delete from public.asset_edit where "assetId" = new."assetId" and sequence >= new.sequence;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.replace_edits() is
    'Lets the edits that Immich inserts take the place of what sync has brought since Immich deleted the old ones; a viewer''s edits do not.';
create or replace trigger linked_asset_edit_replace before insert on public.asset_edit
for each row execute function linked.replace_edits();
comment on trigger linked_asset_edit_replace on public.asset_edit is
    'Lets the edits that Immich inserts take the place of what sync has brought since Immich deleted the old ones.';
{% endif %}
