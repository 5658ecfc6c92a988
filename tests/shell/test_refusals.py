"""A database that will not do: one clear line, exit code 1, nothing changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests.database import Database
from tests.shell.conftest import Shell, inside, one_line

ShellFor = Callable[..., Shell]


@pytest.fixture
def shell() -> ShellFor:
    return inside


def upgrade(shell: ShellFor, url: str, target: str = "head") -> str:
    return one_line(shell(url).alembic("upgrade", target, check=False))


def test_missing_database(own_process: ShellFor, server: str) -> None:
    url = make_url(server).set(database="nowhere").render_as_string(hide_password=False)
    line = upgrade(own_process, url)
    assert 'there is no such database: database "nowhere"' in line
    assert one_line(own_process(url).linked_asset("status", check=False)) == line


def test_nobody_listens(shell: ShellFor) -> None:
    assert "cannot connect" in upgrade(shell, "postgresql://u:secret@127.0.0.1:1/immich")


def test_unknown_host(shell: ShellFor) -> None:
    line = upgrade(
        shell,
        "",
    )
    assert 'database "immich" at database:5432' in line


def test_unknown_role(shell: ShellFor, server: str) -> None:
    url = make_url(server).set(username="nobody_knows", password="secret")
    line = upgrade(shell, url.render_as_string(hide_password=False))
    assert "does not let us in" in line
    assert "secret" not in line


def test_bad_configuration(shell: ShellFor) -> None:
    assert upgrade(shell, "mysql://h/d").startswith("DB_URL: is not of the form")


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
def test_another_kind_of_database(shell: ShellFor, empty: Database, pg_dump: Callable[..., str], command: str) -> None:
    before = pg_dump(empty)
    result = shell(empty.url).alembic(command, "head" if command == "upgrade" else "base", check=False)
    if command == "upgrade":
        assert "is not an Immich database: it has no table asset" in one_line(result)
    else:
        assert "not installed" in result.stderr
    assert pg_dump(empty) == before


def test_immich_with_plural_tables(shell: ShellFor, empty: Database, pg_dump: Callable[..., str]) -> None:
    for table in ("assets", "albums", "users"):
        empty.execute(sql.SQL("create table {} (id uuid primary key)").format(sql.Identifier(table)))
    before = pg_dump(empty)
    assert "Immich is older than v1.138.0" in upgrade(shell, empty.url)
    assert pg_dump(empty) == before


def test_immich_that_says_it_is_older(shell: ShellFor, immich: Database) -> None:
    immich.execute("update version_history set version = '1.137.3'")
    assert "Immich is older than v1.138.0 (v1.137.3)" in upgrade(shell, immich.url)


@pytest.mark.parametrize("target", ["head", "v1.138.0"])
def test_tables_that_do_not_fit(shell: ShellFor, immich: Database, pg_dump: Callable[..., str], target: str) -> None:
    immich.execute('alter table asset_file drop column "path"')
    immich.execute("alter table asset_exif alter column iso type text")
    immich.execute("alter table asset add column news integer not null")
    immich.execute("drop table smart_search")
    before = pg_dump(immich)
    line = upgrade(shell, immich.url, target)
    for difference in (
        "asset_file.path is missing",
        "asset_exif.iso is text instead of integer",
        "asset.news (integer, not null, no default) is unknown",
        "table smart_search is missing",
    ):
        assert difference in line
    assert pg_dump(immich) == before


def test_a_column_that_nobody_would_sync(shell: ShellFor, immich: Database) -> None:
    immich.execute('alter table asset_job_status add column "ocrAt" timestamptz')
    assert "asset_job_status.ocrAt (timestamp with time zone) is unknown" in upgrade(shell, immich.url)


def test_columns_that_do_not_concern_us(shell: ShellFor, immich: Database) -> None:
    immich.execute('alter table "user" drop column "pinCode"')
    immich.execute("alter table album add column news integer")
    immich.execute("create table news (id uuid)")
    assert shell(immich.url).alembic("upgrade", "head").returncode == 0


def test_a_key_that_we_need(shell: ShellFor, immich: Database) -> None:
    immich.execute("alter table tag_asset drop constraint tag_asset_pkey")
    assert "tag_asset has no unique key on assetsId, tagsId" in upgrade(shell, immich.url)


def test_an_unknown_revision(shell: ShellFor, immich: Database) -> None:
    assert "v9.9.9" in upgrade(shell, immich.url, "v9.9.9")


def test_a_stamp_has_no_script(shell: ShellFor) -> None:
    """It would leave a version table, and nothing installed."""
    line = one_line(shell("postgresql://127.0.0.1:1/nowhere").alembic("stamp", "head", "--sql", check=False))
    assert "a stamp only says what is installed" in line


def test_somebody_elses_schema(shell: ShellFor, immich: Database, pg_dump: Callable[..., str]) -> None:
    immich.execute("create schema linked")
    immich.execute("create function linked.sync() returns trigger language plpgsql as 'begin return new; end'")
    immich.execute("create trigger sync_asset after insert on asset for each row execute function linked.sync()")
    before = pg_dump(immich)
    for command in (("upgrade", "head"), ("downgrade", "base")):
        line = one_line(shell(immich.url).alembic(*command, check=False))
        assert 'schema "linked" exists already and is not ours' in line
        assert "immich-linked-assets" in line
        assert "immich_delete_linked_asset.sql" in line
        assert "drop trigger sync_asset on asset; drop schema linked cascade" in line
    assert pg_dump(immich) == before
    immich.execute("drop trigger sync_asset on asset; drop schema linked cascade")
    shell(immich.url).alembic("upgrade", "head")


def test_an_empty_schema_is_nobodys(shell: ShellFor, immich: Database) -> None:
    immich.execute("create schema linked")
    shell(immich.url).alembic("upgrade", "head")


@contextmanager
def role(database: Database, *grants: str) -> Iterator[str]:
    """The URL of a role that may log in, and has no more rights than these."""
    name = f"linked_test_role_{psycopg.conninfo.conninfo_to_dict(database.url)['dbname']}"
    with database.connect() as connection:
        connection.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
        try:
            for grant in grants:
                connection.execute(sql.SQL(grant).format(role=sql.Identifier(name)))
            yield make_url(database.url).set(username=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(name)))


def test_a_role_without_rights(shell: ShellFor, immich: Database, pg_dump: Callable[..., str]) -> None:
    before = pg_dump(immich)
    with role(immich, "grant select on all tables in schema public to {role}") as url:
        line = upgrade(shell, url)
    assert "lacks a right: to act as " in line
    assert "which owns Immich's tables: use that role" in line
    assert pg_dump(immich) == before


def test_a_role_that_only_reads(shell: ShellFor, immich: Database, pg_dump: Callable[..., str]) -> None:
    """Nothing that it could do with more rights on tables would help."""
    before = pg_dump(immich)
    with role(immich, "alter role {role} set default_transaction_read_only = on", "grant postgres to {role}") as url:
        result = shell(url).alembic("upgrade", "head", check=False)
    assert result.returncode == 1
    assert "can only be read" in result.stderr.splitlines()[-1]
    assert "run the same command again" not in result.stderr
    assert pg_dump(immich) == before


def test_a_role_that_may_not_read(shell: ShellFor, immich: Database) -> None:
    with role(immich) as url:
        assert "lacks a right: " in upgrade(shell, url)
        assert "linked-asset" not in upgrade(shell, url)


def test_status_before_installation(shell: ShellFor, immich: Database) -> None:
    line = one_line(shell(immich.url).linked_asset("status", check=False))
    assert "not installed" in line
