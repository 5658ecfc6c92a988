"""Killed at any point, by the user or by the server: the database is consistent, and the same command goes on."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.builders import Immich
from tests.database import Database
from tests.linked.conftest import Household
from tests.linked.invariants import violations
from tests.linked.sessions import WRITERS_LOCK, wait_until, wait_until_nothing_is_left
from tests.shell.conftest import shell_for

Dump = Callable[..., str]
Command = subprocess.Popen[str]
SECONDS = 60.0

WAITS_FOR_A_LOCK = "wait_event_type = 'Lock'"
TRIES_AGAIN = "state = 'idle' and query = 'ROLLBACK'"
ALEMBIC = "application_name = 'linked-asset'"


def is_there(database: Database, condition: str) -> bool:
    query = (
        f"select count(*) > 0 from pg_stat_activity where datname = current_database() and {ALEMBIC} and {condition}"
    )
    return bool(database.value(query))


def kill_client(command: Command, _: Database) -> None:
    command.kill()


def kill_backend(_: Command, database: Database) -> None:
    database.execute(
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and {ALEMBIC}"
    )


Kill = Callable[[Command, Database], None]
KILLS = pytest.mark.parametrize("kill", [kill_client, pytest.param(kill_backend, marks=pytest.mark.slow)])


def run_and_kill(
    database: Database, kill: Kill, arguments: tuple[str, ...], condition: str, program: str = "alembic"
) -> str:
    """Starts a command, and kills it when its session is in some state. Returns what it said."""
    command = shell_for(database.url).start("-m", program, *arguments)
    wait_until(lambda: is_there(database, condition) or command.poll() is not None)
    assert command.poll() is None, command.communicate()
    kill(command, database)
    return command.communicate(timeout=SECONDS)[1]


def finish(database: Database, *arguments: str) -> None:
    wait_until(lambda: not is_there(database, "true"))
    shell_for(database.url).alembic(*arguments)


def all_is_well(database: Database) -> None:
    with database.connect() as connection:
        assert violations(connection) == []
    assert database.value("select count(*) from linked.queue") == 0
    assert database.value("select count(*) from linked.incident") == 0
    assert database.value("select count(*) from linked.member where asset_id <> source_id") > 100


@contextmanager
def holding(database: Database, statement: str, parameters: Any = None) -> Iterator[None]:
    """Somebody else's transaction that stops the command at some point."""
    with database.connect(autocommit=False) as other:
        other.execute(statement, parameters)
        yield
        other.rollback()


def slow_but_last(moments: Sequence[str]) -> list[Any]:
    return [*(pytest.param(moment, marks=pytest.mark.slow) for moment in moments[:-1]), moments[-1]]


WRITERS = "select pg_advisory_xact_lock(%s, %s)"

INSTALLING: dict[str, tuple[str, Any]] = {
    "before anything": ("lock table asset in row exclusive mode", None),
    "at the end of the script": (WRITERS, WRITERS_LOCK),
}


@KILLS
@pytest.mark.parametrize("moment", slow_but_last([*INSTALLING]))
def test_killed_while_it_installs(family: Database, pg_dump: Dump, kill: Kill, moment: str) -> None:
    before = pg_dump(family)
    with holding(family, *INSTALLING[moment]):
        said = run_and_kill(family, kill, ("upgrade", "head"), WAITS_FOR_A_LOCK)
    wait_until(lambda: not is_there(family, "true"))
    assert "Traceback" not in said
    assert pg_dump(family) == before
    finish(family, "upgrade", "head")
    all_is_well(family)


@KILLS
def test_killed_while_it_links_for_the_first_time(family: Database, kill: Kill) -> None:
    # Whoever makes a clone locks its owner a little, so linking stops here.
    with holding(family, """select from "user" for update"""):
        said = run_and_kill(family, kill, ("upgrade", "head"), f"{WAITS_FOR_A_LOCK} and query like '%work_off%'")
    assert "Traceback" not in said
    finish(family, "upgrade", "head")
    all_is_well(family)


@KILLS
def test_killed_while_it_reconciles(linked_family: Database, kill: Kill) -> None:
    wait_until_nothing_is_left(linked_family)
    linked_family.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    linked_family.execute(
        """update asset_exif set description = 'unseen'
           where "assetId" in (select asset_id from linked.member where asset_id <> source_id)"""
    )
    linked_family.execute("update linked.installation set suspended_at = null, suspended_why = null")
    last = """select from asset_exif where "assetId" in (
                select source_id from linked.member order by source_id desc limit 1) for update"""
    with holding(linked_family, last):
        said = run_and_kill(linked_family, kill, ("reconcile",), TRIES_AGAIN, "linked_asset")
    assert "Traceback" not in said
    wait_until(lambda: not is_there(linked_family, "true"))
    shell_for(linked_family.url).linked_asset("reconcile")
    all_is_well(linked_family)


