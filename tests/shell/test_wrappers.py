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


def test_a_version_without_a_step_of_its_own(shell: ShellFor, immich: Database) -> None:
    assert "installs for Immich v1.138.0" in shell(immich.url).linked_asset("upgrade", "2.1.3").stderr
    assert "do not fit v3.0.0" in one_line(shell(immich.url).linked_asset("upgrade", "v3.1.0", check=False))
    assert "no step for Immich v1.100.0" in one_line(shell(immich.url).linked_asset("upgrade", "v1.100.0", check=False))


def test_alone_it_shows_help(shell: ShellFor) -> None:
    said = shell("postgresql://nobody@127.0.0.1:1/nothing").linked_asset(check=False)
    assert "linked-asset upgrade" in said.stdout + said.stderr
