"""Immich upgrades itself under the installed addon: all of its pending migrations in one transaction.

The statements do to the tables what Immich's own migrations do, from release to release, in the same order. Where they
write rows, our triggers fire on tables that they were not made for.
"""

from __future__ import annotations

from itertools import accumulate
from uuid import UUID

import pytest

from tests.builders import Immich
from tests.database import Database
from tests.linked.conftest import Household
from tests.shell.conftest import shell_for

pytestmark = pytest.mark.until("v1.138.0")

MIGRATIONS = {
    "v2.3.0": """
        alter table album_asset rename column "albumsId" to "albumId";
        alter table album_asset rename column "assetsId" to "assetId";
        alter table album_user rename column "albumsId" to "albumId";
        alter table album_user rename column "usersId" to "userId";
        alter table memory_asset rename column "assetsId" to "assetId";
        alter table tag_asset rename column "assetsId" to "assetId";
        alter table tag_asset rename column "tagsId" to "tagId";
        create or replace function public.album_user_after_insert() returns trigger language plpgsql as $$
        begin
            update album set "updatedAt" = clock_timestamp() where id in (select "albumId" from inserted_rows);
            return null;
        end $$;
        create or replace function public.album_asset_delete_audit() returns trigger language plpgsql as $$
        begin
            insert into album_asset_audit ("albumId", "assetId") select "albumId", "assetId" from old
            where "albumId" in (select id from album);
            return null;
        end $$;
        create or replace function public.album_user_delete_audit() returns trigger language plpgsql as $$
        begin
            insert into album_audit ("albumId", "userId") select "albumId", "userId" from old;
            return null;
        end $$;
        create or replace function public.memory_asset_delete_audit() returns trigger language plpgsql as $$
        begin
            insert into memory_asset_audit ("memoryId", "assetId") select "memoriesId", "assetId" from old;
            return null;
        end $$""",
    "v2.4.0": """
        insert into asset_file ("assetId", path, type)
        select id, "sidecarPath", 'sidecar' from asset where "sidecarPath" is not null and "sidecarPath" <> '';
        alter table asset drop column "sidecarPath";
        alter table asset_exif add "lockedProperties" varchar[]""",
    "v2.5.0": """
        alter table asset add width integer;
        alter table asset add height integer;
        update asset set width = asset_exif."exifImageWidth", height = asset_exif."exifImageHeight"
        from asset_exif where asset.id = asset_exif."assetId" and asset_exif."exifImageWidth" is not null;
        alter table asset add "isEdited" boolean not null default false;
        alter table asset_file drop constraint {asset_file_key};
        alter table asset_file add "isEdited" boolean not null default false;
        alter table asset_file add unique ("assetId", type, "isEdited");
        alter table asset_file add "isProgressive" boolean not null default false;
        alter table asset_face add "isVisible" boolean not null default true;
        alter table asset_exif add tags varchar[]""",
    "v2.6.0": """
        alter table asset_job_status drop column "previewAt";
        alter table asset_job_status drop column "thumbnailAt";
        update asset_exif set rating = null where rating = 0;
        alter table asset_file add "isTransparent" boolean not null default false;
        insert into asset_file ("assetId", type, path)
        select id, 'encoded_video', "encodedVideoPath" from asset where "encodedVideoPath" is not null;
        alter table asset drop column "encodedVideoPath" """,
    "v2.7.0": """
        create type asset_checksum_algorithm_enum as enum ('sha1', 'sha1-path');
        alter table asset add "checksumAlgorithm" asset_checksum_algorithm_enum;
        update asset set "checksumAlgorithm" =
            case when "isExternal" then 'sha1-path' else 'sha1' end::asset_checksum_algorithm_enum;
        alter table asset alter "checksumAlgorithm" set not null""",
    "v3.0.0": """
        alter table asset drop column "deviceId";
        alter table asset drop column "deviceAssetId";
        drop trigger album_delete_audit on album;
        create type album_user_role_enum as enum ('owner', 'editor', 'viewer');
        alter table album_user alter role drop default;
        alter table album_user alter role type album_user_role_enum using role::album_user_role_enum;
        alter table album_user alter role set default 'editor';
        insert into album_user ("albumId", "userId", role) select id, "ownerId", 'owner' from album
        on conflict ("albumId", "userId") do update set role = 'owner';
        alter table album drop column "ownerId";
        create unique index album_user_unique_owner on album_user ("albumId") where role = 'owner';
        alter table asset alter duration type integer using null::integer;
        delete from asset_face using person, asset
        where asset_face."personId" = person.id and asset_face."assetId" = asset.id
            and person."ownerId" <> asset."ownerId";
        update asset set visibility = 'timeline'
        where type = 'IMAGE' and visibility = 'hidden' and "livePhotoVideoId" is not null""",
    "v3.2.0": """
        alter table "user" alter password drop not null;
        alter table "user" alter password drop default;
        update "user" set password = null where password = '';
        alter table album alter description drop not null;
        alter table album alter description drop default;
        update album set description = null where description = '';
        create function public.album_user_delete() returns trigger language plpgsql as $$
        begin
            delete from album where id = old."albumId" and not exists (
                select from album_user where "albumId" = old."albumId" and role = 'owner'
            );
            return null;
        end $$;
        create trigger album_user_delete after delete on album_user
        for each row execute function public.album_user_delete();
        alter table if exists asset_ocr add "updatedAt" timestamptz not null default now();
        create table cluster_group (
            id uuid primary key default uuid_generate_v4(), name varchar,
            "createdAt" timestamptz not null default now(), "updatedAt" timestamptz not null default now(),
            "updateId" uuid not null default immich_uuid_v7()
        );
        create table person_group (
            id uuid primary key default uuid_generate_v4(),
            "clusterGroupId" uuid not null references cluster_group on update cascade on delete cascade,
            "createdAt" timestamptz not null default now(), "createId" uuid not null default immich_uuid_v7(),
            "updatedAt" timestamptz not null default now(), "updateId" uuid not null default immich_uuid_v7()
        );
        create table person_group_audit (
            id uuid primary key default immich_uuid_v7(), "personGroupId" uuid not null,
            "clusterGroupId" uuid not null, "deletedAt" timestamptz not null default clock_timestamp()
        );
        alter table "user" add "clusterGroupId" uuid;
        update "user" set "clusterGroupId" = uuid_generate_v4();
        insert into cluster_group (id) select "clusterGroupId" from "user";
        alter table "user" alter "clusterGroupId" set not null;
        alter table "user" add foreign key ("clusterGroupId") references cluster_group on update cascade;
        alter table person add "personGroupId" uuid;
        update person set "personGroupId" = id;
        insert into person_group (id, "clusterGroupId")
        select person.id, "clusterGroupId" from person join "user" on "user".id = "ownerId";
        alter table asset_face drop constraint "asset_face_personId_fkey";
        alter table asset_face rename column "personId" to "personGroupId";
        update asset_face set "personGroupId" = person."personGroupId"
        from person where person.id = asset_face."personGroupId";
        alter table person drop column id;
        alter table person alter "personGroupId" set not null;
        alter table person add primary key ("ownerId", "personGroupId");
        alter table person add foreign key ("personGroupId") references person_group
        on update cascade on delete cascade;
        alter table asset_face add foreign key ("personGroupId") references person_group
        on update cascade on delete set null;
        alter table person_audit add "personGroupId" uuid;
        update person_audit set "personGroupId" = "personId";
        alter table person_audit drop column "personId";
        alter table person_audit alter "personGroupId" set not null;
        create or replace function public.person_delete_audit() returns trigger language plpgsql as $$
        begin
            insert into person_audit ("personGroupId", "ownerId") select "personGroupId", "ownerId" from old;
            return null;
        end $$;
        drop trigger person_delete_audit on person;
        create trigger person_delete_audit after delete on person referencing old table as old
        for each statement when (pg_trigger_depth() <= 1) execute function public.person_delete_audit()""",
    "v3.3.0": """
        alter table "user" alter "oauthId" drop not null;
        alter table "user" alter "oauthId" drop default;
        update "user" set "oauthId" = null where "oauthId" = '';
        update asset_exif set country = 'Czechia' where country = 'Czech Republic';
        create type person_user_role_enum as enum ('read', 'write', 'admin');
        create table person_user (
            "personGroupId" uuid not null, "sharedById" uuid not null,
            "sharedWithId" uuid not null references "user" on update cascade on delete cascade,
            role person_user_role_enum not null, "createdAt" timestamptz not null default now(),
            "updatedAt" timestamptz not null default now(), "updateId" uuid not null default immich_uuid_v7(),
            primary key ("personGroupId", "sharedById", "sharedWithId"),
            foreign key ("sharedById", "personGroupId") references person ("ownerId", "personGroupId")
            on update cascade on delete cascade
        )""",
}
PATHS = dict(zip(MIGRATIONS, accumulate(MIGRATIONS.values(), "{};\n{}".format), strict=True))
"""Everything up to a release."""


