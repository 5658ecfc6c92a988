"""Jobs of one group that overlap: no file stays lost, and a group that may have lost one is known."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from linked_asset.database import engine_for
from linked_asset.doctor import PROBLEM, examine
from linked_asset.status import status
from linked_asset.watch import Worker
from tests.builders.jobs import thumbnail_path
from tests.linked.conftest import MEDIA, Household, install, remove
from tests.linked.disk import Disk, Storage, interleave, run
from tests.linked.overlap import FOREIGN, group, outcomes, settle, tell

MEMBERS = ("family", "anna", "ben")


@pytest.fixture
def storage(household: Household, tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(household, Disk(tmp_path))
    yield storage
    assert storage.missing() == []


# --- the rule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("queued", [False, True], ids=["deletes inline", "queues deletes"])
@pytest.mark.parametrize("path", [0, FOREIGN], ids=["own path", "foreign path"])
@pytest.mark.parametrize(
    ("members", "rounds"), [(2, 1), (2, 2), (2, 3), (3, 1), pytest.param(3, 2, marks=pytest.mark.slow)]
)
def test_every_order_loses_nothing_unseen(members: int, rounds: int, path: int, queued: bool) -> None:
    ended, _ = outcomes(group(members, rounds, path), queued=queued)
    assert [state for state in ended if not state.safe] == []
    assert [state for state in ended if settle(state).lost] == []


@pytest.mark.parametrize("queued", [False, True], ids=["deletes inline", "queues deletes"])
@pytest.mark.parametrize("path", [0, FOREIGN], ids=["own path", "foreign path"])
@pytest.mark.parametrize("members", [2, 3])
def test_jobs_that_do_not_overlap_never_lose_a_file(members: int, path: int, queued: bool) -> None:
    ended, missing = outcomes(group(members, 2, path), queued=queued, alone=True)
    assert not missing
    assert not any(state.unsettled for state in ended)


def test_the_rule_is_needed() -> None:
    ended, _ = outcomes(group(2, 1), queued=False)
    assert any(state.lost for state in ended)


# --- the rule in the database -------------------------------------------------------------------------


def sequences(members: int, rounds: int) -> list[tuple[int, ...]]:
    """All that the database can be told by so many members' jobs: who tells, in which order."""
    return [
        order
        for length in range(members * rounds + 1)
        for order in itertools.product(range(members), repeat=length)
        if all(order.count(who) <= rounds for who in range(members))
    ]


def tell_database(house: Household, member: UUID) -> None:
    asset = house.asset(member)
    house.upsert_files(
        *({"assetId": member, "type": kind, "path": thumbnail_path(asset, kind)} for kind in ("preview", "thumbnail"))
    )


def is_unsettled(house: Household, source: UUID) -> bool:
    return bool(house.database.fetch("select from linked.unsettled where source_id = %s", [source]))


@pytest.mark.parametrize("viewer", [False, True], ids=["editors", "a viewer"])
@pytest.mark.parametrize("foreign", [False, True], ids=["own path", "foreign path"])
@pytest.mark.parametrize(("members", "rounds"), [(2, 2), (3, 1), pytest.param(3, 2, marks=pytest.mark.slow)])
def test_the_database_keeps_the_rule(
    household: Household, members: int, rounds: int, foreign: bool, viewer: bool
) -> None:
    house = household
    if viewer:
        house.set_viewer(house.anna)
    for order in sequences(members, rounds):
        photo = house.photo()
        everybody = [house.of(photo, who) for who in MEMBERS[:members]]
        if foreign:
            house.database.execute(
                """begin; set local linked.writing = 'on'; update asset_file set path = path || '.old'; commit"""
            )
        expected = group(members, rounds, FOREIGN if foreign else 0)
        for who in order:
            tell_database(house, everybody[who])
            expected = tell(expected, who)
        assert is_unsettled(house, photo) == expected.unsettled, order
        if expected.path != FOREIGN:
            path = thumbnail_path(house.asset(everybody[expected.path]), "preview")
            paths = house.database.fetch(
                """select path from asset_file join linked.member on asset_id = "assetId"
                   where source_id = %s and type = 'preview'""",
                [photo],
            )
            assert {row.path for row in paths} == {path}, order


