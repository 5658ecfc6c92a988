"""Trash, final deletion, unlinking, deleted accounts and libraries, replaced files (SPEC section 11)."""

from __future__ import annotations

from uuid import UUID

import pytest

from linked_asset import immich
from linked_asset.immich import version
from tests.linked.conftest import MEDIA, Household
from tests.release import RELEASE

WHO = pytest.mark.parametrize("who", ["family", "anna"])


def member(household: Household, photo: UUID, who: str) -> UUID:
    return photo if who == "family" else household.clone(photo, household.anna)


def everybody(household: Household) -> list[int]:
    return [household.owned(user) for user in (household.family, household.anna, household.ben)]


# --- trash ------------------------------------------------------------------------------------------


@WHO
def test_trashing_one_trashes_the_group_at_the_same_moment(household: Household, who: str) -> None:
    photo = household.photo()
    household.trash([member(household, photo, who)])
    rows = [household.asset(asset) for asset in household.group(photo)]
    assert {row.status for row in rows} == {"trashed"}
    assert len({row.deletedAt for row in rows}) == 1
    assert rows[0].deletedAt is not None


@WHO
def test_restoring_one_restores_the_group(household: Household, who: str) -> None:
    photo = household.photo()
    group = household.group(photo)
    household.trash([photo])
    household.restore([member(household, photo, who)])
    assert household.group(photo) == group
    assert {(household.asset(asset).status, household.asset(asset).deletedAt) for asset in group} == {("active", None)}


