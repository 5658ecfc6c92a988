"""Albums (SPEC section 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from tests.database import Database
from tests.linked.conftest import MEDIA, Household, install


def albums(household: Household, user: UUID) -> list[Any]:
    """A user's albums, linked ones aside."""
    return [album for album in household.albums_of(user) if not album.albumName.lower().startswith("linked album")]


def counterpart(household: Household, album: UUID, user: UUID) -> Any:
    """The album of a user that stands for another's."""
    (row,) = household.database.fetch(
        """select album.* from linked.album_pair join album on album.id = album_id
           where owner_id = %s and album_key = (select album_key from linked.album_pair where album_id = %s)""",
        [user, album],
    )
    return row


def audited(household: Household, album: UUID) -> set[UUID]:
    """Who is told that an album is gone."""
    return {
        row.userId for row in household.database.fetch('select "userId" from album_audit where "albumId" = %s', [album])
    }


def own_photo(household: Household, user: UUID) -> UUID:
    return household.photo(user, f"/data/upload/{user}/{household.count('asset')}.jpg")


# --- when needed, and what is in it ---------------------------------------------------------------


@pytest.mark.parametrize("who", ["family", "anna"])
def test_album_appears_in_every_account(household: Household, who: str) -> None:
    first, second = household.photo(), household.photo()
    members = [household.of(photo, who) for photo in (first, second)]
    album = household.create_album(getattr(household, who), "Beach", "in summer", assets=members)
    for user in (household.family, household.anna, household.ben):
        (mine,) = albums(household, user)
        assert (mine.albumName, mine.description) == ("Beach", "in summer")
        assert len(household.album_assets(mine.id)) == 2
    assert household.album_assets(counterpart(household, album, household.ben).id) == {
        household.clone(first, household.ben), household.clone(second, household.ben),
    }  # fmt: skip
    assert albums(household, household.clara) == []


def test_counterpart_comes_when_first_needed(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.family, "Beach", assets=[own_photo(household, household.family)])
    assert albums(household, household.anna) == []
    household.add_to_album(album, photo)
    assert household.album_assets(counterpart(household, album, household.anna).id) == {
        household.clone(photo, household.anna)
    }


@pytest.mark.parametrize("who", ["family", "anna"])
def test_added_and_removed_by_any(household: Household, who: str) -> None:
    first, second = household.photo(), household.photo()
    album = household.create_album(household.family, "Beach", assets=[first])
    mine = counterpart(household, album, getattr(household, who)).id
    household.add_to_album(mine, household.of(second, who))
    household.remove_from_album(mine, household.of(first, who))
    for user in (household.family, household.anna, household.ben):
        owner = counterpart(household, album, user)
        assert household.album_assets(owner.id) == {household.of(second, name(household, user))}


def name(household: Household, user: UUID) -> str:
    return next(who for who in ("family", "anna", "ben") if getattr(household, who) == user)


CHANGES = {"albumName": "Sea", "description": "in winter", "order": "asc"}


@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize("who", ["family", "anna"])
def test_change_of_an_album_reaches_the_others(household: Household, column: str, who: str) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    household.update_album(counterpart(household, album, getattr(household, who)).id, **{column: CHANGES[column]})
    for user in (household.family, household.anna, household.ben):
        assert getattr(counterpart(household, album, user), column) == CHANGES[column]


@pytest.mark.parametrize("who", ["family", "anna"])
def test_cover_is_the_same_picture(household: Household, who: str) -> None:
    first, second = household.photo(), household.photo()
    album = household.create_album(household.family, "Beach", assets=[first, second])
    assert counterpart(household, album, household.ben).albumThumbnailAssetId == household.clone(first, household.ben)
    mine = counterpart(household, album, getattr(household, who)).id
    household.update_album(mine, albumThumbnailAssetId=household.of(second, who))
    for user in ("family", "anna", "ben"):
        cover = counterpart(household, album, getattr(household, user)).albumThumbnailAssetId
        assert cover == household.of(second, user)


def test_cover_that_is_no_member_is_not_passed_on(household: Household) -> None:
    photo, private = household.photo(), own_photo(household, household.family)
    album = household.create_album(household.family, "Beach", assets=[photo, private])
    household.update_album(album, albumThumbnailAssetId=private)
    assert counterpart(household, album, household.anna).albumThumbnailAssetId == household.clone(photo, household.anna)


