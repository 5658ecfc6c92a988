"""Every delete leaves the traces that Immich's own delete would leave, once (SPEC section 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from linked_asset.immich import Policy
from tests.database import Database
from tests.linked.columns import RELEASE
from tests.linked.conftest import Household, remove

AUDITS = (
    "asset_audit",
    "album_asset_audit",
    "memory_asset_audit",
    "asset_face_audit",
    "stack_audit",
    "person_audit",
    "album_audit",
    "album_user_audit",
    *(["person_group_audit"] if RELEASE.has("person_group_audit") else []),
)


def traces(household: Household) -> dict[str, Counter[tuple[Any, ...]]]:
    """All audit rows, without their ids and times."""
    found = {}
    for table in AUDITS:
        names = [c.name for c in RELEASE.table(table).with_policy(Policy.DERIVED) if c.name != "deletedAt"]
        rows = household.database.fetch(f"select * from {table}")
        found[table] = Counter(tuple(getattr(row, name) for name in names) for row in rows)
    return found


def left(household: Household, act: Callable[[], Any]) -> dict[str, Counter[tuple[Any, ...]]]:
    """What an action leaves, by table; tables without are left out."""
    before = traces(household)
    act()
    after = traces(household)
    return {table: after[table] - before[table] for table in AUDITS if after[table] != before[table]}


def once(*rows: tuple[Any, ...]) -> Counter[tuple[Any, ...]]:
    return Counter(rows)


def remember(household: Household, owner: UUID, asset: UUID) -> UUID:
    """A memory of one asset."""
    memory = household.database.value(
        """insert into memory ("ownerId", type, data, "memoryAt") values (%s, 'on_this_day', '{"year": 2020}', now())
           returning id""",
        [owner],
    )
    household.insert("memory_asset", {"memoriesId": memory, "assetId": asset})
    return memory  # type: ignore[no-any-return]


@pytest.fixture
def group(household: Household) -> list[UUID]:
    """A source and the clones of Anna and Ben."""
    photo = household.photo()
    return [photo, household.clone(photo, household.anna), household.clone(photo, household.ben)]


@pytest.fixture
def owners(household: Household) -> list[UUID]:
    return [household.family, household.anna, household.ben]


# --- assets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1, 2])
def test_deleted_group_leaves_one_row_for_each_member(
    household: Household, group: list[UUID], owners: list[UUID], which: int
) -> None:
    assert left(household, lambda: household.delete_asset(group[which])) == {
        "asset_audit": once(*zip(group, owners, strict=True))
    }


@pytest.mark.parametrize("hit", [[0, 1], [1, 2], [0, 1, 2]])
def test_statement_on_several_members_leaves_one_row_for_each(
    household: Household, group: list[UUID], owners: list[UUID], hit: list[int]
) -> None:
    assert left(household, lambda: household.delete("asset", id=[group[number] for number in hit])) == {
        "asset_audit": once(*zip(group, owners, strict=True))
    }


def test_unsharing_leaves_a_row_for_each_clone(household: Household, group: list[UUID]) -> None:
    found = left(household, lambda: household.unshare_album(household.linked_album, household.anna))
    assert found["asset_audit"] == once((group[1], household.anna))


def test_deleting_the_linked_album_leaves_a_row_for_each_clone(
    household: Household, group: list[UUID], owners: list[UUID]
) -> None:
    album = household.linked_album
    users = [household.anna, household.ben] if household.has("album", "ownerId") else owners
    assert left(household, lambda: household.delete_album(album)) == {
        "asset_audit": once((group[1], household.anna), (group[2], household.ben)),
        "album_audit": once(*((album, owner) for owner in owners)),
        "album_user_audit": once(*((album, user) for user in users)),
    }


@pytest.mark.parametrize("how", ["move", "lock", "prefix", "trash of a viewer"])
def test_every_way_of_unlinking_leaves_a_row_for_each_clone(household: Household, group: list[UUID], how: str) -> None:
    expected = [(group[1], household.anna), (group[2], household.ben)]
    if how == "trash of a viewer":
        household.set_role(household.linked_album, household.anna, "viewer")
        expected = expected[:1]
    acts: dict[str, Callable[[], Any]] = {
        "move": lambda: household.move_file(group[0], "/private/1.jpg"),
        "lock": lambda: household.lock(group[0]),
        "prefix": lambda: household.update_album(household.linked_album, description=""),
        "trash of a viewer": lambda: household.trash([group[1]]),
    }
    assert left(household, acts[how]) == {"asset_audit": once(*expected)}


def test_unlinked_in_another_trigger_of_immich(household: Household, group: list[UUID]) -> None:
    """Sharing updates the album in a trigger of Immich's own; ours then runs one level further down."""
    album = household.create_album(household.family, "Linked album 2", "/elsewhere")
    other = household.photo(household.family, "/elsewhere/1.jpg")
    household.share_album(album, household.clara)
    clone = household.clone(other, household.clara)
    keep = household.create_album(household.clara, "Mine", assets=[clone])
    found = left(household, lambda: household.delete("album_user", albumId=album, userId=household.clara))
    assert found["asset_audit"] == once((clone, household.clara))
    assert found["album_asset_audit"] == once((keep, clone))


