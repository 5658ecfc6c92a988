"""Which steps an upgrade or downgrade takes, decided before the first one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from linked_asset import detection, errors, guard, immich, shipped
from linked_asset.talk import and_more


@dataclass(frozen=True)
class Plan:
    """What is going to be done."""

    steps: Sequence[Any]
    target: str | None
    """The release that is installed at the end, if any."""
    remarks: Sequence[str]
    again: bool = False
    """Whether the script of the target is run although no step leads there."""


def destination(steps: Sequence[Any], current: str | None) -> str | None:
    """Where Alembic's steps lead to; None is base."""
    if not steps:
        return current
    revisions: Sequence[str] = steps[-1].to_revisions
    return revisions[0] if revisions else None


def as_far_as_it_fits(connection: Connection, current: str | None, steps: Sequence[Any], known: Sequence[str]) -> Plan:
    """`upgrade head`: to the newest release whose tables are there, and why no further."""
    found = detection.detect(connection, known)
    if found.fitting is None:
        raise guard.unfit_for(connection, found.closest, found.differences)
    fitting = immich.version(found.fitting)
    if current and fitting < immich.version(current):
        raise errors.TablesOlderThanInstalled(fitting=found.fitting, installed=current)
    within = [step for step in steps if immich.version(step.to_revisions[0]) <= fitting]
    remarks = [*_why_no_further(connection, found.fitting, known), *_new_columns(connection, found.fitting)]
    return _plan(connection, current, found.fitting, within, remarks)


def up_to(connection: Connection, current: str | None, steps: Sequence[Any]) -> Plan:
    """`upgrade v2.5.0`: there or nowhere."""
    goal = destination(steps, current)
    if goal:
        guard.refuse_unfit(connection, goal)
    return _plan(connection, current, goal, steps, _new_columns(connection, goal) if goal else [])


def down_to(connection: Connection, current: str, steps: Sequence[Any]) -> Plan:
    """`downgrade`: to base from anywhere, to a release when its tables are there. They may have grown since."""
    goal = destination(steps, current)
    if goal is None:
        return Plan(steps, None, [f"removes what was installed for Immich {current}"])
    if steps:
        guard.refuse_unfit(connection, goal, grown=True)
    return Plan(steps, goal, [f"moves from Immich {current} to Immich {goal}" if steps else f"is at {goal} already"])


def _plan(
    connection: Connection, current: str | None, goal: str | None, steps: Sequence[Any], remarks: Sequence[str]
) -> Plan:
    if steps:
        move = f"moves from Immich {current} to Immich {goal}" if current else f"installs for Immich {goal}"
        return Plan(steps, goal, [move, *remarks])
    reasons = shipped.outdated(connection, goal) if goal else []
    if reasons:
        return Plan((), goal, [f"installs for Immich {goal} again: {and_more(reasons)}", *remarks], again=True)
    return Plan((), goal, [f"is up to date for Immich {goal}", *remarks])


def _new_columns(connection: Connection, goal: str) -> list[str]:
    return [f"warning: {column}" for column in detection.new_columns(connection, goal)]


def _why_no_further(connection: Connection, fitting: str, known: Sequence[str]) -> list[str]:
    later = [release for release in known if immich.version(release) > immich.version(fitting)]
    if later:
        following = min(later, key=immich.version)
        unfit = and_more(detection.differences(connection, following))
        return [f"stops at {fitting}, which fits Immich's tables; {following} does not: {unfit}"]
    running = detection.running_version(connection)
    if detection.is_newer(running, immich.RELEASES[-1]):
        return [
            f"warning: Immich says it is {running}, this version of linked-asset knows {immich.RELEASES[-1]} at most; "
            f"the tables that it touches are those of {fitting}, so it goes on"
        ]
    return []
