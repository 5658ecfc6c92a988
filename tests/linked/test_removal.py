"""Removing the addon leaves the database as if it had never been there (SPEC section 11)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from linked_asset import immich as model
from linked_asset import render
from sample import create_immich
from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.conftest import Household, install, remove
from tests.linked.test_audit import left
from tests.linked.test_turns import somebody_has_the_turn
from tests.release import PERSON_ID, RELEASE, SHOWN, column_name
from tests.shell.conftest import CHECKOUT, inside


@pytest.fixture
def before(immich: Database) -> Household:
    """A household with pictures, people, tags, albums and stacks in each account, before the addon is installed."""
    household = Household(immich)
    for who in ("family", "anna", "ben", "clara"):
        user = getattr(household, who)
        photos = [household.photo(user, f"/data/upload/{who}/{index}.jpg") for index in range(3)]
        for photo, name in zip(photos, ("Oma", f"{who}'s friend", "Opa"), strict=True):
            (face,) = household.detect_faces(photo, [(0, 0, 50, 50)], seeds=[name])
            birthday = {"birthDate": "1940-01-02", "color": "#ff0000"}
            household.recognize(face, household.create_person(user, name, **birthday))
            household.tag_assets(household.upsert_tag(user, f"people/{name}"), photo)
        household.create_album(user, f"{who}'s", assets=photos)
        household.create_stack(user, photos[:2])
        household.favorite(photos[0])
    shared = [household.photo() for _ in range(3)]
    for photo, name in zip(shared, ("Oma", "Opa", "Tim"), strict=True):
        (face,) = household.detect_faces(photo, [(0, 0, 50, 50)], seeds=[name])
        known = household.database.fetch(
            f'select {PERSON_ID} as id from person where "ownerId" = %s and name = %s', [household.family, name]
        )
        household.recognize(face, known[0].id if known else household.create_person(household.family, name))
        household.tag_assets(household.upsert_tag(household.family, f"people/{name}"), photo)
    household.create_album(household.family, "Beach", assets=shared)
    household.create_stack(household.family, shared[:2])
    return household


def busy(household: Household) -> None:
    """Everybody does everything with what is linked."""
    shared = [
        row.source_id for row in household.database.fetch("select distinct source_id from linked.member order by 1")
    ]
    for turn, who in enumerate(("family", "anna", "ben")):
        user = getattr(household, who)
        members = [household.of(photo, who) for photo in shared]
        household.update_exif(members[turn], description=f"by {who}")
        household.extract_metadata(members[0])
        household.generate_thumbnails(members[1])
        household.tag_assets(household.upsert_tag(user, f"new/{who}"), *members)
        household.create_album(user, f"New of {who}", assets=members[:2])
        new = (100 * turn + 100, 0, 100 * turn + 150, 50)
        (face,) = household.detect_faces(members[2], [(0, 0, 50, 50), new], seeds=["Tim", f"new {who}"])
        household.recognize(face)
        drawn = household.create_face(
            members[0], household.create_person(user, f"drawn by {who}"), (300, 0, 350, 50 + turn)
        )
        if who == "family":
            wrong = drawn
        household.favorite(members[0])
        household.archive(members[2])
    household.delete_face(wrong, force=True)
    household.create_stack(household.anna, [household.of(photo, "anna") for photo in shared[1:]])
    people = household.people(household.family)
    household.merge_people(people[0].id, people[1].id)
    household.delete_asset(household.photo())
    household.trash([household.of(household.photo(), "ben")])


def public_rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of Immich's but the traces of deletions."""
    tables = database.fetch(
        r"""select tablename as name from pg_tables
            where schemaname = 'public' and tablename not like '%\_audit' order by 1"""
    )
    return {
        table.name: [
            json.loads(row.row)
            for row in database.fetch(f'select row_to_json(t)::text as row from public."{table.name}" as t')
        ]
        for table in tables
    }


