"""When the addon cannot do its part, Immich's statement goes through as if the addon were not there."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from linked_asset import immich, render
from tests.builders.media import EPOCH
from tests.database import Database
from tests.linked.columns import SYNCED, other_value
from tests.linked.conftest import MEDIA, Household, upgrade
from tests.linked.sessions import WRITERS_LOCK, wait_until
from tests.release import ALBUM_ASSET, ALBUM_USER, PERSON_ID, RELEASE, SHOWN, TAG_ASSET

_RELEASE = immich.release(RELEASE)
FUNCTIONS = sorted(re.findall(r"create or replace function linked\.(on_\w+)", render.install_script(RELEASE)))
SHELL = {
    "take_turn", "stop_writing", "plan_for", "record_incident", "leave_note", "work_notes", "work_along", "work_aside",
    "is_linked_album", "is_approval", "covered", "follow_moved_persons",
}  # fmt: skip
"""What every trigger function uses, what none fails in, and what is for few statements only."""

EXCEPTION = "raise exception 'injected'"
NO_SUCH_COLUMN = "perform no_such_column from public.asset"
UNFIT = {
    "a column renamed": (
        "alter table asset_exif rename column rating to stars",
        "alter table asset_exif rename column stars to rating",
    ),
    "a column dropped": (
        "alter table asset_exif drop column rating",
        "alter table asset_exif add column rating integer",
    ),
    "a column that has to be filled": (
        "alter table smart_search add column news integer; update smart_search set news = 1; "
        "alter table smart_search alter column news set not null",
        "alter table smart_search drop column news",
    ),
    "a table renamed": ("alter table smart_search rename to smart", "alter table smart rename to smart_search"),
}
"""What an upgrade of Immich may do under the addon, and how it is undone."""

Statement = tuple[str | sql.Composed, dict[str, Any], int]
"""Text, parameters, rows."""

LATER = [
    table
    for table in ("asset_ocr", "ocr_search", "asset_edit", "asset_video", "asset_audio", "asset_keyframe")
    if _RELEASE.has(table)
]
"""What hangs on an asset and was not always there."""


@dataclass
class Scene:
    """A household in which every table has a row that the addon cares about."""

    house: Household

    def __post_init__(self) -> None:
        house = self.house
        self.photo, self.other, self.third = house.photo(), house.photo(), house.photo()
        self.clone = house.clone(self.photo, house.anna)
        self.faces = house.detect_faces(self.photo, [(0, 0, 50, 50), (100, 0, 150, 50)])
        self.person, self.somebody = house.recognize(self.faces[0]), house.recognize(self.faces[1])
        self.tag = house.upsert_tag(house.family, "tag")
        house.tag_assets(self.tag, self.photo)
        self.new_tag = house.upsert_tag(house.family, "new")
        self.album = house.create_album(house.family, "Album", assets=[self.photo, self.other])
        self.stack = house.create_stack(house.family, [self.photo, self.other])
        self.bare = house.insert(
            "asset",
            {
                "ownerId": house.family, "checksum": b"bare", "originalPath": f"{MEDIA}/bare.jpg", "type": "IMAGE",
                "deviceAssetId": "x", "deviceId": "x", "fileCreatedAt": EPOCH, "fileModifiedAt": EPOCH,
                "localDateTime": EPOCH, "originalFileName": "bare.jpg", "checksumAlgorithm": "sha1",
            },
        )[0].id  # fmt: skip
        """Linked, but no job has looked at it yet."""
        for table in LATER:
            house.insert(table, self._row(table, self.photo))
        if group := house.create_group(house.anna):
            left_open = house.create_face(house.clone(self.third, house.anna), None)
            house.reassign_faces([left_open], group)
            house.database.execute("update linked.face set left_open = true where face_id = %s", [left_open])
        self.group = group
        """Anna had a person of it."""
        self.replacing_stack = uuid4()
        """Immich is about to make it in the place of one that sync has made."""
        house.database.execute(
            "insert into linked.stack_pair values (%(id)s, %(id)s, %(family)s)",
            {"id": self.replacing_stack, "family": house.family},
        )
        self.bare_face = house.create_face(self.bare, None)

    def state(self) -> list[Any]:
        """What the addon remembers, and how much there is in Immich's tables for Anna and Ben."""
        database = self.house.database
        users = [self.house.anna, self.house.ben]
        return [
            database.fetch("select * from linked.member order by asset_id"),
            database.fetch("select * from linked.participant order by album_id, user_id"),
            database.fetch("select * from linked.face order by face_id"),
            database.fetch('select id, visibility from asset where "ownerId" = any(%s) order by id', [users]),
        ]

    def statement(self, function: str) -> Statement:
        """A statement of Immich's that calls the function for rows that matter."""
        return self._statements()[function.removeprefix("on_")]

    def _statements(self) -> dict[str, Statement]:
        house, photo = self.house, self.photo
        embedding = house.embedding("another")
        names = {
            "photo": photo,
            "bare": self.bare,
            "bare_face": self.bare_face,
            "face": self.faces[0],
            "embedding": embedding,
            "anna": house.anna,
            "person": self.person,
        }
        new = uuid4()
        face = f"""insert into asset_face (id, "assetId", {SHOWN}, "imageWidth", "imageHeight", "boundingBoxX1",
                    "boundingBoxY1", "boundingBoxX2", "boundingBoxY2")
                  values (%(id)s, %(photo)s, %(person)s, 100, 100, 60, 60, 90, 90)"""
        return {
            "asset_insert": self._insertion(
                "asset",
                {
                    "ownerId": house.family,
                    "checksum": hashlib.sha1(b"x").digest(),
                    "originalPath": f"{MEDIA}/x.jpg",
                    "deviceAssetId": "x",
                    "deviceId": "x",
                    "fileCreatedAt": EPOCH,
                    "fileModifiedAt": EPOCH,
                    "localDateTime": EPOCH,
                    "type": "IMAGE",
                    "originalFileName": "x.jpg",
                    "checksumAlgorithm": "sha1",
                },
            ),
            "asset_update": (
                """update asset set "deletedAt" = now(), status = 'trashed' where id = %(photo)s""",
                names,
                1,
            ),
            "asset_delete": ("delete from asset where id = %(id)s", {"id": self.third}, 1),
            "asset_exif_insert": (
                """insert into asset_exif ("assetId", description) values (%(bare)s, 'x')""",
                names,
                1,
            ),
            "asset_exif_update": ("""update asset_exif set rating = 1 where "assetId" = %(photo)s""", names, 1),
            "asset_file_insert": (
                """insert into asset_file ("assetId", type, path) values (%(photo)s, 'fullsize', '/data/x')""",
                names,
                1,
            ),
            "asset_file_update": ("""update asset_file set path = path || 'x' where "assetId" = %(photo)s""", names, 2),
            "asset_file_delete": ("""delete from asset_file where "assetId" = %(photo)s""", names, 2),
            "smart_search_insert": (
                "insert into smart_search values (%(bare)s, %(embedding)s)",
                names,
                1,
            ),
            "smart_search_update": (
                """update smart_search set embedding = %(embedding)s where "assetId" = %(photo)s""",
                names,
                1,
            ),
            "asset_job_status_insert": (
                """insert into asset_job_status ("assetId") values (%(bare)s)""",
                names,
                1,
            ),
            "asset_job_status_update": (
                """update asset_job_status set "facesRecognizedAt" = now() where "assetId" = %(photo)s""",
                names,
                1,
            ),
            "asset_face_insert": (face, {**names, "id": new}, 1),
            "asset_face_update": (
                f"""update asset_face set {SHOWN} = %(person)s, "imageWidth" = 999 where id = any(%(faces)s)""",
                {"person": self.person, "faces": self.faces},
                2,
            ),
            "asset_face_delete": ("delete from asset_face where id = %(face)s", names, 1),
            "face_search_insert": (
                "insert into face_search values (%(bare_face)s, %(embedding)s)",
                names,
                1,
            ),
            "face_search_update": (
                """update face_search set embedding = %(embedding)s where "faceId" = %(face)s""",
                names,
                1,
            ),
            "album_insert": (
                """insert into album ("ownerId", "albumName") values (%(anna)s, 'Linked album of mine')"""
                if house.has("album", "ownerId")
                else """with album as (
                          insert into album ("albumName") values ('Linked album of mine') returning *
                        ), album_user as (
                          insert into album_user ("albumId", "userId", role) select id, %(anna)s, 'owner' from album
                        )
                        select * from album""",
                names,
                1,
            ),
            "album_update": (
                """update album set description = '/elsewhere' where id = %(id)s""",
                {"id": house.linked_album},
                1,
            ),
            "album_delete": ("delete from album where id = %(id)s", {"id": house.linked_album}, 1),
            "album_user_insert": (
                f"""insert into album_user ({ALBUM_USER.albumId}, {ALBUM_USER.userId}, role)
                    values (%(id)s, %(clara)s, 'editor')""",
                {"id": house.linked_album, "clara": house.clara},
                1,
            ),
            "album_user_update": (
                f"""update album_user set role = 'viewer' where {ALBUM_USER.albumId} = %(id)s and role <> 'owner'""",
                {"id": house.linked_album},
                2,
            ),
            "album_user_delete": (
                f"""delete from album_user where {ALBUM_USER.albumId} = %(id)s and {ALBUM_USER.userId} = %(anna)s""",
                {"id": house.linked_album, "anna": house.anna},
                1,
            ),
            "album_asset_insert": (
                f"""insert into album_asset ({ALBUM_ASSET.albumId}, {ALBUM_ASSET.assetId})
                    values (%(album)s, %(third)s)""",
                {"album": self.album, "third": self.third},
                1,
            ),
            "album_asset_delete": (
                f"delete from album_asset where {ALBUM_ASSET.albumId} = %(album)s",
                {"album": self.album},
                2,
            ),
            "user_update": (
                """update "user" set "deletedAt" = now(), "quotaUsageInBytes" = 1 where id = %(anna)s""",
                names,
                1,
            ),
            "user_delete": ("""delete from "user" where id = %(clara)s""", {"clara": house.clara}, 1),
            "tag_asset_insert": (
                f"""insert into tag_asset ({TAG_ASSET.tagId}, {TAG_ASSET.assetId})
                    values (%(tag)s, %(photo)s), (%(tag)s, %(other)s)""",
                {"tag": self.new_tag, "photo": photo, "other": self.other},
                2,
            ),
            "tag_asset_delete": (f"delete from tag_asset where {TAG_ASSET.tagId} = %(tag)s", {"tag": self.tag}, 1),
            "tag_update": ("update tag set color = '#fff' where id = %(tag)s", {"tag": self.tag}, 1),
            "tag_delete": ("delete from tag where id = %(tag)s", {"tag": self.tag}, 1),
            "stack_insert": (
                """insert into stack (id, "ownerId", "primaryAssetId") values (%(id)s, %(family)s, %(third)s)""",
                {"id": self.replacing_stack, "family": house.family, "third": self.third},
                1,
            ),
            "stack_update": (
                """update stack set "primaryAssetId" = %(other)s where id = %(stack)s""",
                {"other": self.other, "stack": self.stack},
                1,
            ),
            "stack_delete": ("delete from stack where id = %(stack)s", {"stack": self.stack}, 1),
            "person_update": (
                f"update person set name = 'Somebody' where {PERSON_ID} = %(id)s",
                {"id": self.person},
                1,
            ),
            "person_delete": (f"delete from person where {PERSON_ID} = %(id)s", {"id": self.person}, 1),
            "person_insert": self._insertion("person", {"ownerId": house.anna, "personGroupId": self.group}),
            **{
                f"{table}_{event}": statement
                for table in LATER
                for event, statement in self._row_of_an_asset(table).items()
            },
        }

    def _insertion(self, table: str, values: dict[str, Any]) -> Statement:
        """One row; columns that the release does not have are left out."""
        house = self.house
        keys = [key for key in values if house.has(table, key)]
        statement = sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(table), house.columns(table, keys), sql.SQL(", ").join(map(sql.Placeholder, keys))
        )
        return statement, values, 1

    def _row(self, table: str, asset: UUID) -> dict[str, Any]:
        synced = [column for column in _RELEASE.table(table).columns if column.policy in SYNCED]
        values = {column.name: other_value(self.house, column) for column in synced}
        return {"assetId": asset} | {
            name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()
        }

    def _row_of_an_asset(self, table: str) -> dict[str, Statement]:
        column, value = list(self._row(table, self.photo).items())[-1]
        values = {"value": value, "photo": self.photo}
        of_photo = '"assetId" = %(photo)s'
        return {
            "insert": self._insertion(table, self._row(table, self.bare)),
            "update": (f'update {table} set "{column}" = %(value)s where {of_photo}', values, 1),
            "delete": (f"delete from {table} where {of_photo}", values, 1),
        }


