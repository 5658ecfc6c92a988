-- Triggers with the names, timing and conditions of Immich's. Bodies are our own.

{% macro function(name) %}
create function public.{{ name }}() returns trigger
  language plpgsql
  as $$
begin
{{ caller() }}  return null;
end
$$;

{% endmacro %}
{% macro on_delete(table, name, depth, old='old') %}
create trigger "{{ name }}" after delete on public."{{ table }}"
  referencing old table as {{ old }}
  for each statement when (pg_trigger_depth() {{ depth }})
  execute function public.{{ name }}();

{% endmacro %}
{% macro audited(table, name, into, columns, depth='= 0', only='') %}
{% if release.has(table) and release.has(into) %}
{% call function(name) %}
  insert into public.{{ into }} ({{ columns.keys() | map('tojson') | join(', ') }})
  select {{ columns.values() | join(', ') }} from old{{ only }};
{% endcall %}
{{ on_delete(table, name, depth) }}
{% endif %}
{% endmacro %}
-- Every change of a row gives it a new place in the order in which clients fetch changes.
create function public.updated_at() returns trigger
  language plpgsql
  as $$
declare
  moment constant timestamp with time zone := clock_timestamp();
begin
  new."updatedAt" := moment;
  new."updateId" := public.immich_uuid_v7(moment);
  return new;
end
$$;

{% for table in release if table.has('updatedAt') and table.has('updateId') %}
create trigger "{{ table.name }}_{{ 'updated_at' if table.name == 'asset_metadata' else 'updatedAt' }}"
  before update on public."{{ table.name }}"
  for each row execute function public.updated_at();

{% endfor %}
-- Deletions, for clients that fetch changes.
{{ audited('asset', 'asset_delete_audit', 'asset_audit', {'assetId': 'id', 'ownerId': '"ownerId"'}) }}
{{ audited('asset_face', 'asset_face_audit', 'asset_face_audit', {'assetFaceId': 'id', 'assetId': '"assetId"'}) }}
{{ audited('asset_metadata', 'asset_metadata_audit', 'asset_metadata_audit', {'assetId': '"assetId"', 'key': 'key'}) }}
{{ audited('asset_edit', 'asset_edit_audit', 'asset_edit_audit', {'editId': 'id', 'assetId': '"assetId"'}) }}
{{ audited('asset_ocr', 'asset_ocr_delete_audit', 'asset_ocr_audit', {'assetId': '"assetId"'}) }}
{{ audited('person', 'person_delete_audit', 'person_audit',
           {column('person_audit', 'personGroupId') | replace('"', ''): column('person', 'personGroupId'), 'ownerId': '"ownerId"'},
           depth='<= 1' if release.has('person_group') else '= 0') }}
{{ audited('person_group', 'person_group_delete_audit', 'person_group_audit',
           {'personGroupId': 'id', 'clusterGroupId': '"clusterGroupId"'}) }}
{{ audited('stack', 'stack_delete_audit', 'stack_audit', {'stackId': 'id', 'userId': '"ownerId"'}) }}
{{ audited('user', 'user_delete_audit', 'user_audit', {'userId': 'id'}) }}
{{ audited('partner', 'partner_delete_audit', 'partner_audit', {'sharedById': '"sharedById"', 'sharedWithId': '"sharedWithId"'}) }}
{{ audited('memory', 'memory_delete_audit', 'memory_audit', {'memoryId': 'id', 'userId': '"ownerId"'}) }}
{{ audited('memory_asset', 'memory_asset_delete_audit', 'memory_asset_audit',
           {'memoryId': column('memory_asset', 'memoriesId'), 'assetId': column('memory_asset', 'assetId')}, depth='<= 1',
           only=' where "memoriesId" in (select id from public.memory)') }}
{{ audited('album_asset', 'album_asset_delete_audit', 'album_asset_audit',
           {'albumId': column('album_asset', 'albumId'), 'assetId': column('album_asset', 'assetId')}, depth='<= 1',
           only=' where ' ~ column('album_asset', 'albumId') ~ ' in (select id from public.album)') }}
{% if release.table('album').has('ownerId') %}
{{ audited('album', 'album_delete_audit', 'album_audit', {'albumId': 'id', 'userId': '"ownerId"'}) }}
{% endif %}
-- Who leaves an album loses it; those who stay learn who left.
{% call function('album_user_delete_audit') %}
  insert into public.album_audit ("albumId", "userId")
  select {{ column('album_user', 'albumId') }}, {{ column('album_user', 'userId') }} from old;
  if pg_trigger_depth() = 1 then
    insert into public.album_user_audit ("albumId", "userId")
    select {{ column('album_user', 'albumId') }}, {{ column('album_user', 'userId') }} from old;
  end if;
{% endcall %}
{{ on_delete('album_user', 'album_user_delete_audit', '<= 1') }}
-- A new member makes the album new to everybody.
{% call function('album_user_after_insert') %}
  update public.album
  set "updatedAt" = clock_timestamp(), "updateId" = public.immich_uuid_v7()
  where exists (select from inserted_rows as added where added.{{ column('album_user', 'albumId') }} = album.id)
{% if not release.table('album').has('ownerId') %}
    and not exists (select from inserted_rows as added where added.role = 'owner')
{% endif %}
  ;
{% endcall %}
create trigger album_user_after_insert after insert on public.album_user
  referencing new table as inserted_rows
  for each statement execute function public.album_user_after_insert();

