"""The words in which Immich's tables are described, and the view of one release.

A table is described once, across releases: the description carries the names of the newest
release, and says since and until when something exists and what was different earlier.
`Table.at` and `Column.at` give what a single release has.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from typing import Any, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine, UserDefinedType

EmbeddingStorage = Literal["vector", "real[]"]


class Policy(enum.Enum):
    """What the addon does with a column when a row has counterparts in other accounts."""

    IDENTITY = "identity"
    """Says which row it is and whose. New for every clone."""

    SHARED = "shared"
    """Copied and kept in sync."""

    PRODUCED = "produced"
    """Shared, and written by Immich's jobs (mostly with files on disk): followed from every
    member, viewers included."""

    PERSONAL = "personal"
    """Copied or defaulted at birth, then left alone."""

    DERIVED = "derived"
    """Computed for each member: mapped to its own counterpart, or maintained by Immich."""


class UnknownRelease(KeyError):
    """No step of the model stands for this Immich release."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"Immich {self.name} is not a release the model knows"


@cache
def version(release: str) -> tuple[int, ...]:
    """`v2.10.1` as something that can be compared."""
    return tuple(int(part) for part in release.removeprefix("v").split("."))


class Embedding(UserDefinedType[list[float]]):
    """A vector of fixed length: `vector` where the extension exists, else an array of numbers."""

    cache_ok = True

    def __init__(self, dimensions: int, storage: EmbeddingStorage = "vector") -> None:
        self.dimensions = dimensions
        self.storage = storage

    def get_col_spec(self, **_: Any) -> str:
        return f"vector({self.dimensions})" if self.storage == "vector" else "real[]"


def pg_type(type_: TypeEngine[Any]) -> str:
    """A type as PostgreSQL's `format_type` spells it."""
    if isinstance(type_, sa.Enum):
        return str(type_.name)
    name = type_.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
    return name.replace("varchar", "character varying")


@dataclass(frozen=True)
class Lifetime:
    """Since when (inclusive) and until when (exclusive) something exists."""

    since: str | None = field(default=None, kw_only=True)
    until: str | None = field(default=None, kw_only=True)

    def lives_in(self, release: str) -> bool:
        return not (
            (self.since and version(release) < version(self.since))
            or (self.until and version(release) >= version(self.until))
        )


def _was(described: Mapping[str, Mapping[str, Any]], release: str) -> dict[str, Any]:
    """What differed in a release, of differences given as `{"v2.3.0": {"name": "albumsId"}}`:
    before v2.3.0 the name was albumsId."""
    changes: dict[str, Any] = {}
    for later in sorted(described, key=version, reverse=True):
        if version(release) < version(later):
            changes |= described[later]
    return changes


@dataclass(frozen=True)
class Reference:
    """The foreign key of one column."""

    table: str
    column: str = "id"
    on_delete: str = "CASCADE"
    on_update: str = "CASCADE"


@dataclass(frozen=True)
class Column(Lifetime):
    """One column of Immich's."""

    name: str
    type: TypeEngine[Any]
    policy: Policy
    nullable: bool = False
    default: str | None = None
    """Server default, as `pg_get_expr` spells it."""
    birth: str | None = None
    """What a new clone gets in a PERSONAL column: SQL over `s`, the source's row. None: the default."""
    references: Reference | None = None
    index: bool = False
    was: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    canonical: str = field(default="", kw_only=True)
    """The name in the newest release."""

    def at(self, release: str) -> Column:
        """The column as this release has it."""
        return replace(self, canonical=self.canonical or self.name, **_was(self.was, release), was={})


@dataclass(frozen=True)
class Unique(Lifetime):
    """A unique constraint. Columns that a release does not have are left out."""

    columns: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True)
class Index(Lifetime):
    """An index over columns (or one expression), for what `Column.index` cannot say."""

    columns: tuple[str, ...]
    unique: bool = False
    where: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Check:
    name: str
    condition: str


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of several columns."""

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]
    on_delete: str = "CASCADE"
    on_update: str = "CASCADE"


Part = Column | Unique | Index | Check | ForeignKey
P = TypeVar("P", bound=Part)


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Table(Lifetime):
    """A table across releases, or (after `at`) as one release has it."""

    name: str
    parts: tuple[Part, ...]
    primary_key: tuple[str, ...]
    key: tuple[str, ...]
    """Canonical names of what identifies a row to a person rather than to the database: below an
    asset, the columns by which rows of two members correspond. Empty when only a pairing can tell."""
    touched: bool
    """Whether the addon reads or writes it. Other tables exist in test databases only."""
    uses: tuple[str, ...] | None
    """Of a table that matters for a few columns only: their canonical names. None: all of it matters."""
    was: Mapping[str, Mapping[str, Any]]

    def __init__(
        self,
        name: str,
        *parts: Part,
        primary_key: tuple[str, ...] = ("id",),
        key: tuple[str, ...] = (),
        touched: bool = True,
        uses: tuple[str, ...] | None = None,
        was: Mapping[str, Mapping[str, Any]] | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> None:
        values = {**locals(), "was": was or {}}
        for field_ in fields(self):
            object.__setattr__(self, field_.name, values[field_.name])

    def at(self, release: str) -> Table:
        """The table as this release has it."""
        parts: list[Part] = []
        for part in self.parts:
            if not isinstance(part, Lifetime) or part.lives_in(release):
                parts.append(part.at(release) if isinstance(part, Column) else part)
        present = {part.canonical for part in parts if isinstance(part, Column)}
        keys = {"primary_key": self.primary_key, "key": self.key, **_was(self.was, release)}
        keys = {which: tuple(name for name in key if name in present) for which, key in keys.items()}
        return Table(
            self.name, *parts, **keys, touched=self.touched, uses=self.uses, since=self.since, until=self.until
        )

    def of(self, kind: type[P]) -> tuple[P, ...]:
        return tuple(part for part in self.parts if isinstance(part, kind))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return self.of(Column)

    @cached_property
    def _by_canonical_name(self) -> Mapping[str, Column]:
        return {column.canonical or column.name: column for column in self.columns}

    def has(self, canonical: str) -> bool:
        return canonical in self._by_canonical_name

    def column(self, canonical: str) -> Column:
        """A column by the name it has in the newest release."""
        return self._by_canonical_name[canonical]

    def names(self, canonical: Iterable[str]) -> tuple[str, ...]:
        """Canonical names as this release spells them; those it does not have are left out."""
        return tuple(self.column(name).name for name in canonical if self.has(name))

    def with_policy(self, *policies: Policy) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.policy in policies)

    def __repr__(self) -> str:
        return f"<Table {self.name}>"


class Release:
    """Immich's tables in one release."""

    def __init__(self, name: str, tables: Iterable[Table]) -> None:
        self.name = name
        self._tables = {table.name: table.at(name) for table in tables if table.lives_in(name)}

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(self._tables.values())

    def has(self, table: str) -> bool:
        return table in self._tables

    def table(self, name: str) -> Table:
        return self._tables[name]

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    @property
    def rows_of_assets(self) -> tuple[Table, ...]:
        """What hangs on an asset, is copied with it, and has a key of its own below it."""
        return tuple(
            table
            for table in self
            if table.touched and table.key[:1] == ("assetId",) and table.with_policy(Policy.SHARED, Policy.PRODUCED)
        )

    def __repr__(self) -> str:
        return f"<Immich {self.name}>"
