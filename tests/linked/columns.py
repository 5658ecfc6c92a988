"""Every column of Immich's tables, and values to tell rows apart by."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy.dialects.postgresql import JSONB

from linked_asset import immich
from linked_asset.immich import Column, Policy
from linked_asset.immich.model import Embedding
from tests import release
from tests.builders import Immich

RELEASE = immich.release(release.RELEASE)
SYNCED = (Policy.SHARED, Policy.PRODUCED)
ROWS = (*(table.name for table in RELEASE.rows_of_assets), "asset_face", "face_search")
"""What hangs on an asset and is copied with it."""

_numbers = itertools.count(1)


def synced(*tables: str) -> list[tuple[str, str]]:
    """Table and column of everything that is kept in sync, less what rows are told apart by."""
    return [
        (name, column.name)
        for name in tables or ("asset", *ROWS)
        for column in RELEASE.table(name).columns
        if column.policy in SYNCED and column.canonical not in RELEASE.table(name).key
    ]


def of(policy: Policy, table: str) -> list[str]:
    return [column.name for column in RELEASE.table(table).columns if column.policy is policy]


CHOICES: dict[str, tuple[Any, ...]] = {
    "type": ("VIDEO", "IMAGE"),
    "status": ("trashed", "active"),
    "visibility": ("archive", "timeline"),
    "sourceType": ("exif", "machine-learning"),
    "isOffline": (True, False),
    "isExternal": (True, False),
    "isFavorite": (True, False),
    "checksumAlgorithm": ("sha1-path", "sha1"),
}


def other_value(house: Immich, column: Column, now: Any = None) -> Any:
    """A value that no row has had in this column; where there are few, another than `now`."""
    if column.name in CHOICES:
        return next(value for value in CHOICES[column.name] if value != now)
    number = next(_numbers)
    if column.name == "originalPath":
        return f"/data/library/family/other/{number}.jpg"
    kind = column.type
    if isinstance(kind, Embedding):
        return house.embedding(number)
    if isinstance(kind, sa.DateTime):
        return dt.datetime(2001, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number)
    if isinstance(kind, sa.Integer):
        return 100 + number
    if isinstance(kind, sa.Float):
        return 10 + number / 100
    if isinstance(kind, sa.Boolean):
        return not now
    if isinstance(kind, sa.ARRAY):
        return [number] if isinstance(kind.item_type, sa.Integer) else [f"text {number}"]
    if isinstance(kind, JSONB):
        return {"number": number}
    if isinstance(kind, sa.LargeBinary):
        return f"bytes {number}".encode()
    if isinstance(kind, sa.Uuid):
        return uuid4()
    assert isinstance(kind, sa.String), column
    return f"text {number}"


def row_in_every_table(house: Immich, asset: UUID) -> None:
    """One row in each table that hangs on an asset; `process` has made some."""
    house.detect_faces(asset, [(1, 1, 2, 2)])
    if house.has("asset_ocr", "text"):
        house.recognize_text(asset, "text")
    if house.has("asset_edit", "action"):
        house.edit(asset, ("rotate", {"angle": 90}))
    for table in ("asset_video", "asset_audio", "asset_keyframe"):
        if RELEASE.has(table):
            described = RELEASE.table(table)
            house.insert(
                table,
                {
                    "assetId": asset,
                    **{c.canonical: other_value(house, c) for c in described.columns if c.name != "assetId"},
                },
            )


def key_of(table: str) -> str:
    """The column by which rows of a table belong to an asset, or (of `face_search`) to a face."""
    return {"asset": "id", "face_search": "faceId"}.get(table, "assetId")


def row_ids(house: Immich, table: str, assets: list[UUID]) -> list[UUID]:
    """What `key_of` has for these assets."""
    if table != "face_search":
        return assets
    return [row.id for row in house.database.fetch('select id from asset_face where "assetId" = any(%s)', [assets])]


def write(house: Immich, table: str, assets: list[UUID], column: str, value: Any) -> int:
    """One statement that gives these assets a value in one column."""
    where = sql.SQL("{} = any(%(ids)s)").format(sql.Identifier(key_of(table)))
    if table == "asset_file":
        where += sql.SQL(" and type = 'preview'")
    assert assets
    if isinstance(value, dict):
        value = Jsonb(value)
    return house.update(table, where, {"ids": row_ids(house, table, assets)}, **{column: value})


def read(house: Immich, table: str, asset: UUID, column: str) -> Any:
    """What an asset has in one column; of its files that of the preview."""
    where = sql.SQL("{} = any(%s)").format(sql.Identifier(key_of(table)))
    if table == "asset_file":
        where += sql.SQL(" and type = 'preview'")
    statement = sql.SQL("select {} from {} where {}").format(sql.Identifier(column), sql.Identifier(table), where)
    return house.database.value(statement, [row_ids(house, table, [asset])])
