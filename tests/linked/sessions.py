"""Several sessions of Immich at once, step by step.

A step that has to wait for a lock is noticed in `pg_stat_activity`, not slept for: then the others go on, and it
finishes when it may. Deadlocks show at once (`deadlock_timeout` is 10 ms).
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import psycopg

from tests.builders import Immich
from tests.database import Database

Step = Callable[[Immich], Any]
SECONDS_TO_FINISH = 20.0
WRITERS_LOCK = (1818848875, 0)
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
"""How many sessions of this database wait for a lock: others on the server have locks of their own."""


def impatient(url: str) -> str:
    """A URL for connections that look for deadlocks at once."""
    return f"{url}{'&' if '?' in url else '?'}options=-c%20deadlock_timeout%3D10ms"


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise Stuck("nothing came of what was waited for")
        time.sleep(0.005)


def wait_until_nothing_is_left(database: Database) -> None:
    """Second looks wait for all older transactions of the server, those of other databases too."""
    left = "select linked.work_off('1 second') + (select count(*) from linked.second_look)"
    wait_until(lambda: not database.value(left))


class Stuck(AssertionError):
    """Sessions wait for each other in a way that PostgreSQL does not see, or for something that nobody will do."""


class Session:
    """An Immich with connections and a thread of its own."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.url = f"{impatient(url)}&application_name={name}"
        self.errors: list[Exception] = []
        self._steps: queue.Queue[Step | None] = queue.Queue()
        self._left = 0
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        with self._change:
            return self._left == 0

    def start(self, step: Step) -> None:
        with self._change:
            self._left += 1
        self._steps.put(step)

    def close(self) -> None:
        self._steps.put(None)
        self._thread.join(SECONDS_TO_FINISH)

    def _work(self) -> None:
        database = Database(self.url)
        try:
            immich = Immich(database)
            while (step := self._steps.get()) is not None:
                try:
                    step(immich)
                except Exception as error:
                    self.errors.append(error)
                    with suppress(psycopg.Error):
                        database.execute("rollback")
                with self._change:
                    self._left -= 1
        finally:
            database.close()


class Sessions:
    """Named sessions on one database, and a look at them from outside."""

    def __init__(self, database: Database, names: Iterable[str]) -> None:
        self._database = database
        self._sessions = {name: Session(database.url, name) for name in names}
        self._watch = database.connect()

    def __enter__(self) -> Sessions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and application_name = any(%s) and state <> 'idle'""",
            [list(self._sessions)],
        )
        for session in self._sessions.values():
            session.close()
        self._watch.close()

    def start(self, name: str, step: Step) -> None:
        """Runs the step (after the earlier ones of that session) until it is done or waits for a lock."""
        self._sessions[name].start(step)
        self.settle()

    def settle(self) -> None:
        """Waits until every session is idle or waits for a lock, and nothing moves any more."""
        give_up = time.monotonic() + SECONDS_TO_FINISH
        while time.monotonic() < give_up:
            busy = {name for name, session in self._sessions.items() if not session.is_idle}
            if not busy or (busy == self._waiting() and self._still(busy)):
                return
            time.sleep(0.001)
        raise Stuck("neither done nor waiting for a lock")

    def finish(self) -> dict[str, list[Exception]]:
        """Waits for all steps. Returns what went wrong, by session."""
        give_up = time.monotonic() + SECONDS_TO_FINISH
        while not all(session.is_idle for session in self._sessions.values()):
            if time.monotonic() > give_up:
                busy = [name for name, session in self._sessions.items() if not session.is_idle]
                raise Stuck(f"{busy} do not finish; waiting for locks: {self._waiting()}")
            time.sleep(0.001)
        return {name: session.errors for name, session in self._sessions.items()}

    def _still(self, busy: set[str]) -> bool:
        # Longer than deadlock_timeout: a wait that ends in an error is none.
        time.sleep(0.015)
        return busy == self._waiting() == {name for name, session in self._sessions.items() if not session.is_idle}

    def _waiting(self) -> set[str]:
        rows = self._watch.execute(
            """select distinct application_name from pg_stat_activity
               where datname = current_database() and (wait_event_type = 'Lock' or wait_event = 'PgSleep')"""
        )
        return {row.application_name for row in rows} & self._sessions.keys()


def play(
    database: Database, scripts: Mapping[str, Sequence[Step]], order: Iterable[str], *, gate: bool = False
) -> dict[str, list[Exception]]:
    """Runs the scripts' steps in this order. Returns what went wrong, by session.

    With a gate every writer is stopped at the entrance of its first statement, or wherever it first wants the lock that
    lines writers up, until all first steps are under way: then they race.
    """
    names = list(scripts)
    left = {name: iter(steps) for name, steps in scripts.items()}
    with Sessions(database, names) as sessions, _gate(database, closed=gate) as open_gate:
        under_way: set[str] = set()
        for name in order:
            sessions.start(name, next(left[name]))
            under_way.add(name)
            if under_way == set(names):
                open_gate()
        return sessions.finish()


@contextmanager
def _gate(database: Database, *, closed: bool) -> Iterator[Callable[[], object]]:
    if not closed:
        yield lambda: None
        return
    with database.connect() as keeper:
        keeper.execute("select pg_advisory_lock(%s, %s)", WRITERS_LOCK)
        yield lambda: keeper.execute("select pg_advisory_unlock_all()")


def interleavings(scripts: Mapping[str, Sequence[Step]]) -> list[tuple[str, ...]]:
    """Every order in which the steps can follow each other."""
    left = {name: len(steps) for name, steps in scripts.items()}

    def orders(left: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
        if not any(left.values()):
            yield ()
        for name, count in left.items():
            if count:
                yield from ((name, *rest) for rest in orders({**left, name: count - 1}))

    return list(orders(left))


def starts(scripts: Mapping[str, Sequence[Step]]) -> list[tuple[str, ...]]:
    """Every order of the first steps; the others follow in turn."""
    rest = tuple(
        name
        for names in itertools.zip_longest(*([n] * (len(s) - 1) for n, s in scripts.items()))
        for name in names
        if name
    )
    return [order + rest for order in itertools.permutations(scripts)]