def test_what_comes_back_after_all_deletions_is_settled(household: Household) -> None:
    house, photo = household, household.photo()
    clone = house.clone(photo, house.anna)
    tell_database(house, clone)
    house.database.execute("update linked.produced set told_at = told_at - linked.unsettled_for(kind)")
    tell_database(house, photo)
    assert not is_unsettled(house, photo)
    tell_database(house, clone)
    assert is_unsettled(house, photo)


def test_a_group_with_one_members_jobs_is_not_watched(household: Household) -> None:
    house = household
    for _ in range(3):
        photo = house.photo()
        tell_database(house, photo)
        tell_database(house, photo)
    other = house.photo(house.clara, f"/data/upload/{house.clara}/1.jpg")
    tell_database(house, other)
    house.migrate_file_paths("/data", "/srv")
    assert house.count("linked.produced") == 0


def test_what_is_remembered_of_files_is_forgotten(household: Household) -> None:
    house = household
    for _ in range(3):
        tell_database(house, house.clone(house.photo(), house.anna))
    house.database.execute("update linked.produced set told_at = told_at - interval '2 days'")
    tell_database(house, house.clone(house.photo(), house.anna))
    assert house.count("linked.produced") == 4


# --- real jobs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("queued", [False, True], ids=["deletes inline", "queues deletes"])
@pytest.mark.parametrize("limit", [15, pytest.param(300, marks=pytest.mark.slow)])
def test_jobs_that_start_at_any_time_are_settled_by_one_job(storage: Storage, queued: bool, limit: int) -> None:
    house, choice, lost = storage.house, random.Random(limit), 0
    for _ in range(limit):
        photo = storage.upload()
        jobs = [
            job
            for member in house.group(photo)
            for job in [itertools.chain(*(storage.generate_thumbnails(member, queued=queued) for _ in range(2)))]
        ]
        interleave(jobs, choice.sample([0, 1, 2] * 12, 36))
        lost += bool(storage.missing())
        assert is_unsettled(house, photo) or storage.missing() == []
        storage.grow_quiet()
        assert storage.generate_missing() in ([], [photo])
        assert (storage.missing(), storage.unsettled()) == ([], 0)
    assert lost


def unsettle(storage: Storage, photo: UUID) -> None:
    """A job of Anna's and one of the family's overlap, and the preview is gone."""
    house = storage.house
    clone = house.clone(photo, house.anna)
    run(storage.generate_thumbnails(clone))
    slow = storage.generate_thumbnails(house.clone(photo, house.ben))
    next(slow)
    run(storage.generate_thumbnails(photo))
    anna = storage.generate_thumbnails(clone)
    next(anna)
    next(anna)
    next(slow)
    next(slow)
    next(anna)
    run(slow)
    run(anna)
    assert storage.missing()
    assert is_unsettled(house, photo)


