-- Deletes the clones, and what the addon made around them in their owners' accounts and nobody uses: nothing else. It works on
-- Immich's tables as they are found, whatever release that is: columns are known by what they refer to, which no rename
-- changes, and what cannot be told so is refused. Immich's own triggers write the audit rows, ours are switched off.
do $strangers$
declare
    v_strangers text := (
        select string_agg(stranger.object, ', ')
        from (
{{ strangers | indent(12, first=True) }}
        ) as stranger (object)
    );
begin
    if v_strangers is not null then
        raise exception using
            errcode = 'LA001',
            message = format('somebody else''s objects would go with linked assets, or keep them from going (%s): drop them first', v_strangers);
    end if;
end
$strangers$;

create or replace function linked.removal_column(p_table text, p_referred text) returns text
language plpgsql
as $linked$
declare
    v_columns text[] := array(
        select format('%I', a.attname)
        from pg_catalog.pg_constraint as k
        join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
        where k.contype = 'f' and cardinality(k.conkey) = 1
            and k.conrelid = to_regclass(format('public.%I', p_table)) and k.confrelid = to_regclass(format('public.%I', p_referred))
    );
begin
    if cardinality(v_columns) <> 1 then
        raise exception using
            errcode = 'LA001',
            message = format('it cannot be told which column of Immich''s table "%s" refers to "%s" (%s foreign keys do)',
                p_table, p_referred, cardinality(v_columns));
    end if;
    return v_columns[1];
end
$linked$;

create or replace function linked.removal_key(p_table text) returns text
language plpgsql
as $linked$
declare
    v_columns text[] := array(
        select format('%I', a.attname)
        from pg_catalog.pg_constraint as k
        join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = any (k.conkey)
        where k.contype = 'p' and k.conrelid = to_regclass(format('public.%I', p_table))
    );
begin
    if cardinality(v_columns) <> 1 then
        raise exception using
            errcode = 'LA001', message = format('Immich''s table "%s" is missing, or has not one column as its primary key', p_table);
    end if;
    return v_columns[1];
end
$linked$;

create or replace function linked.removal_switch_off() returns void
language plpgsql
as $linked$
declare
    v_trigger record;
begin
    for v_trigger in
        select t.tgname as name, t.tgrelid::regclass as relation
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
        where not t.tgisinternal
    loop
        execute format('alter table %s disable trigger %I', v_trigger.relation, v_trigger.name);
    end loop;
end
$linked$;

-- Immich has no stacks of fewer than two, and none whose primary asset is outside.
create or replace function linked.removal_unstack() returns void
language plpgsql
as $linked$
declare
    v_asset_key text := linked.removal_key('asset');
    v_stack_key text := linked.removal_key('stack');
    v_stack text := linked.removal_column('asset', 'stack');
    v_primary text := linked.removal_column('stack', 'asset');
    v_left uuid[];
begin
    execute format(
        'select array_agg(id) from (
            select %1$s as id from public.asset join linked.removal_clone on removal_clone.asset_id = asset.%2$s where %1$s is not null
            union
            select stack.%3$s from public.stack join linked.removal_clone on removal_clone.asset_id = stack.%4$s
        ) as stack',
        v_stack, v_asset_key, v_stack_key, v_primary
    ) into v_left;
    if v_left is null then
        return;
    end if;
    execute format(
        'update public.asset set %1$s = null from linked.removal_clone where removal_clone.asset_id = asset.%2$s and %1$s is not null',
        v_stack, v_asset_key
    );
    execute format(
        'delete from public.stack
        where %1$s = any ($1) and (select count(*) from public.asset where asset.%2$s = stack.%1$s) < 2',
        v_stack_key, v_stack
    ) using v_left;
    execute format(
        'update public.stack set %1$s = (select asset.%2$s from public.asset where asset.%3$s = stack.%4$s order by asset.%2$s limit 1)
        from linked.removal_clone
        where stack.%4$s = any ($1) and removal_clone.asset_id = stack.%1$s',
        v_primary, v_asset_key, v_stack, v_stack_key
    ) using v_left;
end
$linked$;

-- Rows of albums and memories go first: below the cascade Immich's triggers would leave no trace of them for its clients. Of
-- what is moved there is no foreign key.
create or replace function linked.removal_delete_clones() returns void
language plpgsql
as $linked$
declare
    v_table text;
