"""Everything of ours belongs to the role that owns Immich's tables, and has no more rights than that (SPEC 12.13)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests.database import Database
from tests.linked.conftest import Household
from tests.linked.sessions import WRITERS_LOCK
from tests.release import RELEASE
from tests.shell.conftest import inside, one_line, shell_for

SPY = """
create table seen (role name);
create function spy() returns trigger language plpgsql as
'begin insert into public.seen values (current_user); return null; end';
create trigger spy after insert or update or delete on asset for each statement execute function spy();
create trigger spy after insert or update or delete on asset_exif for each statement execute function spy();
create trigger spy after insert or update or delete on tag_asset for each statement execute function spy()
"""


@pytest.fixture
def lesser(immich: Database) -> Iterator[Database]:
    """The database for a lesser role, which owns Immich's tables and watches what is done to them, and as whom."""
    name = f"lesser_{psycopg.conninfo.conninfo_to_dict(immich.url)['dbname']}"
    role = sql.Identifier(name)
    immich.execute(sql.SQL("create role {} login").format(role))
    try:
        immich.execute(sql.SQL("alter schema public owner to {}").format(role))
        for row in immich.fetch("select tablename as name from pg_tables where schemaname = 'public'"):
            immich.execute(sql.SQL("alter table {} owner to {}").format(sql.Identifier(row.name), role))
        database = Database(make_url(immich.url).set(username=name).render_as_string(hide_password=False))
        database.execute(SPY)
        yield database
        database.close()
    finally:
        immich.execute(sql.SQL("reassign owned by {0} to current_user; drop owned by {0}").format(role))
        immich.execute(sql.SQL("drop role {}").format(role))


def owners(database: Database) -> set[str]:
    rows = database.fetch(
        """select nspowner::regrole::text as owner from pg_namespace where nspname = 'linked'
           union select relowner::regrole::text from pg_class where relnamespace = 'linked'::regnamespace
           union select proowner::regrole::text from pg_proc where pronamespace = 'linked'::regnamespace"""
    )
    return {row.owner for row in rows}


def me(database: Database) -> str:
    return str(database.value("select current_user::text"))


def used(lesser: Database) -> Household:
    """Immich, in the lesser role, does what makes the addon write."""
    household = Household(lesser)
    photo = household.photo()
    household.update_exif(household.clone(photo, household.anna), description="x")
    household.tag_assets(household.upsert_tag(household.family, "sea"), photo)
    household.delete_asset(household.photo())
    return household


def seen(database: Database) -> set[str]:
    return {row.role for row in database.fetch("select distinct role::text from seen")}


def test_installed_by_a_superuser_it_has_no_more_rights_than_immich(immich: Database, lesser: Database) -> None:
    household = Household(lesser)
    household.photo()
    lesser.execute("truncate seen")
    here = inside(immich.url)
    here.alembic("upgrade", "head")
    assert owners(immich) == {me(lesser)}
    assert household.owned(household.anna) == 1
    lesser.execute("update linked.installation set script_sha256 = ''")
    here.alembic("upgrade", "head")
    here.linked_asset("reconcile")
    household.update_exif(household.photo(), description="x")
    here.alembic("downgrade", "base")
    assert seen(lesser) == {me(lesser)}


def test_the_scripts_likewise(immich: Database, lesser: Database, psql: Callable[..., str]) -> None:
    household = Household(lesser)
    household.photo()
    shell = shell_for(immich.url)
    psql(immich, shell.alembic("upgrade", RELEASE, "--sql").stdout)
    assert owners(immich) == {me(lesser)}
    assert household.owned(household.anna) == 1
    household.update_exif(household.photo(), description="x")
    psql(immich, shell.alembic("downgrade", f"{RELEASE}:base", "--sql").stdout)
    assert household.owned(household.anna) == 0
    assert seen(lesser) == {me(lesser)}
    assert immich.value("select to_regnamespace('linked') is null")


def test_an_installation_of_another_owner_is_put_right(immich: Database, lesser: Database) -> None:
    here = inside(immich.url)
    here.alembic("upgrade", "head")
    owner = sql.Identifier(me(immich))
    immich.execute(sql.SQL("alter schema linked owner to {}").format(owner))
    for row in immich.fetch(
        """select 'table ' || oid::regclass as it from pg_class
           where relnamespace = 'linked'::regnamespace and relkind = 'r'
           union all select 'routine ' || oid::regprocedure from pg_proc where pronamespace = 'linked'::regnamespace"""
    ):
        immich.execute(sql.SQL(f"alter {row.it} owner to {{}}").format(owner))
    assert f"belongs to {me(immich)}" in here.linked_asset("doctor", check=False).stdout
    assert "belongs to" in one_line(here.linked_asset("reconcile", check=False))
    here.alembic("upgrade", "head")
    assert owners(immich) == {me(lesser)}
    assert here.linked_asset("doctor").stdout == ""
    used(lesser)
    assert seen(lesser) == {me(lesser)}


