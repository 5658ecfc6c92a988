"""Persons as views of person groups, from Immich v3.2.0 on (SPEC section 7), on databases of their own.

The other tests of people are about accounts that are each alone in their cluster group, as Immich makes them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from linked_asset import immich
from sample import create_immich
from tests.database import Databases
from tests.linked.conftest import Household, install, remove
from tests.linked.test_migrations_of_immich import MIGRATIONS

NEWEST = "v3.3.0"
FIRST = "v3.2.0"
BOX = (0, 0, 50, 50)
BOTH = pytest.mark.parametrize("household", [FIRST, NEWEST], indirect=True)


@pytest.fixture
def household(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Household]:
    """Family, Anna and Ben share a linked album; nobody shares a cluster group."""
    release = getattr(request, "param", NEWEST)
    plain = databases.template(f"immich_{release}", lambda connection: create_immich(connection, release))
    with databases.copy(plain) as database:
        install(database, release)
        household = Household(database, release)
        yield household
        household.check()


@pytest.fixture
def together(household: Household) -> Household:
    """Anna is in the cluster group of the family, Ben is alone."""
    household.join_cluster_group(household.anna, household.family)
    return household


def found(household: Household, asset: UUID, seed: object = "oma") -> UUID:
    """The only face of an asset, found by machine."""
    (face,) = household.detect_faces(asset, [BOX], seeds=[seed])
    return face


def shown(household: Household, asset: UUID) -> Any:
    (face,) = household.faces(asset)
    return face.personId


def face_of(household: Household, asset: UUID) -> UUID:
    (face,) = household.faces(asset)
    id_: UUID = face.id
    return id_


def named_photo(household: Household, name: str = "Oma", seed: object = "oma") -> tuple[UUID, UUID]:
    """A linked photo of a person of the family's."""
    photo = household.photo()
    person = household.create_person(household.family, name)
    household.recognize(found(household, photo, seed), person)
    return photo, person


def private_photo(household: Household, user: UUID, name: str) -> UUID:
    return household.photo(user, f"/data/upload/{user}/{name}.jpg")


def reconcile(household: Household) -> None:
    """Everything is looked at, and repaired where it differs."""
    household.database.execute("call linked.drain()")


def embedded(household: Household, asset: UUID) -> bool:
    rows = household.database.fetch('select from face_search where "faceId" = %s', [face_of(household, asset)])
    return bool(rows)


# --- apart ----------------------------------------------------------------------------------------


@BOTH
def test_a_person_that_is_made_has_a_group_of_its_own_account(household: Household) -> None:
    photo, oma = named_photo(household)
    mine = shown(household, household.clone(photo, household.anna))
    assert mine != oma
    groups = household.database.fetch(
        """select person_group.id from person_group join "user" using ("clusterGroupId") where "user".id = %s""",
        [household.anna],
    )
    assert [row.id for row in groups] == [mine]
    assert household.count("person_group") == household.count("person") == 3


@pytest.mark.parametrize("faces", [1, 3])
@pytest.mark.parametrize("who", ["family", "anna"])
@BOTH
def test_who_regenerates_people_unnames_nobody_else(household: Household, who: str, faces: int) -> None:
    photos = [named_photo(household, f"Person {count}", count)[0] for count in range(faces)]
    before = {asset: shown(household, asset) for photo in photos for asset in household.group(photo)}
    household.reset_faces(getattr(household, who))
    assert {asset: shown(household, asset) for photo in photos for asset in household.group(photo)} == before
    assert household.count("person where name <> ''") == 3 * faces


def test_who_regenerates_people_resets_private_pictures(household: Household) -> None:
    named_photo(household)
    own = private_photo(household, household.anna, "own")
    person = household.recognize(found(household, own, "somebody"))
    household.reset_faces(household.anna)
    assert shown(household, own) is None
    assert not household.persons(person)


def test_a_reset_of_the_server_unnames_everybody(household: Household) -> None:
    photo, _ = named_photo(household)
    household.reset_faces()
    assert [shown(household, asset) for asset in household.group(photo)] == [None] * 3
    assert household.count("person") == household.count("person_group") == household.count("linked.person_pair") == 0


