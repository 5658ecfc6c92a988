"""Stacks (SPEC section 10)."""

from __future__ import annotations

import itertools
from uuid import UUID

import psycopg
import pytest

from tests.database import Database
from tests.linked.conftest import Household, install
from tests.linked.test_reconcile import run, unseen

WHO = ["family", "anna"]


def stacked(household: Household, count: int = 3, who: str = "family") -> tuple[list[UUID], UUID]:
    """Photos of the family's, stacked by somebody."""
    photos = [household.photo() for _ in range(count)]
    stack = household.create_stack(getattr(household, who), [household.of(photo, who) for photo in photos])
    return photos, stack


def stacks(household: Household, user: UUID) -> list[tuple[UUID, set[UUID]]]:
    """Primary asset and content of each stack of a user."""
    rows = household.database.fetch(
        """select "primaryAssetId", array(select id from asset where "stackId" = stack.id) as content
           from stack where "ownerId" = %s order by id""",
        [user],
    )
    return [(row.primaryAssetId, set(row.content)) for row in rows]


def in_every_account(household: Household, primary: UUID, content: list[UUID]) -> bool:
    """Each account has exactly this stack, of its own members."""
    return all(
        stacks(household, getattr(household, who))
        == [(household.of(primary, who), {household.of(photo, who) for photo in content})]
        for who in ("family", "anna", "ben")
    )


@pytest.mark.parametrize("who", WHO)
def test_stack_exists_in_every_account(household: Household, who: str) -> None:
    photos, _ = stacked(household, who=who)
    assert in_every_account(household, photos[0], photos)
    assert stacks(household, household.clara) == []


@pytest.mark.parametrize("who", WHO)
def test_added_asset_is_added_everywhere(household: Household, who: str) -> None:
    """Adding is stacking anew with the one that leads."""
    photos, _ = stacked(household)
    new = household.photo()
    household.create_stack(getattr(household, who), [household.of(photo, who) for photo in (photos[0], new)])
    assert in_every_account(household, photos[0], [*photos, new])


@pytest.mark.parametrize("who", WHO)
def test_removed_asset_is_removed_everywhere(household: Household, who: str) -> None:
    photos, _ = stacked(household)
    household.remove_from_stack(household.of(photos[2], who))
    assert in_every_account(household, photos[0], photos[:2])


@pytest.mark.parametrize("who", WHO)
def test_primary_asset_is_the_same_everywhere(household: Household, who: str) -> None:
    photos, _ = stacked(household)
    member = household.of(photos[1], who)
    household.set_primary_asset(household.asset(member).stackId, member)
    assert in_every_account(household, photos[1], photos)


@pytest.mark.parametrize("who", WHO)
def test_dissolved_stack_is_dissolved_everywhere(household: Household, who: str) -> None:
    photos, _ = stacked(household)
    household.delete_stacks(household.asset(household.of(photos[0], who)).stackId)
    assert household.count("stack") == 0
    assert not household.database.fetch('select from asset where "stackId" is not null')


def test_clients_learn_of_dissolved_stacks(household: Household) -> None:
    photos, stack = stacked(household)
    gone = {household.asset(member).stackId for member in household.group(photos[0])}
    household.delete_stacks(stack)
    assert {row.stackId for row in household.database.fetch('select "stackId" from stack_audit')} == gone


def test_linked_part_of_a_stack_is_a_stack(household: Household) -> None:
    first, second = household.photo(), household.photo()
    private = household.photo(household.family, "/data/upload/family/1.jpg")
    household.create_stack(household.family, [private, first, second])
    (stack,) = stacks(household, household.anna)
    assert stack[1] == {household.clone(first, household.anna), household.clone(second, household.anna)}
    assert stacks(household, household.family) == [(private, {private, first, second})]


