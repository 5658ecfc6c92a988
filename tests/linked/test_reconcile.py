"""Reconcile finds and repairs every kind of difference; doctor notices; watch does it unasked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from linked_asset.cli import main
from linked_asset.database import engine_for
from linked_asset.doctor import PROBLEM, examine
from linked_asset.reconcile import Report, reconcile
from linked_asset.watch import watch
from tests.database import Database, Databases
from tests.linked.conftest import MEDIA, Household
from tests.linked.invariants import violations

CLONES = "(select asset_id from linked.member where asset_id <> source_id order by asset_id limit 3)"
DAMAGES = {
    "a column of asset": f"""update asset set "originalFileName" = 'x' where id in {CLONES}""",
    "trash": f"""update asset set "deletedAt" = now(), status = 'trashed' where id in {CLONES}""",
    "live photo": """update asset set "livePhotoVideoId" = null where id in (
        select id from asset where "livePhotoVideoId" is not null and "deviceId" = 'linked' limit 1)""",
    "exif": f"""update asset_exif set description = 'x' where "assetId" in {CLONES}""",
    "exif rows": f"""delete from asset_exif where "assetId" in {CLONES}""",
    "files": f"""delete from asset_file where "assetId" in {CLONES}""",
    "job status": f"""delete from asset_job_status where "assetId" in {CLONES}""",
    "smart search": """delete from smart_search where "assetId" in (
        select asset_id from linked.member join smart_search on "assetId" = asset_id
        where asset_id <> source_id limit 2)""",
    "boxes of faces": """update asset_face set "boundingBoxX1" = 5 where id in (
        select face_id from linked.face join linked.member using (asset_id) where asset_id <> source_id limit 3)""",
    "faces": """delete from asset_face where id in (
        select face_id from linked.face join linked.member using (asset_id) where asset_id <> source_id limit 3)""",
    "embeddings of faces": """delete from face_search where "faceId" in (
        select face_id from linked.face join linked.member using (asset_id) where asset_id <> source_id limit 3)""",
    "whom faces show": """update asset_face set "personId" = null where id in (
        select face_id from linked.face join linked.member using (asset_id)
        join asset_face on asset_face.id = face_id
        where asset_id <> source_id and "personId" is not null limit 3)""",
    "tags": "delete from tag_asset where ctid in (select ctid from tag_asset limit 7)",
    "content of albums": """delete from album_asset where "assetsId" in (
        select asset_id from linked.member join album_asset on "assetsId" = asset_id
        where asset_id <> source_id limit 3)""",
    "names of albums": """update album set "albumName" = 'x' where id in (
        select album_id from linked.album_pair where album_id <> album_key)""",
    "stacks": """update asset set "stackId" = null where id in (
        select asset_id from linked.member join asset on id = asset_id
        where asset_id <> source_id and "stackId" is not null limit 3)""",
    "remembered members": f"delete from linked.member where asset_id in {CLONES}",
    "remembered roles": "update linked.member set can_write = false where asset_id <> source_id",
    "remembered faces": f"delete from linked.face where asset_id in {CLONES}",
    "remembered persons": "delete from linked.person_pair",
    "remembered albums": "delete from linked.album_pair where album_id <> album_key",
    "remembered stacks": "delete from linked.stack_pair",
    "remembered participants": "delete from linked.participant",
    "remembered prefixes": "delete from linked.prefix",
}
UNSEEN_BY_DOCTOR = {
    # Seen by `reconcile --dry-run`; doctor looks at what it can look at quickly.
    "live photo", "whom faces show", "content of albums", "names of albums", "stacks", "embeddings of faces",
    "remembered members", "remembered persons", "remembered albums", "remembered stacks",
    "remembered participants", "remembered prefixes",
}  # fmt: skip


def live_together(database: Database) -> None:
    """Something of everything that is kept in sync."""
    house = Household(database)
    photos = [house.photo() for _ in range(4)]
    video = house.upload(house.family, "/data/upload/video.mov", type="VIDEO", visibility="hidden")
    house.upload(house.family, f"{MEDIA}/live.heic", live_photo_video_id=video)
    for photo in photos:
        (face,) = house.detect_faces(photo, [(0, 0, 50, 50)], seeds=["Oma"])
        house.recognize(face, house.create_person(house.family, "Oma") if photo == photos[0] else None)
    house.tag_assets(house.upsert_tag(house.family, "holiday/sea"), *photos)
    house.create_album(house.family, "Summer", assets=photos)
    house.create_stack(house.family, photos[:2])


@pytest.fixture(scope="session")
def busy_template(databases: Databases, linked_template: str) -> str:
    def build(connection: psycopg.Connection[Any]) -> None:
        info = connection.info
        database = Database(f"postgresql://{info.user}@/{info.dbname}?host={info.host}&port={info.port}")
        live_together(database)
        database.close()

    return databases.template("busy", build, base=linked_template)


@pytest.fixture
def busy(databases: Databases, busy_template: str) -> Iterator[Database]:
    with databases.copy(busy_template) as database:
        yield database


@contextmanager
def unseen(database: Database) -> Iterator[None]:
    """What happens meanwhile, sync does not notice."""
    database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    yield
    database.execute("update linked.installation set suspended_at = null, suspended_why = null")


def run(database: Database, *, dry_run: bool = False) -> Report:
    with engine_for(sa.make_url(database.url).set(drivername="postgresql+psycopg")).connect() as connection:
        return reconcile(connection, dry_run=dry_run)


def rows(database: Database) -> int:
    return int(database.value("select (select count(*) from asset) + (select count(*) from tag)"))


def held(database: Database) -> list[str]:
    with database.connect() as connection:
        return violations(connection)


def problems(database: Database) -> list[str]:
    with engine_for(sa.make_url(database.url).set(drivername="postgresql+psycopg")).connect() as connection:
        return [finding.check for finding in examine(connection) if finding.kind == PROBLEM]


def test_nothing_differs_where_all_is_well(linked_family: Database) -> None:
    report = run(linked_family, dry_run=True)
    assert report.sources > 50
    assert report.differences == []
    assert problems(linked_family) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_repaired(busy: Database, damage: str) -> None:
    before = rows(busy)
    with unseen(busy):
        assert busy.execute(DAMAGES[damage]).rowcount > 0
    damaged = rows(busy)

    found = run(busy, dry_run=True).as_json()["differences"]
    assert found > 0
    assert rows(busy) == damaged, "a dry run changed something"
    assert (problems(busy) == []) == (damage in UNSEEN_BY_DOCTOR)

    assert run(busy).as_json()["differences"] > 0
    assert held(busy) == []
    assert rows(busy) == before
    assert run(busy, dry_run=True).differences == []
    assert problems(busy) == []


def test_what_a_linked_user_wrote_unseen_reaches_the_others(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    with unseen(household.database):
        household.update_exif(clone, description="by Anna")
        household.tag_assets(household.upsert_tag(household.anna, "sea"), clone)
    run(household.database)
    assert household.exif(photo).description == "by Anna"
    assert household.tags_of(photo) == ["sea"]


def test_a_member_deleted_unseen_takes_its_group_along(household: Household) -> None:
    photo = household.photo()
    with unseen(household.database):
        household.delete_asset(household.clone(photo, household.anna))
    run(household.database)
    assert household.database.fetch("select from asset where id = %s", [photo]) == []


def test_a_photo_uploaded_unseen_is_linked(household: Household) -> None:
    with unseen(household.database):
        photo = household.photo()
    run(household.database)
    household.clone(photo, household.anna)


def test_an_incident_is_resolved_by_reconcile(household: Household) -> None:
    household.database.execute("select linked.record_incident('test', 'XX000', 'a fault', 'nowhere')")
    assert problems(household.database) == ["incidents"]
    run(household.database)
    assert problems(household.database) == []
    assert household.database.value("select count(*) from linked.incident where resolved_at is not null") == 1
    household.database.execute("delete from linked.incident")


def test_faces_left_open_by_a_deleted_person_stay_open(household: Household) -> None:
    photo = household.photo()
    (face,) = household.detect_faces(photo, [(0, 0, 50, 50)])
    household.recognize(face)
    clone = household.clone(photo, household.anna)
    (mine,) = household.faces(clone)
    household.delete_people([mine.personId])
    assert run(household.database, dry_run=True).differences == []
    assert household.faces(clone)[0].personId is None


def test_the_command_prints_json_and_exits_0(busy: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_URL", busy.url)
    with unseen(busy):
        busy.execute(DAMAGES["exif"])
    result = CliRunner().invoke(main, ["reconcile", "--dry-run", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["differences"] >= 3
    assert CliRunner().invoke(main, ["doctor", "--json"]).exit_code == 1
    assert CliRunner().invoke(main, ["reconcile"]).exit_code == 0
    assert json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout) == []


def test_a_missing_trigger_and_a_changed_function_are_problems(busy: Database) -> None:
    busy.execute("drop trigger linked_asset_update on asset")
    assert problems(busy) == ["objects"]
    busy.execute(
        "create or replace function linked.is_linked_album(p_name text) returns boolean language sql as 'select true'"
    )
    assert problems(busy) == ["objects", "objects"]


def test_watch_works_off_what_is_queued(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    stop = threading.Event()
    engine = engine_for(sa.make_url(household.database.url).set(drivername="postgresql+psycopg"))

    def work() -> None:
        with engine.connect() as connection:
            watch(connection, until=stop.is_set)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with unseen(household.database):
            household.update_exif(clone, description="unseen")
        household.database.execute("insert into linked.queue (source_id, thorough) values (%s, true)", [photo])
        stop.set()
        household.database.execute("notify linked")
        worker.join(30)
        assert not worker.is_alive()
    finally:
        stop.set()
    assert household.exif(photo).description == "unseen"


def advice(database: Database) -> list[tuple[str, str]]:
    with engine_for(sa.make_url(database.url).set(drivername="postgresql+psycopg")).connect() as connection:
        return [(finding.check, finding.what) for finding in examine(connection) if finding.kind != PROBLEM]


def test_partner_sharing_that_shows_everything_twice_is_advised_against(household: Household) -> None:
    household.photo()
    assert advice(household.database) == []
    household.create_partner(household.family, household.anna)
    household.create_partner(household.family, household.clara)
    ((check, what),) = advice(household.database)
    assert check == "partner sharing"
    assert "Anna" in what


def test_a_storage_template_that_moves_files_out_of_a_prefix_is_advised_against(household: Household) -> None:
    household.update_album(household.linked_album, description=f"/data/upload/{household.family}")
    household.photo(household.family, f"/data/upload/{household.family}/1.jpg")
    assert advice(household.database) == []
    household.database.execute(
        """insert into system_metadata values ('system-config', '{"storageTemplate": {"enabled": true}}')"""
    )
    assert [check for check, _ in advice(household.database)] == ["storage template"]
