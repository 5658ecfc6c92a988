"""Climbing over the steps, on Immich's tables as each release has them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from linked_asset import immich as model
from sample import create_immich
from tests.builders import Immich
from tests.database import Database, Databases
from tests.golden import releases
from tests.release import RELEASE
from tests.shell.conftest import Inside, Shell, inside, one_line

ShellFor = Callable[..., Shell]
STEPS = releases()
LIVE, ABOVE = "v2.3.0", "v2.4.0"
BELOW = "v2.2.0"


@contextmanager
def immich_of(databases: Databases, release: str) -> Iterator[Database]:
    template = databases.template(f"immich_{release}", lambda connection: create_immich(connection, release))
    with databases.copy(template) as database:
        yield database


@pytest.fixture
def live(databases: Databases) -> Iterator[Database]:
    """An Immich in the middle of the steps."""
    with immich_of(databases, LIVE) as database:
        yield database


@pytest.fixture
def here(live: Database) -> Inside:
    return inside(live.url)


def installed(database: Database) -> tuple[Any, ...]:
    return (
        database.value("select version_num from linked.alembic_version"),
        database.value("select immich_version from linked.installation"),
    )


@pytest.mark.parametrize("release", model.RELEASES)
def test_head_is_the_newest_that_fits(databases: Databases, release: str, pg_dump: Callable[..., str]) -> None:
    """From the release itself, or from the last before it that changed something we touch; nothing is left of it."""
    step = max((one for one in STEPS if model.version(one) <= model.version(release)), key=model.version)
    with immich_of(databases, release) as database:
        before = pg_dump(database, "--schema-only")
        said = inside(database.url).alembic("upgrade", "head").stderr
        assert installed(database) == (step, step)
        assert f"installs for Immich {step}" in said
        later = STEPS[STEPS.index(step) + 1 :]
        assert (f"stops at {step}, which fits Immich's tables; {later[0]} does not: " in said) if later else True
        assert f"is up to date for Immich {step}" in inside(database.url).alembic("upgrade", "head").stderr
        assert inside(database.url).linked_asset("doctor").returncode == 0
        inside(database.url).alembic("downgrade", "base")
        assert pg_dump(database, "--schema-only") == before


@pytest.mark.parametrize(("older", "newer"), list(pairwise(STEPS)))
def test_each_step_is_refused_on_the_tables_of_the_one_before(databases: Databases, older: str, newer: str) -> None:
    with immich_of(databases, older) as database:
        line = one_line(inside(database.url).alembic("upgrade", newer, check=False))
        assert f"do not fit {newer} (Immich says it is {older})" in line
        assert database.value("select to_regnamespace('linked') is null")


def test_a_step_that_does_not_fit_changes_nothing(live: Database, here: Inside, pg_dump: Callable[..., str]) -> None:
    before = pg_dump(live)
    one_line(here.alembic("upgrade", ABOVE, check=False))
    assert pg_dump(live) == before


def test_down_and_up_again(live: Database, here: Inside, pg_dump: Callable[..., str]) -> None:
    """Going down needs the older tables: this Immich was restored from an older backup."""
    before = pg_dump(live, "--schema-only")
    here.alembic("upgrade", "head")
    line = one_line(here.alembic("downgrade", BELOW, check=False))
    assert f"do not fit {BELOW}" in line
    assert installed(live) == (LIVE, LIVE)
    here.alembic("downgrade", "base")
    assert pg_dump(live, "--schema-only") == before


def test_down_to_tables_that_have_only_grown(databases: Databases, pg_dump: Callable[..., str]) -> None:
    """What the newer step had made on tables that the older one does not know is gone."""
    with immich_of(databases, "v2.2.0") as database:
        here = inside(database.url)
        before = pg_dump(database, "--schema-only")
        here.alembic("upgrade", "head")
        here.alembic("downgrade", "-1")
        assert installed(database) == ("v1.138.0", "v1.138.0")
        assert json.loads(here.linked_asset("status", "--json").stdout)["installed"]["outdated"] == []
        here.alembic("upgrade", "+1")
        assert installed(database) == ("v2.2.0", "v2.2.0")
        here.alembic("downgrade", "base")
        assert pg_dump(database, "--schema-only") == before


def test_tables_older_than_what_is_installed(databases: Databases) -> None:
    with immich_of(databases, "v2.2.0") as database:
        here = inside(database.url)
        here.alembic("upgrade", "head")
        database.execute("drop table ocr_search, asset_ocr")
        database.execute('alter table asset_job_status drop column "ocrAt"')
        line = one_line(here.alembic("upgrade", "head", check=False))
        assert "run `alembic downgrade v1.138.0`" in line
        here.alembic("downgrade", "v1.138.0")
        assert installed(database) == ("v1.138.0", "v1.138.0")


def test_from_the_future(databases: Databases) -> None:
    """What counts are the tables, not what Immich says: a newer one that did not change them is fine."""
    newest = STEPS[-1]
    with immich_of(databases, newest) as database:
        database.execute("insert into version_history (version) values ('99.1.0')")
        database.execute('create table "from_the_future" (id uuid); create index on asset ("fileCreatedAt")')
        database.execute("alter table album add column news text")
        database.execute("alter table asset add column news text not null default 'none'")
        database.execute("alter table asset_exif add column news integer")
        result = inside(database.url).alembic("upgrade", "head")
        assert "warning: Immich says it is v99.1.0" in result.stderr
        for column in ("asset.news (text)", "asset_exif.news (integer)"):
            assert (
                f"warning: {column} is new to us: clones get its default, and it is not kept in sync" in result.stderr
            )
        assert "album.news" not in result.stderr
        assert installed(database) == (newest, newest)


def test_new_columns_get_their_defaults_on_clones(immich: Database) -> None:
    """What a copy of them would mean is not known: nothing of a person's is carried where it does not belong."""
    home = Immich(immich)
    family, anna = home.create_user("Family"), home.create_user("Anna")
    home.create_album(family, "Linked album", "/photos", users=[anna])
    immich.execute("alter table asset add column news text default 'none'")
    photo = home.upload(family, "/photos/1.jpg")
    immich.execute("update asset set news = 'private'")
    inside(immich.url).alembic("upgrade", "head")
    assert immich.value('select news from asset where "ownerId" = %s', [anna]) == "none"
    immich.execute("update asset set news = 'more', \"isOffline\" = true where id = %s", [photo])
    clone = immich.row('select news, "isOffline" from asset where "ownerId" = %s', [anna])
    assert (clone.news, clone.isOffline) == ("none", True)
    assert immich.value("select suspended_at is null from linked.installation")
    findings = json.loads(inside(immich.url).linked_asset("doctor", "--json").stdout)
    assert [one["kind"] for one in findings if one["check"] == "tables"] == ["advice"]


