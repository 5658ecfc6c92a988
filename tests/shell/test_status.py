"""`linked-asset status`."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from linked_asset import __version__
from tests.builders import Immich
from tests.database import Database
from tests.shell.conftest import Shell, inside, one_line

ShellFor = Callable[..., Shell]


@pytest.fixture
def shell() -> ShellFor:
    return inside


@pytest.fixture
def server(immich: Database) -> Immich:
    return Immich(immich)


def status(shell: Shell) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell.linked_asset("status", "--json").stdout)
    return found


def test_a_family(own_process: ShellFor, family: Database) -> None:
    here = own_process(family.url)
    here.alembic("upgrade", "head")
    found = status(here)
    assert found["installed"]["immich"] == "v1.138.0"
    assert found["installed"]["package"] == __version__
    assert found["installed"]["outdated"] == []
    assert found["detected"] == {
        "fits": "v1.138.0",
        "immich_says": "v1.138.0",
        "closest": "v1.138.0",
        "differences": [],
    }
    (album,) = found["albums"]
    assert album["owner"]["name"] == "Family"
    assert [person["role"] for person in album["participants"]] == ["owner", "editor", "editor", "editor"]
    assert all(prefix["matches"] for prefix in album["prefixes"])
    users = {user["name"]: user for user in found["users"]}
    assert users["Family"]["clones"] == 0
    assert users["Anna"]["clones"] == users["Family"]["sources"] > 0
    assert found["queued"] == 0
    assert found["incidents"] == {"count": 0, "latest": []}


def test_what_is_left_out_and_why(shell: ShellFor, server: Immich) -> None:
    family, anna = server.create_user("family"), server.create_user("anna")
    trashed = server.upload(family, "/photos/trashed.jpg")
    server.trash([trashed])
    locked = server.upload(family, "/photos/locked.jpg")
    server.lock(locked)
    shared = server.upload(family, "/photos/shared.jpg")
    server.upload(anna, "/elsewhere/own.jpg", checksum=server.asset(shared).checksum)
    server.upload(family, "/photos/linked.jpg")
    server.create_album(
        family, "Linked Album", "/photos\n/nothing here\nphotos/2020\nSee https://example.org/a", users=[anna]
    )
    here = shell(server.database.url)
    here.alembic("upgrade", "head")
    found = status(here)
    user = next(user for user in found["users"] if user["id"] == str(anna))
    assert user["clones"] == 1
    assert user["left_out"] == {"source_trashed": 1, "own_copy": 1}
    assert found["locked"] == 1
    (album,) = found["albums"]
    assert album["notes"] == [
        "prefix /nothing here matches nothing",
        'the line "photos/2020" is ignored: a prefix starts with /',
    ]


@pytest.mark.parametrize(
    ("line", "deletes", "noted"),
    [
        ("deletes: own", "own", False),
        (" DELETES :own", "own", False),
        ("deletes: all", "all", False),
        ("delete: own", "all", True),
        ("Deletes = own", "all", True),
        ("deletes own", "all", True),
        ("deltes: own", "all", True),
        ("deletes: mine", "all", True),
        ("deletes:", "all", True),
        ("- deletes: own", "all", True),
        ("deletes: own.", "all", True),
        ("deletes: own please", "all", True),
        ("Deleted pictures go to the trash", "all", False),
        ("Details: all", "all", False),
        ("We delete nothing here", "all", False),
        ("", "all", False),
    ],
)
def test_policies(shell: ShellFor, server: Immich, line: str, deletes: str, noted: bool) -> None:
    family, anna = server.create_user("family"), server.create_user("anna")
    server.upload(family, "/photos/1.jpg")
    server.create_album(family, "Linked album", f"/photos\n{line}", users=[anna])
    here = shell(server.database.url)
    assert ("deletes: own" in here.alembic("upgrade", "head").stderr) == (deletes == "own")
    (album,) = status(here)["albums"]
    assert album["deletes"] == deletes
    policy = 'a policy is the line "deletes: own" or "deletes: all"'
    assert album["notes"] == ([f'the line "{line.strip()}" is ignored: {policy}'] if noted else [])
    assert ("deletes: own, " in here.linked_asset("status").stdout) == (deletes == "own")
    if noted:
        assert policy in here.linked_asset("doctor").stdout


def test_policies_that_contradict_each_other(shell: ShellFor, server: Immich) -> None:
    family, anna = server.create_user("family"), server.create_user("anna")
    server.upload(family, "/photos/1.jpg")
    server.create_album(family, "Linked album", "deletes: own\n/photos\ndeletes: all", users=[anna])
    here = shell(server.database.url)
    here.alembic("upgrade", "head")
    (album,) = status(here)["albums"]
    assert (album["deletes"], album["notes"]) == ("own", ['of "deletes: own" and "deletes: all" the first counts'])


def test_dismissed_queued_and_awaiting_deletion(shell: ShellFor, server: Immich) -> None:
    family, viewer, leaving = (server.create_user(name) for name in ("family", "viewer", "leaving"))
    here = shell(server.database.url)
    here.alembic("upgrade", "head")
    server.soft_delete_user(leaving)
    photo = server.upload(family, "/photos/1.jpg")
    server.database.execute("insert into linked.dismissal (source_id, user_id) values (%s, %s)", [photo, viewer])
    server.create_album(family, "Linked Album", "/photos", users={leaving: "editor"})
    join_as_viewer = "insert into linked.participant select album_id, %s, 'viewer' from linked.linked_album"
    server.database.execute(join_as_viewer, [viewer])
    found = {user["id"]: user["left_out"] for user in status(here)["users"]}
    assert found[str(viewer)] == {"dismissed": 1}
    assert found[str(leaving)] == {"user_awaits_deletion": 1}
    server.database.execute("delete from linked.dismissal")
    server.database.execute("insert into linked.queue (source_id) values (%s)", [photo])
    found = status(here)
    assert found["queued"] == 1
    assert next(user for user in found["users"] if user["id"] == str(viewer))["left_out"] == {"queued": 1}


def test_for_people(own_process: ShellFor, family: Database) -> None:
    here = own_process(family.url)
    here.alembic("upgrade", "head")
    family.execute(
        "insert into linked.incident (place, sqlstate, message, context)"
        " values ('asset update', '42703', 'no [such] column', '')"
    )
    result = here.linked_asset("status")
    assert result.stderr == ""
    for words in ("linked album family", "/mnt/scans", "Anna (editor)", "asset update: no [such] column (42703)"):
        assert words.split()[0] in result.stdout


def test_piped_it_is_one_line_for_each_thing_and_nothing_is_cut(shell: ShellFor, server: Immich) -> None:
    family, anna = server.create_user("family " + "x" * 200), server.create_user("anna")
    folders = [f"/photos/{number:03}/{'y' * 100}" for number in range(100)]
    server.upload(family, f"{folders[0]}/1.jpg")
    server.create_album(family, "Linked album\nof us", "\n".join(folders), users=[anna])
    here = shell(server.database.url)
    here.alembic("upgrade", "head")
    lines = here.linked_asset("status").stdout.splitlines()
    (album,) = [line for line in lines if line.startswith("Linked album: ")]
    assert album.startswith("Linked album: Linked album of us; ")
    assert ", ".join(folders[:5]) + ", and 95 more" in album
    assert folders[5] + "," not in album
    assert f"Owner: family {'x' * 200}; " in album
    assert "anna (editor)" in album
    assert [line.split(";")[0] for line in lines if line.startswith("User: ")] == [
        "User: anna",
        f"User: family {'x' * 200}",
    ]
    assert len(lines) < 10
    assert "prefix /photos/099/" in here.linked_asset("doctor").stdout


def test_on_a_terminal_it_is_a_table(monkeypatch: pytest.MonkeyPatch, server: Immich) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    family = server.create_user("family")
    server.create_album(family, "Linked album [red]", "\n".join(f"/photos/{number}" for number in range(9)))
    here = inside(server.database.url)
    here.alembic("upgrade", "head")
    shown = here.linked_asset("status").stdout
    assert "┃" not in shown
    assert "[red]" in shown
    assert "and 4 more" in shown
    assert "\x1b[32mInstalled for" in shown


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_it_fits(monkeypatch: pytest.MonkeyPatch, server: Immich, columns: int) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    family = server.create_user("family " + "x" * 30)
    others = [server.create_user(f"{name}") for name in ("Anna", "Ben")]
    description = "/mnt/photos\n/data/library/nothing here\ndelete: own\nphotos/2020"
    server.upload(family, "/mnt/photos/1.jpg")
    server.create_album(family, "Linked album of the whole family", description, users=others)
    here = inside(server.database.url)
    here.alembic("upgrade", "head")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", here.linked_asset("status").stdout)
    assert max(map(len, shown.splitlines())) <= columns
    words = " ".join(shown.split())
    for note in ("matches nothing", "a policy is the line", "a prefix starts with /"):
        assert note in words


def test_suspended(shell: ShellFor, immich: Database) -> None:
    here = shell(immich.url)
    here.alembic("upgrade", "head")
    immich.execute("update linked.installation set suspended_at = now(), suspended_why = 'a column is gone'")
    found = status(here)["installed"]
    assert found["suspended_why"] == "a column is gone"
    assert any("suspended" in line for line in found["outdated"])
    assert "sync has been suspended since" in one_line(here.linked_asset("status", "--check", check=False))


def test_a_check_says_nothing_if_sync_is_at_work(shell: ShellFor, immich: Database) -> None:
    here = shell(immich.url)
    assert "not installed" in one_line(here.linked_asset("status", "--check", check=False))
    here.alembic("upgrade", "head")
    checked = here.linked_asset("status", "--check")
    assert (checked.stdout, checked.stderr) == ("", "")


def test_no_linked_album(shell: ShellFor, immich: Database) -> None:
    here = shell(immich.url)
    assert "there is no linked album yet" in here.alembic("upgrade", "head").stderr
    assert "There is no linked album" in here.linked_asset("status").stdout


def test_version_and_help(shell: ShellFor) -> None:
    here = shell("")
    assert __version__ in here.linked_asset("--version").stdout
    for command in ("ini", "status"):
        assert command in here.linked_asset("--help").stdout
        assert here.linked_asset(command, "--help").stdout
    assert here.linked_asset("ini").stdout.strip() == str(here.ini)
