"""What is linked, for whom, since when and until when (SPEC section 4)."""

from __future__ import annotations

import random
import string
from uuid import UUID

import psycopg
import pytest

from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.status import status
from tests.linked.conftest import MEDIA, Household
from tests.linked.invariants import covers

FOREVER = "".join(random.Random(4).choices(string.ascii_letters + string.digits, k=10_000))
LOCKED_OR_GONE = {
    "trashed": {"status": "trashed", "deletedAt": "2024-01-01"},
    "deleted": {"status": "deleted", "deletedAt": "2024-01-01"},
    "offline": {"isOffline": True, "deletedAt": "2024-01-01"},
    "locked": {"visibility": "locked"},
}


def describe(household: Household, description: str) -> None:
    household.link_folders(description)


def is_linked(household: Household, source: UUID, user: UUID | None = None) -> bool:
    return household.find_clone(source, user or household.anna) is not None


# --- prefixes -------------------------------------------------------------------------------------


COVERED = [
    ("/a/b", "/a/b/c.jpg"),
    ("/a/b", "/a/b/c/d/e.jpg"),
    ("/a/b/", "/a/b/c.jpg"),
    ("/a/b///", "/a/b/c.jpg"),
    ("/a/b \t", "/a/b/c.jpg"),
    ("/a/b/ ", "/a/b/c.jpg"),
    ("/a/b\r\n/x\r", "/a/b/c.jpg"),
    ("/x\r\n/a/b\r", "/a/b/c.jpg"),
    ("/", "/anywhere/at/all.jpg"),
    ("/ ", "/anywhere/at/all.jpg"),
    ("Our pictures\n\n/a/b\nand more", "/a/b/c.jpg"),
    ("/a/%/b", "/a/%/b/c.jpg"),
    ("/a_b", "/a_b/c.jpg"),
    ("/a\\b", "/a\\b/c.jpg"),
    ("/a\\", "/a\\/c.jpg"),
    ("/summer at the sea/day 1", "/summer at the sea/day 1/c.jpg"),
    ("/Grüße/日本/🏖", "/Grüße/日本/🏖/c.jpg"),
    ("/a/(b)[c]*?.+^$", "/a/(b)[c]*?.+^$/c.jpg"),
    ('/it\'s "quoted"', '/it\'s "quoted"/c.jpg'),
    ("\n".join(f"/line/{n}" for n in range(100)), "/line/99/c.jpg"),
    (f"/{FOREVER}\n/a/b", "/a/b/c.jpg"),
    ("/a/b\n/a/b\n/a/b/", "/a/b/c.jpg"),
    ("/a\n/a/b", "/a/b/c.jpg"),
]
NOT_COVERED = [
    ("/a/b", "/a/bc.jpg"),
    ("/a/b", "/a/bc/d.jpg"),
    ("/a/b", "/a/b"),
    ("/a/b", "/x/a/b/c.jpg"),
    ("/a/b", "/A/b/c.jpg"),
    ("/a/b", "a/b/c.jpg"),
    ("/a/%", "/a/x/c.jpg"),
    ("/a_b", "/axb/c.jpg"),
    ("/a/.", "/a/x/c.jpg"),
    ("/a\\b", "/ab/c.jpg"),
    ("/a/*", "/a/x/c.jpg"),
    ("a/b", "/a/b/c.jpg"),
    (" /a/b", "/a/b/c.jpg"),
    ("./a/b\n../a", "/a/b/c.jpg"),
    ("see /a/b", "/a/b/c.jpg"),
    ("", "/a/b/c.jpg"),
    ("/grüße", "/gruße/c.jpg"),
    ("/a/b/c.jpg", "/a/b/c.jpg"),
    ("//", "/a/b/c.jpg"),
    ("/////", "/a/b/c.jpg"),
    ("/ / /", "/a/b/c.jpg"),
    ("/ /\t/ \r", "/a/b/c.jpg"),
    ("// \r\n/ /", "/a/b/c.jpg"),
    ("//a/b", "/a/b/c.jpg"),
    ("/./", "/a/b/c.jpg"),
]


@pytest.mark.parametrize(("description", "path"), COVERED)
def test_prefix_covers_what_lies_under_it(household: Household, description: str, path: str) -> None:
    describe(household, description)
    assert is_linked(household, household.upload(household.family, path))