def test_deleted_user_leaves_no_rows_of_the_others(household: Household, group: list[UUID]) -> None:
    gone = once((household.linked_album, household.anna))
    assert left(household, lambda: household.hard_delete_user(household.anna)) == {
        "album_audit": gone,
        "album_user_audit": gone,
    }


def test_deleted_family_account_leaves_a_row_for_each_clone(household: Household, group: list[UUID]) -> None:
    found = left(household, lambda: household.hard_delete_user(household.family))
    assert found["asset_audit"] == once((group[1], household.anna), (group[2], household.ben))


def test_cascade_from_the_account_alone_leaves_a_row_for_each_clone(household: Household, group: list[UUID]) -> None:
    found = left(household, lambda: household.delete("user", id=household.family))
    rows = found["asset_audit"]
    assert {row for row in rows if row[1] != household.family} == {
        (group[1], household.anna),
        (group[2], household.ben),
    }
    assert set(rows.values()) == {1}


def test_library_that_vanishes_leaves_a_row_for_each_clone(household: Household) -> None:
    household.link_folders("/mnt/scans")
    library = household.create_library(household.family, "/mnt/scans")
    (scan,) = household.import_library(household.family, library, ["/mnt/scans/1.jpg"])
    clones = [(household.clone(scan, user), user) for user in (household.anna, household.ben)]
    rows = left(household, lambda: household.delete("library", id=library))["asset_audit"]
    assert {row for row in rows if row[1] != household.family} == set(clones)
    assert set(rows.values()) == {1}


# --- albums and memories --------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1])
def test_albums_and_memories_of_a_deleted_group(
    household: Household, group: list[UUID], owners: list[UUID], which: int
) -> None:
    household.photo()
    household.create_album(household.family, "Holidays", assets=[group[0]])
    memories = [remember(household, owner, asset) for owner, asset in zip(owners, group, strict=True)]
    albums = household.album_rows(group)
    assert len(albums) == 3
    assert left(household, lambda: household.delete_asset(group[which])) == {
        "asset_audit": once(*zip(group, owners, strict=True)),
        "album_asset_audit": once(*albums),
        "memory_asset_audit": once(*zip(memories, group, strict=True)),
    }


def test_albums_and_memories_of_an_unlinked_user(household: Household, group: list[UUID]) -> None:
    own = household.photo(household.anna, "/data/upload/anna/1.jpg")
    album = household.create_album(household.anna, "Mine", assets=[group[1], own])
    memory = remember(household, household.anna, group[1])
    (counterpart,) = [row.id for row in household.albums_of(household.ben)]
    assert left(household, lambda: household.move_file(group[0], "/private/1.jpg")) == {
        "asset_audit": once((group[1], household.anna), (group[2], household.ben)),
        "album_audit": once((counterpart, household.ben)),
        "album_asset_audit": once((album, group[1])),
        "memory_asset_audit": once((memory, group[1])),
    }


def test_taking_out_of_an_album_leaves_a_row_for_each_counterpart(household: Household, group: list[UUID]) -> None:
    other = household.photo()
    album = household.create_album(household.family, "Holidays", assets=[group[0], other])
    rows = household.album_rows(group)
    assert len(rows) == 3
    assert left(household, lambda: household.remove_from_album(album, group[0])) == {"album_asset_audit": once(*rows)}


