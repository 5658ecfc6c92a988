"""Persons and faces of viewers are the viewers' own, until they may write (SPEC sections 6 and 7)."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest

from tests.builders import Near
from tests.linked import test_unseen
from tests.linked.conftest import Household
from tests.linked.test_people import (
    BOX,
    OTHER_BOX,
    found,
    people,
    private_photo,
)
from tests.release import ALBUM_USER

SECRET = {"name": "Secret", "birthDate": dt.date(1999, 9, 9), "color": "#123456"}
ELSEWHERE = "/data/library/elsewhere"


@pytest.fixture
def household(household: Household) -> Household:
    """Anna is a viewer, Ben an editor."""
    household.set_viewer(household.anna)
    return household


@pytest.fixture
def second(household: Household) -> UUID:
    """Another linked album of the family's, of which Anna is an editor and Clara a viewer."""
    return household.create_album(
        household.family, "Linked album 2", ELSEWHERE, users={household.anna: "editor", household.clara: "viewer"}
    )


def elsewhere(household: Household, name: str = "1") -> UUID:
    """A picture that the second album shows."""
    return household.photo(household.family, f"{ELSEWHERE}/{name}.jpg")


def knowing(household: Household, *, secret: bool = True) -> UUID:
    """A person whom Anna knows from private pictures, by details that nobody else knows."""
    person = household.create_person(household.anna, **(SECRET if secret else {}))
    private_photo(household, household.anna, person, "oma")
    return person


def told(household: Household, user: UUID) -> set[str]:
    """Which of Anna's secrets an account's persons tell."""
    persons = people(household, user)
    return {column for column, secret in SECRET.items() if any(getattr(person, column) == secret for person in persons)}


def shown(household: Household, asset: UUID) -> UUID | None:
    """The person on the only face of an asset that is not hidden."""
    (face,) = household.faces(asset, deletedAt=None)
    person = face.personId
    assert person is None or isinstance(person, UUID)
    return person


def person_on(household: Household, asset: UUID) -> Any:
    person = shown(household, asset)
    assert person is not None
    return household.person(person)


def nobody_told(household: Household) -> bool:
    return not any(told(household, user) for user in (household.family, household.ben, household.clara))


def nobody_told_but(household: Household, user: UUID) -> bool:
    return not household.database.fetch(
        """select from person where "ownerId" <> %s and (name = %s or "birthDate" = %s or color = %s)""",
        [user, *SECRET.values()],
    )


def view(household: Household, photo: UUID) -> UUID:
    return household.clone(photo, household.anna)


# --- names, birth dates and colours ---------------------------------------------------------------


def before_pairing(household: Household, photo: UUID) -> None:
    knowing(household)
    household.recognize(found(household, photo))


def after_pairing(household: Household, photo: UUID) -> None:
    mine = knowing(household, secret=False)
    household.recognize(found(household, photo))
    household.update_person(mine, **SECRET)


def made_and_renamed(household: Household, photo: UUID) -> None:
    household.recognize(found(household, photo))
    household.update_person(person_on(household, view(household, photo)).id, **SECRET)


def merged_into(household: Household, photo: UUID) -> None:
    household.recognize(found(household, photo))
    mine = household.create_person(household.anna, **SECRET)
    private_photo(household, household.anna, mine, "somebody else")
    household.merge_people(person_on(household, view(household, photo)).id, mine)
    household.update_person(person_on(household, view(household, photo)).id, color=SECRET["color"])


def merged_away(household: Household, photo: UUID) -> None:
    household.recognize(found(household, photo))
    mine = household.create_person(household.anna, **SECRET)
    private_photo(household, household.anna, mine, "somebody else")
    household.merge_people(mine, person_on(household, view(household, photo)).id)


def put_on_the_clone(household: Household, photo: UUID) -> None:
    found(household, photo)
    household.reassign_faces([household.faces(view(household, photo))[0].id], knowing(household))


def drawn_on_the_clone(household: Household, photo: UUID) -> None:
    household.recognize(found(household, photo))
    household.create_face(view(household, photo), knowing(household), OTHER_BOX)


def drawn_on_the_family_s(household: Household, photo: UUID) -> None:
    """Immich allows that (until v2.7) to whoever sees the picture in the shared album."""
    household.create_face(photo, knowing(household))


WAYS = [
    before_pairing,
    after_pairing,
    made_and_renamed,
    merged_into,
    merged_away,
    put_on_the_clone,
    drawn_on_the_clone,
    drawn_on_the_family_s,
]


