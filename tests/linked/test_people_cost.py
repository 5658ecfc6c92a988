"""Sharing with an account that knows many persons costs little more than sharing with one that knows nobody."""

from __future__ import annotations

import time

import pytest

from tests.builders.media import upload_path
from tests.linked.conftest import Household
from tests.release import SHOWN


@pytest.mark.slow
def test_sharing_with_somebody_who_has_many_persons(household: Household) -> None:
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
