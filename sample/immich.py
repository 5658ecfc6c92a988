"""Builds schema `public` of an Immich release in an empty database, from the model.

Tables, keys and indexes come from `linked_asset.immich`; functions and triggers are our own
equivalents, with the names, timing and conditions of Immich's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import psycopg
import sqlalchemy as sa
from psycopg import sql

from linked_asset import immich
from linked_asset.immich.metadata import metadata
from linked_asset.immich.model import EmbeddingStorage

HERE = Path(__file__).parent
FAMILIES = {"v1.138.0": "v1.138.0", "v3.0.0": "v3.1.0"}
"""Tables of which release there are families for, and which release wrote them: a folder of `data/`."""

NEWEST_MIGRATION = {
    "v1.138.0": "1754389095885-ResetAlbumAssetSync",
    "v1.140.0": "1756318797207-AssetMetadataTables",
    "v2.2.0": "1761078763279-AddAppVersionColumnToSession",
    "v2.3.0": "1762297277677-AddPluginAndWorkflowTables",
    "v2.4.0": "1764957138636-AddLockedPropertiesToAssetExif",
    "v2.5.0": "1769441657564-AddIsProgressiveColumn",
    "v2.5.2": "1769635093204-DropThumbnailJobStatusColumns",
    "v2.6.0": "1773242919341-EncodedVideoAssetFiles",
    "v2.7.0": "1775165531374-AddPersonNameTrigramIndex",
    "v3.0.0": "1782414436633-AddPluginMethodAllowedHosts",
    "v3.2.0": "1787148183730-DeleteMismatchedMemoryAssets",
    "v3.3.0": "1790693088454-AddPersonUserTableSharedBySharedWithConstraint",
}


def create_immich(
    connection: psycopg.Connection, release: str = immich.RELEASES[0], *, embedding: EmbeddingStorage | None = None
) -> None:
    """Make an empty database look like a fresh Immich of `release`."""
    model = immich.release(release)
    extensions = _extensions(connection)
    storage = embedding or ("vector" if "vector" in extensions else "real[]")
    with connection.transaction():
        for extension in ("uuid-ossp", "vector") if storage == "vector" else ("uuid-ossp",):
            if extension in extensions:
                connection.execute(sql.SQL("create extension if not exists {}").format(sql.Identifier(extension)))
        connection.execute(_render("before", model, storage, extensions))
        connection.execute(";\n".join(_ddl(metadata(model, storage))))
        connection.execute(_render("after", model, storage, extensions))
        connection.execute(
            "insert into kysely_migrations (name, timestamp) values (%s, now()::text)", [NEWEST_MIGRATION[release]]
        )
        connection.execute("insert into version_history (version) values (%s)", [release.removeprefix("v")])


def load_family(connection: psycopg.Connection, release: str = immich.RELEASES[0]) -> None:
    """Fill a fresh Immich with every row of a family, exactly as they were written."""
    if release not in FAMILIES:
        raise immich.UnknownRelease(release)
    model = immich.release(release)
    arrays = not _is_vector(connection)
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")
        connection.execute("truncate kysely_migrations, version_history")
        for file in sorted((HERE / "data" / FAMILIES[release]).glob("*.csv")):
            _load(connection, model.table(file.stem), file, arrays=arrays)
    connection.execute("analyze")


def _load(connection: psycopg.Connection, table: immich.Table, file: Path, *, arrays: bool) -> None:
    header, rows = file.read_text(encoding="utf-8").split("\n", 1)
    if arrays and "embedding" in header:
        rows = rows.replace("[", "{").replace("]", "}")
    # Not every file quotes empty strings: where null is not allowed, nothing means empty.
    statement = sql.SQL("copy public.{} ({}) from stdin (format csv, force_not_null ({}))").format(
        sql.Identifier(table.name),
        _identifiers(header.split(",")),
        _identifiers(column.name for column in table.columns if not column.nullable),
    )
    with connection.cursor().copy(statement) as copy:
        copy.write(rows)


def _identifiers(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _ddl(metadata: sa.MetaData) -> list[str]:
    statements: list[str] = []
    dialect = sa.make_url("postgresql+psycopg://").get_dialect()()

    def collect(element: sa.schema.ExecutableDDLElement, *_: Any, **__: Any) -> None:
        statements.append(str(element.compile(dialect=dialect)))

    metadata.create_all(sa.create_mock_engine("postgresql+psycopg://", collect), checkfirst=False)
    return statements


def _render(part: str, model: immich.Release, storage: EmbeddingStorage, extensions: set[str]) -> str:
    def column(table: str, canonical: str) -> str:
        return f'"{model.table(table).column(canonical).name}"'

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template(f"{part}.sql").render(
        release=model, column=column, storage=storage, extensions=extensions
    )


def _extensions(connection: psycopg.Connection) -> set[str]:
    return {name for (name,) in connection.execute("select name from pg_available_extensions")}


def _is_vector(connection: psycopg.Connection) -> bool:
    row = connection.execute("select to_regtype('vector') is not null").fetchone()
    return bool(row and row[0])
