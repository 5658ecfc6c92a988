"""Climbing over several steps: those of tests, one for each release of the model, beside the real ones."""

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from linked_asset import immich as model
from sample import create_immich
from tests.database import Database, Databases
from tests.shell.conftest import CHECKOUT, Shell, one_line

ShellFor = Callable[..., Shell]
STEPS = model.RELEASES[:4]
LIVE = STEPS[2]


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    """Alembic's configuration with a step for each of the first releases."""
    migrations = tmp_path / "migrations"
    ours = shutil.ignore_patterns("__pycache__", "v[2-9]*", "v1_14*")
    shutil.copytree(CHECKOUT / "migrations", migrations, ignore=ours)
    shutil.copy(CHECKOUT / "alembic.ini", tmp_path)
    for before, release in pairwise(STEPS):
        (migrations / "versions" / f"{release.replace('.', '_')}.py").write_text(
            f"""from alembic import op
revision = {release!r}
down_revision = {before!r}
def upgrade(): op.install_linked({release!r})
def downgrade(): op.install_linked({before!r})
"""
        )
    return tmp_path / "alembic.ini"


@pytest.fixture
def live(databases: Databases) -> Iterator[Database]:
    """An Immich in the middle of the steps."""
    template = databases.template(f"immich_{LIVE}", lambda connection: create_immich(connection, LIVE))
    with databases.copy(template) as database:
        yield database


def installed(database: Database) -> tuple[Any, ...]:
    return (
        database.value("select version_num from linked.alembic_version"),
        database.value("select immich_version from linked.installation"),
    )


def test_head_is_as_far_as_it_fits(shell: ShellFor, live: Database, ini: Path) -> None:
    result = shell(live.url, ini).alembic("upgrade", "head")
    assert installed(live) == (LIVE, LIVE)
    assert f"stops at {LIVE}" in result.stderr
    assert f"{STEPS[3]} does not: " in result.stderr
    assert "is missing" in result.stderr
    assert f"is up to date for Immich {LIVE}" in shell(live.url, ini).alembic("upgrade", "head").stderr


def test_a_step_that_does_not_fit_is_refused(
    shell: ShellFor, live: Database, ini: Path, pg_dump: Callable[..., str]
) -> None:
    before = pg_dump(live)
    line = one_line(shell(live.url, ini).alembic("upgrade", STEPS[3], check=False))
    assert f"do not fit {STEPS[3]} (Immich says it is {LIVE})" in line
    assert pg_dump(live) == before


def test_down_and_up_again(shell: ShellFor, live: Database, ini: Path, pg_dump: Callable[..., str]) -> None:
    before = pg_dump(live, "--schema-only")
    shell(live.url, ini).alembic("upgrade", "head")
    shell(live.url, ini).alembic("downgrade", STEPS[1])
    assert installed(live) == (STEPS[1], STEPS[1])
    shell(live.url, ini).alembic("upgrade", "+1")
    assert installed(live) == (LIVE, LIVE)
    shell(live.url, ini).alembic("downgrade", "base")
    assert pg_dump(live, "--schema-only") == before


def test_tables_older_than_what_is_installed(shell: ShellFor, live: Database, ini: Path) -> None:
    shell(live.url, ini).alembic("upgrade", "head")
    live.execute("drop table ocr_search, asset_ocr")
    live.execute('alter table asset_job_status drop column "ocrAt"')
    line = one_line(shell(live.url, ini).alembic("upgrade", "head", check=False))
    assert f"run `alembic downgrade {STEPS[1]}`" in line
    shell(live.url, ini).alembic("downgrade", STEPS[1])


def test_from_the_future(shell: ShellFor, live: Database, ini: Path) -> None:
    """What counts are the tables, not what Immich says: a newer one that did not change them is fine."""
    for file in (ini.parent / "migrations" / "versions").glob(f"{STEPS[3].replace('.', '_')}.py"):
        file.unlink()
    live.execute("insert into version_history (version) values ('99.1.0')")
    live.execute('create table "from_the_future" (id uuid); create index on asset ("fileCreatedAt")')
    live.execute("alter table album add column news text")
    result = shell(live.url, ini).alembic("upgrade", "head")
    assert "warning: Immich says it is v99.1.0" in result.stderr
    assert installed(live) == (LIVE, LIVE)


def test_as_a_script(
    shell: ShellFor, live: Database, ini: Path, psql: Callable[..., str], pg_dump: Callable[..., str]
) -> None:
    before = pg_dump(live, "--schema-only")
    with pytest.raises(RuntimeError, match=f"do not fit {STEPS[1]}"):
        psql(live, shell(live.url, ini).alembic("upgrade", STEPS[1], "--sql").stdout)
    assert pg_dump(live, "--schema-only") == before
    psql(live, shell(live.url, ini).alembic("upgrade", LIVE, "--sql").stdout)
    assert installed(live) == (LIVE, LIVE)
    psql(live, shell(live.url, ini).alembic("downgrade", f"{LIVE}:{STEPS[1]}", "--sql").stdout)
    assert installed(live) == (STEPS[1], STEPS[1])
    psql(live, shell(live.url, ini).alembic("upgrade", f"{STEPS[1]}:{LIVE}", "--sql").stdout)
    assert installed(live) == (LIVE, LIVE)
    too_far = shell(live.url, ini).alembic("upgrade", f"{LIVE}:head", "--sql").stdout
    with pytest.raises(RuntimeError, match=f"do not fit {STEPS[3]}"):
        psql(live, too_far)
    with pytest.raises(RuntimeError, match=f"the script starts from {STEPS[0]}, installed is {LIVE}"):
        psql(live, shell(live.url, ini).alembic("downgrade", f"{STEPS[0]}:base", "--sql").stdout)
    assert installed(live) == (LIVE, LIVE)
    psql(live, shell(live.url, ini).alembic("downgrade", f"{LIVE}:base", "--sql").stdout)
    assert pg_dump(live, "--schema-only") == before
