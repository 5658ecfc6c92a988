"""Still and video of a live photo are linked together (SPEC sections 4 and 10)."""

from __future__ import annotations

from itertools import permutations
from uuid import UUID

import pytest

from tests.builders.media import upload_path
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
    household.link_folders("")
    motion = household.photo(household.family, path, type="VIDEO")
    still = household.photo(household.family, f"{MEDIA}/1.heic", live_photo_video_id=motion)
    household.link_folders(MEDIA)
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
    household.link_folders("")
    motion = household.photo(household.family, OUTSIDE, type="VIDEO")
    still = household.photo(live_photo_video_id=motion)
    household.trash([still])
    household.link_folders(MEDIA)
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
    assert household.asset(motion).visibility == "timeline"
    for user in (household.anna, household.ben):
        if path == OUTSIDE:
            assert household.find_clone(motion, user) is None
        else:
            assert household.asset(household.clone(motion, user)).visibility == "timeline"


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
    assert [household.owned(user) for user in (household.family, household.anna, household.ben)] == [0, 0, 0]


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
    household.link_folders("/mnt/scans")
    library = household.create_library(household.family, "/mnt/scans")
    still, motion = household.import_library(household.family, library, ["/mnt/scans/1.heic", "/mnt/scans/1.mov"])
    household.pair_live_photo(still, motion)
    assert_paired(household, still, motion)


# --- the video is where its still is ----------------------------------------------------------------


def members_of(household: Household, source: UUID) -> set[UUID]:
    """Who has a clone of it."""
    rows = household.database.fetch(
        "select owner_id from linked.member where source_id = %s and asset_id <> source_id", [source]
    )
    return {row.owner_id for row in rows}


@pytest.fixture(params=["one editor", "three", "viewers"])
def linked_users(request: pytest.FixtureRequest, household: Household) -> set[UUID]:
    users = {household.anna, household.ben}
    if request.param == "one editor":
        household.unshare_album(household.linked_album, household.ben)
        users = {household.anna}
    elif request.param == "three":
        household.share_album(household.linked_album, household.clara)
        users |= {household.clara}
    else:
        for user in users:
            household.set_viewer(user)
    return users


@pytest.mark.parametrize("how", ["locked", "moved out"])
def test_video_is_withdrawn_with_its_still(
    household: Household, linked_users: set[UUID], still: UUID, motion: UUID, how: str
) -> None:
    assert members_of(household, still) == members_of(household, motion) == linked_users
    if how == "locked":
        household.lock(still)
    else:
        household.move_file(still, "/private/1.heic")
    assert members_of(household, still) == members_of(household, motion) == set()
    # Whatever is written to the video alone later.
    household.upsert_exif(motion, description="still private")
    household.update_asset(motion, duration="1000")
    household.share_album(household.create_album(household.family, "Linked album 2", MEDIA), household.clara)
    assert members_of(household, motion) == set()
    if how == "locked":
        household.unlock(still)
    else:
        household.move_file(still, f"{MEDIA}/1.heic")
    assert members_of(household, still) == members_of(household, motion) == linked_users | {household.clara}


@pytest.mark.parametrize("state", ["locked", "trashed", "offline"])
def test_video_of_a_still_that_is_not_linked(
    household: Household, linked_users: set[UUID], path: str, state: str
) -> None:
    household.link_folders("")
    motion = household.photo(household.family, path, type="VIDEO")
    still = household.photo(household.family, f"{MEDIA}/1.heic", live_photo_video_id=motion)
    acts = {
        "locked": (lambda: household.lock(still), lambda: household.unlock(still)),
        "trashed": (lambda: household.trash([still]), lambda: household.restore([still])),
        "offline": (lambda: household.files_vanished([still]), lambda: household.files_returned([still])),
    }
    act, undo = acts[state]
    act()
    household.link_folders(MEDIA)
    assert members_of(household, still) == members_of(household, motion) == set()
    undo()
    assert members_of(household, still) == members_of(household, motion) == linked_users


@pytest.mark.parametrize("video_first", [True, False])
def test_video_of_a_still_that_an_account_has_already(
    household: Household, linked_users: set[UUID], path: str, video_first: bool
) -> None:
    own = household.photo(household.anna, "/data/upload/anna/1.heic", checksum=b"still")
    if video_first:
        motion = household.photo(household.family, path, type="VIDEO")
        still = household.photo(household.family, f"{MEDIA}/1.heic", checksum=b"still", live_photo_video_id=motion)
    else:
        still = household.photo(household.family, f"{MEDIA}/1.heic", checksum=b"still")
        motion = household.photo(household.family, path, type="VIDEO")
        household.pair_live_photo(still, motion)
    others = linked_users - {household.anna}
    assert members_of(household, still) == members_of(household, motion) == others
    household.force_delete([own])
    household.run_deletions()
    assert members_of(household, still) == members_of(household, motion) == linked_users


