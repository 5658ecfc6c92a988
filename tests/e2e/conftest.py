"""One Immich for all tests; a household of its own for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.database import Database
from tests.e2e.client import Server
from tests.e2e.household import Household, World, dump
from tests.e2e.machine_learning import running_fake
from tests.e2e.pictures import BERLIN, can_film, motion_photo, picture, video
from tests.e2e.target import target, why_not

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(HERE)]
    if here and (reason := why_not()):
        for item in here:
            item.add_marker(pytest.mark.skip(reason=reason))
    # When everything else has been seen, Immich is upgraded, then the addon goes, and last of all backups are restored:
    # Immich makes schema public anew then, with other rights.
    last = [HERE / f"test_{name}.py" for name in ("upgrade", "removal", "backup")]
    items.sort(key=lambda item: last.index(item.path) + 1 if item.path in last else 0)


@pytest.fixture(scope="session")
def bare() -> Iterator[World]:
    """Immich without the addon, and with a quick machine learning."""
    with target() as immich, running_fake("0.0.0.0" if immich.ml_host != "127.0.0.1" else immich.ml_host) as fake:
        server = Server(immich.url, immich.email, immich.password)
        server.configure(
            {
                "machineLearning": {
                    "urls": [f"http://{immich.ml_host}:{fake.port}"],
                    "facialRecognition": {"minFaces": 1},
                },
                "newVersionCheck": {"enabled": False},
                "storageTemplate": {"enabled": False},
            }
        )
        database = Database(immich.db_url)
        # Immich builds the index over faces anew while other jobs of its run. PostgreSQL puts rows there that were
        # deleted a moment ago, and fails where autovacuum has taken what they had in the toast table.
        database.execute("alter table face_search set (toast.autovacuum_enabled = off)")
        world = World(immich, server, database, fake)
        if database.value("select to_regnamespace('linked') is not null"):
            world.downgrade()
        world.wait()
        yield world
        database.close()


@pytest.fixture(scope="session")
def before(bare: World) -> Household:
    """A household that was there before the addon, with pictures."""
    household = Household(bare)
    (oma, *_) = household.upload(
        picture("red", [0, 1], place=BERLIN, name="oma.jpg"),
        picture("green", [1], name="opa.jpg"),
        picture("blue", name="sea.jpg"),
        *([motion_photo("motion.jpg"), video("film.mp4")] if can_film() else []),
    )
    household.family.name_person(household.family.faces(oma)[0]["person"]["id"], "Oma")
    household.family.create_album("Holidays", [oma])
    household.family.tag("home/garden", oma)
    household.wait()
    return household


@pytest.fixture(scope="session")
def schema(before: Household) -> str | None:
    """What the database was like without the addon; nothing where there is no `pg_dump`."""
    return dump(before.world) if shutil.which("pg_dump") else None


@pytest.fixture(scope="session")
def world(before: Household, schema: str | None) -> World:
    """Immich with the addon."""
    before.world.upgrade()
    return before.world


@pytest.fixture
def create_household(world: World) -> Iterator[Callable[..., Household]]:
    """Households that are checked once more at the end, and then deleted: jobs over everything stay short."""
    households: list[Household] = []

    def create(**values: Any) -> Household:
        households.append(Household(world, **values))
        return households[-1]

    yield create
    for household in households:
        household.check()
        household.leave()


@pytest.fixture
def household(create_household: Callable[..., Household]) -> Household:
    return create_household()
