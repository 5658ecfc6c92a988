"""`linked-asset doctor --media`: files that are missing, and files that nobody names."""

import json
from pathlib import Path

import pytest

from tests.linked.conftest import MEDIA, Household
from tests.shell.conftest import inside, one_line


def findings(household: Household, folder: Path) -> list[tuple[str, str]]:
    said = inside(household.database.url).linked_asset("doctor", "--media", str(folder), "--json", check=False).stdout
    return [(one["kind"], one["what"]) for one in json.loads(said) if one["check"] == "files"]


@pytest.fixture
def folder(household: Household, tmp_path: Path) -> Path:
    """The media folder of a household with two linked pictures and a private one of Clara's."""
    for _ in range(2):
        household.photo()
    household.photo(household.clara, f"/data/upload/{household.clara}/1.jpg")
    for row in household.database.fetch('select "originalPath" as path from asset union select path from asset_file'):
        file = tmp_path / row.path.removeprefix("/data/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def thumbnail_of(household: Household, owner: object) -> str:
    path: str = household.database.value(
        """select path from asset_file join asset on asset.id = "assetId"
           where asset_file.type = 'thumbnail' and "ownerId" = %s order by path limit 1""",
        [owner],
    )
    return path


def test_all_there(household: Household, folder: Path) -> None:
    assert findings(household, folder) == []


def test_a_missing_file_is_a_problem(household: Household, folder: Path) -> None:
    path = thumbnail_of(household, household.anna)
    (folder / path.removeprefix("/data/")).unlink()
    assert findings(household, folder) == [("problem", f"1 files of linked media are missing: {path}")]


def test_a_folder_that_may_not_be_read_is_said_in_one_line(household: Household, folder: Path) -> None:
    """Nothing is called missing that only cannot be seen. (Root may see everything but a name that is too long.)"""
    household.photo(household.family, f"{MEDIA}/{'x' * 300}.jpg")
    done = inside(household.database.url).linked_asset("doctor", "--media", str(folder), check=False)
    assert done.returncode == 1
    assert one_line(done).startswith("the media folder cannot be looked through")


def test_what_is_not_linked_is_not_our_affair(household: Household, folder: Path) -> None:
    (folder / thumbnail_of(household, household.clara).removeprefix("/data/")).unlink()
    assert findings(household, folder) == []


def test_left_over_files_are_counted_and_stay(household: Household, folder: Path) -> None:
    left_over = folder / "thumbs" / "somebody" / "old-preview.jpeg"
    left_over.parent.mkdir()
    left_over.touch()
    (folder / "thumbs" / ".immich").touch()
    assert findings(household, folder) == [
        ("advice", "1 thumbnails or videos are named by nobody: /data/thumbs/somebody/old-preview.jpeg")
    ]
    assert left_over.exists()


def test_an_external_library_that_is_mounted_nowhere(household: Household, folder: Path) -> None:
    picture = household.photo()
    household.move_file(picture, "/srv-of-another-machine/photos/1.jpg")
    household.link_folders("/srv-of-another-machine\n/data")
    assert ("advice", "1 files of linked media lie outside the media folder and were not looked for") in findings(
        household, folder
    )
