"""What is left in an account when what was linked is not any more (SPEC sections 8 and 11)."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.linked.conftest import MEDIA, Household
from tests.release import column_name

UNLINK: dict[str, Callable[[Household], object]] = {
    "unshared": lambda household: household.unshare_album(household.linked_album, household.anna),
    "album deleted": lambda household: household.delete_album(household.linked_album),
    "album renamed": lambda household: household.update_album(household.linked_album, albumName="Family"),
    "prefix gone": lambda household: household.update_album(household.linked_album, description="no prefix"),
}


def busy(household: Household) -> list[UUID]:
    """Two photos with everything that has counterparts, put there by several accounts."""
    first, second = household.photo(), household.photo()
    for photo, name in ((first, "Oma"), (second, "Opa")):
        (face,) = household.detect_faces(photo, [(0, 0, 50, 50)], seeds=[name])
        household.recognize(face, household.create_person(household.family, name))
    household.tag_assets(household.upsert_tag(household.family, "places/sea"), first)
    household.tag_assets(household.upsert_tag(household.ben, "summer"), household.clone(second, household.ben))
    household.create_album(household.family, "Beach", assets=[first, second])
    household.create_album(household.ben, "Ben's", assets=[household.clone(first, household.ben)])
    household.create_stack(household.ben, [household.clone(photo, household.ben) for photo in (first, second)])
    return [first, second]


def rows(household: Household, *users: UUID) -> dict[str, list[str]]:
    """A user's rows, but for who the user is."""
    return {table: found for table, found in household.rows_of(*users).items() if found and table != "user"}


@pytest.mark.parametrize("how", UNLINK)
def test_nothing_is_left_over(household: Household, how: str) -> None:
    busy(household)
    UNLINK[how](household)
    household.favorite(household.photo(household.clara, "/data/upload/clara/1.jpg"))
    assert rows(household, household.anna) == {}


@pytest.mark.parametrize("how", ["unshared", "album deleted", "album renamed"])
def test_nothing_is_left_over_that_had_been_emptied_before(household: Household, how: str) -> None:
    photo = household.photo()
    face = household.create_face(photo, household.create_person(household.family, "Oma"))
    album = household.create_album(household.family, "Beach", assets=[photo])
    household.delete_face(face, force=True)
    household.remove_from_album(album, photo)
    UNLINK[how](household)
    assert rows(household, household.anna) == {}


@pytest.mark.parametrize("how", UNLINK)
def test_no_source_is_touched(household: Household, how: str) -> None:
    busy(household)
    before = household.rows_of(household.family)
    UNLINK[how](household)
    after = household.rows_of(household.family)
    for table in (
        "asset",
        "asset_exif",
        "asset_file",
        "asset_face",
        "face_search",
        "person",
        "tag",
        "tag_asset",
        "stack",
    ):
        assert after[table] == before[table]


@pytest.mark.parametrize("how", UNLINK)
def test_what_is_a_user_s_own_stays(household: Household, how: str) -> None:
    private = household.photo(household.anna, "/data/upload/anna/1.jpg")
    (face,) = household.detect_faces(private, [(0, 0, 50, 50)], seeds=["Oma"])
    household.recognize(face, household.create_person(household.anna, "Oma", birthDate="1940-01-02", color="#ff0000"))
    household.tag_assets(household.upsert_tag(household.anna, "places/sea"), private)
    household.create_album(household.anna, "Mine", assets=[private])
    before = rows(household, household.anna)
    busy(household)
    UNLINK[how](household)
    household.favorite(household.photo(household.clara, "/data/upload/clara/1.jpg"))
    assert rows(household, household.anna) == before


def test_made_person_on_a_picture_of_the_user_s_own_stays(household: Household) -> None:
    first, _ = busy(household)
    private = household.photo(household.anna, "/data/upload/anna/1.jpg")
    made = household.faces(household.clone(first, household.anna))[0].personId
    household.recognize(household.detect_faces(private, [(0, 0, 50, 50)], seeds=["Oma"])[0], made)
    household.unshare_album(household.linked_album, household.anna)
    assert [row.id for row in household.people(household.anna)] == [made]
    household.update_person(made, name="Granny")
    assert household.database.value("select count(*) from person where name = 'Granny'") == 1


