"""The last of all: the addon goes, and it is as if it had never been there."""

from __future__ import annotations

from tests.e2e.household import Household, World, dump
from tests.e2e.target import upgrades


def test_removed(world: World, before: Household, schema: str | None) -> None:
    names = before.family.names()
    world.wait()
    before.look_from_now()

    world.downgrade()

    if schema is not None and not upgrades():
        assert dump(world) == schema
    assert before.family.names() == names
    for user in before.linked:
        assert user.search(withDeleted=True) == []
        assert user.people() == []
        assert user.albums() == []
        assert user.call("GET", "/tags") == []
    for what, path in world.files([before.family.id]):
        assert world.target.local(path).is_file(), what
    assert before.family.status(f"/assets/{before.family.find('oma.jpg')}/original") == 200
    assert not before.errors()
