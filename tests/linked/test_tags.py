"""Tags (SPEC section 9)."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import pytest

from tests.linked.conftest import Household
from tests.linked.test_reconcile import run


def tag(household: Household, user: UUID, value: str) -> Any:
    (row,) = household.database.fetch('select * from tag where "userId" = %s and value = %s', [user, value])
    return row


def values(household: Household, user: UUID) -> list[str]:
    rows = household.database.fetch('select value from tag where "userId" = %s order by value', [user])
    return [row.value for row in rows]


def closure(household: Household, user: UUID) -> set[tuple[str, str]]:
    rows = household.database.fetch(
        """select ancestor.value as ancestor, descendant.value as descendant from tag_closure
           join tag ancestor on ancestor.id = id_ancestor join tag descendant on descendant.id = id_descendant
           where descendant."userId" = %s""",
        [user],
    )
    return {(row.ancestor, row.descendant) for row in rows}


def tagged(household: Household, value: str = "beach", who: str = "family") -> UUID:
    """A photo of the family's, tagged by somebody."""
    photo = household.photo()
    household.tag_assets(household.upsert_tag(getattr(household, who), value), household.of(photo, who))
    return photo


# --- on and off -----------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["family", "anna"])
def test_tag_is_on_every_member(household: Household, who: str) -> None:
    photo = tagged(household, who=who)
    assert [household.tags_of(member) for member in household.group(photo)] == [["beach"]] * 3
    assert values(household, household.clara) == []


def test_tag_of_the_same_value_is_used(household: Household) -> None:
    mine = household.upsert_tag(household.anna, "beach")
    photo = tagged(household)
    assert household.tags_of(household.clone(photo, household.anna)) == ["beach"]
    assert tag(household, household.anna, "beach").id == mine


@pytest.mark.parametrize("who", ["family", "anna"])
def test_counterpart_has_parents_and_closure(household: Household, who: str) -> None:
    tagged(household, "places/sea/beach", who)
    for user in (household.family, household.anna, household.ben):
        assert values(household, user) == ["places", "places/sea", "places/sea/beach"]
        assert tag(household, user, "places/sea/beach").parentId == tag(household, user, "places/sea").id
        assert tag(household, user, "places/sea").parentId == tag(household, user, "places").id
        assert closure(household, user) == {
            ("places", "places"), ("places/sea", "places/sea"), ("places/sea/beach", "places/sea/beach"),
            ("places", "places/sea"), ("places", "places/sea/beach"), ("places/sea", "places/sea/beach"),
        }  # fmt: skip


def test_counterpart_joins_a_parent_that_exists(household: Household) -> None:
    mine = household.upsert_tag(household.anna, "places")
    tagged(household, "places/sea")
    assert tag(household, household.anna, "places/sea").parentId == mine
    assert ("places", "places/sea") in closure(household, household.anna)


def test_tag_made_on_the_tag_page_has_a_findable_counterpart(household: Household) -> None:
    """Immich itself writes no closure rows there."""
    photo = household.photo()
    household.tag_assets(household.create_tag(household.family, "beach"), photo)
    assert closure(household, household.anna) == {("beach", "beach")}


@pytest.mark.parametrize("who", ["family", "anna"])
def test_tag_taken_off_is_off_everywhere(household: Household, who: str) -> None:
    photo = tagged(household)
    user = getattr(household, who)
    household.untag_assets(tag(household, user, "beach").id, household.of(photo, who))
    assert [household.tags_of(member) for member in household.group(photo)] == [[]] * 3


@pytest.mark.parametrize("who", ["family", "anna"])
def test_deleted_tag_is_off_everywhere(household: Household, who: str) -> None:
    photo, other = tagged(household), tagged(household, "mountain")
    household.delete_tag(tag(household, getattr(household, who), "beach").id)
    assert [household.tags_of(member) for member in household.group(photo)] == [[]] * 3
    assert [household.tags_of(member) for member in household.group(other)] == [["mountain"]] * 3


def test_deleted_tag_stays_on_what_is_not_linked(household: Household) -> None:
    tagged(household)
    private = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.tag_assets(tag(household, household.anna, "beach").id, private)
    household.delete_tag(tag(household, household.family, "beach").id)
    assert household.tags_of(private) == ["beach"]


def test_deleted_parent_takes_child_tags_off(household: Household) -> None:
    photo = tagged(household, "places/sea")
    household.delete_tag(tag(household, household.anna, "places").id)
    assert [household.tags_of(member) for member in household.group(photo)] == [[]] * 3