def test_counterpart_holds_only_linked_pictures_and_what_its_owner_adds(household: Household) -> None:
    photo, private = household.photo(), own_photo(household, household.family)
    album = household.create_album(household.family, "Beach", assets=[photo, private])
    mine = counterpart(household, album, household.anna).id
    added = own_photo(household, household.anna)
    household.add_to_album(mine, added)
    assert household.album_assets(mine) == {household.clone(photo, household.anna), added}
    assert household.album_assets(album) == {photo, private}


def test_new_pictures_of_an_album_come_with_their_first_link(household: Household) -> None:
    photo = own_photo(household, household.family)
    album = household.create_album(household.family, "Beach", assets=[photo])
    household.add_to_album(household.linked_album, photo)
    assert len(household.album_assets(counterpart(household, album, household.anna).id)) == 1


def test_albums_from_before_the_installation_are_mirrored(immich: Database) -> None:
    household = Household(immich)
    photo = household.photo()
    household.create_album(household.family, "Beach", assets=[photo])
    shared = household.create_album(household.family, "With Anna", assets=[photo], users=[household.anna])
    install(immich)
    assert [album.albumName for album in albums(household, household.anna)] == ["Beach"]
    assert [album.albumName for album in albums(household, household.ben)] == ["Beach", "With Anna"]
    assert household.album_assets(shared) == {photo}
    household.check()


# --- not mirrored ---------------------------------------------------------------------------------


def test_linked_albums_are_not_mirrored(household: Household) -> None:
    household.add_to_album(household.linked_album, household.photo())
    household.create_album(household.anna, "Linked album of mine", assets=[own_photo(household, household.anna)])
    assert household.count("album") == 2


def test_album_that_becomes_linked_is_not_mirrored_any_more(household: Household) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    household.update_album(album, albumName="Linked album 2")
    assert [albums(household, user) for user in (household.anna, household.ben)] == [[], []]


def test_album_made_and_shared_in_one_transaction_has_no_counterpart_there(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo], users=[household.anna])
    assert albums(household, household.anna) == []
    assert len(albums(household, household.ben)) == 1
    household.add_to_album(album, household.photo())
    assert albums(household, household.anna) == []


def test_counterpart_goes_when_the_album_is_shared(household: Household) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    mine = counterpart(household, album, household.anna).id
    household.share_album(album, household.anna)
    assert albums(household, household.anna) == []
    assert audited(household, mine) == {household.anna}
    assert len(albums(household, household.ben)) == 1


def test_counterpart_with_pictures_of_its_owner_s_own_stays(household: Household) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    mine = counterpart(household, album, household.anna).id
    added = own_photo(household, household.anna)
    household.add_to_album(mine, added)
    household.share_album(album, household.anna)
    assert household.album_assets(mine) == {added}
    household.update_album(album, albumName="Sea")
    assert household.album(mine).albumName == "Beach"


def test_counterpart_comes_when_the_album_is_shared_no_more(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo], users=[household.anna])
    household.unshare_album(album, household.anna)
    assert household.album_assets(counterpart(household, album, household.anna).id) == {
        household.clone(photo, household.anna)
    }


def test_sharing_with_somebody_unlinked_changes_nothing(household: Household) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    household.share_album(album, household.clara)
    assert len(albums(household, household.anna)) == 1


@pytest.mark.parametrize("clone_first", [True, False])
@pytest.mark.parametrize("who", ["family", "ben"])
def test_what_each_puts_into_a_shared_album_is_in_it(household: Household, clone_first: bool, who: str) -> None:
    """The owner the own member, Anna hers: Immich was told of both."""
    photo, owner = household.photo(), getattr(household, who)
    album = household.create_album(owner, "Beach", users=[household.anna])
    theirs, clone = household.of(photo, who), household.clone(photo, household.anna)
    for asset in (clone, theirs) if clone_first else (theirs, clone):
        household.add_to_album(album, asset)
        household.comment(album, asset, household.asset(asset).ownerId)
    assert household.album_assets(album) == {theirs, clone}
    other = "ben" if who == "family" else "family"
    mine = counterpart(household, album, getattr(household, other)).id
    assert household.album_assets(mine) == {household.of(photo, other)}
    household.unshare_album(household.linked_album, household.anna)
    assert household.album_assets(album) == {theirs}
    assert household.album_assets(mine) == {household.of(photo, other)}


