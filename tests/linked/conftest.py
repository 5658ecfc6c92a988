"""Databases with the addon installed, and a household to try it on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic import command

from linked_asset import immich
from linked_asset.alembic_ini import alembic_config
from linked_asset.config import database_url
from linked_asset.database import engine_for
from linked_asset.operations import installation_script, removal_script
from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.invariants import violations
from tests.release import RELEASE

MEDIA = "/data/library/family"


def upgrade(connection: psycopg.Connection[Any]) -> None:
    """`alembic upgrade head`, without a process of its own."""
    info = connection.info
    url = f"postgresql://{info.user}:{info.password}@/{info.dbname}?host={info.host}&port={info.port}"
    config = alembic_config()
    config.attributes["connection"] = engine_for(database_url({"DB_URL": url}))
    command.upgrade(config, "head")


def install(database: Database, release: str = RELEASE) -> None:
    """What `alembic upgrade head` runs, without the start of Python."""
    with database.connect() as connection:
        connection.execute(f"begin;\n{installation_script(release)}\ncommit;")  # type: ignore[call-overload]
        connection.execute("call linked.drain()")


def remove(database: Database) -> None:
    """What `alembic downgrade base` runs."""
    with database.connect() as connection:
        connection.execute(f"begin;\n{removal_script()}\ncommit;")  # type: ignore[call-overload]


_MODEL = immich.release(RELEASE)
_ALBUM, _ASSET, _USER = (
    _MODEL.table(table).column(name).name
    for table, name in [("album_user", "albumId"), ("album_asset", "assetId"), ("album_user", "userId")]
)
_ALBUMS = (
    'select id from album where "ownerId" = any(%(users)s)'
    if _MODEL.table("album").has("ownerId")
    else f"""select "{_ALBUM}" from album_user where role = 'owner' and "{_USER}" = any(%(users)s)"""
)
OWNED = {
    "asset": '"ownerId" = any(%(users)s)',
    "album": f"id in ({_ALBUMS})",
    "person": '"ownerId" = any(%(users)s)',
    "stack": '"ownerId" = any(%(users)s)',
    "tag": '"userId" = any(%(users)s)',
    "tag_closure": 'id_descendant in (select id from tag where "userId" = any(%(users)s))',
    **dict.fromkeys(
        ["asset_exif", "asset_file", "asset_job_status", "smart_search", "asset_face"],
        '"assetId" in (select id from asset where "ownerId" = any(%(users)s))',
    ),
    "face_search": """"faceId" in (select asset_face.id from asset_face join asset on asset.id = "assetId"
                                   where "ownerId" = any(%(users)s))""",
    **dict.fromkeys(
        ["album_asset", "tag_asset"], f'"{_ASSET}" in (select id from asset where "ownerId" = any(%(users)s))'
    ),
    "album_user": f'"{_ALBUM}" in ({_ALBUMS})',
    "user": "id = any(%(users)s)",
}
"""Which rows of which table are a user's."""


def rows_of(database: Database, table: str, users: Sequence[UUID]) -> list[str]:
    rows = database.fetch(
        f'select row_to_json(t)::text as row from (select * from "{table}" where {OWNED[table]}) as t order by 1',
        {"users": list(users)},
    )
    return [row.row for row in rows]


def approve(database: Database) -> None:
    """All owners approve what waits in their linked albums."""
    for album in database.fetch("select distinct album_id as id from linked.waiting"):
        database.execute("select linked.approve(%s)", [album.id])


@dataclass
class Household(Immich):
    """A family account with a linked album over its media folder, and linked users: made, or those that are there."""

    database: Database
    running: str = RELEASE
    is_there: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.database, self.running)
        if not self.is_there:
            family, anna, ben, _ = (
                self.create_user(name, admin=name == "Family", label="family" if name == "Family" else None)
                for name in ("Family", "Anna", "Ben", "Clara")
            )
            self.create_album(family, "Linked album", MEDIA, users={anna: "editor", ben: "editor"})
        ids = {
            row.name: row.id
            for row in self.database.fetch('select name, id from "user" union all select "albumName", id from album')
        }
        self.family, self.anna, self.ben = ids["Family"], ids["Anna"], ids["Ben"]
        self.clara: UUID = ids["Clara"]
        """Not linked."""
        self.linked_album = ids["Linked album"]
        self._count = self.count("asset")

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

    def of(self, source: UUID, who: str) -> UUID:
        """A source's member in the account of `family`, `anna` or `ben`."""
        user = getattr(self, who)
        return source if self.asset(source).ownerId == user else self.clone(source, user)

    def of_same_owner(self, source: UUID, member: UUID) -> UUID:
        """The member of a source's group that belongs to the owner of another asset."""
        owner = self.asset(member).ownerId
        return source if self.asset(source).ownerId == owner else self.clone(source, owner)

    def link_folders(self, description: str) -> None:
        """The owner writes other folders into the linked album, and approves them where they have to."""
        self.update_album(self.linked_album, description=description)
        self.approve()

    def approve(self) -> None:
        approve(self.database)

    def set_viewer(self, user: UUID) -> None:
        self.set_role(self.linked_album, user, "viewer")

    def set_editor(self, user: UUID) -> None:
        self.set_role(self.linked_album, user, "editor")

    def count(self, table: str) -> int:
        count = self.database.value(f"select count(*) from {table}")
        assert isinstance(count, int)
        return count

    def rows_of(self, *users: UUID) -> dict[str, list[str]]:
        """Every row of public tables that is, directly or through what it hangs on, one of these users'."""
        return {table: rows_of(self.database, table, users) for table in OWNED}

    def next_write(self) -> None:
        """A moment later somebody who is not linked writes: what sessions left to each other is done."""
        give_up = time.monotonic() + 20
        while True:
            for _ in range(3):
                self.database.execute("delete from linked.pace")
                self.update_usage(self.clara, 1)
            # Transactions of other databases on the server count as well.
            if not self.count("linked.second_look") or time.monotonic() > give_up:
                break
            time.sleep(0.05)
        left = self.database.fetch("select place, tries from linked.note")
        assert not left, left

    def check(self) -> None:
        """Everything that is always true holds, and nothing went wrong unseen."""
        incidents = self.database.fetch("select place, sqlstate, message, context from linked.incident")
        assert not incidents, incidents
        with self.database.connect() as connection:
            found = violations(connection, self.running)
        assert not found, "\n".join(found)
        differences = self.database.fetch(
            "select * from linked.disagreements(array(select source_id from linked.member where asset_id = source_id))"
        )
        assert not differences, differences


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


@pytest.fixture(scope="session")
def household_template(databases: Databases, linked_template: str) -> str:
    def move_in(connection: psycopg.Connection[Any]) -> None:
        database = Database(databases.url(connection.info.dbname))
        Household(database)
        database.close()

    return databases.template("household", move_in, base=linked_template)


@pytest.fixture
def household(databases: Databases, household_template: str) -> Iterator[Household]:
    """Family, Anna and Ben share a linked album (both editors); Clara is not linked. Checked once more at the end."""
    with databases.copy(household_template) as database:
        household = Household(database, is_there=True)
        yield household
        household.check()
