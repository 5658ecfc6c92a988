"""Albums and tags."""

from __future__ import annotations

import pytest

from tests.e2e.client import Account
from tests.e2e.household import Household
from tests.e2e.pictures import picture


def albums(user: Account) -> list[tuple[str, list[str]]]:
    """One's own, without the linked one."""
    return sorted(
        (album["albumName"], user.content(album["id"]))
        for album in user.albums()
        if not album["albumName"].lower().startswith("linked album")
    )


@pytest.mark.parametrize("who", ["anna", "ben"])
def test_an_album_of_one_is_everybodys(household: Household, who: str) -> None:
    user = getattr(household, who)
    first, second, own = picture(), picture(), picture()
    household.upload(first, second)
    (private,) = household.upload(own, user=user)

    album = user.create_album("Holidays", [user.find(first.name), private], "at the sea")
    others = [each for each in household.everybody if each is not user]
    assert household.agree(albums, others) == [("Holidays", [first.name])]
    assert household.agree(lambda each: each.album("Holidays")["description"]) == "at the sea"

    user.put_in(album, user.find(second.name))
    user.change_album(album, albumName="Summer")
    assert household.agree(albums, others) == [("Summer", sorted([first.name, second.name]))]

    family = household.family
    family.take_out(family.album("Summer")["id"], family.find(first.name))
    assert household.agree(albums, others) == [("Summer", [second.name])]
    assert user.content(album) == sorted([second.name, own.name])
    household.check()

    user.delete_album(album)
    assert household.agree(albums) == []


def test_a_viewers_album_is_the_viewers(household: Household) -> None:
    file = picture()
    household.upload(file)
    household.vera.create_album("Mine", [household.vera.find(file.name)])

    assert household.agree(albums, [household.family, household.anna, household.ben]) == []
    assert albums(household.vera) == [("Mine", [file.name])]


def test_an_album_that_is_shared_is_not_doubled(household: Household) -> None:
    file, own = picture(), picture()
    household.upload(file)
    (annas,) = household.upload(own, user=household.anna)
    album = household.family.create_album("Party", [household.family.find(file.name)], editor=[household.anna])

    assert albums(household.anna) == []
    answer = household.anna.put_in(album, household.anna.find(file.name), annas)
    assert answer[1]["success"]
    assert own.name in household.anna.content(album)
    assert albums(household.ben) == [("Party", [file.name])]


def test_an_album_cover_follows(household: Household) -> None:
    files = [picture() for _ in range(3)]
    household.upload(*files)
    album = household.family.create_album("Holidays", [household.family.find(file.name) for file in files])
    household.family.change_album(album, albumThumbnailAssetId=household.family.find(files[2].name))

    def cover(user: Account) -> str:
        found = user.album("Holidays")["albumThumbnailAssetId"]
        return str(user.asset(found)["originalFileName"])

    assert household.agree(cover) == files[2].name


@pytest.mark.parametrize("who", ["family", "anna"])
def test_a_tag_of_one_is_everybodys(household: Household, who: str) -> None:
    user = getattr(household, who)
    first, second = picture(), picture()
    household.upload(first, second)

    user.tag("trips/sea", user.find(first.name), user.find(second.name))
    household.wait()
    assert household.agree(lambda each: each.tags_of(each.find(first.name))) == ["trips/sea"]
    assert household.agree(lambda each: sorted(tag["value"] for tag in each.call("GET", "/tags"))) == [
        "trips",
        "trips/sea",
    ]

    household.ben.untag("trips/sea", household.ben.find(first.name))
    household.wait()
    assert household.agree(lambda each: each.tags_of(each.find(first.name))) == []
    assert household.agree(lambda each: each.tags_of(each.find(second.name))) == ["trips/sea"]


def test_tags_survive_when_metadata_are_read_again(household: Household) -> None:
    file = picture()
    household.upload(file)
    household.anna.tag("trips/sea", household.anna.find(file.name))
    household.vera.tag("hers", household.vera.find(file.name))
    household.wait()

    for queue in ("sidecar", "metadataExtraction"):
        household.world.server.run(queue)
        household.wait()

    writers = [household.family, household.anna, household.ben]
    assert household.agree(lambda each: each.tags_of(each.find(file.name)), writers) == ["trips/sea"]
    assert "trips/sea" in household.vera.tags_of(household.vera.find(file.name))


def test_description_place_and_date_of_one_are_everybodys(household: Household) -> None:
    file = picture()
    household.upload(file)
    anna = household.anna
    anna.change(anna.find(file.name), description="at the sea", rating=4)
    anna.change(anna.find(file.name), latitude=38.7, longitude=-9.1)
    anna.change(anna.find(file.name), dateTimeOriginal="2012-04-05T10:00:00.000Z")
    household.wait()

    def about(user: Account) -> tuple[object, ...]:
        asset = user.asset(user.find(file.name))
        exif = asset["exifInfo"]
        place = (round(exif["latitude"], 3), round(exif["longitude"], 3), exif["city"])
        return exif["description"], exif["rating"], place, asset["localDateTime"][:10]

    assert household.agree(about) == ("at the sea", 4, (38.7, -9.1, "Lisbon"), "2012-04-05")