begin
    foreach v_table in array array['album_asset', 'memory_asset'] loop
        execute format(
            'delete from public.%I using linked.removal_clone where removal_clone.asset_id = %s',
            v_table, linked.removal_column(v_table, 'asset')
        );
    end loop;
    if to_regclass('public.move_history') is not null then
        if not exists (
            select from pg_catalog.pg_attribute
            where attrelid = to_regclass('public.move_history') and attname = 'entityId' and not attisdropped
        ) then
            raise exception using errcode = 'LA001', message = 'Immich''s table "move_history" has no column "entityId"';
        end if;
        delete from public.move_history using linked.removal_clone where removal_clone.asset_id = "entityId";
    end if;
    execute format(
        'delete from public.asset using linked.removal_clone where removal_clone.asset_id = asset.%s', linked.removal_key('asset')
    );
end
$linked$;

create or replace function linked.removal_delete_albums() returns void
language plpgsql
as $linked$
declare
    v_key text := linked.removal_key('album');
    v_empty uuid[];
begin
    execute format(
        'select array_agg(album.%1$s)
        from public.album
        join linked.album_pair on album_pair.album_id = album.%1$s and album_pair.album_id <> album_pair.album_key
        where not exists (select from public.album_asset where album_asset.%2$s = album.%1$s)',
        v_key, linked.removal_column('album_asset', 'album')
    ) into v_empty;
    execute format('delete from public.album_user where %s = any ($1)', linked.removal_column('album_user', 'album')) using v_empty;
    execute format('delete from public.album where %s = any ($1)', v_key) using v_empty;
end
$linked$;

-- A person is a row of its own, or one account's view of a group of persons, which goes with the last view.
create or replace function linked.removal_delete_persons() returns void
language plpgsql
as $linked$
declare
    v_groups uuid[];
begin
    if to_regclass('public.person_group') is not null then
        execute format(
            'with gone as (
                delete from public.person using linked.person_pair
                where person_pair.made and person_pair.person_id = person.%1$s and person_pair.owner_id = person.%2$s
                    and not exists (
                        select from public.asset_face join public.asset on asset.%3$s = asset_face.%4$s
                        where asset_face.%5$s = person.%1$s and asset.%6$s = person.%2$s
                    )
                returning person.%1$s as group_id
            )
            select array_agg(distinct group_id) from gone',
            linked.removal_column('person', 'person_group'), linked.removal_column('person', 'user'), linked.removal_key('asset'),
            linked.removal_column('asset_face', 'asset'), linked.removal_column('asset_face', 'person_group'),
            linked.removal_column('asset', 'user')
        ) into v_groups;
        execute format(
            'delete from public.person_group
            where person_group.%1$s = any ($1)
                and not exists (select from public.person where person.%2$s = person_group.%1$s)',
            linked.removal_key('person_group'), linked.removal_column('person', 'person_group')
        ) using v_groups;
        return;
    end if;
    execute format(
        'delete from public.person using linked.person_pair
        where person_pair.made and person_pair.person_id = person.%1$s
            and not exists (select from public.asset_face where asset_face.%2$s = person.%1$s)',
        linked.removal_key('person'), linked.removal_column('asset_face', 'person')
    );
end
$linked$;

-- A tag stays with everything that it is below.
create or replace function linked.removal_delete_tags() returns void
language plpgsql
as $linked$
begin
    execute format(
        'with recursive kept as (
            select tag.%1$s as id, tag.%2$s as parent_id
            from public.tag
            where not exists (select from linked.made_tag where made_tag.tag_id = tag.%1$s)
                or exists (select from public.tag_asset where tag_asset.%3$s = tag.%1$s)
            union
            select tag.%1$s, tag.%2$s
            from kept join public.tag on tag.%1$s = kept.parent_id
        )
        delete from public.tag where not exists (select from kept where kept.id = tag.%1$s)',
        linked.removal_key('tag'), linked.removal_column('tag', 'tag'), linked.removal_column('tag_asset', 'tag')
    );
end
$linked$;

-- Groups whose files overlapping jobs of Immich may have lost: nobody is left who would have them made anew later.
create or replace function linked.removal_settle() returns void
language plpgsql
as $linked$
declare
    v_mark record;