@pytest.mark.parametrize("way", WAYS)
def test_details_of_a_viewer_s_person_reach_nobody(household: Household, way: Any) -> None:
    photo, another = household.photo(), household.photo()
    way(household, photo)
    assert nobody_told(household)
    face = household.faces(photo)[0]
    person = face.personId or household.recognize(face.id)
    household.recognize(found(household, another), person)
    assert nobody_told(household)
    household.share_album(household.linked_album, household.clara)
    household.photo()
    household.database.execute("call linked.drain()")
    assert nobody_told(household)
    namesake = household.create_person(household.family, "Oma's twin")
    household.recognize(found(household, household.photo(), "twin"), namesake)
    household.merge_people(namesake, person)
    assert nobody_told(household)


@pytest.mark.parametrize("way", WAYS)
def test_details_of_a_viewer_s_person_do_not_leave_by_another_album(
    household: Household, second: UUID, way: Any
) -> None:
    """An editor of another album, which does not show the person."""
    elsewhere(household)
    photo = household.photo()
    way(household, photo)
    household.photo()
    household.update_person(household.create_person(household.anna, "Nobody"), name="Somebody")
    assert nobody_told(household)


@pytest.mark.parametrize("column", SECRET)
def test_details_leave_once_a_picture_shows_the_person_on_which_the_account_may_write(
    household: Household, second: UUID, column: str
) -> None:
    photo = household.photo()
    mine = knowing(household)
    oma = household.recognize(found(household, photo))
    assert nobody_told(household)
    household.recognize(found(household, elsewhere(household)), oma)
    for user in (household.family, household.ben, household.clara):
        assert column in told(household, user)
    household.update_person(mine, name="Omi")
    assert {person.name for person in people(household, household.ben)} == {"Omi"}


def test_viewer_s_persons_take_the_others_details(household: Household) -> None:
    mine = knowing(household, secret=False)
    oma = household.recognize(found(household, household.photo()))
    household.update_person(oma, name="Oma", birthDate=dt.date(1940, 1, 2), color="#ff0000")
    person = household.person(mine)
    assert (person.name, person.birthDate, person.color) == ("Oma", dt.date(1940, 1, 2), "#ff0000")


def test_a_stranger_s_person_on_a_linked_picture_stays_the_stranger_s(household: Household) -> None:
    """Clara sees the picture in an ordinary album."""
    photo = household.photo()
    theirs = household.create_person(household.clara, **SECRET)
    household.create_face(photo, theirs)
    assert [shown(household, member) for member in household.group(photo)] == [theirs, None, None]
    assert not told(household, household.family)


def test_a_viewer_s_person_on_the_family_s_picture_is_put_on_the_viewer_s_clone(household: Household) -> None:
    photo = household.photo()
    mine = household.create_person(household.anna, "Oma")
    household.create_face(photo, mine)
    assert shown(household, view(household, photo)) == mine
    assert shown(household, photo) is shown(household, household.clone(photo, household.ben)) is None


def by_repair(household: Household, photo: UUID) -> None:
    switch_sync(household, on=True)
    repair(household, photo)


def by_queue(household: Household, photo: UUID) -> None:
    switch_sync(household, on=True)
    household.database.execute("call linked.drain()")


def by_reconcile(household: Household, photo: UUID) -> None:
    test_unseen.by_reconcile(household.database)


def by_upgrade(household: Household, photo: UUID) -> None:
    test_unseen.by_upgrade(household.database)


@pytest.mark.parametrize("catch_up", [by_repair, by_queue, by_reconcile, by_upgrade])
@pytest.mark.parametrize("whose", ["family", "ben"])
@pytest.mark.parametrize("known", ["nobody", "somebody"])
@pytest.mark.parametrize("who", ["anna", "clara"])
def test_what_a_viewer_or_stranger_put_on_a_face_unseen_reaches_nobody(
    household: Household, who: str, known: str, whose: str, catch_up: Any
) -> None:
    photo = household.photo()
    face = found(household, photo)
    if known == "somebody":
        household.recognize(face, household.create_person(household.family, "Oma"))
    theirs = household.create_person(getattr(household, who), **SECRET)
    switch_sync(household, on=False)
    household.reassign_faces([household.faces(household.of(photo, whose))[0].id], theirs)
    household.update_exif(photo, description="missed")
    catch_up(household, photo)
    assert nobody_told_but(household, getattr(household, who))
    if who == "anna":
        assert shown(household, view(household, photo)) == theirs
        if known == "nobody":
            assert shown(household, photo) is shown(household, household.clone(photo, household.ben)) is None
    if known == "somebody":
        assert {person_on(household, household.of(photo, user)).name for user in ("family", "ben")} == {"Oma"}