def test_whole_trash_of_one_user_restores_for_all(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    own = household.photo(household.ben, "/data/upload/ben/1.jpg")
    household.trash([*photos, own])
    household.restore_all(household.anna)
    assert {household.asset(asset).status for photo in photos for asset in household.group(photo)} == {"active"}
    assert household.asset(own).status == "trashed"


# --- deletion for good --------------------------------------------------------------------------------


@WHO
def test_final_deletion_of_one_is_that_of_the_group(household: Household, who: str) -> None:
    gone, kept = household.photo(), household.photo()
    household.delete_asset(member(household, gone, who))
    assert everybody(household) == [1, 1, 1]
    assert len(household.group(kept)) == 3


@WHO
@pytest.mark.parametrize("how", ["force_delete", "empty_trash"])
def test_bulk_deletion_with_all_its_jobs(household: Household, who: str, how: str) -> None:
    photos = [household.photo() for _ in range(4)]
    mine = [member(household, photo, who) for photo in photos[:3]]
    household.photo(household.ben, "/data/upload/ben/1.jpg")
    if how == "force_delete":
        household.force_delete(mine)
    else:
        household.trash(mine)
        household.empty_trash(household.family if who == "family" else household.anna)
    household.run_deletions()
    assert everybody(household) == [1, 1, 2]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_jobs_of_all_members_find_nothing_left_to_do(household: Household, order: int) -> None:
    """Immich queues one job per member."""
    group = household.group(household.photo())
    household.force_delete([group[0]])
    jobs = group[order:] + group[:order]
    assert [household.delete_asset(asset) for asset in jobs] == [True, False, False]
    assert everybody(household) == [0, 0, 0]


@pytest.mark.parametrize("hit", [[0, 1], [1, 2], [0, 1, 2]])
def test_several_members_deleted_in_one_statement(household: Household, hit: list[int]) -> None:
    group = household.group(household.photo())
    household.delete("asset", id=[group[number] for number in hit])
    assert everybody(household) == [0, 0, 0]


def test_members_of_several_groups_deleted_in_one_statement(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    household.delete(
        "asset", id=[photos[0], household.clone(photos[1], household.anna), household.clone(photos[1], household.ben)]
    )
    assert everybody(household) == [1, 1, 1]


def test_deleted_and_edited_in_one_transaction(household: Household) -> None:
    group = household.group(household.photo())
    with household.transaction():
        household.update_exif(group[1], description="last words")
        household.delete("asset", id=group[2])
    assert everybody(household) == [0, 0, 0]


def test_contribution_deleted_by_another_is_deleted_for_all(household: Household) -> None:
    own = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, own)
    household.force_delete([household.clone(own, household.family)])
    household.run_deletions()
    assert everybody(household) == [0, 0, 0]


def test_nothing_is_left_behind(household: Household) -> None:
    photo = household.photo()
    household.detect_faces(photo, [(1, 1, 2, 2)])
    household.delete_asset(household.clone(photo, household.ben))
    for table in ("asset_exif", "asset_file", "asset_job_status", "smart_search", "asset_face", "face_search"):
        assert household.database.value(f"select count(*) from {table}") == 0, table
    for table in ("member", "face", "dismissal", "queue"):
        assert household.database.value(f"select count(*) from linked.{table}") == 0, table


# --- stacks -------------------------------------------------------------------------------------------


@WHO
@pytest.mark.parametrize("which", [0, 2], ids=["primary", "another"])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_deleting_a_stacked_asset(household: Household, who: str, which: int, size: int) -> None:
    photos = [household.photo() for _ in range(size)]
    household.create_stack(household.family, photos)
    gone = photos[min(which, size - 1)]
    household.force_delete([member(household, gone, who)])
    household.run_deletions()
    assert everybody(household) == [size - 1] * 3
    left = [photo for photo in photos if photo != gone]
    stacked = {household.asset(photo).stackId is not None for photo in left}
    assert stacked == {which > 0 and size > 2}, "Immich dissolves the stack of a primary asset"
    for user in (household.anna, household.ben):
        clones = [household.clone(photo, user) for photo in left]
        (stack,) = {household.asset(clone).stackId for clone in clones}
        assert {stack is not None} == stacked
        if stack:
            primary = household.database.value('select "primaryAssetId" from stack where id = %s', [stack])
            assert primary == household.clone(photos[0], user)


@WHO
def test_deleting_a_whole_stack(household: Household, who: str) -> None:
    photos = [household.photo() for _ in range(3)]
    household.create_stack(household.family, photos)
    household.force_delete([member(household, photo, who) for photo in photos])
    household.run_deletions()
    assert everybody(household) == [0, 0, 0]
    assert household.database.value('select count(*) from stack where "ownerId" <> %s', [household.family]) == 0


def test_unlinking_the_primary_of_a_clones_stack(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    stack = household.create_stack(household.family, photos)
    household.move_file(photos[0], "/private/1.jpg")
    assert everybody(household) == [3, 2, 2]
    assert household.database.value('select "primaryAssetId" from stack where id = %s', [stack]) == photos[0]


def test_user_with_a_stack_of_clones_is_unlinked(household: Household) -> None:
    household.create_stack(household.family, [household.photo() for _ in range(3)])
    household.unshare_album(household.linked_album, household.anna)
    assert everybody(household) == [3, 0, 3]
    assert household.database.value('select count(*) from stack where "ownerId" = %s', [household.anna]) == 0


# --- libraries ------------------------------------------------------------------------------------------


@pytest.fixture
def library(household: Household) -> UUID:
    household.link_folders(f"{MEDIA}\n/mnt/scans")
    return household.create_library(household.family, "/mnt/scans")


def test_deleted_library_is_deleted_for_all(household: Household, library: UUID) -> None:
    household.import_library(household.family, library, [f"/mnt/scans/{n}.jpg" for n in range(3)])
    household.photo()
    household.delete_library(library)
    assert everybody(household) == [1, 1, 1]


def test_library_that_vanishes_with_its_rows(household: Household, library: UUID) -> None:
    household.import_library(household.family, library, [f"/mnt/scans/{n}.jpg" for n in range(3)])
    household.delete("library", id=library)
    assert everybody(household) == [0, 0, 0]


def test_file_that_the_watcher_sees_vanish_is_gone_for_all(household: Household, library: UUID) -> None:
    one, _ = household.import_library(household.family, library, ["/mnt/scans/1.jpg", "/mnt/scans/2.jpg"])
    household.delete("asset", id=one)
    assert everybody(household) == [1, 1, 1]


def test_offline_file_deleted_after_a_month(household: Household, library: UUID) -> None:
    scans = household.import_library(household.family, library, ["/mnt/scans/1.jpg", "/mnt/scans/2.jpg"])
    household.files_vanished(scans[:1])
    expired = household.database.fetch('select id from asset where "deletedAt" is not null')
    assert len(expired) == 3
    for row in expired:
        household.delete_asset(row.id)
    assert everybody(household) == [1, 1, 1]


# --- accounts -------------------------------------------------------------------------------------------


def test_deleted_linked_user_deletes_nothing_of_others(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    household.create_stack(household.anna, [household.clone(photo, household.anna) for photo in photos])
    household.detect_faces(photos[0], [(1, 1, 2, 2)])
    household.soft_delete_user(household.anna)
    household.hard_delete_user(household.anna)
    assert everybody(household) == [3, 0, 3]
    assert {household.asset(asset).status for photo in photos for asset in household.group(photo)} == {"active"}


def test_deleted_only_linked_user_leaves_no_group(household: Household) -> None:
    photo = household.photo()
    household.unshare_album(household.linked_album, household.ben)
    household.hard_delete_user(household.anna)
    assert household.asset(photo).status == "active"
    assert household.database.value("select count(*) from linked.member") == 0


def test_deleted_family_account_leaves_the_others_their_own(household: Household) -> None:
    household.photo()
    own = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, own)
    household.soft_delete_user(household.family)
    household.hard_delete_user(household.family)
    assert everybody(household) == [0, 1, 0]
    assert household.asset(own).status == "active"


def test_deleted_account_whose_album_row_still_stands(household: Household) -> None:
    """The account goes without its albums having gone before: everything cascades in one statement."""
    household.photo()
    own = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, own)
    household.delete("user", id=household.family)
    assert everybody(household) == [0, 1, left_of_linked_album(household)]


def left_of_linked_album(household: Household) -> int:
    """What Ben has of Anna's, now that the family's account is gone. In v3.0 and v3.1 that leaves an album without
    owner (Immich itself deletes the albums first), which keeps what it has."""
    stays = not household.has("album", "ownerId") and version(RELEASE) < version("v3.2.0")
    assert household.count("album") == stays
    return int(stays)


def test_deleted_contributor_takes_the_contribution_alone(household: Household) -> None:
    household.photo()
    own = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, own)
    household.soft_delete_user(household.anna)
    assert everybody(household) == [2, 2, 2]
    household.hard_delete_user(household.anna)
    assert everybody(household) == [1, 0, 1]


