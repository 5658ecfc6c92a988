"""Statements in the shapes that Immich's query builder gives them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from linked_asset import immich
from tests.database import Database
from tests.release import RELEASE

Values = dict[str, Any]
Part = sql.Composable


class Service:
    """Writes to one database of one release. Columns go by their newest names; those that the
    release does not have are left out."""

    def __init__(self, database: Database, release: str = RELEASE) -> None:
        self.database = database
        self.release = immich.release(release)

    # --- statements ---------------------------------------------------------------------------

    def insert(
        self,
        table: str,
        *rows: Values,
        conflict: Sequence[str] = (),
        update: Sequence[str] | None = None,
        nothing: bool = False,
    ) -> list[Any]:
        """`insert .. values (..), (..) [on conflict (..) do update set x = excluded.x] returning *`.

        Like Immich's upserts this updates the columns of the first row, or those in `update`.
        """
        keys = self._present(table, rows[0])
        parameters = [_adapt(row[key]) for row in rows for key in keys]
        row = sql.SQL("({})").format(_join(sql.Placeholder() for _ in keys))
        statement = sql.SQL("insert into {} ({}) values {}").format(
            sql.Identifier(table), self.columns(table, keys), _join(row for _ in rows)
        )
        if conflict:
            updated = [key for key in update or keys if key not in conflict]
            statement += sql.SQL(" on conflict ({}) do update set {}").format(
                self.columns(table, conflict),
                _join(sql.SQL("{0} = excluded.{0}").format(self.column(table, key)) for key in updated),
            )
        elif nothing:
            statement += sql.SQL(" on conflict do nothing")
        return self.database.fetch(statement + sql.SQL(" returning *"), parameters)

    def update(self, table: str, where: Part, parameters: Values, /, **values: Any) -> int:
        """`update .. set .. where ..`; returns the number of rows. Parts of SQL may be values."""
        assignments, more = self._assignments(table, values)
        statement = sql.SQL("update {} set {} where {}").format(sql.Identifier(table), assignments, where)
        return int(self.database.execute(statement, {**parameters, **more}).rowcount)

    def update_one(self, table: str, id_: UUID, /, **values: Any) -> Any:
        """`update .. where id = .. returning *`."""
        assignments, more = self._assignments(table, values)
        statement = sql.SQL("update {} set {} where id = %(id)s returning *").format(sql.Identifier(table), assignments)
        return self.database.row(statement, {"id": id_, **more})

    def delete(self, table: str, /, **where: Any) -> int:
        """`delete .. where x = .. and y in (..)`; returns the number of rows."""
        conditions = []
        for key, value in where.items():
            operator = "= any(%({})s)" if isinstance(value, list) else "= %({})s"
            conditions.append(self.column(table, key) + sql.SQL(" " + operator.format(key)))
        statement = sql.SQL("delete from {} where {}").format(sql.Identifier(table), sql.SQL(" and ").join(conditions))
        return int(self.database.execute(statement, where).rowcount)

    def transaction(self) -> AbstractContextManager[Any]:
        return self.database.transaction()

    # --- names and values -------------------------------------------------------------------------

    def has(self, table: str, column: str) -> bool:
        return self.release.has(table) and self.release.table(table).has(column)

    def column(self, table: str, canonical: str) -> sql.Identifier:
        return sql.Identifier(self.release.table(table).column(canonical).name)

    def columns(self, table: str, canonical: Iterable[str]) -> sql.Composed:
        return _join(self.column(table, name) for name in canonical)

    def embedding(self, seed: object) -> str:
        """512 numbers that depend on the seed alone, as the database spells an embedding."""
        numbers = seed.numbers() if isinstance(seed, Near) else _direction(seed)
        values = ",".join(f"{number:.5f}" for number in numbers)
        vector = self.database.value("select to_regtype('vector') is not null")
        return f"[{values}]" if vector else f"{{{values}}}"

    def _present(self, table: str, values: Iterable[str]) -> list[str]:
        return [name for name in values if self.release.table(table).has(name)]

    def _assignments(self, table: str, values: Values) -> tuple[sql.Composed, Values]:
        parts: list[Part] = []
        parameters: Values = {}
        for key in self._present(table, values):
            value = values[key]
            if not isinstance(value, sql.Composable):
                parameters[f"new_{key}"] = _adapt(value)
                value = sql.Placeholder(f"new_{key}")
            parts.append(sql.SQL("{} = {}").format(self.column(table, key), value))
        return _join(parts), parameters


@dataclass(frozen=True)
class Near:
    """A seed whose embedding lies at this cosine distance from that of another seed."""

    seed: object
    distance: float
    towards: object = "elsewhere"

    def numbers(self) -> list[float]:
        one, other = _direction(self.seed), _direction((self.seed, self.towards))
        length = sum(x * x for x in one)
        along = sum(x * y for x, y in zip(one, other, strict=True)) / length
        across = [y - along * x for x, y in zip(one, other, strict=True)]
        scale = math.sqrt(length / sum(x * x for x in across))
        cosine = 1 - self.distance
        sine = math.sqrt(1 - cosine * cosine)
        return [cosine * x + sine * scale * y for x, y in zip(one, across, strict=True)]


def _direction(seed: object) -> list[float]:
    numbers = random.Random(str(seed))
    return [numbers.gauss(0, 1) for _ in range(512)]


def _adapt(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value


def _join(parts: Iterable[Part]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
