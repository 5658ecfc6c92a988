"""Immich backs its database up, and restores it itself, in its maintenance mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.client import Account
from tests.e2e.household import Household, World, everything
from tests.e2e.pictures import can_film, motion_photo, picture, video


@pytest.fixture(scope="module", autouse=True)
def backup_without_the_addon(world: World, before: Household) -> Iterator[str]:
    if not world.server.can_restore:
        pytest.skip("Immich restores backups itself from v2.5 on")
    world.downgrade()
    before.log_in_again()
    # The storage template of another test has moved the family's files out of the folder that was linked.
    before.family.change_album(before.linked_album, description="/")
    yield world.server.back_up()
    world.downgrade()


@pytest.fixture(autouse=True)
def _installed(world: World, backup_without_the_addon: str) -> None:
    world.upgrade()


def seen_by(user: Account) -> dict[str, Any]:
    own = {asset["originalFileName"]: (asset["id"], asset["isFavorite"]) for asset in user.assets()}
    return {"user": user.name, **everything(user), "own": own}


def goes_on(household: Household) -> None:
    """What comes in reaches everybody, and so does what one of them changes."""
    new = picture("blue", [2])
    household.upload(new)
    household.anna.change(household.anna.find(new.name), description="after the restore")
    household.ben.tag("after/restore", household.ben.find(new.name))
    household.wait()
    assert (
        household.agree(lambda user: user.asset(user.find(new.name))["exifInfo"]["description"]) == "after the restore"
    )
    assert household.agree(lambda user: user.tags_of(user.find(new.name))) == ["after/restore"]
    assert household.agree(lambda user: len(user.faces(user.find(new.name)))) == 1
    household.check()


def test_a_backup_with_the_addon(household: Household) -> None:
    world, family, anna, ben, vera = household.world, household.family, household.anna, household.ben, household.vera
    files = [picture("red", [0]), picture("green", [1]), picture(), picture(), picture("blue")]
    household.upload(*files, *([motion_photo("motion.jpg"), video("film.mp4")] if can_film() else []))
    first, second, *stacked, hidden = (file.name for file in files)
    anna.name_person(anna.faces(anna.find(first))[0]["person"]["id"], "Oma")
    holidays = anna.create_album("Holidays", [anna.find(first), anna.find(second)])
    anna.tag("home/garden", anna.find(second))
    anna.change(anna.find(second), description="at the sea")
    anna.change(anna.find(first), isFavorite=True)
    anna.stack(*map(anna.find, stacked))
    vera.trash(vera.find(hidden))
    household.wait()
    seen = household.each(seen_by)
    assert [len(each["pictures"]) for each in seen] == [len(seen[0]["pictures"])] * 3 + [len(seen[0]["pictures"]) - 1]
    assert all(each["albums"] == {"Holidays": sorted([first, second])} for each in seen)

    backup = world.server.back_up()
    late = picture("green", [0])
    household.upload(late)
    family.change(family.find(second), description="too late")
    anna.change_album(holidays, albumName="Too late")
    anna.untag("home/garden", anna.find(second))
    anna.change(anna.find(first), isFavorite=False)
    family.unshare(household.linked_album, ben)
    family.trash(family.find(first))
    household.wait()
    assert ben.names() == []
    world.restore(backup)

    assert household.each(seen_by) == seen
    household.check()
    said = world.upgrade()
    assert household.each(seen_by) == seen, said
    assert family.upload(late)["status"] == "created"
    household.wait()
    assert all(late.name in names for names in household.each(lambda user: user.names()))
    goes_on(household)


def test_a_backup_from_before_the_addon(world: World, before: Household, backup_without_the_addon: str) -> None:
    names = before.family.names()
    world.wait()
    assert before.agree(lambda user: user.names()) == names
    world.restore(backup_without_the_addon)

    assert all(user.names() == [] for user in before.linked)
    assert "alembic upgrade head" in str(before.problems())
    world.upgrade()
    before.wait()
    assert before.agree(lambda user: user.names()) == names
    assert before.agree(lambda user: user.named(user.find("oma.jpg")))[0] == "Oma"
    assert before.agree(lambda user: user.tags_of(user.find("oma.jpg"))) == ["home/garden"]
    assert before.agree(lambda user: user.content(user.album("Holidays")["id"])) == ["oma.jpg"]
    goes_on(before)