def test_what_a_viewer_put_on_others_faces_unseen_is_a_difference(household: Household) -> None:
    photo = household.photo()
    face = found(household, photo)
    mine = household.create_person(household.anna, **SECRET)
    switch_sync(household, on=False)
    household.reassign_faces([face], mine)
    test_unseen.by_reconcile(household.database)
    assert shown(household, photo) is None
    assert shown(household, view(household, photo)) == mine


def test_what_a_viewer_put_on_the_clone_later_than_on_others_faces_stays(household: Household) -> None:
    photo = household.photo()
    face = found(household, photo)
    earlier, later = (household.create_person(household.anna, name) for name in ("Earlier", "Later"))
    switch_sync(household, on=False)
    household.reassign_faces([face], earlier)
    switch_sync(household, on=True)
    household.reassign_faces([household.faces(view(household, photo))[0].id], later)
    test_unseen.by_reconcile(household.database)
    assert shown(household, view(household, photo)) == later
    assert shown(household, photo) is None


def stranger_becomes_viewer(household: Household, photo: UUID) -> None:
    household.share_album(household.linked_album, household.clara, "viewer")


def somebody_joins(household: Household, photo: UUID) -> None:
    household.share_album(household.linked_album, household.create_user("Dora"))


def nothing(household: Household, photo: UUID) -> None:
    pass


@pytest.mark.parametrize("deed", [nothing, stranger_becomes_viewer, somebody_joins])
@pytest.mark.parametrize("known", ["nobody", "somebody"])
def test_what_a_stranger_put_on_a_face_leads_at_no_later_repair(household: Household, known: str, deed: Any) -> None:
    photo = household.photo()
    face = found(household, photo)
    if known == "somebody":
        household.recognize(face, household.create_person(household.family, "Oma"))
    household.reassign_faces([face], household.create_person(household.clara, **SECRET))
    deed(household, photo)
    switch_sync(household, on=False)
    household.update_exif(photo, description="missed")
    by_queue(household, photo)
    assert nobody_told_but(household, household.clara)


# --- what a viewer put on a clone stays --------------------------------------------------------------


def reassign(household: Household, photo: UUID) -> None:
    household.reassign_faces([household.faces(photo)[0].id], household.create_person(household.family, "Opa"))


def unassign(household: Household, photo: UUID) -> None:
    household.reassign_faces([household.faces(photo)[0].id], None)


def delete_person(household: Household, photo: UUID) -> None:
    household.delete_people([person_on(household, photo).id])


def merge_away(household: Household, photo: UUID) -> None:
    other = household.create_person(household.family, "Opa")
    household.recognize(found(household, household.photo(), "opa"), other)
    household.merge_people(other, person_on(household, photo).id)


def merge_into(household: Household, photo: UUID) -> None:
    other = household.create_person(household.family, "Opa")
    household.recognize(found(household, household.photo(), "opa"), other)
    household.merge_people(person_on(household, photo).id, other)


def delete_face(household: Household, photo: UUID) -> None:
    household.delete_face(household.faces(photo)[0].id, force=True)


def hide_face(household: Household, photo: UUID) -> None:
    household.delete_face(household.faces(photo)[0].id)


def rename(household: Household, photo: UUID) -> None:
    household.update_person(person_on(household, photo).id, name="Oma")


def repair(household: Household, photo: UUID) -> None:
    household.database.execute("select linked.mend_alone(array[%s])", [photo])


def add_user(household: Household, photo: UUID) -> None:
    household.share_album(household.linked_album, household.clara)


DEEDS = [reassign, unassign, delete_person, merge_away, merge_into, delete_face, hide_face, rename, repair, add_user]


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("known", ["nobody", "somebody"])
def test_person_that_a_viewer_put_on_a_clone_stays(household: Household, known: str, deed: Any) -> None:
    photo = household.photo()
    face = found(household, photo)
    if known == "somebody":
        household.recognize(face)
    mine = household.create_person(household.anna, "Mine")
    clone = view(household, photo)
    household.reassign_faces([household.faces(clone)[0].id], mine)
    if known == "nobody":
        household.recognize(face)
    assert shown(household, clone) == mine
    deed(household, photo)
    assert shown(household, clone) == mine
    assert household.person(mine).ownerId == household.anna