def test_one_linked_asset_of_a_stack_is_none(household: Household) -> None:
    photo, private = household.photo(), household.photo(household.family, "/data/upload/family/1.jpg")
    household.create_stack(household.family, [photo, private])
    assert stacks(household, household.anna) == []
    second = household.photo()
    household.create_stack(household.family, [photo, second])
    assert len(stacks(household, household.anna)) == 1


def test_stack_grows_when_more_of_it_is_linked(household: Household) -> None:
    photo, private = household.photo(), household.photo(household.family, "/data/upload/family/1.jpg")
    household.create_stack(household.family, [photo, private])
    household.add_to_album(household.linked_album, private)
    assert in_every_account(household, photo, [photo, private])


def test_stack_that_an_account_has_already_takes_the_others_in(household: Household) -> None:
    first, second = household.photo(), household.photo()
    private = household.photo(household.anna, "/data/upload/anna/1.jpg")
    mine = household.create_stack(household.anna, [private, household.clone(first, household.anna)])
    household.create_stack(household.family, [first, second])
    members = {household.clone(first, household.anna), household.clone(second, household.anna)}
    assert stacks(household, household.anna) == [(household.clone(first, household.anna), {private, *members})]
    assert household.asset(private).stackId == mine


def test_stack_made_anew_in_another_account_stays_one(household: Household) -> None:
    photos, _ = stacked(household, who="anna")
    household.create_stack(household.family, photos)
    assert in_every_account(household, photos[0], photos)


def test_stacks_from_before_the_installation_are_mirrored(immich: Database) -> None:
    household = Household(immich)
    photos = [household.photo() for _ in range(3)]
    household.create_stack(household.family, photos)
    install(immich)
    assert in_every_account(household, photos[0], photos)
    household.check()


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_deleting_the_primary_asset_by_way_of_the_trash_never_fails(household: Household, who: str, count: int) -> None:
    photos, _ = stacked(household, count)
    household.trash([household.of(photos[0], who)])
    household.empty_trash(getattr(household, who))
    household.run_deletions()
    for user in (household.family, household.anna, household.ben):
        assert household.owned(user) == count - 1
        assert all(primary in content for primary, content in stacks(household, user))


@pytest.mark.parametrize("who", WHO)
def test_deleting_a_whole_stack_leaves_nothing(household: Household, who: str) -> None:
    photos, _ = stacked(household, 4)
    household.force_delete([household.of(photo, who) for photo in photos])
    household.run_deletions()
    assert household.count("asset") == household.count("stack") == household.count("linked.stack_pair") == 0


@pytest.mark.parametrize("who", WHO)
def test_deleting_another_than_the_primary_asset_never_fails(household: Household, who: str) -> None:
    photos, _ = stacked(household, 4)
    member = household.of(photos[0], who)
    household.set_primary_asset(household.asset(member).stackId, household.of(photos[1], who))
    household.delete("asset", id=member)
    assert in_every_account(household, photos[1], photos[1:])


def test_unlinking_the_primary_asset_gives_the_stack_another(household: Household) -> None:
    photos, _ = stacked(household)
    household.lock(photos[0])
    for user in (household.anna, household.ben):
        ((primary, content),) = stacks(household, user)
        assert primary in content
        assert len(content) == 2


def test_unlinked_stacks_leave_nothing(household: Household) -> None:
    stacked(household)
    household.update_album(household.linked_album, description="")
    assert stacks(household, household.anna) == stacks(household, household.ben) == []
    assert len(stacks(household, household.family)) == 1
    assert household.count("linked.stack_pair") == 0


def test_viewer_has_the_stacks_of_the_others(household: Household) -> None:
    household.set_viewer(household.anna)
    photos, _ = stacked(household)
    assert in_every_account(household, photos[0], photos)