def ids(rows: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {row["id"] for table in rows.values() for row in table if "id" in row}


def strangers(household: Household, *users: UUID) -> dict[str, set[str]]:
    """What these users have, without when it was last touched."""
    found = {}
    for table, rows in household.rows_of(*users).items():
        found[table] = {
            json.dumps({key: value for key, value in json.loads(row).items() if key not in ("updatedAt", "updateId")})
            for row in rows
        }
    return found


def test_other_accounts_are_as_if_it_had_never_been_there(before: Household) -> None:
    others = (before.anna, before.ben, before.clara)
    expected = strangers(before, *others)
    install(before.database)
    busy(before)
    created = {row.id for row in before.database.fetch("select id from album where \"albumName\" like 'New of %%'")}
    remove(before.database)
    found = strangers(before, *others)
    # What they made themselves is theirs, without the clones that were in it.
    mine = {"tag", "tag_closure", "person", "album", "album_user"}
    for table in expected.keys() - mine:
        assert found[table] == expected[table], table
    assert expected["person"] <= found["person"]
    assert names(found["person"] - expected["person"], "name") == {"drawn by anna", "drawn by ben"} | {""}
    assert names(found["tag"] - expected["tag"], "value") <= {"new", "new/anna", "new/ben"}
    albums = [json.loads(row) for row in found["album"] - expected["album"]]
    assert {album["albumName"] for album in albums} == {"New of anna", "New of ben"}
    assert {UUID(album["id"]) for album in albums} <= created


def names(rows: set[str], column: str) -> set[str]:
    return {json.loads(row)[column] for row in rows}


def test_accounts_that_did_nothing_are_exactly_as_before(before: Household) -> None:
    others = (before.anna, before.ben, before.clara)
    expected = strangers(before, *others)
    install(before.database)
    before.update_exif(before.photo(), description="new")
    remove(before.database)
    assert strangers(before, *others) == expected


def test_sources_keep_what_sync_brought_them(before: Household) -> None:
    install(before.database)
    busy(before)
    before.clean_people()
    expected = strangers(before, before.family)
    remove(before.database)
    found = strangers(before, before.family)
    for table in expected:
        assert found[table] == expected[table], table


def test_nothing_names_what_is_gone(before: Household) -> None:
    """Not every column that holds an id is a foreign key."""
    install(before.database)
    busy(before)
    there = ids(public_rows(before.database))
    remove(before.database)
    after = public_rows(before.database)
    gone = there - ids(after)
    assert gone
    for table, rows in after.items():
        named = {value for row in rows for value in row.values() if isinstance(value, str)}
        assert not named & gone, table


def test_clients_learn_what_is_gone_once_and_nothing_else(before: Household) -> None:
    install(before.database)
    busy(before)
    there = public_rows(before.database)
    found = left(before, lambda: remove(before.database))
    after = public_rows(before.database)
    groups = ["person_group"] if before.release.has("person_group") else []
    gone = {
        table: missing(table, there[table], after[table])
        for table in ("asset", "album", "album_user", "album_asset", "stack", "person", *groups)
    }
    assert all(gone[table] for table in ("asset", "album", "stack", "person", *groups))
    owner_is_shared_with = not before.has("album", "ownerId")
    assert set(found) == {
        "asset_audit", "album_audit", "album_asset_audit", "stack_audit", "person_audit",
        *(["album_user_audit"] if owner_is_shared_with else []), *(f"{table}_audit" for table in groups),
    }  # fmt: skip
    assert found["asset_audit"] == pairs(gone["asset"], "id", "ownerId")
    if owner_is_shared_with:
        assert len(gone["album_user"]) == len(gone["album"])
        assert found["album_audit"] == found["album_user_audit"] == pairs(gone["album_user"], "albumId", "userId")
    else:
        assert found["album_audit"] == pairs(gone["album"], "id", "ownerId")
    # Of albums that go, Immich's foreign key takes these rows along.
    albums = ids({"album": gone["album"]})
    left_albums = [row for row in gone["album_asset"] if row[column_name("album_asset", "albumId")] not in albums]
    assert found["album_asset_audit"] == pairs(
        left_albums, column_name("album_asset", "albumId"), column_name("album_asset", "assetId")
    )
    assert found["stack_audit"] == pairs(gone["stack"], "id", "ownerId")
    assert found["person_audit"] == pairs(gone["person"], column_name("person", "personGroupId"), "ownerId")
    for table in groups:
        assert found[f"{table}_audit"] == pairs(gone[table], "id", "clusterGroupId")


Rows = list[dict[str, Any]]


def missing(table: str, before: Rows, after: Rows) -> Rows:
    """Rows whose key is there no more."""
    keys = [column_name(table, column) for column in model.release(RELEASE).table(table).primary_key]

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[column] for column in keys)

    left_over = {key(row) for row in after}
    return [row for row in before if key(row) not in left_over]


