"""The optional worker: follows Immich's upgrades, works off queued linking, reconciles after incidents.

Two connections: one listens and does nothing else, another is made for the work and closed after it. Either may be lost
at any moment, to a restart of the server, a timeout or an administrator: that is a line on stderr, and a pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic import command
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from linked_asset import errors, linking, shipped
from linked_asset.alembic_ini import alembic_config
from linked_asset.database import connected, message
from linked_asset.doctor import files
from linked_asset.queries import query
from linked_asset.reconcile import open_incidents, reconcile
from linked_asset.talk import say

CHANNEL = "linked"
SECONDS_BETWEEN_LOOKS = 60.0
"""Also without a notification, which a restored database or a crash may have swallowed."""
SETTLED_AFTER = 10.0
"""Seconds without a change of Immich's tables, before they are taken for what they will be."""
SECONDS_BETWEEN_INVENTORIES = 24 * 3600.0
PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before the next try after a loss; the last one again and again."""

OTHER_TABLES = (errors.NotImmich, errors.ImmichTooOld, errors.TablesDoNotFit, errors.TablesOlderThanInstalled)
"""What another try can change only once Immich's tables are others."""
LINKING = (errors.ImmichBusy, errors.LinkingStuck)
"""What can keep an upgrade from linking what exists."""
BUSY = (errors.TablesLocked, errors.AnotherUpgrade, errors.SuspendedAgain, *LINKING)

Incidents = frozenset[tuple[int, str]]


def watch(
    engine: Engine,
    *,
    until: Callable[[], bool] = lambda: False,
    pauses: tuple[float, ...] = PAUSES,
    settled_after: float = SETTLED_AFTER,
    media_folder: Path | None = None,
) -> None:
    """Works until `until` says so, or for ever. What nobody can wait for is raised at once, and later said."""
    worker, losses = Worker(engine, settled_after, media_folder), 0
    try:
        worker.look()
    except BUSY as error:
        say(str(error))
    while not until():
        try:
            with _listening(engine) as listener:
                say("watching")
                while not until():
                    wait = worker.look()
                    losses = 0
                    _wait(listener, until, wait)
        except (DBAPIError, psycopg.Error, errors.LinkedAssetError) as error:
            pause = pauses[min(losses, len(pauses) - 1)]
            losses += 1
            said = message(error) if isinstance(error, DBAPIError) else " ".join(str(error).split())
            say(f"{said}; the next try is in {pause:g} s")
            time.sleep(pause)


@dataclass(frozen=True)
class Sight:
    """What an upgrade depends on, at a glance."""

    tables: str | None
    triggers: str | None
    suspended_at: object


class Worker:
    """Does what there is to do, on a connection of its own each time."""

    def __init__(self, engine: Engine, settled_after: float = SETTLED_AFTER, media_folder: Path | None = None) -> None:
        self._engine = engine
        self._settled_after = settled_after
        self._media_folder = media_folder
        self._next_inventory = 0.0
        self._known: Sight | None = None
        """What the last upgrade has left. None before the first one."""
        self._refused: Sight | None = None
        """What the last upgrade was refused on: it is not tried again on the same."""
        self._unsettled: Sight | None = None
        """What was seen last, while that differs from what is known."""
        self._since = 0.0
        """When that was seen first."""
        self._given_up: Incidents = frozenset()
        """Incidents that reconciling left open: it is not tried again until something is new."""
        self._idle: str | None = None
        """Why nothing can be done, as it was said."""

    def look(self) -> float:
        """Returns after how many seconds to look again without being notified."""
        with connected(self._engine) as connection, connection.begin():
            sight, is_loading = _sight(connection)
            idle = self._why_idle(connection)
        if idle or sight == self._refused:
            self._say_why_idle(idle or self._idle)
            return SECONDS_BETWEEN_LOOKS
        if sight != self._known:
            is_first = self._known is None and self._refused is None and self._unsettled is None
            if (is_loading or not is_first) and not self._is_settled(sight, is_loading):
                return min(self._settled_after, SECONDS_BETWEEN_LOOKS)
            if not self._upgrade(sight):
                return SECONDS_BETWEEN_LOOKS
        self._refused = self._unsettled = None
        self._say_why_idle(None)
        self._work()
        self._look_for_files()
        return SECONDS_BETWEEN_LOOKS

    def _why_idle(self, connection: Connection) -> str | None:
        """What this process never changes by itself, once it has been at work."""
        if self._known is None:
            return None
        state = shipped.installation(connection)
        if state is None:
            return "linked assets have been removed: waiting for `linked-asset upgrade`"
        if not shipped.is_of_this_build(state):
            return f"linked assets are now those of another build (version {state['package_version']}): start that one"
        return None

    def _is_settled(self, sight: Sight, is_loading: bool) -> bool:
        if self._unsettled is None:
            say("Immich's tables have changed: waiting until they settle")
        if sight != self._unsettled or is_loading:
            self._unsettled, self._since = sight, time.monotonic()
        return time.monotonic() - self._since >= self._settled_after

    def _upgrade(self, sight: Sight) -> bool:
        """Whether it went through, or what it was refused for has to change first."""
        config = alembic_config()
        config.attributes["connection"] = self._engine
        try:
            command.upgrade(config, "head")
        except OTHER_TABLES as error:
            self._refused, self._unsettled = sight, None
            self._say_why_idle(f"{str(error).rstrip('.')}; waiting until Immich's tables are others")
            return False
        except LINKING as error:  # the upgrade itself is done
            say(str(error))
        with connected(self._engine) as connection, connection.begin():
            left, _ = _sight(connection)
        # Immich may have gone on meanwhile.
        self._known = Sight(sight.tables, left.triggers, None)
        return True

    def _work(self) -> None:
        with connected(self._engine) as connection:
            linking.link_queued(connection)
            incidents = open_incidents(connection)
            if incidents <= self._given_up:
                return
            report = reconcile(connection, dry_run=False)
            self._given_up = open_incidents(connection)
        say(f"{len(incidents)} incidents: {report.rows} differences repaired")
        for failure in report.failures:
            say(str(failure))

    def _look_for_files(self) -> None:
        if self._media_folder is None or time.monotonic() < self._next_inventory:
            return
        self._next_inventory = time.monotonic() + SECONDS_BETWEEN_INVENTORIES
        with connected(self._engine) as connection, connection.begin():
            state = shipped.installation(connection)
            if state is None:
                return
            findings = list(files(connection, str(state["immich_version"]), self._media_folder))
        for finding in findings:
            say(f"{finding.what}: {finding.remedy}")

    def _say_why_idle(self, idle: str | None) -> None:
        """Once, and when it is over: a restore of the database takes the addon away and brings it back."""
        if idle and idle != self._idle:
            say(idle)
        elif self._idle and not idle:
            say("watching")
        self._idle = idle


def _sight(connection: Connection) -> tuple[Sight, bool]:
    state: Mapping[str, object] = shipped.readable_installation(connection) or {}
    seen = connection.execute(query("watch/sight")).one()
    return Sight(seen.tables, seen.triggers, state.get("suspended_at")), seen.is_loading


@contextmanager
def _listening(engine: Engine) -> Iterator[psycopg.Connection]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"listen {CHANNEL}"))
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        yield raw


def _wait(listener: psycopg.Connection, until: Callable[[], bool], seconds: float) -> None:
    """Until somebody notifies us; asks now and then whether anybody is there at all."""
    for _ in listener.notifies(timeout=seconds, stop_after=1):
        pass
    listener.execute("select")
