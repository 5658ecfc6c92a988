"""What one member's change does to the others (SPEC section 6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from psycopg import Rollback, sql

from linked_asset.immich import Policy
from tests.database import Databases
from tests.linked.columns import CHOICES, RELEASE, other_value, read, row_in_every_table, synced, write
from tests.linked.conftest import MEDIA, Household

COLUMNS = synced()
CLIENTS_SYNC = ("asset", "asset_exif", "asset_file", "asset_face")
"""Tables whose rows say when they last changed."""


@pytest.fixture(scope="module")
def house(databases: Databases, linked_template: str) -> Iterator[Household]:
    """One household for many changes: every test brings a photo of its own."""
    with databases.copy(linked_template) as database:
        household = Household(database)
        yield household
        household.check()


@pytest.fixture(scope="module")
def groups(house: Household) -> list[list[UUID]]:
    """The members of a few groups, with a row in every table."""
    return [house.group(full_photo(house)) for _ in range(4)]


def full_photo(house: Household) -> UUID:
    photo = house.photo()
    row_in_every_table(house, photo)
    return photo


def values(house: Household, table: str, column: str, assets: list[UUID]) -> list[Any]:
    return [read(house, table, asset, column) for asset in assets]


def column_of(table: str, name: str) -> Any:
    return next(column for column in RELEASE.table(table).columns if column.name == name)


def change(house: Household, table: str, column: str, assets: list[UUID]) -> Any:
    """One statement that gives assets another value; returns that of the first. Where Immich's unique index wants a
    value of its own in each row, the statement computes it."""
    now = read(house, table, assets[0], column)
    value = other_value(house, column_of(table, column), now)
    if column == "checksum":
        value = sql.SQL("sha256((id::text || clock_timestamp())::bytea)")
    assert write(house, table, assets, column, value) == len(assets)
    changed = read(house, table, assets[0], column)
    assert changed != now
    assert changed is not None
    return changed


# --- every column ---------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [0, 1], ids=["source", "clone"])
@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_change_reaches_every_member(
    house: Household, groups: list[list[UUID]], table: str, column: str, origin: int
) -> None:
    changed = change(house, table, column, [groups[0][origin]])
    assert values(house, table, column, groups[0]) == [changed] * 3


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table, column in COLUMNS if column_of(table, column).nullable],
)
def test_emptying_reaches_every_member(house: Household, groups: list[list[UUID]], table: str, column: str) -> None:
    change(house, table, column, [groups[0][0]])
    write(house, table, [groups[0][2]], column, None)
    assert values(house, table, column, groups[0]) == [None] * 3


@pytest.mark.parametrize("origin", [0, 1], ids=["sources", "clones"])
@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_bulk_change_reaches_every_member_of_every_group(
    house: Household, groups: list[list[UUID]], table: str, column: str, origin: int
) -> None:
    if column in CHOICES:
        for group in groups:
            write(house, table, [group[0]], column, read(house, table, groups[0][0], column))
    change(house, table, column, [group[origin] for group in groups])
    for group in groups:
        changed = read(house, table, group[origin], column)
        assert values(house, table, column, group) == [changed] * 3
        if column != "checksum":
            assert changed == read(house, table, groups[0][origin], column)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_statement_that_hits_whole_groups_leaves_them_in_agreement(
    house: Household, groups: list[list[UUID]], table: str, column: str
) -> None:
    change(house, table, column, [member for group in groups[:2] for member in group])
    for group in groups[:2]:
        assert values(house, table, column, group) == [read(house, table, group[0], column)] * 3


@pytest.mark.parametrize("hit", [[0, 1], [1, 2], [0, 1, 2]], ids=["source and clone", "clones", "all"])
@pytest.mark.parametrize(
    ("table", "column", "expression"),
    [
        ("asset", "originalFileName", "id::text"),
        ("asset", "checksum", "sha256(id::text::bytea)"),
        ("asset_exif", "description", '"assetId"::text'),
        ("asset_file", "path", "'/x/' || \"assetId\""),
        ("asset_job_status", "facesRecognizedAt", "now() - random() * interval '1 year'"),
        ("asset_face", "boundingBoxX1", "floor(random() * 1e9)::int"),
    ],
)
def test_statement_that_says_something_else_to_each_member(
    house: Household, table: str, column: str, expression: str, hit: list[int]
) -> None:
    group = house.group(full_photo(house))
    before = read(house, table, group[0], column)
    write(house, table, [group[number] for number in hit], column, sql.SQL(expression))
    after = values(house, table, column, group)
    assert after == [after[0]] * 3
    assert after[0] != before
    if 0 in hit and expression == "id::text":
        assert after[0] == str(group[0])


PERSONAL = [column.name for column in RELEASE.table("asset").columns if column.policy is Policy.PERSONAL]
OF_CLONES = [name for name in PERSONAL if name not in {"libraryId", "isExternal"}]
"""What is between a clone and Immich alone: the addon itself relies on the other two."""


@pytest.mark.parametrize("column", [name for name in PERSONAL if name != "libraryId"])
def test_personal_column_of_a_source_is_its_own(house: Household, groups: list[list[UUID]], column: str) -> None:
    group = groups[0]
    before = values(house, "asset", column, group)
    value = other_value(house, column_of("asset", column), before[0])
    write(house, "asset", [group[0]], column, value)
    assert values(house, "asset", column, group) == [value, *before[1:]]


@pytest.mark.parametrize("column", OF_CLONES)
def test_personal_column_of_a_clone_is_its_own(house: Household, groups: list[list[UUID]], column: str) -> None:
    group = groups[0]
    before = values(house, "asset", column, group)
    value = other_value(house, column_of("asset", column), before[1])
    write(house, "asset", [group[1]], column, value)
    house.update_asset(group[2], originalFileName=f"{column} else.jpg")
    house.update_asset(group[0], originalFileName=f"{column} once more.jpg")
    assert values(house, "asset", column, group) == [before[0], value, before[2]]


def test_favorites_of_all_members_at_once_stay_as_they_are(house: Household) -> None:
    group = house.group(full_photo(house))
    house.favorite(*group)
    house.favorite(group[1], value=False)
    assert values(house, "asset", "isFavorite", group) == [True, False, True]


# --- rows that come and go ------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [0, 1], ids=["source", "clone"])
def test_fullsize_image_comes_and_goes_for_all(house: Household, origin: int) -> None:
    group = house.group(full_photo(house))
    house.generate_thumbnails(group[origin], fullsize=True)
    paths = {asset: files(house, asset) for asset in group}
    assert set(paths[group[0]]) == {"preview", "thumbnail", "fullsize"}
    assert paths[group[0]] == paths[group[1]] == paths[group[2]]
    house.generate_thumbnails(group[2], fullsize=False)
    for asset in group:
        assert set(files(house, asset)) == {"preview", "thumbnail"}
        assert str(group[2]) in files(house, asset)["preview"]


def files(house: Household, asset: UUID) -> dict[str, str]:
    return {
        row.type: row.path
        for row in house.database.fetch('select type, path from asset_file where "assetId" = %s', [asset])
    }


def test_file_deleted_by_id_goes_for_all(house: Household) -> None:
    group = house.group(full_photo(house))
    file = house.database.value("select id from asset_file where \"assetId\" = %s and type = 'thumbnail'", [group[1]])
    house.delete("asset_file", id=file)
    assert [set(files(house, asset)) for asset in group] == [{"preview"}] * 3


@pytest.mark.parametrize("origin", [0, 1], ids=["source", "clone"])
def test_faces_found_and_gone_are_found_and_gone_for_all(house: Household, origin: int) -> None:
    group = house.group(full_photo(house))
    house.detect_faces(group[origin], [(5, 5, 9, 9), (6, 6, 9, 9)])
    assert [sorted(face.boundingBoxX1 for face in house.faces(asset)) for asset in group] == [[5, 6]] * 3
    embeddings = [
        sorted(
            row.embedding
            for row in house.database.fetch(
                'select embedding::text from face_search join asset_face on id = "faceId" where "assetId" = %s', [asset]
            )
        )
        for asset in group
    ]
    assert embeddings == [embeddings[0]] * 3
    assert len(embeddings[0]) == 2


@pytest.mark.parametrize("force", [True, False])
def test_deleted_face_is_deleted_for_all(house: Household, force: bool) -> None:
    group = house.group(full_photo(house))
    (face,) = house.faces(group[1])
    house.delete_face(face.id, force=force)
    left = [[face.deletedAt for face in house.faces(asset)] for asset in group]
    assert left == [left[0]] * 3
    assert left[0] == ([] if force else [left[0][0]])
    assert None not in left[0]


def test_embedding_of_a_drawn_face_reaches_all(house: Household) -> None:
    group = house.group(full_photo(house))
    face = house.create_face(group[1], None, (50, 50, 60, 60))
    house.insert("face_search", {"faceId": face, "embedding": house.embedding("drawn")})
    counts = [
        house.database.value(
            'select count(*) from face_search join asset_face on id = "faceId" where "assetId" = %s', [asset]
        )
        for asset in group
    ]
    assert counts == [2, 2, 2]


def test_reset_of_the_search_index_is_filled_again_by_any_member(house: Household) -> None:
    """A changed model: all embeddings go in one statement, and come back one by one."""
    group = house.group(full_photo(house))
    house.database.execute("truncate smart_search")
    house.smart_search(group[1], house.embedding("new model"))
    assert values(house, "smart_search", "embedding", group) == [read(house, "smart_search", group[1], "embedding")] * 3


def test_deleted_search_index_stays_deleted(house: Household) -> None:
    group = house.group(full_photo(house))
    house.database.execute("delete from smart_search")
    assert house.database.value("select count(*) from smart_search") == 0
    house.smart_search(group[0])
    assert house.database.value("select count(*) from smart_search") == 3


def test_dates_shifted_in_bulk_are_shifted_once(house: Household) -> None:
    groups = [house.group(full_photo(house)) for _ in range(2)]
    taken = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    for group in groups:
        house.update_exif(group[0], dateTimeOriginal=taken)
    house.shift_dates([group[1] for group in groups], 90)
    for group in groups:
        assert values(house, "asset_exif", "dateTimeOriginal", group) == [taken + dt.timedelta(minutes=90)] * 3


def test_two_statements_of_one_transaction_reach_all(house: Household) -> None:
    group = house.group(full_photo(house))
    with house.transaction():
        house.update_exif(group[1], description="first")
        house.update_asset(group[2], originalFileName="second.jpg")
    assert values(house, "asset_exif", "description", group) == ["first"] * 3
    assert values(house, "asset", "originalFileName", group) == ["second.jpg"] * 3


def test_rolled_back_change_reaches_nobody(house: Household) -> None:
    group = house.group(full_photo(house))
    with house.transaction():
        house.update_exif(group[1], description="never")
        assert values(house, "asset_exif", "description", group) == ["never"] * 3
        raise Rollback
    assert values(house, "asset_exif", "description", group) == [""] * 3
    house.update_exif(group[1], description="now")
    assert values(house, "asset_exif", "description", group) == ["now"] * 3


def test_change_of_one_group_is_none_of_anothers(house: Household) -> None:
    one, other = (house.group(full_photo(house)) for _ in range(2))
    before = traces(house, other)
    house.update_exif(one[1], description="mine")
    house.update_asset(one[0], originalFileName="mine.jpg")
    assert traces(house, other) == before


# --- updatedAt and updateId -----------------------------------------------------------------------


def traces(house: Household, assets: list[UUID]) -> dict[str, list[Any]]:
    return {
        table: [(read(house, table, asset, "updatedAt"), read(house, table, asset, "updateId")) for asset in assets]
        for table in CLIENTS_SYNC
    }


@pytest.mark.parametrize("origin", [0, 1], ids=["source", "clone"])
@pytest.mark.parametrize(("table", "column"), [case for case in COLUMNS if case[0] in CLIENTS_SYNC])
def test_clients_learn_of_changed_rows_and_of_no_others(
    house: Household, groups: list[list[UUID]], table: str, column: str, origin: int
) -> None:
    before = traces(house, groups[0])
    change(house, table, column, [groups[0][origin]])
    after = traces(house, groups[0])
    for name in CLIENTS_SYNC:
        for old, new in zip(before[name], after[name], strict=True):
            if name == table:
                assert new[0] > old[0]
                assert new[1] > old[1]
            else:
                assert new == old


@pytest.mark.parametrize("table", CLIENTS_SYNC)
def test_write_that_changes_nothing_moves_nobody_else(house: Household, table: str) -> None:
    group = house.group(full_photo(house))
    before = traces(house, group)
    column = {"asset_exif": "description", "asset_file": "path", "asset_face": "imageWidth"}.get(table, "thumbhash")
    write(house, table, [group[1]], column, read(house, table, group[1], column))
    after = traces(house, group)
    assert [after[name][0] for name in CLIENTS_SYNC] == [before[name][0] for name in CLIENTS_SYNC]
    assert [after[name][2] for name in CLIENTS_SYNC] == [before[name][2] for name in CLIENTS_SYNC]


def test_favorite_moves_nobody_else(house: Household) -> None:
    group = house.group(full_photo(house))
    before = traces(house, group)
    house.favorite(group[1])
    after = traces(house, group)
    assert after["asset"][0] == before["asset"][0]
    assert after["asset"][2] == before["asset"][2]


def test_job_repeated_on_a_clone_leaves_the_others_rows_alone(house: Household) -> None:
    group = house.group(full_photo(house))
    house.extract_metadata(group[1])
    before = traces(house, group)
    house.extract_metadata(group[1])
    house.detect_faces(group[1], [(1, 1, 2, 2)])
    after = traces(house, group)
    for name in CLIENTS_SYNC:
        assert after[name][0] == before[name][0]


# --- an upload, step by step ----------------------------------------------------------------------

WHEN_LINKED = ["before all", "after upload", "after metadata", "after thumbnails", "after everything"]


@pytest.mark.parametrize("joined", WHEN_LINKED)
def test_upload_is_followed_through_all_its_jobs(household: Household, joined: str) -> None:
    """Clara joins in the middle of it; what Anna has had from the first moment she has at the end, too."""

    def reached(step: str) -> None:
        if step == joined:
            household.share_album(household.linked_album, household.clara)
        household.check()

    reached("before all")
    motion = household.upload(household.family, "/data/upload/motion.mov", type="VIDEO")
    still = household.upload(household.family, "/data/upload/still.heic")
    household.link_folders(f"{MEDIA}\n/data/upload")
    reached("after upload")
    for asset in (motion, still):
        household.extract_metadata(asset, make="Canon", city="Bonn", tags=["Garten/Rosen"])
        household.check()
    household.pair_live_photo(still, motion)
    household.check()
    household.move_file(still, f"{MEDIA}/still.heic")
    household.write_sidecar(still)
    reached("after metadata")
    household.generate_thumbnails(still, fullsize=True)
    reached("after thumbnails")
    household.smart_search(still)
    household.detect_duplicates([still])
    (face,) = household.detect_faces(still, [(1, 1, 2, 2)])
    household.recognize(face)
    household.encode_video(motion)
    reached("after everything")

    users = [household.anna, household.ben, household.clara]
    for user in users:
        clone = household.clone(still, user)
        assert household.asset(clone).livePhotoVideoId == household.clone(motion, user)
        assert household.asset(clone).originalPath == f"{MEDIA}/still.heic"
        assert household.exif(clone).city == "Bonn"
        assert set(files(household, clone)) - {"sidecar"} == {"preview", "thumbnail", "fullsize"}
        assert household.tags_of(clone) == ["Garten/Rosen"]
        assert household.faces(clone)[0].personId is not None
        assert household.file_of(household.clone(motion, user), "encoded_video")


@pytest.mark.parametrize("job", ["extract_metadata", "generate_thumbnails", "smart_search", "migrate_files", "process"])
def test_job_after_job_on_every_member_leaves_them_equal(household: Household, job: str) -> None:
    photos = [household.photo() for _ in range(2)]
    for photo in photos:
        for member in [*household.group(photo), *reversed(household.group(photo))]:
            getattr(household, job)(member)
            household.check()


def test_all_members_point_to_the_file_made_last(household: Household) -> None:
    """Immich removes the old files after it has written the new paths."""
    group = household.group(household.photo())
    for member in group[1:] + group[:1]:
        household.generate_thumbnails(member)
        assert {files(household, asset)["preview"] for asset in group} == {files(household, member)["preview"]}
        assert str(member) in files(household, member)["preview"]


def test_sidecar_written_for_a_clone_is_everybodys(household: Household) -> None:
    group = household.group(household.photo())
    household.write_sidecar(group[1])
    expected = f"{household.asset(group[0]).originalPath}.xmp"
    assert {household.file_of(asset, "sidecar") for asset in group} == {expected}


@pytest.mark.parametrize("origin", [0, 1], ids=["source", "clone"])
def test_video_encoded_for_one_plays_for_all_and_is_forgotten_by_all(household: Household, origin: int) -> None:
    group = household.group(household.photo(type="VIDEO"))
    household.encode_video(group[origin])
    assert len({household.file_of(asset, "encoded_video") for asset in group}) == 1
    assert household.file_of(group[2], "encoded_video")
    household.forget_encoded_video(group[origin])
    assert {household.file_of(asset, "encoded_video") for asset in group} == {None}


# --- archive, timeline, hidden ----------------------------------------------------------------------


@pytest.mark.parametrize("origin", [0, 1], ids=["source", "clone"])
def test_archived_and_taken_out_by_one_for_all(household: Household, origin: int) -> None:
    group = household.group(household.photo())
    household.archive(group[origin])
    assert {household.asset(asset).visibility for asset in group} == {"archive"}
    household.unarchive(group[2])
    assert {household.asset(asset).visibility for asset in group} == {"timeline"}


def test_offline_and_online_again_for_all(household: Household) -> None:
    household.link_folders("/mnt/scans")
    library = household.create_library(household.family, "/mnt/scans")
    scans = household.import_library(household.family, library, [f"/mnt/scans/{n}.jpg" for n in range(3)])
    household.files_vanished(scans[:2])
    group = household.group(scans[0])
    assert len(group) == 3
    assert {household.asset(asset).isOffline for asset in group} == {True}
    assert len({household.asset(asset).deletedAt for asset in group}) == 1
    household.files_returned(scans[:2])
    assert {(household.asset(asset).isOffline, household.asset(asset).deletedAt) for asset in group} == {(False, None)}


def test_library_scan_of_other_import_paths_is_offline_for_all(household: Household) -> None:
    household.link_folders("/mnt/scans")
    library = household.create_library(household.family, "/mnt/scans")
    (scan,) = household.import_library(household.family, library, ["/mnt/scans/1.jpg"])
    household.mark_offline(library, "/mnt/new")
    assert [household.asset(asset).isOffline for asset in household.group(scan)] == [True] * 3
