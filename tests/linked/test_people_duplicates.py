"""Accounts that knew the same people before they were linked know each of them once afterwards (SPEC section 7)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import product
from uuid import UUID

import pytest

from tests.builders import Near
from tests.database import Database
from tests.linked.conftest import MEDIA, Household, install

HUMANS = ("oma", "opa", "tim", "lea")
ACCOUNTS = ("family", "anna", "ben")
DIALECT = {
    "family": {"oma": "Oma", "opa": "Opa", "tim": "Tim", "lea": "Lea"},
    "anna": {"oma": "Mama", "opa": "Papa", "tim": "Timmy", "lea": "Mausi"},
    "ben": {"oma": "Granny", "opa": "Grandpa", "tim": "T", "lea": "L"},
}

Names = Callable[[str, str], str]


def same_names(account: str, human: str) -> str:
    return DIALECT["family"][human]


def different_names(account: str, human: str) -> str:
    return DIALECT[account][human]


def no_names(account: str, human: str) -> str:
    return ""


def some_names(account: str, human: str) -> str:
    return DIALECT[account][human] if (account, human) in {("family", "oma"), ("anna", "opa"), ("ben", "tim")} else ""


class Past:
    """What the accounts had before they were linked: pictures of the same people, and a person for each."""

    def __init__(self, household: Household, names: Names, *, likeness: float = 0.2, private: int = 2) -> None:
        self.household = household
        self.people: dict[tuple[str, str], UUID] = {}
        self._count = 0
        for account, human in product(ACCOUNTS, HUMANS):
            user = getattr(household, account)
            self.people[account, human] = household.create_person(user, names(account, human))
            for _ in range(private):
                self.picture(account, [human], f"/data/upload/{account}", likeness)
        self.shared = [
            self.picture("family", [first, second], MEDIA, likeness)
            for first, second in zip(HUMANS, HUMANS[1:] + HUMANS[:1], strict=True)
        ]

    def picture(self, account: str, humans: list[str], folder: str, likeness: float) -> UUID:
        """A picture on which Immich recognized these people."""
        self._count += 1
        user = getattr(self.household, account)
        photo = self.household.photo(user, f"{folder}/{self._count:04}.jpg")
        boxes = [(100 * place, 0, 100 * place + 50, 50) for place in range(len(humans))]
        seeds = [Near(human, likeness / 2, (account, self._count)) for human in humans]
        for face, human in zip(self.household.detect_faces(photo, boxes, seeds=seeds), humans, strict=True):
            self.household.reassign_faces([face], self.people[account, human])
        return photo

    def count(self, account: str) -> int:
        user = getattr(self.household, account)
        count = self.household.database.value('select count(*) from person where "ownerId" = %s', [user])
        assert isinstance(count, int)
        return count

    def shown(self, account: str) -> set[UUID]:
        """Whom an account's members of the shared pictures show."""
        members = [self.household.of(photo, account) for photo in self.shared]
        return {face.personId for member in members for face in self.household.faces(member)}


@pytest.fixture
def before(immich: Database) -> Iterator[Household]:
    """The household, some time before the addon is installed."""
    household = Household(immich)
    yield household
    household.check()


@pytest.mark.parametrize("names", [same_names, different_names, no_names, some_names])
def test_no_duplicates_after_installation(before: Household, names: Names) -> None:
    past = Past(before, names)
    install(before.database)
    for account in ACCOUNTS:
        assert past.count(account) == len(HUMANS)
        assert past.shown(account) == {past.people[account, human] for human in HUMANS}


@pytest.mark.parametrize("names", [same_names, different_names, no_names])
def test_names_are_as_they_were(before: Household, names: Names) -> None:
    past = Past(before, names)
    install(before.database)
    for (account, human), person in past.people.items():
        assert before.person(person).name == names(account, human)


def test_the_same_names_are_enough(before: Household) -> None:
    """Children grow: their faces in the accounts are years apart."""
    past = Past(before, same_names, private=0)
    for account, human in product(("anna", "ben"), HUMANS):
        photo = before.photo(getattr(before, account), f"/data/upload/{account}/{human}.jpg")
        face = before.detect_faces(photo, [(0, 0, 50, 50)], seeds=[f"{human} as a child"])[0]
        before.recognize(face, past.people[account, human])
    install(before.database)
    assert [past.count(account) for account in ACCOUNTS] == [len(HUMANS)] * 3


def test_only_those_whom_no_embedding_can_tell_are_made_anew(before: Household) -> None:
    past = Past(before, no_names, private=0)
    for account, human in product(("anna", "ben"), HUMANS):
        seed = f"{human} as a child" if human == "tim" else human
        photo = before.photo(getattr(before, account), f"/data/upload/{account}/{human}.jpg")
        before.recognize(before.detect_faces(photo, [(0, 0, 50, 50)], seeds=[seed])[0], past.people[account, human])
    install(before.database)
    assert [past.count(account) for account in ACCOUNTS] == [len(HUMANS), len(HUMANS) + 1, len(HUMANS) + 1]


