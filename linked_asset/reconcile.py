"""Finds what members disagree on, and repairs it, in small transactions.

Many groups are compared at once, which locks nothing; the few that differ are repaired, by the function that works off
the queue (`linked.mend`), and compared once more: what differs still is not repaired, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from linked_asset import errors, shipped
from linked_asset.config import target
from linked_asset.linking import LOCK_TIMEOUT, link_queued, patiently
from linked_asset.queries import query

COMPARED = 4000
"""Sources compared at once."""
COMPARED_UNDER_LOCK = 1000
"""The same where a dry run has to undo something first, and writers of Immich's wait meanwhile."""
REPAIRED = 50
"""Sources repaired in one transaction: with a handful of linked users some hundred milliseconds."""

CATCH_UP = text("select kind, changes from linked.catch_up()")

Changes = dict[str, int]
"""How many members (or, of what all groups share, rows) were not as they should be, by kind."""


@dataclass(frozen=True)
class Difference:
    """What was wrong in the group of one source, or in what all groups share (no source)."""

    source_id: UUID | None
    file_name: str | None
    changes: Changes

    @property
    def rows(self) -> int:
        return sum(self.changes.values())


@dataclass(frozen=True)
class Failure:
    """A group that differs still."""

    source_id: UUID
    file_name: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file_name or self.source_id} ({self.source_id}) could not be repaired: {self.reason}"


@dataclass
class Report:
    differences: list[Difference] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    sources: int = 0

    @property
    def rows(self) -> int:
        return sum(difference.rows for difference in self.differences)

    def as_json(self) -> dict[str, Any]:
        return {
            "differences": self.rows,
            "sources": self.sources,
            "groups": [
                {
                    "source": str(difference.source_id) if difference.source_id else None,
                    "file_name": difference.file_name,
                    "rows": difference.changes,
                }
                for difference in self.differences
            ],
            "failures": [
                {"source": str(failure.source_id), "file_name": failure.file_name, "reason": failure.reason}
                for failure in self.failures
            ],
        }


def reconcile(connection: Connection, *, dry_run: bool, progress: Callable[[str, int], Any] | None = None) -> Report:
    """Goes through all groups, and through all that should be groups."""
    _refuse_unless_at_work(connection)
    report = Report()
    incidents = open_incidents(connection)
    shared = patiently(lambda: _catch_up(connection, dry_run))
    if shared:
        report.differences.append(Difference(None, None, shared))
    # What a dry run has undone is needed again by what follows.
    caught_up = dry_run and bool(shared)
    if not dry_run:
        link_queued(connection)
    sources = _sources(connection, caught_up)
    report.sources = len(sources)
    advance = progress("reconciling", len(sources)) if progress else lambda _: None
    done = 0
    for part in _slices(sources, COMPARED_UNDER_LOCK if caught_up else COMPARED):
        found = patiently(lambda: _compare(connection, part, caught_up))  # noqa: B023
        if dry_run:
            report.differences += found
        else:
            for few in _slices(sorted({one.source_id for one in found if one.source_id}), REPAIRED):
                _note(report, patiently(lambda: _mend(connection, few)))  # noqa: B023
                advance(min(done + len(few), len(sources)))
        done += len(part)
        advance(done)
    if not dry_run:
        _resolve(connection, incidents)
    return report


def open_incidents(connection: Connection) -> frozenset[tuple[int, str]]:
    """The incidents that nobody has repaired, each with what changes when it happens once more."""
    with connection.begin():
        found = connection.execute(text("select id, xmin::text from linked.incident where resolved_at is null"))
        return frozenset((int(row[0]), str(row[1])) for row in found)


def _refuse_unless_at_work(connection: Connection) -> None:
    with connection.begin():
        state = shipped.installation(connection)
        is_older = connection.execute(text("select to_regprocedure('linked.mend_alone(uuid[])') is null")).scalar_one()
    if state is None:
        raise errors.NotInstalled(target=target(connection.engine.url))
    if is_older:
        raise errors.InstalledByOlder(version=state["package_version"])
    if state["suspended_at"]:
        raise errors.Suspended(why=state["suspended_why"])
    with connection.begin():
        shipped.refuse_to_work(connection)


def _catch_up(connection: Connection, dry_run: bool) -> Changes:
    with _transaction(connection, undo=dry_run):
        return {str(row.kind): int(row.changes) for row in connection.execute(CATCH_UP)}


def _sources(connection: Connection, caught_up: bool) -> list[UUID]:
    with _transaction(connection, undo=caught_up):
        if caught_up:
            connection.execute(CATCH_UP)
        return list(connection.execute(query("reconcile/sources")).scalars())


def _slices(sources: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(sources), size):
        yield sources[start : start + size]


def _compare(connection: Connection, sources: Sequence[UUID], caught_up: bool) -> list[Difference]:
    with _transaction(connection, undo=caught_up):
        if caught_up:
            connection.execute(CATCH_UP)
        connection.execute(text("set local jit = off"))
        found: dict[UUID, Difference] = {}
        for row in connection.execute(query("reconcile/disagreements"), {"sources": list(sources)}):
            difference = found.setdefault(row.source_id, Difference(row.source_id, row.file_name, {}))
            difference.changes[row.kind] = row.members
        return list(found.values())


def _mend(connection: Connection, sources: Sequence[UUID]) -> list[Mapping[str, Any]]:
    with _transaction(connection):
        return [dict(row) for row in connection.execute(query("reconcile/mend"), {"sources": list(sources)}).mappings()]


def _note(report: Report, rows: Sequence[Mapping[str, Any]]) -> None:
    repaired: dict[UUID, Difference] = {}
    failed: dict[UUID, Failure] = {}
    left: dict[UUID, list[str]] = {}
    for row in rows:
        source, name = row["source_id"], row["file_name"]
        if row["repaired"]:
            repaired.setdefault(source, Difference(source, name, {})).changes[row["kind"]] = row["repaired"]
        if row["unrepaired"]:
            left.setdefault(source, []).append(row["kind"])
        if row["failure"] or row["unrepaired"]:
            reason = row["failure"] or f"{', '.join(left[source])} still differ"
            failed[source] = Failure(source, name, reason)
    report.differences += repaired.values()
    report.failures += failed.values()


def _resolve(connection: Connection, incidents: frozenset[tuple[int, str]]) -> None:
    """Notes that these were repaired, but for those that have happened once more."""
    with _transaction(connection):
        parameters = {"ids": [id_ for id_, _ in incidents], "versions": [version for _, version in incidents]}
        connection.execute(query("reconcile/resolve"), parameters)


@contextmanager
def _transaction(connection: Connection, undo: bool = False) -> Iterator[None]:
    with connection.begin() as transaction:
        connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
        yield
        if undo:
            transaction.rollback()