@pytest.mark.parametrize("deed", DEEDS)
def test_face_that_a_viewer_drew_stays(household: Household, deed: Any) -> None:
    photo = household.photo()
    mine = household.create_person(household.anna, "Mine")
    clone = view(household, photo)
    drawn = household.create_face(clone, mine, OTHER_BOX)
    household.recognize(found(household, photo))
    deed(household, photo)
    assert mine in {face.personId for face in household.faces(clone, id=drawn, deletedAt=None)}


@pytest.mark.parametrize("deed", DEEDS)
def test_whoever_edits_another_album_keeps_what_they_put_where_they_view(
    household: Household, second: UUID, deed: Any
) -> None:
    """Anna's person is on a picture of the other album too, where it is the family's as well."""
    photo = household.photo()
    oma = household.recognize(found(household, photo))
    mine = household.create_person(household.anna, "Mine")
    theirs = household.create_person(household.family, "Mine")
    household.recognize(found(household, elsewhere(household), "mine"), theirs)
    clone = view(household, photo)
    household.reassign_faces([household.faces(clone)[0].id], mine)
    assert person_on(household, photo).id == oma
    deed(household, photo)
    assert shown(household, clone) == mine


def switch_sync(household: Household, on: bool) -> None:
    household.database.execute(
        "update linked.installation set suspended_at = %s, suspended_why = %s",
        [None, None] if on else [dt.datetime.now(dt.UTC), "a test"],
    )


@pytest.mark.parametrize("later", ["anna", "family"])
def test_of_what_was_put_on_a_face_while_sync_was_off_the_later_counts(household: Household, later: str) -> None:
    photo = household.photo()
    household.recognize(found(household, photo))
    clone = view(household, photo)
    persons = {who: household.create_person(getattr(household, who), f"of {who}") for who in ("anna", "family")}
    switch_sync(household, on=False)
    for who in sorted(persons, key=lambda who: who == later):
        household.reassign_faces([household.faces(household.of(photo, who))[0].id], persons[who])
    switch_sync(household, on=True)
    repair(household, photo)
    assert person_on(household, household.clone(photo, household.ben)).name == "of family"
    assert person_on(household, photo).name == "of family"
    if later == "anna":
        assert shown(household, clone) == persons["anna"]
        unassign(household, photo)
        assert shown(household, clone) == persons["anna"]


def test_what_the_viewer_did_not_touch_follows_the_others(household: Household) -> None:
    photo = household.photo()
    household.recognize(found(household, photo), household.create_person(household.family, "Oma"))
    clone = view(household, photo)
    reassign(household, photo)
    assert person_on(household, clone).name == "Opa"
    unassign(household, photo)
    assert shown(household, clone) is None


def test_a_face_that_a_viewer_took_a_person_off_stays_open_until_somebody_assigns_it(household: Household) -> None:
    photo = household.photo()
    household.recognize(found(household, photo))
    clone = view(household, photo)
    household.reassign_faces([household.faces(clone)[0].id], None)
    repair(household, photo)
    assert shown(household, clone) is None
    reassign(household, photo)
    assert person_on(household, clone).name == "Opa"


def test_a_viewer_s_own_person_is_not_merged_with_what_it_shows_besides(household: Household) -> None:
    """The family merges two of whom the viewer has known each, by private pictures too."""
    photos = [household.photo() for _ in range(2)]
    mine = [household.create_person(household.anna, name) for name in ("One", "Two")]
    seeds = ("one", "two")
    private = [private_photo(household, household.anna, who, seed) for who, seed in zip(mine, seeds, strict=True)]
    theirs = [household.recognize(found(household, photo, seed)) for photo, seed in zip(photos, seeds, strict=True)]
    assert [shown(household, view(household, photo)) for photo in photos] == mine
    household.merge_people(theirs[0], theirs[1])
    assert [shown(household, view(household, photo)) for photo in photos] == [mine[0], mine[0]]
    assert [shown(household, photo) for photo in private] == mine