def test_sibling_in_a_shared_album_stays_when_the_other_is_taken_out(household: Household) -> None:
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    album = household.create_album(household.family, "Beach", assets=[photo], users=[household.anna])
    household.add_to_album(album, clone)
    mine = counterpart(household, album, household.ben).id
    household.remove_from_album(album, photo)
    assert household.album_assets(album) == {clone}
    assert household.album_assets(mine) == set()
    household.add_to_album(album, photo)
    household.remove_from_album(album, clone)
    assert household.album_assets(album) == {photo}
    assert household.album_assets(mine) == {household.clone(photo, household.ben)}


def test_picture_put_into_a_shared_counterpart_is_in_it_beside_its_sibling(household: Household) -> None:
    """Anna shares her counterpart with the family, who puts the source itself into it."""
    photo, other = household.photo(), household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo])
    mine = counterpart(household, album, household.anna).id
    household.share_album(mine, household.family)
    household.add_to_album(mine, other)
    household.add_to_album(album, other)
    clones = {household.clone(each, household.anna) for each in (photo, other)}
    assert household.album_assets(mine) == {*clones, other}
    household.remove_from_album(album, other)
    assert household.album_assets(mine) == {household.clone(photo, household.anna), other}


def test_what_a_guest_put_into_a_counterpart_is_taken_out_by_nobody_else(household: Household) -> None:
    """Ben shares his counterpart with Anna, who puts her clone into it."""
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    album = household.create_album(household.family, "Beach", assets=[photo])
    bens = counterpart(household, album, household.ben).id
    household.share_album(bens, household.anna)
    household.add_to_album(bens, clone)
    household.remove_from_album(album, photo)
    assert household.album_assets(bens) == {clone}


def test_clone_in_an_album_of_somebody_else_that_lacks_the_picture_stays(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.clara, "Clara's", users=[household.anna])
    clone = household.clone(photo, household.anna)
    household.add_to_album(album, clone)
    assert household.album_assets(album) == {clone}
    assert albums(household, household.family) == []


# --- deleting -------------------------------------------------------------------------------------


def test_creator_s_deletion_is_everybody_s(household: Household) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    counterparts = {user: counterpart(household, album, user).id for user in (household.anna, household.ben)}
    household.delete_album(album)
    assert household.count("album") == 1
    for user, mine in counterparts.items():
        assert audited(household, mine) == {user}


def test_creator_s_deletion_leaves_what_others_added(household: Household) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    mine, added = counterpart(household, album, household.anna).id, own_photo(household, household.anna)
    household.add_to_album(mine, added)
    household.delete_album(album)
    assert household.album_assets(mine) == {added}
    assert albums(household, household.ben) == []


def test_clone_s_owner_can_be_the_creator(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.anna, "Beach", assets=[household.clone(photo, household.anna)])
    household.delete_album(counterpart(household, album, household.family).id)
    assert len(albums(household, household.anna)) == len(albums(household, household.ben)) == 1
    household.delete_album(album)
    assert household.count("album") == 1


def test_who_saw_a_counterpart_that_is_withdrawn_gets_one(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo])
    household.share_album(counterpart(household, album, household.anna).id, household.ben)
    assert albums(household, household.ben) == []
    household.share_album(album, household.anna)
    assert albums(household, household.anna) == []
    mine = counterpart(household, album, household.ben).id
    assert household.album_assets(mine) == {household.clone(photo, household.ben)}
    household.check()


def test_somebody_else_s_deletion_is_their_own(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo])
    household.delete_album(counterpart(household, album, household.anna).id)
    household.add_to_album(album, household.photo())
    household.update_album(album, albumName="Sea")
    household.database.value("select linked.enqueue_all()")
    household.database.value("select linked.work_off(interval '10 seconds')")
    assert albums(household, household.anna) == []
    assert len(household.album_assets(album)) == 2
    assert len(household.album_assets(counterpart(household, album, household.ben).id)) == 2


@pytest.mark.parametrize("finally_gone", [False, True])
def test_account_of_the_creator_takes_nothing_of_others_along(household: Household, finally_gone: bool) -> None:
    photo = household.photo()
    album = household.create_album(household.anna, "Beach", assets=[household.clone(photo, household.anna)])
    theirs = counterpart(household, album, household.family).id
    before = household.album_assets(theirs)
    household.soft_delete_user(household.anna)
    if finally_gone:
        household.hard_delete_user(household.anna)
    assert household.album_assets(theirs) == before
    household.add_to_album(theirs, household.photo())
    assert len(household.album_assets(counterpart(household, theirs, household.ben).id)) == 2


# --- what hangs on the rows -----------------------------------------------------------------------


