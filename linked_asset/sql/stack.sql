-- Stacks: the linked part of a stack exists in each account, when it has two or more.

{% from "macro/frame.sql" import on, changed, is_member, groups_of, takes_part with context %}
{% from "macro/hold.sql" import hold %}
{# Assets that are to lead a stack. Somebody who has them lead another, and has not committed that yet, holds them as what a
   foreign key points to: so nobody is waited for at the unique index, where that cannot be refused. #}
{% macro hold_primaries(condition) -%}
{{ hold("asset", condition, "update") }}
{%- endmacro %}

-- Invariant: of two stacks with the same key, each holds the members of its own account.
create or replace function linked.propagate_stacks(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_keys uuid[];
    v_owners uuid[];
    v_first uuid[];
    v_left uuid[];
    v_left_keys uuid[];
begin
    if not exists (
        select from public.asset
        where (asset.id = any (p_from) or asset.id = any (p_to)) and asset."stackId" is not null
    ) then
        return;
    end if;
    select from_ids, to_ids into v_from, v_to from linked.with_stack_mates(p_from, p_to);
    perform linked.remember_stacks(v_from);
    select stack_keys, owner_ids, first_ids into v_keys, v_owners, v_first from linked.adopt_stacks(v_from, v_to);

    v_left := array(
        select distinct mine."stackId"
        from unnest(v_to) as to_id join public.asset mine on mine.id = to_id
        where mine."stackId" is not null
    );
    v_left_keys := array(select stack_key from linked.stack_pair where stack_id = any (v_left));
    -- Out of the old stack first: an asset cannot lead two. The keys at hand are still needed.
    perform linked.leave_other_stacks(v_from, v_to, v_keys, v_owners);
    perform linked.dissolve_stacks(v_left, p_keep_lone => true);
    perform linked.make_stacks(v_keys, v_owners, v_first);
    perform linked.join_stacks(v_from, v_to);
    perform linked.propagate_primaries(array(
        select distinct theirs."stackId" from public.asset theirs where theirs.id = any (v_from)
    ));
    perform linked.dissolve_stacks(array(
        select unnest(v_left)
        union
        select mine."stackId" from public.asset mine where mine.id = any (v_to) and mine."stackId" is not null
    ));
    perform linked.forget_lone_stacks(v_left_keys);
end
$linked$;
comment on function linked.propagate_stacks(uuid[], uuid[]) is
    'Stacks the members p_to the way p_from are stacked, pair by pair.';

-- Whether a stack has two linked assets in an account depends on all of its members.
create or replace function linked.with_stack_mates(p_from uuid[], p_to uuid[], out from_ids uuid[], out to_ids uuid[])
language plpgsql stable
as $linked$
begin
    select array_agg(pairs.from_id), array_agg(pairs.to_id) into from_ids, to_ids
    from (
        select pair.from_id, pair.to_id from unnest(p_from, p_to) as pair (from_id, to_id)
        union
        select mate.id, sibling.asset_id
        from (
            select distinct theirs."stackId" as stack_id, target.owner_id
            from unnest(p_from, p_to) as pair (from_id, to_id)
            join public.asset theirs on theirs.id = pair.from_id
            join linked.member target on target.asset_id = pair.to_id
        ) as stack
        join public.asset mate on mate."stackId" = stack.stack_id
        join linked.member mate_member on mate_member.asset_id = mate.id and mate_member.can_write
        join linked.member sibling
            on sibling.source_id = mate_member.source_id and sibling.owner_id = stack.owner_id
        where sibling.asset_id <> mate.id
    ) as pairs
    where not exists (
        select from public.asset mine
        join linked.passing_stack on passing_stack.stack_id = mine."stackId"
        where mine.id = pairs.to_id and passing_stack.made_in = pg_current_xact_id()::text
    );
end
$linked$;
comment on function linked.with_stack_mates(uuid[], uuid[]) is
    'These pairs of members, and those of all that is stacked with p_from. Without what a viewer has just stacked.';

create or replace function linked.remember_stacks(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    -- Whoever changes or dissolves it cannot see yet that it is remembered.
    insert into linked.stack_pair (stack_id, stack_key, owner_id)
    select stack.id, stack.id, stack."ownerId"
    from public.stack
    where stack.id in (select theirs."stackId" from public.asset theirs where theirs.id = any (p_assets))
        and not exists (select from linked.stack_pair known where known.stack_id = stack.id)
    for share of stack nowait
    on conflict do nothing;
end
$linked$;
comment on function linked.remember_stacks(uuid[]) is 'Remembers the stacks of these assets as having counterparts.';

-- The account may have stacked them already: then that stack becomes the counterpart.
create or replace function linked.adopt_stacks(
    p_from uuid[], p_to uuid[], out stack_keys uuid[], out owner_ids uuid[], out first_ids uuid[]
)
language plpgsql
as $linked$
declare
    v_own uuid[];
begin
    select array_agg(part.stack_key), array_agg(part.owner_id), array_agg(part.first_id), array_agg(part.own_stack_id)
    into stack_keys, owner_ids, first_ids, v_own
    from (
        select their_pair.stack_key, member.owner_id,
            (array_agg(mine.id order by theirs.id = their_stack."primaryAssetId" desc, mine."fileCreatedAt", member.source_id))[1]
            as first_id,
            (array_agg(mine."stackId" order by mine."stackId") filter (where not exists (
                select from linked.stack_pair other
                where other.stack_key = own_pair.stack_key and other.stack_id <> own_pair.stack_id
            )))[1] as own_stack_id
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.asset theirs on theirs.id = pair.from_id
        join public.asset mine on mine.id = pair.to_id
        join linked.member on member.asset_id = pair.to_id
        join public.stack their_stack on their_stack.id = theirs."stackId"
        join linked.stack_pair their_pair on their_pair.stack_id = theirs."stackId"
        left join linked.stack_pair own_pair on own_pair.stack_id = mine."stackId"
        where not exists (
            select from linked.stack_pair
            where stack_pair.stack_key = their_pair.stack_key and stack_pair.owner_id = member.owner_id
        )
        group by their_pair.stack_key, member.owner_id
        having count(*) >= 2
    ) as part;
    perform from public.stack where id = any (v_own) for share nowait;
    insert into linked.stack_pair (stack_id, stack_key, owner_id)
    select distinct on (part.own_stack_id) part.own_stack_id, part.stack_key, part.owner_id
    from unnest(stack_keys, owner_ids, v_own) as part (stack_key, owner_id, own_stack_id)
    where part.own_stack_id is not null
    order by part.own_stack_id, part.stack_key
    on conflict (stack_id) do update set stack_key = excluded.stack_key;
end
$linked$;
comment on function linked.adopt_stacks(uuid[], uuid[]) is
    'The stacks, by key and owner, that accounts lack for these pairs, and which asset is to lead each. Those that an account has made of them itself become counterparts.';

create or replace function linked.leave_other_stacks(p_from uuid[], p_to uuid[], p_keys uuid[], p_owners uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold("asset", "id = any (p_to)") }}
    update public.asset mine
    set "stackId" = null
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    join linked.member on member.asset_id = pair.to_id
    left join linked.stack_pair their_pair on their_pair.stack_id = theirs."stackId"
    where mine.id = pair.to_id and mine."stackId" is not null
        and case
            when theirs."stackId" is null and not member.can_write then true
            when exists (select from linked.stack_pair my_pair where my_pair.stack_id = mine."stackId") then not exists (
                select from linked.stack_pair my_pair
                where my_pair.stack_id = mine."stackId" and my_pair.stack_key = their_pair.stack_key
            )
            -- Out of a stack of the account's own only where another takes it in.
            else (their_pair.stack_key, member.owner_id) in (select * from unnest(p_keys, p_owners))
                or exists (
                    select from linked.stack_pair my_pair
                    where my_pair.stack_key = their_pair.stack_key and my_pair.owner_id = member.owner_id
                )
        end;
end
$linked$;
comment on function linked.leave_other_stacks(uuid[], uuid[], uuid[], uuid[]) is
    'Takes the members p_to out of stacks that are not the counterparts of those of p_from. Stacks about to be made are named by key and owner.';

create or replace function linked.make_stacks(p_keys uuid[], p_owners uuid[], p_first uuid[]) returns void
language plpgsql
as $linked$
begin
    {{ hold_primaries("id = any (p_first)") }}
    with missing as materialized (
        select gen_random_uuid() as stack_id, part.stack_key, part.owner_id, part.first_id
        from unnest(p_keys, p_owners, p_first) as part (stack_key, owner_id, first_id)
        where not exists (
            select from linked.stack_pair
            where stack_pair.stack_key = part.stack_key and stack_pair.owner_id = part.owner_id
        )
    ), made as (
        insert into public.stack (id, "primaryAssetId", "ownerId")
        select stack_id, first_id, owner_id from missing
        on conflict do nothing
        returning id
    )
    insert into linked.stack_pair (stack_id, stack_key, owner_id)
    select missing.stack_id, missing.stack_key, missing.owner_id
    from missing join made on made.id = missing.stack_id;
end
$linked$;
comment on function linked.make_stacks(uuid[], uuid[], uuid[]) is
    'Makes the stacks of these keys for these owners that do not exist, each led by an asset that exists.';

create or replace function linked.join_stacks(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.write_stacks(array_agg(mine.id), array_agg(my_pair.stack_id))
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    join public.asset mine on mine.id = pair.to_id
    join linked.member on member.asset_id = pair.to_id
    join linked.stack_pair their_pair on their_pair.stack_id = theirs."stackId"
    join linked.stack_pair my_pair
        on my_pair.stack_key = their_pair.stack_key and my_pair.owner_id = member.owner_id
    where mine."stackId" is distinct from my_pair.stack_id
    having count(*) > 0;
end
$linked$;
comment on function linked.join_stacks(uuid[], uuid[]) is
    'Puts the members p_to into the counterparts of the stacks of p_from, pair by pair.';

-- With a plan that is kept, because foreign keys are checked row by row.
create or replace function linked.write_stacks(p_assets uuid[], p_stacks uuid[]) returns void
language plpgsql
set plan_cache_mode = auto
as $linked$
begin
    update public.asset
    set "stackId" = pair.stack_id
    from unnest(p_assets, p_stacks) as pair (asset_id, stack_id)
    where asset.id = pair.asset_id;
end
$linked$;
comment on function linked.write_stacks(uuid[], uuid[]) is 'Puts assets into stacks, pair by pair.';

create or replace function linked.propagate_primaries(p_stacks uuid[]) returns void
language plpgsql
as $linked$
declare
    v_stacks uuid[];
    v_primaries uuid[];
begin
    select array_agg(my_pair.stack_id), array_agg(my_member.asset_id) into v_stacks, v_primaries
    from public.stack theirs
    join linked.stack_pair their_pair on their_pair.stack_id = theirs.id
    join linked.stack_pair my_pair on my_pair.stack_key = their_pair.stack_key and my_pair.stack_id <> theirs.id
    join public.stack mine on mine.id = my_pair.stack_id
    join linked.member their_member on their_member.asset_id = theirs."primaryAssetId"
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.owner_id = my_pair.owner_id
    where theirs.id = any (p_stacks) and mine."primaryAssetId" <> my_member.asset_id;
    if v_stacks is null then
        return;
    end if;
    {{ hold("stack", "id = any (v_stacks)") }}
    {{ hold_primaries("id = any (v_primaries)") }}
    update public.stack mine
    set "primaryAssetId" = wanted.asset_id
    from unnest(v_stacks, v_primaries) as wanted (stack_id, asset_id)
    join public.asset on asset.id = wanted.asset_id and asset."stackId" = wanted.stack_id
    where mine.id = wanted.stack_id
        and not exists (select from public.stack other where other."primaryAssetId" = wanted.asset_id);
end
$linked$;
comment on function linked.propagate_primaries(uuid[]) is
    'Gives the counterparts of these stacks the same primary asset, where it is a member.';

-- What a viewer makes the primary asset is undone by taking after another account's stack.
create or replace function linked.leading_stacks(p_stacks uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select distinct on (changed.stack_key) lead.stack_id
        from linked.stack_pair changed
        join linked.stack_pair lead on lead.stack_key = changed.stack_key
        join public.stack on stack.id = lead.stack_id
        join linked.member on member.asset_id = stack."primaryAssetId" and member.can_write
        where changed.stack_id = any (p_stacks)
        order by changed.stack_key, lead.stack_id = changed.stack_id desc,
            member.asset_id = member.source_id desc, lead.stack_id
    );
end
$linked$;
comment on function linked.leading_stacks(uuid[]) is
    'Of stacks that changed: which one the counterparts take after.';

-- Immich has no stacks of fewer than two, and none whose primary asset is outside. The new primary asset is chosen by what
-- is the same in all accounts.
create or replace function linked.dissolve_stacks(p_stacks uuid[], p_keep_lone boolean default false) returns void
language plpgsql
as $linked$
declare
    v_dissolved uuid[];
    v_keys uuid[];
    v_headless uuid[];
begin
    v_dissolved := array(
        select stack.id from public.stack
        where stack.id = any (p_stacks)
            and (select count(*) from public.asset where asset."stackId" = stack.id) < 2
            and not exists (
                select from linked.passing_stack
                where passing_stack.stack_id = stack.id and passing_stack.made_in = pg_current_xact_id()::text
            )
    );
    if cardinality(v_dissolved) > 0 then
        {{ hold("stack", "id = any (v_dissolved)", "update") }}
        {{ hold("asset", '"stackId" = any (v_dissolved)') }}
        if pg_trigger_depth() > 0 then
            insert into public.stack_audit ("stackId", "userId")
            select id, "ownerId" from public.stack where id = any (v_dissolved);
        end if;
        delete from public.stack where id = any (v_dissolved);
        delete from linked.passing_stack where stack_id = any (v_dissolved);
        v_keys := array(select stack_key from linked.stack_pair where stack_id = any (v_dissolved));
        delete from linked.stack_pair where stack_id = any (v_dissolved);
        if not p_keep_lone then
            perform linked.forget_lone_stacks(v_keys);
        end if;
    end if;
    v_headless := array(
        select stack.id from public.stack
        where stack.id = any (p_stacks)
            and not exists (
                select from public.asset where asset.id = stack."primaryAssetId" and asset."stackId" = stack.id
            )
            and exists (select from public.asset where asset."stackId" = stack.id)
    );
    if cardinality(v_headless) > 0 then
        {{ hold("stack", "id = any (v_headless)") }}
        {{ hold_primaries('"stackId" = any (v_headless)') }}
        update public.stack
        set "primaryAssetId" = (
            select asset.id
            from public.asset left join linked.member on member.asset_id = asset.id
            where asset."stackId" = stack.id
            order by asset."fileCreatedAt", coalesce(member.source_id, asset.id)
            limit 1
        )
        where stack.id = any (v_headless);
    end if;
end
$linked$;
comment on function linked.dissolve_stacks(uuid[], boolean) is
    'Dissolves stacks of fewer than two assets, and gives the others a primary asset of their own.';

create or replace function linked.forget_lone_stacks(p_keys uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.stack_pair alone
    where stack_key = any (p_keys)
        and not exists (
            select from linked.stack_pair other
            where other.stack_key = alone.stack_key and other.stack_id <> alone.stack_id
        );
end
$linked$;
comment on function linked.forget_lone_stacks(uuid[]) is 'Forgets stacks that have no counterpart any more.';

-- Immich asks which stacks the assets lead, and makes its own after. When sync has made one in between, Immich's takes its
-- place: two stacks cannot have the same primary asset.
create or replace function linked.replace_stack() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
set lock_timeout = '0'
as $linked$
declare
    v_stack uuid;
    v_probe uuid;
begin
    if current_setting('linked.writing', true) = pg_current_xact_id_if_assigned()::text then
        return new;
    end if;
    begin
        if not exists (select from linked.installation where suspended_at is null)
            or not exists (select from linked.member where member.asset_id = new."primaryAssetId")
        then
            return new;
        end if;
        begin
            perform linked.wait_for_turn(null, false);
        exception when lock_not_available or deadlock_detected then
            -- Sync may have made the other in a transaction that goes on and on: here its end is waited for without an error.
            perform set_config('linked.writing', pg_current_xact_id()::text, true);
            v_probe := case when tg_op = 'INSERT' then new.id else gen_random_uuid() end;
            insert into public.stack (id, "ownerId", "primaryAssetId")
            values (v_probe, new."ownerId", new."primaryAssetId")
            on conflict do nothing;
            if found then
                delete from public.stack where id = v_probe;
            end if;
            perform linked.stop_writing();
        end;
        select stack.id into v_stack
        from public.stack join linked.stack_pair on stack_pair.stack_id = stack.id
        where stack."primaryAssetId" = new."primaryAssetId" and stack.id <> new.id;
        if v_stack is null then
            return new;
        end if;
        if tg_op = 'UPDATE' then
            new."primaryAssetId" := old."primaryAssetId";
            return new;
        end if;
        perform set_config('linked.writing', pg_current_xact_id()::text, true);
        insert into public.stack_audit ("stackId", "userId")
        select id, "ownerId" from public.stack where id = v_stack;
        delete from public.stack where id = v_stack;
        update linked.stack_pair set stack_id = new.id where stack_id = v_stack;
        perform linked.stop_writing();
    exception when others then
        return new;
    end;
    return new;
end
$linked$;
comment on function linked.replace_stack() is
    'Lets a stack that Immich makes take the place of the one that sync made meanwhile with the same primary asset.';
create or replace trigger linked_stack_replace before insert or update on public.stack
for each row execute function linked.replace_stack();
comment on trigger linked_stack_replace on public.stack is
    'Lets a stack that Immich makes take the place of the one that sync made meanwhile with the same primary asset.';

create or replace function linked.fill_stacks(p_stacks uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.propagate_stacks(array_agg(wanted.from_id), array_agg(wanted.to_id))
    from (
        select distinct on (sibling.asset_id) mate.id as from_id, sibling.asset_id as to_id
        from linked.stack_pair mine
        join linked.stack_pair other on other.stack_key = mine.stack_key and other.stack_id <> mine.stack_id
        join public.asset mate on mate."stackId" = other.stack_id
        join linked.member on member.asset_id = mate.id and member.can_write
        join linked.member sibling on sibling.source_id = member.source_id and sibling.owner_id = mine.owner_id
        where mine.stack_id = any (p_stacks)
        order by sibling.asset_id, member.asset_id = member.source_id desc, mate.id
    ) as wanted
    having count(*) > 0;
end
$linked$;
comment on function linked.fill_stacks(uuid[]) is
    'Puts into new stacks, which have taken the place of others, what their counterparts hold.';

-- Immich reads the stack back that it has just made, in the same transaction. So a viewer's is undone by a later one.
create or replace function linked.let_stacks_pass(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.passing_stack (stack_id, made_in)
    select distinct asset."stackId", pg_current_xact_id()::text
    from unnest(p_changed) as changed (id)
    join linked.member on member.asset_id = changed.id and not member.can_write
    join public.asset on asset.id = member.asset_id and asset."stackId" is not null
    where not exists (select from linked.stack_pair where stack_pair.stack_id = asset."stackId")
    on conflict (stack_id) do update set made_in = excluded.made_in;
end
$linked$;
comment on function linked.let_stacks_pass(uuid[]) is
    'Notes which stacks viewers have put these clones into: they stand until the transaction is over.';

create or replace function linked.sweep_stacks() returns void
language plpgsql
as $linked$
declare
    v_stacks uuid[];
begin
    with over as (
        delete from linked.passing_stack where made_in <> pg_current_xact_id()::text returning stack_id
    )
    select array_agg(stack_id) into v_stacks from over;
    perform linked.propagate_stacks(array_agg(member.source_id), array_agg(member.asset_id))
    from public.asset join linked.member on member.asset_id = asset.id
    where asset."stackId" = any (v_stacks) and not member.can_write
    having count(*) > 0;
    perform linked.dissolve_stacks(v_stacks);
end
$linked$;
comment on function linked.sweep_stacks() is
    'Takes clones of viewers out of the stacks that they were put into by an earlier transaction.';

create or replace function linked.bring_in_stacks(p_clones uuid[], p_siblings uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.passing_stack
    using public.asset
    where asset.id = any (p_clones) and passing_stack.stack_id = asset."stackId"
        and not exists (
            select from public.asset mate
            join linked.member on member.asset_id = mate.id and not member.can_write
            where mate."stackId" = passing_stack.stack_id
        );
    perform linked.propagate_stacks(array_agg(pair.clone_id), array_agg(pair.sibling_id))
    from unnest(p_clones, p_siblings) as pair (clone_id, sibling_id)
    join public.asset on asset.id = pair.clone_id and asset."stackId" is not null
    having count(*) > 0;
end
$linked$;
comment on function linked.bring_in_stacks(uuid[], uuid[]) is
    'Gives the stacks that viewers had made of these clones to the siblings, now that they may write.';

{% set stack_concerns_us %}
exists (
                    select from fresh
                    where exists (select from linked.stack_pair where stack_pair.stack_id = fresh.id)
                )
{%- endset %}
{% call(fresh, stale, statement) on("stack", "insert", "Fills stacks that take the place of others.", look=stack_concerns_us) %}

            perform linked.fill_stacks(array(
                select fresh.id from {{ fresh }} join linked.stack_pair on stack_pair.stack_id = fresh.id
            ));
{% endcall %}

{% set stack_concerns_us %}
exists (
                    select from fresh
                    where exists (select from linked.stack_pair where stack_pair.stack_id = fresh.id)
                )
{%- endset %}
{% call(fresh, stale, statement) on("stack", "update", "Propagates the primary assets of stacks.", look=stack_concerns_us) %}

            perform linked.propagate_primaries(linked.leading_stacks(array(
                select id from {{ changed(fresh, stale, '"primaryAssetId"') }}
            )));
{% endcall %}

{% set stack_concerns_us %}
exists (
                    select from stale
                    where exists (select from linked.stack_pair where stack_pair.stack_id = stale.id)
                        or exists (select from linked.passing_stack where passing_stack.stack_id = stale.id)
                )
{%- endset %}
{% call(fresh, stale, statement) on("stack", "delete", "Forgets the pairing of stacks.", look=stack_concerns_us) %}

            delete from linked.stack_pair using {{ stale }} where stack_pair.stack_id = stale.id;
            delete from linked.passing_stack using {{ stale }} where passing_stack.stack_id = stale.id;
{% endcall %}