def test_what_a_mixed_account_put_where_it_views_is_not_merged_away(household: Household, second: UUID) -> None:
    photo, shared = household.photo(), elsewhere(household)
    theirs = household.recognize(found(household, shared, "mine"), household.create_person(household.family, "Mine"))
    mine = person_on(household, view(household, shared)).id
    found(household, photo)
    clone = view(household, photo)
    household.reassign_faces([household.faces(clone)[0].id], mine)
    drawn = household.create_face(clone, mine, OTHER_BOX)
    oma = household.create_person(household.family, "Oma")
    household.recognize(found(household, household.photo(), "other"), oma)
    household.merge_people(oma, theirs)
    assert {face.personId for face in household.faces(clone)} == {mine}
    assert drawn in {face.id for face in household.faces(clone)}
    assert person_on(household, view(household, shared)).name == "Oma"


def test_a_mixed_account_s_merge_is_told_where_it_may_write(household: Household, second: UUID) -> None:
    """Anna merges two whom the first album alone shows to her: that is her affair."""
    photos = [household.photo() for _ in range(2)]
    elsewhere(household)
    for photo, name in zip(photos, ("Oma", "Opa"), strict=True):
        household.recognize(found(household, photo, name), household.create_person(household.family, name))
    before = household.rows_of(household.family, household.ben, household.clara)
    kept, merged = (person_on(household, view(household, photo)).id for photo in photos)
    household.merge_people(kept, merged)
    assert household.rows_of(household.family, household.ben, household.clara) == before


def test_a_mixed_account_s_merge_reaches_everybody_by_what_it_may_write_on(household: Household, second: UUID) -> None:
    photos = [household.photo(), elsewhere(household)]
    for photo, name in zip(photos, ("Oma", "Opa"), strict=True):
        household.recognize(found(household, photo, name), household.create_person(household.family, name))
    kept, merged = (person_on(household, view(household, photo)).id for photo in photos)
    household.merge_people(kept, merged)
    for photo in photos:
        for member in household.group(photo):
            assert person_on(household, member).name == "Oma"


def test_reset_of_everybody_s_recognition_leaves_the_viewer_s_drawn_faces(household: Household) -> None:
    photos = [household.photo() for _ in range(3)]
    for photo in photos:
        found(household, photo)
    household.run_recognition(household.unrecognized_faces())
    mine = household.create_person(household.anna, "Mine")
    clone = view(household, photos[0])
    household.reassign_faces([household.faces(clone)[0].id], mine)
    drawn = household.create_face(clone, mine, OTHER_BOX)
    household.reset_faces()
    household.run_recognition(household.unrecognized_faces())
    assert {face.personId for face in household.faces(clone) if face.id == drawn} == {mine}
    assert all(shown(household, photo) for photo in photos)
    assert all(shown(household, view(household, photo)) for photo in photos[1:])


# --- a viewer becomes an editor ------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_drawn_faces_are_everybody_s_once_the_viewer_is_an_editor(household: Household, named: bool) -> None:
    photo = household.photo()
    clone = view(household, photo)
    mine = household.create_person(household.anna, "Oma", birthDate=dt.date(1940, 1, 2)) if named else None
    drawn = household.create_face(clone, mine)
    household.set_editor(household.anna)
    assert [face.id for face in household.faces(clone)] == [drawn]
    for member in household.group(photo):
        (face,) = household.faces(member)
        assert face.sourceType == "manual"
        if named:
            person = person_on(household, member)
            assert (person.name, person.birthDate) == ("Oma", dt.date(1940, 1, 2))
    household.detect_faces(photo, [], seeds=[])
    assert all(len(household.faces(member)) == 1 for member in household.group(photo))


def test_a_drawn_face_that_was_found_since_is_one(household: Household) -> None:
    photo = household.photo()
    clone = view(household, photo)
    mine = household.create_person(household.anna, "Oma")
    household.create_face(clone, mine, (0, 5, 50, 50))
    found(household, photo)
    household.set_editor(household.anna)
    for member in household.group(photo):
        (face,) = household.faces(member)
        assert (face.sourceType, household.person(face.personId).name) == ("machine-learning", "Oma")
    assert shown(household, clone) == mine
    audited = household.database.fetch('select "assetId" from asset_face_audit')
    assert [row.assetId for row in audited] == [clone]


def test_a_drawn_face_where_one_shows_somebody_else_stays(household: Household) -> None:
    photo = household.photo()
    mine = household.create_person(household.anna, "Mine")
    household.create_face(view(household, photo), mine, (0, 5, 50, 50))
    household.recognize(found(household, photo), household.create_person(household.family, "Oma"))
    household.set_editor(household.anna)
    for member in household.group(photo):
        names = {household.person(face.personId).name for face in household.faces(member)}
        assert names == {"Oma", "Mine"}