{% if release.has('person_group') %}
-- An album without an owner is nobody's.
{% call function('album_user_delete') %}
  delete from public.album
  where album.id = old."albumId"
    and not exists (
      select from public.album_user where album_user."albumId" = album.id and album_user.role = 'owner'
    );
{% endcall %}
create trigger album_user_delete after delete on public.album_user
  referencing old table as old
  for each row execute function public.album_user_delete();

{% endif %}
{% if release.has('person_user') %}
-- With whom a person is shared gets a view of it, or fills the gaps of the one that is there.
{% call function('person_user_after_insert') %}
  insert into public.person ("ownerId", "personGroupId", name, "birthDate")
  select distinct on (shared."sharedWithId", shared."personGroupId")
    shared."sharedWithId", shared."personGroupId", theirs.name, theirs."birthDate"
  from inserted_rows as shared
  join public.person as theirs
    on theirs."ownerId" = shared."sharedById" and theirs."personGroupId" = shared."personGroupId"
  order by shared."sharedWithId", shared."personGroupId", shared."sharedById"
  on conflict ("ownerId", "personGroupId") do update
  set name = case when person.name = '' then excluded.name else person.name end,
    "birthDate" = coalesce(person."birthDate", excluded."birthDate");
{% endcall %}
create trigger person_user_after_insert after insert on public.person_user
  referencing new table as inserted_rows
  for each statement execute function public.person_user_after_insert();

-- Who gives up a shared person is not shared with any more.
{% call function('person_delete_shares') %}
  delete from public.person_user
  using deleted_rows as gone
  where person_user."sharedWithId" = gone."ownerId" and person_user."personGroupId" = gone."personGroupId";
{% endcall %}
create trigger person_delete_shares after delete on public.person
  referencing old table as deleted_rows
  for each statement execute function public.person_delete_shares();

{% endif %}
{% if release.has('asset_edit') %}
-- An asset knows whether it has edits.
{% call function('asset_edit_insert') %}
  update public.asset set "isEdited" = true
  where not "isEdited" and id in (select "assetId" from inserted_edit);
{% endcall %}
create trigger asset_edit_insert after insert on public.asset_edit
  referencing new table as inserted_edit
  for each statement execute function public.asset_edit_insert();

{% call function('asset_edit_delete') %}
  update public.asset set "isEdited" = false
  where "isEdited" and id in (select "assetId" from deleted_edit)
    and id not in (select "assetId" from public.asset_edit);
{% endcall %}
{{ on_delete('asset_edit', 'asset_edit_delete', '= 0', old='deleted_edit') }}
{% endif %}
