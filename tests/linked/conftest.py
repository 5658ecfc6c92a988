"""Databases with the addon installed, and a household to try it on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.invariants import violations

CHECKOUT = Path(__file__).parents[2]
MEDIA = "/data/library/family"


def upgrade(connection: psycopg.Connection[Any]) -> None:
    """`alembic upgrade head`, the way a user runs it."""
    info = connection.info
    url = f"postgresql://{info.user}:{info.password}@/{info.dbname}?host={info.host}&port={info.port}"
    result = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=CHECKOUT,
        env={**os.environ, "DB_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@dataclass
class Household(Immich):
    """A family account with a linked album over its media folder, and linked users."""

    database: Database

    def __post_init__(self) -> None:
        super().__init__(self.database)
        self.family = self.create_user("Family", admin=True, label="family")
        self.anna = self.create_user("Anna")
        self.ben = self.create_user("Ben")
        self.clara = self.create_user("Clara")
        """Not linked."""
        self.linked_album = self.create_album(
            self.family, "Linked album", MEDIA, users={self.anna: "editor", self.ben: "editor"}
        )
        self._count = 0

    def photo(self, owner: UUID | None = None, path: str | None = None, /, **values: Any) -> UUID:
        """An upload that has been through all of Immich's jobs; of the family, and under the prefix, by default."""
        self._count += 1
        asset_id = self.upload(owner or self.family, path or f"{MEDIA}/{self._count:04}.jpg", **values)
        self.process(asset_id)
        return asset_id

    def clone(self, source: UUID, user: UUID) -> UUID:
        """The clone of a source in the account of a user."""
        clone_id = self.find_clone(source, user)
        assert clone_id is not None
        return clone_id

    def find_clone(self, source: UUID, user: UUID) -> UUID | None:
        found = self.database.fetch(
            "select asset_id from linked.member where source_id = %s and owner_id = %s and asset_id <> source_id",
            [source, user],
        )
        return found[0].asset_id if found else None

    def owned(self, user: UUID) -> int:
        """How many assets Immich has for a user."""
        count = self.database.value('select count(*) from asset where "ownerId" = %s', [user])
        assert isinstance(count, int)
        return count

    def group(self, asset: UUID) -> list[UUID]:
        """All members of an asset's group, the source first."""
        rows = self.database.fetch(
            """select member.asset_id from linked.member
               where source_id = (select source_id from linked.member where asset_id = %s)
               order by asset_id <> source_id, owner_id""",
            [asset],
        )
        return [row.asset_id for row in rows]

    def check(self) -> None:
        """Everything that is always true holds, and nothing went wrong unseen."""
        incidents = self.database.fetch("select place, sqlstate, message, context from linked.incident")
        assert not incidents, incidents
        with self.database.connect() as connection:
            found = violations(connection)
        assert not found, "\n".join(found)


@pytest.fixture(scope="session")
def linked_template(databases: Databases, immich_template: str) -> str:
    return databases.template("linked", upgrade, base=immich_template)


@pytest.fixture(scope="session")
def linked_family_template(databases: Databases, family_template: str) -> str:
    return databases.template("linked_family", upgrade, base=family_template)


@pytest.fixture
def linked(databases: Databases, linked_template: str) -> Iterator[Database]:
    """A fresh Immich with the addon installed."""
    with databases.copy(linked_template) as database:
        yield database


@pytest.fixture
def linked_family(databases: Databases, linked_family_template: str) -> Iterator[Database]:
    """The family of `sample/data` with the addon installed and everything linked."""
    with databases.copy(linked_family_template) as database:
        yield database


@pytest.fixture
def household(linked: Database) -> Iterator[Household]:
    """Family, Anna and Ben share a linked album (both editors); Clara is not linked. Checked once more at the end."""
    household = Household(linked)
    yield household
    household.check()