@pytest.fixture
def scene(linked: Database) -> Scene:
    return Scene(Household(linked))


def break_function(database: Database, name: str, how: str) -> None:
    """Makes a function of the addon fail, whatever it is asked."""
    for function in database.fetch(
        """select pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result
           from pg_proc p join pg_namespace n on n.oid = p.pronamespace where nspname = 'linked' and proname = %s""",
        [name],
    ):
        database.execute(
            f"create or replace function linked.{name}({function.arguments}) returns {function.result} "
            f"language plpgsql set search_path = pg_catalog, public as $$ begin {how}; end $$"
        )


def helper_of(database: Database, function: str) -> str:
    """The function that a trigger function calls first."""
    body = database.value("select prosrc from pg_proc where proname = %s", [function])
    called = [name for name in re.findall(r"linked\.(\w+)\(", body) if name not in SHELL]
    return called[0] if called else "take_turn"


def incidents(database: Database) -> list[Any]:
    return database.fetch("select place, sqlstate, message, context from linked.incident order by id")


def is_suspended(database: Database) -> bool:
    return bool(database.value("select suspended_at is not null from linked.installation"))


def nothing_is_waited_for(database: Database, statement: Callable[[], object]) -> None:
    """The statement does not even want the lock that lines writers up."""
    with database.connect() as other:
        other.execute("select pg_advisory_lock(%s, %s)", WRITERS_LOCK)
        database.execute("set lock_timeout = '100ms'")
        statement()
        database.execute("reset lock_timeout")


