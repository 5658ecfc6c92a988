"""How the time of statements grows with their rows: python -m benchmarks.scaling [part of a statement's name ...]

Each statement touches all media of a folder, in databases that hold few and many: without the addon, not linked, and
linked to four users; on a new connection, and on one that has done the same for single media before (PL/pgSQL keeps
plans). No work of the addon's is more than linear: 4 times the rows take 4 times as long.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql
from rich.console import Console
from rich.table import Table

from benchmarks.places import LINKED, PRIVATE, Place, bare_and_linked
from sample.server import embedded_server
from tests.database import Databases

SIZES = (1000, 4000)
TIMES_AS_LONG = 4.5
"""What four times the rows may take."""
USED = 7
"""As many calls make PL/pgSQL keep a plan."""

Work = Callable[[Place, list[UUID]], object]


def nothing(place: Place, assets: list[UUID]) -> None:
    pass


@dataclass(frozen=True)
class Growing:
    """Something that Immich does to any number of media."""

    name: str
    work: Work
    undo: Work = nothing
    before: Work = nothing
    small: Work | None = None
    """What a used connection has done to single media, if not the same."""


def faces_of(place: Place, assets: list[UUID]) -> list[UUID]:
    rows = place.database.fetch('select id from asset_face where "assetId" = any(%s)', [assets])
    return [row.id for row in rows]


def name_everybody(place: Place, assets: list[UUID]) -> None:
    person = place.immich.create_person(place.family, f"Somebody on {len(assets)}")
    place.immich.reassign_faces(faces_of(place, assets), person)


def merge(place: Place, assets: list[UUID]) -> None:
    shown = place.immich.column("asset_face", "personGroupId")
    old = place.database.value(sql.SQL('select {} from asset_face where "assetId" = %s').format(shown), [assets[0]])
    place.immich.merge_people(place.immich.create_person(place.family, "Somebody else"), old)


def unname(place: Place, assets: list[UUID]) -> None:
    place.immich.reassign_faces(faces_of(place, assets), None)
    place.immich.clean_people()


def name_and_unname(place: Place, assets: list[UUID]) -> None:
    name_everybody(place, assets)
    unname(place, assets)


def tag(place: Place, assets: list[UUID]) -> None:
    place.immich.tag_assets(place.tags[0], *assets)


def untag(place: Place, assets: list[UUID]) -> None:
    place.immich.untag_assets(place.tags[0], *assets)


def tag_for_once(place: Place, assets: list[UUID]) -> None:
    place.immich.tag_assets(place.immich.upsert_tag(place.family, "for once"), *assets)


def delete_tag(place: Place, assets: list[UUID]) -> None:
    place.immich.delete_tag(place.immich.upsert_tag(place.family, "for once"))


def into_album(place: Place, assets: list[UUID]) -> None:
    place.immich.add_to_album(place.album, *assets)


def out_of_album(place: Place, assets: list[UUID]) -> None:
    place.immich.remove_from_album(place.album, *assets)


def album_of(place: Place, assets: list[UUID]) -> None:
    place.immich.create_album(place.family, "For once", assets=assets)


def delete_album(place: Place, assets: list[UUID]) -> None:
    (made,) = [album.id for album in place.immich.albums_of(place.family) if album.albumName == "For once"]
    place.immich.delete_album(made)


def linked_album(place: Place) -> UUID:
    album: UUID = place.database.value("""select id from album where "albumName" = 'Linked album'""")
    return album


def drain(place: Place, assets: list[UUID]) -> None:
    if place.database.value("select to_regprocedure('linked.drain()') is not null"):
        place.database.execute("call linked.drain()")


def share(place: Place, assets: list[UUID]) -> None:
    place.immich.share_album(linked_album(place), place.users["Clara"])


def unshare(place: Place, assets: list[UUID]) -> None:
    place.immich.unshare_album(linked_album(place), place.users["Clara"])


def share_all(place: Place, assets: list[UUID]) -> None:
    share(place, assets)
    drain(place, assets)


def stack_pairs(place: Place, assets: list[UUID]) -> None:
    place.immich.create_stack(place.family, assets)


def unstack(place: Place, assets: list[UUID]) -> None:
    place.immich.delete_stacks(place.immich.asset(assets[0]).stackId)


def move_media(old: str, new: str) -> Work:
    return lambda place, assets: place.immich.migrate_file_paths(old, new)


WHOLE = {"media folder moved", "faces reset", "detection reset", "album unshared", "album shared"}
"""These concern everything; single media cannot do them."""

STATEMENTS = [
    Growing(
        "exif edited",
        lambda p, a: p.immich.update_all_exif(a, description=f"{time.time()}"),
    ),
    Growing("favourite", lambda p, a: p.immich.favorite(*a), lambda p, a: p.immich.favorite(*a, value=False)),
    Growing("trashed", lambda p, a: p.immich.trash(a), lambda p, a: p.immich.restore(a)),
    Growing("restored", lambda p, a: p.immich.restore(a), before=lambda p, a: p.immich.trash(a)),
    Growing("archived", lambda p, a: p.immich.archive(*a), lambda p, a: p.immich.unarchive(*a)),
    Growing("locked", lambda p, a: p.immich.lock(*a), lambda p, a: (p.immich.unlock(*a), drain(p, a))),
    Growing("album made of", album_of, delete_album),
    Growing("into an album", into_album, out_of_album),
    Growing("out of an album", out_of_album, before=into_album),
    Growing("album deleted", delete_album, before=album_of),
    Growing("tagged", tag, untag),
    Growing("untagged", untag, before=tag),
    Growing("tag deleted", delete_tag, before=tag_for_once),
    Growing("stacked", stack_pairs, unstack),
    Growing("unstacked", unstack, before=stack_pairs),
    Growing("faces named", name_everybody, unname),
    Growing("person merged", merge, unname, before=name_everybody),
    Growing("faces unnamed", unname, before=name_everybody),
    Growing("faces reset", lambda p, a: p.immich.reset_faces(), unname, before=name_everybody, small=name_and_unname),
    Growing("media folder moved", move_media("/data", "/mnt"), move_media("/mnt", "/data")),
    Growing("album unshared", unshare, share_all),
    Growing("album shared", share, drain, before=unshare),
    Growing("deleted for good", lambda p, a: p.immich.delete("asset", id=a)),
]


MAIN = [
    statement
    for statement in STATEMENTS
    if statement.name
    in {"exif edited", "favourite", "trashed", "archived", "album made of", "tagged", "stacked", "faces named"}
]
"""What `make bench` has the time for."""


def timed(place: Place, statement: Growing, assets: list[UUID]) -> float:
    statement.before(place, assets)
    place.database.spent = 0.0
    statement.work(place, assets)
    spent = place.database.spent
    statement.undo(place, assets)
    return spent


def cold_and_used(place: Place, statement: Growing) -> tuple[float, float]:
    """Seconds on a new connection, and on one that has done the same to single media."""
    last = statement.name == "deleted for good"
    half = len(place.assets) // 2
    place.database.close()
    cold = timed(place, statement, place.assets[:half] if last else place.assets)
    place.database.close()
    for asset in place.assets[half : half + USED] if last else place.assets[:USED]:
        if statement.small:
            statement.small(place, [asset])
        elif statement.name not in WHOLE:
            timed(place, statement, [asset])
    used = timed(place, statement, place.assets[half + USED :] if last else place.assets)
    return cold, used


def scaling(databases: Databases, chosen: Sequence[Growing], sizes: Sequence[int] = SIZES) -> Iterator[dict[str, Any]]:
    """One row a statement and kind of media: seconds by size, and how much longer four times the rows take."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for size in sizes:
        with bare_and_linked(databases, size) as (bare, linked, _):
            places = {
                "bare": Place(bare, PRIVATE), "not linked": Place(linked, PRIVATE), "linked": Place(linked, LINKED),
            }  # fmt: skip
            for statement in chosen:
                for kind, place in places.items():
                    row = rows.setdefault(
                        (statement.name, kind), {"statement": statement.name, "media": kind, "cold": {}, "used": {}}
                    )
                    row["cold"][size], row["used"][size] = cold_and_used(place, statement)
            incidents = linked.fetch("select place, message from linked.incident")
            if incidents:
                raise SystemExit(f"{len(incidents)} incidents, the first: {incidents[0]}")
    yield from rows.values()


