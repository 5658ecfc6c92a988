"""The model says of every release what that release's own catalog says."""

import pytest
import sqlalchemy as sa

from linked_asset import immich
from linked_asset.immich.metadata import foreign_keys, metadata
from linked_asset.immich.model import Check, Column, Index, Table, Unique
from linked_asset.immich.tables import TABLES
from tests.immich import catalog


@pytest.fixture(params=immich.RELEASES)
def release(request: pytest.FixtureRequest) -> immich.Release:
    return immich.release(request.param)


def test_tables(release: immich.Release) -> None:
    assert {table.name for table in release.tables} == set(catalog.load(release.name)["tables"])


def test_columns(release: immich.Release) -> None:
    expected = catalog.load(release.name)["tables"]
    for table in release.tables:
        columns = {
            column.name: [immich.pg_type(column.type), column.nullable, column.default] for column in table.columns
        }
        assert columns == expected[table.name]["columns"], table


def test_enums(release: immich.Release) -> None:
    enums = {
        column.type.name: column.type.enums
        for table in release.tables
        for column in table.columns
        if hasattr(column.type, "enums")
    }
    assert enums == catalog.load(release.name)["enums"]


def test_keys(release: immich.Release) -> None:
    expected = catalog.load(release.name)["tables"]
    for table in release.tables:
        names = table.names(table.primary_key)
        assert [f"{table.name}_pkey", *names] == expected[table.name]["primary_key"]
        unique = {
            u.name or "_".join((table.name, *table.names(u.columns), "uq")): list(table.names(u.columns))
            for u in table.of(Unique)
        }
        assert unique == expected[table.name]["unique"]
        assert sorted(c.name for c in table.of(Check)) == expected[table.name]["check"]


def test_foreign_keys(release: immich.Release) -> None:
    expected = catalog.load(release.name)["tables"]
    for table in release.tables:
        keys = {}
        for key in foreign_keys(table):
            names = list(table.names(key.columns))
            referenced = list(release.table(key.table).names(key.referenced))
            keys["_".join((table.name, *names, "fkey"))] = [names, key.table, referenced, key.on_delete, key.on_update]
        assert keys == expected[table.name]["foreign_keys"], table


def test_unique_indexes_are_complete_and_no_index_is_invented(release: immich.Release) -> None:
    expected = catalog.load(release.name)["tables"]
    for table in metadata(release).tables.values():
        indexes = {str(index.name): bool(index.unique) for index in table.indexes}
        known = expected[table.name]["indexes"]
        assert {n for n, u in indexes.items() if u} == {
            n for n, definition in known.items() if definition.startswith("unique")
        }
        assert set(indexes) <= set(known), table


def test_releases_ascend_and_each_but_the_newest_changes_something() -> None:
    versions = [immich.version(name) for name in immich.RELEASES]
    assert versions == sorted(set(versions))
    seen = [catalog.load(name)["tables"] for name in immich.RELEASES]
    for name, before, after in zip(immich.RELEASES[1:-1], seen, seen[1:-1], strict=False):
        assert before != after, name


def test_releases_named_in_the_description_are_steps() -> None:
    parts = [part for table in TABLES for part in (table, *table.parts)]
    named = {getattr(part, end, None) for part in parts for end in ("since", "until")}
    named |= {release for table in TABLES for part in (table, *table.columns) for release in part.was}
    assert named - {None} <= set(immich.RELEASES)


def test_an_unknown_release_says_so() -> None:
    with pytest.raises(immich.UnknownRelease, match=r"v9\.9\.9"):
        immich.release("v9.9.9")


def test_columns_are_found_by_their_newest_name() -> None:
    old = immich.release("v1.138.0").table("album_asset")
    new = immich.release("v2.3.0").table("album_asset")
    assert (old.column("albumId").name, new.column("albumId").name) == ("albumsId", "albumId")
    assert old.column("albumId").canonical == "albumId"


def test_natural_keys_follow_the_release() -> None:
    assert immich.release("v2.4.0").table("asset_file").key == ("assetId", "type")
    assert immich.release("v2.5.0").table("asset_file").key == ("assetId", "type", "isEdited")


def test_no_key_and_no_owner_is_shared(release: immich.Release) -> None:
    synced = {immich.Policy.SHARED, immich.Policy.PRODUCED}
    for table in release.tables:
        for name in (*table.primary_key, "ownerId", "userId", "assetId", "faceId"):
            if table.has(name) and table.touched:
                assert table.column(name).policy not in synced, (table, name)


def test_what_immich_maintains_is_never_copied(release: immich.Release) -> None:
    for table in release.tables:
        for name in ("updatedAt", "updateId", "createId"):
            if table.has(name):
                assert table.column(name).policy is immich.Policy.DERIVED, (table, name)


def test_a_clone_can_be_inserted(release: immich.Release) -> None:
    """Every column of `asset` that must have a value gets one from its policy."""
    for column in release.table("asset").with_policy(immich.Policy.PERSONAL):
        assert column.birth or column.nullable or column.default, column.name


def test_only_personal_columns_have_a_birth() -> None:
    for table in TABLES:
        for column in table.columns:
            assert column.birth is None or column.policy is immich.Policy.PERSONAL


def test_untouched_tables_carry_no_key() -> None:
    assert not [table for table in TABLES if table.key and not table.touched]


def test_indexes_name_columns_that_exist() -> None:
    for table in TABLES:
        for index in table.of(Index):
            for column in index.columns:
                assert table.has(column) or "(" in column, (table, column)


def test_names_types_and_keys_can_change_more_than_once() -> None:
    table = Table(
        "person",
        Column("id", sa.Uuid(), immich.Policy.IDENTITY, until="v3.0.0"),
        Column("owner", sa.Uuid(), immich.Policy.IDENTITY),
        Column(
            "group",
            sa.Uuid(),
            immich.Policy.IDENTITY,
            was={"v2.0.0": {"name": "cluster", "nullable": True}, "v1.0.0": {"name": "heap"}},
        ),
        primary_key=("owner", "group"),
        was={"v3.0.0": {"primary_key": ("id",)}},
    )
    past = [table.at(release) for release in ("v0.9.0", "v1.9.0", "v2.9.0", "v3.0.0")]
    assert [then.column("group").name for then in past] == ["heap", "cluster", "group", "group"]
    assert [then.column("group").nullable for then in past] == [True, True, False, False]
    assert [then.names(then.primary_key) for then in past] == [("id",)] * 3 + [("owner", "group")]
    assert [then.has("id") for then in past] == [True, True, True, False]