ACTIONS: dict[str, Callable[[Household, UUID, UUID], object]] = {
    "add another": lambda household, album, photo: household.add_to_album(album, household.photo()),
    "rename": lambda household, album, photo: household.update_album(album, albumName="Sea"),
    "extract metadata": lambda household, album, photo: household.extract_metadata(photo),
    "edit": lambda household, album, photo: household.update_exif(photo, description="sea"),
    "archive": lambda household, album, photo: household.archive(photo),
    "trash and restore": lambda household, album, photo: (household.trash([photo]), household.restore([photo])),
    "share": lambda household, album, photo: household.share_album(album, household.clara),
    "unlink another user": lambda household, album, photo: household.unshare_album(
        household.linked_album, household.ben
    ),
    "catch up": lambda household, album, photo: (
        household.database.value("select linked.enqueue_all()"),
        household.database.value("select linked.work_off(interval '10 seconds')"),
    ),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_comments_and_likes_survive(household: Household, action: str) -> None:
    photo = household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo])
    mine = counterpart(household, album, household.anna).id
    household.comment(album, photo, household.family, "nice")
    household.comment(mine, household.clone(photo, household.anna), household.anna)
    ACTIONS[action](household, album, photo)
    assert household.count("activity") == 2


def test_insert_of_what_sync_has_just_added_does_not_fail(household: Household) -> None:
    """Immich asks what is in the album, finds nothing, and inserts."""
    photo = household.photo()
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    mine = counterpart(household, album, household.anna).id
    clone = household.clone(photo, household.anna)
    household.add_to_album(album, photo)
    household.add_to_album(mine, clone)
    assert clone in household.album_assets(mine)


def test_clients_learn_what_left_an_album(household: Household) -> None:
    photo, other = household.photo(), household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo, other])
    mine, clone = counterpart(household, album, household.anna).id, household.clone(photo, household.anna)
    household.remove_from_album(album, photo)
    assert household.database.fetch(
        'select from album_asset_audit where "albumId" = %s and "assetId" = %s', [mine, clone]
    )


def test_clients_learn_what_came_into_an_album(household: Household) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    before = counterpart(household, album, household.anna)
    household.add_to_album(album, household.photo())
    assert counterpart(household, album, household.anna).updateId > before.updateId


# --- who leaves -----------------------------------------------------------------------------------


def test_unlinked_user_keeps_of_an_album_only_what_is_their_own(household: Household) -> None:
    album = household.create_album(household.family, "Beach", assets=[household.photo()])
    mine, added = counterpart(household, album, household.anna).id, own_photo(household, household.anna)
    theirs = counterpart(household, album, household.ben).id
    household.add_to_album(mine, added)
    household.link_folders("")
    assert household.album_assets(mine) == {added}
    assert not household.database.fetch("select from album where id = %s", [theirs])
    assert audited(household, theirs) == {household.ben}


def test_album_of_the_creator_s_stays_when_its_pictures_are_unlinked(household: Household) -> None:
    photo = household.photo()
    album = household.create_album(household.anna, "Beach", assets=[household.clone(photo, household.anna)])
    theirs = counterpart(household, album, household.family).id
    household.unshare_album(household.linked_album, household.anna)
    assert household.album(album).albumName == "Beach"
    assert household.album_assets(album) == set()
    assert household.album_assets(theirs) == {photo}


def test_viewer_s_albums_are_the_viewer_s_own(household: Household) -> None:
    household.set_viewer(household.anna)
    photo = household.photo()
    clone = household.clone(photo, household.anna)
    household.create_album(household.anna, "Mine", assets=[clone])
    assert albums(household, household.family) == albums(household, household.ben) == []
    album = household.create_album(household.family, "Beach", assets=[photo])
    mine = counterpart(household, album, household.anna).id
    household.update_album(mine, albumName="Sea")
    household.remove_from_album(mine, clone)
    assert household.album(album).albumName == "Beach"
    assert household.album_assets(album) == {photo}
    assert len(household.album_assets(counterpart(household, album, household.ben).id)) == 1


@pytest.fixture
def viewed(household: Household) -> Viewed:
    """Anna looks at two photos, and edits a third through another linked album."""
    household.set_viewer(household.anna)
    household.create_album(household.family, "Linked album 2", "/data/edited", users=[household.anna])
    seen, other = household.photo(), household.photo()
    return Viewed(household, seen, other, household.photo(household.family, "/data/edited/1.jpg"))


