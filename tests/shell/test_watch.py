"""`linked-asset watch` from its start to its end."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import psycopg
import pytest

from sample import create_immich
from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.conftest import Household
from tests.linked.sessions import WAITING, wait_until
from tests.linked.test_migrations_of_immich import MIGRATIONS
from tests.release import RELEASE
from tests.shell.conftest import Shell, inside, one_line
from tests.shell.test_climb import immich_of

ShellFor = Callable[..., Shell]


class Watch:
    """A worker, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._said: Queue[str] = Queue()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said.put(line)

    def says(self, part: str, seconds: float = 30) -> list[str]:
        """All lines up to the next one with this in it."""
        lines: list[str] = []
        while not lines or part not in lines[-1]:
            try:
                lines.append(self._said.get(timeout=seconds))
            except Empty:
                raise AssertionError(f"{part!r} was not said, but {lines}") from None
        return lines

    def end(self) -> list[str]:
        """What it had said, but nobody had asked for."""
        self.process.wait(timeout=20)
        self._reader.join()
        return [self._said.get() for _ in range(self._said.qsize())]


@contextmanager
def watching(shell: Shell, settled_after: float = 1, *options: str) -> Iterator[Watch]:
    process = shell.start("-m", "linked_asset", "watch", "--settled-after", str(settled_after), *options)
    watch = Watch(process)
    try:
        yield watch
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_quietly(shell: ShellFor, immich: Database, stop: signal.Signals, code: int) -> None:
    inside(immich.url).alembic("upgrade", "head")
    with watching(shell(immich.url)) as watch:
        watch.says("watching")
        wait_until_listening(immich)
        watch.process.send_signal(stop)
        assert watch.end() == []
        assert watch.process.returncode == code


def test_it_installs(shell: ShellFor, immich: Database) -> None:
    with watching(shell(immich.url)) as watch:
        lines = watch.says("watching")
        assert any("installs for Immich" in line for line in lines)
        assert "is up to date" in inside(immich.url).alembic("upgrade", "head").stderr


def test_what_nobody_can_wait_for_ends_it(immich: Database) -> None:
    immich.execute("create schema linked; create table linked.of_somebody_else ()")
    assert "is not ours" in one_line(inside(immich.url).linked_asset("watch", check=False))


def test_it_waits_for_immichs_tables(shell: ShellFor, empty: Database) -> None:
    with watching(shell(empty.url)) as watch:
        (*_, line) = watch.says("waiting until Immich's tables are others")
        assert "it has no table asset" in line
        wait_until_listening(empty)
        with empty.connect() as connection:
            create_immich(connection, RELEASE)
        empty.execute("notify linked")
        assert any("waiting until they settle" in line for line in watch.says("installs for Immich"))
        watch.says("watching")


@pytest.mark.parametrize("noticed", [True, False])
def test_it_follows_immich(shell: ShellFor, databases: Databases, noticed: bool) -> None:
    """A migration after which sync was suspended, or one that no statement has met, in two steps."""
    with immich_of(databases, "v2.3.0") as database:
        immich = Immich(database, "v2.3.0")
        family, anna = immich.create_user("Family"), immich.create_user("Anna")
        immich.create_album(family, "Linked album", "/photos", users={anna: "editor"})
        immich.upload(family, "/photos/0.jpg")
        with watching(shell(database.url), settled_after=2) as watch:
            watch.says("watching")
            wait_until_listening(database)
            first, *rest = MIGRATIONS["v2.4.0"].rsplit(";", 1) if not noticed else [MIGRATIONS["v2.4.0"]]
            database.execute(first)
            if noticed:
                Immich(database, "v2.4.0").upload(family, "/photos/1.jpg")
                assert database.value("select suspended_at is not null from linked.installation")
            database.execute("notify linked")
            watch.says("waiting until they settle")
            for step in rest:
                time.sleep(1)
                database.execute(step)
                database.execute("notify linked")
            assert "moves from Immich v2.3.0 to Immich v2.4.0" in watch.says("Immich v2.")[-1]
            members = 4 if noticed else 2
            wait_until(lambda: database.value("select count(*) from linked.member") == members)
            assert database.value("select suspended_at is null from linked.installation")