def test_bulk_tagging_of_several_members_at_once(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    tags = [household.upsert_tag(household.anna, value) for value in ("a", "a/b", "c")]
    household.bulk_tag(tags, [household.clone(photo, household.anna) for photo in photos])
    for photo in photos:
        assert [household.tags_of(member) for member in household.group(photo)] == [["a", "a/b", "c"]] * 3


# --- colour ---------------------------------------------------------------------------------------


def test_counterpart_is_made_with_the_colours(household: Household) -> None:
    household.create_tag(household.family, "places", color="#ff0000")
    household.tag_assets(household.create_tag(household.family, "places/sea", color="#0000ff"), household.photo())
    assert tag(household, household.anna, "places").color == "#ff0000"
    assert tag(household, household.anna, "places/sea").color == "#0000ff"


@pytest.mark.parametrize("who", ["family", "anna"])
def test_later_colour_reaches_the_counterparts(household: Household, who: str) -> None:
    tagged(household)
    household.update_tag(tag(household, getattr(household, who), "beach").id, color="#00ff00")
    assert {tag(household, user, "beach").color for user in (household.family, household.anna, household.ben)} == {
        "#00ff00"
    }


def test_colour_of_a_tag_on_other_pictures_is_its_owner_s(household: Household) -> None:
    mine = household.create_tag(household.anna, "beach", color="#ffffff")
    theirs = household.create_tag(household.family, "beach")
    household.update_tag(theirs, color="#00ff00")
    assert tag(household, household.anna, "beach").id == mine
    assert tag(household, household.anna, "beach").color == "#ffffff"


# --- Immich's metadata extraction -----------------------------------------------------------------


@pytest.mark.parametrize("who", ["family", "anna"])
def test_extraction_leaves_tags_as_they_were(household: Household, who: str) -> None:
    photo = tagged(household)
    before = household.rows_of(household.family, household.anna, household.ben)
    household.extract_metadata(household.of(photo, who))
    after = household.rows_of(household.family, household.anna, household.ben)
    assert after["tag_asset"] == before["tag_asset"]
    assert ids(household) == {tag(household, user, "beach").id for user in
                              (household.family, household.anna, household.ben)}  # fmt: skip


def ids(household: Household) -> set[UUID]:
    return {row.id for row in household.database.fetch("select id from tag")}


def test_extraction_that_finds_other_tags_replaces_them_everywhere(household: Household) -> None:
    photo = tagged(household)
    household.extract_metadata(household.clone(photo, household.anna), tags=["sea", "sea/dunes"])
    assert [household.tags_of(member) for member in household.group(photo)] == [["sea", "sea/dunes"]] * 3


def test_tag_that_sync_made_lives_through_the_extraction_that_takes_it_off_and_on(household: Household) -> None:
    """Immich looks the tag up, then deletes its only use and inserts it again in one transaction."""
    photo = tagged(household)
    clone = household.clone(photo, household.anna)
    mine = household.upsert_tag(household.anna, "beach")
    with household.transaction():
        household.delete("tag_asset", assetId=clone)
        household.update_exif(clone, description="another write in the same transaction")
        assert tag(household, household.anna, "beach").id == mine
        household.insert("tag_asset", {"tagId": mine, "assetId": clone}, nothing=True)
    assert [household.tags_of(member) for member in household.group(photo)] == [["beach"]] * 3


def test_insert_of_what_sync_has_just_added_does_not_fail(household: Household) -> None:
    photo = household.photo()
    mine = household.upsert_tag(household.anna, "beach")
    household.tag_assets(household.upsert_tag(household.family, "beach"), photo)
    household.tag_assets(mine, household.clone(photo, household.anna))
    assert household.tags_of(photo) == ["beach"]


@pytest.mark.parametrize("closure_first", [False, True])
def test_upsert_on_a_second_connection_does_not_wait_for_immich_s_first(
    household: Household, closure_first: bool
) -> None:
    """Immich opens a transaction for the closure rows and writes the tag through another connection."""
    photo = tagged(household)
    mine = tag(household, household.family, "beach").id
    done = threading.Event()

    def upsert() -> None:
        with household.database.connect() as connection:
            connection.execute("set statement_timeout = '10s'")
            connection.execute(
                """insert into tag ("userId", value) values (%s, 'sea')
                   on conflict ("userId", value) do update set "parentId" = excluded."parentId" """,
                [household.family],
            )
        done.set()

    with household.transaction():
        if closure_first:
            household.insert("tag_closure", {"id_ancestor": mine, "id_descendant": mine}, nothing=True)
        thread = threading.Thread(target=upsert)
        thread.start()
        assert done.wait(5)
    thread.join()
    assert household.tags_of(photo) == ["beach"]


# --- sweeping -------------------------------------------------------------------------------------


def sweep(household: Household) -> None:
    """Any later write."""
    household.update_exif(household.photo(), description="later")


def test_made_tag_without_use_is_swept_by_a_later_write(household: Household) -> None:
    photo = tagged(household, "places/sea")
    household.untag_assets(tag(household, household.family, "places/sea").id, photo)
    sweep(household)
    assert values(household, household.anna) == values(household, household.ben) == []
    assert values(household, household.family) == ["places", "places/sea"]


def test_made_tag_is_never_swept_in_the_transaction_of_its_last_use(household: Household) -> None:
    """Also not when there is another one to sweep."""
    earlier, photo = tagged(household, "earlier"), tagged(household)
    household.untag_assets(tag(household, household.family, "earlier").id, earlier)
    with household.transaction():
        household.untag_assets(tag(household, household.family, "beach").id, photo)
        household.update_exif(photo, description="in the same transaction")
        assert values(household, household.anna) == ["beach"]


def test_made_tag_that_its_owner_uses_stays(household: Household) -> None:
    photo = tagged(household)
    private = household.photo(household.anna, "/data/upload/anna/1.jpg")
    household.tag_assets(tag(household, household.anna, "beach").id, private)
    household.untag_assets(tag(household, household.family, "beach").id, photo)
    sweep(household)
    assert household.tags_of(private) == ["beach"]
    assert values(household, household.ben) == []


@pytest.mark.parametrize("unused", ["before", "after"])
def test_made_tag_that_was_looked_up_and_not_used_is_swept(household: Household, unused: str) -> None:
    """Immich is about to use it for some seconds: then it was for nothing, the picture may be gone."""
    photo = tagged(household)
    if unused == "after":
        household.upsert_tag(household.anna, "beach")
    household.untag_assets(tag(household, household.family, "beach").id, photo)
    if unused == "before":
        household.upsert_tag(household.anna, "beach")
    sweep(household)
    assert values(household, household.anna) == ["beach"]
    with household.database.transaction():
        household.database.execute("set local session_replication_role = replica")
        household.database.execute("""update tag set "updatedAt" = now() - interval '11 seconds'""")
    sweep(household)
    assert values(household, household.anna) == values(household, household.ben) == []


def test_parent_that_another_tag_needs_stays(household: Household) -> None:
    photo, other = tagged(household, "places/sea"), tagged(household, "places/mountain")
    household.untag_assets(tag(household, household.family, "places/sea").id, photo)
    sweep(household)
    assert values(household, household.anna) == ["places", "places/mountain"]
    assert household.tags_of(household.clone(other, household.anna)) == ["places/mountain"]


def test_tag_of_an_account_s_own_is_never_swept(household: Household) -> None:
    mine = household.upsert_tag(household.anna, "beach")
    photo = tagged(household)
    household.untag_assets(tag(household, household.family, "beach").id, photo)
    sweep(household)
    assert tag(household, household.anna, "beach").id == mine


@pytest.mark.parametrize("who", ["family", "anna"])
def test_made_tag_of_a_picture_deleted_for_good_is_swept(household: Household, who: str) -> None:
    photo = tagged(household)
    household.delete_asset(household.of(photo, who))
    sweep(household)
    assert values(household, household.anna) == values(household, household.ben) == []


def test_made_tag_of_an_unlinked_picture_is_swept(household: Household) -> None:
    tagged(household)
    household.update_album(household.linked_album, description="")
    household.photo()
    sweep(household)
    assert values(household, household.anna) == values(household, household.ben) == []
    assert values(household, household.family) == ["beach"]


# --- viewers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["anna", "ben"])
def test_a_viewers_own_tags_outlast_reading_the_metadata(household: Household, who: str) -> None:
    """They cannot be in the sidecar, or the exif, from which Immich puts them back elsewhere."""
    household.set_viewer(household.anna)
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    mine, other = household.upsert_tag(household.anna, "mine"), household.upsert_tag(household.anna, "other")
    household.bulk_tag([mine, other], [clone])
    household.tag_assets(household.upsert_tag(household.family, "ours"), photo)
    household.extract_metadata(household.clone(photo, getattr(household, who)), tags=["ours"] if who == "ben" else [])
    assert set(household.tags_of(clone)) == {"mine", "other", "ours"}
    household.untag_assets(other, clone)
    household.extract_metadata(clone, tags=[])
    assert set(household.tags_of(clone)) == {"mine", "ours"}
    assert set(household.tags_of(photo)) == {"ours"}
    household.delete_tag(mine)
    assert set(household.tags_of(clone)) == {"ours"}


def test_viewer_s_tags_are_the_viewer_s_own(household: Household) -> None:
    household.set_viewer(household.anna)
    photo = tagged(household)
    clone = household.clone(photo, household.anna)
    household.tag_assets(household.upsert_tag(household.anna, "mine"), clone)
    assert household.tags_of(clone) == ["beach", "mine"]
    assert household.tags_of(photo) == household.tags_of(household.clone(photo, household.ben)) == ["beach"]


def test_what_others_tag_leaves_a_viewer_s_tags(household: Household) -> None:
    household.set_viewer(household.anna)
    photo = tagged(household)
    clone = household.clone(photo, household.anna)
    household.tag_assets(household.upsert_tag(household.anna, "mine"), clone)
    household.untag_assets(tag(household, household.family, "beach").id, photo)
    assert household.tags_of(clone) == ["mine"]


def test_tag_that_a_viewer_takes_off_comes_back(household: Household) -> None:
    household.set_viewer(household.anna)
    photo = tagged(household)
    clone = household.clone(photo, household.anna)
    household.untag_assets(tag(household, household.anna, "beach").id, clone)
    assert household.tags_of(clone) == household.tags_of(photo) == ["beach"]


@pytest.mark.parametrize("viewer_first", [True, False])
@pytest.mark.parametrize("how", ["untag", "delete", "delete parent", "extract"])
def test_what_a_viewer_tagged_stays_whatever_others_do_to_theirs(
    household: Household, viewer_first: bool, how: str
) -> None:
    """The same value: the viewer's when the viewer was first, the family's when the family was."""
    household.set_viewer(household.anna)
    photo = household.photo()
    clone, bens = household.clone(photo, household.anna), household.clone(photo, household.ben)
    mine = household.upsert_tag(household.anna, "sea/x")
    theirs = household.upsert_tag(household.family, "sea/x")
    for tag_id, asset in [(mine, clone), (theirs, photo)] if viewer_first else [(theirs, photo), (mine, clone)]:
        household.bulk_tag([tag_id], [asset])
    assert [household.tags_of(asset) for asset in (photo, clone, bens)] == [["sea/x"]] * 3
    match how:
        case "untag":
            household.untag_assets(theirs, photo)
        case "delete":
            household.delete_tag(theirs)
        case "delete parent":
            household.delete_tag(tag(household, household.family, "sea").id)
        case "extract":
            household.extract_metadata(bens, tags=[])
    assert household.tags_of(photo) == household.tags_of(bens) == []
    assert household.tags_of(clone) == (["sea/x"] if viewer_first else [])


def test_viewer_of_one_picture_and_editor_of_another(household: Household) -> None:
    """The same tag on both: on the one it is the account's own, on the other the group's."""
    household.set_viewer(household.anna)
    household.create_album(household.family, "Linked album 2", "/data/edited", users=[household.anna])
    seen, edited = household.photo(), household.photo(household.family, "/data/edited/1.jpg")
    clones = [household.clone(photo, household.anna) for photo in (seen, edited)]
    mine = household.upsert_tag(household.anna, "x")
    household.bulk_tag([mine], clones)
    assert [household.tags_of(photo) for photo in (seen, edited)] == [[], ["x"]]
    household.delete_tag(tag(household, household.family, "x").id)
    assert [household.tags_of(clone) for clone in clones] == [["x"], []]


@pytest.mark.parametrize("with_tags", [[], ["mine"], ["beach", "mine"]])
def test_extraction_on_a_viewer_s_clone_leaves_what_others_tagged(household: Household, with_tags: list[str]) -> None:
    """Immich takes all tags off and puts on what it finds in the file; the viewer's own are in no file."""
    household.set_viewer(household.anna)
    photo = tagged(household)
    clone = household.clone(photo, household.anna)
    household.extract_metadata(clone, tags=with_tags)
    assert household.tags_of(clone) == sorted({"beach", *with_tags})
    assert household.tags_of(photo) == ["beach"]
    household.untag_assets(tag(household, household.family, "beach").id, photo)
    assert household.tags_of(clone) == [value for value in with_tags if value != "beach"]


def test_tag_that_a_viewer_deletes_comes_back_where_it_is_the_others(household: Household) -> None:
    household.set_viewer(household.anna)
    photo = tagged(household)
    household.delete_tag(tag(household, household.anna, "beach").id)
    assert [household.tags_of(member) for member in household.group(photo)] == [["beach"]] * 3
    household.untag_assets(tag(household, household.family, "beach").id, photo)
    assert [household.tags_of(member) for member in household.group(photo)] == [[]] * 3


def test_tag_of_an_account_that_is_deleted_stays_with_the_others(household: Household) -> None:
    photo = tagged(household)
    household.soft_delete_user(household.anna)
    household.hard_delete_user(household.anna)
    assert [household.tags_of(member) for member in household.group(photo)] == [["beach"]] * 2


def test_tagging_never_takes_a_tag_off(household: Household) -> None:
    """Not even where members differ because something was missed."""
    photo = household.photo()
    household.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'a test'")
    household.tag_assets(household.upsert_tag(household.anna, "missed"), household.clone(photo, household.anna))
    household.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    household.tag_assets(household.upsert_tag(household.family, "beach"), photo)
    assert household.tags_of(household.clone(photo, household.anna)) == ["beach", "missed"]
    household.database.value("select linked.enqueue_all()")
    household.database.value("select linked.work_off(interval '10 seconds')")
    assert [household.tags_of(member) for member in household.group(photo)] == [["beach", "missed"]] * 3


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("/x", ["/x"]),
        ("//x", ["//x"]),
        ("x/", ["x", "x/"]),
        ("a//b", ["a", "a//b"]),
        ("/a/b", ["/a", "/a/b"]),
        ("/", ["/"]),
    ],
)
def test_no_tag_without_a_name(household: Household, value: str, made: list[str]) -> None:
    """Immich's API makes such values from names that start with a slash."""
    row = household.insert("tag", {"userId": household.family, "value": value, "color": None, "parentId": None})[0]
    household.tag_assets(row.id, household.photo())
    assert values(household, household.ben) == made
    parent = tag(household, household.ben, value).parentId
    assert parent == (tag(household, household.ben, made[0]).id if len(made) > 1 else None)


