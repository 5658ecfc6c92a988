-- Where Immich's tables are no longer those that the functions were made for, removal does without them: with names that no
-- release has changed, and foreign keys.
do $linked$
begin
    perform linked.remove_clones();
exception when others then
    if sqlstate not like '42%' then
        raise;
    end if;
    perform set_config('linked.writing', 'on', true);
    update public.asset set "stackId" = null
    where "stackId" is not null and id in (select asset_id from linked.member where asset_id <> source_id);
    delete from public.stack
    where "primaryAssetId" in (select asset_id from linked.member where asset_id <> source_id);
    delete from public.asset
    where id in (select asset_id from linked.member where asset_id <> source_id);
    delete from public.person
    where to_jsonb(person) ->> 'id' in (select person_id::text from linked.person_pair where made)
        and not exists (
            select from public.asset_face
            where to_jsonb(asset_face) ->> 'personId' = to_jsonb(person) ->> 'id'
        );
    delete from public.album
    where id in (select album_id from linked.album_pair where album_id <> album_key)
        and not exists (
            select from public.album_asset
            where album.id::text in (to_jsonb(album_asset) ->> 'albumId', to_jsonb(album_asset) ->> 'albumsId')
        );
    delete from public.tag
    where id in (select tag_id from linked.made_tag)
        and not exists (
            select from public.tag_asset
            join public.tag_closure on id_descendant::text
                in (to_jsonb(tag_asset) ->> 'tagId', to_jsonb(tag_asset) ->> 'tagsId')
            where id_ancestor = tag.id
        );
end
$linked$;