@BOTH
def test_a_deleted_person_leaves_the_others_theirs(household: Household) -> None:
    photo, oma = named_photo(household)
    clone = household.clone(photo, household.anna)
    mine = shown(household, clone)
    household.delete_people([mine])
    reconcile(household)
    assert shown(household, clone) is None
    assert shown(household, photo) == oma
    assert household.person(shown(household, household.clone(photo, household.ben))).name == "Oma"
    assert household.count(f"person_audit where \"personGroupId\" = '{mine}'") == 1
    household.recognize(face_of(household, photo), household.create_person(household.family, "Granny"))
    assert household.person(shown(household, clone)).name == "Granny"


@BOTH
def test_what_was_made_goes_with_its_group_and_both_are_told(household: Household) -> None:
    photo, _ = named_photo(household)
    mine = shown(household, household.clone(photo, household.anna))
    household.unshare_album(household.linked_album, household.anna)
    assert not household.persons(mine)
    assert household.count(f"person_group where id = '{mine}'") == 0
    for audit in ("person_audit", "person_group_audit"):
        assert household.count(f"{audit} where \"personGroupId\" = '{mine}'") == 1, audit


@BOTH
def test_removal_takes_what_was_made_along(household: Household) -> None:
    photo, oma = named_photo(household)
    made = [shown(household, asset) for asset in household.group(photo)[1:]]
    own = private_photo(household, household.ben, "own")
    household.recognize(found(household, own), made[1] if household.persons(made[1], household.ben) else made[0])
    remove(household.database)
    left = {row.id for user in (household.family, household.anna, household.ben) for row in household.people(user)}
    kept = shown(household, own)
    assert left == {oma, kept}
    assert household.count("person_group") == 2
    gone = next(person for person in made if person != kept)
    for audit in ("person_audit", "person_group_audit"):
        assert household.count(f"{audit} where \"personGroupId\" = '{gone}'") == 1, audit
    install(household.database, household.running)


def test_persons_are_known_under_their_groups_when_immich_moves_on(databases: Databases) -> None:
    plain = databases.template("immich_v3.0.0", lambda connection: create_immich(connection, "v3.0.0"))
    with databases.copy(plain) as database:
        install(database, "v3.0.0")
        household = Household(database, "v3.0.0")
        photo, oma = named_photo(household)
        before = {asset: shown(household, asset) for asset in household.group(photo)}
        for release in (FIRST, NEWEST):
            with database.transaction():
                database.execute(MIGRATIONS[release])
            install(database, release)
            household.running, household.release = release, immich.release(release)
            assert not database.fetch("select linked.differences()")
            assert {asset: shown(household, asset) for asset in household.group(photo)} == before
            household.update_person(oma, name=release)
            assert {household.person(person).name for person in before.values()} == {release}
        assert household.count("person") == household.count("person_group") == 3
        remove(database)
        assert household.count("person") == household.count("person_group") == 1


def test_what_an_older_version_remembers_of_persons_is_kept(household: Household) -> None:
    named_photo(household)
    household.database.execute(
        """alter table linked.person_pair drop column pair_id;
           drop index linked.linked_person_pair_person_id_owner_id_key;
           alter table linked.person_pair add constraint linked_person_pair_pkey primary key (person_id)"""
    )
    before = household.database.fetch("select person_id, person_key, owner_id, made from linked.person_pair order by 1")
    install(household.database, household.running)
    assert before == household.database.fetch(
        "select person_id, person_key, owner_id, made from linked.person_pair order by 1"
    )


# --- together -------------------------------------------------------------------------------------


@pytest.mark.parametrize("household", [FIRST, NEWEST], indirect=True)
def test_the_counterpart_is_the_person_of_the_same_group(together: Household) -> None:
    photo = together.photo()
    oma = together.create_person(together.family, "Oma", birthDate=dt.date(1940, 1, 2), color="#ff0000")
    namesake = together.create_person(together.anna, "Oma")
    together.recognize(found(together, photo), oma)
    assert shown(together, together.clone(photo, together.anna)) == oma
    mine = together.person(oma, together.anna)
    assert (mine.name, mine.birthDate, mine.color) == ("Oma", dt.date(1940, 1, 2), "#ff0000")
    assert mine.faceAssetId == face_of(together, together.clone(photo, together.anna))
    assert shown(together, together.clone(photo, together.ben)) not in (oma, namesake)
    assert together.count("person_group") == 3


