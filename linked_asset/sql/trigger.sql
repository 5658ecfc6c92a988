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
    if linked.is_off() then
        return null;
    end if;
    begin
        perform linked.start_writing();
        {{- caller() }}
        if exists (select from linked.queue) then
            perform linked.work_queue(interval '50 milliseconds', 10);
        end if;
        if exists (select from linked.made_tag where unused_in <> pg_current_xact_id_if_assigned()::text) then
            perform linked.sweep_tags();
        end if;
        perform linked.stop_writing();
    exception when others then
        get stacked diagnostics
            v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
        perform linked.record_incident('{{ table }} {{ event }}', v_sqlstate, v_message, v_context);
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

-- Also on tables from which a delete cascades into watched ones: their rows are locked first.
{% for table, events in [
    ("asset", "insert or update or delete"),
    ("asset_exif", "insert or update or delete"),
    ("asset_file", "insert or update or delete"),
    ("asset_job_status", "insert or update or delete"),
    ("smart_search", "insert or update or delete"),
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
] %}
create or replace trigger linked_{{ table }}_line_up before {{ events }} on public."{{ table }}"
for each statement execute function linked.line_up();
comment on trigger linked_{{ table }}_line_up on public."{{ table }}" is
    'Lines writers up before they lock rows, so that no two statements can deadlock over the members of a group.';
{% endfor %}

{% call on("asset", "insert", "Links new assets that a linked album covers.") %}

        perform linked.disarm_copies(array(select id from fresh where "libraryId" is null));
        perform linked.refresh_membership(array(
            select id from fresh
            union
            select "livePhotoVideoId" from fresh where "livePhotoVideoId" is not null
        ));
{% endcall %}

{% call on("asset", "update", "Propagates changes of members, links and unlinks assets by what they have become.") %}

        declare
            v_changed uuid[];
            v_scope uuid[];
            v_old_paths text[];
            v_new_paths text[];
        begin
            perform linked.dismiss(array(
                select fresh.id
                from fresh join stale using (id) join linked.member on member.asset_id = fresh.id
                where not member.can_write
                    and (
                        (fresh."deletedAt" is not null and stale."deletedAt" is null)
                        or (fresh.status <> 'active' and stale.status = 'active')
                    )
            ));

            perform linked.release(array(
                select fresh.id
                from fresh join stale using (id)
                join linked.member on member.asset_id = fresh.id and member.asset_id <> member.source_id
                where fresh."originalPath" <> stale."originalPath"
                    and not exists (select from fresh other where other.id = member.source_id)
            ));

            -- A clone that comes out of its owner's locked folder rejoins the others wherever they are.
            update public.asset mine
            set visibility = source.visibility
            from fresh join stale using (id)
            join linked.member on member.asset_id = fresh.id and member.asset_id <> member.source_id
            join public.asset source on source.id = member.source_id
            where mine.id = fresh.id and stale.visibility = 'locked'
                and mine.visibility not in ('locked', source.visibility) and source.visibility <> 'locked';

            v_changed := array(
                select fresh.id
                from fresh join stale using (id) join linked.member on member.asset_id = fresh.id
                where fresh.visibility <> stale.visibility
                    or {{ differ("asset", "shared", "fresh", "stale", without=["visibility"]) }}
            );
            if cardinality(v_changed) > 0 then
                perform linked.follow_viewers(v_changed);
                perform linked.propagate_asset(array_agg(from_id), array_agg(to_id))
                from linked.siblings(v_changed, false);
            end if;

            v_changed := array(
                select fresh.id
                from fresh join stale using (id) join linked.member on member.asset_id = fresh.id
                where fresh."livePhotoVideoId" is distinct from stale."livePhotoVideoId"
            );
            perform linked.follow_live_photos(v_changed);

            perform linked.propagate_stacks(array_agg(from_id), array_agg(to_id))
            from linked.siblings(
                array(
                    select fresh.id
                    from fresh join stale using (id)
                    where fresh."stackId" is distinct from stale."stackId"
                ),
                false
            )
            having count(*) > 0;

            select array_agg(stale."originalPath"), array_agg(fresh."originalPath")
            into v_old_paths, v_new_paths
            from fresh join stale using (id)
            where fresh."originalPath" <> stale."originalPath";
            if exists (
                    select from linked.prefix, unnest(v_old_paths, v_new_paths) as moved (old_path, new_path)
                    where starts_with(moved.old_path, prefix.path || '/') and not starts_with(moved.new_path, prefix.path || '/')
                )
                and (select count(*) from fresh) = (select count(*) from public.asset)
            then
                perform linked.follow_media_folder(v_old_paths, v_new_paths);
            end if;

            v_scope := array(
                select unnest(array[fresh.id, fresh."livePhotoVideoId", stale."livePhotoVideoId", member.source_id])
                from fresh join stale using (id) left join linked.member on member.asset_id = fresh.id
                where (
                        fresh."ownerId", fresh."originalPath", fresh.visibility, fresh."deletedAt", fresh.status,
                        fresh."isOffline", fresh."libraryId", fresh."livePhotoVideoId", fresh.checksum
                    ) is distinct from (
                        stale."ownerId", stale."originalPath", stale.visibility, stale."deletedAt", stale.status,
                        stale."isOffline", stale."libraryId", stale."livePhotoVideoId", stale.checksum
                    )
            );
            if cardinality(v_scope) > 0 then
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
                array_agg(member.asset_id)
            into v_groups, v_gone
            from stale
            join linked.member on member.asset_id = stale.id
            left join public."user" account on account.id = stale."ownerId";
            perform linked.delete_groups(v_groups);
            if v_gone is not null then
                perform linked.forget_members(v_gone);
            end if;

            select array_agg(stale."ownerId"), array_agg(stale.checksum), array_agg(stale.id)
            into v_owners, v_checksums, v_ids
            from stale;
            perform linked.fill_gaps(v_owners, v_checksums, v_ids);
        end;
{% endcall %}

