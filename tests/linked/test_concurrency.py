"""Whatever two or three sessions do to members of one group at once: nobody gets an error, and all is consistent after.

Immich's statements are autocommitted, so most steps are one statement or one job. Each scenario is played in every
order of its steps, and through a gate that stops all sessions inside their first statement, so that they really run at
the same time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from tests.builders import Immich
from tests.builders.tags import Tags
from tests.linked.conftest import MEDIA, Household
from tests.linked.sessions import Sessions, Step, interleavings, play, starts

Scripts = dict[str, list[Step]]
Scenario = Callable[[Household], Scripts]

numbers = itertools.count(1)

GONE = (psycopg.errors.ForeignKeyViolation, ValueError)
"""What Immich alone gets, too, when an asset is deleted while it works on it: no such row."""


# --- scenarios ----------------------------------------------------------------------------------


def edit_two_members(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    return {
        "family": [lambda i: i.update_exif(photo, description="family"), lambda i: i.archive(photo)],
        "anna": [lambda i: i.update_exif(clone, description="anna"), lambda i: i.unarchive(clone)],
    }


def edit_three_members(house: Household) -> Scripts:
    photo = house.photo()
    members = {"family": photo, "anna": house.clone(photo, house.anna), "ben": house.clone(photo, house.ben)}
    return {name: [_edit(member, name)] for name, member in members.items()}


def edit_many_crosswise(house: Household) -> Scripts:
    photos = [house.photo() for _ in range(3)]
    clones = [house.clone(photo, house.anna) for photo in photos]
    return {
        "family": [lambda i: i.update_all_exif(photos, rating=1), lambda i: i.trash(photos)],
        "anna": [lambda i: i.update_all_exif(clones[::-1], rating=2), lambda i: i.restore(clones[::-1])],
    }


def job_and_edit(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    return {
        "job": [lambda i: i.extract_metadata(photo, tags=["a/b"]), lambda i: i.generate_thumbnails(photo)],
        "anna": [lambda i: i.update_exif(clone, description="anna"), lambda i: i.generate_thumbnails(clone)],
    }


def move_and_edit(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    return {
        "template": [lambda i: i.move_file(photo, f"{MEDIA}/moved/{photo}.jpg")],
        "anna": [lambda i: i.update_exif(clone, rating=3), lambda i: i.write_sidecar(clone)],
    }


def edit_and_delete(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    return {
        "job": [lambda i: i.delete_asset(photo)],
        "anna": [lambda i: i.update_exif(clone, description="anna"), lambda i: i.archive(clone)],
    }


def delete_two_members(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    house.force_delete([photo])
    return {"one": [lambda i: i.delete_asset(photo)], "other": [lambda i: i.delete_asset(clone)]}


def delete_three_members(house: Household) -> Scripts:
    photo = house.photo()
    members = house.group(photo)
    house.force_delete([photo])
    return {f"job{number}": [_delete(member)] for number, member in enumerate(members)}


def trash_many_crosswise(house: Household) -> Scripts:
    photos = [house.photo() for _ in range(4)]
    clones = [house.clone(photo, house.ben) for photo in photos]
    return {
        "family": [lambda i: i.trash(photos), lambda i: i.empty_trash(house.family)],
        "ben": [lambda i: i.trash(clones[::-1]), lambda i: i.restore(clones[::-1])],
    }


def upload_and_unshare(house: Household) -> Scripts:
    house.photo()
    return {
        "phone": [lambda i: i.upload(house.family, f"{MEDIA}/{next(numbers)}.jpg") for _ in range(2)],
        "owner": [
            lambda i: i.unshare_album(house.linked_album, house.anna),
            lambda i: i.share_album(house.linked_album, house.anna),
        ],
    }


def share_and_edit(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    return {
        "owner": [
            lambda i: i.share_album(house.linked_album, house.clara),
            lambda i: i.unshare_album(house.linked_album, house.clara),
        ],
        "anna": [lambda i: i.update_exif(clone, description="anna"), lambda i: i.trash([clone])],
    }


def unshare_and_delete(house: Household) -> Scripts:
    photos = [house.photo() for _ in range(3)]
    clone = house.clone(photos[1], house.anna)
    return {
        "owner": [
            lambda i: i.unshare_album(house.linked_album, house.anna),
            lambda i: i.share_album(house.linked_album, house.anna),
        ],
        "job": [lambda i: i.delete_asset(clone)],
    }


def edit_prefix_and_move(house: Household) -> Scripts:
    photo = house.photo()
    return {
        "owner": [
            lambda i: i.update_album(house.linked_album, description=f"{MEDIA}/elsewhere"),
            lambda i: i.update_album(house.linked_album, description=MEDIA),
            lambda i: i.create_album(house.family, "Approve linked album"),
        ],
        "template": [lambda i: i.move_file(photo, f"{MEDIA}/elsewhere/{photo}.jpg")],
    }


def add_to_albums_of_two(house: Household) -> Scripts:
    one, two = house.photo(), house.photo()
    album = house.create_album(house.family, f"Album {next(numbers)}", assets=[one])
    counterpart = _counterpart(house, album, house.anna)
    return {
        "family": [lambda i: i.add_to_album(album, two), lambda i: i.remove_from_album(album, one)],
        "anna": [
            lambda i: i.remove_from_album(counterpart, house.clone(one, house.anna)),
            lambda i: i.add_to_album(counterpart, house.clone(two, house.anna)),
        ],
    }


def same_photo_into_both_albums(house: Household) -> Scripts:
    """Both have looked and found it missing; Immich inserts without ON CONFLICT."""
    one, two = house.photo(), house.photo()
    album = house.create_album(house.family, f"Album {next(numbers)}", assets=[one])
    counterpart = _counterpart(house, album, house.anna)
    clone = house.clone(two, house.anna)
    return {
        "family": [lambda i: i.add_to_album(album, two)],
        "anna": [lambda i: i.add_to_album(counterpart, clone)],
    }


def delete_album_and_add(house: Household) -> Scripts:
    one, two = house.photo(), house.photo()
    album = house.create_album(house.family, f"Album {next(numbers)}", assets=[one])
    counterpart = _counterpart(house, album, house.anna)
    clone = house.clone(two, house.anna)
    return {
        "family": [lambda i: i.delete_album(album)],
        "anna": [lambda i: i.insert("album_asset", {"albumId": counterpart, "assetId": clone})],
    }


def create_album_and_edit(house: Household) -> Scripts:
    """Immich creates an album in one transaction."""
    one, two = house.photo(), house.photo()
    clone = house.clone(one, house.anna)

    def add(immich: Immich) -> None:
        album = immich.insert("album", {"ownerId": house.family, "albumName": f"Album {next(numbers)}"})[0].id
        immich.insert("album_asset", {"albumId": album, "assetId": one}, {"albumId": album, "assetId": two})

    return {
        "family": [_begin, add, _commit],
        "anna": [lambda i: i.update_exif(clone, description="anna"), lambda i: i.archive(clone)],
    }


def merge_and_assign(house: Household) -> Scripts:
    one, two = house.photo(), house.photo()
    (face,) = house.detect_faces(one, [(0, 0, 50, 50)])
    (other_face,) = house.detect_faces(two, [(0, 0, 50, 50)])
    mother, mum = house.recognize(face), house.recognize(other_face)
    annas_face = house.faces(house.clone(one, house.anna))[0].id
    annas_mum = house.faces(house.clone(two, house.anna))[0].personId
    return {
        "family": [lambda i: i.merge_people(mother, mum)],
        "anna": [
            lambda i: i.reassign_faces([annas_face], None),
            lambda i: i.update_person(annas_mum, name="Mum"),
        ],
    }


def detect_on_two_members(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    return {
        "one": [lambda i: i.detect_faces(photo, [(0, 0, 50, 50)])],
        "other": [lambda i: i.detect_faces(clone, [(0, 0, 50, 50), (100, 0, 150, 50)])],
    }


def upsert_tags_of_two(house: Household) -> Scripts:
    """Immich opens a transaction on one connection, writes the tag through another, and goes on in the first."""
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    value = f"tag {next(numbers)}"
    return {
        "family": _upsert_tag(house.family, value, photo),
        "anna": _upsert_tag(house.anna, value, clone),
    }


def replace_tags_of_two(house: Household) -> Scripts:
    """One transaction deletes and inserts the rows of tag_asset."""
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    tags = [house.upsert_tag(user, f"tag {next(numbers)}") for user in (house.family, house.anna)]
    return {
        "family": [
            lambda i: (_begin(i), i.delete("tag_asset", assetId=photo)),
            lambda i: i.insert("tag_asset", {"tagId": tags[0], "assetId": photo}, nothing=True),
            _commit,
        ],
        "anna": [
            lambda i: (_begin(i), i.delete("tag_asset", assetId=clone)),
            lambda i: i.insert("tag_asset", {"tagId": tags[1], "assetId": clone}, nothing=True),
            _commit,
        ],
    }


def tag_and_delete_tag(house: Household) -> Scripts:
    one, two = house.photo(), house.photo()
    value = f"parent/child {next(numbers)}"
    tag = house.upsert_tag(house.family, value)
    house.tag_assets(tag, one)
    annas = house.upsert_tag(house.anna, value)
    clone = house.clone(two, house.anna)
    return {
        "family": [lambda i: i.delete_tag(tag)],
        "anna": [lambda i: i.tag_assets(annas, clone), lambda i: i.extract_metadata(clone)],
    }


def stack_and_unstack(house: Household) -> Scripts:
    """Immich creates a stack in one transaction."""
    photos = [house.photo() for _ in range(3)]
    clones = [house.clone(photo, house.anna) for photo in photos]
    stack = house.create_stack(house.family, photos[:2])
    annas_stack = house.asset(clones[0]).stackId
    return {
        "family": [
            lambda i: (_begin(i), i.delete("stack", id=[stack])),
            lambda i: _new_stack(i, house.family, photos),
            _commit,
        ],
        "anna": [lambda i: i.delete_stacks(annas_stack), lambda i: i.archive(clones[2])],
    }


def stack_on_two_members(house: Household) -> Scripts:
    photos = [house.photo() for _ in range(3)]
    clones = [house.clone(photo, house.anna) for photo in photos]
    return {
        "family": [_begin, lambda i: _new_stack(i, house.family, photos), _commit],
        "anna": [lambda i: i.archive(*clones), lambda i: i.delete_asset(clones[0])],
    }


def stack_in_two_accounts(house: Household) -> Scripts:
    """Each asks which stacks the pictures lead, dissolves these, makes its own and reads it back."""
    photos = [house.photo() for _ in range(3)]
    clones = [house.clone(photo, house.anna) for photo in photos]

    def stack(owner: UUID, assets: list[UUID]) -> list[Step]:
        found: list[Any] = []
        return [
            lambda i: (_begin(i), found.extend(i.stacks_led_by(owner, assets))),
            lambda i: i.make_stack(owner, assets, *found),
            _commit,
        ]

    return {"family": stack(house.family, photos[:2]), "anna": stack(house.anna, clones)}


def stack_as_editor_and_viewer(house: Household) -> Scripts:
    house.set_viewer(house.anna)
    return stack_in_two_accounts(house)


def delete_library_and_scan(house: Household) -> Scripts:
    library = house.create_library(house.family, MEDIA)
    house.import_library(house.family, library, [f"{MEDIA}/{next(numbers)}.jpg" for _ in range(2)])
    photo = house.photo()
    return {
        "library": [lambda i: i.delete_library(library)],
        "scan": [
            lambda i: i.import_library(house.family, library, [f"{MEDIA}/{next(numbers)}.jpg" for _ in range(2)]),
            lambda i: i.update_exif(house.clone(photo, house.anna), rating=1),
        ],
    }


def delete_user_and_edit(house: Household) -> Scripts:
    dora = house.create_user(f"Dora{next(numbers)}")
    house.share_album(house.linked_album, dora)
    photos = [house.photo() for _ in range(2)]
    clones = [house.clone(photo, dora) for photo in photos]
    house.soft_delete_user(dora)
    return {
        "admin": [lambda i: i.hard_delete_user(dora)],
        "family": [lambda i: i.update_all_exif(photos[::-1], rating=1), lambda i: i.trash(photos)],
        "job": [lambda i: i.generate_thumbnails(clones[0])],
    }


def delete_user_and_upload(house: Household) -> Scripts:
    dora = house.create_user(f"Dora{next(numbers)}")
    house.share_album(house.linked_album, dora)
    house.photo()
    return {
        "admin": [lambda i: i.delete("user", id=dora)],
        "phone": [lambda i: i.upload(house.family, f"{MEDIA}/{next(numbers)}.jpg") for _ in range(2)],
    }


def remember_and_unshare(house: Household) -> Scripts:
    """Immich creates a memory in one transaction, and every row of it locks an asset."""
    photos = [house.photo() for _ in range(2)]
    clones = [house.clone(photo, house.anna) for photo in photos]
    memories: list[UUID] = []

    def create(immich: Immich) -> None:
        _begin(immich)
        memory = immich.database.value(
            """insert into memory ("ownerId", type, data, "memoryAt")
               values (%s, 'on_this_day', '{"year": 2020}', now()) returning id""",
            [house.anna],
        )
        immich.insert("memory_asset", {"memoriesId": memory, "assetId": clones[1]})
        memories.append(memory)

    def add(immich: Immich) -> None:
        if memories:
            immich.insert("memory_asset", {"memoriesId": memories[0], "assetId": clones[0]})
            _commit(immich)

    return {
        "nightly": [create, add],
        "owner": [
            lambda i: i.unshare_album(house.linked_album, house.anna),
            lambda i: i.share_album(house.linked_album, house.anna),
        ],
    }


def recount_and_delete(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    return {"nightly": [lambda i: i.sync_usage()], "job": [lambda i: i.delete_asset(clone)]}


def replace_and_edit(house: Household) -> Scripts:
    photo = house.photo()
    clone = house.clone(photo, house.anna)
    return {
        "family": [lambda i: i.replace_asset(photo, f"/data/upload/{house.family}/{next(numbers)}.jpg")],
        "anna": [lambda i: i.update_exif(clone, rating=1)],
    }


SCENARIOS: tuple[tuple[Scenario, Sequence[type[Exception]]], ...] = (
    (edit_two_members, ()),
    (edit_three_members, ()),
    (edit_many_crosswise, ()),
    (job_and_edit, ()),
    (move_and_edit, ()),
    (edit_and_delete, GONE),
    (delete_two_members, ()),
    (delete_three_members, ()),
    (trash_many_crosswise, ()),
    (upload_and_unshare, ()),
    (share_and_edit, ()),
    (unshare_and_delete, ()),
    (edit_prefix_and_move, ()),
    (add_to_albums_of_two, ()),
    (same_photo_into_both_albums, ()),
    (delete_album_and_add, GONE),
    (create_album_and_edit, ()),
    (merge_and_assign, GONE),
    (detect_on_two_members, ()),
    (upsert_tags_of_two, ()),
    (replace_tags_of_two, ()),
    (tag_and_delete_tag, GONE),
    (stack_and_unstack, ()),
    (stack_on_two_members, GONE),
    (stack_in_two_accounts, ()),
    (stack_as_editor_and_viewer, ()),
    (delete_library_and_scan, GONE),
    (delete_user_and_edit, GONE),
    (delete_user_and_upload, ()),
    (remember_and_unshare, GONE),
    (recount_and_delete, ()),
    (replace_and_edit, GONE),
)


@pytest.mark.parametrize("gate", [False, True], ids=["step by step", "at once"])
@pytest.mark.parametrize(("scenario", "expected"), SCENARIOS, ids=[scenario.__name__ for scenario, _ in SCENARIOS])
def test_nobody_gets_an_error(
    household: Household, scenario: Scenario, expected: Sequence[type[Exception]], gate: bool
) -> None:
    scripts = scenario(household)
    for order in starts(scripts) if gate else interleavings(scripts):
        scripts = scenario(household)
        errors = play(household.database, scripts, order, gate=gate)
        unexpected = {
            name: found
            for name, all_ in errors.items()
            if (found := [e for e in all_ if not isinstance(e, tuple(expected))])
        }
        assert not unexpected, (order, unexpected)
        household.next_write()
        household.check()
    deadlocks = household.database.value("select deadlocks from pg_stat_database where datname = current_database()")
    assert deadlocks == 0


def test_a_deadlock_would_be_noticed(household: Household) -> None:
    """One of Immich's own: two transactions that want each other's rows, of nobody who is linked."""
    one, other = (household.upload(household.clara) for _ in range(2))
    scripts: Scripts = {
        "one": [_begin, lambda i: i.update_exif(one, rating=1), lambda i: i.update_exif(other, rating=1), _commit],
        "other": [_begin, lambda i: i.update_exif(other, rating=2), lambda i: i.update_exif(one, rating=2), _commit],
    }
    order = [name for _ in range(4) for name in scripts]
    errors = [error for found in play(household.database, scripts, order).values() for error in found]
    assert "40P01" in {error.sqlstate for error in errors if isinstance(error, psycopg.Error)}


def test_a_wait_is_noticed(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    with Sessions(household.database, ["family", "anna"]) as sessions:
        sessions.start("family", _begin)
        sessions.start("family", lambda i: i.update_exif(photo, rating=1))
        sessions.start("anna", lambda i: i.update_exif(clone, rating=2))
        assert household.exif(clone).rating is None
        sessions.start("family", _commit)
        assert sessions.finish() == {"family": [], "anna": []}
    assert household.exif(photo).rating == 2


# --- steps --------------------------------------------------------------------------------------


def _begin(immich: Immich) -> object:
    return immich.database.execute("begin")


def _commit(immich: Immich) -> object:
    return immich.database.execute("commit")


def _counterpart(house: Household, album: UUID, user: UUID) -> UUID:
    return house.database.value(  # type: ignore[no-any-return]
        "select album_id from linked.album_pair where album_key = %s and owner_id = %s", [album, user]
    )


def _edit(member: UUID, text: str) -> Step:
    return lambda immich: immich.update_exif(member, description=text)


def _delete(member: UUID) -> Step:
    return lambda immich: immich.delete_asset(member)


def _new_stack(immich: Immich, owner: UUID, assets: Sequence[UUID]) -> None:
    (stack,) = immich.insert("stack", {"ownerId": owner, "primaryAssetId": assets[0]})
    immich.update("asset", sql.SQL("id = any(%(ids)s)"), {"ids": list(assets)}, stackId=stack.id)


def _upsert_tag(owner: UUID, value: str, asset: UUID) -> list[Step]:
    tags: list[Any] = []

    def through_another(immich: Immich) -> object:
        other = Tags(immich.database.another())
        row = {"userId": owner, "value": value, "parentId": None}
        tags.extend(other.insert("tag", row, conflict=["userId", "value"], update=["parentId"]))
        return tags

    def closure(immich: Immich) -> None:
        immich.insert("tag_closure", {"id_ancestor": tags[0].id, "id_descendant": tags[0].id}, nothing=True)

    def put(immich: Immich) -> object:
        return immich.insert("tag_asset", {"tagId": tags[0].id, "assetId": asset})

    return [lambda i: (_begin(i), through_another(i)), closure, lambda i: (_commit(i), put(i))]
