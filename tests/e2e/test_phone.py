"""A phone: uploads of what its user has as a clone, and incremental sync."""

from __future__ import annotations

import pytest

from tests.e2e.client import Account
from tests.e2e.household import Household
from tests.e2e.phone import Phone
from tests.e2e.pictures import can_film, motion_photo, picture


@pytest.mark.parametrize("who", ["anna", "vera"])
def test_an_upload_of_what_is_there_as_a_clone_is_a_duplicate(household: Household, who: str) -> None:
    user = getattr(household, who)
    file = picture()
    household.upload(file)
    assert user.is_known(file)

    answer = user.upload(file)
    household.wait()

    assert (answer["status"], answer["id"]) == ("duplicate", user.find(file.name))
    assert household.agree(lambda each: each.names()) == [file.name]
    household.check()


def test_an_upload_of_what_is_in_the_trash(household: Household) -> None:
    file, kept = picture(), picture()
    household.upload(file, kept)
    household.family.trash(household.family.find(file.name))
    household.wait()

    answer = household.anna.upload(file)
    household.wait()
    assert answer["status"] == "duplicate"
    household.check()

    household.family.empty_trash()
    household.wait()
    answer = household.anna.upload(file)
    household.wait()
    assert answer["status"] == "created"
    assert household.anna.names() == sorted([file.name, kept.name])
    assert household.agree(lambda each: each.names(), [household.family, household.ben, household.vera]) == [kept.name]


def test_a_viewer_uploads_what_was_dismissed(household: Household) -> None:
    file = picture()
    household.upload(file)
    household.vera.delete(household.vera.find(file.name))
    household.wait()

    answer = household.vera.upload(file)
    household.wait()

    assert answer["status"] == "created"
    assert household.agree(lambda each: each.names()) == [file.name]


def test_a_phone_that_syncs_step_by_step_knows_what_a_new_one_learns(household: Household) -> None:
    files = [picture("red", [0, 1]), picture("green", [1]), *[picture() for _ in range(4)]]
    phones = {user: Phone(user) for user in household.everybody}

    def look() -> None:
        household.wait()
        for user, phone in phones.items():
            phone.sync()
            fresh = Phone(user)
            fresh.sync()
            found = phone.differences(fresh)
            assert not found, f"{user}: " + "\n".join(found[:20])
            listed = {asset["id"] for asset in user.search(withDeleted=True) if asset["visibility"] == "timeline"}
            assert listed <= phone.ids("AssetsV1")
            assert {row["id"] for row in phone.rows["AssetsV1"].values() if row["visibility"] == "timeline"} == listed
            assert phone.ids("PeopleV1") == {person["id"] for person in user.people()}
            assert {album["id"] for album in user.albums()} <= phone.ids("AlbumsV1")
            # v3 does not list memories whose pictures are gone.
            shown = {memory["id"] for memory in user.memories()}
            assert {memory for memory, _ in phone.ids("MemoryToAssetsV1")} <= shown <= phone.ids("MemoriesV1")
            faces = {face["id"] for asset in listed for face in user.faces(asset)}
            assert phone.ids("AssetFacesV1") == faces

    def find(user: Account, number: int) -> str:
        return user.find(files[number].name)

    look()
    household.upload(*files, *([motion_photo()] if can_film() else []))
    look()
    family, anna, ben, vera = household.everybody
    anna.name_person(anna.faces(find(anna, 0))[0]["person"]["id"], "Oma")
    album = anna.create_album("Holidays", [find(anna, 2), find(anna, 3)])
    family.stack(find(family, 4), find(family, 5))
    memory = {"type": "on_this_day", "data": {"year": 2020}, "memoryAt": "2020-05-17T00:00:00.000Z"}
    ben.call("POST", "/memories", {**memory, "assetIds": [find(ben, 2)]})
    look()
    anna.merge(anna.faces(find(anna, 0))[0]["person"]["id"], anna.faces(find(anna, 0))[1]["person"]["id"])
    anna.take_out(album, find(anna, 2))
    ben.trash(find(ben, 3))
    vera.trash(find(vera, 0))
    look()
    family.empty_trash()
    ben.call("DELETE", f"/stacks/{ben.stacks()[0]['id']}")
    look()
    family.unshare(household.linked_album, ben)
    look()
    family.share(household.linked_album, ben, "viewer")
    look()
    anna.delete_album(album)
    look()
