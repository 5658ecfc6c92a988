"""The optional worker: waits for notifications, works off queued linking, reconciles after incidents."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from linked_asset import errors, linking, shipped
from linked_asset.config import target
from linked_asset.reconcile import reconcile
from linked_asset.talk import say

CHANNEL = "linked"
SECONDS_BETWEEN_LOOKS = 60.0
"""Also without a notification, which a restored database or a crash may have swallowed."""


def watch(connection: Connection, *, until: Callable[[], bool] = lambda: False) -> None:
    """Works until `until` says so, or for ever."""
    with connection.begin():
        if shipped.installation(connection) is None:
            raise errors.NotInstalled(target=target(connection.engine.url))
        shipped.refuse_to_work(connection)
    listening = connection.execution_options(isolation_level="AUTOCOMMIT")
    listening.execute(text(f"listen {CHANNEL}"))
    listening.rollback()
    raw = connection.connection.driver_connection
    assert raw is not None
    say("watching")
    while True:
        _work(connection)
        if until():
            return
        for _ in raw.notifies(timeout=SECONDS_BETWEEN_LOOKS, stop_after=1):
            pass


def _work(connection: Connection) -> None:
    with connection.begin():
        state = shipped.installation(connection)
    if state is None or state["suspended_at"]:
        return
    linking.link_queued(connection)
    with connection.begin():
        incidents = connection.execute(
            text("select count(*) from linked.incident where resolved_at is null")
        ).scalar_one()
    if incidents:
        report = reconcile(connection, dry_run=False)
        say(f"{incidents} incidents: {report.as_json()['differences']} differences repaired")