def test_a_role_that_is_not_the_owner_is_told_so(immich: Database, lesser: Database) -> None:
    name = f"other_{me(lesser)}"
    other = sql.Identifier(name)
    url = make_url(immich.url).set(username=name).render_as_string(hide_password=False)
    immich.execute(sql.SQL("create role {} login; grant all on all tables in schema public to {}").format(other, other))
    try:
        line = one_line(inside(url).alembic("upgrade", "head", check=False))
        assert f"lacks a right: to act as {me(lesser)}, which owns Immich's tables: use that role" in line
    finally:
        immich.execute(sql.SQL("drop owned by {0}; drop role {0}").format(other))


def test_the_owner_itself_needs_no_superuser(immich: Database, lesser: Database) -> None:
    database = sql.Identifier(str(immich.value("select current_database()")))
    line = one_line(inside(lesser.url).alembic("upgrade", "head", check=False))
    assert "lacks a right: CREATE on database" in line
    immich.execute(sql.SQL("grant create on database {} to {}").format(database, sql.Identifier(me(lesser))))
    inside(lesser.url).alembic("upgrade", "head")
    assert owners(immich) == {me(lesser)}
    inside(lesser.url).alembic("downgrade", "base")
    immich.execute(sql.SQL("revoke create on database {} from {}").format(database, sql.Identifier(me(lesser))))


HOSTILE = """
create schema theirs;
create table theirs.seen (role name, what text);
create function theirs.spy(what text) returns boolean language plpgsql as
$$ begin insert into theirs.seen values (current_user, what); return true; end $$;
grant all on schema theirs to public;
grant all on theirs.seen to public;
"""
TYPES = ["uuid", "text", "bytea", "jsonb"]
CALLED = {
    "current_setting(text)": "text", "current_setting(text, boolean)": "text",
    "set_config(text, text, boolean)": "text", "pg_current_xact_id_if_assigned()": "xid8",
    "starts_with(text, text)": "boolean", "cardinality(anyarray)": "integer", "pg_trigger_depth()": "integer",
    "clock_timestamp()": "timestamptz", "statement_timestamp()": "timestamptz", "current_query()": "text",
    "to_jsonb(anyelement)": "jsonb", "current_schemas(boolean)": "name[]",
}  # fmt: skip


def hostile(database: Database) -> None:
    """Another of everything that a trigger function could be made to call before its search path is set."""
    database.execute(HOSTILE)
    operators = [(name, operator) for name in TYPES for operator in ("=", "<>")] + [("text", "||")]
    for name, operator in operators:
        result = "text" if operator == "||" else "boolean"
        function = f"spy_{name}_{len(operator)}_{ord(operator[0])}"
        database.execute(
            f"""create function theirs.{function}({name}, {name}) returns {result} language plpgsql as
                $$ begin perform theirs.spy('{operator}'); return $1 operator(pg_catalog.{operator}) $2; end $$;
                create operator theirs.{operator} (function = theirs.{function}, leftarg = {name}, rightarg = {name})"""
        )
    for function, type_ in CALLED.items():
        name, parameters = function.partition("(")[0], re.findall(r"\w+", function.partition("(")[2])
        database.execute(
            f"""create function theirs.{function} returns {type_} language plpgsql as
                $$ begin
                   perform theirs.spy('{name}');
                   return pg_catalog.{name}({", ".join(f"${n + 1}" for n in range(len(parameters)))});
                   end $$"""
        )
    for name in TYPES:
        database.execute(f"create domain theirs.{name} as pg_catalog.{name} check (theirs.spy('{name}'))")


def test_who_may_write_to_immichs_tables_has_nothing_run_as_their_owner(immich: Database, lesser: Database) -> None:
    household = Household(lesser)
    inside(immich.url).alembic("upgrade", "head")
    photo, other = household.photo(), household.photo()
    hostile(immich)
    role = f"{me(lesser)}_stranger"
    immich.execute(
        sql.SQL("create role {0} login; grant all on all tables in schema public to {0}").format(sql.Identifier(role))
    )
    stranger = Database(make_url(immich.url).set(username=role).render_as_string(hide_password=False))
    try:
        stranger.execute("set search_path = theirs, public, pg_catalog")
        for statement in (
            "update public.asset_exif set description = 'x' where \"assetId\" operator(pg_catalog.=) any (%s)",
            'update public.asset set "isFavorite" = true where id operator(pg_catalog.=) any (%s)',
            "update public.asset set visibility = 'archive' where id operator(pg_catalog.=) any (%s)",
            'update public.album set "albumThumbnailAssetId" = (%s::pg_catalog.uuid[])[1]',
            'update public.album set "albumThumbnailAssetId" = null where (%s::pg_catalog.uuid[]) is not null',
            "delete from public.asset where id operator(pg_catalog.=) any (%s)",
        ):
            stranger.execute(statement, [[photo]])
        with household.database.connect() as busy:
            busy.execute("select pg_advisory_lock(%s, %s)", WRITERS_LOCK)
            stranger.execute("delete from public.asset where id operator(pg_catalog.=) any (%s)", [[other]])
            busy.execute("select pg_advisory_unlock_all()")
        seen = immich.fetch("select role::text, what from theirs.seen")
        assert {"||", "clock_timestamp", "text"} <= {row.what for row in seen}
        assert {row.what for row in seen if row.role != role} == set()
        assert immich.fetch("select * from linked.incident") == []
        assert household.owned(household.anna) == 1
    finally:
        stranger.close()
        immich.execute("drop schema theirs cascade")
        immich.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(role)))