def test_it_leaves_a_dump_that_is_loaded_alone(shell: ShellFor, immich: Database) -> None:
    """A trigger that we made meanwhile would be in its way."""
    here = inside(immich.url)
    here.alembic("upgrade", "head")
    with watching(shell(immich.url), settled_after=0.5) as watch:
        watch.says("watching")
        wait_until_listening(immich)
        with psycopg.connect(immich.url, application_name="psql", autocommit=True) as loading:
            loading.execute("drop trigger linked_asset_insert on asset")
            immich.execute("notify linked")
            watch.says("waiting until they settle")
            for _ in range(3):
                loading.execute("select pg_sleep(0.5)")
                immich.execute("notify linked")
        assert not immich.value("select count(*) from pg_trigger where tgname = 'linked_asset_insert'")
        watch.says("installs for Immich")
        wait_until(lambda: immich.value("select count(*) from pg_trigger where tgname = 'linked_asset_insert'"))


def test_it_says_what_it_cannot_follow_once(shell: ShellFor, immich: Database) -> None:
    inside(immich.url).alembic("upgrade", "head")
    with watching(shell(immich.url), settled_after=0.2) as watch:
        watch.says("watching")
        wait_until_listening(immich)
        immich.execute('alter table asset rename checksum to "checkSum"')
        immich.execute("notify linked")
        assert "do not fit" in watch.says("waiting until Immich's tables are others")[-1]
        for _ in range(3):
            immich.execute("notify linked")
            time.sleep(0.3)
        immich.execute('alter table asset rename "checkSum" to checksum')
        immich.execute("notify linked")
        assert not [line for line in watch.says("watching") if "do not fit" in line]


def test_it_does_not_undo_what_another_build_installs(shell: ShellFor, immich: Database) -> None:
    inside(immich.url).alembic("upgrade", "head")
    with watching(shell(immich.url), settled_after=0.2) as watch:
        watch.says("watching")
        wait_until_listening(immich)
        immich.execute(
            """update linked.installation set script_sha256 = 'x', package_version = '9.9';
               drop trigger linked_asset_insert on asset"""
        )
        for _ in range(3):
            immich.execute("notify linked")
            time.sleep(0.3)
        assert "of another build (version 9.9)" in watch.says("start that one")[-1]
        assert not immich.value("select count(*) from pg_trigger where tgname = 'linked_asset_insert'")
        watch.process.send_signal(signal.SIGINT)
        assert watch.end() == []


def test_it_does_not_install_what_somebody_removes(shell: ShellFor, immich: Database) -> None:
    here = inside(immich.url)
    with watching(shell(immich.url), settled_after=0.2) as watch:
        watch.says("watching")
        wait_until_listening(immich)
        here.alembic("downgrade", "base")
        for _ in range(2):
            immich.execute("notify linked")
            time.sleep(0.5)
        assert "linked assets have been removed: waiting for" in watch.says("removed")[-1]
        assert immich.value("select to_regnamespace('linked') is null")
        here.alembic("upgrade", "head")
        immich.execute("notify linked")
        watch.says("watching")
        watch.process.send_signal(signal.SIGINT)
        assert not [line for line in watch.end() if "removed" in line]


def test_an_interrupted_command_says_so(shell: ShellFor, immich: Database) -> None:
    inside(immich.url).alembic("upgrade", "head")
    with immich.connect(autocommit=False) as other:
        other.execute("lock table linked.queue in access exclusive mode")
        process = shell(immich.url).start("-m", "linked_asset", "status")
        give_up = time.monotonic() + 30
        while not immich.value(WAITING):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err == "linked-asset: interrupted. The database is consistent; the same command goes on from here\n"


def wait_until_listening(database: Database) -> None:
    listening = "select count(*) from pg_stat_activity where datname = current_database() and query = 'listen linked'"
    give_up = time.monotonic() + 20
    while not database.value(listening):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    time.sleep(0.5)  # until it has looked once


def test_it_looks_for_the_files(shell: ShellFor, immich: Database, tmp_path: Path) -> None:
    Household(immich).photo()
    with watching(shell(immich.url), 1, "--media", str(tmp_path)) as watch:
        (line,) = watch.says("files of linked media are missing")[-1:]
        assert "restore originals from a backup" in line