@dataclass
class Viewed:
    household: Household
    photo: UUID
    other: UUID
    edited: UUID

    def of_anna(self, *photos: UUID) -> set[UUID]:
        return {self.household.clone(photo, self.household.anna) for photo in photos}


def test_what_a_viewer_puts_into_a_counterpart_stays_there(viewed: Viewed) -> None:
    household, (clone,) = viewed.household, viewed.of_anna(viewed.other)
    album = household.create_album(household.family, "Beach", assets=[viewed.photo])
    mine = counterpart(household, album, household.anna).id
    household.add_to_album(mine, clone)
    assert household.album_assets(album) == {viewed.photo}
    household.add_to_album(album, viewed.other)
    household.remove_from_album(album, viewed.other)
    household.remove_from_album(album, viewed.photo)
    assert household.album_assets(mine) == {clone}


LEAVES: dict[str, Callable[[Household, UUID], object]] = {
    "replaced": lambda household, clone: household.replace_asset(clone, f"/data/upload/{household.anna}/new.jpg"),
    "unshared": lambda household, _: household.unshare_album(household.linked_album, household.anna),
    "viewer": lambda household, _: household.set_role(household.linked_album, household.anna, "viewer"),
    "account deleted": lambda household, _: household.delete("user", id=household.anna),
}
"""How a clone stops being one that its account shares with others."""


@pytest.mark.parametrize("how", LEAVES)
def test_what_only_an_editor_who_leaves_had_in_an_album_leaves_the_viewer_s_counterpart(
    household: Household, how: str
) -> None:
    household.set_viewer(household.ben)
    clone = household.clone(household.photo(), household.anna)
    album = household.create_album(household.anna, "Hers", assets=[clone], users=[household.family])
    mine = counterpart(household, album, household.ben).id
    assert household.album_assets(mine)
    LEAVES[how](household, clone)
    assert household.album_assets(mine) == set()
    household.check()


def test_what_an_editor_locked_stays_in_the_viewer_s_counterpart(household: Household) -> None:
    household.set_viewer(household.ben)
    clone = household.clone(household.photo(), household.anna)
    album = household.create_album(household.anna, "Hers", assets=[clone], users=[household.family])
    household.lock(clone)
    household.check()
    assert len(household.album_assets(counterpart(household, album, household.ben).id)) == 1


@pytest.mark.parametrize("how", ["delete", "share", "make linked"])
def test_counterpart_with_what_a_viewer_put_there_stays(viewed: Viewed, how: str) -> None:
    household, (clone,) = viewed.household, viewed.of_anna(viewed.other)
    album = household.create_album(household.family, "Beach", assets=[viewed.photo])
    mine = counterpart(household, album, household.anna).id
    household.add_to_album(mine, clone)
    match how:
        case "delete":
            household.delete_album(album)
        case "share":
            household.share_album(album, household.anna)
        case "make linked":
            household.update_album(album, albumName="Linked album 3")
    assert household.album_assets(mine) == {clone}


def test_viewer_s_removal_from_a_counterpart_is_undone(viewed: Viewed) -> None:
    household, (clone,) = viewed.household, viewed.of_anna(viewed.photo)
    album = household.create_album(household.family, "Beach", assets=[viewed.photo])
    mine = counterpart(household, album, household.anna).id
    household.remove_from_album(mine, clone)
    assert household.album_assets(mine) == {clone}
    household.remove_from_album(album, viewed.photo)
    assert household.album_assets(mine) == set()


def test_album_of_pictures_that_its_owner_edits_and_of_others_that_they_only_see(viewed: Viewed) -> None:
    household = viewed.household
    members = viewed.of_anna(viewed.photo, viewed.edited)
    album = household.create_album(household.anna, "Mine", assets=list(members))
    theirs = counterpart(household, album, household.family).id
    assert household.album_assets(theirs) == {viewed.edited}
    household.add_to_album(theirs, viewed.photo)
    household.remove_from_album(theirs, viewed.photo)
    assert household.album_assets(album) == members
    household.add_to_album(theirs, viewed.other)
    assert household.album_assets(album) == members | viewed.of_anna(viewed.other)
    household.remove_from_album(theirs, viewed.other, viewed.edited)
    assert household.album_assets(album) == viewed.of_anna(viewed.photo)


def test_clones_that_are_only_seen_do_not_leave_an_album_by_its_sharing(viewed: Viewed) -> None:
    """Whoever saw the album itself needs a counterpart when it is shared no more: of what its owner edits."""
    household = viewed.household
    members = viewed.of_anna(viewed.photo, viewed.edited)
    album = household.create_album(household.anna, "Mine", assets=list(members), users=[household.family])
    household.unshare_album(album, household.family)
    assert household.album_assets(counterpart(household, album, household.family).id) == {viewed.edited}