def pairs(rows: Rows, *columns: str) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(UUID(row[column]) for column in columns) for row in rows)


def test_covers_and_primary_assets_are_inside(before: Household) -> None:
    install(before.database)
    busy(before)
    remove(before.database)
    assert not before.database.fetch(
        'select from stack where not exists (select from asset where id = "primaryAssetId" and "stackId" = stack.id)'
    )
    assert not before.database.fetch(
        'select from asset_face join asset on asset.id = "assetId"'
        f' join person on person.{PERSON_ID} = asset_face.{SHOWN} where person."ownerId" <> asset."ownerId"'
    )


def test_schema_is_the_same(immich: Database, pg_dump: Callable[..., str]) -> None:
    expected = pg_dump(immich, "--schema-only", "--schema=public")
    household = Household(immich)
    install(immich)
    household.photo()
    remove(immich)
    assert pg_dump(immich, "--schema-only", "--schema=public") == expected


def test_removal_by_alembic_removes_everything(before: Household, pg_dump: Callable[..., str]) -> None:
    """The whole way, as a user goes it."""
    expected = pg_dump(before.database, "--schema-only")
    others = (before.anna, before.ben, before.clara)
    rows = strangers(before, *others)
    alembic(before.database, "upgrade", "head")
    assert before.count("linked.member") > 0
    alembic(before.database, "downgrade", "base")
    assert pg_dump(before.database, "--schema-only") == expected
    assert strangers(before, *others) == rows


