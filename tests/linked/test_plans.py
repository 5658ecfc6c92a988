"""No statement of a few rows reads a large table from end to end, whatever the connection has done before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.builders import Immich
from tests.database import Database
from tests.linked.conftest import MEDIA, Household
from tests.linked.test_large import fill
from tests.release import RELEASE

ASSETS = 1000
WITH_FACES = 500
LARGE = {
    "asset", "asset_exif", "asset_file", "asset_job_status", "smart_search", "asset_face", "face_search",
    "album_asset", "tag_asset", "member", "face",
}  # fmt: skip

Act = Callable[[Immich, UUID], object]
ACTS: dict[str, Act] = {
    "edit": lambda immich, asset: immich.update_exif(asset, description="x"),
    "archive": lambda immich, asset: immich.update_assets([asset], visibility="archive"),
    "favorite": lambda immich, asset: immich.favorite(asset),
    "thumbnails": lambda immich, asset: immich.generate_thumbnails(asset),
    "search": lambda immich, asset: immich.smart_search(asset),
    "faces": lambda immich, asset: immich.detect_faces(asset, [(0, 0, 50, 50)]),
    "recognition": lambda immich, asset: immich.recognize(immich.faces(asset)[0].id),
    "tags": lambda immich, asset: immich.bulk_tag(
        [immich.database.value('select id from tag where "userId" = %s limit 1', [immich.asset(asset).ownerId])],
        [asset],
    ),
    "album": lambda immich, asset: immich.create_album(immich.asset(asset).ownerId, "Sea", assets=[asset]),
    "trash": lambda immich, asset: immich.trash([asset]),
    "restore": lambda immich, asset: immich.restore([asset]),
    "delete": lambda immich, asset: immich.delete_asset(asset),
    "upload": lambda immich, asset: immich.process(
        immich.upload(immich.database.value('select "ownerId" from asset limit 1'), f"{MEDIA}/{asset}.jpg")
    ),
}


@pytest.fixture
def filled(household: Household) -> Household:
    fill(household, ASSETS, WITH_FACES)
    household.database.execute("select linked.enqueue_all()")
    while household.database.value("select linked.work_off('10 seconds')"):
        pass
    household.database.execute("analyze")
    return household


def rows_read_in_order(immich: Immich) -> Counter[str]:
    """By tables, as far as this connection has not told the others yet."""
    rows = immich.database.fetch(
        "select relname, seq_tup_read from pg_stat_xact_user_tables where relname = any (%s)", [list(LARGE)]
    )
    return Counter({row.relname: row.seq_tup_read for row in rows})


def read_whole(immich: Immich, asset: UUID) -> set[str]:
    """The large tables of which any of the acts has read more than a part from end to end."""
    found = set()
    for name, act in ACTS.items():
        with immich.database.transaction():
            before = rows_read_in_order(immich)
            act(immich, asset)
            read = rows_read_in_order(immich) - before
        found |= {f"{name}: {table}" for table, rows in read.items() if rows > ASSETS / 2}
    return found


def test_no_small_statement_reads_a_large_table(filled: Household) -> None:
    immich = Immich(Database(filled.database.url), RELEASE)
    # As dear as they are where there are a hundred times as many.
    immich.database.execute("set seq_page_cost = 100")
    rows = filled.database.fetch("select asset_id as id from linked.member where owner_id = %s", [filled.anna])
    linked = [row.id for row in rows]
    private = [filled.upload(filled.clara) for _ in range(9)]
    for user in (filled.anna, filled.clara):
        filled.upsert_tag(user, "sea")
    many = linked[100:300]
    try:
        for times in ("cold", *["with plans that are kept"] * 6, "after statements of many rows"):
            if times.startswith("after"):
                immich.update_all_exif(many, latitude=1.0)
                immich.update_assets(many, visibility="archive")
                immich.bulk_tag([immich.upsert_tag(filled.anna, "sea")], many)
                immich.trash(many)
                # The plan for tags was made when there were none. It goes when autovacuum has been there, in a minute.
                found = read_whole(immich, linked.pop(0)) | read_whole(immich, private.pop())
                assert {name for name in found if not name.endswith(": tag_asset")} == set(), times
                filled.database.execute("analyze")
            assert read_whole(immich, linked.pop(0)) == set(), times
            assert read_whole(immich, private.pop()) == set(), times
    finally:
        immich.database.close()


def compared_rows(source: str) -> list[str]:
    """The queries of a trigger function that join the rows before a statement with those after it."""
    found = []
    for match in re.finditer(r"from fresh full join stale", source):
        start, depth = match.start(), 0
        while depth != -1:
            start -= 1
            depth += {")": 1, "(": -1}.get(source[start], 0)
        end, depth = match.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(source[end], 0)
            end += 1
        found.append(source[start + 1 : end - 1])
    return found


def test_rows_before_and_after_a_statement_are_never_compared_each_with_each(household: Household) -> None:
    """A plan is kept from a statement of one row, and one that only looks for a first row is chosen for its start."""
    triggers = household.database.fetch(
        """select tgrelid::regclass::text as table, prosrc from pg_trigger join pg_proc on pg_proc.oid = tgfoid
           where prosrc like '%%full join stale%%'"""
    )
    queries = [(row.table, query) for row in triggers for query in compared_rows(row.prosrc)]
    assert len(queries) > len(triggers) > 3
    database = household.database.another()
    for table, query in queries:
        for name in ("fresh", "stale"):
            database.execute(f"drop table if exists {name}")
            database.execute(f"create temporary table {name} as select * from {table} limit 1")
        database.execute("analyze fresh, stale")
        plan = "\n".join(row[0] for row in database.fetch(f"explain {query}"))
        assert " Full Join" in plan, f"{table}: {query}\n{plan}"


@pytest.mark.parametrize("sources", ["null", "array[gen_random_uuid()]"])
def test_statements_of_few_rows_use_plans_that_are_kept(household: Household, sources: str) -> None:
    """Whatever turn they take: for an array of one element PostgreSQL would make a new one each time."""
    database = household.database
    with database.transaction():
        database.execute(f"select linked.take_turn({sources}, false), linked.plan_for(1)")  # type: ignore[arg-type]
        assert database.value("select current_setting('plan_cache_mode')") == "force_generic_plan"
        database.execute("select linked.plan_for(4000)")
        assert database.value("select current_setting('plan_cache_mode')") == "force_custom_plan"


@pytest.mark.parametrize("rows", [1, 4000])
def test_foreign_keys_keep_their_plans_and_nothing_else_does(household: Household, rows: int) -> None:
    database = household.database
    mode = "select current_setting('plan_cache_mode')"
    with database.transaction():
        database.execute("select linked.plan_for(%s)", [rows])
        before = database.value(mode)
        assert before == ("force_custom_plan" if rows > 1 else "auto")
        database.execute("select 1 where (select linked.keep_plans())")
        assert database.value(mode) == "auto"
        database.execute("select linked.plan_anew()")
        assert database.value(mode) == before


def test_who_may_edit_is_asked_of_the_album_that_is_shared_alone(household: Household) -> None:
    """Not of all albums there are, where statistics say that these are few."""
    photo = household.photo()
    albums = [household.create_album(household.family, f"Album {number}", assets=[photo]) for number in range(10)]
    database = household.database
    with database.transaction():
        for setting in ("track_functions = 'all'", "enable_indexscan = off", "enable_bitmapscan = off"):
            database.execute(f"set local {setting}")  # type: ignore[arg-type]
        household.share_album(albums[0], household.anna)
        asked = database.value("select calls from pg_stat_xact_user_functions where funcname = 'may_edit_album'")
    assert asked == 1
