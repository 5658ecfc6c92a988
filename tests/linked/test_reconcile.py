"""Reconcile finds and repairs every kind of difference; doctor notices; watch does it unasked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from linked_asset import errors, linking
from linked_asset.cli import main
from linked_asset.database import engine_for
from linked_asset.doctor import PROBLEM, examine
from linked_asset.reconcile import Report, reconcile
from linked_asset.watch import watch
from sample import create_immich
from sample.server import embedded_server
from tests.database import Database, Databases
from tests.linked.conftest import MEDIA, Household, approve, upgrade
from tests.linked.invariants import violations
from tests.linked.sessions import wait_until, wait_until_nothing_is_left
from tests.release import PERSON_ID, RELEASE, SHOWN, column_name

IN_ALBUM = column_name("album_asset", "assetId")
CLONES = "(select asset_id from linked.member where asset_id <> source_id order by asset_id limit 3)"
DAMAGES = {
    "a column of asset": f"""update asset set "originalFileName" = 'x' where id in {CLONES}""",
    "trash": f"""update asset set "deletedAt" = now(), status = 'trashed' where id in {CLONES}""",
    "live photo": """update asset set "livePhotoVideoId" = null where id in (
        select id from asset join linked.member on asset_id = id
        where "livePhotoVideoId" is not null and asset_id <> source_id limit 1)""",
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
    "whom faces show": f"""update asset_face set {SHOWN} = null where id in (
        select face_id from linked.face join linked.member using (asset_id)
        join asset_face on asset_face.id = face_id
        where asset_id <> source_id and {SHOWN} is not null limit 3)""",
    "tags": "delete from tag_asset where ctid in (select ctid from tag_asset limit 7)",
    "content of albums": f"""delete from album_asset where "{IN_ALBUM}" in (
        select asset_id from linked.member join album_asset on "{IN_ALBUM}" = asset_id
        where asset_id <> source_id limit 3)""",
    "names of albums": """update album set "albumName" = 'x' where id in (
        select album_id from linked.album_pair where album_id <> album_key)""",
    "names of persons": f"""update person set name = 'x', "birthDate" = '1950-01-01', color = '#fff'
        where {PERSON_ID} in (select person_id from linked.person_pair where made limit 1)""",
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
UNSEEN_BY_DOCTOR = {"names of albums", "names of persons"}
"""Seen by `reconcile --dry-run`; doctor compares groups."""


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
        wait_until_nothing_is_left(database)
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
    approve(busy)
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


def test_a_clone_deleted_unseen_is_made_anew(household: Household) -> None:
    photo = household.photo()
    household.set_viewer(household.ben)
    with unseen(household.database):
        for user in (household.anna, household.ben):
            household.delete_asset(household.clone(photo, user))
    run(household.database)
    assert household.database.fetch("select from asset where id = %s", [photo])
    household.clone(photo, household.anna)
    assert household.find_clone(photo, household.ben) is None, "what a viewer deletes is hidden from the viewer"


def test_a_source_deleted_unseen_takes_its_clones_along(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    with unseen(household.database):
        household.delete_asset(photo)
    run(household.database)
    assert household.database.fetch("select from asset where id = %s", [clone]) == []


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


# --- what cannot be repaired ------------------------------------------------------------------------


@contextmanager
def another_tool_refuses(database: Database, asset: UUID) -> Iterator[None]:
    """Somebody else's trigger raises whenever this asset's exif is written."""
    database.execute(
        f"""create function refuse() returns trigger language plpgsql as $$
            begin
                if new."assetId" = '{asset}' then raise exception 'not this one'; end if;
                return new;
            end $$"""
    )
    database.execute("create trigger refuse before update on asset_exif for each row execute function refuse()")
    yield
    database.execute("drop function refuse() cascade")


def open_incidents(database: Database) -> list[str]:
    return [row.message for row in database.fetch("select message from linked.incident where resolved_at is null")]


def test_what_cannot_be_repaired_stays_open_and_keeps_nothing_else(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = household.database
    monkeypatch.setenv("DB_URL", database.url)
    photos = [household.photo() for _ in range(3)]
    with unseen(database):
        for photo in photos:
            household.update_exif(photo, description="unseen")
    database.execute("select linked.record_incident('test', 'XX000', 'a fault', 'nowhere')")
    with another_tool_refuses(database, household.clone(photos[1], household.anna)):
        result = CliRunner().invoke(main, ["reconcile", "--json"])
        found = json.loads(result.stdout)
        assert (result.exit_code, found["differences"]) == (1, 4)
        assert [(failure["source"], failure["reason"]) for failure in found["failures"]] == [
            (str(photos[1]), "not this one")
        ]
        (line,) = [line for line in result.stderr.splitlines() if "could not" in line]
        assert str(photos[1]) in line
        assert "Traceback" not in result.stderr
        assert [household.exif(household.clone(photo, household.ben)).description for photo in photos] == [
            "unseen", "", "unseen",
        ]  # fmt: skip
        assert open_incidents(database) == ["not this one"]
        assert run(database).failures, "it is tried again, and is no better"
    report = run(database)
    assert (report.rows, report.failures, open_incidents(database)) == (2, [], [])
    database.execute("delete from linked.incident")


def test_an_incident_on_what_was_passed_already_stays_open(household: Household) -> None:
    database = household.database
    photo = household.photo()
    database.execute("select linked.record_incident('test', 'XX000', 'before', 'nowhere')")

    def progress(what: str, total: int) -> Callable[[int], None]:
        return lambda done: database.execute("select linked.record_incident('test', 'XX000', 'meanwhile', 'nowhere')")

    with engine_for(sa.make_url(database.url).set(drivername="postgresql+psycopg")).connect() as connection:
        reconcile(connection, dry_run=False, progress=progress)
    assert set(open_incidents(database)) == {"meanwhile"}
    database.execute("delete from linked.incident")
    assert household.exif(photo)


def test_nothing_depends_on_statistics(household: Household) -> None:
    photo = household.photo()
    name = household.database.value("select current_database()")
    household.database.execute(f'alter database "{name}" set track_counts = off')
    with unseen(household.database):
        household.update_exif(photo, description="unseen")
    assert run(household.database, dry_run=True).rows == 2
    assert run(household.database).rows == 2
    assert household.exif(household.clone(photo, household.anna)).description == "unseen"


def test_a_dry_run_waits_for_nobody(household: Household) -> None:
    photo = household.photo()
    with unseen(household.database):
        household.update_exif(photo, description="unseen")
    with household.database.connect(autocommit=False) as other:
        other.execute("select from asset_exif for update")
        assert run(household.database, dry_run=True).rows == 2
    run(household.database)


# --- the queue --------------------------------------------------------------------------------------


def enqueue_much(database: Database) -> None:
    database.execute("insert into linked.queue (source_id) select gen_random_uuid() from generate_series(1, 5000)")


def queued(database: Database) -> int:
    return int(database.value("select count(*) from linked.queue"))


def test_reconcile_leaves_nothing_queued(household: Household) -> None:
    photo = household.photo()
    enqueue_much(household.database)
    household.database.execute("insert into linked.queue (source_id, thorough) values (%s, true)", [photo])
    run(household.database)
    assert queued(household.database) == 0


@pytest.mark.parametrize("how", ["unshared", "renamed", "account deleted"])
def test_what_nobody_wants_any_more_is_not_queued(household: Household, how: str) -> None:
    household.photo()
    enqueue_much(household.database)
    if how == "unshared":
        household.unshare_album(household.linked_album, household.anna)
    elif how == "renamed":
        household.update_album(household.linked_album, albumName="No more")
    else:
        household.hard_delete_user(household.family)
    assert queued(household.database) == 0


@pytest.mark.slow
def test_psqls_way_gives_up_where_a_lock_is_not_granted(household: Household) -> None:
    photo = household.photo()
    with unseen(household.database):
        household.update_exif(photo, description="unseen")
    with household.database.connect(autocommit=False) as other:
        other.execute("select from asset_exif for update")
        with pytest.raises(psycopg.errors.LockNotAvailable, match="Immich is busy"):
            household.database.execute("call linked.drain()")
    household.database.execute("call linked.drain()")
    assert household.exif(household.clone(photo, household.anna)).description == "unseen"


def test_a_command_tries_again_for_as_long_as_it_says(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = household.photo()
    with unseen(household.database):
        household.update_exif(photo, description="unseen")
    with household.database.connect(autocommit=False) as other:
        other.execute("select from asset_exif for update")
        monkeypatch.setattr(linking, "PATIENCE", 3)
        begun = time.monotonic()
        with pytest.raises(errors.ImmichBusy):
            run(household.database)
        assert 1 < time.monotonic() - begun < 6
    run(household.database)


@pytest.mark.slow
def test_a_command_goes_on_when_immich_lets_go_after_ten_seconds(household: Household) -> None:
    photo = household.photo()
    with unseen(household.database):
        household.update_exif(photo, description="unseen")
    with household.database.connect(autocommit=False) as other:
        other.execute("select from asset_exif for update")
        threading.Timer(10, other.rollback).start()
        run(household.database)
    assert household.exif(household.clone(photo, household.anna)).description == "unseen"


# --- the worker -------------------------------------------------------------------------------------


@contextmanager
def watching(url: str) -> Iterator[None]:
    """A worker at work; it ends when somebody notifies it after the block."""
    stop = threading.Event()
    engine = engine_for(sa.make_url(url).set(drivername="postgresql+psycopg"))
    worker = threading.Thread(target=lambda: watch(engine, until=stop.is_set, pauses=(0.1,)))
    worker.start()
    try:
        yield
    finally:
        stop.set()
        while worker.is_alive():
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("notify linked")
            worker.join(0.1)


def lines(capsys: pytest.CaptureFixture[str], part: str, said: list[str]) -> int:
    """How many lines the worker has said with this in them. Keeps what was read."""
    said += capsys.readouterr().err.splitlines()
    return sum(part in line for line in said)


def test_watch_works_off_what_is_queued(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    with unseen(household.database):
        household.update_exif(clone, description="unseen")
    with watching(household.database.url):
        household.database.execute("insert into linked.queue (source_id, thorough) values (%s, true)", [photo])
        household.database.execute("notify linked")
        wait_until(lambda: household.exif(photo).description == "unseen")


def test_watch_repairs_after_incidents_and_says_what(household: Household, capsys: pytest.CaptureFixture[str]) -> None:
    database, said = household.database, list[str]()
    photos = [household.photo() for _ in range(2)]
    with unseen(database):
        for photo in photos:
            household.update_exif(photo, description="unseen")
    with another_tool_refuses(database, household.clone(photos[0], household.anna)), watching(database.url):
        wait_until(lambda: lines(capsys, "watching", said))
        database.execute("select linked.record_incident('test', 'XX000', 'a fault', 'nowhere')")
        wait_until(lambda: lines(capsys, "could not be repaired: not this one", said))
        assert lines(capsys, "1 incidents: 2 differences repaired", said) == 1
        # What it could not repair tells nothing new: it does not try again and again.
        for _ in range(3):
            database.execute("notify linked")
        database.execute("insert into linked.queue (source_id, thorough) values (%s, true)", [photos[1]])
        database.execute("notify linked")
        wait_until(lambda: queued(database) == 0)
        assert lines(capsys, "incidents:", said) == 1
    assert open_incidents(database) == ["not this one"]
    database.execute("delete from linked.incident")
    run(database)


def test_watch_holds_up_nobody_while_it_waits_for_a_lock(
    household: Household, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transactions are transactions, with a limit to what they wait."""
    database, photo, said = household.database, household.photo(), list[str]()
    monkeypatch.setattr(linking, "PATIENCE", 3)
    with unseen(database):
        household.update_exif(photo, description="unseen")
    with watching(database.url), database.connect(autocommit=False) as other:
        other.execute("lock table asset_exif in share mode")
        database.execute("insert into linked.queue (source_id, thorough) values (%s, true)", [photo])
        database.execute("notify linked")
        wait_until(lambda: lines(capsys, "Immich is busy", said))
        start = time.monotonic()
        database.execute("set lock_timeout = '10s'")
        household.favorite(photo)
        database.execute("reset lock_timeout")
        assert time.monotonic() - start < 6
        other.rollback()
        wait_until(lambda: queued(database) == 0)
    assert open_incidents(database) == []


