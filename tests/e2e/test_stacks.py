"""Stacks, made by several at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.client import Account, Refused
from tests.e2e.household import Household
from tests.e2e.pictures import picture


def stacked(user: Account) -> list[list[str]]:
    return sorted(sorted(asset["originalFileName"] for asset in stack["assets"]) for stack in user.stacks())


@pytest.mark.parametrize("who", ["family", "anna"])
def test_a_stack_is_everybodys(household: Household, who: str) -> None:
    user = getattr(household, who)
    files = [picture() for _ in range(3)]
    household.upload(*files)

    stack = user.stack(*(user.find(file.name) for file in files))
    assert household.agree(stacked) == [sorted(file.name for file in files)]
    primary = household.agree(lambda each: each.asset(each.stacks()[0]["primaryAssetId"])["originalFileName"])
    assert primary == files[0].name

    user.call("PUT", f"/stacks/{stack}", {"primaryAssetId": user.find(files[1].name)})
    assert (
        household.agree(lambda each: each.asset(each.stacks()[0]["primaryAssetId"])["originalFileName"])
        == files[1].name
    )

    user.call("DELETE", f"/stacks/{stack}")
    assert household.agree(stacked) == []


def test_a_viewer_stacks_for_nobody(household: Household) -> None:
    files = [picture() for _ in range(3)]
    household.upload(*files)

    household.vera.stack(*(household.vera.find(file.name) for file in files))
    household.write_again()

    assert household.agree(stacked) == []


def test_viewer_and_editors_stack_the_same_pictures_at_once(household: Household) -> None:
    refused: list[str] = []
    rounds = 8
    for _ in range(rounds):
        files = [picture() for _ in range(3)]
        household.upload(*files)
        ids = {user: [user.find(file.name) for file in files] for user in household.everybody}

        def stack(user: Account, ids: dict[Account, list[str]] = ids) -> str | None:
            try:
                user.stack(*ids[user])
            except Refused as refusal:
                return str(refusal)
            return None

        with ThreadPoolExecutor(len(ids)) as pool:
            refused += filter(None, pool.map(stack, ids))
        household.write_again()
        household.check()

    assert not refused
    assert len(household.agree(stacked)) == rounds
