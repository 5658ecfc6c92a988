"""Immich's jobs over everything, at the concurrency that Immich comes with."""

from __future__ import annotations

import pytest

from tests.e2e.household import Household
from tests.e2e.pictures import can_film, motion_photo, picture, video

FORCED = [
    "thumbnailGeneration",
    "metadataExtraction",
    "sidecar",
    "videoConversion",
    "faceDetection",
    "smartSearch",
    "ocr",
    "duplicateDetection",
    "storageTemplateMigration",
    "migration",
    "library",
]
PRODUCING = ["thumbnailGeneration", "videoConversion", "migration"]
"""The jobs of a group's members overlap, and the next ones need the files."""


def forced(household: Household) -> list[str]:
    return [queue for queue in FORCED if queue in household.world.server.queues()]


def test_thumbnails_made_again_and_again_are_there_for_everybody(household: Household) -> None:
    household.upload(*(picture(people=[0]) for _ in range(30)))
    household.check()

    for _ in range(10):
        household.world.server.run("thumbnailGeneration")
        household.wait()

    household.settle()
    household.check()


def test_thumbnails_of_one_user_are_made_again_from_the_web(household: Household) -> None:
    files = [picture() for _ in range(10)]
    household.upload(*files)
    clones = {user: [user.find(file.name) for file in files] for user in household.everybody}

    for _ in range(5):
        for user, ids in clones.items():
            user.call("POST", "/assets/jobs", {"assetIds": ids, "name": "regenerate-thumbnail"})
        household.wait()

    household.settle()
    household.check()


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
def test_every_job_over_everything_three_times(household: Household, at_once: bool) -> None:
    server = household.world.server
    household.upload(*(picture("red", [0, 1]) for _ in range(5)), picture("green", [2]))
    if can_film():
        household.upload(motion_photo(), video())
    oma = household.family.faces(household.family.find(household.family.names()[-1]))
    if oma:
        household.family.name_person(oma[0]["person"]["id"], "Oma")
    household.check()
    names = household.agree(lambda user: user.names())

    for _ in range(3):
        for queue in forced(household):
            if queue == "faceDetection":
                # Immich builds the index of persons anew, while its job for thumbnails reads persons and asks for more:
                # once all its connections wait for each other they do so for good.
                household.wait()
            server.run(queue)
            if not at_once and queue in PRODUCING:
                household.settle()
            elif not at_once:
                household.wait()
        household.wait()
        server.run("facialRecognition", force=False)
        household.wait()

    household.settle()
    household.check()
    assert household.agree(lambda user: user.names()) == names


def test_people_are_found_anew(household: Household) -> None:
    files = [picture("red", [0, 1]), picture("green", [1])]
    household.upload(*files)

    household.world.server.run("facialRecognition")
    household.wait()

    assert household.agree(lambda user: len(user.faces(user.find(files[0].name)))) == 2
    for user in household.everybody:
        people = [face["person"] for face in user.faces(user.find(files[0].name))]
        assert all(people), f"{user} has faces of nobody"
        again = user.faces(user.find(files[1].name))[0]["person"]
        assert again["id"] == people[1]["id"]


def test_a_viewers_edit_does_not_come_back_when_metadata_are_read_again(household: Household) -> None:
    files = [picture(description="at the sea") for _ in range(3)]
    household.upload(*files)
    for file in files:
        household.vera.change(household.vera.find(file.name), description="hers", rating=3)
    household.wait()

    def descriptions(user: object) -> list[str]:
        return [user.asset(user.find(file.name))["exifInfo"]["description"] for file in files]  # type: ignore[attr-defined]

    for queue in ("sidecar", "metadataExtraction", "sidecar", "metadataExtraction"):
        household.world.server.run(queue)
        household.wait()

    assert household.agree(descriptions) == ["at the sea"] * 3


def test_an_editors_edit_stays_when_metadata_are_read_again(household: Household) -> None:
    file = picture(description="at the sea")
    household.upload(file)
    household.anna.change(household.anna.find(file.name), description="hers", rating=4)
    household.wait()

    for queue in ("sidecar", "metadataExtraction"):
        household.world.server.run(queue)
        household.wait()

    assert household.agree(lambda user: user.asset(user.find(file.name))["exifInfo"]["description"]) == "hers"
    assert household.agree(lambda user: user.asset(user.find(file.name))["exifInfo"]["rating"]) == 4


def test_nightly_jobs(household: Household) -> None:
    household.upload(picture("red", [0]), picture("green", [1]))
    for name in ("person-cleanup", "tag-cleanup", "memory-cleanup", "memory-create", "user-cleanup"):
        household.world.server.run_manual(name)
    household.wait()
    household.world.server.run("facialRecognition", force=False)
    household.settle()

    assert len(household.agree(lambda user: user.names())) == 2