# --- renamed (by Immich from v3.2 on) -----------------------------------------------------------------


@pytest.mark.parametrize("who", ["family", "anna"])
def test_a_renamed_tag_is_so_on_every_member(household: Household, who: str) -> None:
    photo = tagged(household, who=who)
    household.update_tag(tag(household, getattr(household, who), "beach").id, value="shore")
    assert [household.tags_of(member) for member in household.group(photo)] == [["shore"]] * 3
    household.next_write()
    assert values(household, household.ben) == ["shore"]


def test_what_lies_below_a_renamed_tag(household: Household) -> None:
    """One statement for each, or one for all."""
    photo, other = tagged(household, "sea/beach"), tagged(household, "lake/beach")
    for value in ("sea", "sea/beach"):
        household.update_tag(tag(household, household.family, value).id, value=value.replace("sea", "ocean"))
    household.database.execute(
        """update tag set value = replace(value, 'lake', 'pond') where "userId" = %s and value like 'lake%%'""",
        [household.family],
    )
    assert [household.tags_of(member) for member in household.group(photo)] == [["ocean/beach"]] * 3
    assert [household.tags_of(member) for member in household.group(other)] == [["pond/beach"]] * 3
    household.next_write()
    assert values(household, household.anna) == ["ocean", "ocean/beach", "pond", "pond/beach"]


