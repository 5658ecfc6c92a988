"""What many persons cost: never more than as many times what one does."""

from __future__ import annotations

import time

import pytest

from tests.builders.media import upload_path
from tests.linked.conftest import Household
from tests.release import SHOWN


@pytest.mark.slow
def test_sharing_with_somebody_who_has_many_persons(household: Household) -> None:
    """Little more than with somebody who knows nobody."""
    own = household.photo(household.clara, upload_path(household.clara, "jpg"))
    known = [household.create_person(household.clara) for _ in range(1000)]
    household.database.execute(
        f"""with face as (insert into asset_face ("assetId", {SHOWN}, "imageWidth", "imageHeight")
                    select %(asset)s, id, 1000, 1000 from unnest(%(known)s) as id returning id)
           insert into face_search ("faceId", embedding)
           select id, (select array_agg(random() - 0.5)::real[]
                       from generate_series(1, 512) where face.id is not null)
           from face""",
        {"known": known, "asset": own},
    )
    for _ in range(100):
        (face,) = household.detect_faces(household.photo(), [(1, 1, 20, 20)])
        household.recognize(face)
    household.database.execute("analyze")
    start = time.monotonic()
    household.share_album(household.linked_album, household.clara)
    took = time.monotonic() - start
    assert took < 8, took
    household.database.execute("call linked.drain()")
    assert household.database.value("select count(*) from linked.member where owner_id = %s", [household.clara]) == 100


@pytest.mark.slow
def test_whom_the_details_of_many_persons_reach(household: Household) -> None:
    """All of them are asked about at once where a viewer becomes an editor, say."""
    house, database = household, household.database
    members = house.group(house.photo())
    database.execute("set session_replication_role = replica")
    for _ in range(400):
        key = database.value("select gen_random_uuid()")
        for member in members:
            owner = house.asset(member).ownerId
            person = house.create_person(owner)
            database.execute(
                f'insert into asset_face ("assetId", {SHOWN}, "imageWidth", "imageHeight") values (%s, %s, 1000, 1000)',
                [member, person],
            )
            database.execute(
                "insert into linked.person_pair (person_id, owner_id, person_key) values (%s, %s, %s)",
                [person, owner, key],
            )
    database.execute("set session_replication_role = origin")
    database.execute("analyze")

    def seconds(count: int) -> float:
        asked = f"array(select pair_id from linked.person_pair where owner_id = %s limit {count})"
        took = []
        for _ in range(3):
            start = time.monotonic()
            reached = database.value(f"select count(*) from linked.reached({asked})", [house.family])
            took.append(time.monotonic() - start)
            assert reached == 2 * count
        return min(took)

    few, many = seconds(50), seconds(400)
    assert many < 16 * few, (few, many)
    database.execute("truncate linked.person_pair")
    database.execute("delete from asset_face")
