"""What a new clone consists of (SPEC section 5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from linked_asset.immich import Policy
from tests.database import Databases
from tests.linked.columns import RELEASE, ROWS, SYNCED, other_value, read, row_in_every_table, write
from tests.linked.conftest import MEDIA, Household

ALL = [(table, column) for table in ("asset", *ROWS) for column in RELEASE.table(table).columns]


def with_policy(*policies: Policy) -> list[tuple[str, str]]:
    """Table and column."""
    return [(table, column.name) for table, column in ALL if column.policy in policies]


NOT_AT_BIRTH = {"isOffline", "deletedAt", "status", "originalPath"}
"""Assets in such a state are not linked; the path decides whether they are."""

TAGS = ("Oma/Garten", "Sommer")


@dataclass
class Birth:
    """A source that had something in every column before its clone was made."""

    house: Household
    source: UUID
    clone: UUID
    started: dt.datetime

    def both(self, table: str, column: str) -> tuple[Any, Any]:
        return tuple(read(self.house, table, asset, column) for asset in (self.source, self.clone))  # type: ignore[return-value]


def complete(house: Household, source: UUID) -> None:
    """Something in every column that is copied, different from what Immich would put there by itself."""
    for table in ("asset", *ROWS):
        for column in RELEASE.table(table).columns:
            if column.policy in (*SYNCED, Policy.PERSONAL) and column.name not in {*NOT_AT_BIRTH, "libraryId"}:
                if table == "asset_file" and column.name == "type":
                    continue
                write(house, table, [source], column.name, other_value(house, column))


@pytest.fixture(scope="module")
def birth(databases: Databases, linked_template: str) -> Iterator[Birth]:
    with databases.copy(linked_template) as database:
        house = Household(database)
        source = house.photo(house.family, "/elsewhere/1.jpg")
        row_in_every_table(house, source)
        house.update_asset(source, createdAt=dt.datetime(2003, 3, 3, tzinfo=dt.UTC))
        complete(house, source)
        house.update_asset(source, isExternal=False)
        library = house.create_library(house.family, "/elsewhere")
        house.update_asset(source, libraryId=library)
        started = database.value("select clock_timestamp()")
        house.link_folders("/elsewhere")
        yield Birth(house, source, house.clone(source, house.anna), started)
        house.check()


@pytest.mark.parametrize(("table", "column"), with_policy(Policy.IDENTITY))
def test_identity_is_new(birth: Birth, table: str, column: str) -> None:
    theirs, mine = birth.both(table, column)
    assert mine is not None
    assert mine != theirs


@pytest.mark.parametrize(("table", "column"), with_policy(*SYNCED))
def test_shared_column_is_copied(birth: Birth, table: str, column: str) -> None:
    theirs, mine = birth.both(table, column)
    assert mine == theirs
    if column not in NOT_AT_BIRTH:
        assert mine is not None


PERSONAL = {
    "deviceAssetId": lambda source: source.deviceAssetId,
    "deviceId": lambda _: "linked",
    "isFavorite": lambda _: False,
    "createdAt": lambda source: source.createdAt,
    "libraryId": lambda _: None,
    "isExternal": lambda _: True,
    "duplicateId": lambda _: None,
}


@pytest.mark.parametrize("column", [column for _, column in with_policy(Policy.PERSONAL)])
def test_personal_column_is_as_at_birth(birth: Birth, column: str) -> None:
    source, clone = birth.house.asset(birth.source), birth.house.asset(birth.clone)
    assert getattr(clone, column) == PERSONAL[column](source)
    if column in {"isFavorite", "libraryId", "duplicateId", "deviceId", "isExternal"}:
        assert getattr(clone, column) != getattr(source, column)


@pytest.mark.parametrize(("table", "column"), with_policy(Policy.DERIVED))
def test_derived_column_is_the_clones_own(birth: Birth, table: str, column: str) -> None:
    theirs, mine = birth.both(table, column)
    if column in {"livePhotoVideoId", "stackId", "personGroupId", "personId"}:
        assert mine is None
    else:
        assert mine > theirs
        assert isinstance(mine, UUID) or mine >= birth.started - dt.timedelta(seconds=1)


def test_update_ids_of_a_clone_are_not_older_than_the_linking(birth: Birth) -> None:
    """A client that synced a moment ago still learns of the clone."""
    moment = birth.house.database.value("select immich_uuid_v7(%s::timestamptz)", [birth.started])
    for table in ("asset", "asset_exif", "asset_file", "asset_face"):
        assert read(birth.house, table, birth.clone, "updateId") > moment


def test_clone_has_no_more_rows_than_its_source(birth: Birth) -> None:
    for table in ("asset_exif", "asset_file", "asset_job_status", "smart_search", "asset_face"):
        count = f'select count(*) from {table} where "assetId" = %s'
        assert birth.house.database.value(count, [birth.clone]) == birth.house.database.value(count, [birth.source]) > 0


def test_new_clone_is_in_nobodys_memories_or_shared_links(birth: Birth) -> None:
    for table in ("memory_asset", "shared_link_asset", "activity", "move_history"):
        if RELEASE.has(table):
            assert birth.house.database.value(f"select count(*) from {table}") == 0


# --- Immich's jobs --------------------------------------------------------------------------------

HAS_PREVIEW = (
    'exists (select from asset_job_status where "assetId" = asset.id and "previewAt" is not null)'
    if RELEASE.table("asset_job_status").has("previewAt")
    else """exists (select from asset_file where "assetId" = asset.id and type = 'preview')"""
)
NO_FILE = "not exists (select from asset_file where \"assetId\" = asset.id and type = '{}')"


def without(column: str, kind: str) -> str:
    return f"coalesce(\"{column}\", '') = ''" if RELEASE.table("asset").has(column) else NO_FILE.format(kind)


MISSING = {
    "metadata": """select asset.id from asset left join asset_job_status on "assetId" = asset.id
        where ("metadataExtractedAt" is null or "assetId" is null) and asset."deletedAt" is null""",
    "thumbnails": f"""select asset.id from asset join asset_job_status on "assetId" = asset.id
        where asset."deletedAt" is null and asset.visibility <> 'hidden'
          and (not {HAS_PREVIEW} or thumbhash is null)""",
    "thumbnail files": """select asset.id from asset where "deletedAt" is null and visibility <> 'hidden'
        and (thumbhash is null or (select count(*) from asset_file
             where "assetId" = asset.id and type in ('preview', 'thumbnail')) < 2)""",
    "smart search": f"""select asset.id from asset
        where visibility <> 'hidden' and asset."deletedAt" is null and {HAS_PREVIEW}
          and not exists (select from smart_search where "assetId" = asset.id)""",
    "faces": f"""select asset.id from asset join asset_job_status on "assetId" = asset.id
        where visibility <> 'hidden' and asset."deletedAt" is null and {HAS_PREVIEW}
          and "facesRecognizedAt" is null""",
    "duplicates": """select asset.id from asset join smart_search on smart_search."assetId" = asset.id
        join asset_job_status on asset_job_status."assetId" = asset.id
        where asset."deletedAt" is null and visibility in ('archive', 'timeline')
          and "duplicatesDetectedAt" is null""",
    "video": f"""select asset.id from asset where type = 'VIDEO' and visibility <> 'hidden' and "deletedAt" is null
        and {without("encodedVideoPath", "encoded_video")}""",
    "sidecar": f"""select asset.id from asset where visibility <> 'hidden'
        and {without("sidecarPath", "sidecar")}""",
}
"""What Immich asks for when it looks for work left to do (`asset-job.repository`)."""


@pytest.fixture
def media(household: Household) -> Household:
    """A photo, a video and a live photo that have been through everything, linked before and after."""
    for folder in (MEDIA, "/elsewhere"):
        for name, kind in (("photo.jpg", "IMAGE"), ("video.mp4", "VIDEO")):
            asset = household.photo(household.family, f"{folder}/{name}", type=kind, sidecar=f"{folder}/{name}.xmp")
            household.detect_faces(asset, [(1, 1, 2, 2)])
            if kind == "VIDEO":
                household.encode_video(asset)
        motion = household.photo(household.family, f"{folder}/live.mov", type="VIDEO", visibility="hidden")
        household.photo(household.family, f"{folder}/live.heic", live_photo_video_id=motion, sidecar="x.xmp")
    for still in household.database.fetch("select id from asset where \"originalPath\" like '%live.heic'"):
        household.detect_faces(still.id, [])
    household.link_folders(f"{MEDIA}\n/elsewhere")
    assert household.owned(household.anna) == 8
    return household


@pytest.mark.parametrize("job", MISSING)
def test_no_job_misses_anything_of_a_clone(media: Household, job: str) -> None:
    missing = media.database.fetch(MISSING[job])
    clones = {row.asset_id for row in media.database.fetch("select asset_id from linked.member")}
    assert not {row.id for row in missing} & clones


@pytest.mark.parametrize("job", MISSING)
def test_the_same_query_finds_an_asset_without_rows(media: Household, job: str) -> None:
    """Or the test above could not fail."""
    bare = media.upload(media.clara, type="VIDEO" if job == "video" else "IMAGE")
    if job not in {"metadata", "thumbnail files", "video", "sidecar"}:
        now = dt.datetime.now(dt.UTC)
        media.upsert_job_status(bare, metadataExtractedAt=now)
        if job != "thumbnails":
            media.generate_thumbnails(bare)
    if job == "duplicates":
        media.smart_search(bare)
    assert bare in {row.id for row in media.database.fetch(MISSING[job])}


def test_clone_is_the_same_whether_made_before_or_after_the_jobs(household: Household) -> None:
    def rows(asset: UUID) -> list[list[Any]]:
        return [
            sorted(
                repr([getattr(row, c.name) for c in RELEASE.table(table).columns if c.policy in SYNCED])
                for row in household.database.fetch(f'select * from {table} where "assetId" = %s', [asset])
            )
            for table in ("asset_exif", "asset_file", "asset_job_status", "smart_search", "asset_face")
        ]

    photo = household.upload(household.family, f"{MEDIA}/1.jpg")
    before = household.clone(photo, household.anna)
    household.process(photo, make="Canon", city="Bonn", rating=3)
    household.detect_faces(photo, [(1, 1, 2, 2), (3, 3, 4, 4)])
    household.share_album(household.linked_album, household.clara)
    after = household.clone(photo, household.clara)
    assert rows(before) == rows(after) == rows(photo)


def test_several_groups_linked_in_one_statement_keep_their_rows_apart(household: Household) -> None:
    photos = [household.photo(household.family, f"/elsewhere/{n}.jpg") for n in range(12)]
    for number, photo in enumerate(photos):
        household.update_exif(photo, description=f"number {number}")
        household.detect_faces(photo, [(number, 1, 100, 100)])
    household.link_folders("/elsewhere")
    for number, photo in enumerate(photos):
        clone = household.clone(photo, household.ben)
        assert household.exif(clone).description == f"number {number}"
        assert [face.boundingBoxX1 for face in household.faces(clone)] == [number]


# --- quota ----------------------------------------------------------------------------------------


def usage(household: Household, user: UUID) -> int:
    return household.database.value('select "quotaUsageInBytes" from "user" where id = %s', [user])  # type: ignore[no-any-return]


def computed(household: Household, user: UUID) -> int:
    """What the nightly job makes of it."""
    household.sync_usage()
    return usage(household, user)


def test_clones_do_not_count(household: Household) -> None:
    household.photo(household.anna, "/data/upload/anna/1.jpg", size=70)
    household.photo(size=1000)
    assert usage(household, household.anna) == 70
    assert computed(household, household.anna) == 70
    assert [usage(household, user) for user in (household.family, household.ben)] == [1000, 0]


def test_recount_stays_the_same_night_after_night(household: Household) -> None:
    household.photo(household.anna, "/data/upload/anna/1.jpg", size=70)
    household.photo(size=1000)
    assert {computed(household, household.anna) for _ in range(3)} == {70}


def test_recount_of_one_user_by_an_administrator(household: Household) -> None:
    household.photo(size=1000)
    household.database.execute(
        """update "user" set "quotaUsageInBytes" =
             (select coalesce(sum(asset_exif."fileSizeInByte"), 0) from asset
              left join asset_exif on asset_exif."assetId" = asset.id
              where asset."libraryId" is null and asset."ownerId" = "user".id), "updatedAt" = now()
           where "user"."deletedAt" is null and "user".id = %s::uuid""",
        [household.anna],
    )
    assert usage(household, household.anna) == 0


@pytest.mark.parametrize("who", ["family", "anna"])
def test_deleting_for_good_takes_the_size_off_the_owner_of_the_source_alone(household: Household, who: str) -> None:
    household.photo(household.anna, "/data/upload/anna/1.jpg", size=70)
    household.photo(size=30)
    photo = household.photo(size=1000)
    mine = photo if who == "family" else household.clone(photo, household.anna)
    household.force_delete([mine])
    household.run_deletions()
    assert [usage(household, user) for user in (household.family, household.anna, household.ben)] == [30, 70, 0]
    assert [computed(household, user) for user in (household.family, household.anna, household.ben)] == [30, 70, 0]


@pytest.mark.parametrize("who", ["family", "anna"])
def test_deleting_many_for_good(household: Household, who: str) -> None:
    household.photo(household.anna, "/data/upload/anna/1.jpg", size=70)
    photos = [household.photo(size=1000 + number % 2) for number in range(4)]
    user = household.family if who == "family" else household.anna
    household.trash([photo if who == "family" else household.clone(photo, user) for photo in photos])
    household.empty_trash(user)
    household.run_deletions()
    assert [usage(household, user) for user in (household.family, household.anna, household.ben)] == [0, 70, 0]


def test_contribution_counts_for_its_owner_alone(household: Household) -> None:
    mine = household.photo(household.anna, "/data/upload/anna/1.jpg", size=70)
    household.add_to_album(household.linked_album, mine)
    household.sync_usage()
    assert [usage(household, user) for user in (household.family, household.anna, household.ben)] == [0, 70, 0]


def test_hidden_motion_part_does_not_count(household: Household) -> None:
    still = household.photo(size=1000)
    household.extract_motion_part(still)
    assert usage(household, household.anna) == 0
    assert computed(household, household.anna) == 0
    assert computed(household, household.family) == 1500


def test_viewers_delete_changes_no_quota(household: Household) -> None:
    household.set_role(household.linked_album, household.anna, "viewer")
    photo = household.photo(size=1000)
    household.photo(household.anna, "/data/upload/anna/1.jpg", size=70)
    household.delete_asset(household.clone(photo, household.anna))
    assert [usage(household, user) for user in (household.family, household.anna)] == [1000, 70]


def test_full_quota_holds_up_nothing(household: Household) -> None:
    household.database.execute('update "user" set "quotaSizeInBytes" = 1 where id = %s', [household.anna])
    assert household.find_clone(household.photo(size=1000), household.anna)


def test_stored_once(household: Household) -> None:
    """An upload of what is there as a clone is refused by Immich's own index, and changes nothing."""
    photo = household.photo(checksum=b"the same")
    with pytest.raises(psycopg.errors.UniqueViolation):
        household.upload(household.anna, checksum=b"the same")
    assert household.owned(household.anna) == 1
    assert household.exif(photo).fileSizeInByte == 1000
