"""The optional worker: waits for notifications, works off queued linking, reconciles after incidents.

Two connections: one listens and does nothing else, another is made for the work and closed after it. Either may be lost
at any moment, to a restart of the server, a timeout or an administrator: that is a line on stderr, and a pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from linked_asset import errors, linking, shipped
from linked_asset.config import target
from linked_asset.database import connected, message
from linked_asset.reconcile import open_incidents, reconcile
from linked_asset.talk import say

CHANNEL = "linked"
SECONDS_BETWEEN_LOOKS = 60.0
"""Also without a notification, which a restored database or a crash may have swallowed."""
PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before the next try after a loss; the last one again and again."""

Incidents = frozenset[tuple[int, str]]


def watch(engine: Engine, *, until: Callable[[], bool] = lambda: False, pauses: tuple[float, ...] = PAUSES) -> None:
    """Works until `until` says so, or for ever."""
    with connected(engine) as connection:
        if _state(connection) is None:
            raise errors.NotInstalled(target=target(engine.url))
        with connection.begin():
            shipped.refuse_to_work(connection)
    worker, losses = Worker(engine), 0
    while not until():
        try:
            with _listening(engine) as listener:
                say("watching")
                while not until():
                    worker.look()
                    losses = 0
                    _wait(listener, until)
        except (DBAPIError, psycopg.Error, errors.LinkedAssetError) as error:
            pause = pauses[min(losses, len(pauses) - 1)]
            losses += 1
            said = message(error) if isinstance(error, DBAPIError) else " ".join(str(error).split())
            say(f"{said}; the next try is in {pause:g} s")
            time.sleep(pause)


class Worker:
    """Does what there is to do, on a connection of its own each time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._given_up: Incidents = frozenset()
        """Incidents that reconciling left open: it is not tried again until something is new."""
        self._idle: str | None = None
        """Why nothing can be done, as it was said."""

    def look(self) -> None:
        with connected(self._engine) as connection:
            state = _state(connection)
            self._say_why_idle(state)
            if state is None or state["suspended_at"]:
                return
            linking.link_queued(connection)
            incidents = open_incidents(connection)
            if incidents <= self._given_up:
                return
            report = reconcile(connection, dry_run=False)
            self._given_up = open_incidents(connection)
        say(f"{len(incidents)} incidents: {report.rows} differences repaired")
        for failure in report.failures:
            say(str(failure))

    def _say_why_idle(self, state: Mapping[str, object] | None) -> None:
        """Once, and when it is over: a restore of the database takes the addon away and brings it back."""
        idle = None
        if state is None:
            idle = "linked assets have been removed"
        elif state["suspended_at"]:
            idle = f"sync is suspended, because Immich's tables have changed ({state['suspended_why']})"
        if idle and idle != self._idle:
            say(f"{idle}: waiting for `alembic upgrade head`")
        elif self._idle and not idle:
            say("watching")
        self._idle = idle


def _state(connection: Connection) -> Mapping[str, object] | None:
    with connection.begin():
        return shipped.installation(connection)


@contextmanager
def _listening(engine: Engine) -> Iterator[psycopg.Connection]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"listen {CHANNEL}"))
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        yield raw


def _wait(listener: psycopg.Connection, until: Callable[[], bool]) -> None:
    """Until somebody notifies us; asks now and then whether anybody is there at all."""
    for _ in listener.notifies(timeout=SECONDS_BETWEEN_LOOKS, stop_after=1):
        pass
    listener.execute("select")