# --- a fault in any trigger function --------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True], ids=["at once", "after the work"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_statement_goes_through_without_the_addons_part(scene: Scene, function: str, begun: bool) -> None:
    database = scene.house.database
    text, parameters, rows = scene.statement(function)
    before = scene.state()
    break_function(database, "stop_writing" if begun else helper_of(database, function), EXCEPTION)
    assert database.execute(text, parameters).rowcount == rows
    place = " ".join(function.removeprefix("on_").rsplit("_", 1))
    # Immich's cascades and triggers may call further functions of ours.
    (incident,) = [incident for incident in incidents(database) if incident.place == place]
    assert (incident.sqlstate, incident.message) == ("P0001", "injected")
    assert f"linked.{function}" in incident.context
    assert not begun or scene.state() == before
    assert not is_suspended(database)


@pytest.mark.parametrize("unfit", UNFIT)
def test_tables_that_do_not_fit_suspend_sync(linked: Database, unfit: str) -> None:
    house = Household(linked)
    photo, later = house.photo(), house.photo()
    clone = house.clone(photo, house.anna)
    change, undo = UNFIT[unfit]
    linked.execute(change)
    new = house.upload(house.family, f"{MEDIA}/new.jpg")
    if unfit == "a column that has to be filled":
        linked.execute("insert into smart_search values (%s, %s, 1)", [new, house.embedding("new")])
    house.update_exif(photo, description="missed")
    why = linked.value("select suspended_why from linked.installation where suspended_at is not null")
    assert "rating" in why or "smart_search" in why
    nothing_is_waited_for(linked, lambda: house.update_exif(later, description="later"))
    assert house.exif(clone).description == ""
    linked.execute(undo)
    with linked.connect() as connection:
        upgrade(connection)
    assert not is_suspended(linked)
    assert house.find_clone(new, house.anna)
    house.update_exif(clone, description="in sync")
    assert house.exif(photo).description == "in sync"