def test_no_lock_outlives_a_transaction(family: Database) -> None:
    """Behind a transaction pooler a lock of the session's would stay on a pooled connection."""
    locks = f"""select count(*) from pg_locks join pg_stat_activity using (pid)
                where datname = current_database() and {ALEMBIC} and locktype = 'advisory' and objid = 1"""
    with holding(family, """select from "user" for update"""):
        command = shell_for(family.url).start("-m", "alembic", "upgrade", "head")
        wait_until(lambda: is_there(family, f"{WAITS_FOR_A_LOCK} and query like '%work_off%'"))
        held = family.value(locks)
    assert (held, command.communicate(timeout=SECONDS), command.returncode)[::2] == (0, 0)


def test_linking_that_waits_too_long_stays_queued(household: Household) -> None:
    database, photo = household.database, household.photo()
    database.execute(
        "insert into linked.participant values (%s, %s, 'editor')", [household.linked_album, household.clara]
    )
    household.insert("album_user", {"albumId": household.linked_album, "userId": household.clara, "role": "editor"})
    database.execute("insert into linked.queue (source_id) values (%s)", [photo])
    with holding(database, """select from "user" for update"""):
        database.execute("set lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            database.execute("select linked.work_off('1 second')")
        database.execute("reset lock_timeout")
    assert database.value("select count(*) from linked.queue") == 1
    database.execute("select linked.work_off('1 second')")
    assert household.find_clone(photo, household.clara)


REMOVING: dict[str, tuple[str, Any, str]] = {
    "before anything": ("lock table asset in row exclusive mode", None, "wait_event = 'PgSleep'"),
    "before triggers are dropped": (
        "lock table album in access share mode",
        None,
        "wait_event = 'PgSleep'",
    ),
    "while clones are deleted": ('select from asset where "isExternal" for key share', None, WAITS_FOR_A_LOCK),
}


@KILLS
@pytest.mark.parametrize("moment", slow_but_last([*REMOVING]))
def test_killed_while_it_is_removed(linked_family: Database, pg_dump: Dump, kill: Kill, moment: str) -> None:
    before = pg_dump(linked_family)
    statement, parameters, condition = REMOVING[moment]
    with holding(linked_family, statement, parameters):
        said = run_and_kill(linked_family, kill, ("downgrade", "base"), condition)
    wait_until(lambda: not is_there(linked_family, "true"))
    assert "Traceback" not in said
    assert pg_dump(linked_family) == before
    all_is_well(linked_family)
    finish(linked_family, "downgrade", "base")
    assert linked_family.value("select to_regnamespace('linked')") is None
    assert linked_family.value("""select count(*) from asset where "isExternal" and "libraryId" is null""") == 0


def test_a_write_of_immich_that_is_killed_leaves_nothing(linked: Database) -> None:
    """Rows and their counterparts are there together, or not at all."""
    house = Household(linked)
    photo = house.photo()
    with linked.connect(autocommit=False) as writer:
        writer.execute("""update asset_exif set description = 'lost' where "assetId" = %s""", [photo])
        pid = writer.info.backend_pid
        linked.execute("select pg_terminate_backend(%s)", [pid])
        wait_until(lambda: not linked.fetch("select from pg_stat_activity where pid = %s", [pid]))
        with pytest.raises(psycopg.OperationalError):
            writer.execute("select")
    house.check()
    assert house.exif(photo).description == ""


# --- at once ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("other", [("upgrade", "head"), ("downgrade", "base")], ids=["upgrades", "removes"])
def test_two_at_once(linked_family: Database, other: tuple[str, str]) -> None:
    """One after the other, in whatever order."""
    linked_family.execute("update linked.installation set package_version = '0.0.1'")
    commands = [
        shell_for(linked_family.url).start("-m", "alembic", *arguments) for arguments in (("upgrade", "head"), other)
    ]
    said = [command.communicate(timeout=SECONDS)[1] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], said
    finish(linked_family, "upgrade", "head")
    all_is_well(linked_family)


class Hammer:
    """A phone that never stops: one write after the other, each timed."""

    def __init__(self, database: Database) -> None:
        self._immich = Immich(Database(database.url))
        self._assets = [row.id for row in database.fetch('select id from asset where not "isExternal"')]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.errors: list[Exception] = []
        self.seconds: list[float] = []

    def __enter__(self) -> Hammer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(SECONDS)
        self._immich.database.close()

    def _work(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            asset = self._assets[number % len(self._assets)]
            begun = time.monotonic()
            try:
                self._immich.update_asset(asset, isFavorite=number % 2 == 0)
                self._immich.update_exif(asset, rating=number % 5)
            except Exception as error:
                self.errors.append(error)
            self.seconds.append((time.monotonic() - begun) / 2)


@pytest.mark.slow
def test_installing_and_removing_under_a_busy_immich(family: Database) -> None:
    with Hammer(family) as hammer:
        shell_for(family.url).alembic("upgrade", "head")
        shell_for(family.url).alembic("downgrade", "base")
        shell_for(family.url).alembic("upgrade", "head")
    assert hammer.errors == []
    assert len(hammer.seconds) > 50
    print(f"{len(hammer.seconds)} writes, the longest took {max(hammer.seconds):.2f} s")
    # Installing holds the tables while it runs its script and queues what exists; linking goes in slices.
    assert max(hammer.seconds) < 5
    all_is_well(family)
