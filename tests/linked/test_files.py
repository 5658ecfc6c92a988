"""Job after job of Immich on any member leaves every row with files that exist."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from tests.linked.conftest import MEDIA, Household
from tests.linked.disk import Disk, Job, Storage, interleave, run

MEMBERS = ("family", "anna", "ben")
numbers = itertools.count(1)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture
def storage(household: Household, disk: Disk) -> Iterator[Storage]:
    """Checked at the end: every row has its files."""
    storage = Storage(household, disk)
    yield storage
    assert storage.missing() == []


def orders(steps: Sequence[int], limit: int) -> list[tuple[int, ...]]:
    """A fair choice of ways to interleave jobs of so many steps. In half of them each has looked before any goes on."""
    first = tuple(range(len(steps)))
    rest = [index for index, count in enumerate(steps) for _ in range(count)]
    choice = random.Random(0)
    looked = {first + tuple(choice.sample(rest, len(rest))) for _ in range(limit // 2)}
    return sorted(looked | {tuple(choice.sample([*first, *rest], len(first) + len(rest))) for _ in range(limit // 2)})


def originals(storage: Storage) -> set[str]:
    """What every asset's original holds."""
    return {
        storage.disk.read(row.path) for row in storage.house.database.fetch('select "originalPath" as path from asset')
    }


# --- one job on one member --------------------------------------------------------------------------


@pytest.mark.parametrize("who", MEMBERS)
@pytest.mark.parametrize("viewer", [False, True], ids=["editor", "viewer"])
def test_thumbnails_made_anew_are_everybodys(storage: Storage, who: str, viewer: bool) -> None:
    house, photo = storage.house, storage.upload()
    if viewer:
        house.set_viewer(house.anna)
    run(storage.generate_thumbnails(house.of(photo, who), fullsize=True))
    assert storage.missing() == []
    assert {tuple(storage.files(member).values()) for member in house.group(photo)} == {
        tuple(storage.files(photo).values())
    }
    run(storage.generate_thumbnails(house.of(photo, who)))
    assert "fullsize" not in storage.files(photo)


@pytest.mark.parametrize("who", MEMBERS)
def test_migrated_files_are_everybodys(storage: Storage, who: str) -> None:
    house, photo = storage.house, storage.upload()
    run(storage.migrate_files(house.of(photo, who)))
    assert f"/thumbs/{getattr(house, who)}/" in storage.files(photo)["preview"]


@pytest.mark.parametrize("who", MEMBERS)
def test_an_encoded_video_is_everybodys(storage: Storage, who: str) -> None:
    house = storage.house
    video = storage.upload(None, f"{MEDIA}/video.mp4", type="VIDEO")
    run(storage.encode_video(house.of(video, who)))
    assert {house.file_of(member, "encoded_video") for member in house.group(video)} != {None}
    run(storage.drop_video(house.of(video, who)))
    assert {house.file_of(member, "encoded_video") for member in house.group(video)} == {None}