@pytest.mark.parametrize(("description", "path"), NOT_COVERED)
def test_prefix_covers_nothing_else(household: Household, description: str, path: str) -> None:
    describe(household, description)
    assert not is_linked(household, household.upload(household.family, path))


def test_the_invariants_read_lines_as_the_contract_says() -> None:
    """What is always true is told without the product's own words, and would not tell much if it were wrong."""
    for description, path in COVERED:
        assert any(covers(line, path) for line in description.split("\n")), description
    for description, path in NOT_COVERED:
        assert not any(covers(line, path) for line in description.split("\n")), description


def test_a_line_drawn_below_a_prefix_widens_nothing(household: Household) -> None:
    photo, other = household.photo(), household.photo(household.family, "/private/1.jpg")
    describe(household, f"Ours\n{MEDIA}\n/////////\r\nmore")
    assert is_linked(household, photo)
    assert not is_linked(household, other)


def test_what_is_there_already_is_linked_by_a_new_prefix(household: Household) -> None:
    scan = household.photo(household.family, "/scans/1.jpg")
    household.photo(household.family, "/scans2/1.jpg")
    describe(household, f"{MEDIA}\n/scans")
    assert household.owned(household.anna) == household.owned(household.ben) == 1
    assert is_linked(household, scan, household.ben)


def test_withdrawn_prefix_unlinks_at_once(household: Household) -> None:
    photo = household.photo()
    describe(household, "")
    assert household.owned(household.anna) == household.owned(household.ben) == 0
    assert household.asset(photo).deletedAt is None


def test_changed_prefix_unlinks_the_old_and_links_the_new(household: Household) -> None:
    old, new, both = (household.photo(household.family, f"{MEDIA}/{name}/1.jpg") for name in ("old", "new", "new/x"))
    describe(household, f"{MEDIA}/old\n{MEDIA}/new/x")
    clone = household.clone(both, household.anna)
    describe(household, f"{MEDIA}/new")
    assert [is_linked(household, asset) for asset in (old, new, both)] == [False, True, True]
    assert household.clone(both, household.anna) == clone


def test_prefix_into_another_users_folder_links_nothing(household: Household) -> None:
    household.photo(household.clara, "/data/library/clara/1.jpg")
    household.photo(household.ben, "/data/library/ben/1.jpg")
    describe(household, "/data/library/clara\n/data/library/ben\n/data/library\n/")
    household.photo(household.clara, "/data/library/clara/2.jpg")
    assert household.owned(household.family) == household.owned(household.anna) == 0


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linked album", "LINKED ALBUM 2024", "  Linked Album: holidays", "\tlinked albums\n"])
def test_name_makes_an_album_linked(household: Household, name: str) -> None:
    household.create_album(household.family, name, "/scans", users=[household.clara])
    assert is_linked(household, household.photo(household.family, "/scans/1.jpg"), household.clara)


@pytest.mark.parametrize("name", ["linked", "linkedalbum", "my linked album", "link", "linked  album", "", "Album"])
def test_other_names_do_not(household: Household, name: str) -> None:
    album = household.create_album(household.family, name, "/scans", users=[household.clara])
    household.add_to_album(album, household.photo(household.family, "/scans/1.jpg"))
    assert household.owned(household.clara) == 0


def test_renaming_an_album_links_and_unlinks(household: Household) -> None:
    photo = household.photo()
    household.update_album(household.linked_album, albumName="Holidays")
    assert not is_linked(household, photo)
    household.update_album(household.linked_album, albumName="linked album again")
    household.approve()
    assert is_linked(household, photo)


def test_edit_that_changes_nothing_keeps_the_clones(household: Household) -> None:
    clone = household.clone(household.photo(), household.anna)
    household.update_album(household.linked_album, albumName="Linked Album of ours", description=f"Hello\n{MEDIA}/")
    household.update_album(household.linked_album, order="asc")
    household.update_covers()
    assert household.asset(clone).ownerId == household.anna


# --- content --------------------------------------------------------------------------------------


def test_owners_pick_is_linked(household: Household) -> None:
    pick = household.photo(household.family, "/elsewhere/1.jpg")
    household.add_to_album(household.linked_album, pick)
    assert is_linked(household, pick)
    assert is_linked(household, pick, household.ben)


def test_contribution_of_a_linked_user_is_linked_to_all_others(household: Household) -> None:
    mine = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, mine)
    assert is_linked(household, mine, household.family)
    assert is_linked(household, mine, household.ben)
    assert household.owned(household.anna) == 1


