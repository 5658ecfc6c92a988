"""`--sql`: the same as one psql script."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.database import Database
from tests.golden import releases
from tests.release import RELEASE
from tests.shell.conftest import Shell, one_line

ShellFor = Callable[..., Shell]
NEWEST = releases()[-1]
NO_DATABASE = "postgresql://127.0.0.1:1/nowhere"


def test_install_and_remove(
    shell: ShellFor, family: Database, psql: Callable[..., str], pg_dump: Callable[..., str]
) -> None:
    before = pg_dump(family, "--schema-only")
    psql(family, shell(NO_DATABASE).alembic("upgrade", RELEASE, "--sql").stdout)
    assert family.value("select count(*) from linked.queue") == 0
    assert family.value("select count(*) from linked.member where asset_id <> source_id") > 100
    assert "is up to date" in shell(family.url).alembic("upgrade", "head").stderr
    psql(family, shell(NO_DATABASE).alembic("downgrade", f"{RELEASE}:base", "--sql").stdout)
    assert pg_dump(family, "--schema-only") == before


def test_settings_of_the_role_do_not_matter(shell: ShellFor, family: Database, psql: Callable[..., str]) -> None:
    for setting in (
        "statement_timeout = '50ms'",
        "search_path = pg_catalog",
    ):
        family.execute(f"alter role current_user in database {family.value('select current_database()')} set {setting}")
    psql(family, shell(NO_DATABASE).alembic("upgrade", RELEASE, "--sql").stdout)
    assert family.value("select count(*) from linked.queue") == 0
    psql(family, shell(NO_DATABASE).alembic("downgrade", f"{RELEASE}:base", "--sql").stdout)
    assert family.value("select to_regnamespace('linked') is null")


def test_same_objects_as_online(
    shell: ShellFor, immich: Database, psql: Callable[..., str], pg_dump: Callable[..., str]
) -> None:
    shell(immich.url).alembic("upgrade", "head")
    online = pg_dump(immich, "--schema-only")
    shell(immich.url).alembic("downgrade", "base")
    psql(immich, shell(NO_DATABASE).alembic("upgrade", RELEASE, "--sql").stdout)
    assert pg_dump(immich, "--schema-only") == online


def test_is_one_transaction_and_the_same_every_time(shell: ShellFor) -> None:
    script = shell(NO_DATABASE).alembic("upgrade", RELEASE, "--sql").stdout
    assert script == shell(NO_DATABASE).alembic("upgrade", RELEASE, "--sql").stdout
    lines = [line.strip() for line in script.splitlines()]
    assert lines[0] == "\\set ON_ERROR_STOP on"
    assert lines.count("BEGIN;") == lines.count("COMMIT;") == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("alter table asset_file drop column path", f"do not fit {RELEASE}: asset_file.path is missing"),
        ("create schema linked create table theirs (id int)", "exists already and is not ours"),
    ],
)
def test_checks_before_it_changes(
    shell: ShellFor, immich: Database, psql: Callable[..., str], pg_dump: Callable[..., str], damage: str, message: str
) -> None:
    immich.execute(damage)
    before = pg_dump(immich)
    with pytest.raises(RuntimeError, match=message):
        psql(immich, shell(NO_DATABASE).alembic("upgrade", RELEASE, "--sql").stdout)
    assert pg_dump(immich) == before


def test_checks_that_it_is_installed(shell: ShellFor, immich: Database, psql: Callable[..., str]) -> None:
    script = shell(NO_DATABASE).alembic("downgrade", f"{RELEASE}:base", "--sql").stdout
    with pytest.raises(RuntimeError, match="not installed here"):
        psql(immich, script)


def test_not_into_any_database(shell: ShellFor, empty: Database, psql: Callable[..., str]) -> None:
    with pytest.raises(RuntimeError, match="table asset is missing"):
        psql(empty, shell(NO_DATABASE).alembic("upgrade", RELEASE, "--sql").stdout)


@pytest.mark.parametrize(
    ("version", "step"),
    [
        ("v1.138.0", "v1.138.0"),
        ("2.1.3", "v1.138.0"),
        ("v2.4.1", "v2.4.0"),
        ("v3.0.0-rc.1", "v3.0.0"),
        ("v9", NEWEST),
    ],
)
def test_sql_command_writes_the_same(shell: ShellFor, version: str, step: str, tmp_path: Path) -> None:
    """As Alembic does, for the step that is the newest up to a version. What is newer than all is said to be."""
    here, file = shell(NO_DATABASE), tmp_path / "script.sql"
    install = here.linked_asset("sql", "install", "--immich", version)
    assert install.stdout == here.alembic("upgrade", step, "--sql").stdout
    assert ("is newer than the newest known" in install.stderr) == (version == "v9")
    here.linked_asset("sql", "remove", "--immich", version, "--output", str(file))
    assert file.read_text() == here.alembic("downgrade", f"{step}:base", "--sql").stdout


@pytest.mark.parametrize("version", ["v1.137.3", "nonsense", "v", ""])
def test_sql_command_for_an_unknown_immich(shell: ShellFor, version: str) -> None:
    result = shell(NO_DATABASE).linked_asset("sql", "install", "--immich", version, check=False)
    assert f"there is no step for Immich {version}" in one_line(result)