@pytest.mark.parametrize("change", ["dissolve", "remove", "primary"])
def test_what_a_viewer_does_to_stacks_is_undone(household: Household, change: str) -> None:
    household.set_viewer(household.anna)
    photos, _ = stacked(household)
    clone = household.clone(photos[1], household.anna)
    stack = household.asset(clone).stackId
    match change:
        case "dissolve":
            household.delete_stacks(stack)
        case "remove":
            household.remove_from_stack(clone)
        case "primary":
            household.set_primary_asset(stack, clone)
    assert in_every_account(household, photos[0], photos)


def later(household: Household) -> None:
    """Any later write of anybody's."""
    household.update_usage(household.clara, 0)


@pytest.mark.parametrize("by_reconcile", [False, True])
@pytest.mark.parametrize("private", [0, 1, 2])
def test_viewer_s_own_stack_of_clones_stands_until_the_transaction_is_over(
    household: Household, private: int, by_reconcile: bool
) -> None:
    household.set_viewer(household.anna)
    photos = [household.photo() for _ in range(2)]
    clones = [household.clone(photo, household.anna) for photo in photos]
    own = [household.photo(household.anna, f"/data/upload/anna/{number}.jpg") for number in range(private)]
    stack = household.create_stack(household.anna, [*clones, *own])
    assert stacks(household, household.anna) == [(clones[0], {*clones, *own})]
    if by_reconcile:
        household.database.execute("select linked.catch_up()")
    else:
        later(household)
    assert [content for _, content in stacks(household, household.anna)] == ([set(own)] if private > 1 else [])
    assert stacks(household, household.family) == stacks(household, household.ben) == []
    if private < 2:
        audited = household.database.fetch('select "userId" from stack_audit where "stackId" = %s', [stack])
        assert [row.userId for row in audited] == [household.anna]


@pytest.mark.parametrize("order", [(0, 3), (3, 0), (1, 3), (3, 1), (1, 0), (0, 1, 2)])
def test_viewer_who_stacks_what_is_stacked_has_the_others_stack_afterwards(
    household: Household, order: tuple[int, ...]
) -> None:
    """Of four pictures three are stacked, the first leads."""
    household.set_viewer(household.anna)
    photos, _ = stacked(household, 3)
    photos.append(household.photo())
    household.create_stack(household.anna, [household.clone(photos[number], household.anna) for number in order])
    later(household)
    assert in_every_account(household, photos[0], photos[:3])
    assert household.asset(household.clone(photos[3], household.anna)).stackId is None


def test_viewer_of_some_and_editor_of_others_stacks_them_all(household: Household) -> None:
    """What is only seen never gets into the others' stacks."""
    household.set_viewer(household.anna)
    household.create_album(household.family, "Linked album 2", "/data/edited", users=[household.anna])
    seen = [household.photo() for _ in range(2)]
    edited = [household.photo(household.family, f"/data/edited/{number}.jpg") for number in range(2)]
    clones = [household.clone(photo, household.anna) for photo in (*seen, *edited)]
    household.create_stack(household.anna, clones)
    assert [content for _, content in stacks(household, household.family)] == [set(edited)]
    later(household)
    assert [content for _, content in stacks(household, household.family)] == [set(edited)]
    assert [content for _, content in stacks(household, household.anna)] == [set(clones[2:])]
    assert stacks(household, household.ben) == []


def test_one_edited_picture_among_many_seen_makes_no_stack_for_others(household: Household) -> None:
    household.set_viewer(household.anna)
    household.create_album(household.family, "Linked album 2", "/data/edited", users=[household.anna])
    photos = [household.photo(), household.photo(), household.photo(household.family, "/data/edited/1.jpg")]
    household.create_stack(household.anna, [household.clone(photo, household.anna) for photo in photos])
    assert stacks(household, household.family) == []