def test_two_linked_users_deleted_in_one_statement(household: Household) -> None:
    photo = household.photo()
    household.delete("user", id=[household.anna, household.ben])
    assert household.asset(photo).status == "active"
    assert household.database.value("select count(*) from linked.member") == 0


OF_USERS = [
    table
    for table, column in {"asset": "ownerId", "album_user": "userId", "album": "ownerId"}.items()
    if immich.release(RELEASE).table(table).has(column)
]


@pytest.mark.parametrize("last", OF_USERS)
@pytest.mark.parametrize("who", ["anna", "family"])
def test_deleted_account_whatever_vanishes_first(household: Household, last: str, who: str) -> None:
    """PostgreSQL cascades in the order in which the foreign keys were made: another in each Immich."""
    database = household.database
    key = database.row(
        """select conname, pg_get_constraintdef(oid) as definition from pg_constraint
           where conrelid = %s::regclass and confrelid = 'public.user'::regclass""",
        [last],
    )
    database.execute(f'alter table {last} drop constraint "{key.conname}"')
    database.execute(f'alter table {last} add constraint "{key.conname}" {key.definition}')
    household.photo()
    own = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, own)
    household.delete("user", id=getattr(household, who))
    assert everybody(household) == ([1, 0, 1] if who == "anna" else [0, 1, left_of_linked_album(household)])


def test_deleting_a_viewer_deletes_nothing_of_others(household: Household) -> None:
    household.photo()
    household.set_role(household.linked_album, household.anna, "viewer")
    household.hard_delete_user(household.anna)
    assert everybody(household) == [1, 0, 1]


def files(household: Household, asset: UUID) -> set[str]:
    return {row.path for row in household.database.fetch('select path from asset_file where "assetId" = %s', [asset])}


def needs_thumbnails(household: Household) -> set[UUID]:
    lacking = (
        '"previewAt" is null or "thumbnailAt" is null'
        if household.has("asset_job_status", "previewAt")
        else """(select count(*) from asset_file
                 where "assetId" = asset.id and type in ('preview', 'thumbnail') and not "isEdited") < 2"""
    )
    return {
        row.id
        for row in household.database.fetch(
            f"""select asset.id from asset join asset_job_status on "assetId" = asset.id
                where {lacking} or thumbhash is null"""
        )
    }


def test_thumbnails_in_the_folder_of_a_deleted_user_are_made_anew(household: Household) -> None:
    made_for_anna, own = household.photo(), household.photo()
    household.generate_thumbnails(household.clone(made_for_anna, household.anna))
    assert any(str(household.anna) in path for path in files(household, made_for_anna))
    household.hard_delete_user(household.anna)
    assert files(household, made_for_anna) == set()
    assert needs_thumbnails(household) == set(household.group(made_for_anna))
    assert len(files(household, own)) == 2
    household.generate_thumbnails(made_for_anna)
    assert files(household, household.clone(made_for_anna, household.ben)) == files(household, made_for_anna)
    assert needs_thumbnails(household) == set()


def test_video_in_the_folder_of_a_deleted_user_is_encoded_anew(household: Household) -> None:
    video = household.photo(type="VIDEO")
    household.encode_video(household.clone(video, household.anna))
    assert str(household.anna) in (household.file_of(video, "encoded_video") or "")
    household.hard_delete_user(household.anna)
    assert {household.file_of(asset, "encoded_video") for asset in household.group(video)} == {None}


def test_thumbnails_in_the_folder_of_a_user_who_is_only_unlinked_stay(household: Household) -> None:
    photo = household.photo()
    household.generate_thumbnails(household.clone(photo, household.anna))
    household.unshare_album(household.linked_album, household.anna)
    assert len(files(household, photo)) == 2
    household.hard_delete_user(household.anna)
    assert files(household, photo) == set()
    assert photo in needs_thumbnails(household)


