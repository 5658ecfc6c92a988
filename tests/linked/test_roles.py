"""Viewers take part read-only (SPEC section 6, roles)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from linked_asset.immich import Policy
from tests.linked.columns import RELEASE, other_value, read, write
from tests.linked.conftest import MEDIA, Household

SHARED = [
    (table, column.name)
    for table in ("asset", "asset_exif")
    for column in RELEASE.table(table).columns
    if column.policy is Policy.SHARED and column.name not in {"deletedAt", "status"}
]
UNDONE = [
    ("asset_job_status", column) for column in ("facesRecognizedAt", "metadataExtractedAt", "duplicatesDetectedAt")
]
PRODUCED = [
    (table, column.name)
    for table in ("asset", "asset_file", "asset_job_status", "smart_search")
    for column in RELEASE.table(table).columns
    if column.policy is Policy.PRODUCED
    and column.canonical not in RELEASE.table(table).key
    and (table, column.name) not in UNDONE
]


@pytest.fixture
def household(household: Household) -> Household:
    """Anna is a viewer, Ben an editor."""
    household.set_role(household.linked_album, household.anna, "viewer")
    return household


@pytest.fixture
def photo(household: Household) -> UUID:
    photo = household.photo()
    household.detect_faces(photo, [(1, 1, 2, 2)])
    return photo


@pytest.fixture
def view(household: Household, photo: UUID) -> UUID:
    """Anna's clone."""
    return household.clone(photo, household.anna)


# --- what others do ---------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["family", "ben"])
def test_what_others_do_reaches_the_viewer(household: Household, photo: UUID, view: UUID, origin: str) -> None:
    member = photo if origin == "family" else household.clone(photo, household.ben)
    household.update_exif(member, description="by the sea", rating=4)
    household.archive(member)
    household.generate_thumbnails(member, fullsize=True)
    household.detect_faces(member, [(7, 7, 9, 9)])
    assert household.exif(view).description == "by the sea"
    assert household.asset(view).visibility == "archive"
    assert [face.boundingBoxX1 for face in household.faces(view)] == [7]
    assert (
        household.database.value(
            """select count(*) from asset_file where "assetId" = %s and type <> 'sidecar'""", [view]
        )
        == 3
    )


@pytest.mark.parametrize("who", ["family", "ben"])
def test_trash_and_restore_of_others_reach_the_viewer(household: Household, photo: UUID, view: UUID, who: str) -> None:
    member = photo if who == "family" else household.clone(photo, household.ben)
    household.trash([member])
    assert household.asset(view).status == "trashed"
    household.restore([member])
    assert household.asset(view).status == "active"


# --- what the viewer does -----------------------------------------------------------------------------


def test_viewers_change_of_any_shared_column_is_undone(household: Household, photo: UUID, view: UUID) -> None:
    for table, column in SHARED:
        before, mine = (read(household, table, asset, column) for asset in (photo, view))
        described = next(c for c in RELEASE.table(table).columns if c.name == column)
        assert write(household, table, [view], column, other_value(household, described, before)) == 1
        assert read(household, table, view, column) == mine, (table, column)
        assert read(household, table, photo, column) == before, (table, column)