begin
    for v_mark in
        select mark.what, a.attname as name
        from (values ('image', 'thumbhash'), ('video', 'encodedVideoPath')) as mark (what, name)
        join pg_catalog.pg_attribute as a
            on a.attrelid = to_regclass('public.asset') and a.attname = mark.name and not a.attisdropped
        where to_regclass('linked.unsettled') is not null
    loop
        execute format(
            'update public.asset set %1$I = null from linked.unsettled
            where unsettled.what = %2$L and unsettled.source_id = asset.%3$s and %1$I is not null',
            v_mark.name, v_mark.what, linked.removal_key('asset')
        );
    end loop;
    if to_regclass('linked.unsettled') is not null and to_regclass('public.asset_edit') is not null
        and exists (
            select from pg_catalog.pg_attribute as a
            where a.attrelid = to_regclass('public.asset') and a.attname = 'isEdited' and not a.attisdropped
        )
    then
        execute format(
            'update public.asset set "isEdited" = true from linked.unsettled
            where unsettled.what = ''image'' and unsettled.source_id = asset.%1$s and not asset."isEdited"
                and exists (select from public.asset_edit where asset_edit.%2$s = asset.%1$s)',
            linked.removal_key('asset'), linked.removal_column('asset_edit', 'asset')
        );
    end if;
end
$linked$;

-- Clones are those that are remembered. One that is not external, or is of a library, is remembered wrongly: it is somebody's
-- original.
create or replace function linked.removal_find_clones() returns void
language plpgsql
as $linked$
declare
    v_wrong boolean;
begin
    if not exists (
        select from pg_catalog.pg_attribute
        where attrelid = to_regclass('public.asset') and attname = 'isExternal' and not attisdropped
    ) then
        raise exception using errcode = 'LA001', message = 'Immich''s table "asset" has no column "isExternal"';
    end if;
    execute format(
        'create table linked.removal_clone as
        select member.asset_id
        from linked.member join public.asset on asset.%s = member.asset_id
        where member.asset_id <> member.source_id and asset."isExternal" and asset.%s is null',
        linked.removal_key('asset'), linked.removal_column('asset', 'library')
    );
    analyze linked.removal_clone;
    execute format(
        'select exists (
            select from linked.member join public.asset on asset.%s = member.asset_id where member.asset_id <> member.source_id
        )',
        linked.removal_key('asset')
    ) into v_wrong;
    if v_wrong and not exists (select from linked.removal_clone) then
        raise exception using errcode = 'LA001', message = 'what is remembered as clones (linked.member) are originals, all of them';
    end if;
end
$linked$;

-- Another tool's trigger can keep a row without a word.
create or replace function linked.removal_check() returns void
language plpgsql
as $linked$
declare
    v_left bigint;
begin
    execute format(
        'select count(*) from public.asset join linked.removal_clone on removal_clone.asset_id = asset.%s', linked.removal_key('asset')
    ) into v_left;
    if v_left > 0 then
        raise exception using
            errcode = 'LA001', message = format('%s clones are still there, somebody else''s trigger on "asset" keeps them', v_left);
    end if;
end
$linked$;

do $linked$
declare
    v_path text := current_setting('search_path');
    v_lock_timeout text := current_setting('lock_timeout');
    v_unknown bigint := 0;
begin
    -- Immich's own functions name its tables without a schema.
    perform set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    -- An in-app restore that was broken off leaves nothing of Immich's: there are no clones then.
    if not exists (
        select from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
        where c.relkind in ('r', 'p') and c.relname in ('asset', 'album', 'user', 'person', 'tag', 'stack')
    ) then
        return;
    end if;
    -- Clones that a backup left unremembered are known again, as long as our functions are whole and fit Immich's tables.
    begin
        perform linked.understand(ids, ids, ids) from (select array(select id from public.album)) as albums (ids);
        perform linked.adopt();
        v_unknown := (select count(*) from linked.clones_unknown());
    exception when others then
        null;
    end;
    -- What had to be put off is done: nobody could do it later, and sources would lose what was done to their clones.
    begin
        if exists (select from linked.installation where suspended_at is null) and exists (select from linked.note) then
            perform linked.take_turn(null, false);
            perform linked.work_notes(null, clock_timestamp() + interval '10 seconds');
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
        end if;
    exception when others then
        null;
    end;
    if v_unknown > 0 then
        raise warning using
            errcode = 'LA002',
            message = format('%s assets look like clones, but nobody remembers them: they stay. Deleting one of them in Immich deletes the file of the original', v_unknown);
    end if;
    perform linked.removal_switch_off();
    perform linked.removal_find_clones();
    perform linked.removal_unstack();
    perform linked.removal_delete_clones();
    perform linked.removal_check();
    perform linked.removal_settle();
    perform linked.removal_delete_albums();
    perform linked.removal_delete_persons();
    perform linked.removal_delete_tags();
    perform set_config('search_path', v_path, true);
end
$linked$;
