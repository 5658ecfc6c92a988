"""What statements of Immich's cost with the addon, as times of what they cost without it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql

from benchmarks.places import LINKED, PRIVATE, RELEASE, Place, TimedDatabase
from tests.builders import Immich

ASSETS = 5000
"""Linked ones, and as many that are not."""
BULK = 1000
ARRIVALS = 40
WARM_UP = 3


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


def _time(place: Place, work: Callable[[Place, int], object], number: int) -> float:
    place.database.spent = 0.0
    work(place, number)
    return place.database.spent


def _measure(statement: Statement, places: list[Place]) -> list[float]:
    """The median of each place in milliseconds, all places in turn."""
    times: list[list[float]] = [[] for _ in places]
    for number in range(statement.times + WARM_UP):
        for place, spent in zip(places, times, strict=True):
            spent.append(_time(place, statement.work, number))
            statement.undo(place, number)
    return [statistics.median(spent[WARM_UP:]) * 1000 for spent in times]


def statements(bare: TimedDatabase, linked: TimedDatabase) -> Iterator[dict[str, Any]]:
    places = [Place(bare, PRIVATE), Place(linked, PRIVATE), Place(linked, LINKED)]
    for statement in STATEMENTS:
        without, unlinked, with_four = _measure(statement, places)
        yield {
            "statement": statement.name,
            "without_ms": round(without, 3),
            "not_linked": round(unlinked / without, 2),
            "linked_to_four": round(with_four / without, 2),
        }


COPY = """
    create temporary table copy as
    select gen_random_uuid() as id, asset.id as source, account.id as owner
    from asset cross join "user" account
    where {which} and account.name in ('Anna', 'Ben', 'Clara', 'Dora');
    create temporary table face_copy as
    select gen_random_uuid() as id, asset_face.id as source, copy.id as asset
    from copy join asset_face on "assetId" = copy.source;
    analyze copy, face_copy
"""
COPIED = {
    "asset": ("copy on copy.source = asset.id", {"id": "copy.id", "ownerId": "copy.owner", "isExternal": "true"}),
    "asset_exif": ('copy on copy.source = "assetId"', {"assetId": "copy.id"}),
    "asset_file": ('copy on copy.source = "assetId"', {"id": "gen_random_uuid()", "assetId": "copy.id"}),
    "smart_search": ('copy on copy.source = "assetId"', {"assetId": "copy.id"}),
    "asset_face": (
        "face_copy on face_copy.source = asset_face.id",
        {"id": "face_copy.id", "assetId": "face_copy.asset"},
    ),
    "face_search": ('face_copy on face_copy.source = "faceId"', {"faceId": "face_copy.id"}),
    "asset_job_status": ('copy on copy.source = "assetId"', {"assetId": "copy.id"}),
}
"""The rows of clones: how those of the sources are found, and what a clone has of its own."""
DEFAULTS = ["updateId", "updatedAt", "createdAt"]
"""What Immich's defaults give to every new row: an app that has seen the source's `updateId` would not see the copy."""


IN_THE_FOLDER = sql.SQL('"originalPath" like {}').format(f"{LINKED}/%")


def plain_copy(bare: TimedDatabase, which: sql.Composable = IN_THE_FOLDER) -> float:
    """Seconds that it takes to insert the rows that the clones of these assets have, table by table, in one go."""
    bare.execute(sql.SQL(COPY).format(which=which))
    bare.spent = 0.0
    for table, (source, own) in COPIED.items():
        columns = [
            row.attname
            for row in bare.fetch(
                """select attname from pg_attribute
                   where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = ''
                       and attname <> all (%s)""",
                [f"public.{table}", DEFAULTS],
            )
        ]
        values = [
            sql.SQL(own[name]) if name in own else sql.SQL("{}.{}").format(sql.Identifier(table), sql.Identifier(name))
            for name in columns
        ]
        bare.execute(
            sql.SQL("insert into {table} ({names}) select {values} from {table} join " + source).format(
                table=sql.Identifier(table),
                names=sql.SQL(", ").join(map(sql.Identifier, columns)),
                values=sql.SQL(", ").join(values),
            )
        )
    spent = bare.spent
    bare.execute("drop table copy, face_copy")
    return spent


def arrival(bare: TimedDatabase, linked: TimedDatabase) -> dict[str, Any]:
    """A new upload and its jobs, linked to four; compared with the same and plain inserts of the rows of clones."""
    spent: list[tuple[float, float]] = []
    for number in range(ARRIVALS + WARM_UP):
        places = [Place(database, LINKED) for database in (linked, bare)]
        seconds = []
        for place in places:
            place.database.spent = 0.0
            asset = place.immich.upload(place.family, f"{place.folder}/arrived-{number}.jpg")
            place.immich.process(asset)
            seconds.append(place.database.spent)
        plain = seconds[1] + plain_copy(bare, sql.SQL("asset.id = {}").format(asset))
        spent.append((seconds[0], plain))
    with_clones, plain = (statistics.median(each) for each in zip(*spent[WARM_UP:], strict=True))
    return {"ms": round(with_clones * 1000, 2), "times": round(with_clones / plain, 2)}


def unlink(bare: TimedDatabase, linked: TimedDatabase) -> dict[str, Any]:
    """One user is taken out of the linked album; compared with a delete of as many assets."""
    anna = linked.value("""select id from "user" where name = 'Anna'""")
    album = linked.value("""select id from album where "albumName" = 'Linked album'""")
    clones = linked.value('select count(*) from asset where "ownerId" = %s', [anna])
    linked.spent = 0.0
    Immich(linked, RELEASE).unshare_album(album, anna)
    unlinking = linked.spent
    assert linked.value('select count(*) from asset where "ownerId" = %s', [anna]) == 0
    bare.spent = 0.0
    bare.execute('delete from asset where id in (select id from asset order by "originalPath" limit %s)', [clones])
    return {"clones": clones, "seconds": round(unlinking, 2), "times": round(unlinking / bare.spent, 2)}