def test_contribution_of_a_viewer_is_linked(household: Household) -> None:
    household.set_role(household.linked_album, household.ben, "viewer")
    mine = household.photo(household.ben, "/data/upload/ben/1.jpg")
    household.add_to_album(household.linked_album, mine)
    assert is_linked(household, mine, household.family)
    assert is_linked(household, mine)


def test_album_created_with_its_content_links_it(household: Household) -> None:
    photos = [household.photo(household.family, f"/elsewhere/{n}.jpg") for n in range(3)]
    household.create_album(household.family, "Linked album 2", assets=photos, users=[household.clara])
    assert household.owned(household.clara) == 3


def test_strangers_asset_in_the_linked_album_links_nothing(household: Household) -> None:
    """Clara's, brought in by a partner of hers, say."""
    household.add_to_album(household.linked_album, household.photo(household.clara, "/data/upload/clara/1.jpg"))
    assert household.owned(household.family) == household.owned(household.anna) == 0


def test_taken_out_of_the_album_is_unlinked(household: Household) -> None:
    pick = household.photo(household.family, "/elsewhere/1.jpg")
    household.add_to_album(household.linked_album, pick)
    household.remove_from_album(household.linked_album, pick)
    assert not is_linked(household, pick)
    assert household.album_assets(household.linked_album) == set()


def test_taken_out_of_the_album_but_under_a_prefix_stays(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    household.add_to_album(household.linked_album, photo)
    household.remove_from_album(household.linked_album, photo)
    assert household.clone(photo, household.anna) == clone


def test_linked_album_without_prefix_links_its_content_alone(household: Household) -> None:
    describe(household, "What we like best")
    pick = household.photo()
    other = household.photo()
    household.add_to_album(household.linked_album, pick)
    assert is_linked(household, pick)
    assert not is_linked(household, other)


def test_clone_in_a_linked_album_links_nothing(household: Household) -> None:
    clone = household.clone(household.photo(), household.anna)
    theirs = household.create_album(household.anna, "Linked album of Anna", users=[household.clara])
    household.add_to_album(theirs, clone)
    assert household.owned(household.clara) == 0
    household.add_to_album(household.linked_album, clone)
    assert household.owned(household.family) == household.owned(household.ben) == 1


def test_clone_under_a_prefix_of_its_owner_links_nothing(household: Household) -> None:
    household.create_album(household.anna, "Linked album of Anna", "/", users=[household.clara])
    household.photo()
    assert household.owned(household.anna) == 1
    assert household.owned(household.clara) == 0


# --- coming and going -----------------------------------------------------------------------------


def test_sharing_links_and_unsharing_unlinks_one_user_alone(household: Household) -> None:
    photo = household.photo()
    household.share_album(household.linked_album, household.clara)
    assert is_linked(household, photo, household.clara)
    household.unshare_album(household.linked_album, household.clara)
    assert household.owned(household.clara) == 0
    assert is_linked(household, photo)


def test_shared_again_there_is_a_new_clone(household: Household) -> None:
    photo = household.photo()
    before = household.clone(photo, household.anna)
    household.unshare_album(household.linked_album, household.anna)
    household.share_album(household.linked_album, household.anna)
    assert household.clone(photo, household.anna) != before


def test_unshared_contributor_takes_the_contribution_along(household: Household) -> None:
    mine = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, mine)
    household.unshare_album(household.linked_album, household.anna)
    assert household.owned(household.family) == household.owned(household.ben) == 0
    assert household.owned(household.anna) == 1


def test_deleted_linked_album_unlinks(household: Household) -> None:
    photo = household.photo()
    household.delete_album(household.linked_album)
    assert household.owned(household.anna) == household.owned(household.ben) == 0
    assert household.asset(photo).deletedAt is None


@pytest.mark.parametrize("state", LOCKED_OR_GONE)
def test_not_linked_at_birth(household: Household, state: str) -> None:
    describe(household, "")
    photo = household.photo()
    household.update_asset(photo, **LOCKED_OR_GONE[state])
    describe(household, MEDIA)
    assert not is_linked(household, photo)
    household.update_asset(photo, status="active", deletedAt=None, isOffline=False, visibility="timeline")
    assert is_linked(household, photo)


def test_archived_at_birth_is_linked_archived(household: Household) -> None:
    describe(household, "")
    photo = household.photo()
    household.archive(photo)
    describe(household, MEDIA)
    assert household.asset(household.clone(photo, household.anna)).visibility == "archive"


