"""Roles that are not the owner of Immich's tables: what they may, and what they are told that they lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests.database import Database
from tests.shell.conftest import inside, one_line


@pytest.fixture
def owner(immich: Database) -> Iterator[str]:
    """The role that owns Immich's tables, and may create schemas; no superuser."""
    name = f"owner_of_{psycopg.conninfo.conninfo_to_dict(immich.url)['dbname']}"
    role, database = sql.Identifier(name), sql.Identifier(str(immich.value("select current_database()")))
    immich.execute(sql.SQL("create role {} login").format(role))
    try:
        immich.execute(sql.SQL("alter schema public owner to {}").format(role))
        immich.execute(sql.SQL("grant create on database {} to {}").format(database, role))
        for row in immich.fetch("select tablename as name from pg_tables where schemaname = 'public'"):
            immich.execute(sql.SQL("alter table {} owner to {}").format(sql.Identifier(row.name), role))
        yield name
    finally:
        immich.execute(sql.SQL("reassign owned by {0} to current_user; drop owned by {0}").format(role))
        immich.execute(sql.SQL("drop role {}").format(role))


@contextmanager
def role(immich: Database, owner: str, *grants: str) -> Iterator[str]:
    """The URL of another one, with these rights."""
    name = f"other_than_{owner}"
    immich.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
    try:
        for grant in grants:
            immich.execute(sql.SQL(grant).format(role=sql.Identifier(name), owner=sql.Identifier(owner)))
        yield make_url(immich.url).set(username=name).render_as_string(hide_password=False)
    finally:
        immich.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(name)))


def owners(immich: Database) -> set[str]:
    rows = immich.fetch(
        """select nspowner::regrole::text as owner from pg_namespace where nspname = 'linked'
           union select relowner::regrole::text from pg_class where relnamespace = 'linked'::regnamespace
           union select proowner::regrole::text from pg_proc where pronamespace = 'linked'::regnamespace"""
    )
    return {row.owner for row in rows}


def test_a_member_that_does_not_inherit_has_all_that_it_takes(immich: Database, owner: str) -> None:
    with role(immich, owner, "alter role {role} noinherit", "grant {owner} to {role}") as url:
        here = inside(url)
        here.alembic("upgrade", "head")
        assert owners(immich) == {owner}
        assert "is up to date" in here.alembic("upgrade", "head").stderr
        assert here.linked_asset("doctor").stdout == ""
        here.linked_asset("status")
        here.linked_asset("reconcile")
        here.alembic("downgrade", "base")


def test_neither_it_nor_the_owner_may_create_a_schema(immich: Database, owner: str) -> None:
    database = sql.Identifier(str(immich.value("select current_database()")))
    immich.execute(sql.SQL("revoke create on database {} from {}").format(database, sql.Identifier(owner)))
    with role(immich, owner, "grant {owner} to {role}") as url:
        line = one_line(inside(url).alembic("upgrade", "head", check=False))
        assert f"lacks a right: CREATE on database {immich.value('select current_database()')}, for {owner}" in line
        immich.execute(
            sql.SQL("grant create on database {} to {}").format(database, sql.Identifier(f"other_than_{owner}"))
        )
        inside(url).alembic("upgrade", "head")
        assert owners(immich) == {owner}
        inside(url).alembic("downgrade", "base")


def test_a_member_that_may_not_become_the_owner(immich: Database, owner: str) -> None:
    if int(immich.value("show server_version_num")) < 160000:
        pytest.skip("every member may")
    with role(immich, owner, "grant {owner} to {role} with set false") as url:
        line = one_line(inside(url).alembic("upgrade", "head", check=False))
        assert f"lacks a right: to act as {owner}, which owns Immich's tables: use that role" in line
        assert "; " not in line
        immich.execute(line.split("`")[1])
        inside(url).alembic("upgrade", "head")
        immich.execute(
            sql.SQL("grant {} to {} with set false").format(
                sql.Identifier(owner), sql.Identifier(f"other_than_{owner}")
            )
        )
        for command in (("upgrade", "head"), ("downgrade", "base")):
            immich.execute("update linked.installation set script_sha256 = ''")
            result = inside(url).alembic(*command, check=False)
            assert result.returncode == 1
            assert f"lacks a right: to act as {owner}" in result.stderr.splitlines()[-1]
        assert inside(url).linked_asset("status").returncode == 0


@pytest.mark.parametrize("rights", ["nothing", "select on Immich's tables", "select on all"])
@pytest.mark.parametrize("command", ["status", "doctor", "reconcile", "upgrade", "current", "downgrade"])
def test_a_role_that_only_reads(
    immich: Database, owner: str, pg_dump: Callable[..., str], rights: str, command: str
) -> None:
    make = inside(immich.url)
    make.alembic("upgrade", "head")
    immich.execute("update linked.installation set script_sha256 = ''")
    grants = {
        "nothing": ("revoke usage on schema public from public",),
        "select on Immich's tables": ("grant select on all tables in schema public to {role}",),
        "select on all": (
            "grant select on all tables in schema public to {role}",
            "grant usage on schema linked to {role}",
            "grant select on all tables in schema linked to {role}",
        ),
    }[rights]
    with role(immich, owner, *grants) as url:
        here, before = inside(url), pg_dump(immich)
        arguments = {"upgrade": ("upgrade", "head"), "downgrade": ("downgrade", "base")}.get(command, (command,))
        run = here.alembic if command in ("upgrade", "downgrade", "current") else here.linked_asset
        result = run(*arguments, check=False)
        assert "Traceback" not in result.stderr
        if result.returncode == 0:
            assert rights == "select on all"
            assert command in ("status", "doctor", "current")
        else:
            last = result.stderr.splitlines()[-1]
            assert (
                f"lacks a right: to act as {owner}, which owns Immich's tables: use that role, or `grant {owner} to "
                in last
            )
        assert pg_dump(immich) == before
