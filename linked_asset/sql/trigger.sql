-- The triggers. Statement level with transition tables (a statement that changes 5,000 rows costs one call), no column
-- lists, no conditions, not deferrable: each of these would stop one of Immich's own migrations.

{# What every trigger function does around its work: nothing while the addon itself writes or is suspended, and no
   exception ever reaches Immich. The work must not return early. Security definer: the role that installed the addon
   need not be the one that Immich uses, which knows nothing of schema linked. #}
{% macro on(table, event, what) %}
create or replace function linked.on_{{ table }}_{{ event }}() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
declare
    v_sqlstate text;
    v_message text;
    v_context text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if current_setting('linked.writing', true) = pg_current_xact_id_if_assigned()::text then
        return null;
    end if;
    begin
        if linked.is_off() or not exists (select from {{ "stale" if event == "delete" else "fresh" }}) then
            return null;
        end if;
        perform linked.start_writing();
        perform linked.plan_for((
            select count(*) from (select from {{ "stale" if event == "delete" else "fresh" }} limit 50) as first
        ));
        {{- caller() }}
        if exists (select from linked.queue) then
            -- Apart from the work of this statement, which it must not undo: what cannot be done now stays queued.
            begin
                perform linked.work_queue(interval '50 milliseconds', 30);
            exception when others then
                null;
            end;
        end if;
        if exists (
            select from linked.unsettled
            where marked_at is null and since < clock_timestamp() - interval '{{ deletes_within }}'
        ) then
            begin
                perform linked.settle();
            exception when others then
                null;
            end;
        end if;
        if exists (select from linked.made_tag where unused_in <> pg_current_xact_id_if_assigned()::text) then
            perform linked.sweep_tags();
        end if;
        if exists (select from linked.passing_stack where made_in <> pg_current_xact_id_if_assigned()::text) then
            perform linked.sweep_stacks();
        end if;
        perform linked.stop_writing();
    exception when others then
        get stacked diagnostics
            v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
        begin
            perform linked.record_incident('{{ table }} {{ event }}', v_sqlstate, v_message, v_context);
        exception when others then
            raise log 'linked assets: % (%) in {{ table }} {{ event }}', v_message, v_sqlstate;
        end;
    end;
    return null;
end
$linked$;
comment on function linked.on_{{ table }}_{{ event }}() is '{{ what }}';
create or replace trigger linked_{{ table }}_{{ event }} after {{ event }} on public."{{ table }}"
{% if event == "insert" %}
referencing new table as fresh
{% elif event == "update" %}
referencing old table as stale new table as fresh
{% else %}
referencing old table as stale
{% endif %}
for each statement execute function linked.on_{{ table }}_{{ event }}();
comment on trigger linked_{{ table }}_{{ event }} on public."{{ table }}" is '{{ what }}';
{% endmacro %}

{% from "macro/person.sql" import is_person, in_account with context %}

{# The rows of an update in which one of the columns has another value than before. No join of the two transition tables:
   PL/pgSQL keeps the plan of the first call, and where that had one row, the join would be quadratic ever after. #}
{% macro changed(columns, key="id") %}
(select {{ key }}, {{ columns }} from fresh except select {{ key }}, {{ columns }} from stale) as changed
{%- endmacro %}

-- Also on tables from which a delete cascades into watched ones (their rows are locked first), and on tables whose rows
-- refer to watched ones: inserting several locks what they refer to, one after the other, and we delete several at once.
{% set below = namespace(events=[]) %}
{% for table in rows_of_assets %}
{% set below.events = below.events + [(table, "insert or update or delete")] %}
{% endfor %}
{% for table, events in below.events + [
    ("asset", "insert or update or delete"),
    ("asset_face", "insert or update or delete"),
    ("face_search", "insert or update or delete"),
    ("album", "insert or update or delete"),
    ("album_user", "insert or update or delete"),
    ("album_asset", "insert or update or delete"),
    ("user", "insert or update or delete"),
    ("stack", "insert or update or delete"),
    ("person", "insert or update or delete"),
    ("tag", "insert or update or delete"),
    ("tag_asset", "insert or update or delete"),
    ("library", "delete"),
    ("memory", "insert or delete"),
    ("memory_asset", "insert or update or delete"),
    ("activity", "insert or delete"),
    ("shared_link", "delete"),
    ("shared_link_asset", "insert or delete"),
    ("cluster_group", "delete"),
    ("person_group", "delete"),
    ("person_user", "insert or update or delete"),
] if has(table) %}
create or replace trigger linked_{{ table }}_line_up before {{ events }} on public."{{ table }}"
for each statement execute function linked.line_up();
comment on trigger linked_{{ table }}_line_up on public."{{ table }}" is
    'Lines writers up before they lock rows, so that no two statements can deadlock over the members of a group.';
{% endfor %}

{% call on("asset", "insert", "Links new assets that a linked album covers.") %}

        perform linked.disarm_copies(array(select id from fresh where "libraryId" is null and not "isExternal"));
        perform linked.refresh_membership(array(
            select id from fresh
            union
            select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
            from fresh
            where "libraryId" is not null
            union
            -- The video of a clone whose old file this is: it would be deleted with it.
            select video.source_id
            from fresh
            join linked.member video
                on video.asset_id = fresh."livePhotoVideoId" and video.asset_id <> video.source_id
        ));
{% endcall %}

{% call on("asset", "update", "Propagates changes of members, links and unlinks assets by what they have become.") %}

        declare
            v_changed uuid[];
            v_stacks uuid[];
            v_moved uuid[];
            v_unlocked uuid[];
            v_scope uuid[];
            v_albums uuid[];
            v_old_paths text[];
            v_new_paths text[];
        begin
            v_changed := array(select id from {{ changed('"deletedAt", status') }});
            if cardinality(v_changed) > 0 then
                perform linked.dismiss(array(
                    select asset.id
                    from linked.member join public.asset on asset.id = member.asset_id
                    where member.asset_id = any (v_changed) and not member.can_write
                        and (asset."deletedAt" is not null or asset.status <> 'active')
                ));
                perform linked.drop_copies(v_changed);
            end if;

            v_moved := array(select id from {{ changed('"originalPath"') }});
            perform linked.release(array(
                select member.asset_id
                from linked.member
                where member.asset_id = any (v_moved) and member.asset_id <> member.source_id
                    and member.source_id <> all (v_moved)
            ));

            -- A clone that comes out of its owner's locked folder rejoins the others wherever they are.
            v_unlocked := array(
                select id from stale where visibility = 'locked'
                intersect
                select id from fresh where visibility <> 'locked'
            );
            if cardinality(v_unlocked) > 0 then
                update public.asset mine
                set visibility = source.visibility
                from linked.member
                join public.asset source on source.id = member.source_id
                where member.asset_id = any (v_unlocked) and member.asset_id <> member.source_id
                    and mine.id = member.asset_id
                    and mine.visibility not in ('locked', source.visibility) and source.visibility <> 'locked';
                perform linked.add_to_albums(array_agg(sibling.asset_id), array_agg(member.asset_id))
                from linked.member
                join linked.member sibling
                    on sibling.source_id = member.source_id and sibling.asset_id <> member.asset_id
                where member.asset_id = any (v_unlocked)
                having count(*) > 0;
            end if;

            v_changed := array(
                select changed.id
                from {{ changed("visibility, " ~ names("asset", "shared", without=["visibility"])) }}
                join linked.member on member.asset_id = changed.id
            );
            if cardinality(v_changed) > 0 then
{% if "encodedVideoPath" in asset %}
                perform linked.watch_produced(
                    member.source_id, array['encoded_video'], array[nullif(path.old, '')], array[nullif(path.new, '')]
                )
                from (
                    select id, max(old_path) as old, max(new_path) as new
                    from (
                        select id, null as old_path, "encodedVideoPath" as new_path from fresh
                        union all
                        select id, "encodedVideoPath", null from stale
                    ) as version
                    where cardinality(v_changed) = 1 and id = v_changed[1]
                    group by id
                ) as path
                join linked.member on member.asset_id = path.id
                where path.old is distinct from path.new;
{% endif %}
                perform linked.note_settled(v_changed);
                perform linked.follow_viewers(v_changed);
                perform linked.propagate_asset(array_agg(from_id), array_agg(to_id))
                from linked.siblings(v_changed, false);
            end if;

            v_changed := array(
                select changed.id
                from {{ changed('"livePhotoVideoId"') }}
                join linked.member on member.asset_id = changed.id
            );
            perform linked.follow_live_photos(v_changed);

            v_changed := array(select id from {{ changed('"stackId"') }});
            if cardinality(v_changed) > 0 then
                -- Immich leaves stacks of one behind when it moves assets to another stack.
                v_stacks := array(
                    select stack_pair.stack_id
                    from stale join linked.stack_pair on stack_pair.stack_id = stale."stackId"
                    where stale.id = any (v_changed)
                );
                perform linked.let_stacks_pass(v_changed);
                perform linked.propagate_stacks(array_agg(from_id), array_agg(to_id))
                from linked.siblings(v_changed, false)
                having count(*) > 0;
                perform linked.dissolve_stacks(v_stacks);
            end if;

            if cardinality(v_moved) > 0 then
                select array_agg(old_path), array_agg(new_path) into v_old_paths, v_new_paths
                from (
                    select max(old_path) as old_path, max(new_path) as new_path
                    from (
                        select id, "originalPath" as new_path, null as old_path from fresh
                        union all
                        select id, null, "originalPath" from stale
                    ) as path
                    where id = any (v_moved)
                    group by id
                ) as moved;
                if exists (
                        select from linked.prefix, unnest(v_old_paths, v_new_paths) as moved (old_path, new_path)
                        where starts_with(moved.old_path, prefix.path || '/')
                            and not starts_with(moved.new_path, prefix.path || '/')
                    )
                    and (select count(*) from fresh) = (select count(*) from public.asset)
                then
                    v_albums := linked.follow_media_folder(v_old_paths, v_new_paths);
                end if;
            end if;

            v_changed := array(
                select id
                from {{ changed('"ownerId", "originalPath", visibility, "deletedAt", status, "isOffline", "libraryId", '
                    ~ '"livePhotoVideoId", checksum') }}
            );
            if cardinality(v_changed) > 0 then
                v_scope := array(
                    select unnest(v_changed)
                    union
                    select source_id from linked.member where asset_id = any (v_changed)
                    union
                    select "livePhotoVideoId" from stale where id = any (v_changed) and "livePhotoVideoId" is not null
                    union
                    -- A prefix may have moved to where others lie already.
                    select unnest(linked.assets_of_albums(v_albums))
                    union
                    -- A still that has left its group leaves its video behind.
                    select video.source_id
                    from stale join linked.member video on video.asset_id = stale."livePhotoVideoId"
                    where stale.id = any (v_changed)
                        and not exists (select from linked.member where member.asset_id = stale.id)
                    union
                    select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                    from (
                        select id, "ownerId", "originalPath", "libraryId" from fresh
                        union
                        select id, "ownerId", "originalPath", "libraryId" from stale
                    ) as known
                    where id = any (v_changed) and "libraryId" is not null
                );
                perform linked.refresh_membership(v_scope);
                perform linked.pair_live_photos(v_scope);
            end if;
        end;
{% endcall %}

-- A member deleted for good takes its group along, because Immich deletes the group's files. Rows that vanish with their
-- owner's account do not: then sources are unlinked, and clones are just gone. (The depth of triggers cannot tell these
-- two apart in an AFTER trigger; the account is already invisible in the second.)
{% call on("asset", "delete", "Deletes what is left of the groups of deleted members, and links what they had kept out.") %}

        declare
            v_groups uuid[];
            v_gone uuid[];
            v_credited uuid[];
            v_stacks uuid[];
            v_owners uuid[];
            v_checksums bytea[];
            v_ids uuid[];
        begin
            insert into linked.dismissal (source_id, user_id)
            select member.source_id, member.owner_id
            from stale
            join linked.member on member.asset_id = stale.id
            join public."user" account on account.id = stale."ownerId"
            where not member.can_write
            on conflict do nothing;

            select
                array_agg(distinct member.source_id) filter (
                    where member.asset_id = member.source_id or (member.can_write and account.id is not null)
                ),
                array_agg(member.asset_id),
                array_agg(member.asset_id) filter (where account.id is not null and not member.can_write)
            into v_groups, v_gone, v_credited
            from stale
            join linked.member on member.asset_id = stale.id
            left join public."user" account on account.id = stale."ownerId";
            -- Immich looks after a stack only when it loses its primary asset.
            v_stacks := array(
                select stack_pair.stack_id from stale join linked.stack_pair on stack_pair.stack_id = stale."stackId"
            );
            delete from linked.unsettled using stale where unsettled.source_id = stale.id;
            perform linked.credit_quota(v_credited);
            perform linked.delete_groups(v_groups);
            perform linked.dissolve_stacks(v_stacks);
            if v_gone is not null then
                perform linked.forget_members(v_gone);
            end if;

            select array_agg(stale."ownerId"), array_agg(stale.checksum), array_agg(stale.id)
            into v_owners, v_checksums, v_ids
            from stale;
            perform linked.fill_gaps(v_owners, v_checksums, v_ids);
            delete from linked.dismissal using stale where dismissal.source_id = stale.id;
            perform linked.refresh_membership(array(
                select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                from stale
                where "libraryId" is not null
                union
                -- A viewer's still went, and nothing else of its group: its video goes too.
                select video.source_id
                from stale
                join linked.member video on video.asset_id = stale."livePhotoVideoId" and not video.can_write
                join public.asset still on still."livePhotoVideoId" = video.source_id
            ));
        end;
{% endcall %}

{# Rows that hang on an asset. A delete of what is no set is a reset, and not passed on. #}
{% for table in rows_of_assets %}
{% for event in ["insert", "update"] + (["delete"] if is_set(table) else []) %}
{% call on(table, event, "Propagates rows of " ~ table ~ " to the siblings.") %}

{% if table == "asset_file" %}
        -- A job tells of one asset's files; what writes those of several (a new media folder) is no job.
        perform linked.watch_produced(member.source_id, file.kinds, file.old_paths, file.new_paths)
        from (
            select "assetId", array_agg(kind) as kinds, array_agg(old_path) as old_paths, array_agg(new_path) as new_paths
            from (
                select "assetId", type{% if "isEdited" in asset_file %} || case when "isEdited" then ' edited' else '' end{% endif %} as kind, max(old_path) as old_path, max(new_path) as new_path
                from (
{% if event != "insert" %}
                    select *, path as old_path, null as new_path from stale
{% endif %}
{% if event == "update" %}
                    union all
{% endif %}
{% if event != "delete" %}
                    select *, null as old_path, path as new_path from fresh
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
            from (select distinct "assetId" from {{ "stale" if event == "delete" else "fresh" }} limit 2) as first
        ) = 1;
{% endif %}
{% if table == "asset_job_status" %}
        perform linked.undo_viewers_status(array(
            select member.asset_id
            from fresh join linked.member on member.asset_id = fresh."assetId"
            where not member.can_write
        ));
{% endif %}
{% if table == "asset_file" and event == "insert" and "encodedVideoPath" not in asset %}
        perform linked.note_settled(array(select "assetId" from fresh where type = 'encoded_video'));
{% endif %}
        perform linked.propagate_{{ table }}(array_agg(from_id), array_agg(to_id))
        from linked.siblings(
{% if event == "delete" %}
            array(select "assetId" from stale where exists (select from public.asset where asset.id = stale."assetId")),
{% else %}
            array(select "assetId" from fresh),
{% endif %}
            {{ is_followed(table) | lower }}
        )
        having count(*) > 0;
{% endcall %}
{% endfor %}
{% endfor %}

{% call on("asset_face", "insert", "Propagates new faces, and whom they show, to the siblings.") %}

        perform linked.drop_found_again(array(select id from fresh));
        perform linked.propagate_faces(array_agg(from_id), array_agg(to_id))
        from linked.siblings(array(select "assetId" from fresh), false)
        having count(*) > 0;
        perform linked.hand_to_viewers(array(select id from fresh where {{ asset_face.personGroupId }} is not null));
        perform linked.propagate_people(linked.leading_faces(array(
            select id from fresh where {{ asset_face.personGroupId }} is not null
        )));
{% endcall %}

-- Three changes of whom faces show are not passed on: the person was deleted (that unassigns in one account alone); recognition
-- was reset (one statement that leaves an account without any assigned face; faces of members are then filled again from
-- siblings that still have theirs); and what viewers do.
{% call on("asset_face", "update", "Propagates changes of faces, and whom they show, to the siblings.") %}

        declare
            v_changed uuid[];
            v_unassigned uuid[];
            v_reset uuid[];
            v_merge record;
        begin
            v_changed := array(select id from {{ changed(names("asset_face", "shared")) }});
            if cardinality(v_changed) > 0 then
                perform linked.propagate_faces(array_agg(from_id), array_agg(to_id))
                from linked.siblings(array(select "assetId" from fresh where id = any (v_changed)), false)
                having count(*) > 0;
            end if;

            v_changed := array(select id from {{ changed(asset_face.personGroupId) }});
{% if has("person_group") %}
            -- These only follow their person to another group.
            if current_setting('linked.moved_in', true) = pg_current_xact_id_if_assigned()::text then
                v_changed := array(
                    select fresh.id
                    from fresh
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
                if current_query() ~* 'where[^;]*{{ asset_face.personGroupId }}' then
                    for v_merge in
                        with moved as materialized (
                            select distinct member.owner_id, face.old_id, face.new_id
                            from (
                                select id, min(old_id)::uuid as old_id, min(new_id)::uuid as new_id
                                from (
                                    select id, null as old_id, {{ asset_face.personGroupId }}::text as new_id from fresh
                                    union all
                                    select id, {{ asset_face.personGroupId }}::text, null from stale
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
                    select id from stale where {{ asset_face.personGroupId }} is not null
                    intersect
                    select id from fresh where {{ asset_face.personGroupId }} is null
                );
                v_reset := array(
                    select asset."ownerId"
                    from fresh join public.asset on asset.id = fresh."assetId"
                    where fresh.id = any (v_unassigned)
                    group by asset."ownerId"
                    having (count(*) > 1 or current_query() ~* 'where[^;]*"sourceType"')
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
                from stale
                join public.asset_face on asset_face.id = stale.id
                join linked.member on member.asset_id = asset_face."assetId"
                where face.face_id = stale.id and stale.id = any (v_changed);
{% if has("person_group") %}
                perform linked.agree_within_groups(v_changed);
{% endif %}
                perform linked.hand_to_viewers(v_changed);
                perform linked.part_from_emptied(array(
                    select distinct person_pair.pair_id
                    from stale
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
                        from fresh join public.asset on asset.id = fresh."assetId"
                        where asset."ownerId" = any (v_reset)
                    ));
                end if;
            end if;
        end;
{% endcall %}

{% call on("asset_face", "delete", "Propagates removed faces to the siblings.") %}

        perform linked.propagate_faces(array_agg(from_id), array_agg(to_id))
        from linked.siblings(
            array(select "assetId" from stale where exists (select from public.asset where asset.id = stale."assetId")),
            false
        )
        having count(*) > 0;
        -- What a viewer removed is there again, and shows whom it showed.
        perform linked.refill_people(array(
            select member.asset_id
            from stale join linked.member on member.asset_id = stale."assetId"
            where not member.can_write
        ));
{% endcall %}

{% for event in ["insert", "update"] %}
{% call on("face_search", event, "Propagates the embeddings of faces to the siblings.") %}

        perform linked.propagate_faces(array_agg(from_id), array_agg(to_id))
        from linked.siblings(
            array(
                select asset_face."assetId"
                from fresh join public.asset_face on asset_face.id = fresh."faceId"
            ),
            false
        )
        having count(*) > 0;
{% endcall %}
{% endfor %}

{% call on("album", "insert", "Takes note of new linked albums.") %}

        -- Whoever makes an album owns it, whatever editors it is made with.
        declare
            v_made uuid[] := array(select id from fresh where linked.is_linked_album("albumName"));
        begin
            perform linked.refresh_albums(v_made, v_made, v_made);
            perform linked.approve_by_album(array(select id from fresh where linked.is_approval("albumName")));
        end;
{% endcall %}

{% call on("album", "update", "Follows edits of linked albums and their prefixes, and of albums with counterparts.") %}

        perform linked.refresh_albums(
            array(
                select id from {{ changed('"albumName", description, "deletedAt"') }}
                intersect
                (
                    select id from fresh where linked.is_linked_album("albumName")
                    union
                    select id from stale where linked.is_linked_album("albumName")
                )
            ),
{% if needs_approval %}
            linked.written_by_owners(array(select id from {{ changed('"albumName"') }}), clock_timestamp() - interval '1 minute'),
            -- A new name can make an album linked that had lines before.
            array(
                select unnest(linked.written_by_owners(
                    array(select id from {{ changed('description') }}), clock_timestamp() - interval '1 minute'
                ))
                union
                select unnest(linked.trusted(array(select id from {{ changed('"albumName"') }})))
            )
{% else %}
            array(select id from fresh),
            array(select id from fresh)
{% endif %}
        );
{% if needs_approval %}
        perform linked.approve_by_album(array(
            select id from {{ changed('"albumName"') }}
            intersect
            select id from fresh where linked.is_approval("albumName")
        ));
{% endif %}
        perform linked.follow_deleted_albums(array(
            select fresh.id
            from fresh join linked.album_pair on album_pair.album_id = fresh.id
            where linked.is_linked_album(fresh."albumName")
        ));
        perform linked.propagate_album_details(array(
            select changed.id
            from {{ changed('"albumName", description, "order", "albumThumbnailAssetId"') }}
            join linked.album_pair on album_pair.album_id = changed.id
        ));
        -- Albums of an account that is back.
        perform linked.spread_albums(
            array(
                select id from stale where "deletedAt" is not null
                intersect
                select id from fresh where "deletedAt" is null
            ),
            null
        );
{% endcall %}

{% call on("album", "delete", "Unlinks what deleted linked albums had linked, and withdraws the counterparts of others.") %}

        perform linked.refresh_albums(array(select id from stale), '{}', '{}');
        perform linked.follow_deleted_albums(array(
            select stale.id from stale join linked.album_pair on album_pair.album_id = stale.id
        ));
{% endcall %}

{% for event in ["insert", "update", "delete"] %}
{% call on("album_user", event, "Links and unlinks users with whom a linked album is shared.") %}

        perform linked.refresh_albums(
            array(
                select linked_album.album_id
                from {{ "stale" if event == "delete" else "fresh" }} as change
                join linked.linked_album on linked_album.album_id = change.{{ album_user.albumId }}
            ),
            '{}',
            '{}'
        );
{% if event == "insert" %}
        perform linked.follow_shared_albums(
            array_agg(fresh.{{ album_user.albumId }}), array_agg(fresh.{{ album_user.userId }})
        )
        from fresh join linked.album_pair on album_pair.album_id = fresh.{{ album_user.albumId }}
        where fresh.role <> 'owner'
        having count(*) > 0;
{% elif event == "delete" %}
        perform linked.spread_albums(
            linked.counterparts(array_agg(stale.{{ album_user.albumId }})), array_agg(stale.{{ album_user.userId }})
        )
        from stale
        join linked.album_pair on album_pair.album_id = stale.{{ album_user.albumId }}
        join public.album on album.id = stale.{{ album_user.albumId }}
        where stale.role <> 'owner'
        having count(*) > 0;
{% endif %}
{% endcall %}
{% endfor %}

{% call on("album_asset", "insert", "Links what is put into a linked album, and puts the siblings into the counterparts of others.") %}

        perform linked.refresh_membership(array(
            select fresh.{{ album_asset.assetId }}
            from fresh join linked.linked_album on linked_album.album_id = fresh.{{ album_asset.albumId }}
        ));
        perform linked.add_to_albums(
            array_agg(from_id), array_agg(to_id), array(select distinct {{ album_asset.albumId }} from fresh)
        )
        from linked.siblings(array(select {{ album_asset.assetId }} from fresh), false)
        having count(*) > 0;
{% endcall %}

{% call on("album_asset", "delete", "Unlinks what is taken out of a linked album, and takes the siblings out of the counterparts of others.") %}

        perform linked.refresh_membership(array(
            select stale.{{ album_asset.assetId }}
            from stale join linked.linked_album on linked_album.album_id = stale.{{ album_asset.albumId }}
        ));
        perform linked.leave_albums(
            array_agg(stale.{{ album_asset.albumId }}), array_agg(stale.{{ album_asset.assetId }})
        )
        from stale join linked.member on member.asset_id = stale.{{ album_asset.assetId }}
        having count(*) > 0;
{% endcall %}

{% call on("user", "update", "Links what an account missed while it awaited deletion, and keeps clones out of quotas.") %}

        -- Only a recount mentions the column that it sums up.
        perform linked.settle_quota(
            array_agg(usage.id), array_agg(usage.change), position('fileSizeInByte' in current_query()) > 0
        )
        from (
            select id, sum(bytes)::bigint as change
            from (
                select id, "quotaUsageInBytes" as bytes from fresh
                union all
                select id, -"quotaUsageInBytes" from stale
            ) as signed
            group by id
        ) as usage
        where usage.change <> 0
        having count(*) > 0;
{% if "clusterGroupId" in user %}
        perform linked.follow_cluster_groups(array(select id from {{ changed('"clusterGroupId"') }}));
{% endif %}
        perform linked.extend_membership(array_agg(album_id), linked.assets_of_albums(array_agg(album_id)))
        from linked.participant
        where user_id in (
            select id from stale where "deletedAt" is not null
            intersect
            select id from fresh where "deletedAt" is null
        )
        having count(*) > 0;
{% endcall %}

{% call on("user", "delete", "Has Immich make anew what it kept in the folders of deleted accounts on behalf of others.") %}

        perform linked.replace_files_of_users(array(select id from stale));
        delete from linked.dismissal using stale where dismissal.user_id = stale.id;
        delete from linked.album_refusal using stale where album_refusal.owner_id = stale.id;
        delete from linked.quota_credit using stale where quota_credit.user_id = stale.id;
{% endcall %}

{% call on("tag_asset", "insert", "Puts tags on the siblings.") %}

        declare
            v_tags uuid[] := array(select distinct {{ tag_asset.tagId }} from fresh);
        begin
            perform linked.add_tags(array_agg(from_id), array_agg(to_id), v_tags)
            from linked.siblings(array(select {{ tag_asset.assetId }} from fresh), false)
            having count(*) > 0;
            perform linked.note_unused_tags(v_tags);
        end;
{% endcall %}

{% call on("tag_asset", "delete", "Takes tags off the siblings.") %}

        perform linked.lose_tags(array_agg(stale.{{ tag_asset.assetId }}), array_agg(stale.{{ tag_asset.tagId }}))
        from stale join linked.member on member.asset_id = stale.{{ tag_asset.assetId }}
        having count(*) > 0;
        perform linked.note_unused_tags(linked.made_like(array(select distinct {{ tag_asset.tagId }} from stale)));
{% if "sidecarPath" in asset %}
        -- Immich takes all tags off an asset before it puts back those that it has read. A viewer's are in no sidecar.
        if position('{{ tag_asset.tagId }}' in current_query()) = 0 then
            insert into public.tag_asset ({{ tag_asset.tagId }}, {{ tag_asset.assetId }})
            select tag.id, asset.id
            from stale
            join linked.member on member.asset_id = stale.{{ tag_asset.assetId }} and not member.can_write
            join public.asset on asset.id = member.asset_id
            join public.tag on tag.id = stale.{{ tag_asset.tagId }}
            on conflict do nothing;
        end if;
{% endif %}
{% endcall %}

{% for event in ["insert", "update"] %}
{% call on("tag", event, "Keeps tags that Immich has just looked up, and propagates colours.") %}

        update linked.made_tag set unused_in = null
        from fresh
        where made_tag.tag_id = fresh.id and made_tag.unused_in is not null;
{% if event == "update" %}
        perform linked.propagate_tag_colors(array(
            select id from {{ changed("color") }}
        ));
{% endif %}
{% endcall %}
{% endfor %}

{% call on("tag", "delete", "Takes deleted tags off the siblings.") %}

        delete from linked.made_tag using stale where made_tag.tag_id = stale.id;
        perform linked.take_off_deleted_tags(array_agg(stale."userId"), array_agg(stale.value::text))
        from stale join public."user" account on account.id = stale."userId"
        having count(*) > 0;
        perform linked.note_unused_tags(array(select "parentId" from stale where "parentId" is not null));
{% endcall %}

{% call on("stack", "insert", "Fills stacks that take the place of others.") %}

        perform linked.fill_stacks(array(
            select fresh.id from fresh join linked.stack_pair on stack_pair.stack_id = fresh.id
        ));
{% endcall %}

{% call on("stack", "update", "Propagates the primary assets of stacks.") %}

        perform linked.propagate_primaries(linked.leading_stacks(array(
            select id from {{ changed('"primaryAssetId"') }}
        )));
{% endcall %}

{% call on("stack", "delete", "Forgets the pairing of stacks.") %}

        delete from linked.stack_pair using stale where stack_pair.stack_id = stale.id;
        delete from linked.passing_stack using stale where passing_stack.stack_id = stale.id;
{% endcall %}

{% set person_key = '"ownerId", ' ~ person.personGroupId %}
{% call on("person", "update", "Propagates names, birth dates and colours of persons.") %}

        declare
            v_moved uuid[];
        begin
{% if has("person_group") %}
            if exists (select {{ person_key }} from fresh except select {{ person_key }} from stale) then
                -- Both tables have the rows in the order in which they were updated.
                v_moved := linked.follow_moved_persons(
                    array_agg(stale."ownerId"), array_agg(stale."personGroupId"), array_agg(fresh."personGroupId")
                )
                from (select *, row_number() over () as place from stale) as stale
                join (select *, row_number() over () as place from fresh) as fresh
                    on fresh.place = stale.place and fresh."ownerId" = stale."ownerId"
                where fresh."personGroupId" <> stale."personGroupId";
            end if;
{% endif %}
{% for column in columns("person", "shared") %}
            perform linked.propagate_person_{{ column.name | lower }}(array(
                select person_pair.pair_id
                from {{ changed('"' ~ column.name ~ '"', key=person_key) }}
                join linked.person_pair on {{ is_person("changed", "person_pair") }}
                where (person_pair.pair_id = any (v_moved)) is not true
            ));
{% endfor %}
            perform linked.note_details(array(
                select person_pair.pair_id
                from {{ changed(names("person", "shared"), key=person_key) }}
                join linked.person_pair on {{ is_person("changed", "person_pair") }}
            ));
        end;
{% endcall %}
{% if has("person_group") %}

{% call on("person", "insert", "Assigns faces again whose account has got back the person that it had deleted.") %}

        perform linked.resume_persons(array_agg("ownerId"), array_agg("personGroupId")) from fresh;
{% endcall %}
{% endif %}

{% call on("person", "delete", "Unpairs deleted persons.") %}

        delete from linked.person_pair using stale where {{ is_person("stale", "person_pair") }};
{% if has("person_group") %}
        -- The faces stay with the group as long as somebody has a person of it.
        update linked.face
        set left_open = true
        from stale
        join linked.member on member.owner_id = stale."ownerId"
        join public.asset_face on asset_face."assetId" = member.asset_id and asset_face."personGroupId" = stale."personGroupId"
        where face.face_id = asset_face.id and not face.left_open;
{% endif %}
{% endcall %}