# --- two at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["editor", "viewer"])
@pytest.mark.parametrize(
    ("family", "anna"),
    [([0, 1, 2], [0, 1, 2]), ([0, 1, 2, 3], [0, 1]), ([0, 1], [0, 1, 2, 3]), ([0, 1, 2], [1, 0, 2]), ([0, 1], [0, 2])],
)
def test_two_who_stack_the_same_pictures_at_once(
    household: Household, role: str, family: list[int], anna: list[int]
) -> None:
    """Anna's Immich has asked which stacks there are before the family's is made, and goes on after."""
    household.set_role(household.linked_album, household.anna, role)
    photos = [household.photo() for _ in range(4)]
    clones = [household.clone(photos[number], household.anna) for number in anna]
    found = household.stacks_led_by(household.anna, clones)
    household.create_stack(household.family, [photos[number] for number in family])
    with household.transaction():
        stack = household.make_stack(household.anna, clones, *found)
        assert household.asset(clones[0]).stackId == stack
    later(household)
    together = {*family, *anna} if role == "editor" else {*family}
    assert [content for _, content in stacks(household, household.family)] == [{photos[n] for n in together}]
    for who in ("anna", "ben"):
        user = getattr(household, who)
        assert [content for _, content in stacks(household, user)] == [
            {household.of(photos[number], who) for number in together}
        ]


def test_stack_of_its_own_account_is_in_the_way_as_without_the_addon(household: Household) -> None:
    own = [household.photo(household.anna, f"/data/upload/anna/{number}.jpg") for number in range(2)]
    found = household.stacks_led_by(household.anna, own)
    household.create_stack(household.anna, own)
    with pytest.raises(psycopg.errors.UniqueViolation), household.transaction():
        household.make_stack(household.anna, own, *found)


def test_primary_asset_that_leads_another_stack_by_now_is_let_go(household: Household) -> None:
    photos, _ = stacked(household, 4)
    clones = [household.clone(photo, household.anna) for photo in photos]
    stack = household.asset(clones[0]).stackId
    other = household.photo()
    household.create_stack(household.family, [photos[1], other])
    assert household.asset(clones[1]).stackId != stack
    household.set_primary_asset(stack, clones[1])
    assert len(stacks(household, household.anna)) == 2


def test_viewer_who_stacks_part_of_a_stack_makes_nobody_differ(household: Household) -> None:
    photos, _ = stacked(household)
    other = household.photo()
    household.set_viewer(household.ben)
    household.create_stack(household.ben, [household.of(photo, "ben") for photo in (other, *photos[1:])])
    household.check()
    household.next_write()
    assert in_every_account(household, photos[0], photos)


PARTITIONS = ["ab", "ab cd", "ac bd", "abc", "bcd", "abcd"]
"""How an account stacks four pictures."""


def test_two_who_stacked_the_same_pictures_otherwise_agree_in_the_end(household: Household) -> None:
    choices = [
        ({letter: household.photo() for letter in "abcd"}, *choice)
        for choice in itertools.product(PARTITIONS, repeat=2)
    ]
    with unseen(household.database):
        for photos, *choice in choices:
            for who, partition in zip(("family", "anna"), choice, strict=True):
                for letters in partition.split():
                    household.create_stack(
                        getattr(household, who), [household.of(photos[letter], who) for letter in letters]
                    )
    assert run(household.database).failures == []
    household.check()


def test_a_stack_is_led_by_a_picture_that_another_linked_album_covers(household: Household) -> None:
    """Anna has two of its three pictures, so that something else leads hers: no difference."""
    household.create_album(household.family, "Linked album too", "/mnt/scans", users=[household.clara])
    photos = [household.photo(household.family, "/mnt/scans/1.jpg"), household.photo(), household.photo()]
    household.create_stack(household.family, photos)
    household.check()
    assert run(household.database, dry_run=True).differences == []
    theirs = household.asset(household.clone(photos[2], household.anna)).stackId
    primary = 'select "primaryAssetId" from stack where id = %s'
    leads = household.database.value(primary, [theirs])
    other = next(photo for photo in photos[1:] if household.clone(photo, household.anna) != leads)
    household.set_primary_asset(theirs, household.clone(other, household.anna))
    assert household.database.value(primary, [household.asset(photos[0]).stackId]) == other
