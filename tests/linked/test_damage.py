"""Schema linked is ours as long as anything of ours is in it: damage is seen, and mended or refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from linked_asset import immich, render, shipped
from tests.database import Database, Databases
from tests.linked.conftest import MEDIA, Household
from tests.release import RELEASE
from tests.shell.conftest import Shell, inside, one_line, shell_for

ShellFor = Callable[..., Shell]


@pytest.fixture
def shell() -> ShellFor:
    return inside


@pytest.fixture(scope="session")
def house_template(databases: Databases, linked_template: str) -> str:
    def live(connection: psycopg.Connection[Any]) -> None:
        database = Database(databases.url(connection.info.dbname))
        household = Household(database)
        household.share_album(household.linked_album, household.clara, "viewer")
        photos = [household.photo() for _ in range(3)]
        for photo, name in zip(photos, ("Oma", "Opa", "Tim"), strict=True):
            (face,) = household.detect_faces(photo, [(0, 0, 50, 50)], seeds=[name])
            household.recognize(face, household.create_person(household.family, name))
        household.create_stack(household.family, photos[:2])
        household.create_album(household.family, "Beach", assets=photos)
        household.tag_assets(household.upsert_tag(household.family, "sea"), *photos)
        household.trash([household.clone(photos[2], household.clara)])
        database.close()

    return databases.template("house", live, base=linked_template)


@pytest.fixture
def house(databases: Databases, house_template: str) -> Iterator[Household]:
    """Everything that linking leaves behind, in every table."""
    with databases.copy(house_template) as database:
        yield Household(database, is_there=True)


def clones(database: Database) -> list[object]:
    return database.fetch("select asset_id, source_id, owner_id from linked.member order by 1")


LOST_VERSIONS = (
    "drop table linked.installation",
    "delete from linked.installation",
    "drop table linked.alembic_version",
    "delete from linked.alembic_version",
    "alter table linked.alembic_version rename column version_num to x",
    "alter table linked.installation rename column immich_version to x",
    "update linked.installation set immich_version = 'rubbish'",
    "update linked.installation set immich_version = 'v0.0.1'",
    "update linked.alembic_version set version_num = 'rubbish'",
    "update linked.installation set immich_version = ''; update linked.alembic_version set version_num = 'v1'",
    "drop table linked.installation; drop table linked.alembic_version",
)


@pytest.mark.parametrize("damage", LOST_VERSIONS)
def test_what_says_what_is_installed_is_told_from_the_rest(shell: ShellFor, house: Household, damage: str) -> None:
    database, here = house.database, shell(house.database.url)
    before = clones(database)
    database.execute(damage)
    for arguments in (("status",), ("doctor",), ("reconcile",)):
        result = here.linked_asset(*arguments, check=False)
        if "alembic_version" in damage and "installation" not in damage:
            continue
        line = one_line(result)
        assert "linked assets are damaged: " in line
        assert "alembic upgrade head" in line
    if "alembic_version" in damage:
        assert "linked assets are damaged: " in one_line(here.alembic("current", check=False))
    result = here.alembic("upgrade", "head")
    assert "cascade" not in result.stderr
    assert clones(database) == before
    assert database.value("select version_num from linked.alembic_version") == RELEASE
    assert "is up to date" in here.alembic("upgrade", "head").stderr
    house.check()


@pytest.mark.parametrize("damage", LOST_VERSIONS)
def test_it_is_removed_all_the_same(shell: ShellFor, house: Household, damage: str) -> None:
    house.database.execute(damage)
    assert "removed" in shell(house.database.url).alembic("downgrade", "base").stderr
    assert house.owned(house.anna) == house.owned(house.clara) == 0
    assert house.owned(house.family) == 3
    assert house.database.value("select to_regnamespace('linked') is null")


MENDED = (
    "drop table linked.face",
    "drop table linked.stack_pair",
    "drop table linked.queue",
    "drop table linked.incident",
    "drop table linked.quota_credit",
    "drop table linked.prefix",
    "drop table linked.participant",
    "drop table linked.linked_album cascade",
    "alter table linked.face drop column face_key",
    "alter table linked.queue drop column thorough",
    "alter table linked.member rename column can_write to may_write",
    "alter table linked.member rename column source_id to s",
    "alter table linked.person_pair rename column made to m",
    "alter table linked.album_pair rename column album_key to k",
    "alter table linked.member alter can_write drop not null",
    "alter table linked.person_pair alter made drop default",
    "alter table linked.member drop constraint linked_member_source_id_owner_id_key",
    "alter table linked.member drop constraint linked_member_pkey",
    "alter table linked.member drop constraint linked_member_source_can_write",
    "alter table linked.prefix drop constraint linked_prefix_album_id_fkey",
    """alter table linked.prefix drop constraint linked_prefix_album_id_fkey;
       insert into linked.prefix values (gen_random_uuid(), '/nowhere')""",
    "drop index linked.linked_member_owner_id_idx",
    """drop index linked.linked_prefix_album_id_path_key;
       create index linked_prefix_album_id_path_key on linked.prefix (path)""",
    "alter table linked.member add constraint theirs check (owner_id is not null)",
    "create unique index theirs on linked.member (source_id) where can_write and source_id <> asset_id and false",
    "alter table linked.member set unlogged",
    "alter table linked.member alter owner_id type text",
    """alter table linked.member drop constraint linked_member_source_can_write;
       drop index linked.linked_member_writer_idx; alter table linked.member alter can_write type text""",
    "alter table linked.album_refusal alter owner_id type text",
    "alter table linked.person_pair alter made drop default; alter table linked.person_pair alter made type text",
    "alter table linked.unsettled alter what type varchar(5)",
    "alter table linked.unsettled alter since type date",
    "alter table linked.produced alter told_at type text",
    "alter table linked.produced alter kind type bytea using kind::bytea",
    "alter table linked.passing_stack alter stack_id type text",
    "alter table linked.passing_stack alter stack_id type integer using 1",
    "alter table linked.replacement alter begun_at type text using 'then'",
    "drop table linked.passing_stack, linked.produced, linked.replacement, linked.unsettled",
)


@pytest.mark.parametrize("damage", MENDED)
def test_mends_what_can_be_told(shell: ShellFor, house: Household, damage: str) -> None:
    """Rows that are clones stay the same rows."""
    database, here = house.database, shell(house.database.url)
    before = clones(database)
    database.execute(damage)
    assert here.linked_asset("doctor", check=False).returncode == 1
    here.alembic("upgrade", "head")
    assert clones(database) == before
    assert "is up to date" in here.alembic("upgrade", "head").stderr
    house.check()


def test_what_waits_for_approval_waits_still(shell: ShellFor, house: Household) -> None:
    house.update_album(house.linked_album, description=f"{MEDIA}\n/private")
    before = house.database.fetch("select * from linked.waiting")
    house.database.execute("alter table linked.prefix drop constraint linked_prefix_album_id_fkey")
    shell(house.database.url).alembic("upgrade", "head")
    assert house.database.fetch("select * from linked.waiting") == before


BEYOND = (
    "drop table linked.member",
    "alter table linked.member drop column source_id cascade",
    "drop table linked.album_pair",
    "drop table linked.dismissal",
    "alter table linked.person_pair drop column made",
    "alter table linked.member alter owner_id type text using 'x' || owner_id",
    """alter table linked.member drop constraint linked_member_source_id_owner_id_key;
       insert into linked.member select gen_random_uuid(), source_id, owner_id, can_write
       from linked.member where source_id <> asset_id""",
)


@pytest.mark.parametrize("damage", BEYOND)
def test_what_cannot_be_told_is_refused_in_one_line(
    shell: ShellFor, house: Household, pg_dump: Callable[..., str], damage: str
) -> None:
    database, here = house.database, shell(house.database.url)
    database.execute(damage)
    before = pg_dump(database)
    result = here.alembic("upgrade", "head", check=False)
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    assert "cannot be mended without guessing: " in line
    assert "Traceback" not in result.stderr
    for command in ("status", "reconcile"):
        assert "linked assets are damaged: " in one_line(here.linked_asset(command, check=False))
    assert pg_dump(database) == before


def test_without_knowing_the_clones_nothing_is_removed(
    shell: ShellFor, house: Household, pg_dump: Callable[..., str]
) -> None:
    house.database.execute("drop table linked.member")
    before = pg_dump(house.database)
    line = shell(house.database.url).alembic("downgrade", "base", check=False).stderr.splitlines()[-1]
    assert "linked.member does not tell any more which rows are clones" in line
    assert pg_dump(house.database) == before


def test_nothing_is_left_but_the_version_table(shell: ShellFor, linked: Database, pg_dump: Callable[..., str]) -> None:
    linked.execute(
        """drop schema linked cascade; create schema linked;
           create table linked.alembic_version (version_num text primary key);
           insert into linked.alembic_version values ('v1.138.0')"""
    )
    before = pg_dump(linked)
    for command in (("upgrade", RELEASE), ("downgrade", "base")):
        line = one_line(shell(linked.url).alembic(*command, check=False))
        assert "nothing is left but Alembic's version table" in line
    assert pg_dump(linked) == before


TAMPERED = {
    "drop trigger linked_asset_update on asset": "trigger linked_asset_update on asset is missing",
    "alter table asset disable trigger linked_asset_update": "trigger linked_asset_update on asset is disabled",
    "alter table asset enable replica trigger linked_asset_update": "trigger linked_asset_update on asset is disabled",
    """create or replace trigger linked_asset_delete after delete on asset referencing old table as stale
       for each statement when (false) execute function linked.on_asset_delete()""":
        "linked_asset_delete on asset is not as",
    """create or replace trigger linked_asset_delete after insert on asset referencing new table as stale
       for each statement execute function linked.on_asset_delete()""": "linked_asset_delete on asset is not as",
    """create trigger one_more after delete on asset referencing old table as stale
       for each statement execute function linked.on_asset_delete()""": "trigger one_more on asset is not ours",
    "alter function linked.on_asset_update() security invoker": "function linked.on_asset_update() is not as shipped",
    "alter function linked.replace_stack() reset search_path": "function linked.replace_stack() is not as shipped",
    "alter function linked.on_asset_update() set search_path = public":
        "function linked.on_asset_update() is not as shipped",
    "alter function linked.covered(uuid[]) volatile": "is not as shipped",
    "create function linked.covered(text) returns void language sql as ''": "function linked.covered(text) is not ours",
    "drop function linked.covered(uuid[])": "is missing",
    "create rule nothing as on insert to linked.queue do instead nothing": "rule nothing on linked.queue is not ours",
    "create trigger one_more before insert on linked.member for each row execute function linked.replace_stack()":
        "trigger one_more on linked.member is not ours",
}  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERED)
def test_tampering_is_seen_and_undone(shell: ShellFor, house: Household, tampering: str) -> None:
    here = shell(house.database.url)
    house.database.execute(tampering)
    findings = json.loads(here.linked_asset("doctor", "--json", check=False).stdout)
    assert any(TAMPERED[tampering] in finding["what"] for finding in findings)
    here.alembic("upgrade", "head")
    assert here.linked_asset("doctor").stdout == ""
    assert "is up to date" in here.alembic("upgrade", "head").stderr
    house.check()


def test_somebody_elses_trigger_with_a_name_of_ours_is_not_replaced(
    shell: ShellFor, immich: Database, pg_dump: Callable[..., str], psql: Callable[..., str]
) -> None:
    immich.execute("create function theirs() returns trigger language plpgsql as 'begin return null; end'")
    immich.execute("create trigger linked_asset_update after update on asset execute function theirs()")
    before = pg_dump(immich)
    line = one_line_at_the_end(shell(immich.url), "upgrade", "head")
    assert "trigger linked_asset_update on asset calls public.theirs" in line or "calls theirs" in line
    with pytest.raises(RuntimeError, match="has a name of ours"):
        psql(immich, shell_for(immich.url).alembic("upgrade", RELEASE, "--sql").stdout)
    assert pg_dump(immich) == before


def one_line_at_the_end(shell: Shell, *arguments: str) -> str:
    """The reason, after what was going to be done."""
    result = shell.alembic(*arguments, check=False)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]


THEIRS = [
    ("create view public.clones as select * from linked.member", "view public.clones"),
    ("create view linked.clones as select 1", "view linked.clones"),
    ("create table linked.notes (note text)", "table linked.notes"),
    ("create materialized view public.clones as select * from linked.member", "materialized view public.clones"),
    ("create table public.mine (id uuid references linked.member (asset_id))", "table public.mine"),
    ("create table public.mine (clones linked.member[])", "table public.mine"),
    ("create table public.mine (turn integer default linked.turn(gen_random_uuid()))", "table public.mine"),
    ("create function linked.notes() returns int language sql as 'select 1'", "function linked.notes()"),
    ("create procedure linked.note(text) language sql as ''", "procedure linked.note(pg_catalog.text)"),
    (
        "create aggregate linked.most(int) (sfunc = int4larger, stype = int)",
        "aggregate linked.most(integer)",
    ),
    ("create sequence linked.numbers", "sequence linked.numbers"),
    ("create table linked.notes (id serial)", "table linked.notes"),
    ("create type linked.mood as enum ('good')", "type linked.mood"),
    ("create type linked.pair as (a int, b int)", "type linked.pair"),
    ("create domain linked.path as text", "domain linked.path"),
    ("create operator linked.=== (function = int4eq, leftarg = int, rightarg = int)", "operator linked.==="),
    ('create collation linked.mine from "C"', "collation linked.mine"),
    ('create statistics linked.mine on "ownerId", "libraryId" from asset', "statistics object linked.mine"),
    ("create text search configuration linked.mine (copy = simple)", "text search configuration linked.mine"),
]


@pytest.mark.parametrize(("view", "name"), THEIRS)
def test_somebody_elses_objects_are_named_before_they_would_go(
    shell: ShellFor, house: Household, view: str, name: str
) -> None:
    here = shell(house.database.url)
    house.database.execute(view)
    assert name.replace("public.", "") in one_line_at_the_end(here, "downgrade", "base").replace("public.", "")
    assert "is not ours" in here.linked_asset("doctor").stdout


SEVERAL = [
    view
    for view, _ in THEIRS
    if view.startswith(("create view public.", "create table linked.notes (id", "create function"))
]


@pytest.mark.parametrize(
    "views",
    [SEVERAL, *(pytest.param([view], marks=pytest.mark.slow) for view, _ in THEIRS)],
    ids=lambda views: views[-1],
)
def test_nothing_goes_as_long_as_there_are_somebody_elses_objects(
    shell: ShellFor, house: Household, pg_dump: Callable[..., str], psql: Callable[..., str], views: list[str]
) -> None:
    database, here = house.database, shell(house.database.url)
    for view in views:
        database.execute(view)
    before = pg_dump(database)
    line = one_line_at_the_end(here, "downgrade", "base").replace("public.", "")
    assert all(name.replace("public.", "") in line for view, name in THEIRS if view in views)
    with pytest.raises(RuntimeError, match="somebody else's objects"):
        psql(database, shell_for(database.url).alembic("downgrade", f"{RELEASE}:base", "--sql").stdout)
    assert pg_dump(database) == before
    assert "is up to date" in here.alembic("upgrade", "head").stderr


def test_somebody_elses_function_is_left_alone(shell: ShellFor, house: Household) -> None:
    """It is no damage, whoever owns it; a function with a name of ours is."""
    database, here = house.database, shell(house.database.url)
    role = f"guest_of_{database.value('select current_database()')}"
    notes = "select proowner::regrole::text from pg_proc where oid = 'linked.notes()'::regprocedure"
    database.execute(
        f"""create role {role}; grant usage, create on schema linked to {role}; set role {role};
            create function linked.notes() returns int language sql as 'select 1'; reset role;
            create function linked.covered(text) returns void language sql as '';
            update linked.installation set script_sha256 = ''"""
    )
    try:
        assert "function linked.covered(text) is not ours" in here.linked_asset("doctor", check=False).stdout
        here.alembic("upgrade", "head")
        assert database.value("select to_regprocedure('linked.covered(text)') is null")
        assert database.value(notes) == role
        assert "is up to date" in here.alembic("upgrade", "head").stderr
        assert "function linked.notes() is not ours" in here.linked_asset("doctor").stdout
        here.linked_asset("reconcile")
    finally:
        database.execute(f"drop owned by {role}; drop role {role}")
    here.alembic("downgrade", "base")


def test_functions_of_earlier_versions_are_ours(shell: ShellFor, linked: Database) -> None:
    former = sorted(shipped.FORMER)
    for name in former:
        linked.execute(f"create function linked.{name}() returns int language sql as 'select 1'")
    here = shell(linked.url)
    assert all(name in here.linked_asset("doctor", check=False).stdout for name in former)
    here.alembic("upgrade", "head")
    assert here.linked_asset("doctor").stdout == ""
    for release in immich.RELEASES:
        assert shipped.functions() >= set(re.findall(r"function linked\.(\w+)", render.install_script(release)))


def test_a_renamed_schema_is_ours(
    shell: ShellFor, house: Household, pg_dump: Callable[..., str], psql: Callable[..., str]
) -> None:
    database, here = house.database, shell(house.database.url)
    database.execute('alter schema linked rename to "Old one"')
    for aside in ("", "create schema linked"):
        database.execute(aside or "select")
        before = pg_dump(database)
        commands = [here.linked_asset(name, check=False) for name in ("status", "doctor", "reconcile", "watch")]
        commands += [here.alembic("current", check=False)]
        commands += [here.alembic(*command, check=False) for command in (("upgrade", RELEASE), ("downgrade", "base"))]
        lines = {one_line(result) for result in commands}
        (line,) = lines
        assert 'schema "linked" is called "Old one" now' in line
        for script in (("upgrade", RELEASE), ("downgrade", f"{RELEASE}:base")):
            with pytest.raises(RuntimeError, match='schema "linked" is called "Old one" now'):
                psql(database, shell_for(database.url).alembic(*script, "--sql").stdout)
        assert pg_dump(database) == before
    database.execute(line.split("`")[1])
    assert "is up to date" in here.alembic("upgrade", "head").stderr
    house.check()


def test_a_search_path_is_no_damage(shell: ShellFor, linked: Database) -> None:
    name = linked.value("select current_database()")
    linked.execute(f'alter database "{name}" set search_path = linked, public')
    assert "is up to date" in shell(linked.url).alembic("upgrade", "head").stderr
    shell(linked.url).linked_asset("doctor")


def test_a_stamp_does_not_say_what_is_not_so(shell: ShellFor, house: Household) -> None:
    here = shell(house.database.url)
    assert "a stamp only says so" in one_line(here.alembic("stamp", "base", check=False))
    house.check()
    assert "removed" in here.alembic("downgrade", "base").stderr


@pytest.mark.parametrize(
    "newer",
    [
        "update linked.alembic_version set version_num = 'v9.9.9'",
        "update linked.installation set immich_version = 'v9.9.9'",
        "update linked.installation set immich_version = 'v2.99.0'",
    ],
)
def test_a_revision_of_a_newer_package(shell: ShellFor, linked: Database, newer: str) -> None:
    linked.execute(newer)
    here = shell(linked.url)
    for command in (("upgrade", RELEASE), ("downgrade", "base")):
        assert "by a newer version of this package" in one_line(here.alembic(*command, check=False))
    if "installation" in newer:
        for name in ("status", "doctor", "reconcile", "watch"):
            assert "by a newer version of this package" in one_line(here.linked_asset(name, check=False))
    if "alembic" in newer:
        assert "by a newer version of this package" in one_line(here.alembic("current", check=False))


def test_the_scripts_see_damage_too(house: Household, psql: Callable[..., str]) -> None:
    here = shell_for(house.database.url)
    house.database.execute("drop table linked.installation; drop table linked.alembic_version")
    for script in (("upgrade", RELEASE), ("downgrade", f"{RELEASE}:base")):
        with pytest.raises(RuntimeError, match="linked assets are damaged") as error:
            psql(house.database, here.alembic(*script, "--sql").stdout)
        assert "cascade" not in str(error.value)


def test_schema_public_is_empty(shell: ShellFor, house: Household) -> None:
    """Immich's in-app restore was broken off."""
    house.database.execute("drop schema public cascade; create schema public")
    assert "removed" in shell(house.database.url).alembic("downgrade", "base").stderr
    assert house.database.value("select to_regnamespace('linked') is null")


def test_deleted_accounts_are_not_remembered(house: Household) -> None:
    database = house.database
    assert database.value("select count(*) from linked.dismissal where user_id = %s", [house.clara]) == 1
    house.hard_delete_user(house.clara)
    assert database.value("select count(*) from linked.dismissal where user_id = %s", [house.clara]) == 0
    house.check()


def test_deleted_sources_are_not_remembered(house: Household) -> None:
    photo = house.photo()
    for user in (house.anna, house.ben):
        house.set_viewer(user)
    house.trash([house.clone(photo, user) for user in (house.anna, house.ben, house.clara)])
    house.delete_asset(photo)
    assert house.database.value("select count(*) from linked.dismissal where source_id = %s", [photo]) == 0