@pytest.mark.parametrize("sqlstate", ["42P01", "42703", "42883", "42804", "23502"])
def test_an_error_of_another_tool_does_not_suspend_sync(linked: Database, sqlstate: str) -> None:
    """Its trigger does not bear what the addon writes to clones, whatever Immich's tables are like."""
    house = Household(linked)
    photos = [house.photo() for _ in range(3)]
    linked.execute(
        f"""create function another_tool() returns trigger language plpgsql as $$ begin
              if exists (select from linked.member where asset_id = new."assetId" and asset_id <> source_id) then
                raise exception 'another tool' using errcode = '{sqlstate}';
              end if;
              return new;
            end $$"""
    )
    linked.execute(
        "create trigger another_tool before update on asset_exif for each row execute function another_tool()"
    )
    for number in range(20):
        house.update_exif(photos[number % 3], description=f"edit {number}")
    assert not is_suspended(linked)
    incident = linked.row("select * from linked.incident")
    assert (incident.place, incident.sqlstate, incident.message) == ("asset_exif update", sqlstate, "another tool")
    assert incident.times == 20
    assert incident.last_at > incident.happened_at
    house.archive(photos[0])
    assert house.asset(house.clone(photos[0], house.anna)).visibility == "archive"
    linked.execute("drop trigger another_tool on asset_exif")
    with linked.connect() as connection:
        upgrade(connection)


