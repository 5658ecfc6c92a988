"""Whose turn it is, who waits for whom, and what becomes of what had to wait."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from uuid import UUID

import psycopg
import pytest

from sample import create_immich
from sample.server import embedded_server
from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.conftest import MEDIA, Household
from tests.linked.sessions import WAITING, WRITERS_LOCK, wait_until
from tests.release import RELEASE
from tests.shell.conftest import inside

PATIENCE = 0.1
"""Seconds that a statement waits for its turn."""
SLACK = 0.4
"""What a busy machine may add."""


@contextmanager
def transaction(house: Household) -> Iterator[Immich]:
    """A session of Immich's that has not committed yet."""
    database = Database(house.database.url)
    try:
        with database.transaction():
            yield Immich(database, RELEASE)
    finally:
        database.close()


@contextmanager
def somebody_has_the_turn(house: Household) -> Iterator[None]:
    with house.database.connect() as other:
        other.execute("select pg_advisory_lock(%s, %s)", WRITERS_LOCK)
        yield
        other.execute("select pg_advisory_unlock_all()")


def seconds(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def files(house: Household, asset: UUID) -> dict[str, str]:
    rows = house.database.fetch('select type, path from asset_file where "assetId" = %s', [asset])
    return {row.type: row.path for row in rows}


def notes(house: Household) -> list[str]:
    return [row.place for row in house.database.fetch("select place from linked.note order by id")]


# --- nobody waits -------------------------------------------------------------------------------------


def test_what_is_not_linked_asks_for_no_turn(household: Household) -> None:
    """No lock of ours, whoever owns the picture, and whatever is done to it."""
    private = household.upload(household.anna, f"/data/upload/{household.anna}/private.jpg")
    theirs = household.upload(household.clara)
    album = household.create_album(household.clara, "Mine")
    with somebody_has_the_turn(household):
        household.database.execute("set lock_timeout = '1ms'")
        for picture in (private, theirs):
            household.extract_metadata(picture, description="mine")
            household.generate_thumbnails(picture)
            household.detect_faces(picture, [(0, 0, 50, 50)])
            household.recognize(household.faces(picture)[0].id)
            household.favorite(picture)
        household.add_to_album(album, theirs)
        tag = household.upsert_tag(household.clara, "mine")
        household.tag_assets(tag, theirs)
        household.update_tag(tag, color="#ff0000", value="my own")
        household.trash([theirs])
        household.delete_asset(theirs)
        household.database.execute("reset lock_timeout")
        assert notes(household) == []
        held = household.database.value(f"{WAITING} and wait_event = 'advisory'")
        assert held == 0


@pytest.mark.parametrize("write", ["update_exif", "favorite", "archive", "detect_faces", "trash", "upload"])
def test_a_statement_waits_a_moment_and_goes_on(household: Household, write: str) -> None:
    photo = household.photo()
    acts: dict[str, Callable[[], object]] = {
        "update_exif": lambda: household.update_exif(photo, description="x"),
        "favorite": lambda: household.favorite(photo),
        "archive": lambda: household.archive(photo),
        "detect_faces": lambda: household.insert("asset_face", {"assetId": photo, "imageWidth": 1, "imageHeight": 1}),
        "trash": lambda: household.trash([photo]),
        "upload": lambda: household.upload(household.family, f"{MEDIA}/new.jpg"),
    }
    with somebody_has_the_turn(household):
        taken = seconds(acts[write])
    assert taken < (0.05 if write == "favorite" else 3 * PATIENCE) + SLACK
    household.next_write()


def test_whatever_hangs_on_a_statement_it_waits_once(household: Household) -> None:
    """An account goes, and with it rows of many tables."""
    photo = household.photo()
    household.detect_faces(photo, [(0, 0, 50, 50)])
    household.recognize(household.faces(photo)[0].id)
    household.tag_assets(household.upsert_tag(household.family, "sea"), photo)
    household.create_album(household.family, "Sea", assets=[photo])
    household.create_stack(household.family, [photo, household.photo()])
    with somebody_has_the_turn(household):
        assert seconds(lambda: household.delete("user", id=household.anna)) < 3 + SLACK
    while notes(household):
        household.next_write()


def test_who_waits_for_a_turn_is_in_nobody_s_deadlock(household: Household) -> None:
    """Whoever has the turn may want a row of somebody who asks for it, and look for a deadlock meanwhile."""
    one, other = household.photo(), household.photo()
    with transaction(household) as has_turn, transaction(household) as wants_turn, ThreadPoolExecutor() as threads:
        has_turn.database.execute("set deadlock_timeout = '150ms'")
        wants_turn.database.execute("set deadlock_timeout = '1s'")
        has_turn.archive(one)
        wants_turn.database.execute("select from asset where id = %s for update", [other])
        waits = threads.submit(has_turn.archive, other)
        wait_until(lambda: household.database.value(WAITING))
        time.sleep(0.1)
        wants_turn.archive(other)
        wants_turn.database.execute("commit")
        waits.result()
        has_turn.database.execute("commit")
    household.next_write()
    household.check()


def test_accounts_that_share_albums_go_at_the_same_moment(household: Household) -> None:
    """On a bare Immich, too, an account that goes holds its rows in albums of others before it wants these albums, and
    whoever deletes them the other way round. There the moment is short: here a turn may be waited for in between."""
    photo, own = household.photo(), household.upload(household.anna)
    party = household.create_album(household.family, "Party", users={household.anna: "editor"}, assets=[photo])
    household.add_to_album(party, own)

    def go(account: UUID) -> None:
        database = Database(household.database.url)
        try:
            Immich(database, RELEASE).hard_delete_user(account)
        finally:
            database.close()

    with somebody_has_the_turn(household), ThreadPoolExecutor() as threads:
        anna = threads.submit(go, household.anna)
        wait_until(
            lambda: household.database.value(
                """select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event = 'PgSleep'"""
            )
        )
        family = threads.submit(go, household.family)
        anna.result()
        family.result()
    household.next_write()
    assert household.count("linked.member") == 0


def test_an_account_that_is_not_linked_asks_for_no_album(household: Household) -> None:
    party = household.create_album(household.family, "Party", users={household.clara: "editor"})
    with household.database.connect(autocommit=False) as other:
        other.execute("select from album where id = %s for update", [party])
        start = time.monotonic()
        household.hard_delete_user(household.clara)
        assert time.monotonic() - start < 1
        other.rollback()


def test_who_wants_the_turn_on_everything_gets_it_from_those_who_share_it(household: Household) -> None:
    """They come and go all the time, and never all are gone."""
    *photos, photo = [household.photo() for _ in range(4)]
    stop = threading.Event()

    def keep_on(photo: UUID) -> None:
        immich = Immich(Database(household.database.url), RELEASE)
        while not stop.is_set():
            with immich.transaction():
                immich.update_exif(photo, description=str(time.monotonic()))
                time.sleep(0.04)
        immich.database.close()

    with ThreadPoolExecutor() as threads:
        running = [threads.submit(keep_on, photo) for photo in photos]
        time.sleep(0.1)
        put_off = 0
        for archive in [household.archive, household.unarchive] * 5:
            with household.transaction():
                archive(photo)
                put_off += notes(household).count("asset update")
        stop.set()
        for thread in running:
            thread.result()
    assert put_off < 3
    household.next_write()


@pytest.mark.skipif(os.environ.get("TEST_DATABASE_URL") is not None, reason="the server's processes are not ours")
def test_a_backend_that_is_stopped_while_it_has_the_turn_holds_up_nobody(household: Household) -> None:
    one, other = household.photo(), household.photo()
    database = Database(household.database.url)
    with database.transaction():
        Immich(database, RELEASE).trash([one])
        pid = database.value("select pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        try:
            assert seconds(lambda: household.update_exif(other, description="meanwhile")) < PATIENCE + SLACK
            assert seconds(lambda: household.trash([other])) < PATIENCE + SLACK
            new = household.upload(household.family, f"{MEDIA}/new.jpg")
            assert "asset insert" in notes(household)
        finally:
            os.kill(pid, signal.SIGCONT)
    database.close()
    household.next_write()
    assert household.asset(household.clone(one, household.anna)).deletedAt
    assert household.asset(household.clone(other, household.anna)).deletedAt
    assert household.find_clone(new, household.ben)


def test_a_backend_that_is_killed_while_it_has_the_turn_leaves_nothing_half_done() -> None:
    """PostgreSQL ends all sessions then, and recovers: on a server of its own."""
    with embedded_server() as server:
        databases = Databases(server.url, "killed")
        name = databases.template("immich", lambda connection: create_immich(connection, RELEASE))
        database = Database(databases.url(name))
        inside(database.url).alembic("upgrade", "head")
        household = Household(database)
        photo = household.photo()
        with suppress(psycopg.OperationalError), transaction(household) as killed:
            killed.archive(photo)
            killed.favorite(photo)
            database.execute("set synchronous_commit = on")
            household.update_exif(household.clone(photo, household.anna), description="noted")
            assert notes(household) == ["asset_exif update"]
            os.kill(killed.database.value("select pg_backend_pid()"), signal.SIGKILL)
            wait_until(lambda: not answers(database))
        wait_until(lambda: answers(database))
        household.next_write()
        assert notes(household) == []
        for member in household.group(photo):
            assert household.asset(member).visibility == "timeline"
            assert household.exif(member).description == "noted"
        household.check()
        database.close()


def answers(database: Database) -> bool:
    try:
        return bool(database.value("select true"))
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize("what", ["photo", "live photo"])
@pytest.mark.parametrize("why", ["viewer", "deletes: own"])
def test_what_is_hidden_later_names_no_file_meanwhile(household: Household, what: str, why: str) -> None:
    """Immich's job for it may come before the next write that could take it away."""
    if why == "viewer":
        household.set_viewer(household.anna)
    else:
        household.update_album(household.linked_album, description=f"{MEDIA}\ndeletes: own")
    still, video = household.photo(), None
    if what == "live photo":
        video = household.upload(household.family, f"{MEDIA}/live.mov", type="VIDEO")
        household.link_live_photo(still, video)
    clones = [household.clone(part, household.anna) for part in (still, video) if part]
    kept = {part: (household.asset(part).originalPath, files(household, part)) for part in (still, video) if part}
    with somebody_has_the_turn(household):
        household.force_delete([clones[0]])
        assert notes(household) == ["asset update"]
        for clone in clones:
            assert household.asset(clone).originalPath.endswith(f".hidden-{clone}")
            assert files(household, clone) == {}
        for clone in clones:
            household.delete_asset(clone)
    household.next_write()
    assert {part: (household.asset(part).originalPath, files(household, part)) for part in kept} == kept
    assert household.find_clone(still, household.anna) is None
    assert household.find_clone(still, household.ben)


@pytest.mark.parametrize("what", ["photo", "live photo"])
def test_what_is_restored_before_it_was_hidden_is_as_it_was(household: Household, what: str) -> None:
    household.set_viewer(household.anna)
    still, video = household.photo(), None
    if what == "live photo":
        video = household.upload(household.family, f"{MEDIA}/live.mov", type="VIDEO")
        household.link_live_photo(still, video)
    clone = household.clone(still, household.anna)
    with somebody_has_the_turn(household):
        household.trash([clone])
        household.restore([clone])
    household.next_write()
    assert notes(household) == []
    for part in (still, video) if video else (still,):
        theirs = household.clone(part, household.anna)
        assert household.asset(theirs).originalPath == household.asset(part).originalPath
        # In some releases a viewer has a sidecar of its own, as a file.
        assert files(household, theirs).items() >= files(household, part).items()
    assert not household.asset(clone).deletedAt


def test_what_could_not_be_hidden_names_no_file_either(household: Household) -> None:
    household.set_viewer(household.anna)
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    household.database.execute(
        """create or replace function linked.dismiss(p_clones uuid[]) returns void
           language plpgsql as $$ begin raise exception 'broken'; end $$"""
    )
    household.force_delete([clone])
    assert household.asset(clone).originalPath.endswith(f".hidden-{clone}")
    household.delete_asset(clone)
    household.database.execute("delete from linked.incident")
    assert household.find_clone(photo, household.anna) is None
    assert files(household, photo)


# --- nothing is lost ----------------------------------------------------------------------------------


def test_changes_of_two_members_in_different_columns_both_stand(household: Household) -> None:
    photo = household.photo()
    annas, bens = household.clone(photo, household.anna), household.clone(photo, household.ben)
    with somebody_has_the_turn(household):
        household.update_exif(photo, description="family")
        household.update_exif(annas, rating=4)
        household.update_exif(bens, city="Rome")
        household.archive(annas)
        household.insert("asset_file", {"assetId": bens, "type": "fullsize", "path": "/data/thumbs/full.jpg"})
    household.next_write()
    for member in household.group(photo):
        exif = household.exif(member)
        assert (exif.description, exif.rating, exif.city) == ("family", 4, "Rome")
        assert household.asset(member).visibility == "archive"
        assert files(household, member).keys() == {"preview", "thumbnail", "fullsize"}


def test_faces_found_and_removed_at_once_both_count(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    household.detect_faces(photo, [(0, 0, 50, 50), (100, 0, 150, 50)])
    gone, stays = household.faces(photo)
    with somebody_has_the_turn(household):
        household.delete("asset_face", id=gone.id)
        household.insert(
            "asset_face",
            {
                "assetId": clone, "imageWidth": 1000, "imageHeight": 800, "sourceType": "manual",
                "boundingBoxX1": 500, "boundingBoxY1": 500, "boundingBoxX2": 600, "boundingBoxY2": 600,
            },
        )  # fmt: skip
    household.next_write()
    boxes = [sorted(face.boundingBoxX1 for face in household.faces(member)) for member in household.group(photo)]
    assert boxes == [[stays.boundingBoxX1, 500]] * 3


@pytest.mark.parametrize("held", ["the turn", "a row of a clone"])
def test_unsharing_is_complete_when_the_statement_returns(household: Household, held: str) -> None:
    """It waits longer than others for its turn, and for rows."""
    clone = household.clone(household.photo(), household.anna)
    database, other = Database(household.database.url), household.database.connect(autocommit=False)
    if held == "the turn":
        other.execute("select pg_advisory_xact_lock(%s, %s)", WRITERS_LOCK)
    else:
        other.execute('update asset set "isFavorite" = true where id = %s', [clone])
    done: list[int] = []

    def unshare() -> None:
        Immich(database, RELEASE).unshare_album(household.linked_album, household.anna)
        done.append(household.owned(household.anna))

    thread = threading.Thread(target=unshare)
    thread.start()
    time.sleep(3 * PATIENCE)
    assert not done
    other.commit()
    other.close()
    thread.join()
    database.close()
    assert done == [0]
    assert notes(household) == []


@pytest.mark.parametrize("what", ["unshare", "hide", "delete the album"])
def test_who_waits_patiently_is_not_cancelled_for_it(household: Household, what: str) -> None:
    clone, database = household.clone(household.photo(), household.ben), household.database
    household.set_viewer(household.ben)
    acts: dict[str, Callable[[], object]] = {
        "unshare": lambda: household.unshare_album(household.linked_album, household.ben),
        "hide": lambda: household.force_delete([clone]),
        "delete the album": lambda: household.delete_album(household.linked_album),
    }
    with somebody_has_the_turn(household):
        database.execute("set statement_timeout = '1s'")
        acts[what]()
        database.execute("reset statement_timeout")
    household.next_write()
    assert household.owned(household.ben) == 0


@pytest.mark.parametrize("what", ["tag", "album"])
def test_a_note_that_had_to_wait_again_takes_nothing_back(household: Household, what: str) -> None:
    """Taken out and put in again: the first is tried a second time after the other is done."""
    photo = household.photo()
    album = household.create_album(household.family, "Sea", assets=[photo])
    tag = household.upsert_tag(household.family, "sea")
    household.bulk_tag([tag], [photo])
    with somebody_has_the_turn(household):
        if what == "tag":
            household.replace_tags(photo, [tag])
        else:
            household.remove_from_album(album, photo)
            household.add_to_album(album, photo)
    household.database.execute("update linked.note set tries = 1 where place like '%_asset delete'")
    household.next_write()
    assert notes(household) == []
    for user in (household.family, household.anna, household.ben):
        member = household.find_clone(photo, user) or photo
        assert household.tags_of(member) == ["sea"]
        (sea,) = [row.id for row in household.albums_of(user) if row.albumName == "Sea"]
        assert household.album_assets(sea) == {member}


# --- who could not see that it is linked ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["shared", "put into the album", "restored"])
def test_what_was_written_while_it_was_being_linked_is_not_missed(household: Household, how: str) -> None:
    photo = household.photo()
    private = household.photo(household.family, "/data/upload/private.jpg")
    written = photo if how == "shared" else private
    if how == "restored":
        household.add_to_album(household.linked_album, private)
        household.trash([private])
    with transaction(household) as unseen:
        unseen.update_exif(written, description="unseen", rating=5)
        unseen.insert("asset_file", {"assetId": written, "type": "fullsize", "path": "/data/thumbs/unseen.jpg"})
        match how:
            case "shared":
                household.share_album(household.linked_album, household.clara)
            case "restored":
                household.restore([private])
            case _:
                household.add_to_album(household.linked_album, private)
    household.next_write()
    user = household.clara if how == "shared" else household.anna
    clone = household.clone(written, user)
    assert (household.exif(clone).description, household.exif(clone).rating) == ("unseen", 5)
    assert files(household, clone)["fullsize"] == "/data/thumbs/unseen.jpg"


def test_what_was_written_to_one_of_many_is_not_missed(household: Household) -> None:
    """Many that were linked at once are compared before anything is written to them again."""
    private = [household.photo(household.family, f"/data/upload/{number}.jpg") for number in range(60)]
    with transaction(household) as unseen:
        unseen.update_exif(private[30], description="unseen")
        household.add_to_album(household.linked_album, *private)
    assert household.database.value("select count(distinct source_id) from linked.second_look") == 60
    household.next_write()
    assert household.exif(household.clone(private[30], household.anna)).description == "unseen"


def test_an_upload_that_nobody_saw_is_linked_for_whoever_joined_meanwhile(household: Household) -> None:
    with transaction(household) as phone:
        new = phone.upload(household.family, f"{MEDIA}/unseen.jpg")
        household.share_album(household.linked_album, household.clara)
    household.next_write()
    assert household.find_clone(new, household.clara)


def test_what_was_written_to_an_upload_whose_linking_was_put_off_is_not_missed(household: Household) -> None:
    with transaction(household) as unseen:
        with somebody_has_the_turn(household):
            new = household.upload(household.family, f"{MEDIA}/new.jpg")
            unseen.extract_metadata(new, description="unseen")
            unseen.generate_thumbnails(new)
        household.update_usage(household.clara, 1)
        clone = household.clone(new, household.anna)
        assert files(household, clone) == {}
    household.next_write()
    assert household.exif(clone).description == "unseen"
    assert files(household, clone).keys() == {"preview", "thumbnail"}


def test_who_is_renamed_while_they_are_paired_is_called_alike(household: Household) -> None:
    photo = household.photo()
    household.detect_faces(photo, [(0, 0, 50, 50)])
    person = household.create_person(household.family, "Mum")
    with transaction(household) as unseen:
        unseen.update_person(person, name="Dad")
        household.recognize(household.faces(photo)[0].id, person)
    household.next_write()
    assert [row.name for row in household.people(household.anna)] == ["Dad"]


def test_a_transaction_that_goes_on_is_waited_for_by_nobody(household: Household) -> None:
    """What has to be looked at again is looked at when it can be, and holds up nothing else."""
    household.next_write()
    with transaction(household) as unseen:
        unseen.upload(household.clara)
        household.share_album(household.linked_album, household.clara)
        photo = household.photo()
        assert household.find_clone(photo, household.clara)
        assert household.count("linked.second_look") > 0
        assert household.database.value("select linked.work_off('1 second')") == 0
    household.next_write()
    assert household.count("linked.second_look") == 0


# --- notes that cannot be worked off --------------------------------------------------------------------


def test_a_note_that_fails_again_and_again_becomes_an_incident(household: Household) -> None:
    photo, other = household.photo(), household.photo()
    with somebody_has_the_turn(household):
        household.favorite(photo)
        household.update_exif(photo, description="x")
        household.archive(other)
    household.database.execute(
        """create or replace function linked.redo_asset_exif_update(p_stale jsonb, p_fresh jsonb, p_statement text)
           returns void language plpgsql as $$ begin raise exception 'broken'; end $$"""
    )
    for _ in range(4):
        household.update_usage(household.clara, 1)
    assert notes(household) == []
    (incident,) = household.database.fetch("select place, message from linked.incident")
    assert incident == ("asset_exif update", "broken")
    assert household.asset(household.clone(other, household.ben)).visibility == "archive"
    household.database.execute("delete from linked.incident")
    household.update_exif(photo, description="y")


def test_how_often_a_note_met_rows_of_others_does_not_count(household: Household) -> None:
    """What a later note tells (a row is gone, say) may be wanted for the first time after many such tries."""
    photo = household.photo()
    with somebody_has_the_turn(household):
        household.update_exif(photo, description="x")
    clone = household.clone(photo, household.ben)
    with transaction(household) as other:
        other.database.execute('select from asset_exif where "assetId" = %s for update', [clone])
        for _ in range(30):
            household.update_usage(household.clara, 1)
    works = household.database.value(
        "select pg_get_functiondef('linked.redo_asset_exif_update(jsonb, jsonb, text)'::regprocedure)"
    )
    household.database.execute(
        """create or replace function linked.redo_asset_exif_update(p_stale jsonb, p_fresh jsonb, p_statement text)
           returns void language plpgsql as $$ begin raise foreign_key_violation; end $$"""
    )
    household.update_usage(household.clara, 1)
    assert notes(household) == ["asset_exif update"]
    household.database.execute(works)
    household.next_write()
    assert household.exif(clone).description == "x"


def test_a_note_of_rows_that_are_gone_is_done(household: Household) -> None:
    photo, other = household.photo(), household.photo()
    with somebody_has_the_turn(household):
        household.update_exif(photo, description="x")
        household.archive(photo)
        household.create_stack(household.family, [photo, other])
        household.delete_asset(other)
    household.next_write()
    assert household.exif(household.clone(photo, household.anna)).description == "x"
