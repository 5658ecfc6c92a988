"""The Immich-like test database behaves like Immich where the addon depends on it."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

from linked_asset import immich as model
from sample import create_immich
from tests.builders import Immich
from tests.database import Database, Databases
from tests.immich import catalog

FAMILY = {
    "album": 3, "album_asset": 16, "album_user": 3, "asset": 105, "asset_exif": 105,
    "asset_face": 138, "asset_file": 208, "asset_job_status": 105, "face_search": 138,
    "kysely_migrations": 34, "library": 1, "person": 13, "smart_search": 104, "stack": 1,
    "system_metadata": 4, "tag": 4, "tag_asset": 11, "tag_closure": 7, "user": 4,
    "version_history": 1,
}  # fmt: skip


@pytest.fixture(params=model.RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_release_can_be_created(empty: Database, release: str) -> None:
    """Which indexes there are is the model's business: those that matter."""
    with empty.connect() as connection:
        create_immich(connection, release)
    made, expected = catalog.read(empty, release), catalog.load(release)
    indexes = {name: table.pop("indexes") for name, table in made["tables"].items()}
    for name, table in expected["tables"].items():
        assert set(indexes[name]) <= set(table.pop("indexes")), name
    assert made == expected


def test_ids_ascend_with_time(immich: Database) -> None:
    ids = immich.row(
        """select immich_uuid_v7('2020-01-01') as old, immich_uuid_v7('2021-01-01') as new,
                  substring(immich_uuid_v7()::text, 15, 1) as version"""
    )
    assert ids.old < ids.new
    assert ids.version == "7"


def test_the_family_is_as_it_was_written(family: Database) -> None:
    counts = {table.name: family.value(f'select count(*) from "{table.name}"') for table in model.release("v1.138.0")}
    assert {name: count for name, count in counts.items() if count} == FAMILY
    assert family.value("""select "albumName" from album where "albumName" like 'linked%'""")
    assert family.value("select count(*) from asset where \"updatedAt\" < '2026-11-24'") == 105


def test_the_family_breaks_no_foreign_key(family: Database) -> None:
    for key in family.fetch(
        """select conrelid::regclass::text as child, confrelid::regclass::text as parent,
                  (select attname from pg_attribute where attrelid = conrelid and attnum = conkey[1])
                    as child_column,
                  (select attname from pg_attribute where attrelid = confrelid and attnum = confkey[1])
                    as parent_column
           from pg_constraint where contype = 'f' and cardinality(conkey) = 1"""
    ):
        orphans = family.value(
            f"""select count(*) from {key.child} as child where "{key.child_column}" is not null
                and not exists (select from {key.parent} as parent
                                where parent."{key.parent_column}" = child."{key.child_column}")"""
        )
        assert orphans == 0, key


def test_distances_can_be_computed(family: Database) -> None:
    distance = family.value(
        """select max(mine.embedding <=> same.embedding) from face_search as mine
           join face_search as same using ("faceId")"""
    )
    assert distance == pytest.approx(0, abs=1e-6)


def test_every_update_moves_a_row_in_the_sync_order(immich: Database) -> None:
    server = Immich(immich)
    asset = server.upload(server.create_user("anna"))
    before = server.asset(asset)
    immich.execute('update asset set "isFavorite" = "isFavorite"')
    after = server.asset(asset)
    assert after.updateId > before.updateId
    assert after.updatedAt > before.updatedAt


class TestAudit:
    """Deletions leave audit rows by depth: 0 for most tables, 0 and 1 for what lies in albums."""

    def test_direct_delete(self, immich: Database) -> None:
        server = Immich(immich)
        owner = server.create_user("anna")
        asset = server.upload(owner)
        server.delete_asset(asset)
        row = immich.row('select "assetId", "ownerId" from asset_audit')
        assert tuple(row) == (asset, owner)

    def test_cascade_leaves_album_rows_only(self, immich: Database) -> None:
        server = Immich(immich)
        owner = server.create_user("anna")
        asset = server.upload(owner)
        (face,) = server.detect_faces(asset, [(1, 1, 9, 9)])
        album = server.create_album(owner, assets=[asset])
        server.delete_asset(asset)
        assert immich.value('select "albumId" from album_asset_audit') == album
        assert immich.value("select count(*) from asset_face_audit") == 0
        assert not immich.fetch("select from asset_face where id = %s", [face])

    def test_nested_delete_leaves_nothing(self, immich: Database) -> None:
        server = Immich(immich)
        asset = server.upload(server.create_user("anna"))
        server.create_album(server.asset(asset).ownerId, assets=[asset])
        on_delete_of_a_tag(immich, "delete from asset")
        assert immich.value("select count(*) from asset_audit") == 0
        assert immich.value("select count(*) from album_asset_audit") == 0

    def test_nested_delete_of_album_content(self, immich: Database) -> None:
        server = Immich(immich)
        asset = server.upload(server.create_user("anna"))
        server.create_album(server.asset(asset).ownerId, assets=[asset])
        on_delete_of_a_tag(immich, "delete from album_asset")
        assert immich.value("select count(*) from album_asset_audit") == 1

    def test_deleted_album(self, immich: Database) -> None:
        server = Immich(immich)
        owner, guest = server.create_user("anna"), server.create_user("ben")
        asset = server.upload(owner)
        album = server.create_album(owner, assets=[asset], users=[guest])
        server.delete_album(album)
        audits = immich.fetch('select "albumId", "userId" from album_audit')
        assert {tuple(row) for row in audits} == {(album, owner), (album, guest)}
        assert immich.value("select count(*) from album_user_audit") == 1
        assert immich.value("select count(*) from album_asset_audit") == 0

    def test_unshared_album(self, immich: Database) -> None:
        server = Immich(immich)
        owner, guest = server.create_user("anna"), server.create_user("ben")
        album = server.create_album(owner, users=[guest])
        server.unshare_album(album, guest)
        assert immich.value('select "userId" from album_audit') == guest
        assert immich.value('select "userId" from album_user_audit') == guest

    def test_shared_album_is_new_to_everybody(self, immich: Database) -> None:
        server = Immich(immich)
        album = server.create_album(server.create_user("anna"))
        before = server.album(album).updateId
        server.share_album(album, server.create_user("ben"))
        assert server.album(album).updateId > before

    def test_deleted_user(self, immich: Database) -> None:
        server = Immich(immich)
        owner = server.create_user("anna")
        asset = server.upload(owner)
        server.hard_delete_user(owner)
        assert immich.value('select "userId" from user_audit') == owner
        assert not immich.fetch("select from asset where id = %s", [asset])
        assert immich.value("select count(*) from asset_audit") == 0


