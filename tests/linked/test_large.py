"""Twenty thousand assets: sharing returns soon, the rest follows in slices, unsharing is done at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.linked.conftest import MEDIA, Household
from tests.release import PERSON_ID, SHOWN

ASSETS = 20_000
WITH_FACES = 4_000

FILL = """
    select linked.start_writing();
    create temporary table new on commit drop as
        select gen_random_uuid() as id, gen_random_uuid() as face_id, n from generate_series(1, {assets}) as n;
    insert into asset ({columns}) select {values} from new;
    insert into asset_exif ("assetId", description, "fileSizeInByte") select id, 'text ' || n, 1000 from new;
    insert into asset_file ("assetId", type, path)
    select id, type, '/data/thumbs/' || id || type from new, unnest(array['preview', 'thumbnail']) as type;
    insert into asset_job_status ("assetId", "metadataExtractedAt") select id, now() from new;
    insert into smart_search select id, '{embedding}' from new;
    insert into asset_face (id, "assetId", {shown}, "imageWidth", "imageHeight", "boundingBoxX2", "boundingBoxY2")
    select face_id, new.id, person.{person_id}, 100, 100, 50, 50
    from new join person on person.name = 'Person ' || n % 20
    where n <= {faces};
    insert into face_search select face_id, '{embedding}' from new where n <= {faces};
    select linked.stop_writing()
"""

NEW_ASSET = {
    "id": "id", "ownerId": "'{owner}'", "checksum": "decode(md5(n::text), 'hex')", "checksumAlgorithm": "'sha1'",
    "originalPath": "'{media}/' || n / 1000 || '/' || n || '.jpg'", "deviceAssetId": "n::text", "deviceId": "'x'",
    "fileCreatedAt": "now()", "fileModifiedAt": "now()", "localDateTime": "now()", "type": "'IMAGE'",
    "originalFileName": "n || '.jpg'",
}  # fmt: skip

T = TypeVar("T")


def fill(household: Household, assets: int, faces: int) -> None:
    """So many assets of the family that nobody else has, so many of them with a face."""
    new = {column: value for column, value in NEW_ASSET.items() if household.has("asset", column)}
    script = FILL.replace("{values}", ", ".join(new.values())).format(
        columns=", ".join(f'"{column}"' for column in new),
        shown=SHOWN,
        person_id=PERSON_ID,
        assets=assets,
        faces=faces,
        owner=household.family,
        media=MEDIA,
        embedding=household.embedding("any"),
    )
    for number in range(20):
        household.create_person(household.family, f"Person {number}")
    with household.database.transaction():
        for statement in script.split(";"):
            household.database.execute(statement)
    household.database.execute("analyze")


def timed(what: str, act: Callable[[], T]) -> tuple[float, T]:
    begun = time.monotonic()
    result = act()
    seconds = time.monotonic() - begun
    print(f"{what}: {seconds:.2f} s")
    return seconds, result


@pytest.mark.slow
def test_sharing_a_large_album(household: Household) -> None:
    database = household.database
    for user in (household.anna, household.ben):
        household.unshare_album(household.linked_album, user)
    fill(household, ASSETS, WITH_FACES)

    def queued() -> int:
        return household.count("linked.queue")

    seconds, _ = timed("sharing", lambda: household.share_album(household.linked_album, household.anna))
    assert seconds < 4
    done = household.owned(household.anna)
    assert 500 < done < ASSETS
    assert queued() == ASSETS - done

    # Any write of Immich's takes a little of the queue along, unless another has just done so, and does not take long.
    person = household.create_person(household.clara, "Somebody")
    database.execute("delete from linked.pace")
    seconds, _ = timed("a write meanwhile", lambda: household.update_person(person, name="Else"))
    assert seconds < 1
    assert queued() < ASSETS - done

    slices = []

    def left() -> tuple[int, int]:
        """What is linked is looked at a second time later."""
        return queued(), household.count("linked.second_look")

    while (before := left()) != (0, 0):
        seconds, _ = timed("a slice", lambda: database.value("select linked.work_off('1 second')"))
        assert left() < before
        slices.append(seconds)
    print(f"{ASSETS / (sum(slices) or 1):.0f} assets per second, the longest slice took {max(slices):.2f} s")
    assert max(slices) < 3
    for table, key in {"asset_exif": "assetId", "asset_job_status": "assetId", "smart_search": "assetId"}.items():
        clones = f"""{table} join linked.member on asset_id = "{key}" where owner_id = '{household.anna}'"""
        assert household.count(clones) == ASSETS
    assert (
        household.count(f"""linked.face join linked.member using (asset_id) join asset_face on id = face_id
        where owner_id = '{household.anna}' and {SHOWN} is not null""")
        == WITH_FACES
    )

    seconds, _ = timed("unsharing", lambda: household.unshare_album(household.linked_album, household.anna))
    assert seconds < 30
    assert household.owned(household.anna) == 0
    assert household.count(f"""person where "ownerId" = '{household.anna}'""") == 0
    assert queued() == 0