def test_an_unlinked_source_that_is_deleted_is_not_waited_for(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    unsettle(storage, photo)
    house.delete_album(house.linked_album)
    house.delete_asset(photo)
    storage.grow_quiet()
    assert storage.unsettled() == 0


CHANGES = ("date by the family", "date by a clone", "thumbhash of a viewer", "status of a clone", "role", "reconcile")


@pytest.mark.parametrize("change", CHANGES)
def test_only_the_source_is_marked_whatever_comes_then(storage: Storage, change: str) -> None:
    house, photo = storage.house, storage.upload()
    clone = house.clone(photo, house.anna)
    if change == "thumbhash of a viewer":
        house.set_viewer(house.ben)
    unsettle(storage, photo)
    before = house.asset(clone)
    storage.grow_quiet()
    assert house.asset(photo).thumbhash is None
    match change:
        case "date by the family":
            house.update_asset(photo, localDateTime="2001-01-01")
        case "date by a clone":
            house.update_asset(clone, localDateTime="2001-01-01")
        case "thumbhash of a viewer":
            house.update_asset(house.clone(photo, house.ben), thumbhash=b"another")
            house.update_asset(clone, localDateTime="2001-01-01")
        case "status of a clone":
            house.update_asset(clone, isOffline=True)
            house.update_asset(clone, isOffline=False)
        case "role":
            house.set_viewer(house.anna)
        case "reconcile":
            house.database.execute("call linked.drain()")
    assert house.asset(photo).thumbhash is None
    assert house.asset(clone).thumbhash == before.thumbhash
    assert storage.generate_missing() == [photo]
    assert storage.missing() == []
    assert storage.unsettled() == 0
    assert {bytes(house.asset(member).thumbhash) for member in house.group(photo)} == {
        bytes(house.asset(photo).thumbhash)
    }
    assert storage.generate_missing() == []


ROTATE = ("rotate", {"angle": 90})


@pytest.mark.since("v2.5.0")
@pytest.mark.parametrize(
    "when",
    [
        "before", "meanwhile by the family", "meanwhile by a clone", "undone meanwhile", "seen by others",
        "metadata read again",
    ],
)  # fmt: skip
def test_of_an_edited_picture_all_thumbnails_are_made_anew(storage: Storage, when: str) -> None:
    house, photo = storage.house, storage.upload()
    clone = house.clone(photo, house.anna)
    is_edited_before = not when.startswith("meanwhile")
    if is_edited_before:
        house.edit(photo, ROTATE)
    unsettle(storage, photo)
    storage.grow_quiet()
    assert house.asset(clone).isEdited == is_edited_before
    assert house.asset(photo).thumbhash is None
    if when.startswith("meanwhile"):
        edited = photo if when == "meanwhile by the family" else clone
        house.edit(edited, ROTATE)
        house.update_asset(edited, thumbhash=b"edited")
    elif when == "undone meanwhile":
        house.edit(photo)
    elif when == "seen by others":
        house.share_album(house.linked_album, house.clara)
        assert house.asset(house.clone(photo, house.clara)).isEdited
    elif when == "metadata read again":
        # Of what is edited Immich leaves the measures alone; it takes the marked source for a picture that is not.
        house.update_asset(clone, width=300, height=400)
        house.update_asset(photo, width=400, height=300)
        assert {house.asset(member).width for member in house.group(photo)} == {300}
    storage.generate_missing()
    if storage.unsettled():
        storage.settle()
    assert (storage.missing(), storage.unsettled()) == ([], 0)
    assert {house.asset(member).isEdited for member in house.group(photo)} == {when != "undone meanwhile"}


@pytest.mark.parametrize("what", ["marked", "waiting"])
def test_what_is_unlinked_is_nothing_to_settle(storage: Storage, what: str) -> None:
    house, photo = storage.house, storage.upload()
    if house.has("asset", "isEdited"):
        house.edit(photo, ROTATE)
    unsettle(storage, photo)
    if what == "marked":
        storage.grow_quiet()
    house.delete_album(house.linked_album)
    storage.grow_quiet()
    assert house.asset(photo).thumbhash is None
    assert storage.unsettled() == 0
    if house.has("asset", "isEdited"):
        assert house.asset(photo).isEdited
        run(storage.generate_thumbnails(photo))
    else:
        assert storage.generate_missing() == [photo]


@pytest.mark.since("v2.5.0")
def test_removal_leaves_no_edited_picture_marked_as_not_edited(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    house.edit(photo, ROTATE)
    unsettle(storage, photo)
    storage.grow_quiet()
    remove(house.database)
    assert house.asset(photo).isEdited
    run(storage.generate_thumbnails(photo))
    install(house.database)


def test_what_overlaps_with_the_settling_job_is_settled_again(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    unsettle(storage, photo)
    storage.grow_quiet()
    job = storage.generate_thumbnails(photo)
    next(job)
    run(storage.generate_thumbnails(house.clone(photo, house.ben)))
    run(job)
    assert house.asset(photo).thumbhash is not None
    assert storage.unsettled() == 1
    storage.settle()
    assert (storage.missing(), storage.unsettled()) == ([], 0)


def test_a_video_that_may_be_gone_is_encoded_for_the_source_alone(storage: Storage) -> None:
    house = storage.house
    video = storage.upload(None, f"{MEDIA}/video.mp4", type="VIDEO")
    clone = house.clone(video, house.anna)
    run(storage.encode_video(clone))
    path = house.file_of(video, "encoded_video")
    drop, encode = storage.drop_video(video), storage.encode_video(clone)
    next(drop)
    next(encode)
    next(encode)
    run(drop)
    run(encode)
    assert storage.missing()
    assert is_unsettled(house, video)
    storage.grow_quiet()
    house.update_asset(clone, localDateTime="2001-01-01")
    assert house.file_of(video, "encoded_video") is None
    assert house.file_of(clone, "encoded_video") == path
    assert storage.encode_missing() == [video]
    assert (storage.missing(), storage.unsettled()) == ([], 0)


def test_the_video_of_a_live_photo_does_without(storage: Storage) -> None:
    """Immich's job does not look for hidden videos that lack their encoded file."""
    house = storage.house
    video = storage.upload(None, f"{MEDIA}/video.mp4", type="VIDEO", visibility="hidden")
    still = storage.upload(None, f"{MEDIA}/still.jpg")
    house.pair_live_photo(still, video)
    run(storage.encode_video(house.clone(video, house.anna)))
    house.forget_encoded_video(video)
    run(storage.encode_video(house.clone(video, house.anna)))
    storage.grow_quiet()
    assert storage.unsettled() == 0
    assert {house.file_of(member, "encoded_video") for member in house.group(video)} == {None}
    assert house.asset(still).livePhotoVideoId == video


def test_an_unsettled_group_is_told_of_and_no_difference(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    unsettle(storage, photo)
    storage.grow_quiet()
    with engine_for(sa.make_url(house.database.url).set(drivername="postgresql+psycopg")).connect() as connection:
        found = status(connection)
        findings = {finding.check: finding.kind for finding in examine(connection)}
    assert found["unsettled"] == 1
    assert "files" in findings
    assert PROBLEM not in findings.values()
    storage.settle()


def test_watch_settles_without_any_write(storage: Storage) -> None:
    photo = storage.upload()
    unsettle(storage, photo)
    storage.house.database.execute("update linked.unsettled set since = since - interval '12 hours'")
    Worker(engine_for(sa.make_url(storage.house.database.url).set(drivername="postgresql+psycopg"))).look()
    assert storage.generate_missing() == [photo]


def test_deleted_groups_are_not_unsettled(storage: Storage) -> None:
    photo = storage.upload()
    unsettle(storage, photo)
    run(storage.delete(photo))
    assert storage.unsettled() == 0


def test_removal_leaves_the_source_to_immichs_job(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    unsettle(storage, photo)
    remove(house.database)
    assert storage.generate_missing() == [photo]
    assert storage.missing() == []
    install(house.database)


# --- stored order -----------------------------------------------------------------------------------


def test_members_of_a_group_are_not_neighbours(household: Household) -> None:
    """Immich's jobs for all assets go through them as they are stored."""
    house = household
    others = [house.create_user(name) for name in ("Dora", "Emil")]
    for number in range(20):
        house.photo(house.clara, f"/data/library/clara/{number}.jpg")
    album = house.create_album(house.clara, "Pictures", users=dict.fromkeys(others, "editor"))
    house.update_album(album, albumName="Linked album", description="/data/library/clara")
    house.approve()
    rows = house.database.fetch(
        """select asset."ownerId" as owner from asset
           join linked.member on asset_id = id and asset_id <> source_id order by asset.ctid"""
    )
    assert [len(list(clones)) for _, clones in itertools.groupby(row.owner for row in rows)] == [20, 20]