def test_watch_survives_the_loss_of_its_connections(household: Household, capsys: pytest.CaptureFixture[str]) -> None:
    database, said = household.database, list[str]()
    photo = household.photo()
    ours = "datname = current_database() and query = 'listen linked'"
    with watching(database.url):
        wait_until(lambda: lines(capsys, "watching", said))
        for loss in (1, 2):
            database.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}")
            wait_until(lambda: lines(capsys, "watching", said) == loss + 1)  # noqa: B023
        with unseen(database):
            household.update_exif(photo, description="unseen")
        database.execute("insert into linked.queue (source_id, thorough) values (%s, true)", [photo])
        database.execute("notify linked")
        wait_until(lambda: queued(database) == 0)
    assert household.exif(household.clone(photo, household.anna)).description == "unseen"
    assert lines(capsys, "the next try is in", said) == 2
    assert lines(capsys, "Traceback", said) == 0


def test_watch_survives_a_restart_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    with embedded_server() as server:
        databases = Databases(server.url, "restarted")
        template = databases.template("immich", lambda connection: create_immich(connection, RELEASE))
        database = Database(databases.url(databases.template("linked", upgrade, base=template)))
        household = Household(database)
        photo = household.photo()
        with watching(database.url):
            wait_until(lambda: lines(capsys, "watching", said))
            database.close()
            server.restart()
            wait_until(lambda: lines(capsys, "watching", said) > 1)
            with unseen(database):
                household.update_exif(photo, description="unseen")
            database.execute("insert into linked.queue (source_id, thorough) values (%s, true)", [photo])
            database.execute("notify linked")
            wait_until(lambda: queued(database) == 0)
        assert household.exif(household.clone(photo, household.anna)).description == "unseen"
        database.close()
    assert lines(capsys, "Traceback", said) == 0


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
    household.link_folders(f"/data/upload/{household.family}")
    household.photo(household.family, f"/data/upload/{household.family}/1.jpg")
    assert advice(household.database) == []
    household.database.execute(
        """insert into system_metadata values ('system-config', '{"storageTemplate": {"enabled": true}}')"""
    )
    assert [check for check, _ in advice(household.database)] == ["storage template"]


def test_what_psqls_way_repairs_is_no_incident_any_more(household: Household) -> None:
    household.database.execute("select linked.record_incident('asset update', '42703', 'no such column', '')")
    household.database.execute("call linked.drain()")
    assert household.database.value("select count(*) from linked.incident where resolved_at is null") == 0
    household.database.execute("delete from linked.incident")