{# Rows that hang on an asset. Immich never deletes the rows of smart_search and asset_job_status of single assets: such a
   delete is a reset, and not passed on. #}
{% for table, followed, events in [
    ("asset_exif", "false", ["insert", "update"]),
    ("asset_file", "true", ["insert", "update", "delete"]),
    ("smart_search", "true", ["insert", "update"]),
    ("asset_job_status", "true", ["insert", "update"]),
] %}
{% for event in events %}
{% call on(table, event, "Propagates rows of " ~ table ~ " to the siblings.") %}

        perform linked.propagate_{{ table }}(array_agg(from_id), array_agg(to_id))
        from linked.siblings(
{% if event == "delete" %}
            array(select "assetId" from stale where exists (select from public.asset where asset.id = stale."assetId")),
{% else %}
            array(select "assetId" from fresh),
{% endif %}
            {{ followed }}
        )
        having count(*) > 0;
{% endcall %}
{% endfor %}
{% endfor %}

{% call on("asset_face", "insert", "Propagates new faces, and whom they show, to the siblings.") %}

        perform linked.propagate_faces(array_agg(from_id), array_agg(to_id))
        from linked.siblings(array(select "assetId" from fresh), false)
        having count(*) > 0;
        perform linked.propagate_people(linked.leading_faces(array(
            select id from fresh where "personId" is not null
        )));
{% endcall %}

-- Three changes of "personId" are not passed on: the person was deleted (that unassigns in one account alone); recognition
-- was reset (one statement that leaves an account without any assigned face; faces of members are then filled again from
-- siblings that still have theirs); and what viewers do.
{% call on("asset_face", "update", "Propagates changes of faces, and whom they show, to the siblings.") %}

        declare
            v_reset uuid[];
            v_merge record;
        begin
            perform linked.propagate_faces(array_agg(from_id), array_agg(to_id))
            from linked.siblings(
                array(
                    select fresh."assetId"
                    from fresh join stale using (id)
                    where {{ differ("asset_face", "shared", "fresh", "stale") }}
                ),
                false
            )
            having count(*) > 0;

            -- Immich moves all faces of a person, and says so by naming the person, only when it merges.
            if current_query() ~* 'where[^;]*"personId"' then
                for v_merge in
                    select distinct stale."personId" as old_id, fresh."personId" as new_id
                    from fresh join stale using (id)
                    where stale."personId" <> fresh."personId"
                        and not exists (
                            select from public.asset_face where asset_face."personId" = stale."personId"
                        )
                loop
                    perform linked.follow_merge(v_merge.old_id, v_merge.new_id);
                end loop;
            end if;

            v_reset := array(
                select asset."ownerId"
                from fresh join stale using (id)
                join public.asset on asset.id = fresh."assetId"
                where fresh."personId" is null and stale."personId" is not null
                group by asset."ownerId"
                having count(*) > 1
                    and not exists (
                        select from public.asset_face
                        join public.asset other on other.id = asset_face."assetId"
                        where other."ownerId" = asset."ownerId" and asset_face."personId" is not null
                            and asset_face."sourceType" = 'machine-learning'
                    )
            );
            perform linked.propagate_people(linked.leading_faces(array(
                select fresh.id
                from fresh join stale using (id)
                join public.asset on asset.id = fresh."assetId"
                where fresh."personId" is distinct from stale."personId"
                    and (
                        fresh."personId" is not null
                        or (
                            asset."ownerId" <> all (v_reset)
                            and exists (select from public.person where person.id = stale."personId")
                        )
                    )
            )));
            if cardinality(v_reset) > 0 then
                perform linked.refill_people(array(
                    select fresh."assetId"
                    from fresh join public.asset on asset.id = fresh."assetId"
                    where asset."ownerId" = any (v_reset)
                ));
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

        perform linked.refresh_albums(array(select id from fresh where linked.is_linked_album("albumName")));
{% endcall %}

{% call on("album", "update", "Follows edits of linked albums and their prefixes, and of albums with counterparts.") %}

        perform linked.refresh_albums(array(
            select fresh.id
            from fresh join stale using (id)
            where (fresh."albumName", fresh.description, fresh."deletedAt")
                is distinct from (stale."albumName", stale.description, stale."deletedAt")
                and (linked.is_linked_album(fresh."albumName") or linked.is_linked_album(stale."albumName"))
        ));
        perform linked.follow_deleted_albums(array(
            select fresh.id
            from fresh join linked.album_pair on album_pair.album_id = fresh.id
            where linked.is_linked_album(fresh."albumName")
        ));
        perform linked.propagate_album_details(array(
            select fresh.id
            from fresh join stale using (id) join linked.album_pair on album_pair.album_id = fresh.id
            where (fresh."albumName", fresh.description, fresh."order", fresh."albumThumbnailAssetId")
                is distinct from (stale."albumName", stale.description, stale."order", stale."albumThumbnailAssetId")
        ));
{% endcall %}

{% call on("album", "delete", "Unlinks what deleted linked albums had linked, and withdraws the counterparts of others.") %}

        perform linked.refresh_albums(array(select id from stale));
        perform linked.follow_deleted_albums(array(
            select stale.id from stale join linked.album_pair on album_pair.album_id = stale.id
        ));
{% endcall %}

{% for event in ["insert", "update", "delete"] %}
{% call on("album_user", event, "Links and unlinks users with whom a linked album is shared.") %}

        perform linked.refresh_albums(array(
            select linked_album.album_id
            from {{ "stale" if event == "delete" else "fresh" }} as change
            join linked.linked_album on linked_album.album_id = change.{{ album_user.albumId }}
        ));
{% if event != "update" %}
        perform linked.follow_{{ "unshared" if event == "delete" else "shared" }}_albums(
            array_agg(change.{{ album_user.albumId }}), array_agg(change.{{ album_user.userId }})
        )
        from {{ "stale" if event == "delete" else "fresh" }} as change
        join linked.album_pair on album_pair.album_id = change.{{ album_user.albumId }}
{% if event == "delete" %}
        join public.album on album.id = change.{{ album_user.albumId }}
{% endif %}
        having count(*) > 0;
{% endif %}
{% endcall %}
{% endfor %}

{% for event in ["insert", "delete"] %}
{% call on("album_asset", event, "Links what is put into a linked album, unlinks what is taken out, and does the same to counterparts of other albums.") %}

        perform linked.refresh_membership(array(
            select change.{{ album_asset.assetId }}
            from {{ "stale" if event == "delete" else "fresh" }} as change
{% if event == "delete" %}
            join linked.member on member.source_id = change.{{ album_asset.assetId }}
{% else %}
            join linked.linked_album on linked_album.album_id = change.{{ album_asset.albumId }}
{% endif %}
        ));
        perform linked.propagate_albums(array_agg(from_id), array_agg(to_id))
        from linked.siblings(
            array(
                select change.{{ album_asset.assetId }}
                from {{ "stale" if event == "delete" else "fresh" }} as change
                join public.asset on asset.id = change.{{ album_asset.assetId }}
                join public.album on album.id = change.{{ album_asset.albumId }} and album."ownerId" = asset."ownerId"
            ),
            false
        )
        having count(*) > 0;
{% endcall %}
{% endfor %}

{% call on("user", "update", "Links what an account missed while it awaited deletion, and keeps clones out of quotas.") %}

        perform linked.refresh_membership(linked.assets_of_albums(array(
            select participant.album_id
            from fresh join stale using (id) join linked.participant on participant.user_id = fresh.id
            where fresh."deletedAt" is null and stale."deletedAt" is not null
        )));
        -- Only a recount mentions the column that it sums up.
        perform linked.settle_quota(
            array_agg(fresh.id),
            array_agg(fresh."quotaUsageInBytes" - stale."quotaUsageInBytes"),
            position('fileSizeInByte' in current_query()) > 0
        )
        from fresh join stale using (id)
        where fresh."quotaUsageInBytes" <> stale."quotaUsageInBytes"
        having count(*) > 0;
{% endcall %}

{% call on("user", "delete", "Has Immich make anew what it kept in the folders of deleted accounts on behalf of others.") %}

        perform linked.replace_files_of_users(array(select id from stale));
{% endcall %}

{% call on("tag_asset", "insert", "Puts tags on the siblings.") %}

        perform linked.propagate_tags(array_agg(from_id), array_agg(to_id))
        from linked.siblings(array(select {{ tag_asset.assetId }} from fresh), false)
        having count(*) > 0;
        perform linked.note_unused_tags(array(select {{ tag_asset.tagId }} from fresh));
{% endcall %}

{% call on("tag_asset", "delete", "Takes tags off the siblings.") %}

        declare
            v_from uuid[];
            v_to uuid[];
            v_tags uuid[];
        begin
            select array_agg(from_id), array_agg(to_id) into v_from, v_to
            from linked.siblings(
                array(
                    select {{ tag_asset.assetId }} from stale
                    where exists (select from public.asset where asset.id = stale.{{ tag_asset.assetId }})
                ),
                false
            );
            v_tags := array(
                select {{ tag_asset.tagId }} from stale
                union
                select {{ tag_asset.tagId }} from public.tag_asset where {{ tag_asset.assetId }} = any (v_to)
            );
            if v_from is not null then
                perform linked.propagate_tags(v_from, v_to, array(
                    select tag.value from stale join public.tag on tag.id = stale.{{ tag_asset.tagId }}
                ));
            end if;
            perform linked.note_unused_tags(v_tags);
        end;
{% endcall %}

{% for event in ["insert", "update"] %}
{% call on("tag", event, "Keeps tags that Immich has just looked up, and propagates colours.") %}

        update linked.made_tag set unused_in = null
        from fresh
        where made_tag.tag_id = fresh.id and made_tag.unused_in is not null;
{% if event == "update" %}
        perform linked.propagate_tag_colors(array(
            select fresh.id from fresh join stale using (id) where fresh.color is distinct from stale.color
        ));
{% endif %}
{% endcall %}
{% endfor %}

{% call on("tag", "delete", "Takes deleted tags off the siblings.") %}

        delete from linked.made_tag using stale where made_tag.tag_id = stale.id;
        perform linked.take_off_deleted_tags(array_agg(stale."userId"), array_agg(stale.value::text))
        from stale join public."user" account on account.id = stale."userId"
        having count(*) > 0;
{% endcall %}

{% call on("stack", "update", "Propagates the primary assets of stacks.") %}

        perform linked.propagate_primaries(linked.leading_stacks(array(
            select fresh.id from fresh join stale using (id) where fresh."primaryAssetId" <> stale."primaryAssetId"
        )));
{% endcall %}

{% call on("stack", "delete", "Forgets the pairing of stacks.") %}

        delete from linked.stack_pair using stale where stack_pair.stack_id = stale.id;
{% endcall %}

{% call on("person", "update", "Propagates names, birth dates and colours of persons.") %}

        perform linked.propagate_persons(array(
            select fresh.id
            from fresh join stale using (id) join linked.person_pair on person_pair.person_id = fresh.id
            where {{ differ("person", "shared", "fresh", "stale") }}
        ));
{% endcall %}

{% call on("person", "delete", "Unpairs deleted persons.") %}

        delete from linked.person_pair using stale where person_pair.person_id = stale.id;
{% endcall %}
