"""`linked-asset plan`: what would be linked, while nothing is."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.builders import Immich
from tests.database import Database
from tests.linked.conftest import MEDIA
from tests.shell.conftest import Shell, inside

ShellFor = Callable[..., Shell]


@pytest.fixture
def home(immich: Database) -> Immich:
    """A family with three pictures under the prefix; Anna has uploaded one of them herself, Ben one of his own."""
    home = Immich(immich)
    family, anna, ben, clara = (home.create_user(name) for name in ("Family", "Anna", "Ben", "Clara"))
    for number in range(3):
        home.process(home.upload(family, f"{MEDIA}/{number}.jpg", checksum=bytes([number])), fileSizeInByte=1000)
    home.upload(anna, f"/data/upload/{anna}/0.jpg", checksum=bytes([0]))
    home.upload(ben, f"/data/upload/{ben}/9.jpg", checksum=bytes([9]))
    home.upload(clara, f"/data/upload/{clara}/1.jpg", checksum=bytes([1]))
    home.create_album(family, "Linked album", MEDIA, users=[anna, ben])
    return home


def plan(database: Database) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside(database.url).linked_asset("plan", "--json").stdout)
    return found


def test_for_whom_and_how_much(immich: Database, home: Immich, pg_dump: Callable[..., str]) -> None:
    before = pg_dump(immich)
    found = plan(immich)
    assert pg_dump(immich) == before
    users = {user["name"]: user for user in found["users"]}
    assert set(users) == {"Family", "Anna", "Ben"}
    assert (users["Anna"]["to_link"], users["Anna"]["saved_bytes"]) == (2, 2000)
    assert users["Anna"]["left_out"] == {"own_copy": {"media": 1, "bytes": 1000}}
    assert (users["Ben"]["to_link"], users["Ben"]["saved_bytes"], users["Ben"]["left_out"]) == (3, 3000, {})
    assert found["clones"] == 5
    assert [album["name"] for album in found["albums"]] == ["Linked album"]
    assert found["bytes"] > 0


def test_the_plan_comes_true(immich: Database, home: Immich) -> None:
    wanted = plan(immich)
    counted = "select count(*) from asset"
    before = immich.value(counted)
    rows = sum(immich.value(f"select count(*) from {table}") for table in ("asset", "asset_exif", "asset_file"))
    inside(immich.url).linked_asset("upgrade")
    assert immich.value(counted) - before == wanted["clones"]
    after = sum(immich.value(f"select count(*) from {table}") for table in ("asset", "asset_exif", "asset_file"))
    assert after - rows <= wanted["rows"]
    assert (plan(immich)["clones"], plan(immich)["rows"]) == (0, 0)


def test_on_paper(immich: Database, home: Immich, shell: ShellFor) -> None:
    said = shell(immich.url).linked_asset("plan").stdout
    assert "User: Anna; Would get: 2 media; Saves: 2.0 kB; Stored twice today: 1 media, 1.0 kB" in said
    assert "5 clones" in said
    assert "Nothing has been changed" in said


def test_locks_nothing(immich: Database, home: Immich) -> None:
    """Immich writes, and somebody holds its tables, while the plan is made."""
    with immich.connect(autocommit=False) as busy:
        busy.execute("lock table asset, album in row exclusive mode")
        assert plan(immich)["clones"] == 5


def test_no_album(immich: Database, shell: ShellFor) -> None:
    said = shell(immich.url).linked_asset("plan").stdout
    assert "There is no linked album" in said
