"""Crop, rotate and mirror, from v2.5 on."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest

from tests.e2e.client import Account
from tests.e2e.household import Household
from tests.e2e.pictures import File, picture

CROP = {"action": "crop", "parameters": {"x": 0, "y": 0, "width": 400, "height": 300}}
ROTATE = {"action": "rotate", "parameters": {"angle": 90}}
MIRROR = {"action": "mirror", "parameters": {"axis": "horizontal"}}


def preview(user: Account, file: File) -> str:
    response = user.http.get(f"/assets/{user.find(file.name)}/thumbnail", params={"size": "preview", "edited": "true"})
    assert response.status_code == 200
    return hashlib.sha1(response.content).hexdigest()


@pytest.fixture(autouse=True)
def _edits(household: Household) -> None:
    if household.world.server.version < (2, 5):
        pytest.skip("not in this Immich")


@pytest.mark.parametrize("who", ["family", "anna"])
def test_edited_by_one_for_all(household: Household, who: str) -> None:
    user = getattr(household, who)
    file = picture("red", [0, 1])
    household.upload(file)
    plain = household.agree(lambda each: preview(each, file))

    user.edit(user.find(file.name), CROP, ROTATE)
    household.wait()
    household.check()
    cropped = household.agree(lambda each: preview(each, file))
    assert cropped != plain
    assert household.agree(
        lambda each: (lambda asset: (asset["width"], asset["height"], asset["isEdited"]))(
            each.asset(each.find(file.name))
        )
    ) == (300, 400, True)

    household.ben.edit(household.ben.find(file.name), MIRROR)
    household.wait()
    household.check()
    assert household.agree(lambda each: preview(each, file)) not in (plain, cropped)

    user.call("DELETE", f"/assets/{user.find(file.name)}/edits")
    household.wait()
    household.check()
    assert household.agree(lambda each: preview(each, file)) == plain
    assert not household.agree(lambda each: each.asset(each.find(file.name))["isEdited"])


def test_a_viewers_edit_is_undone(household: Household) -> None:
    file = picture("red", [0])
    household.upload(file)
    household.vera.edit(household.vera.find(file.name), ROTATE)
    household.wait()
    household.settle()

    assert not household.agree(lambda each: each.asset(each.find(file.name))["isEdited"])
    household.agree(lambda each: preview(each, file))


def test_thumbnails_of_edited_pictures_are_made_again(household: Household) -> None:
    files = [picture() for _ in range(5)]
    household.upload(*files)
    for number, file in enumerate(files):
        user = household.everybody[number % 3]
        user.edit(user.find(file.name), ROTATE)
    household.wait()
    for _ in range(5):
        household.world.server.run("thumbnailGeneration")
        household.wait()

    household.settle()
    household.check()
    for file in files:
        household.agree(partial(preview, file=file))


def test_edited_and_deleted(household: Household) -> None:
    file, kept = picture(), picture()
    household.upload(file, kept)
    household.anna.edit(household.anna.find(file.name), CROP)
    household.wait()
    household.ben.delete(household.ben.find(file.name))
    household.wait()

    assert household.agree(lambda each: each.names()) == [kept.name]