@pytest.mark.parametrize("edits", [False, True])
def test_only_who_edits_a_picture_of_it_renames_everybody_s_album(viewed: Viewed, edits: bool) -> None:
    household = viewed.household
    album = household.create_album(household.family, "Beach", assets=[viewed.edited if edits else viewed.photo])
    household.update_album(counterpart(household, album, household.anna).id, albumName="Sea")
    assert household.album(album).albumName == ("Sea" if edits else "Beach")
    assert counterpart(household, album, household.anna).albumName == ("Sea" if edits else "Beach")


def catch_up(household: Household) -> None:
    household.database.value("select linked.enqueue_all()")
    household.database.value("select linked.work_off(interval '10 seconds')")


@contextmanager
def suspended(household: Household) -> Iterator[None]:
    household.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'a test'")
    yield
    household.database.execute("update linked.installation set suspended_at = null, suspended_why = null")


def test_adding_never_takes_anything_out(household: Household) -> None:
    """Not even where members differ because something was missed."""
    photo, other = household.photo(), household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo])
    mine = counterpart(household, album, household.anna).id
    with suspended(household):
        household.add_to_album(mine, household.clone(other, household.anna))
    household.create_album(household.family, "Sea", assets=[other])
    assert household.clone(other, household.anna) in household.album_assets(mine)
    catch_up(household)
    assert household.album_assets(album) == {photo, other}


def test_what_left_an_album_unseen_leaves_a_viewer_s_counterpart_when_it_is_found_out(household: Household) -> None:
    household.set_viewer(household.anna)
    household.set_viewer(household.ben)
    photo, other = household.photo(), household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo])
    mine, own = counterpart(household, album, household.anna).id, household.clone(other, household.anna)
    household.add_to_album(mine, own)
    with suspended(household):
        household.remove_from_album(album, photo)
    catch_up(household)
    assert household.album_assets(mine) == {own}


@pytest.mark.parametrize("why", ["deleted", "shared"])
def test_viewer_s_own_album_of_the_same_name_stays_the_viewer_s_own(household: Household, why: str) -> None:
    """Where the viewer has no counterpart, an own album is not taken for one."""
    household.set_viewer(household.anna)
    photo = household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo])
    if why == "deleted":
        household.delete_album(counterpart(household, album, household.anna).id)
    else:
        household.share_album(album, household.anna)
    mine = household.create_album(household.anna, "Beach", assets=[household.clone(photo, household.anna)])
    catch_up(household)
    household.update_album(album, albumName="Sea")
    household.remove_from_album(album, photo)
    assert household.album(mine).albumName == "Beach"
    assert household.album_assets(mine) == {household.clone(photo, household.anna)}


def test_prefix_pictures_only(household: Household) -> None:
    """An album with pictures of two folders, of which one is unlinked, keeps the other's."""
    kept = household.photo(household.family, f"{MEDIA}/kept/1.jpg")
    left = household.photo(household.family, f"{MEDIA}/left/1.jpg")
    album = household.create_album(household.family, "Beach", assets=[kept, left])
    household.link_folders(f"{MEDIA}/kept")
    assert household.album_assets(album) == {kept, left}
    assert household.album_assets(counterpart(household, album, household.anna).id) == {
        household.clone(kept, household.anna)
    }


def test_locking_a_clone_takes_it_out_of_its_owner_s_album_alone(household: Household) -> None:
    photo, other = household.photo(), household.photo()
    album = household.create_album(household.family, "Beach", assets=[photo, other])
    mine, clone = counterpart(household, album, household.anna).id, household.clone(photo, household.anna)
    household.lock(clone)
    assert household.album_assets(album) == {photo, other}
    assert household.clone(photo, household.ben) in household.album_assets(
        counterpart(household, album, household.ben).id
    )
    assert household.album_assets(mine) == {household.clone(other, household.anna)}
    household.unlock(clone)
    assert household.album_assets(mine) == {clone, household.clone(other, household.anna)}
    assert household.album_assets(album) == {photo, other}


# --- who may not write ----------------------------------------------------------------------------