def test_a_person_of_the_group_that_is_there_is_filled_not_doubled(together: Household) -> None:
    oma = together.create_person(together.family, "Oma")
    together.create_person(together.anna, "", personGroupId=oma, isHidden=True)
    together.delete_empty_groups()
    photo = together.photo()
    together.recognize(found(together, photo), oma)
    mine = together.person(oma, together.anna)
    assert (mine.name, mine.isHidden) == ("Oma", True)
    assert len(together.people(together.anna)) == 1


def test_who_was_paired_before_stays_until_merged(household: Household) -> None:
    photo, oma = named_photo(household)
    clone = household.clone(photo, household.anna)
    own_oma = shown(household, clone)
    household.join_cluster_group(household.anna, household.family)
    second = household.photo()
    household.recognize(found(household, second), oma)
    assert shown(household, household.clone(second, household.anna)) == own_oma
    assert not household.persons(oma, household.anna)
    # Immich recognizes the family's person on a picture of Anna's own; Anna makes one of the two.
    private = private_photo(household, household.anna, "own")
    household.recognize(found(household, private), oma)
    household.merge_people(oma, own_oma)
    assert shown(household, clone) == shown(household, household.clone(second, household.anna)) == oma
    assert [row.id for row in household.people(household.anna)] == [oma]
    household.update_person(oma, household.family, name="Omi")
    assert household.person(oma, household.anna).name == "Omi"


def test_two_persons_for_one_human_being_change_nobody_s_pictures(household: Household) -> None:
    photo, oma = named_photo(household)
    clone = household.clone(photo, household.anna)
    own_oma = shown(household, clone)
    household.join_cluster_group(household.anna, household.family)
    third = household.photo()
    # The family gets a view of Anna's group, beside its own person.
    household.recognize(found(household, third), own_oma)
    assert shown(household, household.clone(third, household.anna)) == own_oma
    reconcile(household)
    assert (shown(household, photo), shown(household, third)) == (oma, own_oma)
    assert shown(household, clone) == shown(household, household.clone(third, household.anna)) == own_oma


def test_deleting_a_person_of_a_group_leaves_the_faces_open(together: Household) -> None:
    photo, oma = named_photo(together)
    clone = together.clone(photo, together.anna)
    together.delete_people([oma], together.anna)
    reconcile(together)
    assert not together.persons(oma, together.anna)
    assert (shown(together, photo), shown(together, clone)) == (oma, oma)
    assert together.person(oma, together.family).name == "Oma"
    # Immich recognizes the person on another picture of Anna's.
    private = private_photo(together, together.anna, "own")
    together.recognize(found(together, private), oma)
    reconcile(together)
    together.update_person(oma, together.family, name="Omi")
    assert together.person(oma, together.anna).name == "Omi"


def test_a_later_assignment_makes_the_person_again(together: Household) -> None:
    photo, oma = named_photo(together)
    clone = together.clone(photo, together.anna)
    together.delete_people([oma], together.anna)
    second = together.photo()
    together.recognize(found(together, second), oma)
    assert together.person(oma, together.anna).name == "Oma"
    assert shown(together, clone) == oma


def test_deleting_everywhere_empties_the_group(together: Household) -> None:
    photo, oma = named_photo(together)
    for owner in (together.anna, together.family):
        together.delete_people([oma], owner)
    assert [shown(together, together.of(photo, who)) for who in ("family", "anna")] == [None, None]
    assert together.person(shown(together, together.clone(photo, together.ben))).name == "Oma"
    reconcile(together)
    assert shown(together, photo) is None


def test_regenerating_a_cluster_group_takes_the_persons_back_from_outside(together: Household) -> None:
    photo, _ = named_photo(together)
    bens = shown(together, together.clone(photo, together.ben))
    together.reset_faces(together.anna)
    assert shown(together, together.clone(photo, together.ben)) == bens
    assert together.person(shown(together, photo), together.family).name == "Oma"
    assert shown(together, photo) == shown(together, together.clone(photo, together.anna))


