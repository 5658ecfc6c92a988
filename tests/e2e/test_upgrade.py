"""Immich is upgraded under the addon: nothing is done before, one command after."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.household import Household, World, everything
from tests.e2e.pictures import can_film, motion_photo, picture, video
from tests.e2e.target import upgrades


@pytest.mark.skipif(not upgrades(), reason="IMMICH_UPGRADES names no release")
def test_immich_is_upgraded(world: World, create_household: Callable[..., Household]) -> None:
    assert world.target.upgrade, "IMMICH_UPGRADE not set"
    household = create_household()
    files = [picture("red", [0]), picture("green", [1]), picture(), picture()]
    household.upload(*files, *([motion_photo("motion.jpg"), video("film.mp4")] if can_film() else []))
    first, second, *stacked = (file.name for file in files)
    anna = household.anna
    anna.name_person(anna.faces(anna.find(first))[0]["person"]["id"], "Oma")
    anna.create_album("Holidays", [anna.find(first), anna.find(second)])
    anna.tag("home/garden", anna.find(second))
    anna.change(anna.find(second), description="at the sea")
    anna.stack(*map(anna.find, stacked))
    household.wait()
    household.check()
    seen = household.agree(everything)
    assert (seen["persons"][first], seen["tags"][second], seen["stacks"]) == (["Oma"], ["home/garden"], 1)

    for version in upgrades():
        world.target.upgrade(version)
        household.log_in_again()
        household.wait()
        assert household.agree(everything) == seen
        meanwhile = picture("blue", [2])
        household.upload(meanwhile)
        household.family.change(household.family.find(first), description=f"before the addon knows {version}")

        world.upgrade()
        household.wait()
        world.database.execute("delete from linked.incident where resolved_at is not null")
        seen = household.agree(everything)
        assert meanwhile.name in seen["pictures"]
        assert seen["exif"][first] == f"before the addon knows {version}"
        household.anna.change(household.anna.find(second), description=f"on {version}")
        household.check()
        seen = household.agree(everything)
        assert seen["exif"][second] == f"on {version}"
