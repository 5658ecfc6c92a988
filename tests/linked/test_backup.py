"""Backups: PostgreSQL's own dump into an empty database, and Immich's in-app restore over an installation."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.database import Database
from tests.linked.conftest import MEDIA, Household, upgrade
from tests.release import ALBUM_ASSET, ALBUM_USER
from tests.shell.conftest import shell_for

Dump = Callable[..., str]
Psql = Callable[..., str]


@pytest.fixture
def busy(household: Household) -> Household:
    """Something in every table of the addon, a viewer among the users."""
    fill(household)
    household.check()
    return household


def fill(household: Household) -> None:
    photos = [household.photo() for _ in range(4)]
    household.share_album(household.linked_album, household.clara, "viewer")
    household.detect_faces(photos[0], [(10, 10, 50, 50)])
    household.update_person(household.recognize(household.faces(photos[0])[0].id), name="Grandma")
    household.create_album(household.family, "Holidays", assets=photos[:2])
    household.tag_assets(household.upsert_tag(household.family, "sea/beach"), photos[0])
    household.create_stack(household.family, photos[2:])
    household.trash([household.clone(photos[1], household.clara)])


def restored(household: Household, database: Database) -> Household:
    """The same household in another database."""
    moved = copy.copy(household)
    moved.database = database
    return moved


def backup(pg_dump: Dump, database: Database, *arguments: str) -> str:
    dump = pg_dump(database, *arguments)
    if database.execute("select").connection.info.server_version < 170000:
        dump = dump.replace("SET transaction_timeout = 0;\n", "")  # a newer pg_dump than the server
    return dump


def restore_in_app(psql: Psql, database: Database, dump: str) -> None:
    """As Immich's maintenance mode does it: schema public goes, all others stay, one transaction."""
    database.close()
    psql(database, f"drop schema public cascade;\ncreate schema public;\n{dump}", "--single-transaction")


def first_photo(household: Household) -> UUID:
    path = f"{MEDIA}/0001.jpg"
    photo = household.database.value(
        'select id from asset where "ownerId" = %s and "originalPath" = %s', [household.family, path]
    )
    assert isinstance(photo, UUID)
    return photo


def goes_on_syncing(household: Household) -> None:
    household.check()
    photo = first_photo(household)
    theirs = household.clone(photo, household.anna)
    household.update_exif(theirs, description="after the restore")
    assert household.exif(photo).description == "after the restore"
    assert household.exif(household.clone(photo, household.ben)).description == "after the restore"
    household.clone(household.photo(None, f"{MEDIA}/new.jpg"), household.anna)
    household.check()


def test_dump_works_in_an_empty_database(busy: Household, empty: Database, pg_dump: Dump, psql: Psql) -> None:
    psql(empty, backup(pg_dump, busy.database))
    goes_on_syncing(restored(busy, empty))


def test_dump_of_the_restored_is_the_dump(busy: Household, empty: Database, pg_dump: Dump, psql: Psql) -> None:
    dump = backup(pg_dump, busy.database, "--schema-only")
    psql(empty, dump)
    assert backup(pg_dump, empty, "--schema-only") == dump


def test_immichs_triggers_find_their_tables_below_ours(
    busy: Household, empty: Database, pg_dump: Dump, psql: Psql
) -> None:
    """Immich's own functions name their tables without a schema."""
    busy.database.execute(
        f"""create or replace function public.album_asset_delete_audit() returns trigger language plpgsql as $$
           begin
               insert into album_asset_audit ("albumId", "assetId")
               select {ALBUM_ASSET.albumId}, {ALBUM_ASSET.assetId} from old
               where {ALBUM_ASSET.albumId} in (select id from album);
               return null;
           end $$"""
    )
    psql(empty, backup(pg_dump, busy.database))
    household = restored(busy, empty)
    photo = first_photo(household)
    album = household.create_album(household.anna, "Mine", assets=[household.photo(household.anna)])
    household.add_to_album(album, household.clone(photo, household.anna))
    with household.database.connect() as connection:
        connection.execute("set search_path = ''")
        connection.execute(
            f"delete from public.album_user where {ALBUM_USER.albumId} = %s and {ALBUM_USER.userId} = %s",
            [household.linked_album, household.anna],
        )
    assert household.find_clone(photo, household.anna) is None
    assert household.database.value('select count(*) from album_asset_audit where "albumId" = %s', [album]) == 1
    household.check()


def test_in_app_restore_of_the_same_release(busy: Household, pg_dump: Dump, psql: Psql) -> None:
    dump = backup(pg_dump, busy.database, "--clean", "--if-exists")
    busy.update_exif(first_photo(busy), description="too late")
    lost = busy.photo()
    busy.delete_asset(busy.clone(first_photo(busy), busy.ben))
    restore_in_app(psql, busy.database, dump)
    assert not busy.database.fetch("select from asset where id = %s", [lost])
    goes_on_syncing(busy)
    upgrade(busy.database.execute("select").connection)
    busy.check()