def test_dismissed_by_a_viewer_as_a_whole(household: Household, still: UUID, motion: UUID) -> None:
    household.set_viewer(household.anna)
    household.trash([household.clone(still, household.anna)])
    assert members_of(household, still) == members_of(household, motion) == {household.ben}
    household.generate_thumbnails(motion)
    household.update_asset(motion, duration="1000")
    assert members_of(household, motion) == {household.ben}
    household.unshare_album(household.linked_album, household.anna)
    household.share_album(household.linked_album, household.anna)
    assert members_of(household, still) == members_of(household, motion) == {household.anna, household.ben}


def test_deleted_for_good_by_a_viewer_as_a_whole(household: Household, still: UUID, motion: UUID) -> None:
    household.set_viewer(household.anna)
    household.delete("asset", id=household.clone(still, household.anna))
    assert members_of(household, still) == members_of(household, motion) == {household.ben}


def test_the_file_of_a_stills_clone_is_replaced(
    household: Household, still: UUID, motion: UUID, linked_users: set[UUID]
) -> None:
    """Immich reads the row of the clone, replaces its file, then enters a copy with the old file and the video."""
    clone, private = household.clone(still, household.anna), upload_path(household.anna, "heic")
    household.replace_asset(clone, private)
    assert household.asset(clone).originalPath == private
    assert household.asset(clone).livePhotoVideoId is None
    assert household.asset(still).livePhotoVideoId == motion
    assert members_of(household, still) == members_of(household, motion) == linked_users
    again = household.clone(still, household.anna)
    assert again != clone
    assert household.asset(again).livePhotoVideoId == household.clone(motion, household.anna)


@pytest.mark.parametrize("what", ["moved", "trashed"])
def test_a_stills_clone_is_replaced_while_its_source_changes(
    household: Household, still: UUID, motion: UUID, what: str
) -> None:
    """The video is nobody's to delete with the copy."""

    def meanwhile() -> None:
        if what == "moved":
            household.update_asset(still, originalPath=f"{MEDIA}/moved.heic")
        else:
            household.trash([still])

    clone, private = household.clone(still, household.anna), upload_path(household.anna, "heic")
    copy = household.replace_asset(clone, private, meanwhile=meanwhile)
    stale = household.database.fetch('select "livePhotoVideoId" as video from asset where id = %s', [copy])
    assert all(row.video is None for row in stale)
    household.restore([still])
    household.delete("asset", id=copy)
    assert_paired(household, still, motion)


def test_video_of_a_replacement_that_failed_goes_with_the_next_look(
    household: Household, still: UUID, motion: UUID
) -> None:
    """No copy of the old file came: after a minute both are linked anew."""
    clone = household.clone(still, household.anna)
    private = upload_path(household.anna, "heic")
    household.update_asset(clone, originalPath=private, livePhotoVideoId=None, checksum=b"new")
    assert members_of(household, motion) == {household.anna, household.ben}
    household.unshare_album(household.linked_album, household.anna)
    assert members_of(household, motion) == {household.ben}
    household.share_album(household.linked_album, household.anna)
    household.database.execute("update linked.replacement set begun_at = begun_at - interval '1 hour'")
    household.database.execute("call linked.drain()")
    assert_paired(household, still, motion)


def test_own_video_put_on_a_clone_stays_in_sight(household: Household, linked_users: set[UUID]) -> None:
    """Immich hides the video before it writes the still. A video that is nobody else's stays unpaired."""
    plain = household.photo()
    private = household.photo(household.anna, upload_path(household.anna, "mov"), type="VIDEO")
    household.link_live_photo(household.clone(plain, household.anna), private)
    assert household.asset(household.clone(plain, household.anna)).livePhotoVideoId is None
    assert household.asset(private).visibility == "timeline"
    assert members_of(household, private) == set()


def test_own_video_put_on_the_clone_of_a_live_photo_stays_in_sight(
    household: Household, still: UUID, motion: UUID
) -> None:
    private = household.photo(household.anna, upload_path(household.anna, "mov"), type="VIDEO")
    household.link_live_photo(household.clone(still, household.anna), private)
    assert_paired(household, still, motion)
    assert household.asset(private).visibility == "timeline"


