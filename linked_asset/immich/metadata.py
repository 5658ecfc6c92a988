"""The model of a release as SQLAlchemy tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.types import TypeEngine

from .model import Check, Column, Embedding, EmbeddingStorage, ForeignKey, Index, Release, Table, Unique

SCHEMA = "public"


def metadata(release: Release, embedding: EmbeddingStorage = "vector") -> sa.MetaData:
    """The release as plain SQLAlchemy tables of schema `public`.

    Types are created with the metadata, once each, whatever number of columns use them.
    """
    tables = sa.MetaData(schema=SCHEMA)
    enums: dict[str, ENUM] = {}

    def type_of(column: Column) -> TypeEngine[Any]:
        if isinstance(column.type, Embedding):
            return Embedding(column.type.dimensions, embedding)
        if isinstance(column.type, sa.Enum):
            name = str(column.type.name)
            if name not in enums:
                enums[name] = ENUM(*column.type.enums, name=name, schema=SCHEMA, metadata=tables)
            return enums[name]
        return column.type

    for table in release:
        sa.Table(
            table.name,
            tables,
            *(
                sa.Column(
                    column.name,
                    type_of(column),
                    nullable=column.nullable,
                    server_default=None if column.default is None else sa.text(column.default),
                    autoincrement=False,
                )
                for column in table.columns
            ),
            *_keys(release, table),
        )
        _add_indexes(table, tables.tables[f"{SCHEMA}.{table.name}"])
    return tables


def _keys(release: Release, table: Table) -> list[sa.Constraint]:
    keys: list[sa.Constraint] = [sa.PrimaryKeyConstraint(*table.names(table.primary_key), name=f"{table.name}_pkey")]
    for unique in table.of(Unique):
        names = table.names(unique.columns)
        keys.append(sa.UniqueConstraint(*names, name=unique.name or _name(table, names, "uq")))
    for check in table.of(Check):
        keys.append(sa.CheckConstraint(sa.text(check.condition), name=check.name))
    for key in foreign_keys(table):
        names = table.names(key.columns)
        referenced = release.table(key.table).names(key.referenced)
        keys.append(
            sa.ForeignKeyConstraint(
                names,
                [f"{SCHEMA}.{key.table}.{name}" for name in referenced],
                name=_name(table, names, "fkey"),
                ondelete=key.on_delete,
                onupdate=key.on_update,
            )
        )
    return keys


def foreign_keys(table: Table) -> tuple[ForeignKey, ...]:
    """All foreign keys of a table, those of a single column included."""
    single = tuple(
        ForeignKey((column.canonical,), to.table, (to.column,), to.on_delete, to.on_update)
        for column in table.columns
        if (to := column.references)
    )
    return single + table.of(ForeignKey)


def _add_indexes(table: Table, target: sa.Table) -> None:
    indexes = [Index((column.canonical,)) for column in table.columns if column.index]
    for index in (*indexes, *table.of(Index)):
        names = [table.column(name).name if table.has(name) else name for name in index.columns]
        expressions = [target.c[name] if name in target.c else sa.text(name) for name in names]
        sa.Index(
            index.name or _name(table, names, "idx"),
            *expressions,
            unique=index.unique,
            postgresql_where=None if index.where is None else sa.text(index.where),
            _table=target,
        )


def _name(table: Table, columns: tuple[str, ...] | list[str], suffix: str) -> str:
    return "_".join((table.name, *columns, suffix))