@pytest.fixture
def busy(linked: Database) -> Household:
    """A household with something in every table, not checked at the end: sync is suspended by then."""
    household = Household(linked)
    photo, video = household.photo(), household.photo(type="VIDEO")
    household.write_sidecar(photo)
    household.encode_video(video)
    household.upsert_exif(photo, exifImageWidth=4000, exifImageHeight=3000, rating=0)
    household.detect_faces(photo, [(10, 10, 50, 50)])
    household.recognize(household.faces(photo)[0].id)
    household.create_album(household.family, "Holidays", assets=[photo, video])
    household.tag_assets(household.upsert_tag(household.family, "sea/beach"), photo)
    household.check()
    return household


def migrate(household: Household, release: str) -> Immich:
    """Runs the migrations up to a release as Immich does, and returns that Immich."""
    key = household.database.value(
        "select conname from pg_constraint where conrelid = 'asset_file'::regclass and contype = 'u'"
    )
    with household.database.transaction():
        household.database.execute(PATHS[release].replace("{asset_file_key}", f'"{key}"'))
    return Immich(household.database, release)


def incidents(household: Household) -> list[str]:
    return [row.sqlstate for row in household.database.fetch("select sqlstate from linked.incident")]


@pytest.mark.parametrize("release", MIGRATIONS)
def test_migrations_run_and_later_writes_go_through(busy: Household, release: str) -> None:
    immich = migrate(busy, release)
    photo = immich.upload(busy.family, "/data/library/family/later.jpg")
    immich.process(photo, description="later", tags=["sea/later"])
    immich.detect_faces(photo, [(1, 1, 5, 5)])
    immich.recognize(immich.faces(photo)[0].id)
    album = immich.create_album(busy.anna, "Later", users=[busy.ben])
    immich.add_to_album(album, busy.database.fetch('select id from asset where "ownerId" = %s', [busy.anna])[0].id)
    immich.favorite(photo)
    immich.unshare_album(busy.linked_album, busy.ben)
    immich.trash([photo])
    immich.restore([photo])
    immich.delete_album(album)
    immich.delete_asset(photo)
    assert busy.database.value("select suspended_at is not null from linked.installation")
    (sqlstate,) = incidents(busy)
    assert sqlstate.startswith("42")