@pytest.mark.parametrize("why", ["on a still of its own", "extracted"])
def test_own_video_put_on_a_clone_stays_hidden(household: Household, why: str) -> None:
    plain = household.photo()
    path = f"/data/encoded-video/{household.anna}/1-MP.mp4" if why == "extracted" else None
    private = household.photo(household.anna, path, type="VIDEO")
    if why != "extracted":
        household.photo(household.anna, upload_path(household.anna, "heic"), live_photo_video_id=private)
    household.link_live_photo(household.clone(plain, household.anna), private)
    assert household.asset(household.clone(plain, household.anna)).livePhotoVideoId is None
    assert household.asset(private).visibility == "hidden"


def test_still_unlinked_from_a_video_under_the_prefix(household: Household) -> None:
    """From then on the video is a picture of its own."""
    motion = household.photo(household.family, f"{MEDIA}/1.mov", type="VIDEO")
    still = household.photo(household.family, f"{MEDIA}/1.heic", live_photo_video_id=motion)
    household.lock(still)
    household.update_asset(still, livePhotoVideoId=None)
    household.update_asset(motion, visibility="timeline")
    assert members_of(household, still) == set()
    assert members_of(household, motion) == {household.anna, household.ben}


def test_contributed_live_photo_is_locked(household: Household, path: str) -> None:
    """Of another participant, whose paths no prefix covers."""
    motion = household.photo(household.anna, path, type="VIDEO")
    still = household.photo(household.anna, "/data/upload/anna/1.heic", live_photo_video_id=motion)
    household.add_to_album(household.linked_album, still)
    assert members_of(household, still) == members_of(household, motion) == {household.family, household.ben}
    household.lock(still)
    assert members_of(household, still) == members_of(household, motion) == set()


def test_video_of_two_stills_stays_with_the_last(household: Household, path: str) -> None:
    motion = household.photo(household.family, path, type="VIDEO")
    one, other = (household.photo(household.family, f"{MEDIA}/{n}.heic", live_photo_video_id=motion) for n in (1, 2))
    household.lock(one)
    assert members_of(household, motion) == {household.anna, household.ben}
    household.set_viewer(household.anna)
    household.trash([household.clone(other, household.anna)])
    assert members_of(household, motion) == {household.ben}
    household.lock(other)
    assert members_of(household, motion) == set()


def test_many_live_photos_at_once(household: Household) -> None:
    """More than are linked within a statement; the videos lie apart, and are put in the queue apart."""
    library = household.create_library(household.family, "/mnt/scans")
    count = 300
    videos = household.import_library(household.family, library, [f"/mnt/videos/{n}.mov" for n in range(count)])
    stills = household.import_library(household.family, library, [f"/mnt/scans/{n}.heic" for n in range(count)])
    household.database.execute(
        'update asset set "livePhotoVideoId" = video.id from asset video where asset.id = any(%s) '
        "and video.\"originalPath\" = replace(replace(asset.\"originalPath\", 'scans', 'videos'), 'heic', 'mov')",
        [stills],
    )
    household.update_assets(videos, visibility="hidden")
    household.link_folders("/mnt/scans\n/mnt/videos")
    household.database.value("select linked.work_off(interval '1 minute')")
    assert household.owned(household.anna) == household.owned(household.ben) == 2 * count
    household.lock(*stills)
    assert household.owned(household.anna) == household.owned(household.ben) == 0


@pytest.mark.parametrize("first", ["family", "anna", "viewer"])
@pytest.mark.parametrize(
    "jobs", [*permutations(["family", "anna", "viewer"], 2), *permutations(["family", "anna", "viewer"])], ids=" ".join
)
def test_deleted_for_good_by_jobs_that_overlap(
    household: Household, still: UUID, motion: UUID, jobs: tuple[str, ...], first: str
) -> None:
    """Jobs that looked at their stills before the first went all go on to their videos; the others find nothing."""
    household.set_viewer(household.ben)
    users = {"family": household.family, "anna": household.anna, "viewer": household.ben}
    stills = {household.asset(asset).ownerId: asset for asset in household.group(still)}
    videos = {household.asset(asset).ownerId: asset for asset in household.group(motion)}
    household.force_delete([stills[household.anna]])
    for job in sorted(jobs, key=lambda job: job != first):
        household.delete("asset", id=stills[users[job]])
    for job in jobs:
        household.delete("asset", id=videos[users[job]])
    assert [household.owned(user) for user in users.values()] == [0, 0, 0]
