"""What a real Immich wrote for a small family, of whatever release the other tests are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg
import pytest

from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.doctor import PROBLEM, examine
from sample import FAMILIES, create_immich, load_family
from tests.builders import Immich
from tests.database import Databases
from tests.linked.invariants import violations
from tests.linked.test_reconcile import run
from tests.shell.conftest import inside


class Family(Immich):
    """Four accounts, 105 assets: a live photo, an external library, faces, tags, albums, a stack."""

    def user(self, name: str) -> UUID:
        return self.database.value('select id from "user" where name = %s', [name])  # type: ignore[no-any-return]

    def linked(self, name: str) -> list[UUID]:
        """Pictures of this account that are linked, by file name."""
        rows = self.database.fetch(
            """select asset.id from asset join linked.member on asset_id = asset.id
               where "ownerId" = %s and type = 'IMAGE' and visibility = 'timeline' and "deletedAt" is null
               order by "originalFileName" """,
            [self.user(name)],
        )
        return [row.id for row in rows]

    def check(self) -> None:
        assert self.database.fetch("select place, message from linked.incident") == []
        with self.database.connect() as connection:
            assert violations(connection, self.release.name) == []
        with connected(engine_for(database_url({"DB_URL": self.database.url}))) as connection:
            assert [finding for finding in examine(connection) if finding.kind == PROBLEM] == []
        assert run(self.database, dry_run=True).differences == []


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Family]:
    def write(connection: psycopg.Connection) -> None:
        create_immich(connection, request.param)
        load_family(connection, request.param)

    with databases.copy(databases.template(f"written_{request.param}", write)) as database:
        yield Family(database, request.param)


def install(family: Family) -> None:
    inside(family.database.url).alembic("upgrade", "head")


def test_everything_of_the_family_s_is_linked(family: Family) -> None:
    install(family)
    family.check()
    seen = {name: len(family.linked(name)) for name in ("Family", "Anna", "Ben", "Clara")}
    assert seen == dict.fromkeys(seen, 63)


ACTS: dict[str, Callable[[Family, str], object]] = {
    "edit": lambda family, who: family.update_all_exif(family.linked(who)[:3], description="By the sea", rating=4),
    "album": lambda family, who: family.create_album(family.user(who), "Calendar", assets=family.linked(who)[:3]),
    "tag": lambda family, who: family.bulk_tag(
        [family.upsert_tag(family.user(who), "Print/Large")], family.linked(who)[:2]
    ),
    "stack": lambda family, who: family.create_stack(family.user(who), family.linked(who)[-3:]),
    "name": lambda family, who: family.update_person(
        family.database.value(
            """select id from person where "ownerId" = %s and name = '' order by id limit 1""", [family.user(who)]
        ),
        name="Grandma",
    ),
    "jobs": lambda family, who: [family.process(photo) for photo in family.linked(who)[:2]],
    "trash": lambda family, who: family.trash(family.linked(who)[:2]),
    "delete": lambda family, who: (family.force_delete(family.linked(who)[5:7]), family.run_deletions()),
}  # fmt: skip


@pytest.mark.parametrize("who", [pytest.param("Family", marks=pytest.mark.slow), "Anna"])
def test_what_anybody_does_is_the_same_for_all(family: Family, who: str) -> None:
    install(family)
    for act in ACTS.values():
        act(family, who)
        family.check()


def test_removed_it_has_never_been_there(family: Family, pg_dump: Callable[..., str]) -> None:
    schema, rows = pg_dump(family.database, "--schema-only"), contents(family)
    install(family)
    assert contents(family) != rows
    inside(family.database.url).alembic("downgrade", "base")
    assert pg_dump(family.database, "--schema-only") == schema
    assert contents(family) == rows


def contents(family: Family) -> dict[str, list[str]]:
    """Every row; less what Immich's apps are told about rows that are gone, and the names that persons were given."""
    tables = {table.name: "t" for table in family.release if not table.name.endswith("_audit")} | {"person": "t.id"}
    return {
        table: [
            row.line for row in family.database.fetch(f'select {row}::text as line from public."{table}" t order by 1')
        ]
        for table, row in tables.items()
    }