def test_similar_siblings_are_not_mixed_up(before: Household) -> None:
    past = Past(before, no_names, private=0)
    for account in ("anna", "ben"):
        for human, towards in ((human, towards) for human in HUMANS for towards in ("x", "y")):
            seed = Near(human, 0.1, (account, towards))
            photo = before.photo(getattr(before, account), f"/data/upload/{account}/{human}{towards}.jpg")
            before.recognize(before.detect_faces(photo, [(0, 0, 50, 50)], seeds=[seed])[0], past.people[account, human])
        cousin = before.create_person(getattr(before, account))
        photo = before.photo(getattr(before, account), f"/data/upload/{account}/cousin.jpg")
        before.recognize(before.detect_faces(photo, [(0, 0, 50, 50)], seeds=[Near("oma", 0.45)])[0], cousin)
    install(before.database)
    for account in ("anna", "ben"):
        assert past.shown(account) == {past.people[account, human] for human in HUMANS}


@pytest.mark.parametrize("names", [same_names, different_names, no_names, some_names])
def test_no_duplicates_when_shared_with_one_after_the_other(household: Household, names: Names) -> None:
    household.unshare_album(household.linked_album, household.anna)
    household.unshare_album(household.linked_album, household.ben)
    past = Past(household, names)
    household.share_album(household.linked_album, household.ben)
    household.share_album(household.linked_album, household.anna)
    for account in ACCOUNTS:
        assert past.count(account) == len(HUMANS)


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("names", [same_names, different_names, no_names])
def test_no_duplicates_in_whatever_order_pictures_are_linked(household: Household, names: Names, order: int) -> None:
    household.update_album(household.linked_album, description="")
    past = Past(household, names)
    contributed = [past.picture(account, list(HUMANS), f"/data/upload/{account}", 0.2) for account in ("anna", "ben")]
    pictures = [*past.shared, *contributed]
    random.Random(order).shuffle(pictures)
    for picture in pictures:
        household.add_to_album(household.linked_album, picture)
    for account in ACCOUNTS:
        assert past.count(account) == len(HUMANS)
        assert past.shown(account) == {past.people[account, human] for human in HUMANS}


@pytest.mark.parametrize("names", [same_names, different_names, no_names])
def test_no_duplicates_in_slices_of_one(household: Household, names: Names) -> None:
    household.update_album(household.linked_album, description="")
    past = Past(household, names)
    with household.transaction():
        household.database.execute("set local session_replication_role = replica")
        household.update_album(household.linked_album, description=MEDIA)
    household.database.value("select linked.enqueue_all()")
    while household.count("linked.queue"):
        with household.transaction():
            household.database.execute("select linked.start_writing(), linked.work_slices(interval '0', 1)")
    for account in ACCOUNTS:
        assert past.count(account) == len(HUMANS)


def test_sister_is_not_taken_for_the_brother_whom_an_account_does_not_know(before: Household) -> None:
    """He comes first, being on more pictures, and is near enough; but she is there too."""
    tim, lea = before.create_person(before.family), before.create_person(before.family)
    photos = [before.photo() for _ in range(3)]
    for shared, person, seed in zip(photos, (tim, tim, lea), (Near("lea", 0.4), Near("lea", 0.4), "lea"), strict=True):
        before.recognize(before.detect_faces(shared, [(0, 0, 50, 50)], seeds=[seed])[0], person)
    theirs = before.create_person(before.anna)
    photo = before.photo(before.anna, "/data/upload/anna/lea.jpg")
    before.recognize(before.detect_faces(photo, [(0, 0, 50, 50)], seeds=[Near("lea", 0.1)])[0], theirs)
    install(before.database)
    assert [face.personId for face in before.faces(before.clone(photos[2], before.anna))] == [theirs]
    assert before.faces(before.clone(photos[0], before.anna))[0].personId != theirs


def test_people_of_an_account_s_own_that_nobody_shares_stay_alone(before: Household) -> None:
    past = Past(before, different_names)
    friend = before.create_person(before.anna, "Friend")
    photo = before.photo(before.anna, "/data/upload/anna/friend.jpg")
    before.recognize(before.detect_faces(photo, [(0, 0, 50, 50)], seeds=["friend"])[0], friend)
    install(before.database)
    assert [past.count(account) for account in ACCOUNTS] == [len(HUMANS), len(HUMANS) + 1, len(HUMANS)]
    assert friend not in past.shown("anna")
