"""Settings of a role or a database: those that do not matter to our commands, and those that keep sync from working."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.exc import DBAPIError

from linked_asset.config import database_url
from linked_asset.database import DEBUG, connected, engine_for
from linked_asset.errors import UnexpectedError
from tests.database import Database
from tests.release import RELEASE
from tests.shell.conftest import Shell, inside, one_line

ShellFor = Callable[..., Shell]


@pytest.fixture
def shell() -> ShellFor:
    return inside


ODD = {
    "statement_timeout": "2s",
    "lock_timeout": "5ms",
    "idle_session_timeout": "100ms",
    "idle_in_transaction_session_timeout": "100ms",
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kolkata",
    "search_path": "nowhere",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
}


def configure(database: Database, **settings: str) -> None:
    statement = sql.SQL("alter database {} set {} = {}")
    with database.connect() as connection:
        name = sql.Identifier(connection.info.dbname)
        for setting, value in settings.items():
            connection.execute(statement.format(name, sql.SQL(setting), sql.Literal(value)))


def examined(shell: Shell) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(shell.linked_asset("doctor", "--json", check=False).stdout)
    return [finding for finding in found if finding["check"] == "settings"]


def test_settings_that_do_not_matter(own_process: ShellFor, family: Database) -> None:
    assets = family.value("select count(*) from asset")
    here = own_process(family.url)
    configure(family, **ODD)
    assert "installs for Immich v1.138.0" in here.alembic("upgrade", "head").stderr
    assert here.alembic("upgrade", "head").stderr.startswith("linked-asset: is up to date for Immich v1.138.0\n")
    assert here.alembic("current").stdout.startswith("v1.138.0")
    found = json.loads(here.linked_asset("status", "--json").stdout)
    assert (found["detected"]["fits"], found["installed"]["outdated"]) == ("v1.138.0", [])
    assert sum(user["clones"] for user in found["users"]) > 100
    assert json.loads(here.linked_asset("reconcile", "--json").stdout)["differences"] == 0
    findings = json.loads(here.linked_asset("doctor", "--json", check=False).stdout)
    assert [finding for finding in findings if finding["kind"] == "problem"] == []
    here.alembic("downgrade", "base")
    assert family.value("select count(*) from asset") == assets
    assert family.value("select to_regnamespace('linked') is null")


def test_they_do_not_matter_to_the_scripts(
    family: Database, psql: Callable[..., str], pg_dump: Callable[..., str]
) -> None:
    """Every setting alone, so that no other one hides it."""
    before = pg_dump(family, "--schema-only", "--schema=public")
    here = inside(family.url)
    scripts = [here.linked_asset("sql", what, "--immich", RELEASE).stdout for what in ("install", "remove")]
    odd = {
        **ODD,
        "statement_timeout": "50ms",
        "default_transaction_read_only": "on",
        "session_replication_role": "replica",
        "row_security": "off",
        "transaction_timeout": "200ms",
    }
    known = {row.name for row in family.fetch("select lower(name) as name from pg_settings")}
    name = sql.Identifier(str(family.value("select current_database()")))
    for setting in odd.keys() & known:
        configure(family, **{setting: odd[setting]})
        psql(family, scripts[0], "--set=AUTOCOMMIT=off")
        with family.connect() as connection:
            connection.execute("set session_replication_role = origin; set default_transaction_read_only = off")
            assert connection.execute("select count(*) from linked.queue").fetchone() == (0,)
        psql(family, scripts[1], "--set=AUTOCOMMIT=off")
        with family.connect() as connection:
            connection.execute("set default_transaction_read_only = off")
            connection.execute(sql.SQL("alter database {} reset all").format(name))
    assert pg_dump(family, "--schema-only", "--schema=public") == before


@pytest.fixture(params=["database {database}", "role {role}", "role {role} in database {database}"])
def place(request: pytest.FixtureRequest, immich: Database) -> Iterator[str]:
    """What `alter` says, of a role that may write."""
    with immich.connect() as connection:
        role = f"writer_of_{connection.info.dbname}"
        connection.execute(f"create role {role}; grant update on asset to {role}")  # type: ignore[call-overload]
        yield request.param.format(role=role, database=connection.info.dbname)
        connection.execute(f"drop owned by {role}; drop role {role}")  # type: ignore[call-overload]


def test_another_isolation_is_refused(
    shell: ShellFor, immich: Database, pg_dump: Callable[..., str], psql: Callable[..., str], place: str
) -> None:
    """Under which Immich's own statements fail with 40001 where sync has written a row meanwhile."""
    here = shell(immich.url)
    install, remove = (here.linked_asset("sql", what, "--immich", RELEASE).stdout for what in ("install", "remove"))
    before = pg_dump(immich)
    level = "serializable" if place.startswith("database") else "repeatable read"
    with immich.connect() as connection:
        connection.execute(f"alter {place} set default_transaction_isolation = '{level}'")  # type: ignore[call-overload]
        line = one_line(here.alembic("upgrade", "head", check=False))
        assert place in line
        assert level in line
        with pytest.raises(RuntimeError, match=f"{place}: the default isolation is {level}.*\n.*{line.split('`')[1]}"):
            psql(immich, install)
        assert pg_dump(immich) == before
        connection.execute(line.split("`")[1])  # type: ignore[call-overload]
        psql(immich, install)
        assert examined(here) == []
        connection.execute(f"alter {place} set default_transaction_isolation = '{level}'")  # type: ignore[call-overload]
        psql(immich, remove)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("default_transaction_isolation", "serializable", "problem"),
        ("session_replication_role", "replica", "problem"),
        ("linked.writing", "on", "advice"),
    ],
)
def test_doctor_tells_what_keeps_sync_from_working(
    shell: ShellFor, immich: Database, name: str, value: str, kind: str
) -> None:
    here = shell(immich.url)
    here.alembic("upgrade", "head")
    configure(immich, **{name: value})
    (finding,) = examined(here)
    assert finding["kind"] == kind
    assert f"{name} is {value} for database" in finding["what"]
    with immich.connect() as connection:
        connection.execute("set default_transaction_isolation = 'read committed'")
        connection.execute(finding["remedy"].split("`")[1])  # type: ignore[call-overload]
    assert examined(here) == []


