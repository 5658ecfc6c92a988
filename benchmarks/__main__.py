"""What the addon costs, as ratios within one run: python -m benchmarks

One server, autovacuum on, two copies of one database: one with the addon, one without. Every statement of Immich's is
timed in turn without the addon, with it on assets that are not linked, and on assets that are linked to three users.
Milliseconds depend on the machine, ratios hardly do. The results go to benchmarks/results.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from linked_asset import __version__
from sample import create_immich
from sample.server import embedded_server
from tests.builders import Immich
from tests.database import Database, Databases

CHECKOUT = Path(__file__).parents[1]
RESULTS = CHECKOUT / "benchmarks" / "results"
LINKED, PRIVATE = "/data/library/family", "/data/library/private"
ASSETS = 5000
"""Linked ones, and as many that are not."""
BULK = 1000
WARM_UP = 3

FILL = """
    create temporary table fresh as
    select gen_random_uuid() as id, n, %(folder)s || '/' || n || '.jpg' as path,
        now() - n * interval '1 hour' as moment,
        array(select random() from generate_series(1, 512) where n > 0)::real[] as embedding
    from generate_series(1, %(count)s) as n;
    insert into asset (id, "ownerId", checksum, "originalPath", "deviceAssetId", "deviceId", "fileCreatedAt",
        "fileModifiedAt", "localDateTime", type, "originalFileName", thumbhash)
    select id, %(owner)s, sha256(path::bytea), path, n, 'WEB', moment, moment, moment, 'IMAGE', n || '.jpg',
        sha256(path::bytea)
    from fresh;
    insert into asset_exif ("assetId", description, "fileSizeInByte", make, "exifImageWidth", "exifImageHeight")
    select id, '', 1000, 'Canon', 4000, 3000 from fresh;
    insert into asset_file ("assetId", type, path)
    select id, kind, '/data/thumbs/' || id || '-' || kind from fresh, unnest(array['preview', 'thumbnail']) as kind;
    insert into asset_job_status ("assetId", "metadataExtractedAt", "facesRecognizedAt", "previewAt", "thumbnailAt")
    select id, now(), now(), now(), now() from fresh;
    insert into smart_search ("assetId", embedding) select id, embedding::vector from fresh;
    insert into asset_face (id, "assetId", "imageWidth", "imageHeight") select id, id, 4000, 3000 from fresh;
    insert into face_search ("faceId", embedding) select id, embedding::vector from fresh;
    drop table fresh
"""


class TimedDatabase(Database):
    """Adds up how long statements take."""

    spent = 0.0

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        start = time.perf_counter()
        try:
            return super().execute(statement, parameters)
        finally:
            self.spent += time.perf_counter() - start


@dataclass
class Place:
    """Where statements are timed: a database, and assets of one kind in it."""

    database: TimedDatabase
    folder: str
    immich: Immich = field(init=False)
    assets: list[UUID] = field(init=False)

    def __post_init__(self) -> None:
        self.immich = Immich(self.database)
        rows = self.database.fetch(
            """select asset.id from asset join "user" on "ownerId" = "user".id
               where "originalPath" like %s and name = 'Family' order by "originalPath" """,
            [f"{self.folder}/%"],
        )
        self.assets = [row.id for row in rows]
        self.family = self.database.value("""select id from "user" where name = 'Family'""")
        self.album = self.immich.create_album(self.family, f"Album of {self.folder}")
        self.tags = [self.immich.upsert_tag(self.family, f"tag/{number}") for number in range(2)]

    def time(self, work: Callable[[Place, int], object], number: int) -> float:
        self.database.spent = 0.0
        work(self, number)
        return self.database.spent


@dataclass(frozen=True)
class Statement:
    """Something that Immich does."""

    name: str
    times: int
    work: Callable[[Place, int], object]
    undo: Callable[[Place, int], object] = lambda place, number: None


def some(place: Place, number: int, count: int = 20) -> list[UUID]:
    start = number * count % (ASSETS - count)
    return place.assets[start : start + count]


def clear_duplicates(place: Place) -> None:
    """Opening the page of duplicates."""
    place.immich.update("asset", sql.SQL('"duplicateId" in (select gen_random_uuid())'), {}, duplicateId=None)


STATEMENTS = [
    Statement("upload", 100, lambda p, n: p.immich.upload(p.family, f"{p.folder}/new-{n}.jpg")),
    Statement(
        "metadata of one",
        100,
        lambda p, n: p.immich.upsert_exif(
            p.assets[n], description=f"{n}", make="Nikon", iso=n, model="D90", city="Rome"
        ),
    ),
    Statement("metadata, unchanged", 100, lambda p, n: p.immich.upsert_exif(p.assets[n], make="Nikon", iso=n)),
    Statement(
        "thumbnails of one",
        100,
        lambda p, n: p.immich.upsert_files(
            *({"assetId": p.assets[n], "type": t, "path": f"/new/{n}-{t}"} for t in ("preview", "thumbnail"))
        ),
    ),
    Statement("favourite", 100, lambda p, n: p.immich.favorite(p.assets[n])),
    Statement("edit of 1,000", 5, lambda p, n: p.immich.update_all_exif(p.assets[:BULK], description=f"edit {n}")),
    Statement(
        "trash of 1,000",
        5,
        lambda p, n: p.immich.trash(p.assets[:BULK]),
        lambda p, n: p.immich.restore(p.assets[:BULK]),
    ),
    Statement(
        "20 into an album",
        30,
        lambda p, n: p.immich.add_to_album(p.album, *some(p, n)),
    ),
    Statement("tags of one anew", 100, lambda p, n: p.immich.replace_tags(p.assets[n], p.tags)),
    Statement("album covers (read path)", 50, lambda p, n: p.immich.update_covers()),
    Statement("duplicates page (read path)", 50, lambda p, n: clear_duplicates(p)),
]


def build(connection: psycopg.Connection[Any], url: str) -> None:
    create_immich(connection)
    database = Database(url)
    immich = Immich(database)
    family, *others = (immich.create_user(name) for name in ("Family", "Anna", "Ben", "Clara"))
    immich.create_album(family, "Linked album", LINKED, users=others)
    with psycopg.ClientCursor(connection) as cursor:
        for folder in (LINKED, PRIVATE):
            cursor.execute(FILL.encode(), {"owner": family, "folder": folder, "count": ASSETS})
    database.close()
    connection.execute("vacuum analyze")


def install(database: Database) -> float:
    """`alembic upgrade head`: how long it takes to install and to link everything."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=CHECKOUT,
        env={**os.environ, "DB_URL": database.url},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start