@pytest.fixture
def before(immich: Database) -> Household:
    """A household without the addon."""
    household = Household(immich)
    household.create_album(household.family, "Holidays", assets=[household.photo() for _ in range(3)])
    return household


def install(household: Household) -> None:
    upgrade(household.database.execute("select").connection)


def test_in_app_restore_of_a_backup_without_the_addon(before: Household, pg_dump: Dump, psql: Psql) -> None:
    dump = backup(pg_dump, before.database, "--clean", "--if-exists")
    install(before)
    fill(before)
    restore_in_app(psql, before.database, dump)
    assert before.owned(before.anna) == 0
    install(before)
    goes_on_syncing(before)


def test_removal_after_such_a_restore(before: Household, pg_dump: Dump, psql: Psql) -> None:
    dump = backup(pg_dump, before.database, "--clean", "--if-exists")
    restore_in_app(psql, before.database, dump)
    schema = backup(pg_dump, before.database, "--schema-only")
    rows = backup(pg_dump, before.database, "--data-only", "--inserts")
    install(before)
    fill(before)
    restore_in_app(psql, before.database, dump)
    shell_for(before.database.url).alembic("downgrade", "base")
    assert backup(pg_dump, before.database, "--schema-only") == schema
    assert backup(pg_dump, before.database, "--data-only", "--inserts") == rows


def made_rows(household: Household) -> dict[str, int]:
    return {table: household.count(table) for table in ("asset", "person", "album", "tag", "stack", "asset_face")}


def test_clones_that_nobody_remembers_are_known_again(busy: Household) -> None:
    """Schema `linked` was lost, or a backup of schema `public` alone was restored."""
    photo = first_photo(busy)
    old = busy.clone(photo, busy.anna)
    busy.unshare_album(busy.linked_album, busy.clara)
    before = made_rows(busy)
    busy.database.execute("drop schema linked cascade")
    install(busy)
    assert busy.clone(photo, busy.anna) == old
    assert made_rows(busy) == before, "something was made a second time"
    goes_on_syncing(busy)


def test_what_only_looks_like_a_clone_is_left_alone_and_told(busy: Household) -> None:
    """An external asset without a library, on a file of the family's, in an account that no linked album entitles."""
    photo = first_photo(busy)
    old = busy.clone(photo, busy.clara)
    busy.database.execute("drop schema linked cascade")
    busy.unshare_album(busy.linked_album, busy.clara)
    install(busy)
    assert busy.find_clone(photo, busy.clara) is None
    assert busy.database.fetch("select from asset where id = %s", [old])
    found = json.loads(shell_for(busy.database.url).linked_asset("doctor", "--json", check=False).stdout)
    assert [finding["check"] for finding in found if finding["kind"] == "problem"] == ["forgotten clones"]
    # An administrator's way.
    busy.database.execute('delete from stack where "ownerId" = %s', [busy.clara])
    busy.database.execute("delete from asset where id in (select linked.clones_unknown())")


def test_an_asset_of_its_owners_own_is_never_taken_for_a_clone(busy: Household) -> None:
    """Immich's device name is free text."""
    own = busy.photo(busy.anna)
    same = busy.photo(busy.anna)
    busy.database.execute(
        """update asset set "originalPath" = (select "originalPath" from asset where id = %s), "isExternal" = true
           where id = %s""",
        [first_photo(busy), same],
    )
    library = busy.create_library(busy.anna, "/pictures")
    (external,) = busy.import_library(busy.anna, library, ["/pictures/1.jpg"])
    if busy.has("asset", "deviceId"):
        busy.update_assets([own, external], deviceId="linked")
    busy.database.execute("update linked.installation set script_sha256 = ''")
    install(busy)
    assert len(busy.database.fetch("select from asset where id = any(%s)", [[own, external, same]])) == 3


@pytest.mark.parametrize(
    "damage",
    [
        "update linked.installation set suspended_at = now(), suspended_why = 'tables do not fit'",
        "drop trigger linked_asset_insert on asset; drop trigger linked_asset_delete on asset",
        "alter table asset disable trigger linked_asset_insert; alter table asset disable trigger linked_asset_delete",
    ],
)
def test_what_came_and_went_unseen_is_made_good(busy: Household, damage: str) -> None:
    gone = first_photo(busy)
    left = busy.clone(gone, busy.anna)
    busy.database.execute(damage)
    busy.delete_asset(gone)
    missed = busy.photo(None, f"{MEDIA}/missed.jpg")
    assert busy.find_clone(missed, busy.anna) is None
    install(busy)
    assert not busy.database.fetch("select from asset where id = %s", [left])
    busy.clone(missed, busy.anna)
    busy.check()
