-- Quota: what Immich computes for a participant is what it would be without the addon.

{% from "macro/frame.sql" import on, changed, is_member, groups_of, takes_part, patience with context %}
{% from "macro/hold.sql" import hold %}

-- Immich takes the size of a deleted upload off its owner's quota, and so for a clone what was never added. When a trash is
-- emptied every member has a deletion job of its own that has read its row before the group went, and takes the size off all
-- the same. A credit that nobody claims (there was no such job) is worth nothing after a minute.
create or replace function linked.credit_quota(p_members uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.quota_credit where given_at < clock_timestamp() - interval '1 minute';
    insert into linked.quota_credit (user_id, bytes)
    select member.owner_id, size.bytes
    from linked.member
    left join public.asset on asset.id = member.asset_id
    cross join lateral (
        select exif."fileSizeInByte" as bytes
        from linked.member sibling join public.asset_exif exif on exif."assetId" = sibling.asset_id
        where sibling.source_id = member.source_id
        limit 1
    ) as size
    where member.asset_id = any (p_members) and size.bytes > 0
        and (member.asset_id <> member.source_id or asset."libraryId" is null and asset.id is not null);
end
$linked$;
comment on function linked.credit_quota(uuid[]) is
    'Remembers what Immich may be about to take off quotas although it was never added, or is taken off already.';

-- The source goes with the clone that Immich deleted; Immich leaves the quota of its owner alone.
create or replace function linked.take_off_quota(p_members uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("user", "id in (select owner_id from linked.member where asset_id = any (p_members) and asset_id = source_id)") }}
    update public."user"
    set "quotaUsageInBytes" = greatest("quotaUsageInBytes" - gone.bytes, 0)
    from (
        select source."ownerId" as owner_id, sum(exif."fileSizeInByte") as bytes
        from linked.member
        join public.asset source on source.id = member.asset_id and member.asset_id = member.source_id
        join public.asset_exif exif on exif."assetId" = source.id
        where member.asset_id = any (p_members) and source."libraryId" is null and exif."fileSizeInByte" > 0
        group by source."ownerId"
    ) as gone
    where "user".id = gone.owner_id;
end
$linked$;
comment on function linked.take_off_quota(uuid[]) is
    'Takes sources that are about to be deleted off their owners'' quotas.';

-- p_recount: Immich summed up all assets of the users, clones included. Else it added or took off the size of one asset.
create or replace function linked.settle_quota(p_users uuid[], p_changes bigint[], p_recount boolean) returns void
language plpgsql
as $linked$
begin
    if p_recount then
        update public."user"
        set "quotaUsageInBytes" = "quotaUsageInBytes" - clones.bytes
        from (
            select member.owner_id, sum(exif."fileSizeInByte") as bytes
            from linked.member
            join public.asset_exif exif on exif."assetId" = member.asset_id
            where member.owner_id = any (p_users) and member.asset_id <> member.source_id
                and exif."fileSizeInByte" > 0
            group by member.owner_id
        ) as clones
        where "user".id = clones.owner_id;
        delete from linked.quota_credit where user_id = any (p_users);
        return;
    end if;
    with claim as (
        select distinct on (credit.user_id) credit.ctid, credit.user_id, credit.bytes
        from unnest(p_users, p_changes) as change (user_id, bytes)
        join linked.quota_credit credit on credit.user_id = change.user_id and credit.bytes = -change.bytes
    ), used as (
        delete from linked.quota_credit where ctid in (select ctid from claim) returning user_id, bytes
    )
    update public."user"
    set "quotaUsageInBytes" = "quotaUsageInBytes" + used.bytes
    from used
    where "user".id = used.user_id;
end
$linked$;
comment on function linked.settle_quota(uuid[], bigint[], boolean) is
    'Takes clones out of what Immich just wrote as the quota of users.';

{# Whether Immich has summed up a quota anew, only the statement tells: it alone mentions the column that it sums up. #}
{% set quota_matters %}
case
                when v_columns = array['quotaUsageInBytes'] and position('fileSizeInByte' in current_query()) = 0
                    and not exists (select from fresh join linked.quota_credit on quota_credit.user_id = fresh.id)
                    then '{}'
            end
{%- endset %}
{% call(fresh, stale, statement) on("user", "update", "Links what an account missed while it awaited deletion, and keeps clones out of quotas.",
    look="exists (select from fresh where " ~ takes_part("fresh.id") ~ ") or exists (select from linked.quota_credit)",
    columns=["quotaUsageInBytes", "deletedAt"] + (["clusterGroupId"] if "clusterGroupId" in user else []),
    sources=quota_matters
) %}

            -- Only a recount mentions the column that it sums up.
            perform linked.settle_quota(
                array_agg(usage.id), array_agg(usage.change), position('fileSizeInByte' in {{ statement }}) > 0
            )
            from (
                select id, sum(bytes)::bigint as change
                from (
                    select id, "quotaUsageInBytes" as bytes from {{ fresh }}
                    union all
                    select id, -"quotaUsageInBytes" from {{ stale }}
                ) as signed
                group by id
            ) as usage
            where usage.change <> 0
            having count(*) > 0;
{% if "clusterGroupId" in user %}
            perform linked.follow_cluster_groups(array(select id from {{ changed(fresh, stale, '"clusterGroupId"') }}));
{% endif %}
            perform linked.extend_membership(array_agg(album_id), linked.assets_of_albums(array_agg(album_id)))
            from linked.participant
            where user_id in (
                select id from {{ stale }} where "deletedAt" is not null
                intersect
                select id from {{ fresh }} where "deletedAt" is null
            )
            having count(*) > 0;
{% endcall %}

-- With an account goes what hangs on it, table by table, and all triggers of the first tables before those of the next: it is
-- long gone from albums of others when Immich notes, last, which of its pictures left them. Whoever deletes such an album at that
-- moment would hold it and want the account's row in it. So the albums are held first, all of them or none, where somebody
-- may wait for a turn in between: for whom nothing is linked the moment is as short as Immich makes it.
create or replace function linked.hold_albums() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    if not {{ takes_part("old.id") }} then
        return old;
    end if;
    loop
        begin
            {{ hold("album", "id in (select " ~ album_user.albumId ~ " from public.album_user where " ~ album_user.userId ~ " = old.id)", "key share") }}
            return old;
        exception when lock_not_available then
            if clock_timestamp() >= statement_timestamp() + {{ patience }} then
                return old;
            end if;
            perform pg_sleep(0.01);
        end;
    end loop;
exception when others then
    return old;
end
$linked$;
comment on function linked.hold_albums() is
    'Asks for the albums that a deleted account which takes part sees, for three seconds, before Immich deletes what hangs on it.';
create or replace trigger linked_user_hold_albums before delete on public."user"
for each row execute function linked.hold_albums();
comment on trigger linked_user_hold_albums on public."user" is
    'Asks for the albums that a deleted account sees, before Immich deletes what hangs on it.';

{% call(fresh, stale, statement) on("user", "delete", "Has Immich make anew what it kept in the folders of deleted accounts on behalf of others.") %}

            perform linked.replace_files_of_users(array(select id from {{ stale }}));
            delete from linked.dismissal using {{ stale }} where dismissal.user_id = stale.id;
            delete from linked.album_refusal using {{ stale }} where album_refusal.owner_id = stale.id;
            delete from linked.quota_credit using {{ stale }} where quota_credit.user_id = stale.id;
{% endcall %}
