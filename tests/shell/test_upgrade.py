"""`alembic upgrade` and `alembic downgrade`."""

import re
import time
from collections.abc import Callable

import pytest
from psycopg import sql

from linked_asset import __version__, linking, operations
from tests.database import Database
from tests.linked.sessions import WAITING, wait_until, wait_until_nothing_is_left
from tests.shell.conftest import Shell, inside, one_line

ShellFor = Callable[..., Shell]


@pytest.fixture
def shell() -> ShellFor:
    return inside


def clones(database: Database) -> int:
    return int(database.value("select count(*) from linked.member where asset_id <> source_id"))


def test_installs_and_links_what_exists(own_process: ShellFor, family: Database) -> None:
    result = own_process(family.url).alembic("upgrade", "head")
    assert result.stdout == ""
    assert "installs for Immich v1.138.0" in result.stderr
    assert 'takes over the linked album "linked album family" of Family: ' in result.stderr
    assert "Anna (editor), Ben (editor), Clara (editor)" in result.stderr
    assert clones(family) > 100
    assert family.value("select count(*) from linked.queue") == 0
    row = family.row("select * from linked.installation")
    assert (row.immich_version, row.package_version, row.suspended_at) == ("v1.138.0", __version__, None)


INCIDENT = "select linked.record_incident(%s, 'XX000', 'a fault', '')"
OPEN_INCIDENTS = "select count(*) from linked.incident where resolved_at is null"
SUSPEND = "update linked.installation set suspended_at = now(), suspended_why = 'no such column'"


def test_what_an_upgrade_repairs_is_no_incident_any_more(shell: ShellFor, family: Database) -> None:
    shell(family.url).alembic("upgrade", "head")
    family.execute(INCIDENT, ["before"])
    assert "up to date" in shell(family.url).alembic("upgrade", "head").stderr
    assert family.value(OPEN_INCIDENTS) == 1
    family.execute(SUSPEND)
    shell(family.url).alembic("upgrade", "head")
    assert family.value(OPEN_INCIDENTS) == 0


@pytest.mark.parametrize(("interrupted", "left"), [(False, 1), (True, 2)])
def test_what_happens_while_an_upgrade_links_stays_an_incident(
    shell: ShellFor, family: Database, monkeypatch: pytest.MonkeyPatch, interrupted: bool, left: int
) -> None:
    shell(family.url).alembic("upgrade", "head")
    family.execute(INCIDENT, ["before"])
    family.execute(SUSPEND)

    def link_queued(connection: object) -> None:
        family.execute(INCIDENT, ["meanwhile"])
        if interrupted:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(linking, "link_queued", link_queued)
        result = shell(family.url).alembic("upgrade", "head", check=False)
    assert result.returncode == (130 if interrupted else 0)
    assert family.value(OPEN_INCIDENTS) == left
    shell(family.url).alembic("upgrade", "head")
    assert [row.place for row in family.fetch("select place from linked.incident where resolved_at is null")] == [
        "meanwhile"
    ]


def test_version_table_is_not_in_public(shell: ShellFor, immich: Database) -> None:
    shell(immich.url).alembic("upgrade", "head")
    assert immich.value("select version_num from linked.alembic_version") == "v1.138.0"
    assert immich.value("select to_regclass('public.alembic_version')") is None


def test_a_second_time_changes_nothing(shell: ShellFor, family: Database, pg_dump: Callable[..., str]) -> None:
    shell(family.url).alembic("upgrade", "head")
    wait_until_nothing_is_left(family)
    before = pg_dump(family)
    result = shell(family.url).alembic("upgrade", "head")
    assert result.stderr.startswith("linked-asset: is up to date for Immich v1.138.0\n")
    assert pg_dump(family) == before


def test_removal_leaves_nothing(shell: ShellFor, family: Database, pg_dump: Callable[..., str]) -> None:
    before = pg_dump(family, "--schema-only")
    assets = family.value("select count(*) from asset")
    shell(family.url).alembic("upgrade", "head")
    result = shell(family.url).alembic("downgrade", "base")
    assert "removed" in result.stderr
    assert pg_dump(family, "--schema-only") == before
    assert family.value("select count(*) from asset") == assets
    again = shell(family.url).alembic("downgrade", "base")
    assert "nothing to do" in again.stderr
    assert pg_dump(family, "--schema-only") == before


def test_current_and_history(own_process: ShellFor, immich: Database, pg_dump: Callable[..., str]) -> None:
    before = pg_dump(immich)
    assert own_process(immich.url).alembic("current").stdout == ""
    assert "<base> -> v1.138.0, Immich" in own_process(immich.url).alembic("history", "--indicate-current").stdout
    assert pg_dump(immich) == before
    own_process(immich.url).alembic("upgrade", "head")
    assert own_process(immich.url).alembic("current").stdout == "v1.138.0\n"


def test_what_is_not_as_shipped_is_made_again(shell: ShellFor, family: Database) -> None:
    shell(family.url).alembic("upgrade", "head")
    before = clones(family)
    for damage, reason in {
        "update linked.installation set package_version = '0.0.1'": "installed by version 0.0.1",
        "update linked.installation set script_sha256 = ''": "another build of this version",
        "alter table asset disable trigger linked_asset_update": "trigger linked_asset_update on asset is disabled",
        "drop trigger linked_asset_update on asset": "trigger linked_asset_update on asset is missing",
        "drop function linked.covered(uuid[])": "function linked.covered(uuid[]) is missing",
        "update linked.installation set suspended_at = now(), suspended_why = 'no such column'": "no such column",
    }.items():
        family.execute(damage)
        result = shell(family.url).alembic("upgrade", "head")
        assert "again: " in result.stderr
        assert reason in result.stderr
        assert clones(family) == before
    assert (
        shell(family.url)
        .alembic("upgrade", "head")
        .stderr.startswith("linked-asset: is up to date for Immich v1.138.0\n")
    )