def test_viewers_bulk_change_is_undone(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    views = [household.clone(photo, household.anna) for photo in photos]
    household.update_all_exif(views, description="mine", latitude=1.0)
    household.archive(*views)
    for asset in (*photos, *views):
        assert household.exif(asset).description == ""
        assert household.exif(asset).latitude is None
        assert household.asset(asset).visibility == "timeline"


def test_what_a_viewer_writes_before_the_source_has_anything_is_undone(household: Household) -> None:
    """Pictures of a library that Immich has not read yet have no exif."""
    house = household
    library = house.create_library(house.family, MEDIA)
    (scan,) = house.import_library(house.family, library, [f"{MEDIA}/scan.jpg"])
    house.update_exif(house.clone(scan, house.anna), description="a viewer's", rating=5)
    assert not house.database.fetch('select from asset_exif where "assetId" = any(%s)', [house.group(scan)])
    house.update_exif(house.clone(scan, house.ben), description="an editor's")
    assert {house.exif(member).description for member in house.group(scan)} == {"an editor's"}
    assert house.exif(scan).rating is None


def test_clients_learn_that_the_change_was_undone(household: Household, view: UUID) -> None:
    before = household.exif(view)
    household.update_exif(view, description="mine")
    assert household.exif(view).updateId > before.updateId


def test_one_statement_of_viewer_and_editor_follows_the_editor(household: Household, photo: UUID, view: UUID) -> None:
    household.update_all_exif([view, household.clone(photo, household.ben)], description="ours")
    assert [household.exif(asset).description for asset in household.group(photo)] == ["ours"] * 3


def test_what_jobs_produce_for_a_viewer_is_followed_by_all(household: Household, photo: UUID, view: UUID) -> None:
    """The files that were there before are gone."""
    for table, column in PRODUCED:
        described = next(c for c in RELEASE.table(table).columns if c.name == column)
        write(household, table, [view], column, other_value(household, described))
        after = [read(household, table, asset, column) for asset in household.group(photo)]
        assert after == [read(household, table, view, column)] * 3
        assert after[0] is not None


def test_thumbnails_made_for_a_viewer_are_everybodys(household: Household, photo: UUID, view: UUID) -> None:
    household.generate_thumbnails(view, fullsize=True)
    paths = [paths_of(household, asset) for asset in household.group(photo)]
    assert paths == [paths[0]] * 3
    assert all(str(view) in path for path in paths[0])
    household.generate_thumbnails(view, fullsize=False)
    assert [len(paths_of(household, asset)) for asset in household.group(photo)] == [2] * 3


def paths_of(household: Household, asset: UUID) -> list[str]:
    rows = household.database.fetch(
        """select path from asset_file where "assetId" = %s and type <> 'sidecar' order by type""", [asset]
    )
    return [row.path for row in rows]


def test_metadata_extracted_for_a_viewer_changes_nothing(household: Household, photo: UUID, view: UUID) -> None:
    household.update_exif(photo, description="of the family")
    household.extract_metadata(view, make="Another", description="from the file")
    assert {(household.exif(asset).make, household.exif(asset).description) for asset in household.group(photo)} == {
        (None, "of the family")
    }


def test_jobs_for_a_viewer_do_not_count_for_the_source(household: Household, photo: UUID, view: UUID) -> None:
    for table, column in UNDONE:
        before = read(household, table, photo, column)
        described = next(c for c in RELEASE.table(table).columns if c.name == column)
        assert write(household, table, [view], column, other_value(household, described, before)) == 1
        assert [read(household, table, asset, column) for asset in household.group(photo)] == [before] * 3


@pytest.mark.parametrize("count", [1, 60])
def test_jobs_for_viewers_of_what_has_been_through_none(household: Household, count: int) -> None:
    """Immich's jobs for what is missing still find the sources; what an editor's job wrote counts for all."""
    house = household
    library = house.create_library(house.family, MEDIA)
    scans = house.import_library(house.family, library, [f"{MEDIA}/{n}.jpg" for n in range(count)])
    views = [house.clone(scan, house.anna) for scan in scans]
    house.database.execute(
        """insert into asset_job_status ("assetId", "metadataExtractedAt", "facesRecognizedAt")
           select id, now(), now() from unnest(%s::uuid[]) as id""",
        [views],
    )
    house.extract_metadata(views[0], make="Canon")
    assert house.count("asset_job_status") == 0
    house.generate_thumbnails(views[0])
    house.extract_metadata(house.clone(scans[-1], house.ben), make="Canon")
    status = house.database.fetch('select * from asset_job_status where "assetId" = any(%s)', [house.group(scans[-1])])
    assert len(status) == 3
    assert all(row.metadataExtractedAt for row in status)
    assert not any(row.facesRecognizedAt for row in status)


def test_jobs_for_a_viewer_while_sync_was_off(household: Household) -> None:
    house = household
    photo = house.upload(house.family, f"{MEDIA}/off.jpg")
    house.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    house.extract_metadata(house.clone(photo, house.anna), make="Canon")
    house.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    house.database.execute("call linked.drain()")
    status = house.database.fetch('select * from asset_job_status where "assetId" = any(%s)', [house.group(photo)])
    assert not any(row.metadataExtractedAt for row in status)


@pytest.mark.parametrize("boxes", [[], [(1, 1, 2, 2), (5, 5, 6, 6)], [(5, 5, 6, 6)]])
def test_faces_found_for_a_viewer_agree_with_the_others(
    household: Household, photo: UUID, view: UUID, boxes: list[Any]
) -> None:
    household.detect_faces(view, boxes)
    assert [len(household.faces(asset)) for asset in household.group(photo)] == [1, 1, 1]


def test_viewers_favorite_is_kept(household: Household, photo: UUID, view: UUID) -> None:
    household.favorite(view)
    household.update_exif(photo, description="changed")
    assert household.asset(view).isFavorite
    assert not household.asset(photo).isFavorite


def test_viewers_tags_and_albums_stay_the_viewers(household: Household, photo: UUID, view: UUID) -> None:
    household.tag_assets(household.upsert_tag(household.anna, "mine"), view)
    album = household.create_album(household.anna, "Mine", assets=[view])
    household.tag_assets(household.upsert_tag(household.family, "ours"), photo)
    assert household.tags_of(view) == ["mine", "ours"]
    assert household.tags_of(photo) == household.tags_of(household.clone(photo, household.ben)) == ["ours"]
    assert household.album_assets(album) == {view}
    assert [len(household.albums_of(user)) for user in (household.family, household.ben)] == [1, 0]


def test_viewers_persons_stay_the_viewers(household: Household, photo: UUID, view: UUID) -> None:
    (face,) = household.faces(view)
    person = household.recognize(face.id)
    household.update_person(person, name="Oma")
    assert household.faces(view)[0].personId == person
    assert [household.faces(asset)[0].personId for asset in household.group(photo) if asset != view] == [None, None]
    assert household.database.value("select count(*) from person") == 1


# --- trash and deletion -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["trash", "force_delete", "delete_asset"])
def test_viewers_deletion_hides_for_the_viewer_alone(household: Household, photo: UUID, view: UUID, how: str) -> None:
    if how == "delete_asset":
        household.delete_asset(view)
    else:
        getattr(household, how)([view])
    assert household.owned(household.anna) == 0
    assert household.run_deletions() == []
    assert household.group(photo) == [photo, household.clone(photo, household.ben)]
    assert household.asset(photo).status == household.asset(household.clone(photo, household.ben)).status == "active"


def test_viewer_cannot_restore_what_others_trashed(household: Household, photo: UUID, view: UUID) -> None:
    household.trash([photo])
    household.restore_all(household.anna)
    assert {household.asset(asset).status for asset in household.group(photo)} == {"trashed"}
    assert household.asset(view).deletedAt == household.asset(photo).deletedAt is not None


def test_viewer_who_empties_the_trash_empties_nobody_elses(household: Household, photo: UUID) -> None:
    household.trash([photo])
    household.empty_trash(household.anna)
    assert household.run_deletions() == []
    assert household.owned(household.anna) == 0
    assert {household.asset(asset).status for asset in household.group(photo)} == {"trashed"}
    household.restore_all(household.family)
    assert household.owned(household.anna) == 0
    assert household.owned(household.ben) == 1


@pytest.mark.parametrize("how", ["trash", "delete_asset"])
def test_clients_of_the_viewer_learn_of_it_once(household: Household, view: UUID, how: str) -> None:
    household.delete_asset(view) if how == "delete_asset" else household.trash([view])
    rows = household.database.fetch('select "ownerId" from asset_audit where "assetId" = %s', [view])
    assert [row.ownerId for row in rows] == [household.anna]


def test_hidden_clone_stays_away_whatever_else_changes(household: Household, photo: UUID, view: UUID) -> None:
    household.trash([view])
    household.update_exif(photo, description="new")
    household.process(photo)
    household.move_file(photo, f"{MEDIA}/moved.jpg")
    household.trash([photo])
    household.restore([photo])
    household.archive(photo)
    household.update_album(household.linked_album, description=f"{MEDIA}\n/more")
    household.share_album(household.linked_album, household.clara)
    assert household.owned(household.anna) == 0
    assert household.owned(household.clara) == 1


def test_hidden_clone_comes_back_when_the_album_is_shared_anew(household: Household, photo: UUID, view: UUID) -> None:
    household.trash([view])
    household.unshare_album(household.linked_album, household.anna)
    household.share_album(household.linked_album, household.anna, "viewer")
    assert household.find_clone(photo, household.anna) not in {None, view}


def test_bulk_trash_of_a_viewer_hides_exactly_these(household: Household) -> None:
    photos = [household.photo() for _ in range(4)]
    household.trash([household.clone(photo, household.anna) for photo in photos[:3]])
    assert [household.find_clone(photo, household.anna) is None for photo in photos] == [True, True, True, False]
    assert household.owned(household.family) == household.owned(household.ben) == 4


def test_hidden_live_photo_is_hidden_as_a_whole(household: Household) -> None:
    motion = household.photo(type="VIDEO", visibility="hidden")
    still = household.photo(live_photo_video_id=motion)
    household.trash([household.clone(still, household.anna)])
    assert household.owned(household.anna) == 0
    assert household.owned(household.family) == household.owned(household.ben) == 2


def test_hidden_clone_in_the_viewers_stack_and_album_leaves_them(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    views = [household.clone(photo, household.anna) for photo in photos]
    album = household.create_album(household.anna, "Mine", assets=views)
    household.create_stack(household.family, photos)
    household.trash(views[:1])
    assert household.album_assets(album) == set(views[1:])
    stack = household.asset(views[1]).stackId
    assert stack is not None
    assert household.asset(views[2]).stackId == stack
    assert household.asset(photos[0]).stackId == household.asset(photos[1]).stackId is not None


# --- roles that change --------------------------------------------------------------------------------


def test_editor_made_a_viewer_may_write_no_more(household: Household, photo: UUID) -> None:
    mine = household.clone(photo, household.ben)
    household.update_exif(mine, description="as an editor")
    household.set_role(household.linked_album, household.ben, "viewer")
    assert household.clone(photo, household.ben) == mine
    household.update_exif(mine, description="as a viewer")
    assert {household.exif(asset).description for asset in household.group(photo)} == {"as an editor"}


def test_viewer_made_an_editor_may_write(household: Household, photo: UUID, view: UUID) -> None:
    household.set_role(household.linked_album, household.anna, "editor")
    household.update_exif(view, description="as an editor")
    household.trash([view])
    assert {household.exif(asset).description for asset in household.group(photo)} == {"as an editor"}
    assert household.asset(photo).status == "trashed"


@pytest.mark.parametrize("how", ["role", "another album", "while away", "while off"])
@pytest.mark.parametrize("ben", ["editor", "viewer", "away"])
def test_viewer_made_an_editor_brings_tags_and_albums_along(
    household: Household, photo: UUID, view: UUID, how: str, ben: str
) -> None:
    other = household.photo()
    household.tag_assets(household.upsert_tag(household.anna, "sea/mine"), view)
    album = household.create_album(household.anna, "Mine", assets=[view])
    theirs = household.create_album(household.family, "Ours", assets=[photo])
    counterpart = household.database.value(
        "select album_id from linked.album_pair where album_key = %s and owner_id = %s", [theirs, household.anna]
    )
    household.add_to_album(counterpart, household.clone(other, household.anna))
    if ben == "away":
        household.soft_delete_user(household.ben)
    else:
        household.set_role(household.linked_album, household.ben, ben)
    match how:
        case "role":
            household.set_role(household.linked_album, household.anna, "editor")
        case "another album":
            household.create_album(household.family, "Linked album 2", MEDIA, users=[household.anna])
        case "while away":
            household.soft_delete_user(household.anna)
            household.set_role(household.linked_album, household.anna, "editor")
            household.restore_user(household.anna)
        case "while off":
            household.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'a test'")
            household.set_role(household.linked_album, household.anna, "editor")
            household.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
            household.database.value("select linked.enqueue_all()")
            household.database.value("select linked.work_off(interval '10 seconds')")
    assert [household.tags_of(asset) for asset in household.group(photo)] == [["sea/mine"]] * 3
    assert household.album_assets(album) == {view}
    assert household.album_assets(theirs) == {photo, other}
    for user in (household.family, household.ben):
        rows = household.database.fetch(
            """select album_id from linked.album_pair where album_key = %s and owner_id = %s""", [album, user]
        )
        mine = photo if user == household.family else household.clone(photo, user)
        assert [household.album_assets(row.album_id) for row in rows] == [{mine}]
    household.untag_assets(household.upsert_tag(household.family, "sea/mine"), photo)
    assert household.tags_of(view) == []


def test_viewer_made_an_editor_brings_stacks_along(household: Household) -> None:
    photos = [household.photo() for _ in range(2)]
    clones = [household.clone(photo, household.anna) for photo in photos]
    with household.transaction():
        stack = household.create_stack(household.anna, clones)
        household.set_role(household.linked_album, household.anna, "editor")
    household.update_exif(photos[0], description="later")
    assert household.asset(clones[0]).stackId == household.asset(clones[1]).stackId == stack
    assert household.asset(photos[0]).stackId == household.asset(photos[1]).stackId is not None


def test_what_an_editor_shared_is_the_group_s_when_made_a_viewer(household: Household, photo: UUID) -> None:
    mine = household.clone(photo, household.ben)
    household.tag_assets(household.upsert_tag(household.ben, "ours"), mine)
    theirs = household.create_album(household.family, "Ours", assets=[photo])
    album = household.create_album(household.ben, "Ben's", assets=[mine])
    counterpart = household.database.value(
        "select album_id from linked.album_pair where album_key = %s and owner_id = %s", [theirs, household.ben]
    )
    household.set_role(household.linked_album, household.ben, "viewer")
    household.tag_assets(household.upsert_tag(household.ben, "mine"), mine)
    household.untag_assets(household.upsert_tag(household.family, "ours"), photo)
    household.delete("album_asset", assetId=photo)
    assert household.tags_of(mine) == ["mine"]
    assert household.album_assets(counterpart) == set()
    assert household.album_assets(album) == {mine}


@pytest.mark.parametrize("how", ["role", "another album", "while off"])
@pytest.mark.parametrize("private", [1, 2])
@pytest.mark.parametrize("shared", [1, 2])
def test_the_stacks_that_an_editor_shared_are_the_group_s_when_made_a_viewer(
    household: Household, how: str, private: int, shared: int
) -> None:
    """One linked picture among others of the account's own is no stack of the group's."""
    photos = [household.photo() for _ in range(shared)]
    mine = [household.clone(photo, household.ben) for photo in photos]
    own = [household.photo(household.ben, f"/data/upload/ben/{number}.jpg") for number in range(private)]
    stack = household.create_stack(household.ben, [*mine, *own])
    match how:
        case "role":
            household.set_role(household.linked_album, household.ben, "viewer")
        case "another album":
            household.create_album(household.family, "Linked album 2", MEDIA, users={household.ben: "viewer"})
            household.unshare_album(household.linked_album, household.ben)
        case "while off":
            household.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
            household.set_role(household.linked_album, household.ben, "viewer")
            household.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
            household.database.execute("call linked.drain()")
    assert [household.clone(photo, household.ben) for photo in photos] == mine
    assert {household.asset(clone).stackId for clone in mine} == ({None} if shared == 1 else {stack})
    assert {household.asset(asset).stackId for asset in own} == ({None} if shared == private == 1 else {stack})


def test_what_a_viewer_hid_stays_hidden_when_made_an_editor(household: Household, photo: UUID, view: UUID) -> None:
    household.trash([view])
    household.set_role(household.linked_album, household.anna, "editor")
    assert household.find_clone(photo, household.anna) is None


@pytest.mark.parametrize("order", [("viewer", "editor"), ("editor", "viewer")])
def test_stronger_role_of_two_albums_counts(household: Household, photo: UUID, order: tuple[str, str]) -> None:
    second = household.create_album(household.family, "Linked album 2", MEDIA, users={household.clara: order[0]})
    household.share_album(household.linked_album, household.clara, order[1])
    mine = household.clone(photo, household.clara)
    household.update_exif(mine, description="as an editor")
    assert household.exif(photo).description == "as an editor"
    household.unshare_album(second if order[0] == "editor" else household.linked_album, household.clara)
    assert household.clone(photo, household.clara) == mine
    household.update_exif(mine, description="as a viewer")
    assert household.exif(mine).description == household.exif(photo).description == "as an editor"


def test_viewers_contribution_is_the_viewers_own_to_edit(household: Household) -> None:
    mine = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.add_to_album(household.linked_album, mine)
    household.update_exif(mine, description="mine")
    household.update_exif(household.clone(mine, household.ben), rating=5)
    assert {(household.exif(asset).description, household.exif(asset).rating) for asset in household.group(mine)} == {
        ("mine", 5)
    }
    household.trash([mine])
    assert {household.asset(asset).status for asset in household.group(mine)} == {"trashed"}


def test_role_of_another_album_is_of_no_matter(household: Household, photo: UUID, view: UUID) -> None:
    """An ordinary album in which the viewer is an editor."""
    household.create_album(household.family, "Holidays", assets=[photo], users={household.anna: "editor"})
    household.update_exif(view, description="mine")
    assert household.exif(photo).description == household.exif(view).description == ""


def test_a_face_that_a_viewer_removes_is_there_again_with_its_person(household: Household) -> None:
    photo = household.photo()
    household.create_face(photo, household.create_person(household.family, "Oma"))
    household.set_viewer(household.anna)
    clone = household.clone(photo, household.anna)
    (before,) = household.faces(clone)
    household.delete_face(before.id, force=True)
    (after,) = household.faces(clone)
    assert after.personId == before.personId is not None


def test_a_viewers_own_deletion_of_what_others_delete_costs_no_quota(household: Household) -> None:
    """Immich's job has read the viewer's row before the viewer's own statement hides it."""
    photo = household.photo()
    household.set_viewer(household.anna)
    clone = household.clone(photo, household.anna)
    household.force_delete([photo])
    household.force_delete([clone])
    household.update_usage(household.anna, -household.exif(photo).fileSizeInByte)
    assert household.database.value('select "quotaUsageInBytes" from "user" where id = %s', [household.anna]) == 0
