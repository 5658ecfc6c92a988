"""People named, merged, reassigned and drawn by hand, by any account."""

from __future__ import annotations

import pytest

from tests.e2e.client import Account
from tests.e2e.household import Household
from tests.e2e.pictures import File, picture

OMA, OPA, TIM = 0, 1, 2


def shown(household: Household, file: File) -> list[str | None]:
    """Who is on it, the same for everybody."""
    seen: list[str | None] = household.agree(lambda user: user.named(user.find(file.name)))
    return seen


def name(user: Account, file: File, *names: str) -> None:
    """From left to right."""
    for face, called in zip(user.faces(user.find(file.name)), names, strict=True):
        user.name_person(face["person"]["id"], called)


def named(user: Account) -> list[str]:
    return sorted(person["name"] for person in user.people() if person["name"])


@pytest.mark.parametrize("who", ["family", "anna"])
def test_named_by_one_for_all(household: Household, who: str) -> None:
    first, second = picture("red", [OMA, OPA]), picture("green", [OPA])
    household.upload(first, second)

    name(getattr(household, who), first, "Oma", "Opa")

    assert shown(household, first) == ["Oma", "Opa"]
    assert shown(household, second) == ["Opa"]
    assert household.agree(named) == ["Oma", "Opa"]
    assert household.agree(lambda user: user.pictures_of(user.person("Opa")["id"])) == sorted([first.name, second.name])

    later = picture("blue", [OMA])
    household.upload(later)
    assert shown(household, later) == ["Oma"]
    assert household.agree(named) == ["Oma", "Opa"]


def test_a_viewers_names_stay_with_the_viewer(household: Household) -> None:
    file = picture("red", [OMA])
    household.upload(file)
    name(household.vera, file, "Secret")

    others = [household.family, household.anna, household.ben]
    assert household.agree(named, others) == []


@pytest.mark.parametrize("who", ["family", "anna"])
def test_merged_by_one_for_all(household: Household, who: str) -> None:
    user = getattr(household, who)
    first, second = picture("red", [OMA]), picture("green", [OPA])
    household.upload(first, second)
    name(user, first, "Oma")
    name(user, second, "Oma at twenty")

    user.merge(user.person("Oma")["id"], user.person("Oma at twenty")["id"])
    household.wait()

    assert shown(household, first) == ["Oma"]
    assert shown(household, second) == ["Oma"]
    assert household.agree(named) == ["Oma"]
    household.check()


@pytest.mark.parametrize("who", ["family", "anna"])
def test_reassigned_by_one_for_all(household: Household, who: str) -> None:
    user = getattr(household, who)
    first, second = picture("red", [OMA, OPA]), picture("green", [TIM])
    household.upload(first, second)
    name(user, first, "Oma", "Opa")
    name(user, second, "Tim")

    face = user.faces(user.find(first.name))[1]
    user.assign(face["id"], user.person("Tim")["id"])
    household.wait()

    assert shown(household, first) == ["Oma", "Tim"]
    assert household.agree(lambda each: each.pictures_of(each.person("Tim")["id"])) == sorted([first.name, second.name])
    household.check()


@pytest.mark.parametrize("who", ["family", "anna"])
def test_drawn_by_hand_and_removed(household: Household, who: str) -> None:
    user = getattr(household, who)
    first, second = picture("red", [OMA]), picture("green")
    household.upload(first, second)
    name(user, first, "Oma")

    user.draw(user.find(second.name), user.person("Oma")["id"])
    household.wait()
    assert shown(household, second) == ["Oma"]

    new = user.call("POST", "/people", {"name": "Tim"})
    user.draw(user.find(second.name), new["id"], (300, 400, 380, 480))
    household.wait()
    assert shown(household, second) == ["Oma", "Tim"]
    household.check()

    drawn = user.faces(user.find(second.name))[0]
    user.call("DELETE", f"/faces/{drawn['id']}", {"force": True})
    household.wait()
    assert shown(household, second) == ["Tim"]


def test_birth_dates_for_all_and_hidden_for_oneself(household: Household) -> None:
    file = picture("red", [OMA])
    household.upload(file)
    name(household.family, file, "Oma")
    oma = household.anna.person("Oma")["id"]
    household.anna.call("PUT", f"/people/{oma}", {"birthDate": "1950-03-04", "isHidden": True})
    household.wait()

    assert household.agree(lambda user: user.person("Oma")["birthDate"][:10]) == "1950-03-04"
    assert household.each(lambda user: user.person("Oma")["isHidden"]) == [False, True, False, False]


def test_pictures_of_people_are_drawn_by_the_job_for_missing_ones(household: Household) -> None:
    household.upload(picture("red", [OMA, OPA]))
    household.settle()

    for user in household.everybody:
        assert user.people()
        for person in user.people():
            assert user.status(f"/people/{person['id']}/thumbnail") == 200, f"{user} has no picture of {person}"


def test_a_person_is_deleted_in_one_account(household: Household) -> None:
    file = picture("red", [OMA])
    household.upload(file)
    name(household.family, file, "Oma")
    household.anna.call("DELETE", f"/people/{household.anna.person('Oma')['id']}")
    household.wait()

    assert named(household.anna) == []
    assert household.agree(named, [household.family, household.ben, household.vera]) == ["Oma"]