def test_leaving_a_cluster_group_keeps_the_pairs(together: Household) -> None:
    photo, oma = named_photo(together)
    clone = together.clone(photo, together.anna)
    together.leave_cluster_group(together.anna)
    mine = shown(together, clone)
    assert mine != oma
    assert together.person(mine, together.anna).name == "Oma"
    assert [row.id for row in together.people(together.family)] == [oma]
    together.update_person(oma, together.family, name="Omi")
    assert together.person(mine, together.anna).name == "Omi"
    reconcile(together)
    assert len(together.people(together.anna)) == 1


def test_many_leave_at_once(together: Household) -> None:
    photos = [named_photo(together, "", count) for count in range(4)]
    colors = {}
    for count, (_, person) in enumerate(photos):
        colors[person] = f"#00000{count}"
        together.update_person(person, together.family, color=colors[person])
    together.leave_cluster_group(together.anna)
    for photo, person in photos:
        mine = shown(together, together.clone(photo, together.anna))
        assert together.person(mine, together.anna).color == colors[person]
        together.update_person(person, together.family, name=f"Name {person}")
        assert together.person(mine, together.anna).name == f"Name {person}"


def test_a_viewer_who_leaves_a_cluster_group_goes_on_following(together: Household) -> None:
    together.set_viewer(together.anna)
    photo, _ = named_photo(together)
    clone = together.clone(photo, together.anna)
    together.leave_cluster_group(together.anna)
    together.reassign_faces([face_of(together, photo)], together.create_person(together.family, "Granny"))
    assert together.person(shown(together, clone)).name == "Granny"


@pytest.mark.parametrize("first", ["family", "anna"])
@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_a_merge_within_a_cluster_group(together: Household, role: str, first: str) -> None:
    together.set_role(together.linked_album, together.anna, role)
    photos = named_photo(together, "One", 1), named_photo(together, "Other", 2)
    (_, one), (second, other) = photos
    together.merge_people(one, other, first=getattr(together, first))
    for photo, _ in photos:
        assert shown(together, photo) == shown(together, together.clone(photo, together.anna)) == one
    bens = {shown(together, together.clone(photo, together.ben)) for photo, _ in photos}
    assert len(bens) == 1
    for owner in (together.family, together.anna):
        assert [row.name for row in together.people(owner)] == ["One"]
        assert together.count(f"person_audit where \"ownerId\" = '{owner}'") == 1
    together.reassign_faces([face_of(together, second)], together.create_person(together.family, "Third"))
    mine = shown(together, together.clone(second, together.anna))
    assert together.person(mine, together.anna).name == "Third"


def test_a_merge_that_leaves_out_namesakes_unnames_nobody(together: Household) -> None:
    (first, one), (second, other) = named_photo(together, "One", 1), named_photo(together, "Other", 2)
    together.update_person(other, together.family, name="")
    together.update_person(other, together.anna, name="Somebody")
    together.merge_people(one, other, namesakes_only=True)
    for photo in (first, second):
        for asset in together.group(photo):
            assert together.persons(shown(together, asset), together.asset(asset).ownerId)


def test_unlinking_leaves_the_group_to_who_stays(together: Household) -> None:
    photo, oma = named_photo(together)
    together.unshare_album(together.linked_album, together.anna)
    assert shown(together, photo) == oma
    assert [row.ownerId for row in together.persons(oma)] == [together.family]
    assert together.count(f"person_audit where \"ownerId\" = '{together.anna}'") == 1
    assert together.count("person_group_audit") == 0
    together.share_album(together.linked_album, together.anna)
    assert shown(together, together.clone(photo, together.anna)) == oma


def test_removal_within_a_cluster_group(together: Household) -> None:
    photo, oma = named_photo(together)
    remove(together.database)
    assert [(row.ownerId, row.id) for row in together.persons(oma)] == [(together.family, oma)]
    assert shown(together, photo) == oma
    assert together.count("person") == together.count("person_group") == 1
    install(together.database, together.running)


def test_a_deleted_account_leaves_the_group_to_the_others(together: Household) -> None:
    photo, oma = named_photo(together)
    together.soft_delete_user(together.anna)
    together.hard_delete_user(together.anna)
    together.clean_people()
    assert shown(together, photo) == oma
    assert [row.ownerId for row in together.persons(oma)] == [together.family]