def test_a_fault_that_is_back_is_a_new_incident(household: Household) -> None:
    photo, database = household.photo(), household.database
    break_function(database, "add_tags", EXCEPTION)
    tags = [household.upsert_tag(household.family, name) for name in ("a", "b", "c")]
    household.tag_assets(tags[0], photo)
    database.execute("update linked.incident set resolved_at = now()")
    household.tag_assets(tags[1], photo)
    household.tag_assets(tags[2], photo)
    assert [
        (row.times, row.resolved_at is None) for row in database.fetch("select * from linked.incident order by id")
    ] == [
        (1, False),
        (2, True),
    ]
    database.execute("delete from tag_asset")
    database.execute("delete from linked.incident")


def test_an_incident_that_somebody_holds_is_not_waited_for(household: Household) -> None:
    photo, database = household.photo(), household.database
    break_function(database, "add_tags", EXCEPTION)
    tags = [household.upsert_tag(household.family, name) for name in ("a", "b")]
    household.tag_assets(tags[0], photo)
    with database.connect(autocommit=False) as other:
        other.execute("select from linked.incident for update")
        database.execute("set lock_timeout = '1s'")
        household.tag_assets(tags[1], photo)
        database.execute("reset lock_timeout")
    assert len(incidents(database)) == 2
    database.execute("delete from tag_asset")
    database.execute("delete from linked.incident")


def test_reconcile_repairs_what_was_missed(linked: Database) -> None:
    house = Household(linked)
    photo = house.photo()
    break_function(linked, "propagate_asset_exif", EXCEPTION)
    house.update_exif(photo, description="missed")
    with linked.connect() as connection:
        upgrade(connection)
    linked.execute("select linked.mend_alone(array(select source_id from linked.member))")
    assert house.exif(house.clone(photo, house.anna)).description == "missed"


def test_one_failure_does_not_suspend_sync(household: Household) -> None:
    photo = household.photo()
    break_function(household.database, "add_tags", EXCEPTION)
    household.tag_assets(household.upsert_tag(household.family, "tag"), photo)
    assert len(incidents(household.database)) == 1
    household.update_exif(photo, description="goes on")
    assert household.exif(household.clone(photo, household.anna)).description == "goes on"
    household.database.execute("delete from tag_asset")
    household.database.execute("delete from linked.incident")


def test_a_failure_within_a_transaction_of_immich_keeps_what_it_did(household: Household) -> None:
    photo = household.photo()
    break_function(household.database, "siblings", EXCEPTION)
    tags = [household.upsert_tag(household.family, value) for value in ("a", "b")]
    household.replace_tags(photo, tags)
    assert household.tags_of(photo) == ["a", "b"]
    household.database.execute("delete from tag_asset")
    household.database.execute("delete from linked.incident")


# --- the addon in ruins -----------------------------------------------------------------------------

RUINS = (
    "drop table linked.installation",
    "delete from linked.installation",
    "drop function linked.take_turn(uuid[], boolean)",
    "drop function linked.start_writing()",
    "drop function linked.record_incident(text, text, text, text)",
    "drop function linked.siblings(uuid[], boolean)",
    "drop function linked.covered(uuid[]); "
    "create function linked.covered(p_assets uuid[]) returns integer language sql as 'select 1'",
    "drop table linked.incident",
    "drop table linked.member cascade",
    "drop table linked.queue",
    "alter table linked.member drop column source_id cascade",
    "alter table asset_exif rename column rating to stars",
    "alter table tag_asset rename to tag_of_asset",
    "alter table linked.installation rename column suspended_at to x",
)