def test_linking_goes_on_after_a_kill(own_process: ShellFor, family: Database) -> None:
    with family.connect(autocommit=False) as immich_writes:
        # Whoever makes a clone locks its owner a little: so linking waits here, and installing does not.
        immich_writes.execute('select from "user" for update')
        process = own_process(family.url).start("-m", "alembic", "upgrade", "head")
        wait_until(lambda: family.value("select to_regclass('linked.installation') is not null"))
        wait_until(lambda: family.value(WAITING))
        process.kill()
        process.communicate()
    wait_until(lambda: others(family) == 0)
    assert clones(family) == 0
    left = family.value("select count(*) from linked.queue")
    assert left > 0
    result = own_process(family.url).alembic("upgrade", "head")
    assert f"went through {left} media" in result.stderr
    assert clones(family) > 100
    assert family.value("select count(*) from linked.queue") == 0


def test_a_queue_that_was_left_is_worked_off(shell: ShellFor, family: Database) -> None:
    shell(family.url).alembic("upgrade", "head")
    family.execute("insert into linked.queue (source_id) select source_id from linked.member on conflict do nothing")
    result = shell(family.url).alembic("upgrade", "head")
    assert "went through" in result.stderr
    assert family.value("select count(*) from linked.queue") == 0


def test_two_at_once(own_process: ShellFor, family: Database) -> None:
    processes = [own_process(family.url).start("-m", "alembic", "upgrade", "head") for _ in range(2)]
    results = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert sum("installs for" in result for result in results) == 1
    assert sum("is up to date" in result for result in results) == 1


def test_somebody_else_upgrades(shell: ShellFor, immich: Database, pg_dump: Callable[..., str]) -> None:
    before = pg_dump(immich)
    with immich.connect() as other:
        other.execute("select pg_advisory_lock(1818848875, 1)")
        line = one_line(shell(immich.url).alembic("upgrade", "head", check=False))
    assert "another upgrade or downgrade" in line
    assert pg_dump(immich) == before


def test_immich_is_busy_for_a_moment(own_process: ShellFor, immich: Database) -> None:
    with immich.connect(autocommit=False) as writer:
        writer.execute("lock table album in row exclusive mode")
        process = own_process(immich.url).start("-m", "alembic", "upgrade", "head")
        time.sleep(2)
        assert process.poll() is None
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 0, talk


@pytest.mark.parametrize("table", ["asset", "album"])
def test_immich_is_busy_all_the_time(
    immich: Database, pg_dump: Callable[..., str], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Half a minute in all, here less: then who holds what, and since when."""
    monkeypatch.setattr(operations, "SECONDS_TO_WAIT", 5)
    before = pg_dump(immich)
    with immich.connect(autocommit=False) as writer:
        writer.execute("set application_name = 'immich server'")
        writer.execute(sql.SQL("lock table {} in row exclusive mode").format(sql.Identifier(table)))
        pid = writer.info.backend_pid
        begun = time.monotonic()
        result = inside(immich.url).alembic("upgrade", "head", check=False)
        assert time.monotonic() - begun < 30
    assert result.returncode == 1
    waiting, gave_up = result.stderr.splitlines()[-2:]
    holder = rf"table {table} is held by process {pid} \(immich server, \w+, idle in transaction\) since 20\d\d-"
    assert re.search(f"Immich is busy: {holder}.*; waiting", waiting)
    assert re.search(rf"could not be locked within 5 s \({holder}.*\). Nothing has been changed", gave_up)
    assert pg_dump(immich) == before


def test_somebody_holds_rows_all_the_time(
    family: Database, pg_dump: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked rows let our locks on tables through."""
    here = inside(family.url)
    here.alembic("upgrade", "head")
    before = pg_dump(family)
    monkeypatch.setattr(operations, "SECONDS_TO_WAIT", 5)
    with family.connect(autocommit=False) as writer:
        writer.execute("select from asset for update")
        result = here.alembic("downgrade", "base", check=False)
    assert result.returncode == 1
    assert "could not be locked within 5 s" in result.stderr.splitlines()[-1]
    assert pg_dump(family) == before


def test_the_script_gives_up_too(shell: ShellFor, immich: Database, psql: Callable[..., str]) -> None:
    script = shell(immich.url).alembic("upgrade", "v1.138.0", "--sql").stdout
    with immich.connect(autocommit=False) as writer:
        writer.execute("lock table asset in row exclusive mode")
        with pytest.raises(RuntimeError, match="table asset is held by process"):
            psql(immich, "set linked.patience = 2;\n" + script)
    assert immich.value("select to_regnamespace('linked') is null")


@pytest.mark.parametrize("command", [("upgrade", "head"), ("downgrade", "base")])
def test_immich_never_waits_while_it_holds_what_we_want(
    own_process: ShellFor, family: Database, command: tuple[str, str]
) -> None:
    """A transaction that wrote one table and goes on to another is never stopped by us in between."""
    if command[0] == "downgrade":
        own_process(family.url).alembic("upgrade", "head")
    with family.connect(autocommit=False) as writer:
        writer.execute("lock table tag_asset in row exclusive mode")
        process = own_process(family.url).start("-m", "alembic", *command)
        time.sleep(1.5)
        writer.execute("set local lock_timeout = '1s'")
        writer.execute("lock table asset in row exclusive mode")
        writer.execute("lock table album in row exclusive mode")
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 0, talk


def others(database: Database) -> int:
    query = "select count(*) from pg_stat_activity where datname = current_database() and application_name = %s"
    return int(database.value(query, ["linked-asset"]))