def test_a_new_column_does_not_suspend_sync(immich: Database) -> None:
    """Another tool's trigger raises an error that may mean other tables; a new column is no other table."""
    inside(immich.url).alembic("upgrade", "head")
    immich.execute("alter table asset_exif add column news integer")
    immich.execute("select linked.record_incident('asset update', '42703', 'no such column', '')")
    assert immich.value("select suspended_at is null from linked.installation")


OLD = {
    "functions": "alter function updated_at() set search_path = public",
    "defaults": """alter table "user" alter "quotaUsageInBytes" set default '0'::bigint""",
    "other tables": """
        create table migrations (id serial primary key, name varchar);
        create schema vectors;
        create table vectors.settings (id int);
        create table _face_sync_state (id uuid)""",
    "embeddings": """
        drop table smart_search;
        create table smart_search (
            "assetId" uuid primary key references asset on delete cascade, embedding real[1152] not null
        )""",
    "indexes": """create index clip_index on asset using brin ("createdAt"); drop index "asset_checksum_idx" """,
}
"""What years of upgrades, other tools and other models leave behind."""


@pytest.mark.parametrize("old", OLD)
def test_old_installations(immich: Database, old: str) -> None:
    immich.execute(OLD[old])
    inside(immich.url).alembic("upgrade", "head")
    assert installed(immich) == (RELEASE, RELEASE)


def test_as_a_script(live: Database, here: Inside, psql: Callable[..., str], pg_dump: Callable[..., str]) -> None:
    before = pg_dump(live, "--schema-only")
    with pytest.raises(RuntimeError, match=f"do not fit {BELOW}"):
        psql(live, here.alembic("upgrade", BELOW, "--sql").stdout)
    assert pg_dump(live, "--schema-only") == before
    psql(live, here.alembic("upgrade", LIVE, "--sql").stdout)
    assert installed(live) == (LIVE, LIVE)
    too_far = here.alembic("upgrade", f"{LIVE}:head", "--sql").stdout
    with pytest.raises(RuntimeError, match=f"do not fit {STEPS[-1]}"):
        psql(live, too_far)
    with pytest.raises(RuntimeError, match=f"the script starts from {STEPS[0]}, installed is {LIVE}"):
        psql(live, here.alembic("downgrade", f"{STEPS[0]}:base", "--sql").stdout)
    assert installed(live) == (LIVE, LIVE)
    psql(live, here.alembic("downgrade", f"{LIVE}:base", "--sql").stdout)
    assert pg_dump(live, "--schema-only") == before


@pytest.mark.parametrize("release", STEPS)
def test_scripts_of_every_step(
    databases: Databases, release: str, psql: Callable[..., str], pg_dump: Callable[..., str]
) -> None:
    with immich_of(databases, release) as database:
        before = pg_dump(database, "--schema-only")
        here = inside(database.url)
        psql(database, here.linked_asset("sql", "install", "--immich", release).stdout)
        assert installed(database) == (release, release)
        assert f"is up to date for Immich {release}" in here.alembic("upgrade", release).stderr
        psql(database, here.linked_asset("sql", "remove", "--immich", release).stdout)
        assert pg_dump(database, "--schema-only") == before