def test_a_nameless_drawn_face_takes_nobody_off_the_others(household: Household) -> None:
    photo = household.photo()
    household.recognize(found(household, photo), household.create_person(household.family, "Oma"))
    clone = view(household, photo)
    household.reassign_faces([household.faces(clone)[0].id], None)
    household.create_face(clone, None, BOX)
    household.set_editor(household.anna)
    assert person_on(household, photo).name == person_on(household, household.clone(photo, household.ben)).name == "Oma"
    assert len(household.faces(clone)) == 1


def test_persons_put_on_faces_are_everybody_s_once_the_viewer_is_an_editor(household: Household) -> None:
    photo, other = household.photo(), household.photo()
    found(household, photo)
    household.recognize(found(household, other, "opa"), household.create_person(household.family, "Opa"))
    mine = [household.create_person(household.anna, name) for name in ("Oma", "Uncle")]
    for asset, person in zip((photo, other), mine, strict=True):
        household.reassign_faces([household.faces(view(household, asset))[0].id], person)
    household.set_editor(household.anna)
    for asset, name in zip((photo, other), ("Oma", "Uncle"), strict=True):
        assert [person_on(household, member).name for member in household.group(asset)] == [name] * 3
    household.update_person(mine[0], name="Omi")
    assert person_on(household, photo).name == "Omi"


def test_the_later_of_two_assignments_counts_when_the_viewer_becomes_an_editor(household: Household) -> None:
    photo = household.photo()
    face = found(household, photo)
    mine = household.create_person(household.anna, "Mine")
    household.reassign_faces([household.faces(view(household, photo))[0].id], mine)
    household.recognize(face, household.create_person(household.family, "Oma"))
    household.reassign_faces([face], household.create_person(household.family, "Opa"))
    household.set_editor(household.anna)
    assert person_on(household, photo).name == person_on(household, household.clone(photo, household.ben)).name == "Opa"
    household.update_person(person_on(household, photo).id, name="Grandpa")
    assert {person_on(household, member).name for member in household.group(photo)} == {"Grandpa"}


def test_two_viewers_become_editors_at_once(household: Household) -> None:
    household.set_viewer(household.ben)
    photo = household.photo()
    clones = [household.clone(photo, user) for user in (household.anna, household.ben)]
    for clone, box in zip(clones, (BOX, OTHER_BOX), strict=True):
        household.create_face(clone, household.create_person(household.asset(clone).ownerId, f"{box}"), box)
    household.database.execute(
        f"update album_user set role = 'editor' where {ALBUM_USER.albumId} = %s and role = 'viewer'",
        [household.linked_album],
    )
    for member in household.group(photo):
        assert len(household.faces(member)) == 2
        assert {household.person(face.personId).name for face in household.faces(member)} == {f"{BOX}", f"{OTHER_BOX}"}


def test_becoming_an_editor_of_another_album_that_shows_the_picture_is_enough(household: Household) -> None:
    photo = household.photo()
    household.create_face(view(household, photo), household.create_person(household.anna, "Oma"))
    users = {household.anna: "editor"}
    album = household.create_album(household.family, "Linked album 2", "/data/library", users=users)
    assert [person_on(household, member).name for member in household.group(photo)] == ["Oma"] * 3
    household.delete_album(album)
    assert person_on(household, photo).name == "Oma"


def test_a_face_that_others_removed_is_there_again(household: Household) -> None:
    photo, other = household.photo(), household.photo()
    mine = household.create_person(household.anna, "Mine")
    for asset, force in ((photo, True), (other, False)):
        found(household, asset)
        household.reassign_faces([household.faces(view(household, asset))[0].id], mine)
        household.delete_face(household.faces(asset)[0].id, force=force)
    household.set_editor(household.anna)
    for asset in (photo, other):
        for member in household.group(asset):
            assert person_on(household, member).name == "Mine"


def test_what_a_viewer_knows_from_private_pictures_is_told_once_a_shared_one_shows_it(household: Household) -> None:
    photo = household.photo()
    mine = knowing(household)
    friend = household.create_person(household.anna, "Friend")
    private_photo(household, household.anna, friend, "friend")
    household.recognize(found(household, photo, Near("oma", 0.1)))
    assert shown(household, view(household, photo)) == mine
    household.set_editor(household.anna)
    assert person_on(household, photo).name == SECRET["name"]
    assert "Friend" not in {person.name for person in people(household, household.family)}
