"""Still and video of a live photo are linked together (SPEC sections 4 and 10)."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.linked.conftest import MEDIA, Household

OUTSIDE = "/data/encoded-video/1.mov"


def pairing(household: Household, still: UUID, motion: UUID) -> list[tuple[UUID | None, UUID | None]]:
    """For Anna and Ben: the video of the still's clone, and the clone of the video."""
    return [
        (household.asset(household.clone(still, user)).livePhotoVideoId, household.find_clone(motion, user))
        for user in (household.anna, household.ben)
    ]


def assert_paired(household: Household, still: UUID, motion: UUID) -> None:
    for video, clone in pairing(household, still, motion):
        assert video == clone is not None
        assert household.asset(clone).visibility == "hidden"


@pytest.fixture(params=[f"{MEDIA}/1.mov", OUTSIDE], ids=["video under the prefix", "video elsewhere"])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def motion(household: Household, path: str) -> UUID:
    return household.photo(household.family, path, type="VIDEO")


@pytest.fixture
def still(household: Household, motion: UUID) -> UUID:
    """Of a live photo that the phone uploaded as one."""
    return household.photo(household.family, f"{MEDIA}/1.heic", live_photo_video_id=motion)


def test_video_first(household: Household, still: UUID, motion: UUID) -> None:
    assert_paired(household, still, motion)


def test_hidden_video_first(household: Household, path: str) -> None:
    motion = household.upload(household.family, path, type="VIDEO", visibility="hidden")
    still = household.upload(household.family, f"{MEDIA}/1.heic", live_photo_video_id=motion)
    assert_paired(household, still, motion)


def test_still_first(household: Household, path: str) -> None:
    still = household.photo(household.family, f"{MEDIA}/1.heic")
    motion = household.photo(household.family, path, type="VIDEO")
    household.pair_live_photo(still, motion)
    assert_paired(household, still, motion)


def test_found_to_belong_together_in_the_other_order(household: Household, path: str) -> None:
    """Immich writes still and video in parallel: the video may be hidden before it is paired."""
    still = household.photo(household.family, f"{MEDIA}/1.heic")
    motion = household.photo(household.family, path, type="VIDEO")
    household.update_asset(motion, visibility="hidden")
    household.update_asset(still, livePhotoVideoId=motion)
    assert_paired(household, still, motion)


def test_paired_in_one_transaction(household: Household, path: str) -> None:
    with household.transaction():
        motion = household.upload(household.family, path, type="VIDEO")
        still = household.upload(household.family, f"{MEDIA}/1.heic", live_photo_video_id=motion)
    assert_paired(household, still, motion)


def test_paired_on_a_clone(household: Household) -> None:
    """Metadata extraction of clones finds what belongs together, too."""
    still = household.photo(household.family, f"{MEDIA}/1.heic")
    motion = household.photo(household.family, f"{MEDIA}/1.mov", type="VIDEO")
    household.pair_live_photo(household.clone(still, household.ben), household.clone(motion, household.ben))
    assert household.asset(still).livePhotoVideoId == motion
    assert household.asset(motion).visibility == "hidden"
    assert_paired(household, still, motion)


def test_linked_later(household: Household, path: str) -> None:
    household.update_album(household.linked_album, description="")
    motion = household.photo(household.family, path, type="VIDEO")
    still = household.photo(household.family, f"{MEDIA}/1.heic", live_photo_video_id=motion)
    household.update_album(household.linked_album, description=MEDIA)
    assert_paired(household, still, motion)


def test_put_into_the_linked_album(household: Household) -> None:
    motion = household.photo(household.anna, "/data/upload/anna/1.mov", type="VIDEO")
    still = household.photo(household.anna, "/data/upload/anna/1.heic", live_photo_video_id=motion)
    household.add_to_album(household.linked_album, still)
    for user in (household.family, household.ben):
        video = household.asset(household.clone(still, user)).livePhotoVideoId
        assert video == household.clone(motion, user)
    household.remove_from_album(household.linked_album, still)
    assert household.owned(household.family) == household.owned(household.ben) == 0


def test_video_of_a_trashed_still_is_not_linked(household: Household) -> None:
    household.update_album(household.linked_album, description="")
    motion = household.photo(household.family, OUTSIDE, type="VIDEO")
    still = household.photo(live_photo_video_id=motion)
    household.trash([still])
    household.update_album(household.linked_album, description=MEDIA)
    assert household.owned(household.anna) == 0
    household.restore([still])
    assert_paired(household, still, motion)


def test_new_user_gets_both(household: Household, still: UUID, motion: UUID) -> None:
    household.share_album(household.linked_album, household.clara)
    video = household.asset(household.clone(still, household.clara)).livePhotoVideoId
    assert video == household.clone(motion, household.clara)


def test_motion_photo_is_extracted_for_all(household: Household) -> None:
    still = household.photo()
    motion = household.extract_motion_part(still)
    assert_paired(household, still, motion)
    assert household.owned(household.anna) == 2


