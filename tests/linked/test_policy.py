"""`deletes: own` in the description of a linked album: whose trash and delete are everybody's (SPEC section 6)."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from tests.linked.conftest import MEDIA, Household
from tests.linked.sessions import WRITERS_LOCK
from tests.linked.test_reconcile import run, unseen
from tests.linked.test_turns import somebody_has_the_turn
from tests.shell.conftest import inside

OWN = f"{MEDIA}\ndeletes: own"
DELETED = pytest.mark.parametrize("how", ["trash", "force_delete", "delete"])


@pytest.fixture
def careful(household: Household) -> Household:
    """The household with the policy, and three linked users."""
    household.share_album(household.linked_album, household.clara)
    household.update_album(household.linked_album, description=OWN)
    return household


def everybody(household: Household) -> list[int]:
    return [household.owned(user) for user in (household.family, household.anna, household.ben, household.clara)]


def policies(household: Household) -> set[bool]:
    rows = household.database.fetch("select deletes_own from linked.member where asset_id <> source_id")
    return {row.deletes_own for row in rows}


def active(household: Household, photo: UUID) -> bool:
    rows = [household.asset(asset) for asset in household.group(photo)]
    return all(row.status == "active" and row.deletedAt is None for row in rows)


def delete(household: Household, how: str, *assets: UUID) -> None:
    """What the user does, and what Immich's jobs do then."""
    if how == "delete":
        for asset in assets:
            household.delete("asset", id=asset)
    else:
        getattr(household, how)(assets)
        household.run_deletions()


@DELETED
def test_what_is_not_ones_own_is_hidden_from_the_account_alone(careful: Household, how: str) -> None:
    photo, other = careful.photo(), careful.photo()
    before = careful.asset(photo)
    delete(careful, how, careful.clone(photo, careful.anna))
    assert everybody(careful) == [2, 1, 2, 2]
    assert active(careful, photo)
    assert careful.asset(photo).originalPath == before.originalPath
    careful.update_exif(photo, description="later")
    careful.generate_thumbnails(photo)
    assert careful.find_clone(photo, careful.anna) is None
    assert careful.find_clone(other, careful.anna)
    run(careful.database)
    careful.check()


@DELETED
def test_the_owners_delete_is_everybodys(careful: Household, how: str) -> None:
    photo = careful.photo()
    delete(careful, how, photo)
    if how == "trash":
        assert {careful.asset(asset).status for asset in careful.group(photo)} == {"trashed"}
        careful.empty_trash(careful.family)
        careful.run_deletions()
    assert everybody(careful) == [0, 0, 0, 0]
    careful.check()


@DELETED
def test_a_contribution_is_its_owners(careful: Household, how: str) -> None:
    mine = careful.photo(careful.anna, "/elsewhere/1.jpg")
    careful.add_to_album(careful.linked_album, mine)
    assert everybody(careful) == [1, 1, 1, 1]
    delete(careful, how, careful.clone(mine, careful.family))
    assert everybody(careful) == [0, 1, 1, 1]
    delete(careful, how, careful.clone(mine, careful.ben))
    assert everybody(careful) == [0, 1, 0, 1]
    delete(careful, "force_delete", mine)
    assert everybody(careful) == [0, 0, 0, 0]


def test_many_of_both_kinds_in_one_statement(careful: Household) -> None:
    photos = [careful.photo() for _ in range(5)]
    mine = [careful.photo(careful.anna, f"/elsewhere/{number}.jpg") for number in range(3)]
    for photo in mine:
        careful.add_to_album(careful.linked_album, photo)
    careful.trash([*(careful.clone(photo, careful.anna) for photo in photos), *mine])
    assert all(active(careful, photo) for photo in photos)
    assert not any(careful.find_clone(photo, careful.anna) for photo in photos)
    assert {careful.asset(asset).status for photo in mine for asset in careful.group(photo)} == {"trashed"}
    assert all(len(careful.group(photo)) == 4 for photo in mine)
    careful.check()