@pytest.mark.parametrize("release", MIGRATIONS)
def test_migrations_lose_no_row_of_a_group(busy: Household, release: str) -> None:
    tables = ("asset", "asset_exif", "asset_file", "asset_face", "smart_search", "album_asset", "tag_asset", "person")

    def counts() -> dict[str, int]:
        return {
            table: busy.database.value(f"select count(*) from {table}")
            - (busy.database.value("select count(*) from asset_file where type in ('sidecar', 'encoded_video')"))
            * (table == "asset_file")
            for table in tables
        }

    before = counts()
    migrate(busy, release)
    assert counts() == before


def test_what_still_fits_goes_on(busy: Household) -> None:
    """A release that changes nothing that the addon touches is no reason to stop."""
    with busy.database.transaction():
        busy.database.execute("create table video_segment (id uuid primary key)")
        busy.database.execute('alter table "user" add "lastSeenAt" timestamptz')
        busy.database.execute('create index "asset_new_idx" on asset ("isOffline")')
    photo = busy.photo()
    busy.update_exif(photo, description="still in sync")
    assert busy.exif(busy.clone(photo, busy.anna)).description == "still in sync"
    busy.check()


@pytest.mark.parametrize("release", MIGRATIONS)
def test_removal_does_not_depend_on_what_immich_has_changed(busy: Household, release: str) -> None:
    sources = busy.database.fetch("select asset_id from linked.member where asset_id = source_id")
    migrate(busy, release)
    shell_for(busy.database.url).alembic("downgrade", "base")
    left = busy.database.fetch("""select "ownerId" from asset""")
    assert [row.ownerId for row in left] == [busy.family] * len(sources)
    assert busy.database.value("select count(*) from person") == 1
    assert busy.database.value("""select count(*) from album where "albumName" = 'Holidays'""") == 1
    assert busy.database.value("select count(*) from tag") == 2
    assert busy.database.value("select to_regnamespace('linked') is null")


@pytest.mark.parametrize("release", [release for release in MIGRATIONS if release >= "v2.4.0"])
def test_only_a_viewer_has_a_sidecar_that_cannot_be_written(busy: Household, release: str) -> None:
    """Immich makes rows of what stood in a column. Whose edits go to such a file loses them."""
    busy.set_viewer(busy.ben)
    without, with_one = busy.photo(), busy.photo()
    busy.write_sidecar(with_one)
    sidecar = busy.asset(with_one).sidecarPath
    paths = [busy.asset(photo).originalPath for photo in (without, with_one)]

    def sidecars(user: UUID) -> list[str]:
        rows = busy.database.fetch(
            """select path from asset_file join asset on asset.id = "assetId"
               where asset_file.type = 'sidecar' and "ownerId" = %s and "originalPath" = any (%s)""",
            [user, paths],
        )
        return [row.path for row in rows]

    migrate(busy, release)
    for user in (busy.family, busy.anna):
        assert sidecars(user) == [sidecar]