# --- faces, stacks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", ["by hand", "by machine", "all of everybody"])
def test_removed_face_leaves_a_row_on_each_member(
    household: Household, group: list[UUID], which: int, how: str
) -> None:
    household.detect_faces(group[0], [(1, 1, 2, 2)])
    faces = [(face.id, asset) for asset in group for face in household.faces(asset)]
    assert len(faces) == 3
    acts: dict[str, Callable[[], Any]] = {
        "by hand": lambda: household.delete_face(faces[which][0], force=True),
        "by machine": lambda: household.detect_faces(group[which], []),
        "all of everybody": lambda: household.delete("asset_face", sourceType="machine-learning"),
    }
    assert left(household, acts[how]) == {"asset_face_audit": once(*faces)}


def test_faces_of_a_deleted_group_go_with_it(household: Household, group: list[UUID]) -> None:
    """Clients drop them with the asset; Immich's own delete leaves no rows for them."""
    household.detect_faces(group[0], [(1, 1, 2, 2)])
    assert set(left(household, lambda: household.delete_asset(group[1]))) == {"asset_audit"}


@pytest.mark.parametrize("which", [0, 1])
def test_dissolved_stack_leaves_a_row_for_each_account(household: Household, owners: list[UUID], which: int) -> None:
    household.create_stack(household.family, [household.photo(), household.photo()])
    stacks = [(stack.id, stack.ownerId) for stack in household.database.fetch("select * from stack")]
    assert {owner for _, owner in stacks} == set(owners)
    mine = next(stack for stack, owner in stacks if owner == owners[which])
    assert left(household, lambda: household.delete_stacks(mine)) == {"stack_audit": once(*stacks)}


@pytest.mark.parametrize("who", ["family", "anna"])
def test_stack_of_a_deleted_asset_leaves_a_row_for_each_account(household: Household, who: str) -> None:
    photos = [household.photo(), household.photo()]
    household.create_stack(household.family, photos)
    stacks = [(stack.id, stack.ownerId) for stack in household.database.fetch("select * from stack")]
    gone = photos[0] if who == "family" else household.clone(photos[0], household.anna)
    household.force_delete([gone])
    found = left(household, household.run_deletions)
    assert found["stack_audit"] == once(*stacks)


def test_stack_of_an_unlinked_user_leaves_one_row(household: Household) -> None:
    photos = [household.photo(), household.photo()]
    household.create_stack(household.family, photos)
    stack = household.database.value('select id from stack where "ownerId" = %s', [household.anna])
    found = left(household, lambda: household.unshare_album(household.linked_album, household.anna))
    assert found["stack_audit"] == once((stack, household.anna))


# --- outside of triggers ------------------------------------------------------------------------------------


def test_removing_everything_leaves_one_row_for_each_clone(linked: Database) -> None:
    """Run by Alembic, not below a trigger: there Immich's own triggers fire, too."""
    household = Household(linked)
    photos = [household.photo(), household.photo()]
    household.create_album(household.family, "Holidays", assets=photos)
    household.create_stack(household.family, photos)
    household.detect_faces(photos[0], [(1, 1, 2, 2)])
    users = [household.anna, household.ben]
    clones = [(household.clone(photo, user), user) for photo in photos for user in users]
    stacks = linked.fetch('select id, "ownerId" from stack where "ownerId" = any(%s)', [users])
    albums = [(album.id, user) for user in users for album in household.albums_of(user)]
    found = left(household, lambda: remove(linked))
    assert found["asset_audit"] == once(*clones)
    assert found["stack_audit"] == once(*(tuple(stack) for stack in stacks))
    assert found["album_audit"] == once(*albums)


# --- nothing more -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act", ["update_exif", "generate_thumbnails", "process", "archive", "trash", "favorite", "write_sidecar"]
)
def test_what_is_no_delete_leaves_nothing(household: Household, group: list[UUID], act: str) -> None:
    household.detect_faces(group[0], [(1, 1, 2, 2)])
    household.create_album(household.family, "Holidays", assets=[group[0]])
    acts: dict[str, Callable[[], Any]] = {
        "update_exif": lambda: household.update_exif(group[1], description="new"),
        "trash": lambda: household.trash([group[1]]),
    }
    assert left(household, acts.get(act, lambda: getattr(household, act)(group[1]))) == {}


def test_linking_leaves_nothing(household: Household) -> None:
    photo = household.photo(household.family, "/elsewhere/1.jpg")
    household.detect_faces(photo, [(1, 1, 2, 2)])
    assert left(household, lambda: household.add_to_album(household.linked_album, photo)) == {}