def test_motion_photo_extracted_again_is_not_doubled(household: Household) -> None:
    """Immich looks for a hidden video of the same checksum in the same account."""
    still = household.photo()
    motion = household.extract_motion_part(still)
    (source, clone) = (household.asset(asset) for asset in (motion, household.clone(motion, household.anna)))
    assert bytes(clone.checksum) == bytes(source.checksum)
    assert clone.libraryId is None


def test_motion_part_replaced_by_another(household: Household) -> None:
    still = household.photo()
    old = household.extract_motion_part(still)
    new = household.photo(household.family, OUTSIDE, type="VIDEO", visibility="hidden")
    household.update_asset(still, livePhotoVideoId=new)
    assert_paired(household, still, new)
    assert household.find_clone(old, household.anna) is None


@pytest.mark.parametrize("who", ["family", "ben"])
def test_taken_apart_for_all(household: Household, still: UUID, motion: UUID, path: str, who: str) -> None:
    household.unlink_live_photo(still if who == "family" else household.clone(still, household.ben))
    assert household.asset(still).livePhotoVideoId is None
    assert [video for video, _ in pairing(household, still, motion)] == [None, None]
    assert household.asset(motion).visibility == "timeline" or who == "ben"
    if path == OUTSIDE:
        assert household.find_clone(motion, household.anna) is None
    else:
        assert household.asset(household.clone(motion, household.anna)).visibility == "timeline"


def test_viewer_cannot_take_it_apart(household: Household, still: UUID, motion: UUID) -> None:
    household.set_role(household.linked_album, household.ben, "viewer")
    household.unlink_live_photo(household.clone(still, household.ben))
    assert household.asset(still).livePhotoVideoId == motion
    assert_paired(household, still, motion)


@pytest.mark.parametrize("who", ["family", "anna"])
def test_deleted_for_good_as_a_whole(household: Household, still: UUID, who: str) -> None:
    mine = still if who == "family" else household.clone(still, household.anna)
    household.force_delete([mine])
    household.run_deletions()
    left = {user: household.owned(user) for user in (household.anna, household.ben)}
    assert set(left.values()) <= {0, 1}
    videos = household.database.fetch("select id, \"originalPath\" from asset where type = 'VIDEO'")
    assert household.database.value("select count(*) from asset where type = 'IMAGE'") == 0
    assert videos == []


def test_trashed_still_leaves_its_video_where_it_is(household: Household, still: UUID, motion: UUID) -> None:
    household.trash([household.clone(still, household.anna)])
    assert household.asset(still).status == "trashed"
    assert household.asset(motion).status == "active"
    household.restore([still])
    assert_paired(household, still, motion)


def test_deleted_video_leaves_a_still(household: Household, still: UUID, motion: UUID) -> None:
    household.delete_asset(household.clone(motion, household.anna))
    assert household.asset(still).livePhotoVideoId is None
    assert [household.asset(asset).livePhotoVideoId for asset in household.group(still)] == [None] * 3
    assert household.find_clone(motion, household.ben) is None


def test_unlinked_as_a_whole(household: Household, still: UUID, motion: UUID) -> None:
    household.unshare_album(household.linked_album, household.anna)
    assert household.owned(household.anna) == 0
    assert household.asset(still).livePhotoVideoId == motion


def test_moved_out_of_the_prefix_as_a_whole(household: Household) -> None:
    motion = household.photo(household.family, OUTSIDE, type="VIDEO")
    still = household.photo(household.family, f"{MEDIA}/1.heic", live_photo_video_id=motion)
    household.move_file(still, "/private/1.heic")
    assert household.owned(household.anna) == 0
    assert household.asset(still).livePhotoVideoId == motion


def test_video_of_somebody_else_is_never_linked(household: Household) -> None:
    """Immich forbids it; a row that is there nevertheless must not carry a stranger's video along."""
    strangers = household.photo(household.clara, "/data/upload/clara/1.mov", type="VIDEO")
    still = household.photo()
    household.update_asset(still, livePhotoVideoId=strangers)
    assert household.find_clone(strangers, household.anna) is None
    assert household.asset(household.clone(still, household.anna)).livePhotoVideoId is None


def test_one_video_of_two_stills(household: Household) -> None:
    motion = household.photo(household.family, OUTSIDE, type="VIDEO")
    one, other = (household.photo(household.family, f"{MEDIA}/{n}.heic", live_photo_video_id=motion) for n in (1, 2))
    assert_paired(household, one, motion)
    assert_paired(household, other, motion)
    household.move_file(one, "/private/1.heic")
    assert_paired(household, other, motion)


def test_live_photos_of_a_library(household: Household) -> None:
    household.update_album(household.linked_album, description="/mnt/scans")
    library = household.create_library(household.family, "/mnt/scans")
    still, motion = household.import_library(household.family, library, ["/mnt/scans/1.heic", "/mnt/scans/1.mov"])
    household.pair_live_photo(still, motion)
    assert_paired(household, still, motion)