# --- embeddings -----------------------------------------------------------------------------------


def test_one_member_in_a_cluster_group_has_the_embeddings(together: Household) -> None:
    photo, _ = named_photo(together)
    assert [embedded(together, together.of(photo, who)) for who in ("family", "anna", "ben")] == [True, False, True]
    together.leave_cluster_group(together.anna)
    assert embedded(together, together.clone(photo, together.anna))
    together.join_cluster_group(together.ben, together.anna)
    assert embedded(together, photo)
    clones = [together.clone(photo, user) for user in (together.anna, together.ben)]
    assert sorted(embedded(together, clone) for clone in clones) == [False, True]


def test_the_embeddings_pass_on_when_who_has_them_is_unlinked(household: Household) -> None:
    photo, _ = named_photo(household)
    household.join_cluster_group(household.ben, household.anna)
    users = [household.anna, household.ben]
    bearer = next(user for user in users if embedded(household, household.clone(photo, user)))
    (other,) = set(users) - {bearer}
    household.unshare_album(household.linked_album, bearer)
    assert embedded(household, household.clone(photo, other))
    household.share_album(household.linked_album, bearer)


def test_a_passer_by_is_not_taken_for_somebody_seen_often(together: Household) -> None:
    together.join_cluster_group(together.ben, together.family)
    photo = together.photo()
    found(together, photo, "passer-by")
    together.run_recognition(together.unrecognized_faces())
    assert together.count("person") == 0


def test_detecting_faces_on_a_clone_again_brings_no_embedding_back(together: Household) -> None:
    photo, _ = named_photo(together)
    clone = together.clone(photo, together.anna)
    together.detect_faces(clone, [BOX, (200, 0, 250, 50)], seeds=["oma", "opa"])
    searched = together.database.fetch(
        """select "assetId", count(*) from face_search join asset_face on id = "faceId" group by 1"""
    )
    assert dict(searched) == {photo: 2, together.clone(photo, together.ben): 2}


# --- sharing of people ------------------------------------------------------------------------------


def test_sharing_everyone_doubles_nobody(together: Household) -> None:
    photo, oma = named_photo(together)
    for count in range(300):
        together.create_person(together.family, f"Person {count}")
    pairs = together.count("linked.person_pair")
    together.share_people(together.family, [together.anna])
    assert len(together.people(together.anna)) == 301
    assert together.count("linked.person_pair") == pairs
    assert shown(together, together.clone(photo, together.anna)) == oma


@pytest.mark.parametrize("role", ["read", "write"])
def test_names_of_shared_people_are_immich_s_affair(together: Household, role: str) -> None:
    photo, oma = named_photo(together)
    together.share_people(together.family, [together.anna], role)
    together.rename_shared(together.anna, oma, name="Granny", birthDate=dt.date(1941, 2, 3))
    theirs = together.person(oma, together.family)
    assert (theirs.name == "Granny") is (role == "write")
    assert (theirs.birthDate is not None) is (role == "write")
    together.update_person(oma, together.anna, color="#00ff00")
    assert together.person(oma, together.family).color == "#00ff00"
    # Between groups the name travels as it always does.
    assert together.person(shown(together, together.clone(photo, together.ben))).name == "Granny"


def test_who_gives_a_shared_person_up_loses_nobody_else_s(together: Household) -> None:
    photo, oma = named_photo(together)
    together.share_people(together.family, [together.anna])
    together.delete_people([oma], together.anna)
    assert together.count("person_user") == 0
    together.share_people(together.family, [together.anna])
    assert together.person(oma, together.anna).name == "Oma"
    reconcile(together)
    assert shown(together, together.clone(photo, together.anna)) == shown(together, photo) == oma


def test_who_leaves_with_shared_people_keeps_names(together: Household) -> None:
    photo, oma = named_photo(together)
    together.share_people(together.family, [together.anna])
    together.leave_cluster_group(together.anna)
    mine = shown(together, together.clone(photo, together.anna))
    assert together.person(mine, together.anna).name == "Oma"
    together.update_person(mine, together.anna, name="Granny")
    assert together.person(oma, together.family).name == "Granny"
