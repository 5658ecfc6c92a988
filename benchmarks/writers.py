"""What several writers cost each other: python -m benchmarks.writers [seconds]

Eight sessions write flat out, driven by pgbench, on a disk, with fsync and synchronous_commit on: that is where waiting
shows. Each figure is the rate without the addon by the rate with it, measured in turn: times as long.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.places import LINKED, PRIVATE, RELEASE, bare_and_linked
from sample.server import embedded_bin, embedded_server
from tests.builders import Immich
from tests.database import Database, Databases

CLIENTS = 8
MEDIA = 5000
"""Linked ones, and as many that are not."""
GROUPS = 20
"""Groups whose members are written to crosswise."""
ROUNDS = 3
SECONDS = 4

MEMBERS = 5
TARGETS = f"""
    create schema bench;
    create table bench.target (kind text, n integer, ids uuid[], primary key (kind, n));
    insert into bench.target
    select 'private', row_number() over (), array[id] from asset where "originalPath" like '{PRIVATE}/%';
    insert into bench.target
    select 'linked', row_number() over (), array[id] from asset
    where "originalPath" like '{LINKED}/%' and "ownerId" = (select id from "user" where name = 'Family');
    insert into bench.target
    select 'five', n % (count / {MEMBERS}) + 1, array_agg(id)
    from (
        select id, row_number() over () as n, count(*) over () as count
        from asset where "originalPath" like '{PRIVATE}/%'
    ) as private
    group by 2 having count(*) = {MEMBERS};
    analyze bench.target
"""
CROSSWISE = f"""
    insert into bench.target
    select 'crosswise', row_number() over (), array[asset_id]
    from linked.member where source_id in (select ids[1] from bench.target where kind = 'linked' and n <= {GROUPS})
"""
WRITES = {
    "exif": """update asset_exif set iso = :value where "assetId" = any ({ids})""",
    "job status": """
        update asset_job_status set "facesRecognizedAt" = clock_timestamp() where "assetId" = any ({ids})""",
    "thumbhash": "update asset set thumbhash = int4send(:value) where id = any ({ids})",
    "thumbnail": """
        update asset_file set path = '/data/thumbs/' || :value where "assetId" = any ({ids}) and type = 'preview'""",
}
"""What Immich's jobs write of a picture, a statement each."""
EDIT = {"exif": WRITES["exif"]}


@dataclass(frozen=True)
class Run:
    """What pgbench says."""

    rate: float
    """Transactions a second."""
    failed: int