def growth(times: dict[int, float]) -> float:
    """How much longer the largest size takes than a quarter of it."""
    *_, quarter, whole = sorted(times)
    return times[whole] / times[quarter] * 4 * quarter / whole


def table(rows: Sequence[dict[str, Any]]) -> Table:
    found = Table("Statement", "media", *(f"{size:,}, ms" for size in rows[0]["cold"]), "4 x the rows",
                  "used", "4 x the rows", title="How statements grow")  # fmt: skip
    for row in rows:
        cold, used = row["cold"], row["used"]
        found.add_row(
            row["statement"], row["media"], *(f"{seconds * 1000:.1f}" for seconds in cold.values()),
            f"{growth(cold):.1f} x", f"{used[max(used)] * 1000:.1f}", f"{growth(used):.1f} x",
            style="red" if max(growth(cold), growth(used)) > TIMES_AS_LONG and row["media"] != "bare" else None,
        )  # fmt: skip
    return found


def main() -> None:
    chosen = [one for one in STATEMENTS if not sys.argv[1:] or any(part in one.name for part in sys.argv[1:])]
    with embedded_server(autovacuum="on") as server:
        rows = list(scaling(Databases(server.url, "scaling"), chosen))
    Console(width=120).print(table(rows))


if __name__ == "__main__":
    main()