def test_the_template_moves_the_file_for_everybody(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    run(storage.write_sidecar(photo))
    run(storage.apply_template(photo, f"{MEDIA}/2020/moved.jpg"))
    assert {house.asset(member).originalPath for member in house.group(photo)} == {f"{MEDIA}/2020/moved.jpg"}
    assert {house.file_of(member, "sidecar") for member in house.group(photo)} == {f"{MEDIA}/2020/moved.jpg.xmp"}


@pytest.mark.parametrize("who", ["anna", "ben"])
def test_the_template_does_not_move_clones(storage: Storage, who: str) -> None:
    house, photo = storage.house, storage.upload()
    before = house.asset(photo).originalPath
    run(storage.apply_template(house.of(photo, who), f"/data/library/{who}/stolen.jpg"))
    assert house.asset(photo).originalPath == before


@pytest.mark.parametrize("who", MEMBERS)
def test_all_share_one_sidecar(storage: Storage, who: str) -> None:
    house, photo = storage.house, storage.upload()
    run(storage.write_sidecar(house.of(photo, who)))
    for member in house.group(photo):
        run(storage.write_sidecar(member))
        run(storage.discover_sidecar(member))
    assert {house.file_of(member, "sidecar") for member in house.group(photo)} == {
        f"{house.asset(photo).originalPath}.xmp"
    }


# --- sidecars of viewers ------------------------------------------------------------------------------


def sidecars(storage: Storage, photo: UUID) -> dict[str, str | None]:
    return {who: storage.house.file_of(storage.house.of(photo, who), "sidecar") for who in MEMBERS}


def read_only(storage: Storage, photo: UUID) -> str:
    return f"{storage.house.asset(photo).originalPath}/read-only.xmp"


@pytest.mark.until("v2.4.0")
@pytest.mark.parametrize("has_sidecar", [False, True])
@pytest.mark.parametrize("linked_as_viewer", [False, True])
def test_a_viewers_edit_is_in_no_sidecar(storage: Storage, has_sidecar: bool, linked_as_viewer: bool) -> None:
    house = storage.house
    if linked_as_viewer:
        house.set_viewer(house.anna)
    photo = storage.upload()
    if has_sidecar:
        run(storage.write_sidecar(photo))
    house.set_viewer(house.anna)
    clone, before = house.clone(photo, house.anna), storage.disk.all()
    house.upsert_exif(clone, description="Anna's")
    run(storage.write_sidecar(clone, "Anna's"))
    for member in house.group(photo):
        run(storage.discover_sidecar(member))
    assert storage.disk.all() == before
    shared = f"{house.asset(photo).originalPath}.xmp" if has_sidecar else None
    assert sidecars(storage, photo) == {"family": shared, "anna": read_only(storage, photo), "ben": shared}


@pytest.mark.until("v2.4.0")
def test_a_viewer_who_becomes_an_editor_shares_the_sidecar(storage: Storage) -> None:
    house = storage.house
    house.set_viewer(house.anna)
    photo = storage.upload()
    run(storage.write_sidecar(house.clone(photo, house.ben)))
    house.set_editor(house.anna)
    assert set(sidecars(storage, photo).values()) == {f"{house.asset(photo).originalPath}.xmp"}
    run(storage.write_sidecar(house.clone(photo, house.anna), "Anna's"))
    assert storage.disk.read(house.file_of(photo, "sidecar")) == "Anna's"
    house.set_viewer(house.anna)
    assert sidecars(storage, photo)["anna"] == read_only(storage, photo)


@pytest.mark.until("v2.4.0")
def test_a_viewers_sidecar_path_follows_the_original(storage: Storage) -> None:
    house = storage.house
    house.set_viewer(house.anna)
    photo = storage.upload()
    run(storage.write_sidecar(photo))
    run(storage.apply_template(photo, f"{MEDIA}/moved/1.jpg"))
    assert sidecars(storage, photo) == {
        "family": f"{MEDIA}/moved/1.jpg.xmp",
        "anna": f"{MEDIA}/moved/1.jpg/read-only.xmp",
        "ben": f"{MEDIA}/moved/1.jpg.xmp",
    }


@pytest.mark.until("v2.3.0")
def test_a_viewers_clone_made_by_an_earlier_version_gets_its_sidecar_path(storage: Storage) -> None:
    house = storage.house
    house.set_viewer(house.anna)
    photo = storage.upload()
    run(storage.write_sidecar(photo))
    house.database.execute(
        """begin; set local linked.writing = 'on'; update asset set "sidecarPath" = "originalPath" || '.xmp'; commit"""
    )
    house.database.execute("call linked.drain()")
    assert sidecars(storage, photo)["anna"] == read_only(storage, photo)


def test_a_group_with_a_viewer_is_deleted_with_all_its_files(storage: Storage) -> None:
    house = storage.house
    house.set_viewer(house.anna)
    photo = storage.upload()
    run(storage.write_sidecar(photo))
    run(storage.delete(photo))
    assert house.count("asset") == 0
    assert [path for path in storage.disk.all() if path.endswith((".jpg", ".xmp", ".jpeg"))] == []


# --- a file put in another's stead ------------------------------------------------------------------


def purge_trash(storage: Storage, *owners: UUID) -> None:
    """Everything in the trash of these users is deleted for good."""
    for owner in owners:
        storage.house.empty_trash(owner)
    for row in storage.house.database.fetch("select id from asset where status = 'deleted'"):
        run(storage.delete(row.id))


@pytest.mark.parametrize("who", MEMBERS)
@pytest.mark.parametrize("viewer", [False, True], ids=["editor", "viewer"])
def test_a_replaced_file_takes_no_other_along(storage: Storage, who: str, viewer: bool) -> None:
    """The old file stays until the copy of it leaves the trash, and longer where a source has it."""
    house, photo = storage.house, storage.upload()
    run(storage.write_sidecar(photo))
    if viewer:
        house.set_viewer(house.anna)
        house.set_viewer(house.ben)
    member, owner = house.of(photo, who), getattr(house, who)
    storage.replace(member, f"/data/upload/{owner}/{next(numbers)}.jpg")
    run(storage.generate_thumbnails(member))
    assert storage.missing() == []
    purge_trash(storage, owner)
    assert house.asset(member).originalPath.startswith("/data/upload/")


Meanwhile = Callable[[Storage, UUID], object]
MEANWHILE: dict[str, Meanwhile] = {
    "nothing": lambda storage, photo: None,
    "unshared": lambda storage, photo: storage.house.unshare_album(storage.house.linked_album, storage.house.anna),
    "album deleted": lambda storage, photo: storage.house.delete_album(storage.house.linked_album),
    "source locked": lambda storage, photo: storage.house.lock(photo),
    "source moved": lambda storage, photo: run(storage.apply_template(photo, f"{MEDIA}/moved.jpg")),
    "source trashed": lambda storage, photo: storage.house.trash([photo]),
    "account deleted": lambda storage, photo: storage.house.soft_delete_user(storage.house.anna),
    "family deleted": lambda storage, photo: storage.house.soft_delete_user(storage.house.family),
}
"""What happens between the two statements of a replacement."""


@pytest.mark.parametrize("what", MEANWHILE)
@pytest.mark.parametrize("role", ["editor", "viewer"])
@pytest.mark.parametrize("users", [1, 2, 3])
def test_a_replaced_clone_leaves_the_original(storage: Storage, users: int, role: str, what: str) -> None:
    house = storage.house
    if users == 1:
        house.unshare_album(house.linked_album, house.ben)
    elif users == 3:
        house.share_album(house.linked_album, house.clara)
    if role == "viewer":
        house.set_viewer(house.anna)
    photo = storage.upload()
    run(storage.write_sidecar(photo))
    clone = house.clone(photo, house.anna)
    path = f"/data/upload/{house.anna}/{next(numbers)}.jpg"
    storage.replace(clone, path, lambda: MEANWHILE[what](storage, photo))
    run(storage.generate_thumbnails(clone))
    purge_trash(storage, house.anna)
    assert storage.missing() == []
    assert house.asset(clone).originalPath == path
    assert storage.disk.exists(house.asset(photo).originalPath)
    assert storage.disk.exists(house.file_of(photo, "sidecar"))


@pytest.mark.parametrize("users", [1, 2])
def test_a_clone_replaced_in_one_transaction_leaves_the_original(storage: Storage, users: int) -> None:
    house = storage.house
    if users == 1:
        house.unshare_album(house.linked_album, house.ben)
    photo = storage.upload()
    with house.transaction():
        storage.replace(house.clone(photo, house.anna), f"/data/upload/{house.anna}/{next(numbers)}.jpg")
    purge_trash(storage, house.anna)
    assert storage.missing() == []
    assert house.find_clone(photo, house.anna)


@pytest.mark.parametrize("role", ["editor", "viewer"])
@pytest.mark.parametrize("users", [1, 2])
def test_a_clone_replaced_while_sync_was_off_leaves_the_original(storage: Storage, users: int, role: str) -> None:
    house = storage.house
    if users == 1:
        house.unshare_album(house.linked_album, house.ben)
    house.set_role(house.linked_album, house.anna, role)
    photo = storage.upload()
    before, clone = house.asset(photo), house.clone(photo, house.anna)
    path = f"/data/upload/{house.anna}/{next(numbers)}.jpg"
    house.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    storage.replace(clone, path)
    house.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    house.database.execute("call linked.drain()")
    purge_trash(storage, house.anna)
    assert house.asset(photo).originalPath == before.originalPath
    assert house.asset(clone).originalPath == path
    assert house.clone(photo, house.anna) != clone
    storage.settle()


def replaced_after_a_job(storage: Storage, kind: str, *, in_sync: bool = True) -> tuple[UUID, UUID]:
    """A source, and Anna's clone: its jobs made the group's files, then it got another file, and they ran again."""
    house, ending = storage.house, "mp4" if kind == "VIDEO" else "jpg"
    source = storage.upload(None, f"{MEDIA}/replaced.{ending}", type=kind)
    clone = house.clone(source, house.anna)
    jobs = [storage.generate_thumbnails, *([storage.encode_video] if kind == "VIDEO" else [])]
    for job in jobs:
        run(job(clone))
    if not in_sync:
        house.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    storage.replace(clone, f"/data/upload/{house.anna}/{next(numbers)}.{ending}")
    house.update_asset(clone, type=kind)
    for job in jobs:
        run(job(clone))
    if not in_sync:
        house.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
        house.database.execute("call linked.drain()")
    return source, clone


def shown(storage: Storage, asset: UUID) -> dict[str, str]:
    """What the files hold that jobs made for an asset."""
    files = {**storage.files(asset), "video": storage.house.file_of(asset, "encoded_video")}
    return {kind: storage.disk.read(path) for kind, path in files.items() if path}


@pytest.mark.parametrize("kind", ["IMAGE", "VIDEO"])
@pytest.mark.parametrize("role", ["editor", "viewer"])
@pytest.mark.parametrize("users", [1, 3])
def test_a_replaced_clone_is_in_no_file_of_the_group(storage: Storage, users: int, role: str, kind: str) -> None:
    """Where a job writes follows from owner and id, and the clone keeps its id."""
    house = storage.house
    house.set_role(house.linked_album, house.anna, role)
    if users == 1:
        house.unshare_album(house.linked_album, house.ben)
    else:
        house.share_album(house.linked_album, house.clara)
    source, clone = replaced_after_a_job(storage, kind)
    private, ours = (house.asset(asset).originalPath for asset in (clone, source))
    assert set(shown(storage, clone).values()) == {private}
    for member in house.group(source):
        assert private not in shown(storage, member).values()
    storage.settle()
    for member in house.group(source):
        assert shown(storage, member).keys() == shown(storage, clone).keys()
        assert set(shown(storage, member).values()) == {ours}
    assert set(shown(storage, clone).values()) == {private}


@pytest.mark.parametrize("kind", ["IMAGE", "VIDEO"])
@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_a_clone_replaced_while_sync_was_off_is_in_no_file_of_the_group(storage: Storage, role: str, kind: str) -> None:
    house = storage.house
    house.set_role(house.linked_album, house.anna, role)
    source, clone = replaced_after_a_job(storage, kind, in_sync=False)
    # Immich knows of none for what it took for the clone's own.
    run(storage.generate_thumbnails(clone))
    storage.settle()
    for member in house.group(source):
        assert set(shown(storage, member).values()) == {house.asset(source).originalPath}


@pytest.mark.parametrize("kind", ["IMAGE", "VIDEO"])
def test_deleting_a_replaced_clone_for_good_leaves_the_groups_files(storage: Storage, kind: str) -> None:
    house = storage.house
    source, clone = replaced_after_a_job(storage, kind)
    storage.settle()
    house.force_delete([clone])
    run(storage.delete(clone))
    for member in house.group(source):
        assert set(shown(storage, member).values()) == {house.asset(source).originalPath}


def test_files_that_jobs_made_for_others_outlast_a_replaced_clone(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    run(storage.generate_thumbnails(house.clone(photo, house.ben)))
    before = storage.files(photo)
    storage.replace(house.clone(photo, house.anna), f"/data/upload/{house.anna}/{next(numbers)}.jpg")
    assert [storage.files(member) for member in house.group(photo)] == [before] * 3


def test_what_other_tools_make_of_somebody_elses_file_is_left_alone(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    row = house.asset(photo)._asdict()
    (made,) = house.insert(
        "asset",
        {
            **{name: value for name, value in row.items() if name not in ("id", "updateId", "visibility", "status")},
            "ownerId": house.clara,
            "isExternal": True,
        },
    )
    assert made.originalPath == row["originalPath"]
    house.delete("asset", id=made.id)


# --- deletion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", MEMBERS)
def test_deleting_a_member_leaves_no_row_without_a_file(storage: Storage, who: str) -> None:
    house, photo, other = storage.house, storage.upload(), storage.upload()
    run(storage.delete(house.of(photo, who)))
    assert house.database.value("select count(*) from asset") == 3
    assert storage.disk.exists(house.asset(other).originalPath)


@pytest.mark.parametrize("who", ["anna", "ben"])
def test_a_viewers_delete_touches_no_file(storage: Storage, who: str) -> None:
    house, photo = storage.house, storage.upload()
    user = getattr(house, who)
    house.set_viewer(user)
    clone = house.clone(photo, user)
    house.trash([clone])
    purge_trash(storage, user)
    assert storage.disk.exists(house.asset(photo).originalPath)
    assert house.find_clone(photo, user) is None


def test_unsharing_touches_no_file(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    run(storage.generate_thumbnails(house.clone(photo, house.anna)))
    house.unshare_album(house.linked_album, house.anna)
    assert storage.disk.exists(house.asset(photo).originalPath)
    run(storage.generate_thumbnails(photo))


# --- accounts that go -------------------------------------------------------------------------------


def test_files_in_the_folders_of_a_deleted_user_are_made_anew(storage: Storage) -> None:
    house, photo = storage.house, storage.upload()
    video = storage.upload(None, f"{MEDIA}/video.mp4", type="VIDEO")
    run(storage.generate_thumbnails(house.clone(photo, house.anna)))
    run(storage.encode_video(house.clone(video, house.anna)))
    house.soft_delete_user(house.anna)
    run(storage.delete_user(house.anna))
    assert storage.missing() == []
    storage.generate_missing()
    for member in house.group(photo):
        assert {"preview", "thumbnail"} <= storage.files(member).keys()


def test_what_a_deleted_user_contributed_goes_with_the_files(storage: Storage) -> None:
    house = storage.house
    own = storage.upload(house.anna, f"/data/upload/{house.anna}/1.jpg")
    house.add_to_album(house.linked_album, own)
    kept = storage.upload()
    assert house.find_clone(own, house.family)
    house.soft_delete_user(house.anna)
    run(storage.delete_user(house.anna))
    assert originals(storage) == {house.asset(kept).originalPath}


def test_deleting_the_family_account_leaves_no_row_without_a_file(storage: Storage) -> None:
    house = storage.house
    storage.upload()
    own = storage.upload(house.anna, f"/data/upload/{house.anna}/1.jpg")
    house.soft_delete_user(house.family)
    run(storage.delete_user(house.family))
    assert [row.id for row in house.database.fetch("select id from asset")] == [own]


# --- several at once --------------------------------------------------------------------------------

Jobs = Callable[[Storage, UUID], list[Job]]


def on_all(job: str) -> Jobs:
    def jobs(storage: Storage, photo: UUID) -> list[Job]:
        return [getattr(storage, job)(member) for member in storage.house.group(photo)]

    return jobs


def on_clone_and_source(one: str, other: str) -> Jobs:
    def jobs(storage: Storage, photo: UUID) -> list[Job]:
        return [getattr(storage, one)(storage.house.clone(photo, storage.house.anna)), getattr(storage, other)(photo)]

    return jobs


def template_and(job: str) -> Jobs:
    def jobs(storage: Storage, photo: UUID) -> list[Job]:
        moves = storage.apply_template(photo, f"{MEDIA}/moved/{photo}.jpg")
        return [getattr(storage, job)(storage.house.clone(photo, storage.house.anna)), moves]

    return jobs


AT_ONCE: dict[str, tuple[Jobs, tuple[int, ...]]] = {
    "thumbnails of all": (on_all("generate_thumbnails"), (4, 4, 4)),
    "thumbnails of two": (on_clone_and_source("generate_thumbnails", "generate_thumbnails"), (3, 3)),
    "migration of all": (on_all("migrate_files"), (5, 5, 5)),
    "thumbnails and migration": (on_clone_and_source("generate_thumbnails", "migrate_files"), (4, 5)),
    "migration and thumbnails": (on_clone_and_source("migrate_files", "generate_thumbnails"), (5, 4)),
    "videos of all": (on_all("encode_video"), (2, 2, 2)),
    "video and its removal": (on_clone_and_source("encode_video", "drop_video"), (2, 2)),
    "removal of all videos": (on_all("drop_video"), (2, 2, 2)),
    "sidecars of all": (on_all("write_sidecar"), (2, 2, 2)),
    "deletion of all": (on_all("delete"), (2, 2, 2)),
    "thumbnails and deletion": (on_clone_and_source("generate_thumbnails", "delete"), (3, 2)),
    "template and thumbnails": (template_and("generate_thumbnails"), (4, 3)),
}


@pytest.mark.parametrize("limit", [10, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("foreign", [False, True], ids=["own files", "files of a clone"])
@pytest.mark.parametrize("what", AT_ONCE)
def test_jobs_at_once_leave_existing_files(storage: Storage, what: str, foreign: bool, limit: int) -> None:
    """At once, or, where the group is remembered as unsettled, after the jobs for what is missing."""
    jobs, steps = AT_ONCE[what]
    for order in orders(steps, limit):
        photo = storage.upload(None, f"{MEDIA}/{next(numbers)}.mp4", type="VIDEO")
        run(storage.encode_video(photo))
        if foreign:
            run(storage.generate_thumbnails(storage.house.clone(photo, storage.house.ben)))
        interleave(jobs(storage, photo), order)
        assert storage.missing() == [] or storage.unsettled(), order
        storage.settle()
        assert (storage.missing(), storage.unsettled()) == ([], 0), order
