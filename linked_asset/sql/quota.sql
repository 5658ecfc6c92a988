-- Quota: what Immich computes for a participant is what it would be without the addon.

-- Immich takes the size of a deleted upload off its owner's quota. When it deletes a clone it takes off what was never
-- added (given back by linked.settle_quota), and leaves alone the owner of the source, which goes with it.
create or replace function linked.take_off_quota(p_members uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.quota_credit (user_id, bytes)
    select clone.owner_id, size.bytes
    from linked.member clone
    cross join lateral (
        select exif."fileSizeInByte" as bytes
        from linked.member sibling join public.asset_exif exif on exif."assetId" = sibling.asset_id
        where sibling.source_id = clone.source_id
        limit 1
    ) as size
    where clone.asset_id = any (p_members) and clone.asset_id <> clone.source_id
        and size.bytes > 0
        and not exists (select from public.asset where asset.id = clone.asset_id);

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
    'Keeps quotas right when a group is deleted: call it before the rows go, after Immich deleted one of them.';

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
