"""Pictures that appear in every linked account, with all that Immich knows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.household import Household, World
from tests.e2e.pictures import BERLIN, can_film, motion_photo, picture, video


def test_existing_media_are_linked_at_installation(world: World, before: Household) -> None:
    assert before.agree(lambda user: user.names()) == before.family.names()
    assert "oma.jpg" in before.anna.names()
    assert before.agree(lambda user: user.named(user.find("oma.jpg")))[0] == "Oma"
    assert before.agree(lambda user: user.tags_of(user.find("oma.jpg"))) == ["home/garden"]
    assert before.agree(lambda user: user.content(user.album("Holidays")["id"])) == ["oma.jpg"]
    before.settle()
    before.check()


def test_a_new_upload_appears_for_everybody_and_is_looked_at_once(household: Household) -> None:
    calls = household.world.machine_learning.calls
    household.wait()
    calls.clear()
    year = datetime.now().year - 3
    today = datetime.now().replace(year=year, hour=9, minute=0, second=0, microsecond=0)
    files = [picture("red", [0, 1], place=BERLIN, taken=today), picture("green", [1])]
    household.upload(*files)

    household.check()
    assert household.agree(lambda user: user.names()) == sorted(file.name for file in files)
    assert household.agree(lambda user: len(user.timeline())) == 2
    assert household.agree(lambda user: user.smart("red"))[0] == files[0].name
    assert household.agree(lambda user: user.smart("green"))[0] == files[1].name
    assert household.agree(lambda user: len(user.faces(user.find(files[0].name)))) == 2
    assert household.agree(lambda user: len([one for one in user.people() if user.pictures_of(one["id"])])) == 2
    for user in household.everybody:
        assert user.markers() == [user.find(files[0].name)]
        place = user.asset(user.find(files[0].name))["exifInfo"]
        assert (place["city"], place["country"]) == ("Berlin", "Germany")
    asked = dict(calls)
    for queue in ("smartSearch", "faceDetection", "ocr", "thumbnailGeneration", "metadataExtraction"):
        if queue in household.world.server.queues():
            household.world.server.run(queue, force=False)
            household.wait()
    per_file = {task: count for task, count in asked.items() if task in ("clip", "facial-recognition", "ocr")}
    assert set(per_file.values()) == {len(files)}, "each picture is looked at once, for all accounts together"
    assert {task: calls[task] for task in per_file} == per_file, "jobs for what is missing find nothing"


def test_films_and_motion_photos_appear(household: Household) -> None:
    if not can_film():
        pytest.skip("no ffmpeg")
    film, motion = video(), motion_photo()
    household.upload(film, motion)

    household.check()
    assert household.agree(lambda user: user.names()) == sorted([film.name, motion.name])
    for user in household.everybody:
        clip = user.asset(user.find(motion.name))["livePhotoVideoId"]
        assert clip
        assert user.asset(clip)["ownerId"] == user.id
        assert user.status(f"/assets/{clip}/video/playback") == 200


def test_memories(household: Household) -> None:
    """Immich makes them for each account by itself, for the days to come."""
    years = [datetime.now().year - number for number in (1, 2)]
    files = [picture(taken=datetime.now().replace(year=year, hour=12)) for year in years]
    household.upload(*files)
    household.world.server.configure({"nightlyTasks": {"generateMemories": True}})
    household.world.database.execute("delete from system_metadata where key = 'memories-state'")
    household.world.server.run_manual("memory-create")
    household.wait()

    def shown(user: object) -> list[str]:
        return sorted(asset["originalFileName"] for memory in user.memories() for asset in memory["assets"])  # type: ignore[attr-defined]

    today = {file.name for file in files}
    assert today <= set(household.agree(shown))
    for user in household.everybody:
        assert {asset["ownerId"] for memory in user.memories() for asset in memory["assets"]} == {user.id}


@pytest.fixture
def templated(world: World) -> Iterator[World]:
    world.server.configure({"storageTemplate": {"enabled": True, "template": "{{y}}/{{MM}}/{{filename}}"}})
    yield world
    world.server.configure({"storageTemplate": {"enabled": False}})
    world.wait()


def test_with_a_storage_template(templated: World, create_household: Callable[..., Household]) -> None:
    household = create_household(prefix="/")
    files = [picture(), picture("red", [0], description="first"), *([motion_photo(), video()] if can_film() else [])]
    household.upload(*files)
    household.check()
    names = household.agree(lambda user: user.names())
    assert names == sorted(file.name for file in files)
    path = household.agree(lambda user: user.asset(user.find(files[0].name))["originalPath"])
    assert path.startswith(f"{templated.target.media_location}/library/{household.family.id}/2020/05/")

    household.anna.change(household.anna.find(files[0].name), dateTimeOriginal="2011-02-03T10:00:00.000Z")
    household.wait()
    templated.server.run("storageTemplateMigration")
    household.wait()

    household.check()
    assert "/2011/02/" in household.agree(lambda user: user.asset(user.find(files[0].name))["originalPath"])
    templated.server.configure({"storageTemplate": {"template": "{{y}}/{{filename}}"}})
    templated.server.run("storageTemplateMigration")
    household.wait()
    household.check()
    assert "/2011/" in household.agree(lambda user: user.asset(user.find(files[0].name))["originalPath"])
    assert household.agree(lambda user: user.names()) == names


@pytest.fixture
def library(world: World) -> Path:
    """A folder for an external library."""
    if world.target.external is None:
        pytest.skip("IMMICH_EXTERNAL not set")
    folder = world.target.external / uuid4().hex[:8]
    folder.mkdir()
    return folder


def test_an_external_library_appears_vanishes_and_returns(
    world: World, library: Path, create_household: Callable[..., Household]
) -> None:
    household = create_household(prefix=str(library))
    files = [picture("red", [0]), picture("green"), picture("blue")]
    for file in files:
        (library / file.name).write_bytes(file.content)
    number = world.server.create_library(household.family, str(library))
    world.server.scan(number)
    household.wait()
    household.check()
    names = household.agree(lambda user: user.names())
    assert names == sorted(file.name for file in files)
    household.anna.tag("seaside", household.anna.find(files[1].name))
    favourite = household.anna.find(files[0].name)
    household.anna.change(favourite, isFavorite=True)
    # Immich writes the tag into a sidecar beside the picture.
    household.wait()

    away = library.with_name(f"{library.name}-away")
    library.rename(away)
    library.mkdir()
    world.server.scan(number)
    household.wait()
    assert household.agree(lambda user: user.names()) == []

    library.rmdir()
    away.rename(library)
    world.server.scan(number)
    household.wait()
    household.settle()
    household.check()
    assert household.agree(lambda user: user.names()) == names
    assert household.agree(lambda user: user.tags_of(user.find(files[1].name))) == ["seaside"]
    assert household.anna.find(files[0].name) == favourite
    assert household.anna.asset(favourite)["isFavorite"]
    assert not household.family.asset(household.family.find(files[0].name))["isFavorite"]


def test_a_file_of_an_external_library_is_deleted_for_good(
    world: World, library: Path, create_household: Callable[..., Household]
) -> None:
    household = create_household(prefix=str(library))
    files = [picture("red"), picture("green")]
    for file in files:
        (library / file.name).write_bytes(file.content)
    number = world.server.create_library(household.family, str(library))
    world.server.scan(number)
    household.wait()

    (library / files[0].name).unlink()
    world.server.scan(number)
    household.wait()
    assert household.agree(lambda user: user.names()) == [files[1].name]
    (offline,) = (asset["id"] for asset in household.family.search(withDeleted=True) if asset["isOffline"])
    household.family.delete(offline)
    household.wait()

    assert household.agree(lambda user: [asset["originalFileName"] for asset in user.search(withDeleted=True)]) == [
        files[1].name
    ]
    household.check()