LOSING: dict[str, Callable[[Household], object]] = {
    "viewer": lambda household: household.set_viewer(household.anna),
    "unlinked": lambda household: household.unshare_album(household.linked_album, household.anna),
    "unlinked here": lambda household: (
        household.create_album(household.family, "Linked album 2", "/data/elsewhere", users=[household.anna]),
        household.photo(household.family, "/data/elsewhere/1.jpg"),
        household.unshare_album(household.linked_album, household.anna),
    ),
    "viewer here": lambda household: (
        household.create_album(household.family, "Linked album 2", "/data/elsewhere", users=[household.anna]),
        household.photo(household.family, "/data/elsewhere/1.jpg"),
        household.set_viewer(household.anna),
    ),
}
losing = pytest.mark.parametrize("how", LOSING)


@dataclass
class Trip:
    """An album that Anna made as an editor, of all or of some of the pictures in it."""

    household: Household
    album: UUID
    photos: tuple[UUID, UUID]
    family: UUID
    ben: UUID

    def is_whole(self) -> bool:
        """Whether the others have it as it was."""
        household = self.household
        (theirs,), (mine,) = albums(household, household.family), albums(household, household.ben)
        contents = household.album_assets(theirs.id), household.album_assets(mine.id)
        clones = {household.clone(photo, household.ben) for photo in self.photos}
        texts = {(album.albumName, album.description, album.order) for album in (theirs, mine)}
        return texts == {("Trip", "ours", "desc")} and contents == (set(self.photos), clones)


@pytest.fixture
def trip(household: Household) -> Trip:
    photos = household.photo(), household.photo()
    clones = [household.clone(photo, household.anna) for photo in photos]
    album = household.create_album(household.anna, "Trip", "ours", assets=clones)
    others = (counterpart(household, album, user).id for user in (household.family, household.ben))
    return Trip(household, album, photos, *others)


@losing
@pytest.mark.parametrize("off", [False, True])
@pytest.mark.parametrize("column", CHANGES)
def test_album_is_not_renamed_by_its_creator_who_may_not_write(trip: Trip, how: str, off: bool, column: str) -> None:
    household = trip.household
    LOSING[how](household)
    if off:
        with suspended(household):
            household.update_album(trip.album, **{column: CHANGES[column]})
        catch_up(household)
    else:
        household.update_album(trip.album, **{column: CHANGES[column]})
    assert trip.is_whole()
    if how == "unlinked":
        assert getattr(household.album(trip.album), column) == CHANGES[column]


@losing
def test_right_lost_and_album_renamed_while_sync_was_off(trip: Trip, how: str) -> None:
    household = trip.household
    with suspended(household):
        LOSING[how](household)
        household.update_album(trip.album, albumName="Private")
    catch_up(household)
    assert trip.is_whole()
    household.update_album(trip.album, albumName="Private again")
    assert trip.is_whole()


@losing
@pytest.mark.parametrize("how_gone", ["deleted", "linked"])
def test_album_is_not_deleted_for_others_by_its_creator_who_may_not_write(trip: Trip, how: str, how_gone: str) -> None:
    household = trip.household
    LOSING[how](household)
    if how_gone == "deleted":
        household.delete_album(trip.album)
    else:
        household.update_album(trip.album, albumName="Linked album of Anna")
    assert trip.is_whole()
    household.add_to_album(trip.family, household.photo())
    assert len(household.album_assets(trip.ben)) == 3
    if how_gone == "deleted":
        assert albums(household, household.anna) == []


@losing
def test_album_shared_and_unshared_by_its_creator_who_may_not_write(trip: Trip, how: str) -> None:
    household = trip.household
    LOSING[how](household)
    household.share_album(trip.album, household.ben)
    assert trip.is_whole()
    household.unshare_album(trip.album, household.ben)
    assert trip.is_whole()
    assert albums(household, household.ben)[0].id == trip.ben


@losing
def test_album_shared_while_its_creator_could_write_comes_back(trip: Trip, how: str) -> None:
    household = trip.household
    household.share_album(trip.album, household.ben)
    assert albums(household, household.ben) == []
    LOSING[how](household)
    household.unshare_album(trip.album, household.ben)
    assert trip.is_whole()


def test_who_saw_the_album_of_a_creator_who_is_unlinked_has_a_counterpart(trip: Trip) -> None:
    household = trip.household
    household.share_album(trip.album, household.ben)
    household.unshare_album(household.linked_album, household.anna)
    assert trip.is_whole()