def test_upload_straight_into_the_locked_folder_is_not_linked(household: Household) -> None:
    household.upload(household.family, f"{MEDIA}/1.jpg", visibility="locked")
    assert household.owned(household.anna) == 0


def test_file_moved_into_a_prefix_is_linked(household: Household) -> None:
    photo = household.photo(household.family, "/data/upload/family/1.jpg")
    household.move_file(photo, f"{MEDIA}/2024/1.jpg")
    assert is_linked(household, photo)


def test_file_moved_within_a_prefix_keeps_its_clone(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    household.move_file(photo, f"{MEDIA}/2024/1.jpg")
    assert household.asset(clone).originalPath == f"{MEDIA}/2024/1.jpg"


def test_file_moved_out_of_a_prefix_is_unlinked(household: Household) -> None:
    photo = household.photo()
    household.move_file(photo, "/data/library/private/1.jpg")
    assert not is_linked(household, photo)
    assert household.asset(photo).originalPath == "/data/library/private/1.jpg"


def test_file_moved_out_of_a_prefix_but_in_the_album_stays(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    household.add_to_album(household.linked_album, photo)
    household.move_file(photo, "/data/library/private/1.jpg")
    assert household.clone(photo, household.anna) == clone


def test_external_library_under_a_prefix_is_linked(household: Household) -> None:
    describe(household, "/mnt/scans")
    library = household.create_library(household.family, "/mnt/scans")
    for scan in household.import_library(household.family, library, [f"/mnt/scans/{n}.jpg" for n in range(3)]):
        clone = household.asset(household.clone(scan, household.anna))
        assert (clone.libraryId, clone.isExternal) == (None, True)


def test_media_folder_moved_by_immich_unlinks_nothing(household: Household) -> None:
    describe(household, f"Ours:\n{MEDIA}/ \n/mnt/scans")
    photo = household.photo()
    household.photo(household.clara)
    clone = household.clone(photo, household.anna)
    household.migrate_file_paths("/data", "/srv/immich")
    assert household.clone(photo, household.anna) == clone
    assert household.asset(clone).originalPath.startswith("/srv/immich/library/family/")
    assert is_linked(household, household.photo(household.family, "/srv/immich/library/family/new.jpg"))
    assert "/mnt/scans" in household.album(household.linked_album).description
    assert "/srv/immich/library/family" in household.album(household.linked_album).description


@pytest.mark.parametrize(
    ("old", "new"), [("/data", "/"), ("/data", "/usr/src/app/upload/data"), ("/data/library", "/x")]
)
def test_media_folder_moved_to_odd_places(household: Household, old: str, new: str) -> None:
    photo = household.photo()
    household.photo(household.anna, f"{old}/anna/1.jpg")
    clone = household.clone(photo, household.anna)
    household.migrate_file_paths(old, new)
    assert household.clone(photo, household.anna) == clone
    assert household.asset(clone).originalPath == household.asset(photo).originalPath


def test_media_folder_moved_to_where_others_lie_already(household: Household) -> None:
    there = household.photo(household.family, "/srv/immich/library/family/there.jpg")
    photo = household.photo()
    assert not is_linked(household, there)
    household.migrate_file_paths("/data", "/srv/immich")
    assert is_linked(household, photo)
    assert is_linked(household, there)


# --- several linked albums ------------------------------------------------------------------------


@pytest.fixture
def second_album(household: Household) -> UUID:
    """Covers the same as the first, for Ben and Clara."""
    return household.create_album(household.family, "linked album 2", MEDIA, users=[household.ben, household.clara])


def test_two_linked_albums_make_one_clone_per_user_of_either(household: Household, second_album: UUID) -> None:
    household.photo()
    assert [household.owned(user) for user in (household.anna, household.ben, household.clara)] == [1, 1, 1]


def test_clone_stays_until_the_last_linked_album_is_gone(household: Household, second_album: UUID) -> None:
    clone = household.clone(household.photo(), household.ben)
    household.delete_album(household.linked_album)
    assert household.asset(clone).ownerId == household.ben
    assert household.owned(household.anna) == 0
    household.unshare_album(second_album, household.ben)
    assert household.owned(household.ben) == 0


def test_a_second_album_gives_a_viewer_the_stronger_role(household: Household) -> None:
    household.set_viewer(household.anna)
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    second = household.create_album(household.family, "linked album 2", MEDIA)
    household.share_album(second, household.anna)
    assert household.clone(photo, household.anna) == clone
    household.update_exif(clone, description="by an editor")
    assert household.exif(photo).description == "by an editor"
    household.unshare_album(second, household.anna)
    household.update_exif(clone, description="by a viewer")
    assert household.exif(clone).description == "by an editor"


def test_contribution_reaches_the_participants_of_its_own_albums(household: Household, second_album: UUID) -> None:
    mine = household.photo(household.ben, "/data/upload/ben/1.jpg")
    household.add_to_album(household.linked_album, mine)
    assert not is_linked(household, mine, household.clara)
    household.add_to_album(second_album, mine)
    assert is_linked(household, mine, household.clara)
    assert is_linked(household, mine, household.anna)


# --- accounts -------------------------------------------------------------------------------------


def test_family_account_awaiting_deletion_keeps_clones_and_gets_no_new_ones(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    household.soft_delete_user(household.family)
    later = household.photo()
    assert household.clone(photo, household.anna) == clone
    assert not is_linked(household, later)
    household.restore_user(household.family)
    assert household.clone(photo, household.anna) == clone
    assert is_linked(household, later)


def test_linked_user_awaiting_deletion_keeps_clones_and_gets_no_new_ones(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    household.soft_delete_user(household.anna)
    later = household.photo()
    assert household.clone(photo, household.anna) == clone
    assert not is_linked(household, later)
    assert is_linked(household, later, household.ben)
    household.restore_user(household.anna)
    assert household.clone(photo, household.anna) == clone
    assert is_linked(household, later)


def test_contribution_of_a_user_awaiting_deletion_stays(household: Household) -> None:
    mine = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, mine)
    household.soft_delete_user(household.anna)
    assert is_linked(household, mine, household.family)


def test_album_that_links_while_its_owner_awaits_deletion_links_when_restored(household: Household) -> None:
    photo = household.photo(household.family, "/scans/1.jpg")
    household.soft_delete_user(household.family)
    describe(household, "/scans")
    assert not is_linked(household, photo)
    household.restore_user(household.family)
    assert is_linked(household, photo)


# --- one content, several rows --------------------------------------------------------------------

SAME = b"the same content"


def test_own_copy_is_left_alone_and_no_clone_made(household: Household) -> None:
    own = household.photo(household.anna, "/data/upload/anna/1.jpg", checksum=SAME)
    before = household.asset(own)
    photo = household.photo(checksum=SAME)
    assert not is_linked(household, photo)
    assert is_linked(household, photo, household.ben)
    household.update_exif(photo, description="theirs")
    household.trash([photo])
    household.delete_asset(photo)
    assert household.asset(own) == before
    assert household.exif(own).description == ""


def test_clone_is_made_when_the_own_copy_is_deleted_for_good(household: Household) -> None:
    own = household.photo(household.anna, "/data/upload/anna/1.jpg", checksum=SAME)
    photo = household.photo(checksum=SAME)
    household.trash([own])
    assert not is_linked(household, photo)
    household.delete_asset(own)
    assert is_linked(household, photo)


def test_own_copy_of_a_path_checksum_is_no_conflict(household: Household) -> None:
    """A library's asset never stands in the way: the unique index leaves it out."""
    library = household.create_library(household.anna, "/mnt/anna")
    household.import_library(household.anna, library, ["/mnt/anna/1.jpg"])
    (own,) = household.database.fetch('select checksum from asset where "ownerId" = %s', [household.anna])
    assert is_linked(household, household.photo(checksum=bytes(own.checksum)))


def test_two_sources_of_one_content_are_linked_one_after_the_other(household: Household) -> None:
    mine = household.photo(household.ben, "/data/upload/ben/1.jpg", checksum=SAME)
    photo = household.photo(checksum=SAME)
    household.add_to_album(household.linked_album, mine)
    assert is_linked(household, photo)
    assert not is_linked(household, mine)
    household.trash([photo])
    household.delete_asset(photo)
    assert is_linked(household, mine)
    assert is_linked(household, mine, household.family)
    assert household.owned(household.anna) == 1


def test_gap_is_filled_when_the_other_source_is_unlinked(household: Household) -> None:
    mine = household.photo(household.ben, "/data/upload/ben/1.jpg", checksum=SAME)
    photo = household.photo(checksum=SAME)
    household.add_to_album(household.linked_album, mine)
    household.move_file(photo, "/private/1.jpg")
    assert is_linked(household, mine)
    assert not is_linked(household, photo)


def test_upload_of_what_is_there_as_a_clone_is_a_duplicate(household: Household) -> None:
    household.photo(checksum=SAME)
    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        household.upload(household.anna, "/data/upload/anna/1.jpg", checksum=SAME)
    assert refused.value.diag.constraint_name == "UQ_assets_owner_checksum"


def test_upload_is_possible_again_after_unlinking(household: Household) -> None:
    household.photo(checksum=SAME)
    household.unshare_album(household.linked_album, household.anna)
    household.upload(household.anna, "/data/upload/anna/1.jpg", checksum=SAME)
    household.share_album(household.linked_album, household.anna)
    assert household.owned(household.anna) == 1


# --- a library of one's own on the same files -----------------------------------------------------

SCANS = ["/mnt/scans/1.jpg", "/mnt/scans/2.jpg"]


@pytest.fixture
def scans(household: Household) -> list[UUID]:
    """The family's external library, linked."""
    describe(household, f"{MEDIA}\n/mnt/scans")
    return household.import_library(household.family, household.create_library(household.family, "/mnt/scans"), SCANS)


def own_library(household: Household, user: UUID, *paths: str) -> list[UUID]:
    return household.import_library(user, household.create_library(user, "/mnt/scans"), paths)


def shown_to(household: Household, user: UUID) -> list[str]:
    rows = household.database.fetch(
        'select "originalPath" as path from asset where "ownerId" = %s order by 1, id', [user]
    )
    return [row.path for row in rows]


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_who_has_the_file_in_a_library_gets_no_clone(household: Household, role: str) -> None:
    household.set_role(household.linked_album, household.anna, role)
    own_library(household, household.anna, SCANS[0])
    describe(household, "/mnt/scans")
    household.import_library(household.family, household.create_library(household.family, "/mnt/scans"), SCANS)
    assert shown_to(household, household.anna) == shown_to(household, household.ben) == SCANS


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_clones_go_when_the_library_comes_and_come_when_it_goes(
    household: Household, scans: list[UUID], role: str
) -> None:
    household.set_role(household.linked_album, household.anna, role)
    household.share_album(household.linked_album, household.clara)
    (own,) = own_library(household, household.anna, SCANS[0])
    for user in (household.anna, household.ben, household.clara):
        assert shown_to(household, user) == SCANS
    assert household.find_clone(scans[0], household.anna) is None
    household.trash([own])
    assert household.find_clone(scans[0], household.anna) is None
    household.delete_asset(own)
    assert shown_to(household, household.anna) == SCANS
    assert is_linked(household, scans[0])


def test_own_file_of_a_library_moves(household: Household, scans: list[UUID]) -> None:
    (own,) = own_library(household, household.anna, "/mnt/elsewhere/1.jpg")
    household.update_asset(own, originalPath=SCANS[1])
    assert [is_linked(household, scan) for scan in scans] == [True, False]
    household.update_asset(own, originalPath="/mnt/elsewhere/1.jpg")
    assert [is_linked(household, scan) for scan in scans] == [True, True]


def test_library_of_somebody_who_is_not_linked_matters_later(household: Household, scans: list[UUID]) -> None:
    own_library(household, household.clara, SCANS[0])
    household.share_album(household.linked_album, household.clara)
    assert shown_to(household, household.clara) == SCANS
    assert not is_linked(household, scans[0], household.clara)


def test_deleted_library_makes_room_for_clones(household: Household, scans: list[UUID]) -> None:
    own_library(household, household.anna, *SCANS)
    library = household.database.value('select id from library where "ownerId" = %s', [household.anna])
    household.delete("library", id=library)
    assert shown_to(household, household.anna) == SCANS
    assert all(is_linked(household, scan) for scan in scans)


def test_status_tells_of_files_in_own_libraries_and_of_lines_drawn(household: Household, scans: list[UUID]) -> None:
    own_library(household, household.anna, *SCANS)
    describe(household, f"{MEDIA}\n/////\n/mnt/scans\n/ / /")
    with connected(engine_for(database_url({"DB_URL": household.database.url}))) as connection:
        found = status(connection)
    left_out = {user["name"]: user["left_out"] for user in found["users"]}
    assert left_out == {"Family": {}, "Anna": {"own_library": 2}, "Ben": {}}
    (album,) = found["albums"]
    assert [note for note in album["notes"] if "only / alone" in note] == [
        'the line "/////" is ignored: only / alone stands for everything',
        'the line "/ / /" is ignored: only / alone stands for everything',
    ]


# --- hard-deleted accounts ------------------------------------------------------------------------


def test_hard_deleted_linked_user_leaves_the_others_as_they_were(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.ben)
    household.hard_delete_user(household.anna)
    assert household.group(photo) == [photo, clone]
    assert household.asset(photo).deletedAt is None


def test_hard_deleted_family_account_takes_its_clones_along(household: Household) -> None:
    household.photo()
    own = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.hard_delete_user(household.family)
    assert household.owned(household.anna) == 1
    assert household.owned(household.ben) == 0
    assert household.asset(own).deletedAt is None


def test_hard_deleted_contributor_takes_the_contribution_along(household: Household) -> None:
    photo = household.photo()
    mine = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, mine)
    household.hard_delete_user(household.anna)
    assert household.owned(household.family) == household.owned(household.ben) == 1
    assert is_linked(household, photo, household.ben)


# --- large changes --------------------------------------------------------------------------------


@pytest.fixture
def many(household: Household) -> list[UUID]:
    """More than is linked within one statement."""
    household.update_album(household.linked_album, description="none")
    library = household.create_library(household.family, "/mnt/scans")
    return household.import_library(household.family, library, [f"/mnt/scans/{n}.jpg" for n in range(3000)])


def queued(household: Household) -> int:
    return household.database.value("select count(*) from linked.queue")  # type: ignore[no-any-return]


def test_a_statement_is_done_well_before_its_timeout(household: Household, many: list[UUID]) -> None:
    database = household.database
    describe(household, "none\n" + "/mnt/elsewhere")
    with database.transaction():
        database.execute("set local statement_timeout = '1s'")
        describe(household, "/mnt/scans")
    assert 0 < household.owned(household.anna) < len(many)
    assert queued(household)
    with database.transaction():
        database.execute("set local statement_timeout = '1s'")
        household.update_exif(many[0], rating=1)


@pytest.mark.parametrize(
    ("timeout", "left"), [("0", "2 seconds"), ("1min", "2 seconds"), ("1s", "0.4 seconds"), ("1500ms", "0.6 seconds")]
)
def test_time_that_is_left_for_linking(household: Household, timeout: str, left: str) -> None:
    with household.database.transaction():
        household.database.execute("select set_config('statement_timeout', %s, true)", [timeout])
        assert household.database.value(
            "select linked.time_left('2 seconds') between %(left)s::interval * 0.9 and %(left)s::interval",
            {"left": left},
        )


@pytest.mark.slow
def test_large_change_is_finished_by_later_writes(household: Household, many: list[UUID]) -> None:
    household.share_album(household.linked_album, household.clara)
    describe(household, "/mnt/scans")
    for number in range(2 * len(many)):
        if not queued(household):
            break
        household.database.execute("delete from linked.pace")
        household.update_exif(many[0], rating=number % 5)
    assert queued(household) == 0
    assert [household.owned(user) for user in (household.anna, household.ben, household.clara)] == [len(many)] * 3


@pytest.mark.slow
def test_unlinking_is_never_queued(household: Household, many: list[UUID]) -> None:
    describe(household, "/mnt/scans")
    household.unshare_album(household.linked_album, household.anna)
    assert household.owned(household.anna) == 0
    describe(household, "none")
    assert household.owned(household.ben) == 0
    for number in range(20):
        household.update_exif(many[0], rating=number % 5)
    household.database.value("select linked.work_off(interval '1 minute')")
    assert household.owned(household.anna) == household.owned(household.ben) == 0


def test_a_slice_is_the_smaller_the_more_faces_its_pictures_have(household: Household) -> None:
    photos = [household.photo() for _ in range(5)]
    household.detect_faces(photos[0], [(0, 0, 10 * n, 10 * n) for n in range(1, 8)])
    household.database.execute(
        """insert into linked.queue (source_id, queued_at)
           select id, now() + place * interval '1 second'
           from unnest(%s::uuid[]) with ordinality as queued (id, place)""",
        [photos],
    )

    def take(size: int) -> set[UUID] | None:
        taken = household.database.value("select linked.take_slice(%s)", [size])
        return set(taken) if taken else None

    assert take(3) == {photos[0]}
    assert take(3) == set(photos[1:4])
    assert take(3) == {photos[4]}
    assert take(3) is None