def test_quota_of_what_is_deleted_for_oneself(careful: Household) -> None:
    photo = careful.photo(size=1000)
    careful.sync_usage()
    usage = 'select "quotaUsageInBytes" from "user" where id = %s'
    before = careful.database.value(usage, [careful.anna])
    careful.force_delete([careful.clone(photo, careful.anna)])
    careful.run_deletions()
    assert careful.database.value(usage, [careful.anna]) == before


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("deletes: own", True),
        ("Deletes:OWN", True),
        ("\t deletes  :\town \r", True),
        (f"deletes: own\r\n{MEDIA}\r\n", True),
        ("deletes: all\ndeletes: own", True),
        ("deletes: all", False),
        ("delete: own", False),
        ("deletes: owner", False),
        ("it deletes: own", False),
        ("deletes: own please", False),
        ("deletes\n: own", False),
        ("deletes: \nown", False),
    ],
)
def test_what_is_such_a_line(household: Household, line: str, counts: bool) -> None:
    household.photo()
    household.update_album(household.linked_album, description=f"{MEDIA}\n{line}")
    assert policies(household) == {counts}
    household.photo()
    assert policies(household) == {counts}


def test_the_line_comes_and_goes(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    household.update_album(household.linked_album, description=OWN)
    household.trash([household.clone(photos[0], household.anna)])
    household.update_album(household.linked_album, description=MEDIA)
    household.database.value("select linked.approve(%s)", [household.linked_album])
    assert household.find_clone(photos[0], household.anna) is None
    household.trash([household.clone(photos[1], household.anna)])
    assert {household.asset(asset).status for asset in household.group(photos[1])} == {"trashed"}
    household.restore([photos[1]])
    household.update_album(household.linked_album, description=OWN)
    household.trash([household.clone(photos[2], household.ben)])
    assert active(household, photos[2])
    household.unshare_album(household.linked_album, household.anna)
    household.share_album(household.linked_album, household.anna)
    assert household.find_clone(photos[0], household.anna)
    assert household.find_clone(photos[2], household.ben) is None
    household.check()


def test_what_was_in_the_trash_when_the_line_came(household: Household) -> None:
    """It stays there for everybody; an account that empties its trash empties nobody else's."""
    photo = household.photo()
    household.trash([household.clone(photo, household.anna)])
    household.update_album(household.linked_album, description=OWN)
    assert {household.asset(asset).status for asset in household.group(photo)} == {"trashed"}
    household.empty_trash(household.anna)
    household.run_deletions()
    assert household.find_clone(photo, household.anna) is None
    household.restore([photo])
    assert len(household.group(photo)) == 2
    assert active(household, photo)
    household.check()


def test_whoever_may_write_restores_for_everybody(careful: Household) -> None:
    photo = careful.photo()
    careful.trash([photo])
    careful.restore([careful.clone(photo, careful.anna)])
    assert active(careful, photo)
    assert len(careful.group(photo)) == 4


def test_of_two_albums_the_stronger_right_counts(household: Household) -> None:
    """For each account that of the albums in which it may write."""
    household.update_album(household.linked_album, description=OWN)
    both, one = household.photo(), household.photo()
    other = household.create_album(
        household.family,
        "Linked album too",
        assets=[both],
        users={household.anna: "editor", household.ben: "viewer"},
    )
    household.check()
    household.trash([household.clone(both, household.ben), household.clone(one, household.anna)])
    assert active(household, both)
    assert active(household, one)
    household.trash([household.clone(both, household.anna)])
    assert {household.asset(asset).status for asset in household.group(both)} == {"trashed"}
    household.restore([both])
    household.update_album(other, description="deletes: own")
    household.trash([household.clone(both, household.anna)])
    assert active(household, both)
    household.check()


@pytest.mark.parametrize("change", ["taken out", "deleted", "unshared"])
def test_the_stronger_right_ends_with_its_album(household: Household, change: str) -> None:
    household.update_album(household.linked_album, description=OWN)
    photo = household.photo()
    other = household.create_album(
        household.family, "Linked album too", assets=[photo], users={household.anna: "editor"}
    )
    assert policies(household) == {True, False}
    if change == "taken out":
        household.remove_from_album(other, photo)
    elif change == "deleted":
        household.delete_album(other)
    else:
        household.unshare_album(other, household.anna)
    assert policies(household) == {True}
    household.trash([household.clone(photo, household.anna)])
    assert active(household, photo)


@pytest.mark.parametrize("first", ["viewer", "editor"])
def test_roles_change_under_the_policy(careful: Household, first: str) -> None:
    careful.set_role(careful.linked_album, careful.anna, first)
    photos = [careful.photo() for _ in range(2)]
    for photo, role in zip(photos, [first, "editor" if first == "viewer" else "viewer"], strict=True):
        careful.set_role(careful.linked_album, careful.anna, role)
        careful.trash([careful.clone(photo, careful.anna)])
        assert active(careful, photo)
        careful.check()


def test_a_live_photo_is_hidden_as_a_whole(careful: Household) -> None:
    still, motion = careful.photo(), careful.photo(type="VIDEO")
    careful.link_live_photo(still, motion)
    careful.trash([careful.clone(still, careful.anna)])
    assert careful.find_clone(motion, careful.anna) is None
    assert len(careful.group(still)) == len(careful.group(motion)) == 3
    assert active(careful, still)
    assert active(careful, motion)


def test_edits_are_everybodys_as_ever(careful: Household) -> None:
    photo = careful.photo()
    careful.update_exif(careful.clone(photo, careful.anna), description="by Anna")
    careful.archive(careful.clone(photo, careful.ben))
    assert careful.exif(photo).description == "by Anna"
    assert careful.asset(careful.clone(photo, careful.clara)).visibility == "archive"


# --- while others have the turn ---------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_nothing_is_left_for_immichs_job_when_the_statement_returns(careful: Household, role: str) -> None:
    careful.set_role(careful.linked_album, careful.anna, role)
    photo = careful.photo()
    clone = careful.clone(photo, careful.anna)
    with careful.database.connect() as other:
        other.execute("select pg_advisory_lock(%s, %s)", WRITERS_LOCK)
        release = threading.Timer(0.4, other.execute, ["select pg_advisory_unlock_all()"])
        release.start()
        careful.force_delete([clone])
        release.join()
    assert not careful.delete_asset(clone)
    assert active(careful, photo)


def test_what_could_not_wait_so_long_is_hidden_by_the_next_write(careful: Household) -> None:
    photo = careful.photo()
    with somebody_has_the_turn(careful):
        careful.trash([careful.clone(photo, careful.anna)])
    assert active(careful, photo) is False
    careful.photo()
    assert careful.find_clone(photo, careful.anna) is None
    assert active(careful, photo)
    careful.check()


# --- while sync was off -----------------------------------------------------------------------------


def test_a_clone_deleted_unseen_is_hidden_from_its_account(careful: Household) -> None:
    deleted, trashed = careful.photo(), careful.photo()
    with unseen(careful.database):
        careful.delete("asset", id=careful.clone(deleted, careful.anna))
        careful.trash([careful.clone(trashed, careful.ben)])
    run(careful.database)
    assert careful.find_clone(deleted, careful.anna) is None
    assert active(careful, deleted)
    assert active(careful, trashed)
    assert len(careful.group(trashed)) == 4
    careful.check()


@pytest.mark.parametrize(("before", "after"), [(OWN, MEDIA), (MEDIA, OWN)])
def test_a_line_written_unseen(household: Household, before: str, after: str) -> None:
    household.update_album(household.linked_album, description=before)
    household.photo()
    with unseen(household.database):
        household.update_album(household.linked_album, description=after)
    run(household.database)
    expected = not household.database.value("select exists (select from linked.waiting)") and after == MEDIA
    assert policies(household) == {not expected}
    household.check()


def test_an_installation_from_before_there_were_policies(household: Household) -> None:
    photo = household.photo()
    household.set_viewer(household.ben)
    household.database.execute(
        """alter table linked.member drop column deletes_own;
           alter table linked.linked_album drop column deletes_own;
           alter table linked.waiting drop column policy"""
    )
    with unseen(household.database):
        household.update_album(household.linked_album, description=OWN)
    inside(household.database.url).alembic("upgrade", "head")
    household.trash([household.clone(photo, household.ben), household.clone(photo, household.anna)])
    assert active(household, photo)
    assert household.group(photo) == []
    assert inside(household.database.url).linked_asset("doctor").returncode == 0
