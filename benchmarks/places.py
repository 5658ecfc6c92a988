"""Databases to time statements in: a family, three linked users, media that are linked and media that are not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from linked_asset import immich
from sample import create_immich
from tests.builders import Immich
from tests.database import Database, Databases

CHECKOUT = Path(__file__).parents[1]
LINKED, PRIVATE = "/data/library/family", "/data/library/private"
RELEASE = immich.RELEASES[-1]
EMBEDDED = 500
"""As many media of a folder have embeddings and a face: an index over vectors takes in a few hundred rows a second."""

FILL = """
    create temporary table fresh as
    select gen_random_uuid() as id, n, %(folder)s || '/' || n || '.jpg' as path,
        now() - n * interval '1 hour' as moment,
        array(select random() from generate_series(1, 512) where n > 0)::real[] as embedding
    from generate_series(1, %(count)s) as n;
    insert into asset (id, "ownerId", checksum, "checksumAlgorithm", "originalPath", "fileCreatedAt",
        "fileModifiedAt", "localDateTime", type, "originalFileName", thumbhash)
    select id, %(owner)s, sha256(path::bytea), 'sha1', path, moment, moment, moment, 'IMAGE', n || '.jpg',
        sha256(path::bytea)
    from fresh;
    insert into asset_exif ("assetId", description, "fileSizeInByte", make, "exifImageWidth", "exifImageHeight")
    select id, '', 1000, 'Canon', 4000, 3000 from fresh;
    insert into asset_file ("assetId", type, path)
    select id, kind, '/data/thumbs/' || id || '-' || kind from fresh, unnest(array['preview', 'thumbnail']) as kind;
    insert into asset_job_status ("assetId", "metadataExtractedAt", "facesRecognizedAt")
    select id, now(), now() from fresh;
    delete from fresh where n > %(embedded)s;
    insert into smart_search ("assetId", embedding) select id, embedding::vector from fresh;
    insert into asset_face (id, "assetId", "imageWidth", "imageHeight") select id, id, 4000, 3000 from fresh;
    insert into face_search ("faceId", embedding) select id, embedding::vector from fresh;
    drop table fresh
"""


INDEXES = """
    create index clip_index on smart_search
    using hnsw (embedding vector_cosine_ops) with (ef_construction = 300, m = 16);
    create index face_index on face_search
    using hnsw (embedding vector_cosine_ops) with (ef_construction = 300, m = 16)
"""
"""What Immich's server makes when it starts."""


class TimedDatabase(Database):
    """Adds up how long statements take."""

    spent = 0.0

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        start = time.perf_counter()
        try:
            return super().execute(statement, parameters)
        finally:
            self.spent += time.perf_counter() - start


class Place:
    """Where statements are timed: a database, and the media of the family in one folder of it."""

    def __init__(self, database: TimedDatabase, folder: str) -> None:
        self.database = database
        self.folder = folder
        self.immich = Immich(database, RELEASE)
        self.users = {row.name: row.id for row in database.fetch('select name, id from "user"')}
        self.family: UUID = self.users["Family"]
        rows = database.fetch(
            """select id from asset where "ownerId" = %s and "originalPath" like %s
               order by length("originalPath"), "originalPath" """,
            [self.family, f"{folder}/%"],
        )
        self.assets: list[UUID] = [row.id for row in rows]
        self.album = self.immich.create_album(self.family, f"Album of {folder}")
        self.tags = [self.immich.upsert_tag(self.family, f"{folder}/{number}") for number in range(2)]


def build(connection: psycopg.Connection[Any], url: str, assets: int) -> None:
    """`assets` media under the linked folder, and as many that are not."""
    create_immich(connection, RELEASE)
    database = Database(url)
    server = Immich(database, RELEASE)
    family, *others, _ = (server.create_user(name) for name in ("Family", "Anna", "Ben", "Clara", "Dora", "Stranger"))
    server.create_album(family, "Linked album", LINKED, users=others)
    with psycopg.ClientCursor(connection) as cursor:
        for folder in (LINKED, PRIVATE):
            cursor.execute(FILL.encode(), {"owner": family, "folder": folder, "count": assets, "embedded": EMBEDDED})
    database.close()
    connection.execute(INDEXES.encode())
    connection.execute("vacuum analyze")


def install(database: Database) -> float:
    """`alembic upgrade head`: how many seconds it takes to install and to link everything."""
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=CHECKOUT,
        env={**os.environ, "DB_URL": database.url},
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise SystemExit(result.stderr)
    return time.perf_counter() - start


@contextmanager
def bare_and_linked(databases: Databases, assets: int) -> Iterator[tuple[TimedDatabase, TimedDatabase, float]]:
    """Two copies of one database, the second with the addon, and the seconds that its installation took."""
    template = databases.template(
        f"filled_{assets}", lambda connection: build(connection, databases.url(connection.info.dbname), assets)
    )
    with databases.copy(template) as one, databases.copy(template) as other:
        bare, linked = TimedDatabase(one.url), TimedDatabase(other.url)
        seconds = install(linked)
        for database in (bare, linked):
            database.execute("analyze")
        try:
            yield bare, linked, seconds
        finally:
            bare.close()
            linked.close()
