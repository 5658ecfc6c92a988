"""Who is in and who is out."""

from __future__ import annotations

from contextlib import suppress

from tests.e2e.client import Refused
from tests.e2e.household import Household
from tests.e2e.pictures import picture


def test_unshared_and_shared_again(household: Household) -> None:
    files = [picture("red", [0]) for _ in range(3)]
    household.upload(*files)
    household.anna.name_person(household.anna.faces(household.anna.find(files[0].name))[0]["person"]["id"], "Oma")
    household.anna.create_album("Holidays", [household.anna.find(file.name) for file in files[:2]])

    household.family.unshare(household.linked_album, household.anna)
    assert household.anna.names() == []
    assert household.anna.timeline() == []
    household.check()
    assert household.agree(lambda user: user.names(), [household.family, household.ben, household.vera])

    household.family.share(household.linked_album, household.anna)
    household.wait()
    household.check()
    assert household.agree(lambda user: user.names()) == sorted(file.name for file in files)
    assert household.agree(lambda user: user.named(user.find(files[0].name))) == ["Oma"]


def test_a_linked_user_leaves(household: Household) -> None:
    household.upload(picture())
    household.ben.call("DELETE", f"/albums/{household.linked_album}/user/me")
    household.wait()

    assert household.ben.names() == []
    assert len(household.agree(lambda user: user.names(), [household.family, household.anna, household.vera])) == 1


def test_somebody_new_gets_everything(household: Household) -> None:
    files = [picture("red", [0]) for _ in range(5)]
    household.upload(*files)
    clara = household.world.server.create_user("Clara")
    assert clara.names() == []

    household.family.share(household.linked_album, clara, "viewer")
    household.wait()

    assert clara.names() == household.family.names()
    household.check([*household.everybody, clara])


def test_contributed_and_withdrawn(household: Household) -> None:
    user = household.anna
    file, other = picture("green", [0]), picture("red")
    own, _ = household.upload(file, other, user=user)
    others = [each for each in household.everybody if each is not user]
    assert household.agree(lambda each: each.names(), others) == []

    user.put_in(household.linked_album, own)
    household.wait()
    household.check()
    assert household.agree(lambda each: each.names(), others) == [file.name]

    user.take_out(household.linked_album, own)
    household.wait()
    assert household.agree(lambda each: each.names(), others) == []
    assert user.names() == sorted([file.name, other.name])


def test_an_editor_becomes_viewer_and_editor_again(household: Household) -> None:
    file, other = picture(), picture()
    household.upload(file, other)
    household.family.set_role(household.linked_album, household.anna, "viewer")
    household.anna.change(household.anna.find(file.name), description="not for others")
    household.wait()
    assert not household.family.asset(household.family.find(file.name))["exifInfo"]["description"]

    household.family.set_role(household.linked_album, household.anna, "editor")
    household.anna.change(household.anna.find(file.name), description="for others")
    household.wait()

    assert household.agree(lambda user: user.asset(user.find(file.name))["exifInfo"]["description"]) == "for others"


def test_locked_and_unlocked(household: Household) -> None:
    file, other = picture(), picture()
    (source, _) = household.upload(file, other)
    household.family.call("PUT", "/assets", {"ids": [source], "visibility": "locked"})
    household.wait()
    assert household.agree(lambda user: user.names(), household.linked) == [other.name]

    household.family.call("POST", "/auth/pin-code", {"pinCode": "123456"})
    household.family.call("POST", "/auth/session/unlock", {"pinCode": "123456"})
    household.family.call("PUT", "/assets", {"ids": [source], "visibility": "timeline"})
    household.wait()
    assert household.agree(lambda user: user.names()) == sorted([file.name, other.name])


def test_archived_by_one_for_all_and_favourites_for_oneself(household: Household) -> None:
    file = picture()
    household.upload(file)
    household.anna.change(household.anna.find(file.name), visibility="archive")
    household.anna.change(household.anna.find(file.name), isFavorite=True)
    household.wait()

    assert household.agree(lambda user: len(user.timeline())) == 0
    liked = household.each(lambda user: user.asset(user.find(file.name))["isFavorite"])
    assert liked == [False, True, False, False]


def test_a_hostile_editor_gets_nothing_of_the_others(household: Household) -> None:
    """Prefixes and names that an editor writes: into the family's other pictures, and into another account's."""
    private = picture("green")
    household.family.change_album(household.linked_album, description="/nowhere")
    (own,) = household.upload(private)
    theirs = picture("violet")
    household.upload(theirs, user=household.ben)
    shared = household.family.create_album("Party", [own], editor=[household.anna])

    def attempt(*values: dict[str, str]) -> None:
        for album in (household.linked_album, shared):
            for value in values:
                # Until v2.6.1 Immich refuses.
                with suppress(Refused):
                    household.anna.change_album(album, **value)

    attempt({"description": "/"}, {"description": household.uploads(household.ben)}, {"albumName": "Linked album"})
    household.anna.create_album("Linked album", description="/", editor=[household.family, household.ben])
    household.wait()

    assert household.anna.names() == []
    assert household.ben.names() == [theirs.name]
    assert household.vera.names() == []
    assert household.family.names() == [private.name]


def test_what_an_account_has_already_is_not_doubled(household: Household) -> None:
    file = picture()
    household.upload(file, user=household.anna)
    household.upload(file)
    assert household.agree(lambda user: user.names()) == [file.name]
    assert len(household.anna.search(withDeleted=True)) == 1

    household.anna.delete(household.anna.find(file.name))
    household.wait()

    assert household.agree(lambda user: user.names()) == [file.name]
    assert household.anna.asset(household.anna.find(file.name))["originalPath"].startswith(
        household.uploads(household.family)
    )


def test_quota_and_storage_are_the_familys(household: Household) -> None:
    paul = household.world.server.create_user("Paul", quota=1)
    household.family.share(household.linked_album, paul)
    household.upload(picture(), picture())

    assert len(paul.names()) == 2
    assert paul.call("GET", "/users/me")["quotaUsageInBytes"] == 0
