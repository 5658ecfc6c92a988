"""How fast reconcile is: python -m benchmarks.reconcile [media]

Where nothing is to be repaired, against one pass of the joins that compare members. Where everything is to be linked,
against `alembic upgrade head` doing the same.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import sqlalchemy as sa
from rich.console import Console

from benchmarks.places import bare_and_linked
from linked_asset.database import engine_for
from linked_asset.reconcile import reconcile
from sample.server import embedded_server
from tests.database import Database, Databases

MEDIA = 4000
TIMES_AS_LONG = 1.5
"""What reconcile may take of the comparing joins where there is nothing to repair."""

COMPARE = (
    "select count(*) from linked.disagreements(array(select source_id from linked.member where asset_id = source_id))"
)


def seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(database: Database) -> Any:
    with engine_for(sa.make_url(database.url).set(drivername="postgresql+psycopg")).connect() as connection:
        return reconcile(connection, dry_run=False)


def measure(databases: Databases, media: int = MEDIA) -> dict[str, Any]:
    with bare_and_linked(databases, media) as (_, linked, installation):
        clones = int(linked.value("select count(*) from linked.member where asset_id <> source_id"))
        linked.execute("set jit = off")
        compared = min(seconds(lambda: linked.value(COMPARE)) for _ in range(3))
        nothing = min(seconds(lambda: run(linked)) for _ in range(3))
        linked.execute("set linked.writing = 'on'")
        linked.execute("update linked.installation set suspended_at = now(), suspended_why = 'a measure'")
        linked.execute("delete from asset where id in (select asset_id from linked.member where asset_id <> source_id)")
        linked.execute("update linked.installation set suspended_at = null, suspended_why = null")
        linked.execute("vacuum analyze")
        linking = seconds(lambda: run(linked))
        assert linked.value("select count(*) from linked.member where asset_id <> source_id") == clones
        return {
            "media": media,
            "clones": clones,
            "compared_once": round(compared, 2),
            "nothing_to_repair": round(nothing, 2),
            "times_as_long": round(nothing / compared, 2),
            "linked_per_second": round(clones / linking),
            "linked_per_second_by_upgrade": round(clones / installation),
        }


def show(console: Console, found: dict[str, Any]) -> None:
    console.print(
        f"Reconcile with nothing to repair in {found['media']:,} groups: {found['nothing_to_repair']} s, "
        f"{found['times_as_long']} times as long as comparing them once.",
        style="red" if found["times_as_long"] > TIMES_AS_LONG else None,
    )
    console.print(
        f"Reconcile links {found['linked_per_second']:,} clones a second, "
        f"`upgrade head` {found['linked_per_second_by_upgrade']:,}."
    )


def main() -> None:
    with embedded_server(autovacuum="on") as server:
        show(Console(), measure(Databases(server.url, "reconcile"), int(sys.argv[1]) if sys.argv[1:] else MEDIA))


if __name__ == "__main__":
    main()