class TestEdits:
    @pytest.fixture
    def server(self, empty: Database) -> Immich:
        with empty.connect() as connection:
            create_immich(connection, "v2.6.0")
        return Immich(empty, "v2.6.0")

    def test_an_asset_knows_whether_it_is_edited(self, server: Immich) -> None:
        asset = server.upload(server.create_user("anna"))
        edit = {"assetId": asset, "action": "crop", "parameters": {"x": 1}}
        server.insert("asset_edit", {**edit, "sequence": 0}, {**edit, "sequence": 1})
        assert server.asset(asset).isEdited
        server.delete("asset_edit", sequence=0)
        assert server.asset(asset).isEdited
        server.delete("asset_edit", assetId=asset)
        assert not server.asset(asset).isEdited
        assert server.database.value("select count(*) from asset_edit_audit") == 2


class TestPersonGroups:
    @pytest.fixture
    def server(self, empty: Database) -> Immich:
        with empty.connect() as connection:
            create_immich(connection, "v3.3.0")
        return Immich(empty, "v3.3.0")

    @pytest.fixture
    def person(self, server: Immich) -> UUID:
        """On the picture of somebody who is alone in their cluster group."""
        (face,) = server.detect_faces(server.upload(server.create_user("anna")), [(1, 1, 9, 9)])
        return server.recognize(face)

    def counts(self, server: Immich) -> list[int]:
        return [
            server.database.value(f"select count(*) from {what}")
            for what in ('asset_face where "personGroupId" is not null', "person_audit", "person_group_audit")
        ]

    def test_deleted_person(self, server: Immich, person: UUID) -> None:
        server.delete("person", personGroupId=person)
        assert self.counts(server) == [1, 1, 0]
        server.delete_empty_groups()
        assert self.counts(server) == [0, 1, 1]

    def test_nested_delete_of_a_person_is_told(self, server: Immich, person: UUID) -> None:
        on_delete_of_a_tag(server.database, "delete from person")
        assert self.counts(server) == [1, 1, 0]

    def test_nested_delete_of_a_group_is_not_told(self, server: Immich, person: UUID) -> None:
        on_delete_of_a_tag(server.database, "delete from person_group")
        assert not server.persons(person)
        assert self.counts(server) == [0, 0, 0]

    def test_shared_people(self, server: Immich, person: UUID) -> None:
        (anna,) = (row.ownerId for row in server.persons(person))
        ben = server.create_user("ben")
        server.join_cluster_group(ben, anna)
        server.update_person(person, anna, name="Oma")
        server.share_people(anna, [ben])
        assert server.person(person, ben).name == "Oma"
        server.update_person(person, ben, name="Granny")
        server.share_people(anna, [ben], "write")
        assert server.person(person, ben).name == "Granny"
        server.delete_people([person], ben)
        assert server.database.value("select count(*) from person_user") == 0
        server.share_people(anna, [ben])
        server.leave_cluster_group(ben)
        assert len(server.persons(person)) == len(server.people(ben)) == 1
        assert server.database.value('select "sharedWithId" from person_user') == ben

    def test_an_album_goes_with_its_owner_s_row(self, server: Immich, person: UUID) -> None:
        (anna,) = (row.ownerId for row in server.persons(person))
        ben = server.create_user("ben")
        album = server.create_album(anna, users=[ben])
        server.unshare_album(album, ben)
        assert server.database.value("select count(*) from album") == 1
        server.unshare_album(album, anna)
        assert server.database.value("select count(*) from album") == 0


def on_delete_of_a_tag(database: Database, statement: str) -> None:
    """Run a statement at trigger depth 1."""
    database.execute(
        f"""create function pg_temp.nested() returns trigger language plpgsql
            as 'begin {statement}; return null; end'"""
    )
    database.execute("create trigger nested after delete on tag for each statement execute function pg_temp.nested()")
    database.execute("delete from tag")


def test_databases_of_one_run_do_not_see_each_other(databases: Databases, immich_template: str) -> None:
    with databases.copy(immich_template) as one, databases.copy(immich_template) as other:
        Immich(one).create_user("anna")
        assert other.value('select count(*) from "user"') == 0
        name = one.value("select current_database()")
    with databases.copy(), pytest.raises(psycopg.OperationalError, match=name):
        psycopg.connect(databases.url(name))


def test_pg_dump(immich: Database, pg_dump: Any) -> None:
    first = pg_dump(immich, "--schema-only")
    assert "CREATE TABLE public.asset (" in first
    assert first == pg_dump(immich, "--schema-only")


def test_psql(immich: Database, psql: Any) -> None:
    assert psql(immich, "select 1; select 2") == "1\n2\n"
    with pytest.raises(RuntimeError, match="nonsense"):
        psql(immich, "nonsense")
