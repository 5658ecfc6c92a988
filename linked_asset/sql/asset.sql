-- Rows of asset that come, change and go: what of it the other members take over, and which assets are linked by it.

{% from "macro/frame.sql" import on, changed, hides_alone, is_member, groups_of, takes_part with context %}
{% from "macro/hold.sql" import hold %}
{# What membership, stacks and live photos depend on. #}
{% set structure = ["ownerId", "originalPath", "visibility", "deletedAt", "status", "isOffline", "libraryId", "livePhotoVideoId", "checksum", "stackId"] %}
{% set shared = columns("asset", "shared") | map(attribute="name") | list %}

{% set new_asset_concerns_us %}
exists (
                    select from fresh
                    where exists (select from linked.replacement where replacement.user_id = fresh."ownerId")
                        or {{ takes_part('fresh."ownerId"') }}
                        and (
                            fresh."libraryId" is not null
                            or fresh."livePhotoVideoId" is not null
                            or exists (
                                select from linked.linked_album
                                join linked.prefix on prefix.album_id = linked_album.album_id
                                where linked_album.owner_id = fresh."ownerId"
                                    and (prefix.path = '' or starts_with(fresh."originalPath", prefix.path || '/'))
                            )
                            or exists (
                                select from public.asset theirs
                                where theirs."originalPath" = fresh."originalPath" and theirs."ownerId" <> fresh."ownerId"
                            )
                        )
                )
{%- endset %}
{% call(fresh, stale, statement) on("asset", "insert", "Links new assets that a linked album covers.", look=new_asset_concerns_us) %}

            perform linked.disarm_copies(array(select id from {{ fresh }} where "libraryId" is null and not "isExternal"));
            perform linked.refresh_membership(
                array(
                    select id from {{ fresh }}
                    union
                    select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                    from {{ fresh }}
                    where "libraryId" is not null
                    union
                    -- The video of a clone whose old file this is: it would be deleted with it.
                    select video.source_id
                    from {{ fresh }}
                    join linked.member video
                        on video.asset_id = fresh."livePhotoVideoId" and video.asset_id <> video.source_id
                ),
                -- Once it is committed others write to it, who do not know yet that it is linked.
                p_unseen => {{ "array(select id from fresh)" if fresh == "fresh" else "'{}'" }}
            );
{% endcall %}

{# Of assets that are no members, only those that a linked album may cover from now on. #}
{% macro structure_of(alias) -%}
row({% for name in structure %}{{ alias }}."{{ name }}"{{ ", " if not loop.last }}{% endfor %})::pg_catalog.record
{%- endmacro %}
{% set changed_asset_concerns_us %}
exists (select from fresh where {{ is_member("fresh.id") }})
                or case when not exists (select from fresh offset 1) then exists (
                    select from fresh
                    where {{ structure_of("fresh") }} *<> (select {{ structure_of("stale") }} from stale)
                        and {{ takes_part('fresh."ownerId"') }}
                ) end
{%- endset %}
{# "Is true" keeps the full join: PostgreSQL would make it one of fewer rows, and then compare each with each. #}
{% set changed_assets_concern_us %}
exists (
                    select from fresh full join stale on fresh.id = stale.id
                    where {{ structure_of("fresh") }} *<> {{ structure_of("stale") }} and ({{ takes_part('fresh."ownerId"') }}) is true
                )
{%- endset %}
{# Nobody waits for the addon with a statement that leaves a source linked; one that takes it from others waits, and so does one
   that hides a clone: were the row still there, Immich's next job for it would delete the file. #}
{% set takes_away %}
v_columns && array['ownerId', 'originalPath', 'visibility']
                and exists (
                    select from fresh
                    where (select member.source_id from linked.member where member.asset_id = fresh.id) = fresh.id
                        and not exists (select from linked.covered(array[fresh.id]))
                )
                or v_columns && array['deletedAt', 'status']
                and exists (
                    select from fresh
                    where (select {{ hides_alone("member") }} from linked.member where member.asset_id = fresh.id)
                        and (fresh."deletedAt" is not null or fresh.status <> 'active')
                )
{%- endset %}
{% set groups %}
case
                when v_columns && array['{{ structure | join("', '") }}'] then null
                else {{ groups_of("fresh", "fresh.id") }}
            end
{%- endset %}
-- In this order: first what takes members out of their groups (what an account trashes for itself alone, a file that was
-- replaced), so that nothing of it is passed on; then what the members share; then what hangs between groups (live photos, stacks), for those that are
-- left; last membership, which is computed from what all of this has made of the rows.
{% call(fresh, stale, statement) on(
    "asset", "update", "Propagates changes of members, links and unlinks assets by what they have become.",
    look=changed_asset_concerns_us, closer=changed_assets_concern_us,
    columns=shared + (structure | reject("in", shared) | list),
    concern=is_member("fresh.id") ~ ' or ' ~ takes_part('fresh."ownerId"'),
    sources=groups, patient=takes_away,
    meanwhile="if v_columns && array['deletedAt', 'status'] then perform linked.spare_files(array(select id from fresh)); end if;"
) %}

            declare
                v_changed uuid[];
                v_stacks uuid[];
                v_moved uuid[];
                v_scope uuid[];
                v_albums uuid[];
            begin
                if v_columns && array['deletedAt', 'status'] then
                    perform linked.hide_alone(array(select id from {{ changed(fresh, stale, '"deletedAt", status') }}));
                end if;
                if v_columns && array['originalPath'] then
                    v_moved := array(select id from {{ changed(fresh, stale, '"originalPath"') }});
                    perform linked.release(array(
                        select member.asset_id
                        from linked.member
                        where member.asset_id = any (v_moved) and member.asset_id <> member.source_id
                            and member.source_id <> all (v_moved)
                    ));
                end if;
                if v_columns && array['visibility'] then
                    perform linked.rejoin(array(
                        select id from {{ stale }} where visibility = 'locked'
                        intersect
                        select id from {{ fresh }} where visibility <> 'locked'
                    ));
                end if;

                if v_columns && array['{{ shared | join("', '") }}'] then
                    v_changed := array(
                        select changed.id
                        from {{ changed(fresh, stale, "visibility, " ~ names("asset", "shared", without=["visibility"])) }}
                        join linked.member on member.asset_id = changed.id
                    );
{% if "encodedVideoPath" in asset %}
                    perform linked.watch_produced(
                        member.source_id, array['encoded_video'], array[nullif(path.old, '')], array[nullif(path.new, '')]
                    )
                    from (
                        select id, max(old_path) as old, max(new_path) as new
                        from (
                            select id, null as old_path, "encodedVideoPath" as new_path from {{ fresh }}
                            union all
                            select id, "encodedVideoPath", null from {{ stale }}
                        ) as version
                        where cardinality(v_changed) = 1 and id = v_changed[1]
                        group by id
                    ) as path
                    join linked.member on member.asset_id = path.id
                    where path.old is distinct from path.new;
{% endif %}
{% if "isEdited" in asset %}
                    if v_columns && array['width', 'height'] then
                        perform linked.keep_measures(v_changed);
                    end if;
{% endif %}
                    perform linked.note_settled(v_changed);
                    perform linked.follow_viewers(v_changed);
                    select from_ids, to_ids into v_from, v_to from linked.siblings(v_changed, false);
                    if v_from is not null then
                        perform linked.propagate_asset(v_from, v_to, v_columns);
                    end if;
                end if;

                if v_columns && array['livePhotoVideoId'] then
                    perform linked.follow_live_photos(array(
                        select changed.id
                        from {{ changed(fresh, stale, '"livePhotoVideoId"') }}
                        join linked.member on member.asset_id = changed.id
                    ));
                end if;

                if v_columns && array['stackId'] then
                    v_changed := array(select id from {{ changed(fresh, stale, '"stackId"') }});
                    -- Immich leaves stacks of one behind when it moves assets to another stack.
                    v_stacks := array(
                        select stack_pair.stack_id
                        from {{ stale }} join linked.stack_pair on stack_pair.stack_id = stale."stackId"
                        where stale.id = any (v_changed)
                    );
                    perform linked.let_stacks_pass(v_changed);
                    select from_ids, to_ids into v_from, v_to from linked.siblings(v_changed, false);
                    if v_from is not null then
                        perform linked.propagate_stacks(v_from, v_to);
                    end if;
                    perform linked.dissolve_stacks(v_stacks);
                end if;

                if cardinality(v_moved) > 0 then
                    select linked.follow_media_folder(
                        array_agg(old_path), array_agg(new_path), (select count(*) from {{ fresh }})
                    )
                    into v_albums
                    from (
                        select max(old_path) as old_path, max(new_path) as new_path
                        from (
                            select id, "originalPath" as new_path, null as old_path from {{ fresh }}
                            union all
                            select id, null, "originalPath" from {{ stale }}
                        ) as path
                        where id = any (v_moved)
                        group by id
                    ) as moved;
                end if;

                if v_columns && array['{{ structure | reject("eq", "stackId") | join("', '") }}'] then
                    v_changed := array(
                        select id from {{ changed(fresh, stale, '"' ~ structure | reject("eq", "stackId") | join('", "') ~ '"') }}
                    );
                    v_scope := array(
                        select unnest(v_changed)
                        union
                        select source_id from linked.member where asset_id = any (v_changed)
                        union
                        select "livePhotoVideoId" from {{ stale }} where id = any (v_changed) and "livePhotoVideoId" is not null
                        union
                        -- A prefix may have moved to where others lie already.
                        select unnest(linked.assets_of_albums(v_albums))
                        union
                        -- A still that has left its group leaves its video behind.
                        select video.source_id
                        from {{ stale }} join linked.member video on video.asset_id = stale."livePhotoVideoId"
                        where stale.id = any (v_changed)
                            and not exists (select from linked.member where member.asset_id = stale.id)
                        union
                        select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                        from (
                            select id, "ownerId", "originalPath", "libraryId" from {{ fresh }}
                            union
                            select id, "ownerId", "originalPath", "libraryId" from {{ stale }}
                        ) as known
                        where id = any (v_changed) and "libraryId" is not null
                    );
                    perform linked.refresh_membership(v_scope);
                    perform linked.pair_live_photos(v_scope);
                end if;
            end;
{% endcall %}

-- What was taken out of the trash again before it could be hidden gets back what linked.spare_files() took off it.
create or replace function linked.hide_alone(p_changed uuid[]) returns void
language plpgsql
as $linked$
declare
    v_spared uuid[];
begin
    perform linked.dismiss(array(
        select asset.id
        from linked.member join public.asset on asset.id = member.asset_id
        where member.asset_id = any (p_changed) and {{ hides_alone("member") }}
            and (asset."deletedAt" is not null or asset.status <> 'active')
    ));
    perform linked.drop_copies(p_changed);
    v_spared := array(
        select id from public.asset where id = any (p_changed) and right("originalPath", 44) = '.hidden-' || id
    );
    if cardinality(v_spared) > 0 then
        perform linked.equal_to_sources(array(
            select source_id from linked.member where asset_id = any (v_spared || linked.video_clones(v_spared))
        ));
    end if;
end
$linked$;
comment on function linked.hide_alone(uuid[]) is
    'Hides from accounts what they have put into the trash for themselves alone, and deletes the old file of a replaced clone from it.';

-- Where the clone could not be taken away at once: Immich's job for it may come before the next write, and deletes what the row
-- names.
create or replace function linked.spare_files(p_changed uuid[]) returns void
language plpgsql
as $linked$
declare
    v_hidden uuid[] := array(
        select asset.id
        from linked.member join public.asset on asset.id = member.asset_id
        where member.asset_id = any (p_changed) and {{ hides_alone("member") }} and member.asset_id <> member.source_id
            and (asset."deletedAt" is not null or asset.status <> 'active')
    );
begin
    if cardinality(v_hidden) = 0 then
        return;
    end if;
    v_hidden := v_hidden || linked.video_clones(v_hidden);
    {{ hold("asset", "id = any (v_hidden)") }}
    {{ hold("asset_file", '"assetId" = any (v_hidden)', "update") }}
    perform set_config('linked.writing', pg_current_xact_id()::text, true);
    delete from public.asset_file where "assetId" = any (v_hidden);
    update public.asset
    set "originalPath" = "originalPath" || '.hidden-' || id
{%- if "sidecarPath" in asset %}, "sidecarPath" = null{% endif %}
{%- if "encodedVideoPath" in asset %}, "encodedVideoPath" = null{% endif %}

    where id = any (v_hidden);
    perform linked.stop_writing();
end
$linked$;
comment on function linked.spare_files(uuid[]) is
    'Has clones that an account has put into the trash for itself alone, and that are still there, name no file of the group.';

create or replace function linked.rejoin(p_unlocked uuid[]) returns void
language plpgsql
as $linked$
begin
    if cardinality(p_unlocked) = 0 then
        return;
    end if;
    update public.asset mine
    set visibility = source.visibility
    from linked.member
    join public.asset source on source.id = member.source_id
    where member.asset_id = any (p_unlocked) and member.asset_id <> member.source_id
        and mine.id = member.asset_id
        and mine.visibility not in ('locked', source.visibility) and source.visibility <> 'locked';
    perform linked.add_to_albums(array_agg(sibling.asset_id), array_agg(member.asset_id))
    from linked.member
    join linked.member sibling
        on sibling.source_id = member.source_id and sibling.asset_id <> member.asset_id
    where member.asset_id = any (p_unlocked)
    having count(*) > 0;
end
$linked$;
comment on function linked.rejoin(uuid[]) is
    'Brings clones that come out of their owners'' locked folders to where the others are.';

-- A member deleted for good takes its group along, because Immich deletes the group's files. Rows that vanish with their
-- owner's account do not: then sources are unlinked, and clones are just gone. (The depth of triggers cannot tell these
-- two apart in an AFTER trigger; the account is already invisible in the second.)
{% set gone_asset_concerns_us %}
exists (
                    select from stale
                    where {{ is_member("stale.id") }} or {{ takes_part('stale."ownerId"') }}
                        or exists (select from linked.dismissal where dismissal.source_id = stale.id)
                )
{%- endset %}
{% call(fresh, stale, statement) on("asset", "delete", "Deletes what is left of the groups of deleted members, and links what they had kept out.", look=gone_asset_concerns_us) %}

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
                from {{ stale }}
                join linked.member on member.asset_id = stale.id
                join public."user" account on account.id = stale."ownerId"
                where {{ hides_alone("member") }}
                on conflict do nothing;

                select
                    array_agg(distinct member.source_id) filter (
                        where member.asset_id = member.source_id
                            or account.id is not null and (
                                not {{ hides_alone("member") }}
                                -- The still went for all of them, and Immich deletes the file of its video through this member.
                                or stale.visibility = 'hidden' and not exists (
                                    select from linked.member video
                                    join public.asset still on still."livePhotoVideoId" = video.asset_id
                                    where video.source_id = member.source_id
                                )
                            )
                    ),
                    array_agg(member.asset_id),
                    array_agg(member.asset_id) filter (where account.id is not null and {{ hides_alone("member") }})
                into v_groups, v_gone, v_credited
                from {{ stale }}
                join linked.member on member.asset_id = stale.id
                left join public."user" account on account.id = stale."ownerId";
                -- Immich looks after a stack only when it loses its primary asset.
                v_stacks := array(
                    select stack_pair.stack_id from {{ stale }} join linked.stack_pair on stack_pair.stack_id = stale."stackId"
                );
                delete from linked.unsettled using {{ stale }} where unsettled.source_id = stale.id;
                perform linked.credit_quota(v_credited);
                perform linked.delete_groups(v_groups);
                perform linked.dissolve_stacks(v_stacks);
                if v_gone is not null then
                    perform linked.forget_members(v_gone);
                end if;

                select array_agg(stale."ownerId"), array_agg(stale.checksum), array_agg(stale.id)
                into v_owners, v_checksums, v_ids
                from {{ stale }};
                perform linked.fill_gaps(v_owners, v_checksums, v_ids);
                delete from linked.dismissal using {{ stale }} where dismissal.source_id = stale.id;
                perform linked.refresh_membership(array(
                    select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                    from {{ stale }}
                    where "libraryId" is not null
                    union
                    -- A still went for its account alone, and nothing else of its group: its video goes too.
                    select video.source_id
                    from {{ stale }}
                    join linked.member video on video.asset_id = stale."livePhotoVideoId" and {{ hides_alone("video") }}
                    join public.asset still on still."livePhotoVideoId" = video.source_id
                ));
            end;
{% endcall %}
