"""Finds what members disagree on, and repairs it, in small transactions.

One code path does both: a slice is repaired, PostgreSQL's own counters tell how many rows that changed, and a dry run
rolls it back. Repairing touches only rows that differ, so where all is well nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from linked_asset import errors, shipped
from linked_asset.config import target
from linked_asset.linking import patiently
from linked_asset.queries import query

SLICE = 25
"""Sources in one transaction: with a handful of linked users about 100 ms."""

STATE = "select linked.repair_state()"
GROUPS = "select linked.repair(:sources)"

Changes = dict[str, int]
"""Rows inserted, updated and deleted, by `schema.table`."""


@dataclass(frozen=True)
class Difference:
    """What had to be changed in the group of one source, or in what all groups share (no source)."""

    source_id: UUID | None
    file_name: str | None
    changes: Changes

    @property
    def rows(self) -> int:
        return sum(self.changes.values())


@dataclass
class Report:
    differences: list[Difference] = field(default_factory=list)
    sources: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "differences": sum(difference.rows for difference in self.differences),
            "sources": self.sources,
            "groups": [
                {
                    "source": str(difference.source_id) if difference.source_id else None,
                    "file_name": difference.file_name,
                    "rows": difference.changes,
                }
                for difference in self.differences
            ],
        }


def reconcile(connection: Connection, *, dry_run: bool, progress: Callable[[str, int], Any] | None = None) -> Report:
    """Goes through all groups, and through all that should be groups."""
    _refuse_unless_at_work(connection)
    report = Report()
    shared = patiently(lambda: _changes(connection, dry_run, STATE))
    if shared:
        report.differences.append(Difference(None, None, shared))
    # What a dry run has undone is needed again by what follows.
    before = STATE if shared and dry_run else None
    sources = _sources(connection)
    report.sources = len(sources)
    advance = progress("reconciling", len(sources)) if progress else lambda _: None
    for done, part in _slices(sources):
        report.differences += _repair(connection, part, dry_run, before)
        advance(done)
    if not dry_run:
        with connection.begin():
            connection.execute(text("update linked.incident set resolved_at = now() where resolved_at is null"))
    return report


def _refuse_unless_at_work(connection: Connection) -> None:
    with connection.begin():
        state = shipped.installation(connection)
    if state is None:
        raise errors.NotInstalled(target=target(connection.engine.url))
    if state["suspended_at"]:
        raise errors.Suspended(why=state["suspended_why"])
    with connection.begin():
        shipped.refuse_to_work(connection)


def _sources(connection: Connection) -> list[UUID]:
    with connection.begin():
        return list(connection.execute(query("reconcile/sources")).scalars())


def _slices(sources: Sequence[UUID]) -> Iterator[tuple[int, Sequence[UUID]]]:
    for start in range(0, len(sources), SLICE):
        part = sources[start : start + SLICE]
        yield start + len(part), part


def _repair(connection: Connection, sources: Sequence[UUID], dry_run: bool, before: str | None) -> list[Difference]:
    """Repairs a slice. Only where something differs it is done source by source, to be able to tell which."""
    if not patiently(lambda: _changes(connection, True, GROUPS, {"sources": list(sources)}, before)):
        return []
    return patiently(lambda: _one_by_one(connection, sources, dry_run, before))


def _one_by_one(connection: Connection, sources: Sequence[UUID], dry_run: bool, before: str | None) -> list[Difference]:
    found = []
    with _transaction(connection, undo=dry_run):
        if before:
            connection.execute(text(before))
        seen = _counters(connection)
        for source in sources:
            connection.execute(text(GROUPS), {"sources": [source]})
            now = _counters(connection)
            if now != seen:
                found.append(Difference(source, _file_name(connection, source), _growth(seen, now)))
            seen = now
    return found


def _changes(
    connection: Connection,
    undo: bool,
    statement: str,
    parameters: dict[str, Any] | None = None,
    prelude: str | None = None,
) -> Changes:
    """The rows that a statement changes, in a transaction of its own; what the prelude changes does not count."""
    with _transaction(connection, undo):
        if prelude:
            connection.execute(text(prelude))
        before = _counters(connection)
        connection.execute(text(statement), parameters or {})
        return _growth(before, _counters(connection))


@contextmanager
def _transaction(connection: Connection, undo: bool) -> Iterator[None]:
    with connection.begin() as transaction:
        connection.execute(text("set local lock_timeout = '3s'"))
        yield
        if undo:
            transaction.rollback()


def _growth(before: Changes, after: Changes) -> Changes:
    return {table: rows - before.get(table, 0) for table, rows in after.items() if rows > before.get(table, 0)}


def _counters(connection: Connection) -> Changes:
    return {str(name): int(rows) for name, rows in connection.execute(query("reconcile/counters"))}


def _file_name(connection: Connection, source: UUID) -> str | None:
    statement = text('select "originalFileName" from public.asset where id = :id')
    return connection.execute(statement, {"id": source}).scalar()