@pytest.mark.parametrize("ruin", RUINS)
def test_immich_writes_whatever_is_left_of_the_addon(scene: Scene, ruin: str) -> None:
    house, database = scene.house, scene.house.database
    database.execute(ruin)
    new = house.upload(house.family, f"{MEDIA}/new.jpg")
    house.update_exif(scene.photo, description="still")
    house.archive(scene.clone)
    house.create_person(house.anna, "Somebody")
    house.add_to_album(scene.album, scene.third)
    assert house.exif(scene.photo).description == "still"
    assert house.asset(scene.clone).visibility == "archive"
    assert house.delete("asset", id=scene.third) == 1
    assert house.delete("album_user", albumId=house.linked_album, userId=house.anna) == 1
    assert house.asset(new).ownerId == house.family


@pytest.mark.parametrize("ruin", [ruin for ruin in RUINS if ruin.startswith("drop function")])
def test_upgrade_makes_ruins_whole(linked: Database, ruin: str) -> None:
    house = Household(linked)
    photo = house.photo()
    linked.execute(ruin)
    house.update_exif(photo, description="missed")
    with linked.connect() as connection:
        upgrade(connection)
    house.update_exif(photo, description="seen")
    assert house.exif(house.clone(photo, house.anna)).description == "seen"


def test_a_role_that_knows_nothing_of_the_schema_may_write(household: Household) -> None:
    """Immich's role need not be the one that installed the addon."""
    photo, database = household.photo(), household.database
    role = f"immich_{uuid4().hex[:8]}"
    database.execute(f"create role {role}")
    try:
        database.execute(f"grant all on all tables in schema public to {role}")
        database.execute(f"set role {role}")
        household.update_exif(photo, description="written")
        new = household.upload(household.family, f"{MEDIA}/new.jpg")
        household.tag_assets(household.upsert_tag(household.family, "tag"), photo)
        database.execute("reset role")
        assert household.exif(household.clone(photo, household.anna)).description == "written"
        assert household.find_clone(new, household.ben)
    finally:
        database.execute("reset role")
        database.execute(f"drop owned by {role}")
        database.execute(f"drop role {role}")


# --- marks that were left on ------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["on", "off", "", "1", "0", "true"])
def test_a_mark_left_on_marks_nothing(household: Household, value: str) -> None:
    photo, database = household.photo(), household.database
    database.execute("select set_config('linked.writing', %s, false)", [value])
    household.update_exif(photo, description="in sync")
    with household.transaction():
        database.execute("select set_config('linked.writing', %s, true)", [value])
        household.archive(photo)
    clone = household.clone(photo, household.anna)
    assert household.exif(clone).description == "in sync"
    assert household.asset(clone).visibility == "archive"


def test_the_mark_of_another_transaction_marks_nothing(household: Household) -> None:
    photo, database = household.photo(), household.database
    with household.transaction():
        database.execute("select linked.start_writing()")
        mark = database.value("select current_setting('linked.writing')")
        assert mark == database.value("select pg_current_xact_id()::text")
    database.execute("select set_config('linked.writing', %s, false)", [mark])
    household.update_exif(photo, description="in sync")
    assert household.exif(household.clone(photo, household.anna)).description == "in sync"


def test_savepoints_of_immich(household: Household) -> None:
    photo = household.photo()
    with household.transaction():
        household.update_exif(photo, description="first")
        with suppress(ZeroDivisionError), household.transaction():
            household.update_exif(photo, description="undone", rating=1)
            raise ZeroDivisionError
        with household.transaction():
            household.update_exif(photo, rating=5)
    for member in household.group(photo):
        exif = household.exif(member)
        assert (exif.description, exif.rating) == ("first", 5)


def test_what_writes_nothing_gets_no_transaction_id(household: Household) -> None:
    household.photo()
    household.next_write()
    database = household.database
    with household.transaction():
        for table in ("asset", "asset_exif", "album", "album_asset", "tag_asset", "asset_face", "user"):
            database.execute(f'delete from "{table}" where false')
        database.execute("update asset set visibility = 'archive' where false")
        assert database.value("select pg_current_xact_id_if_assigned() is null")


