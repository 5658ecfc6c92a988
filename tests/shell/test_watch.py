"""`linked-asset watch` from its start to its end."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.database import Database
from tests.shell.conftest import Shell, inside, one_line

ShellFor = Callable[..., Shell]


@contextmanager
def watching(shell: Shell) -> Iterator[subprocess.Popen[str]]:
    process = shell.start("-m", "linked_asset", "watch")
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "linked-asset: watching\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_quietly(shell: ShellFor, immich: Database, stop: signal.Signals, code: int) -> None:
    inside(immich.url).alembic("upgrade", "head")
    with watching(shell(immich.url)) as process:
        wait_until_listening(immich)
        process.send_signal(stop)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == code


def test_it_says_when_the_addon_is_gone_and_when_it_is_back(shell: ShellFor, immich: Database) -> None:
    here = inside(immich.url)
    here.alembic("upgrade", "head")
    with watching(shell(immich.url)) as process:
        wait_until_listening(immich)
        for change, line in (
            (lambda: here.alembic("downgrade", "base"), "linked assets have been removed: waiting for"),
            (lambda: here.alembic("upgrade", "head"), "watching"),
            (
                lambda: immich.execute("update linked.installation set suspended_at = now(), suspended_why = 'x is y'"),
                "sync is suspended, because Immich's tables have changed (x is y): waiting for",
            ),
            (lambda: here.alembic("upgrade", "head"), "watching"),
        ):
            change()
            for _ in range(2):
                immich.execute("notify linked")
                time.sleep(0.5)
            assert process.stderr is not None
            assert line in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")


def test_without_the_addon_it_does_not_start(immich: Database) -> None:
    assert "not installed" in one_line(inside(immich.url).linked_asset("watch", check=False))


def test_an_interrupted_command_says_so(shell: ShellFor, immich: Database) -> None:
    inside(immich.url).alembic("upgrade", "head")
    with immich.connect(autocommit=False) as other:
        other.execute("lock table linked.queue in access exclusive mode")
        process = shell(immich.url).start("-m", "linked_asset", "status")
        waiting = "select count(*) from pg_locks where not granted"
        give_up = time.monotonic() + 30
        while not immich.value(waiting):
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
