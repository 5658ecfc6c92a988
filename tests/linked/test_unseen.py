"""What happened while sync was off: a clone moves, replaces and deletes nothing; of edits the last one counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.doctor import PROBLEM, examine
from tests.builders.jobs import thumbnail_path
from tests.database import Database
from tests.linked.conftest import MEDIA, Household, upgrade
from tests.linked.test_reconcile import run, unseen
from tests.release import PERSON_ID, SHOWN

OFF = "update linked.installation set suspended_at = now(), suspended_why = 'test'"


def by_reconcile(database: Database) -> None:
    database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    report = run(database)
    assert report.failures == []
    assert run(database, dry_run=True).differences == []


def by_upgrade(database: Database) -> None:
    with database.connect() as connection:
        upgrade(connection)
    assert run(database, dry_run=True).differences == []


CatchUp = Callable[[Database], None]

FAMILY_DOES: dict[str, Callable[[Household, UUID], object]] = {
    "moves the file": lambda house, photo: house.move_file(photo, f"{MEDIA}/moved.jpg"),
    "trashes": lambda house, photo: house.trash([photo]),
    "writes the sidecar": lambda house, photo: house.write_sidecar(photo),
    "archives": lambda house, photo: house.archive(photo),
    "replaces the file": lambda house, photo: house.replace_asset(photo, f"{MEDIA}/replaced.jpg"),
    "is told that the file vanished": lambda house, photo: house.files_vanished([photo]),
}
USER_DOES: dict[str, Callable[[Household, UUID], object]] = {
    "likes": lambda house, clone: house.favorite(clone),
    "locks": lambda house, clone: house.lock(clone),
    "stacks": lambda house, clone: house.create_stack(house.asset(clone).ownerId, [clone, house.photo(house.anna)]),
    "trashes": lambda house, clone: house.trash([clone]),
}
ABOUT = ("originalPath", "checksum", "deletedAt", "status", "isOffline", "visibility", "originalFileName")
FILES = ("sidecar", "encoded_video")


CASES = [
    *itertools.product(FAMILY_DOES, USER_DOES, ["editor", "viewer"], [by_reconcile]),
    *itertools.product(FAMILY_DOES, ["likes"], ["editor"], [by_upgrade]),
]


def about(household: Household, asset: UUID) -> dict[str, Any]:
    row = household.asset(asset)
    return {name: getattr(row, name) for name in ABOUT} | {kind: household.file_of(asset, kind) for kind in FILES}


@pytest.mark.parametrize(("family", "user", "role", "catch_up"), CASES)
def test_the_source_counts(household: Household, family: str, user: str, role: str, catch_up: CatchUp) -> None:
    photo = household.photo()
    household.set_role(household.linked_album, household.anna, role)
    clone = household.clone(photo, household.anna)
    household.database.execute(OFF)
    FAMILY_DOES[family](household, photo)
    USER_DOES[user](household, clone)
    before = about(household, photo)
    catch_up(household.database)
    assert about(household, photo) == before
    if user == "likes":
        assert household.asset(clone).isFavorite


def test_a_clone_moves_trashes_and_deletes_nothing(household: Household) -> None:
    moved, trashed, deleted = (household.photo() for _ in range(3))
    before = [household.asset(photo) for photo in (moved, trashed, deleted)]
    with unseen(household.database):
        clone = household.clone(moved, household.anna)
        household.update_asset(clone, originalPath="/elsewhere.jpg")
        household.set_file(clone, "sidecar", "/x.xmp")
        household.trash([household.clone(trashed, household.anna)])
        household.delete_asset(household.clone(deleted, household.anna))
    by_reconcile(household.database)
    assert [household.asset(photo) for photo in (moved, trashed, deleted)] == before
    assert household.asset(household.clone(trashed, household.anna)).deletedAt is None
    household.clone(deleted, household.anna)


def test_the_last_edit_counts_whatever_else_was_written(household: Household) -> None:
    first, last = household.photo(), household.photo()
    with unseen(household.database):
        household.update_exif(household.clone(first, household.anna), description="Anna's", rating=1)
        household.update_exif(first, description="the family's")
        household.favorite(household.clone(first, household.ben))
        household.update_exif(last, description="the family's")
        household.extract_metadata(household.clone(last, household.anna), dateTimeOriginal="2001-02-03T04:05:06Z")
        household.update_exif(household.clone(last, household.anna), description="Anna's")
        household.archive(last)
    by_reconcile(household.database)
    assert household.exif(first).description == "the family's"
    assert household.exif(last).description == "Anna's"
    assert household.asset(last).localDateTime.year == 2001
    assert household.asset(household.clone(last, household.ben)).visibility == "archive"


def test_what_a_viewer_edits_unseen_is_undone(household: Household) -> None:
    photo = household.photo()
    household.set_viewer(household.anna)
    clone = household.clone(photo, household.anna)
    with unseen(household.database):
        household.update_exif(clone, description="by a viewer")
        household.archive(clone)
    by_reconcile(household.database)
    assert household.exif(photo).description == household.exif(clone).description == ""
    assert household.asset(clone).visibility == "timeline"


def test_files_that_a_job_made_for_a_clone_are_there_for_all(household: Household) -> None:
    """The job has deleted those that its member had before: nobody else has any."""
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    with unseen(household.database):
        household.generate_thumbnails(clone)
        household.favorite(photo)
    by_reconcile(household.database)
    for member in household.group(photo):
        assert set(paths(household, member)) == {
            thumbnail_path(household.asset(clone), kind) for kind in ("preview", "thumbnail")
        }


def paths(household: Household, asset: UUID) -> list[str]:
    return [row.path for row in household.database.fetch('select path from asset_file where "assetId" = %s', [asset])]


def test_a_source_marked_for_its_thumbnails_stays_so_alone(household: Household) -> None:
    photo = household.photo()
    with unseen(household.database):
        household.database.execute(
            "insert into linked.unsettled (source_id, what, since, marked_at) values (%s, 'image', now(), now())",
            [photo],
        )
        household.update_asset(photo, thumbhash=None)
    assert run(household.database, dry_run=True).differences == []
    with unseen(household.database):
        household.update_exif(photo, description="and edited")
    by_reconcile(household.database)
    status = {member: household.asset(member).thumbhash for member in household.group(photo)}
    assert status[photo] is None
    assert all(status[member] for member in household.group(photo)[1:])
    household.generate_thumbnails(photo)


def test_a_file_replaced_on_a_clone_stays_its_users(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    path = f"/data/upload/{household.anna}/new.jpg"
    before = household.asset(photo)
    with unseen(household.database):
        copy = household.replace_asset(clone, path)
    by_reconcile(household.database)
    assert household.asset(photo) == before
    assert household.asset(clone).originalPath == path
    assert (
        household.database.fetch('select from asset where id = %s and "originalPath" = %s', [copy, before.originalPath])
        == []
    )


def test_faces_drawn_and_removed_unseen(household: Household) -> None:
    photo = household.photo()
    gone, kept = household.detect_faces(photo, [(0, 0, 50, 50), (100, 0, 150, 50)])
    household.recognize(kept)
    clone = household.clone(photo, household.anna)
    with unseen(household.database):
        household.create_face(photo, None, box=(200, 0, 250, 50))
        household.create_face(clone, None, box=(300, 0, 350, 50))
        household.delete("asset_face", id=gone)
        (named,) = [face for face in household.faces(clone) if face.boundingBoxX1 == 100]
        household.reassign_faces([named.id], household.create_person(household.anna, "Oma"))
    by_reconcile(household.database)
    for member in household.group(photo):
        assert sorted(face.boundingBoxX1 for face in household.faces(member)) == [100, 200, 300]
        (named,) = [face for face in household.faces(member) if face.boundingBoxX1 == 100]
        assert named.personId


def test_faces_found_again_unseen_are_the_same_faces(household: Household) -> None:
    photo = household.photo()
    household.recognize(household.detect_faces(photo, [(0, 0, 50, 50)])[0])
    with unseen(household.database):
        household.database.execute("delete from asset_face")
        for number, member in enumerate(household.group(photo)):
            household.detect_faces(member, [(number, number, 50, 50)])
    by_reconcile(household.database)
    assert [len(household.faces(member)) for member in household.group(photo)] == [1, 1, 1]


@pytest.mark.parametrize("who", ["family", "anna"])
def test_the_later_assignment_of_a_face_counts(household: Household, who: str) -> None:
    photo = household.photo()
    *known, _ = household.detect_faces(photo, [(0, 0, 50, 50), (100, 0, 150, 50), (200, 0, 250, 50)])
    for face, name in zip(known, ["Oma", "Opa"], strict=True):
        household.update_person(household.recognize(face), name=name)
    other = "family" if who == "anna" else "anna"
    with unseen(household.database):
        for account, name in ((other, "Oma"), (who, "Opa")):
            member = household.of(photo, account)
            person = household.database.value(
                f'select {PERSON_ID} from person where "ownerId" = %s and name = %s',
                [household.asset(member).ownerId, name],
            )
            (face,) = [face.id for face in household.faces(member) if face.boundingBoxX1 == 200]
            household.reassign_faces([face], person)
            household.favorite(household.of(photo, other))
    by_reconcile(household.database)
    for member in household.group(photo):
        names = household.database.fetch(
            f"""select name from person join asset_face on asset_face.{SHOWN} = person.{PERSON_ID}
               where "assetId" = %s order by "boundingBoxX1" """,
            [member],
        )
        assert [row.name for row in names] == ["Oma", "Opa", "Opa"]


def person_of(household: Household, asset: UUID) -> Any:
    return household.person(household.faces(asset)[0].personId)


@pytest.mark.parametrize("who", ["family", "anna"])
def test_details_of_a_person_edited_unseen(household: Household, who: str) -> None:
    photo = household.photo()
    household.recognize(household.detect_faces(photo, [(0, 0, 50, 50)])[0])
    household.update_person(person_of(household, photo).id, name="Oma")
    other = "family" if who == "anna" else "anna"
    with unseen(household.database):
        household.update_person(
            person_of(household, household.of(photo, who)).id, name="Grandma", birthDate="1950-01-02", color="#123456"
        )
        household.update_person(person_of(household, household.of(photo, other)).id, isFavorite=True)
    dry = run(household.database, dry_run=True)
    assert [(one.source_id, one.changes) for one in dry.differences] == [(None, {"person": 3})]
    by_reconcile(household.database)
    for member in household.group(photo):
        person = person_of(household, member)
        assert (person.name, str(person.birthDate), person.color) == ("Grandma", "1950-01-02", "#123456")


def test_persons_who_were_called_otherwise_when_they_were_paired_stay_so(household: Household) -> None:
    photo = household.photo()
    (face,) = household.detect_faces(photo, [(0, 0, 50, 50)])
    clone = household.clone(photo, household.anna)
    with unseen(household.database):
        household.reassign_faces([face], household.create_person(household.family, "Oma"))
        household.reassign_faces([household.faces(clone)[0].id], household.create_person(household.anna, "Granny"))
        household.database.execute(f"update asset_face set {SHOWN} = null where id = %s", [face])
    by_reconcile(household.database)
    household.reassign_faces([face], household.create_person(household.family, "Oma"))
    assert run(household.database, dry_run=True).differences == []


def test_an_album_deleted_unseen(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.family, "Summer", assets=[photo])
    refused = household.create_album(household.family, "Winter", assets=[photo])
    theirs = household.database.value(
        "select album_id from linked.album_pair where album_key = %s and owner_id = %s", [refused, household.anna]
    )
    with unseen(household.database):
        household.delete_album(album)
        household.delete_album(theirs)
    by_reconcile(household.database)
    assert household.albums_of(household.anna) == []
    assert household.database.value("""select count(*) from album where "albumName" = 'Winter'""") == 2


def test_an_original_that_is_remembered_as_a_clone_stays(household: Household) -> None:
    photos = [household.photo() for _ in range(2)]
    household.database.execute(
        "update linked.member set source_id = gen_random_uuid() where asset_id = %s", [photos[0]]
    )
    by_reconcile(household.database)
    left = {row.id for row in household.database.fetch("select id from asset")}
    assert set(photos) <= left
    assert len(household.group(photos[0])) == 3


def test_doctor_sees_clones_of_a_source_that_is_not_there(household: Household) -> None:
    photo = household.photo()
    statement = "update linked.member set source_id = %s where asset_id <> source_id"
    household.database.execute(statement, [uuid4()])
    with connected(engine_for(database_url({"DB_URL": household.database.url}))) as connection:
        assert "groups" in [finding.check for finding in examine(connection) if finding.kind == PROBLEM]
    household.database.execute(statement, [photo])