def test_clients_learn_of_everything_that_goes(household: Household) -> None:
    busy(household)
    mine = household.rows_of(household.anna)
    keys = {
        ("asset", "id"): "assetId",
        ("album", "id"): "albumId",
        ("stack", "id"): "stackId",
        ("person", "personGroupId"): "personGroupId",
    }
    gone = {
        (table, audited): {json.loads(row)[column_name(table, key)] for row in mine[table]}
        for (table, key), audited in keys.items()
    }
    household.unshare_album(household.linked_album, household.anna)
    for (table, audited), ids in gone.items():
        audit = f"{table}_audit"
        told = {str(row[0]) for row in household.database.fetch(f'select "{column_name(audit, audited)}" from {audit}')}
        assert ids, table
        assert ids <= told, table


def test_account_that_is_deleted_takes_nothing_along(household: Household) -> None:
    busy(household)
    before = household.rows_of(household.family, household.ben)
    household.soft_delete_user(household.anna)
    household.hard_delete_user(household.anna)
    after = household.rows_of(household.family, household.ben)
    shared = [[row for row in rows.pop("album_user") if '"owner"' not in row] for rows in (before, after)]
    assert [len(rows) for rows in shared] == [2, 1]
    assert after == before
    for table in ("face", "member", "person_pair", "album_pair", "stack_pair"):
        owner = "asset_id in (select id from asset)" if table in ("face", "member") else "owner_id <> %(anna)s"
        assert not household.database.fetch(
            f"select from linked.{table} where not ({owner})", {"anna": household.anna}
        ), table


@pytest.mark.parametrize("viewer", [False, True])
def test_linked_again_an_account_gets_all_as_it_is_then(household: Household, viewer: bool) -> None:
    first, second = busy(household)
    old = household.clone(first, household.anna)
    household.unshare_album(household.linked_album, household.anna)
    household.untag_assets(household.upsert_tag(household.family, "places/sea"), first)
    household.tag_assets(household.upsert_tag(household.family, "places/lake"), first)
    household.update_person(household.faces(first)[0].personId, name="Omi")
    household.share_album(household.linked_album, household.anna, "viewer" if viewer else "editor")
    clones = [household.clone(photo, household.anna) for photo in (first, second)]
    assert old not in clones
    assert household.tags_of(clones[0]) == ["places/lake"]
    assert household.tags_of(clones[1]) == ["summer"]
    assert household.person(household.faces(clones[0])[0].personId).name == "Omi"
    assert {album.albumName for album in household.albums_of(household.anna)} == {"Beach", "Ben's"}
    stack = household.asset(clones[0]).stackId
    assert stack is not None
    assert household.asset(clones[1]).stackId == stack
    assert household.database.value('select "primaryAssetId" from stack where id = %s', [stack]) == clones[0]


def test_one_folder_unlinked_leaves_what_the_other_needs(household: Household) -> None:
    photos = [household.photo(household.family, f"{MEDIA}/{folder}/1.jpg") for folder in ("a", "b")]
    oma = household.create_person(household.family, "Oma")
    tag = household.upsert_tag(household.family, "sea")
    for photo in photos:
        household.recognize(household.detect_faces(photo, [(0, 0, 50, 50)], seeds=["oma"])[0], oma)
        household.tag_assets(tag, photo)
    made = household.faces(household.clone(photos[1], household.anna))[0].personId
    household.update_album(household.linked_album, description=f"{MEDIA}/b")
    household.photo()
    clone = household.clone(photos[1], household.anna)
    assert household.faces(clone)[0].personId == made
    assert household.tags_of(clone) == ["sea"]


def test_feature_face_that_is_unlinked_leaves_no_dangling_person(household: Household) -> None:
    photos = [household.photo(household.family, f"{MEDIA}/{folder}/1.jpg") for folder in ("a", "b")]
    oma = household.create_person(household.family, "Oma")
    for photo in photos:
        household.recognize(household.detect_faces(photo, [(0, 0, 50, 50)], seeds=["oma"])[0], oma)
    clone = household.clone(photos[1], household.anna)
    household.update_album(household.linked_album, description=f"{MEDIA}/b")
    person = household.person(household.faces(clone)[0].personId)
    assert person.faceAssetId in (None, household.faces(clone)[0].id)
