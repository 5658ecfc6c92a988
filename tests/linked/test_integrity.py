"""Immich's integrity report (v3.0) on files that several rows name."""

from __future__ import annotations

from uuid import UUID

import pytest
from psycopg import sql

from sample import create_immich
from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.conftest import upgrade

RELEASE = "v3.0.0"


@pytest.fixture(scope="session")
def template(databases: Databases) -> str:
    base = databases.template(f"immich_{RELEASE}", lambda connection: create_immich(connection, RELEASE))
    return databases.template(f"integrity_{RELEASE}", upgrade, base=base)


def report(database: Database, rows: list[tuple[str, UUID | None, UUID | None]]) -> int:
    """The job's upsert of what it did not find."""
    statement = sql.SQL(
        """insert into integrity_report (type, path, "assetId", "fileAssetId") values {}
           on conflict (type, path) do update set "assetId" = excluded."assetId", "fileAssetId" = excluded."fileAssetId"
           returning id"""
    ).format(sql.SQL(", ").join(sql.SQL("('missing_file', %s, %s, %s)") for _ in rows))
    return int(database.execute(statement, [value for row in rows for value in row]).rowcount)


def test_a_missing_file_of_a_group_is_reported_once(databases: Databases, template: str) -> None:
    with databases.copy(template) as database:
        home = Immich(database, RELEASE)
        family, anna = home.create_user("Family"), home.create_user("Anna")
        home.create_album(family, "Linked album", "/photos", users=[anna])
        photo = home.upload(family, "/photos/1.jpg")
        home.generate_thumbnails(photo)
        private = home.upload(anna)
        files = database.fetch("select path, id from asset_file")
        originals = database.fetch('select "originalPath" as path, id from asset')
        assert report(database, [(row.path, row.id, None) for row in originals]) == 2
        assert report(database, [(row.path, None, row.id) for row in files]) == 2
        reported = {row.assetId for row in database.fetch('select "assetId" from integrity_report')}
        assert reported == {photo, private, None}