def test_creator_who_is_unlinked_learns_nothing_more(trip: Trip) -> None:
    household = trip.household
    household.add_to_album(trip.album, own_photo(household, household.anna))
    mine = counterpart(household, trip.album, household.ben).id
    own = own_photo(household, household.ben)
    household.add_to_album(mine, own)
    for user in (household.anna, household.ben):
        household.unshare_album(household.linked_album, user)
    household.update_album(trip.family, albumName="Private")
    assert [album.albumName for album in albums(household, household.anna)] == ["Trip"]
    assert [album.albumName for album in albums(household, household.ben)] == ["Trip"]
    assert household.album_assets(mine) == {own}


def test_creator_who_is_linked_again_gets_the_album_as_the_others_have_it(trip: Trip) -> None:
    household = trip.household
    household.unshare_album(household.linked_album, household.anna)
    household.update_album(trip.album, albumName="Private")
    household.share_album(household.linked_album, household.anna)
    catch_up(household)
    assert trip.is_whole()
    assert {album.albumName: len(household.album_assets(album.id)) for album in albums(household, household.anna)} == {
        "Private": 0,
        "Trip": 2,
    }
    clone = household.clone(trip.photos[0], household.anna)
    household.add_to_album(trip.album, clone)
    assert household.album_assets(counterpart(household, trip.album, household.family).id) == {trip.photos[0]}
    household.delete_album(trip.album)
    assert trip.is_whole()


def test_creator_who_is_an_editor_again_rules_again(trip: Trip) -> None:
    household = trip.household
    household.set_viewer(household.anna)
    household.update_album(trip.album, albumName="Private")
    assert household.album(trip.album).albumName == "Trip"
    household.set_editor(household.anna)
    assert trip.is_whole()
    household.update_album(trip.album, albumName="Journey")
    assert household.album(trip.family).albumName == household.album(trip.ben).albumName == "Journey"
    household.delete_album(trip.album)
    assert albums(household, household.family) == albums(household, household.ben) == []


def test_others_go_on_with_the_album_of_a_creator_who_may_not_write(trip: Trip) -> None:
    household = trip.household
    household.set_viewer(household.anna)
    household.update_album(trip.ben, albumName="Journey")
    names = [household.album(album).albumName for album in (trip.family, trip.album)]
    assert names == ["Journey", "Journey"]
    household.update_album(trip.album, albumName="Private")
    assert household.album(trip.album).albumName == "Journey"


@pytest.mark.parametrize("how", ["lock", "take out", "trash"])
@pytest.mark.parametrize("what", ["rename", "share"])
def test_viewer_who_empties_a_counterpart_may_not_edit_it_by_that(viewed: Viewed, how: str, what: str) -> None:
    household, (clone,) = viewed.household, viewed.of_anna(viewed.photo)
    album = household.create_album(household.family, "Beach", assets=[viewed.photo])
    mine, theirs = (counterpart(household, album, user).id for user in (household.anna, household.ben))
    match how:
        case "lock":
            household.lock(clone)
        case "take out":
            household.add_to_album(mine, own_photo(household, household.anna))
            household.remove_from_album(mine, clone)
        case "trash":
            household.add_to_album(mine, own_photo(household, household.anna))
            household.trash([clone])
    if what == "rename":
        household.update_album(mine, albumName="Private", description="private")
    else:
        household.share_album(mine, household.ben)
        household.unshare_album(mine, household.ben)
    assert household.album(album).albumName == household.album(theirs).albumName == "Beach"
    assert household.album_assets(theirs) == {household.clone(viewed.photo, household.ben)}


@pytest.mark.parametrize("who", ["family", "anna"])
def test_editor_who_locked_the_pictures_of_a_counterpart_renames_it(household: Household, who: str) -> None:
    photo = household.photo()
    album = household.create_album(household.ben, "Beach", assets=[household.clone(photo, household.ben)])
    mine = counterpart(household, album, household.anna).id
    household.lock(household.clone(photo, household.anna))
    household.update_album(mine, albumName="Sea")
    assert household.album(album).albumName == "Sea"
    if who == "family":
        household.remove_from_album(album, household.clone(photo, household.ben))
    household.update_album(counterpart(household, album, getattr(household, who)).id, albumName="Lake")
    assert household.album(album).albumName == "Lake"


def test_of_a_viewer_s_withdrawn_counterpart_nothing_is_remembered(household: Household) -> None:
    household.set_viewer(household.ben)
    album = household.create_album(household.family, "Trip", assets=[household.photo()])
    assert household.database.value("select count(*) from linked.brought") == 1
    household.share_album(album, household.ben, "viewer")
    assert household.database.value("select count(*) from linked.brought") == 0