def alembic(database: Database, *arguments: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "DB_URL": database.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_installed_again_everything_is_linked_again(before: Household) -> None:
    install(before.database)
    busy(before)
    remove(before.database)
    install(before.database)
    before.check()
    assert before.count("linked.member") > 0


# --- on tables as they are found ----------------------------------------------------------------------------


@pytest.fixture
def mixed(linked: Database) -> Household:
    """What Ben made himself with his clones, and with what the addon made for him. Not checked at the end."""
    household = Household(linked)
    own_way(household)
    return household


def own_way(household: Household) -> None:
    photos = [household.photo() for _ in range(5)]
    household.tag_assets(household.upsert_tag(household.family, "sea"), photos[0])
    household.create_album(household.family, "Beach", assets=photos[:2])
    (face,) = household.detect_faces(photos[0], [(0, 0, 50, 50)])
    household.recognize(face, household.create_person(household.family, "Oma"))
    clones = [household.clone(photo, household.ben) for photo in photos]
    mine = [household.photo(household.ben, f"/data/upload/ben/{number}.jpg") for number in range(3)]
    household.create_stack(household.ben, [clones[0], *mine[:2]])
    household.create_stack(household.ben, [clones[1], mine[2]])
    household.tag_assets(household.upsert_tag(household.ben, "sea/mine"), mine[0])
    household.tag_assets(household.upsert_tag(household.ben, "lake"), clones[0])
    household.create_album(household.ben, "Ours", assets=[clones[0], mine[0]])
    beach, _ = household.albums_of(household.ben)
    household.add_to_album(beach.id, mine[1])


def what_is_bens_own_is_his(household: Household) -> None:
    database = household.database

    def of_ben(statement: str) -> list[Any]:
        return [row[0] for row in database.fetch(statement, [household.ben])]

    paths = of_ben('select "originalPath" from asset where "ownerId" = %s order by 1')
    assert paths == [f"/data/upload/ben/{number}.jpg" for number in range(3)]
    stacked = database.fetch(
        """select "originalPath" from asset join stack on stack.id = "stackId" where stack."ownerId" = %s
             and exists (select from asset one where one.id = "primaryAssetId" and one."stackId" = stack.id)
           order by 1""",
        [household.ben],
    )
    assert [row.originalPath for row in stacked] == paths[:2]
    assert database.value('select count(*) from stack where "ownerId" = %s', [household.ben]) == 1
    assert of_ben('select value from tag where "userId" = %s order by 1') == ["lake", "sea", "sea/mine"]
    assert database.value('select count(*) from tag where "userId" = %s', [household.anna]) == 0
    assert [album.albumName for album in household.albums_of(household.ben)] == ["Beach", "Ours"]
    # Sync brought "Ours" to the family, whose source is in it.
    assert database.value("select count(*) from album_asset") == 2 + 1 + 1 + 1
    assert of_ben('select name from person where "ownerId" = %s') == []
    assert database.value("select to_regnamespace('linked') is null")


CHANGES = {
    "nothing": "select",
    "columns of tag_asset": f"""alter table tag_asset rename "{column_name("tag_asset", "tagId")}" to t;
                                alter table tag_asset rename "{column_name("tag_asset", "assetId")}" to a""",
    "columns of album_asset": f"""alter table album_asset rename "{column_name("album_asset", "assetId")}" to a;
                                 alter table album_asset rename "{column_name("album_asset", "albumId")}" to b;
                                 create or replace function album_asset_delete_audit() returns trigger
                                 language plpgsql as 'begin return null; end'""",
    "suspended": "update linked.installation set suspended_at = now(), suspended_why = 'x'",
    "a function is gone": "drop function linked.start_writing()",
    "stack": 'alter table stack rename "primaryAssetId" to first; alter table asset rename "stackId" to s',
}


@pytest.mark.parametrize("change", ["nothing", "columns of tag_asset", "suspended", "a function is gone"])
def test_what_is_peoples_own_stays_whatever_has_changed(mixed: Household, change: str) -> None:
    mixed.database.execute(CHANGES[change])
    inside(mixed.database.url).alembic("downgrade", "base")
    what_is_bens_own_is_his(mixed)


@pytest.mark.parametrize("change", ["columns of album_asset", "stack"])
def test_renamed_columns_are_found(mixed: Household, change: str) -> None:
    mixed.database.execute(CHANGES[change])
    inside(mixed.database.url).alembic("downgrade", "base")
    assert mixed.owned(mixed.ben) == 3
    assert mixed.database.value("select count(*) from stack") == 1
    assert mixed.database.value("select count(*) from album_asset") == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            f'alter table tag_asset drop constraint "tag_asset_{column_name("tag_asset", "tagId")}_fkey"',
            'which column of Immich\'s table "tag_asset" refers to "tag"',
        ),
        ("drop table tag_asset", 'which column of Immich\'s table "tag_asset"'),
        ('alter table move_history rename "entityId" to e', "move_history"),
        (
            """create function broken() returns trigger language plpgsql as
               'begin perform no_such_column from asset; return null; end';
               create trigger theirs after delete on asset execute function broken()""",
            'column "no_such_column" does not exist (PL/pgSQL function broken()',
        ),
    ],
)
def test_what_cannot_be_told_or_done_changes_nothing(
    mixed: Household, pg_dump: Callable[..., str], change: str, said: str
) -> None:
    mixed.database.execute(change)
    before = pg_dump(mixed.database)
    result = inside(mixed.database.url).alembic("downgrade", "base", check=False)
    assert result.returncode == 1
    assert said in result.stderr.replace("public.broken", "broken")
    assert result.stderr.splitlines()[-1].endswith("Nothing has been changed.")
    assert "Traceback" not in result.stderr
    assert pg_dump(mixed.database) == before