# --- locks that are not granted ---------------------------------------------------------------------


def test_what_has_no_turn_in_time_goes_through_and_leaves_a_note(household: Household) -> None:
    photo, database = household.photo(), household.database
    clone = household.clone(photo, household.anna)
    with database.connect() as other:
        other.execute("select pg_advisory_lock(%s, %s)", WRITERS_LOCK)
        start = time.monotonic()
        household.update_exif(photo, description="went through")
        household.update_exif(clone, rating=3)
        assert time.monotonic() - start < 1
        assert household.exif(clone).description == ""
        assert database.value("select count(*) from linked.note") == 2
        other.execute("select pg_advisory_unlock_all()")
    household.upload(household.clara)
    for member in household.group(photo):
        exif = household.exif(member)
        assert (exif.description, exif.rating) == ("went through", 3)
    assert database.value("select count(*) from linked.note") == 0
    assert incidents(database) == []


def test_a_statement_that_is_cancelled_is_cancelled(household: Household) -> None:
    """The addon catches its own errors, not what an administrator wants."""
    photo, database = household.photo(), household.database
    with database.connect() as other:
        other.execute("select pg_advisory_lock(%s, %s)", WRITERS_LOCK)
        database.execute("set statement_timeout = '20ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            household.update_exif(photo, description="cancelled")
        database.execute("reset statement_timeout")
    assert household.exif(photo).description == ""


# --- clones that cannot be made ---------------------------------------------------------------------


def test_an_upload_never_fails_because_somebody_has_it_already(household: Household) -> None:
    checksum = hashlib.sha1(b"same").digest()
    own = household.photo(household.anna, f"/data/upload/{household.anna}/1.jpg", checksum=checksum)
    photo = household.photo(checksum=checksum)
    assert household.find_clone(photo, household.anna) is None
    assert household.find_clone(photo, household.ben)
    assert household.asset(own).ownerId == household.anna


@pytest.mark.parametrize("constraint", ["UQ_assets_owner_checksum", "UQ_assets_owner_library_checksum"])
def test_a_failed_clone_is_no_failed_upload(household: Household, constraint: str) -> None:
    """Immich takes an error that names this constraint for a duplicate, and deletes the file that it just stored."""
    # The album is looked at once more after it was made: that would fail by itself.
    household.next_write()
    break_function(
        household.database,
        "propagate_rows",
        f"raise unique_violation using message = 'duplicate key', constraint = '{constraint}'",
    )
    photo = household.upload(household.family, f"{MEDIA}/new.jpg")
    assert household.asset(photo).ownerId == household.family
    assert household.owned(household.anna) == 0
    # It may be another session's doing: it is tried a few times before it is an incident.
    for _ in range(25):
        household.update_usage(household.clara, 1)
    assert [incident.sqlstate for incident in incidents(household.database)] == ["23505"]
    household.database.execute("delete from linked.incident")
    household.delete_asset(photo)


def test_new_content_that_somebody_has_already_is_no_error(household: Household) -> None:
    photo = household.photo()
    path = f"{MEDIA}/replaced.jpg"
    household.photo(
        household.anna, f"/data/upload/{household.anna}/1.jpg", checksum=hashlib.sha1(path.encode()).digest()
    )
    household.replace_asset(photo, path)
    assert household.find_clone(photo, household.anna) is None
    assert household.find_clone(photo, household.ben)


# --- what it costs ----------------------------------------------------------------------------------


def test_a_suspended_addon_costs_next_to_nothing(household: Household) -> None:
    """No function runs but the one that looks whether it is suspended."""
    photo, database = household.photo(), household.database
    database.execute("update linked.installation set suspended_at = now(), suspended_why = 'a test'")
    # What a session counted is known when it is gone.
    with database.connect() as writer:
        writer.execute("set track_functions = 'all'")
        writer.execute("""update asset_exif set description = 'x' where "assetId" = %s""", [photo])
    wait_until(lambda: "on_asset_exif_update" in called(database))
    assert called(database) == {"on_asset_exif_update"}
    database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    household.update_exif(photo, description="y")


def called(database: Database) -> set[str]:
    rows = database.fetch("select funcname from pg_stat_user_functions where schemaname = 'linked'")
    return {row.funcname for row in rows}