def test_a_role_that_does_not_write_may_have_what_it_likes(shell: ShellFor, immich: Database) -> None:
    with immich.connect() as connection:
        role = f"reader_of_{connection.info.dbname}"
        connection.execute(f"create role {role}; alter role {role} set default_transaction_isolation = serializable")  # type: ignore[call-overload]
        try:
            here = shell(immich.url)
            here.alembic("upgrade", "head")
            assert examined(here) == []
        finally:
            connection.execute(f"drop role {role}")  # type: ignore[call-overload]


def test_upgrade_says_when_sync_is_suspended_at_its_end(shell: ShellFor, family: Database) -> None:
    family.execute(
        """create function meanwhile() returns trigger language plpgsql as $$ begin
             update linked.installation set suspended_at = now(), suspended_why = 'asset.news is unknown';
             return null;
           end $$"""
    )
    family.execute(
        "create trigger meanwhile after insert on asset_exif for each statement execute function meanwhile()"
    )
    line = shell(family.url).alembic("upgrade", "head", check=False)
    assert line.returncode == 1
    assert "suspended again while linking" in line.stderr.splitlines()[-1]
    assert "asset.news is unknown" in line.stderr.splitlines()[-1]


@pytest.mark.parametrize("debug", [False, True])
def test_errors_of_the_database(immich: Database, monkeypatch: pytest.MonkeyPatch, debug: bool) -> None:
    expected: type[Exception] = DBAPIError if debug else UnexpectedError
    if debug:
        monkeypatch.setenv(DEBUG, "1")
    else:
        monkeypatch.delenv(DEBUG, raising=False)
    engine = engine_for(database_url({"DB_URL": immich.url}))
    with pytest.raises(expected, match="division by zero"), connected(engine) as connection:
        connection.execute(sa.text("select 1 / 0"))


@pytest.mark.parametrize("debug", [False, True])
def test_debug_shows_a_traceback(own_process: ShellFor, family: Database, debug: bool) -> None:
    here = own_process(family.url)
    here.alembic("upgrade", "head")
    family.execute(
        "create or replace function linked.assets_of_albums(p_albums uuid[]) returns uuid[] language plpgsql "
        "as 'begin raise ''on purpose''; end'"
    )
    arguments: list[Any] = ["--debug"] if debug else []
    result = here.linked_asset(*arguments, "status", check=False)
    assert result.returncode == 1
    assert ("Traceback" in result.stderr) == debug
    assert "on purpose" in result.stderr
    assert debug or len(result.stderr.splitlines()) == 1
