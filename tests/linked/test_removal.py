"""Removing the addon leaves the database as if it had never been there (SPEC section 11)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.database import Database
from tests.linked.conftest import CHECKOUT, Household, install, remove


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
            'select id from person where "ownerId" = %s and name = %s', [household.family, name]
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
    people = household.database.fetch('select id from person where "ownerId" = %s order by name', [household.family])
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


def test_clients_learn_that_the_clones_are_gone(before: Household) -> None:
    install(before.database)
    gone = {
        row.id for row in before.database.fetch("select asset_id as id from linked.member where asset_id <> source_id")
    }
    remove(before.database)
    audited = before.database.fetch('select "assetId" as id, "ownerId" as owner from asset_audit')
    assert gone <= {row.id for row in audited}
    assert {row.owner for row in audited} == {before.anna, before.ben}


def test_covers_and_primary_assets_are_inside(before: Household) -> None:
    install(before.database)
    busy(before)
    remove(before.database)
    assert not before.database.fetch(
        'select from stack where not exists (select from asset where id = "primaryAssetId" and "stackId" = stack.id)'
    )
    assert not before.database.fetch(
        'select from asset_face join asset on asset.id = "assetId" join person on person.id = "personId"'
        ' where person."ownerId" <> asset."ownerId"'
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