def pgbench(database: Database, writes: Mapping[str, str], kind: str, seconds: int, *, apart: bool = False) -> Run:
    """Eight sessions write to random targets of a kind; apart: each to targets of its own."""
    count = database.value("select count(*) from bench.target where kind = %s", [kind])
    where = f"(:client_id * {count // CLIENTS} + random(1, {count // CLIENTS}))" if apart else f"random(1, {count})"
    ids = f"(select ids from bench.target where kind = '{kind}' and n = :n)::uuid[]"
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for number, write in enumerate(writes.values()):
            file = Path(directory) / f"{number}.sql"
            file.write_text(f"\\set n {where}\n\\set value random(1, 1000000)\n{write.format(ids=ids)};\n")
            files.append(f"--file={file}")
        said = subprocess.run(
            [
                embedded_bin() / "pgbench", "--no-vacuum", f"--client={CLIENTS}", "--jobs=2", f"--time={seconds}",
                "--protocol=prepared", *files, database.url,
            ],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    rate, failed = re.search(r"tps = ([\d.]+)", said), re.search(r"failed transactions: (\d+)", said)
    assert rate
    return Run(float(rate[1]), int(failed[1]) if failed else 0)


def compared(one: Callable[[], Run], other: Callable[[], Run]) -> dict[str, float]:
    """How many times as long the first takes, the two in turn, with the least and the greatest of the rounds."""
    ratios = sorted(other().rate / one().rate for _ in range(ROUNDS))
    return {"times": statistics.median(ratios), "least": ratios[0], "greatest": ratios[-1]}


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Another session does this again and again."""
    over = threading.Event()

    def again() -> None:
        while not over.is_set():
            work()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def sharing(linked: Database) -> Callable[[], object]:
    server = Immich(Database(linked.url), RELEASE)
    album = linked.value("""select id from album where "albumName" = 'Linked album'""")
    stranger = linked.value("""select id from "user" where name = 'Stranger'""")

    def share_and_unshare() -> None:
        server.share_album(album, stranger)
        server.unshare_album(album, stranger)

    return share_and_unshare


def sitting(linked: Database) -> Callable[[], object]:
    database = Database(linked.url)

    def sit() -> None:
        with database.transaction():
            database.execute(
                """update asset_exif set iso = 1 where "assetId" = any (
                       select unnest(ids) from bench.target where kind = 'linked' and n = 1)"""
            )
            database.execute("select pg_sleep(0.5)")

    return sit


def writers(bare: Database, linked: Database, seconds: int) -> Iterator[dict[str, Any]]:
    for database in (bare, linked):
        database.execute(TARGETS)
    linked.execute(CROSSWISE)
    yield {
        "what": "not linked", "limit": 1.15,
        **compared(
            lambda: pgbench(linked, WRITES, "private", seconds), lambda: pgbench(bare, WRITES, "private", seconds)
        ),
    }  # fmt: skip
    yield {
        "what": "linked to four, groups of their own; without: five rows each", "limit": 1.5,
        **compared(
            lambda: pgbench(linked, EDIT, "linked", seconds, apart=True),
            lambda: pgbench(bare, EDIT, "five", seconds, apart=True),
        ),
    }  # fmt: skip
    for name, work in {
        "another one shares and unshares": sharing(linked),
        "another one sits on a linked row": sitting(linked),
    }.items():

        def disturbed(work: Callable[[], object] = work) -> Run:
            with meanwhile(work):
                return pgbench(linked, WRITES, "private", seconds)

        yield {
            "what": f"not linked, while {name}; without: while nothing happens", "limit": 1.15,
            **compared(disturbed, lambda: pgbench(linked, WRITES, "private", seconds)),
        }  # fmt: skip
    before = linked.value("select deadlocks from pg_stat_database where datname = current_database()")
    run = pgbench(linked, EDIT, "crosswise", seconds * ROUNDS)
    Immich(linked, RELEASE).update_usage(linked.value("""select id from "user" where name = 'Stranger'"""), 1)
    left = linked.value("select linked.work_off('1 minute')")
    differ = linked.value(
        """select count(*)
           from linked.disagreements(array(select source_id from linked.member where asset_id = source_id))"""
    )
    deadlocks = linked.value("select deadlocks from pg_stat_database where datname = current_database()") - before
    yield {
        "what": f"members of {GROUPS} groups crosswise: {run.rate:,.0f} a second, {run.failed} failed, "
        f"{deadlocks} deadlocks, {left} left to do, {differ} that differ",
        "failed": run.failed + deadlocks + left + differ,
    }  # fmt: skip
    incidents = linked.fetch("select place, message from linked.incident")
    if incidents:
        raise SystemExit(f"{len(incidents)} incidents, the first: {incidents[0]}")


def table(rows: Sequence[dict[str, Any]]) -> Table:
    found = Table("Eight writers", "times as long", "least to greatest", "asked for", title="Several writers, fsync on")
    for row in rows:
        if "times" in row:
            found.add_row(
                row["what"], f"{row['times']:.2f}", f"{row['least']:.2f} to {row['greatest']:.2f}",
                f"{row['limit']:.2f}",
                style="red" if row["times"] > row["limit"] else None,
            )  # fmt: skip
        else:
            found.add_row(row["what"], "", "", "", style="red" if row["failed"] else None)
    return found


def measure(seconds: int = SECONDS) -> list[dict[str, Any]]:
    with (
        embedded_server(
            in_memory=False, fsync="on", synchronous_commit="on", full_page_writes="on", autovacuum="on"
        ) as server,
        bare_and_linked(Databases(server.url, "writers"), MEDIA) as (bare, linked, _),
    ):
        return list(writers(bare, linked, seconds))


def main() -> None:
    Console(width=120).print(table(measure(int(sys.argv[1]) if sys.argv[1:] else SECONDS)))


if __name__ == "__main__":
    main()
