"""Linking and repairing what is queued, in slices that hold up nobody."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from linked_asset import errors
from linked_asset.database import LOCK_NOT_AVAILABLE, message, sqlstate
from linked_asset.talk import progress, say

SLICE = "200 milliseconds"
LOCK_TIMEOUT = "3s"
PATIENCE = 25
"""Seconds for which a transaction is tried again."""
SLICES_WITHOUT_PROGRESS = 100

T = TypeVar("T")


def patiently(work: Callable[[], T]) -> T:
    """Does the work of one transaction, again when Immich holds the locks, with longer and longer pauses."""
    begun, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            return work()
        except DBAPIError as error:
            if sqlstate(error) not in LOCK_NOT_AVAILABLE:
                raise
            pause = random.uniform(0.5, 1) * min(4, 0.25 * 2**attempt)
            if time.monotonic() + pause > begun + PATIENCE:
                raise errors.ImmichBusy(tries=attempt, reason=message(error)) from error
        time.sleep(pause)


def link_queued(connection: Connection) -> int:
    """Works off the queue, and says how many media that were. Killed at any point, the next call goes on."""
    total = patiently(lambda: _slice(connection, work=False))
    if not total:
        patiently(lambda: _slice(connection))  # settles groups whose jobs have overlapped
        return 0
    left, idle = total, 0
    with progress("linking", total) as advance:
        while left:
            before, left = left, patiently(lambda: _slice(connection))
            idle = 0 if left < before else idle + 1
            if idle >= SLICES_WITHOUT_PROGRESS:
                raise errors.LinkingStuck(queued=left)
            total = max(total, left)
            advance(total - left)
    say(f"went through {total} media of the linked albums")
    return total


def _slice(connection: Connection, *, work: bool = True) -> int:
    """How many media are queued (after some work). None once another command has removed the addon."""
    with connection.begin():
        connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
        if connection.execute(text("select to_regclass('linked.queue') is null")).scalar_one():
            return 0
        count = f"linked.work_off('{SLICE}')" if work else "linked.left_to_do()"
        return int(connection.execute(text(f"select {count}")).scalar_one())
