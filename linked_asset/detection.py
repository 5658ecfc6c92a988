"""Which release of Immich a database fits, told from its tables.

What counts are the tables, columns and keys that the addon touches, not a version number: a patch release of Immich
that changes an index or a function is the known release to us, and a release from the future may well be.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, text

from linked_asset import immich
from linked_asset.immich.model import Embedding, Index, Table, Unique
from linked_asset.queries import query, run_script, source, without_comments

NEW = "new_column"
"""The kind of a difference that keeps nobody from anything: a column that may be left out of an insert, and that no
release we know has. It is left to its default, because whether a copy would be right is not known."""
COPIED = (immich.Policy.SHARED, immich.Policy.PRODUCED)
OF_AN_ACCOUNT = frozenset({"birthDate", "userId", "albumName"})
"""Persons, tags and albums have counterparts, which need not agree on everything."""


@dataclass(frozen=True)
class Difference:
    """One way in which a live table is not as the release has it."""

    kind: str
    table: str
    column: str | None
    wanted: str | None
    live: str | None
    line: str

    def __str__(self) -> str:
        return self.line


@dataclass(frozen=True)
class Detection:
    """What the live tables are."""

    fitting: str | None
    """The newest of the releases asked for that fits."""
    closest: str
    """It, or the release that differs least."""
    differences: tuple[Difference, ...]
    """Between the closest release and the live tables."""


def differences(connection: Connection, release: str) -> tuple[Difference, ...]:
    """How the live tables differ from those of a release, in what we touch. Empty when they fit."""
    return tuple(found for found in _compared(connection, release) if found.kind != NEW)


def new_columns(connection: Connection, release: str) -> tuple[Difference, ...]:
    """Columns that no release we know has, in tables that we copy."""
    return tuple(found for found in _compared(connection, release) if found.kind == NEW)


def _compared(connection: Connection, release: str) -> list[Difference]:
    rows: Iterable[Any] = run_script(connection, differences_query(release))
    return [Difference(*row) for row in rows]


def detect(connection: Connection, releases: Iterable[str]) -> Detection:
    """Compares with the releases, the newest first."""
    unfit: dict[str, tuple[Difference, ...]] = {}
    for release in sorted(releases, key=immich.version, reverse=True):
        found = differences(connection, release)
        if not found:
            return Detection(release, release, ())
        unfit[release] = found
    closest = min(unfit, key=lambda release: len(unfit[release]))
    return Detection(None, closest, unfit[closest])


def running_version(connection: Connection) -> str | None:
    """The release that Immich says it is (it says so once it has started), for messages: tables count, not this."""
    if not has_table(connection, "version_history"):
        return None
    found = connection.execute(text('select version from public.version_history order by "createdAt" desc limit 1'))
    version = found.scalar()
    return f"v{str(version).removeprefix('v')}" if version else None


def is_newer(running: str | None, release: str) -> bool:
    """Whether Immich says to be newer than a release."""
    return running is not None and _numbers(running) > _numbers(release)


def _numbers(version: str) -> tuple[int, ...]:
    """`v3.0.0-rc.1` counts as the release that it leads to."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0]))


def missing_table(connection: Connection) -> str | None:
    """The first table without which no Immich is Immich, old names counting; None for an Immich database."""
    for name in ("asset", "album", "user"):
        if not (has_table(connection, name) or has_table(connection, f"{name}s")):
            return name
    return None


def is_too_old(connection: Connection) -> bool:
    """Immich before v1.138.0: its tables had other names (`assets`), or it says so."""
    if not has_table(connection, "asset"):
        return True
    running = running_version(connection)
    return running is not None and _numbers(running) < _numbers(immich.RELEASES[0])


def has_table(connection: Connection, name: str, schema: str = "public") -> bool:
    return bool(connection.execute(query("guard/has_table"), {"schema": schema, "name": name}).scalar())


@cache
def differences_query(release: str) -> str:
    """The comparison as one query without parameters, so that a psql script can hold it."""
    touched = [table for table in immich.release(release) if table.touched]
    tables = [f'"{table.name}": {json.dumps(_shape(table))}' for table in touched]
    quoted = "{{\n{}\n}}".format(",\n".join(tables)).replace("'", "''")
    return without_comments(source("guard/differences")).replace(":expected", f"'{quoted}'::jsonb")


def _shape(table: Table) -> dict[str, Any]:
    used = [column for column in table.columns if table.uses is None or column.canonical in table.uses]
    names = {column.canonical for column in used}
    return {
        "columns": {column.name: [_type(column.type), column.nullable] for column in used},
        "keys": [[table.names(columns), partial] for columns, partial in _keys(table) if names.issuperset(columns)],
        "inserted": table.uses is None,
        "elsewhere": _elsewhere(table),
        "copied": any(column.policy in COPIED for column in used) and not OF_AN_ACCOUNT.intersection(names),
    }


def _elsewhere(table: Table) -> list[str]:
    """Columns that the table has in other releases."""
    described = [immich.release(one) for one in immich.RELEASES]
    names = {column.name for one in described if one.has(table.name) for column in one.table(table.name).columns}
    return sorted(names - {column.name for column in table.columns})


def _type(type_: Any) -> str | None:
    """As `format_type` spells it, without a length: no length of Immich's has ever mattered to us."""
    return None if isinstance(type_, Embedding) else re.sub(r"\s*\(\d+\)", "", immich.pg_type(type_))


def _keys(table: Table) -> Iterable[tuple[tuple[str, ...], bool]]:
    """What `on conflict` can name: primary key, unique constraints, unique indexes; partial ones apart."""
    yield table.primary_key, False
    for unique in table.of(Unique):
        yield unique.columns, False
    for index in table.of(Index):
        if index.unique and all(table.has(name) for name in index.columns):
            yield index.columns, index.where is not None