def measure(statement: Statement, places: list[Place]) -> list[float]:
    """The median of each place in milliseconds, all places in turn."""
    times: list[list[float]] = [[] for _ in places]
    for number in range(statement.times + WARM_UP):
        for place, spent in zip(places, times, strict=True):
            spent.append(place.time(statement.work, number))
            statement.undo(place, number)
    return [statistics.median(spent[WARM_UP:]) * 1000 for spent in times]


def statements(without: TimedDatabase, with_it: TimedDatabase) -> Iterator[dict[str, Any]]:
    places = [Place(without, PRIVATE), Place(with_it, PRIVATE), Place(with_it, LINKED)]
    for statement in STATEMENTS:
        plain, unlinked, linked = measure(statement, places)
        yield {
            "statement": statement.name,
            "without_ms": round(plain, 3),
            "not_linked": round(unlinked / plain, 2),
            "linked_to_three": round(linked / plain, 2),
        }


def unlink(without: TimedDatabase, with_it: TimedDatabase) -> dict[str, Any]:
    """One user is taken out of the linked album; compared with a delete of as many assets."""
    anna = with_it.value("""select id from "user" where name = 'Anna'""")
    album = with_it.value("""select id from album where "albumName" = 'Linked album'""")
    clones = with_it.value('select count(*) from asset where "ownerId" = %s', [anna])
    with_it.spent = without.spent = 0.0
    Immich(with_it).unshare_album(album, anna)
    unlinking = with_it.spent
    assert with_it.value('select count(*) from asset where "ownerId" = %s', [anna]) == 0
    without.spent = 0.0
    without.execute('delete from asset where id in (select id from asset order by "originalPath" limit %s)', [clones])
    return {"clones": clones, "seconds": round(unlinking, 2), "delete_without": round(without.spent, 2)}


def show(results: dict[str, Any]) -> None:
    console = Console()
    table = Table("Immich's statement", "without, ms", "not linked", "linked to three", title="Times as long")
    for row in results["statements"]:
        table.add_row(
            row["statement"], f"{row['without_ms']:.2f}", f"{row['not_linked']:.2f}", f"{row['linked_to_three']:.2f}"
        )
    console.print(table)
    first, gone = results["first_linking"], results["unlinking"]
    console.print(
        f"First linking: {first['clones']:,} clones in {first['seconds']} s, {first['per_second']:,} a second."
    )
    console.print(
        f"Unlinking: {gone['clones']:,} clones in {gone['seconds']} s in one statement "
        f"(a delete of as many assets without the addon: {gone['delete_without']} s)."
    )


def run() -> dict[str, Any]:
    with embedded_server(autovacuum="on") as server:
        databases = Databases(server.url, "bench")
        template = databases.template(
            "filled", lambda connection: build(connection, databases.url(connection.info.dbname))
        )
        with databases.copy(template) as one, databases.copy(template) as other:
            without, with_it = TimedDatabase(one.url), TimedDatabase(other.url)
            seconds = install(with_it)
            clones = with_it.value("select count(*) from linked.member where asset_id <> source_id")
            for database in (without, with_it):
                database.execute("analyze")
            found = {
                "version": __version__,
                "postgresql": with_it.value("show server_version"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "statements": list(statements(without, with_it)),
                "first_linking": {
                    "clones": clones, "seconds": round(seconds, 1), "per_second": round(clones / seconds)
                },
                "unlinking": unlink(without, with_it),
                "incidents": with_it.value("select count(*) from linked.incident"),
            }  # fmt: skip
            without.close()
            with_it.close()
    return found


def main() -> None:
    results = run()
    show(results)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(path.relative_to(CHECKOUT))
    if results["incidents"]:
        raise SystemExit(f"{results['incidents']} incidents: the ratios above are not those of work that was done")


if __name__ == "__main__":
    main()
