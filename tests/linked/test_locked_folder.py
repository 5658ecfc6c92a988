"""The locked folder is personal (SPEC sections 4 and 6)."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.linked.conftest import Household


@pytest.fixture
def photo(household: Household) -> UUID:
    return household.photo()


@pytest.fixture
def mine(household: Household, photo: UUID) -> UUID:
    """Anna's clone."""
    return household.clone(photo, household.anna)


def test_locking_the_source_withdraws_it_from_everybody(household: Household, photo: UUID) -> None:
    household.lock(photo)
    assert household.owned(household.anna) == household.owned(household.ben) == 0
    assert household.asset(photo).visibility == "locked"


def test_unlocking_the_source_links_it_again(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(photo)
    household.update_exif(photo, description="written in private")
    household.unlock(photo)
    again = household.clone(photo, household.anna)
    assert again != mine
    assert household.exif(again).description == "written in private"


def test_locking_a_contribution_withdraws_it(household: Household) -> None:
    own = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, own)
    household.lock(own)
    assert household.owned(household.family) == household.owned(household.ben) == 0


def test_locking_many_sources_withdraws_them_all(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    household.lock(*photos[:2])
    assert household.owned(household.anna) == 1
    assert household.find_clone(photos[2], household.anna)


def test_locking_a_clone_is_that_users_own_affair(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(mine)
    assert household.asset(mine).visibility == "locked"
    assert household.asset(photo).visibility == "timeline"
    assert household.asset(household.clone(photo, household.ben)).visibility == "timeline"


def test_locking_a_clone_takes_it_out_of_nobody_elses_albums(household: Household, photo: UUID, mine: UUID) -> None:
    album = household.create_album(household.family, "Holidays", assets=[photo, household.photo()])
    household.lock(mine)
    assert photo in household.album_assets(album)
    assert len(household.album_rows([household.clone(photo, household.ben)])) == 1
    assert len(household.album_rows([mine])) == 0


def test_unlocked_clone_is_in_the_albums_of_the_others_again(household: Household, photo: UUID, mine: UUID) -> None:
    household.create_album(household.family, "Holidays", assets=[photo, household.photo()])
    household.lock(mine)
    household.unlock(mine)
    assert len(household.album_rows([mine])) == 1


def test_locked_clone_stays_in_sync(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(mine)
    household.update_exif(photo, description="from the family")
    household.generate_thumbnails(household.clone(photo, household.ben))
    household.update_exif(mine, rating=5)
    assert household.exif(mine).description == "from the family"
    assert household.exif(photo).rating == 5


def test_locked_clone_is_trashed_and_restored_with_the_others(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(mine)
    household.trash([photo])
    assert (household.asset(mine).status, household.asset(mine).visibility) == ("trashed", "locked")
    household.restore([photo])
    assert (household.asset(mine).status, household.asset(mine).visibility) == ("active", "locked")


@pytest.mark.parametrize("change", ["archive", "unarchive", "update_asset"])
def test_locked_clone_stays_locked_whatever_the_others_do(
    household: Household, photo: UUID, mine: UUID, change: str
) -> None:
    household.lock(mine)
    if change == "update_asset":
        household.update_asset(photo, visibility="hidden")
    else:
        household.archive(photo)
        getattr(household, change)(household.clone(photo, household.ben))
    assert household.asset(mine).visibility == "locked"


def test_locked_clone_is_not_written_when_the_others_move(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(mine)
    before = household.asset(mine)
    household.archive(photo)
    assert household.asset(mine) == before


def test_unlocked_clone_rejoins_the_others_where_they_are(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(mine)
    household.archive(photo)
    household.unlock(mine)
    assert {household.asset(asset).visibility for asset in household.group(photo)} == {"archive"}
    household.unarchive(mine)
    assert {household.asset(asset).visibility for asset in household.group(photo)} == {"timeline"}


def test_two_clones_locked_and_one_unlocked(household: Household, photo: UUID, mine: UUID) -> None:
    theirs = household.clone(photo, household.ben)
    household.lock(mine)
    household.lock(theirs)
    household.unlock(mine)
    assert [household.asset(asset).visibility for asset in (photo, mine, theirs)] == ["timeline", "timeline", "locked"]


def test_source_and_clone_locked_in_one_statement(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(photo, mine)
    assert household.asset(photo).visibility == "locked"
    assert household.owned(household.anna) == household.owned(household.ben) == 0


def test_locked_source_is_withdrawn_with_its_locked_clone(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(mine)
    household.lock(photo)
    assert household.owned(household.anna) == 0


def test_locked_clone_of_a_viewer_is_the_viewers_own_affair(household: Household, photo: UUID, mine: UUID) -> None:
    household.set_role(household.linked_album, household.anna, "viewer")
    household.lock(mine)
    assert household.asset(mine).visibility == "locked"
    assert household.asset(photo).visibility == "timeline"
    household.unlock(mine)
    assert household.asset(mine).visibility == "timeline"


def test_locked_clone_leaves_with_the_linked_album(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(mine)
    household.delete_album(household.linked_album)
    assert household.owned(household.anna) == 0
    assert household.owned(household.family) == 1


def test_clone_deleted_from_the_locked_folder_deletes_the_group(household: Household, photo: UUID, mine: UUID) -> None:
    household.lock(mine)
    household.force_delete([mine])
    household.run_deletions()
    assert household.owned(household.family) == household.owned(household.anna) == household.owned(household.ben) == 0


def test_locked_live_photo_is_withdrawn_as_a_whole(household: Household) -> None:
    motion = household.photo(household.family, "/elsewhere/1.mov", type="VIDEO", visibility="hidden")
    still = household.photo(live_photo_video_id=motion)
    assert household.owned(household.anna) == 2
    household.lock(still)
    assert household.owned(household.anna) == 0
    household.unlock(still)
    assert household.owned(household.anna) == 2
