"""Alembic's commands by the name of the package."""

from collections.abc import Callable

from tests.database import Database
from tests.release import RELEASE
from tests.shell.conftest import Shell, one_line

ShellFor = Callable[..., Shell]


def test_from_nothing_to_nothing(shell: ShellFor, immich: Database, pg_dump: Callable[..., str]) -> None:
    before = pg_dump(immich, "--schema-only")
    here = shell(immich.url)
    assert f"installs for Immich {RELEASE}" in here.linked_asset("upgrade").stderr
    assert RELEASE in here.linked_asset("current").stdout
    assert f"{RELEASE} (current)" in here.linked_asset("history", "--indicate-current").stdout
    here.linked_asset("downgrade", "base")
    assert pg_dump(immich, "--schema-only") == before


def test_a_version_that_does_not_exist(shell: ShellFor, immich: Database) -> None:
    assert "nonsense" in one_line(shell(immich.url).linked_asset("upgrade", "nonsense", check=False))


def test_alone_it_shows_help(shell: ShellFor) -> None:
    said = shell("postgresql://nobody@127.0.0.1:1/nothing").linked_asset(check=False)
    assert "linked-asset upgrade" in said.stdout + said.stderr
