"""Trash, deletion and replaced files: what is on disk, and what everybody is shown."""

from __future__ import annotations

import pytest

from tests.e2e.household import Household
from tests.e2e.pictures import can_film, motion_photo, picture, video

ANYBODY = ["family", "anna"]


@pytest.mark.parametrize("who", ANYBODY)
def test_trashed_and_restored_by_one_for_all(household: Household, who: str) -> None:
    user = getattr(household, who)
    file, other = picture(), picture()
    household.upload(file, other)

    user.trash(user.find(file.name))
    household.wait()
    assert household.agree(lambda each: each.names()) == [other.name]
    assert household.agree(lambda each: [asset["originalFileName"] for asset in each.trashed()]) == [file.name]
    household.check()

    user.restore(user.find(file.name, trashed=True))
    household.wait()
    assert household.agree(lambda each: each.names()) == sorted([file.name, other.name])


@pytest.mark.parametrize("who", ANYBODY)
def test_deleted_by_one_for_all(household: Household, who: str) -> None:
    user = getattr(household, who)
    file, other = picture(), picture()
    source, _ = household.upload(file, other)
    path = household.world.target.local(household.family.asset(source)["originalPath"])
    assert path.is_file()

    user.delete(user.find(file.name))
    household.wait()

    assert household.agree(lambda each: [asset["originalFileName"] for asset in each.search(withDeleted=True)]) == [
        other.name
    ]
    assert not path.exists()


def test_a_trash_is_emptied_by_each(household: Household) -> None:
    files = {user: picture() for user in household.everybody}
    kept = picture()
    household.upload(*files.values(), kept)
    for user in household.everybody:
        user.trash(user.find(files[user].name))
    household.wait()
    # The viewer's own is hidden from the viewer alone.
    hidden = files[household.vera].name
    assert household.agree(lambda user: user.names(), [household.family, household.anna, household.ben]) == sorted(
        [kept.name, hidden]
    )
    assert household.vera.names() == [kept.name]

    for user in reversed(household.everybody):
        user.empty_trash()
        household.wait()
        household.check()

    assert household.family.names() == sorted([kept.name, hidden])
    assert household.vera.names() == [kept.name]


def test_a_viewer_deletes_for_nobody_else(household: Household) -> None:
    files = [picture() for _ in range(3)]
    household.upload(*files)
    trashed, deleted, kept = (household.vera.find(file.name) for file in files)

    household.vera.trash(trashed)
    household.vera.delete(deleted)
    household.wait()
    household.vera.empty_trash()
    household.wait()

    assert household.vera.names() == [files[2].name]
    assert kept
    assert len(household.agree(lambda user: user.names(), [household.family, household.anna, household.ben])) == 3


@pytest.mark.parametrize("who", ["anna", "vera"])
def test_a_mixed_selection_is_deleted(household: Household, who: str) -> None:
    user = getattr(household, who)
    linked, own, kept = picture(), picture(), picture()
    household.upload(linked, kept)
    household.upload(own, user=user)
    paths = [household.world.target.local(user.asset(user.find(file.name))["originalPath"]) for file in (linked, own)]

    user.trash(user.find(linked.name), user.find(own.name))
    household.wait()
    assert user.names() == [kept.name]
    user.empty_trash()
    household.wait()

    assert user.names() == [kept.name]
    assert not paths[1].exists()
    if who == "vera":
        assert paths[0].is_file()
        assert household.agree(lambda each: each.names(), household.everybody[:3]) == sorted([kept.name, linked.name])
    else:
        assert not paths[0].exists()


@pytest.mark.parametrize("role", ["editor", "viewer"])
@pytest.mark.parametrize("others", [True, False], ids=["one of three", "the only linked user"])
def test_a_clone_is_replaced(household: Household, role: str, others: bool) -> None:
    """Immich's `replace asset`: nobody's trash may take the family's original with it."""
    if household.world.server.version >= (3,):
        pytest.skip("gone from Immich")
    user = household.anna
    household.family.set_role(household.linked_album, user, role)
    if not others:
        household.family.unshare(household.linked_album, household.ben)
        household.family.unshare(household.linked_album, household.vera)
    file, new = picture("red"), picture("green")
    (source,) = household.upload(file)
    path = household.world.target.local(household.family.asset(source)["originalPath"])

    user.replace(user.find(file.name), new)
    household.wait()
    household.check()
    for each in household.everybody:
        each.empty_trash()
        household.wait()

    assert path.is_file()
    household.check()
    assert household.family.status(f"/assets/{source}/original") == 200


@pytest.mark.parametrize("who", ["family", "anna", "vera"])
def test_a_video_is_deleted(household: Household, who: str) -> None:
    if not can_film():
        pytest.skip("no ffmpeg")
    user = getattr(household, who)
    film, motion, kept = video(), motion_photo(), motion_photo()
    household.upload(film, motion, kept)
    assert household.agree(lambda each: each.names()) == sorted([film.name, motion.name, kept.name])
    household.check()

    user.delete(user.find(film.name), user.find(motion.name))
    household.wait()

    assert user.names() == [kept.name]
    if who == "vera":
        assert len(household.agree(lambda each: each.names(), household.everybody[:3])) == 3
    else:
        assert household.agree(lambda each: each.names()) == [kept.name]


def test_a_user_is_deleted(household: Household) -> None:
    files = [picture("red", [0]) for _ in range(3)]
    household.upload(*files)
    contributed = picture("green")
    (own,) = household.upload(contributed, user=household.ben)
    household.ben.put_in(household.linked_album, own)
    for file in files:
        # Thumbnails in Ben's folder stand for all.
        household.ben.call(
            "POST", "/assets/jobs", {"assetIds": [household.ben.find(file.name)], "name": "regenerate-thumbnail"}
        )
    household.wait()
    assert contributed.name in household.agree(lambda user: user.names())

    household.delete(household.ben)
    # In the first one Immich makes anew what was in his folders, for every member.
    household.settle(nights=2)

    assert household.agree(lambda user: user.names()) == sorted(file.name for file in files)


def test_the_family_account_is_deleted(household: Household) -> None:
    household.upload(*(picture() for _ in range(3)))
    own = picture()
    household.upload(own, user=household.anna)

    household.delete(household.family)

    assert household.anna.names() == [own.name]
    assert household.agree(lambda user: user.names(), [household.ben, household.vera]) == []