def test_an_original_that_is_remembered_as_a_clone_stays(household: Household) -> None:
    photos = [household.photo() for _ in range(2)]
    other = household.photo(household.anna)
    household.database.execute("update linked.member set source_id = %s where asset_id = %s", [other, photos[0]])
    remove(household.database)
    left = {row.id for row in household.database.fetch("select id from asset")}
    assert {*photos, other} <= left
    install(household.database)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (
            "alter table linked.member rename asset_id to x; alter table linked.member rename source_id to asset_id; "
            "alter table linked.member rename x to source_id",
            "are originals",
        ),
        (
            "create function kept() returns trigger language plpgsql as 'begin return null; end'; "
            "create trigger kept before delete on asset for each row execute function kept()",
            "keeps them",
        ),
    ],
    ids=["swapped columns", "another tool's trigger"],
)
def test_no_false_success(linked: Database, damage: str, line: str) -> None:
    house = Household(linked)
    photo = house.photo()
    linked.execute(damage)
    with pytest.raises(psycopg.Error, match=line):
        remove(linked)
    assert linked.value("select count(*) from asset") == 3
    assert linked.fetch("select from asset where id = %s", [photo])


def test_clones_that_nobody_remembers_go_too(household: Household) -> None:
    """A backup of schema `public` alone was restored under another installation."""
    photo = household.photo()
    clones = [household.clone(photo, user) for user in (household.anna, household.ben)]
    household.database.execute("delete from linked.member; delete from linked.face")
    remove(household.database)
    assert [row.id for row in household.database.fetch("select id from asset")] == [photo]
    assert not household.database.fetch("select from asset where id = any(%s)", [clones])
    install(household.database)


@pytest.mark.parametrize("release", model.RELEASES)
def test_on_the_tables_of_every_release(databases: Databases, release: str) -> None:
    """What is remembered is the same in all of them; the tables are Immich's own."""
    template = databases.template(f"immich_{release}", lambda connection: create_immich(connection, release))
    with databases.copy(template) as database:
        server = Immich(database, release)
        family, ben = server.create_user("family"), server.create_user("ben")
        source, clone, own = (
            server.upload(user, f"/data/{number}.jpg") for number, user in enumerate((family, ben, ben))
        )
        for asset in (source, clone, own):
            server.process(asset)
        server.update_asset(clone, isExternal=True)
        (face,) = server.detect_faces(clone, [(0, 0, 9, 9)])
        made_person, made_album, made_tag = (
            server.create_person(ben, "Oma"),
            server.create_album(ben, "Made", assets=[clone]),
            server.create_tag(ben, "made"),
        )
        server.recognize(face, made_person)
        server.tag_assets(made_tag, clone)
        server.create_album(ben, "Mine", assets=[clone, own])
        server.create_stack(ben, [clone, own])
        database.execute("create schema linked")
        database.execute(render.render("state", model.release("v1.138.0")))
        database.execute("insert into linked.installation values (true, 'v1.138.0', '', '')")
        database.execute("insert into linked.member values (%s, %s, %s, true)", [source, source, family])
        database.execute("insert into linked.member values (%s, %s, %s, true)", [clone, source, ben])
        database.execute("insert into linked.album_pair values (%s, gen_random_uuid(), %s)", [made_album, ben])
        database.execute("insert into linked.person_pair values (%s, gen_random_uuid(), %s, true)", [made_person, ben])
        database.execute("insert into linked.made_tag values (%s)", [made_tag])
        inside(database.url).alembic("downgrade", "base")
        assert {row.id for row in database.fetch("select id from asset")} == {source, own}
        assert [row.albumName for row in database.fetch('select "albumName" from album')] == ["Mine"]
        for table in ("person", "tag", "stack"):
            assert database.value(f"select count(*) from {table}") == 0
        assert database.value("select to_regnamespace('linked') is null")


def test_what_had_been_put_off_is_not_lost(linked: Database) -> None:
    """An editor's change reaches the source, and what was deleted for good with its file goes."""
    household = Household(linked)
    edited, deleted, kept = (household.photo() for _ in range(3))
    household.set_viewer(household.ben)
    mine, view = household.clone(deleted, household.anna), household.clone(kept, household.ben)
    with somebody_has_the_turn(household):
        household.update_exif(household.clone(edited, household.anna), description="by Anna")
        household.delete("asset", id=mine)
        household.force_delete([view])
    remove(linked)
    assert household.exif(edited).description == "by Anna"
    assert {row.id for row in linked.fetch("select id from asset")} == {edited, kept}
    assert household.asset(kept).status == "active"