# --- unlinking ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["unshare", "delete album", "rename", "prefix", "move", "lock"])
def test_unlinking_deletes_clones_and_touches_nothing_else(household: Household, how: str) -> None:
    photo = household.photo()
    before = household.database.fetch('select * from asset_file where "assetId" = %s order by id', [photo])
    album = household.linked_album
    if how == "unshare":
        household.unshare_album(album, household.anna)
        household.unshare_album(album, household.ben)
    elif how == "delete album":
        household.delete_album(album)
    elif how == "rename":
        household.update_album(album, albumName="Album")
    elif how == "prefix":
        household.update_album(album, description="none")
    elif how == "move":
        household.move_file(photo, "/private/1.jpg")
    else:
        household.lock(photo)
    assert everybody(household) == [1, 0, 0]
    assert (household.asset(photo).status, household.asset(photo).deletedAt) == ("active", None)
    assert household.database.fetch('select * from asset_file where "assetId" = %s order by id', [photo]) == before


def test_unlinked_while_in_the_trash(household: Household) -> None:
    photo = household.photo()
    household.trash([photo])
    household.unshare_album(household.linked_album, household.anna)
    assert everybody(household) == [1, 0, 1]
    household.share_album(household.linked_album, household.anna)
    assert everybody(household) == [1, 0, 1]
    household.restore([photo])
    assert everybody(household) == [1, 1, 1]


# --- replaced files (until v2.7) --------------------------------------------------------------------------


def expire(household: Household, owner: UUID) -> None:
    """The trash of one user a month later."""
    for row in household.database.fetch(
        'select id from asset where "ownerId" = %s and "deletedAt" is not null', [owner]
    ):
        household.delete_asset(row.id)


def test_replacing_the_source_in_the_linked_album_replaces_it_for_all(household: Household) -> None:
    photo = household.photo()
    household.add_to_album(household.linked_album, photo)
    household.replace_asset(photo, "/data/upload/family/new.jpg")
    group = household.group(photo)
    assert len(group) == 3
    assert {household.asset(asset).originalPath for asset in group} == {"/data/upload/family/new.jpg"}
    expire(household, household.family)
    assert household.group(photo) == group


def test_replacing_the_source_under_a_prefix_unlinks_until_it_is_moved_back(household: Household) -> None:
    photo = household.photo()
    old = household.replace_asset(photo, f"/data/upload/{household.family}/new.jpg")
    assert household.find_clone(photo, household.anna) is None
    assert household.asset(household.clone(old, household.anna)).status == "trashed"
    household.move_file(photo, f"{MEDIA}/new.jpg")
    expire(household, household.family)
    assert everybody(household) == [1, 1, 1]
    assert household.asset(household.clone(photo, household.anna)).originalPath == f"{MEDIA}/new.jpg"


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_replacing_a_clone_never_costs_the_family_its_file(household: Household, role: str) -> None:
    photo = household.photo()
    household.set_role(household.linked_album, household.anna, role)
    before = household.asset(photo)
    mine = household.clone(photo, household.anna)
    household.replace_asset(mine, f"/data/upload/{household.anna}/new.jpg")
    assert household.asset(photo).originalPath == before.originalPath
    assert household.asset(photo).checksum == before.checksum
    assert household.asset(mine).originalPath == f"/data/upload/{household.anna}/new.jpg"
    doomed = household.database.fetch(
        'select "originalPath" from asset where "ownerId" = %s and "deletedAt" is not null', [household.anna]
    )
    assert before.originalPath not in {row.originalPath for row in doomed}
    expire(household, household.anna)
    assert household.asset(photo).status == "active"
    assert household.find_clone(photo, household.ben)


def test_replaced_clone_is_its_owners_own(household: Household) -> None:
    photo = household.photo()
    mine = household.clone(photo, household.anna)
    household.replace_asset(mine, f"/data/upload/{household.anna}/new.jpg")
    household.update_exif(photo, description="of the family")
    assert household.exif(mine).description == ""
    assert not household.asset(mine).isExternal
    expire(household, household.anna)
    assert mine in {
        row.id for row in household.database.fetch('select id from asset where "ownerId" = %s', [household.anna])
    }


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_replaced_clone_is_linked_again_and_leaves_nothing_in_the_trash(household: Household, role: str) -> None:
    photo = household.photo()
    household.set_role(household.linked_album, household.anna, role)
    mine = household.clone(photo, household.anna)
    household.replace_asset(mine, f"/data/upload/{household.anna}/new.jpg", size=2000)
    again = household.clone(photo, household.anna)
    assert {
        row.id for row in household.database.fetch('select id from asset where "ownerId" = %s', [household.anna])
    } == {mine, again}
    household.sync_usage()
    assert household.database.value('select "quotaUsageInBytes" from "user" where id = %s', [household.anna]) == 2000
