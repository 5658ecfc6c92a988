"""What the addon costs, as ratios within one run: python -m benchmarks

One server, autovacuum on, two copies of one database: one with the addon, one without. Every statement of Immich's is
timed in turn without the addon, with it on assets that are not linked, and on assets that are linked to four users.
Milliseconds depend on the machine, ratios hardly do. The results go to benchmarks/results.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import reconcile, scaling, writers
from benchmarks.places import CHECKOUT, bare_and_linked
from benchmarks.statements import ASSETS, arrival, plain_copy, statements, unlink
from linked_asset import __version__
from sample.server import embedded_server
from tests.database import Databases

RESULTS = CHECKOUT / "benchmarks" / "results"


def show(results: dict[str, Any]) -> None:
    console = Console()
    table = Table("Immich's statement", "without, ms", "not linked", "linked to four", title="Times as long")
    for row in results["statements"]:
        table.add_row(
            row["statement"], f"{row['without_ms']:.2f}", f"{row['not_linked']:.2f}", f"{row['linked_to_four']:.2f}"
        )
    console.print(table)
    console.print(writers.table(results["writers"]))
    console.print(scaling.table(results["scaling"]))
    first, gone = results["first_linking"], results["unlinking"]
    console.print(
        f"First linking: {first['clones']:,} clones in {first['seconds']} s, {first['per_second']:,} a second: "
        f"{first['of_plain_inserts']} of the rate at which the same rows are inserted in one go (asked for: 0.8).",
        style="red" if first["of_plain_inserts"] < 0.8 else None,
    )
    arrived = results["arrival"]
    console.print(
        f"A new upload and its jobs, four clones: {arrived['ms']} ms, {arrived['times']} times as long as the same and "
        "plain inserts of the clones' rows (asked for: 1.3).",
        style="red" if arrived["times"] > 1.3 else None,
    )
    console.print(
        f"Unlinking: {gone['clones']:,} clones in {gone['seconds']} s in one statement, "
        f"{gone['times']} times as long as a delete of as many assets without the addon (asked for: 1.3).",
        style="red" if gone["times"] > 1.3 else None,
    )
    reconcile.show(console, results["reconcile"])


def run() -> dict[str, Any]:
    with embedded_server(autovacuum="on") as server:
        databases = Databases(server.url, "bench")
        with bare_and_linked(databases, ASSETS) as (bare, linked, seconds):
            plain = plain_copy(bare)
            bare.execute("analyze")
            clones = linked.value("select count(*) from linked.member where asset_id <> source_id")
            found = {
                "version": __version__,
                "postgresql": linked.value("show server_version"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "statements": list(statements(bare, linked)),
                "first_linking": {
                    "clones": clones, "seconds": round(seconds, 1), "per_second": round(clones / seconds),
                    "of_plain_inserts": round(plain / seconds, 2),
                },
                "arrival": arrival(bare, linked),
                "unlinking": unlink(bare, linked),
                "incidents": linked.value("select count(*) from linked.incident"),
            }  # fmt: skip
        found["reconcile"] = reconcile.measure(databases)
        found["scaling"] = list(scaling.scaling(databases, scaling.MAIN))
    found["writers"] = writers.measure()
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