def test_a_renamed_tag_leaves_others_own_pictures_alone(household: Household) -> None:
    own = household.photo(household.anna, f"/data/upload/{household.anna}/1.jpg")
    household.tag_assets(household.upsert_tag(household.anna, "beach"), own)
    photo = tagged(household)
    household.update_tag(tag(household, household.family, "beach").id, value="shore")
    assert household.tags_of(household.clone(photo, household.anna)) == ["shore"]
    assert household.tags_of(own) == ["beach"]


def test_a_tag_is_renamed_to_what_others_call_something_else(household: Household) -> None:
    """Where a sibling has both, one is left."""
    photo = tagged(household)
    household.tag_assets(
        household.upsert_tag(household.anna, "shore"), household.clone(household.photo(), household.anna)
    )
    household.update_tag(tag(household, household.ben, "beach").id, value="Shore")
    assert [household.tags_of(member) for member in household.group(photo)] == [["Shore"]] * 3
    assert "shore" in values(household, household.family)


def test_a_tag_that_a_viewer_renames(household: Household) -> None:
    photo = tagged(household)
    household.set_viewer(household.anna)
    view = household.clone(photo, household.anna)
    household.update_tag(tag(household, household.anna, "beach").id, value="mine")
    assert household.tags_of(view) == ["beach", "mine"]
    assert household.tags_of(photo) == household.tags_of(household.clone(photo, household.ben)) == ["beach"]
    household.update_tag(tag(household, household.ben, "beach").id, value="shore")
    assert household.tags_of(view) == ["mine", "shore"]
    assert household.tags_of(photo) == ["shore"]
    assert run(household.database).differences == []
    assert household.tags_of(view) == ["mine", "shore"]
