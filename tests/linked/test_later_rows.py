"""Rows below an asset that came with later releases: text found in pictures (v2.2), edits (v2.5)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from sample import create_immich
from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.conftest import upgrade
from tests.linked.invariants import violations
from tests.linked.test_turns import somebody_has_the_turn
from tests.shell.conftest import inside

RELEASE = "v3.0.0"
WITHOUT_AUDIT = "v2.5.0"
"""Immich tells its apps nothing of edits that are gone."""
CROP = ("crop", {"x": 1, "y": 2, "width": 30, "height": 40})
MIRROR = ("mirror", {"axis": "horizontal"})


class Home(Immich):
    """A picture of the family's, with an editor and a viewer."""

    def __init__(self, database: Database, release: str) -> None:
        super().__init__(database, release)
        self.family, self.ed, self.vera = (self.create_user(name) for name in ("Family", "Ed", "Vera"))
        self.create_album(self.family, "Linked album", "/photos", users={self.ed: "editor", self.vera: "viewer"})
        self.photo = self.upload(self.family, "/photos/1.jpg")
        self.process(self.photo)

    def of(self, who: str) -> UUID:
        """The picture as this account has it."""
        owner = getattr(self, who)
        asset: UUID = self.database.value(
            "select asset_id from linked.member where source_id = %s and owner_id = %s", [self.photo, owner]
        )
        return asset

    def all(self, statement: str) -> list[Any]:
        """What the query has for each of the three."""
        return [sorted(self.database.fetch(statement, [self.of(who)])) for who in ("family", "ed", "vera")]


@pytest.fixture
def home(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Home]:
    release = getattr(request, "param", RELEASE)
    base = databases.template(f"immich_{release}", lambda connection: create_immich(connection, release))
    with databases.copy(databases.template(f"later_rows_{release}", upgrade, base=base)) as database:
        home = Home(database, release)
        yield home
        assert not database.fetch("select place, message from linked.incident where resolved_at is null")
        with database.connect() as connection:
            found = violations(connection, release)
        assert not found, "\n".join(found)
        assert not database.fetch("select * from linked.disagreements(array(select source_id from linked.member))")


BOXES = 'select text from asset_ocr where "assetId" = %s'
SEARCH = 'select text from ocr_search where "assetId" = %s'
EDITS = 'select sequence, action, parameters::text from asset_edit where "assetId" = %s'
EDITED = 'select "isEdited" from asset where id = %s'
FILES = 'select type, path from asset_file where "assetId" = %s and "isEdited"'


def same(found: list[Any], count: int) -> None:
    assert found == [found[0]] * 3
    assert len(found[0]) == count


@pytest.mark.parametrize("who", ["family", "ed", "vera"])
def test_text_that_a_job_finds_is_everybodys(home: Home, who: str) -> None:
    home.recognize_text(home.of(who), "Ice", "cream")
    same(home.all(BOXES), 2)
    same(home.all(SEARCH), 1)
    home.recognize_text(home.of(who), "Ice")
    same(home.all(BOXES), 1)
    told = home.database.value('select count(*) from asset_ocr_audit where "assetId" = %s', [home.of("ed")])
    assert told > 0
    home.recognize_text(home.of(who))
    same(home.all(BOXES), 0)
    same(home.all(SEARCH), 0)


@pytest.mark.parametrize("who", ["family", "ed"])
def test_an_edit_is_everybodys(home: Home, who: str) -> None:
    home.edit(home.of(who), CROP, MIRROR)
    home.generate_edited(home.of(who))
    same(home.all(EDITS), 2)
    same(home.all(FILES), 2)
    assert home.all(EDITED) == [[(True,)]] * 3
    home.edit(home.of(who), MIRROR)
    same(home.all(EDITS), 1)
    home.edit(home.of(who))
    home.generate_edited(home.of(who))
    same(home.all(EDITS), 0)
    same(home.all(FILES), 0)
    assert home.all(EDITED) == [[(False,)]] * 3
    assert home.database.value('select count(*) from asset_edit_audit where "assetId" = %s', [home.of("vera")]) > 0


def test_a_viewers_edit_is_undone(home: Home) -> None:
    home.edit(home.of("vera"), CROP)
    same(home.all(EDITS), 0)
    assert home.all(EDITED) == [[(False,)]] * 3
    home.edit(home.photo, MIRROR)
    home.edit(home.of("vera"))
    same(home.all(EDITS), 1)
    assert home.all(EDITED) == [[(True,)]] * 3


@pytest.mark.parametrize("home", [RELEASE, WITHOUT_AUDIT], indirect=True)
@pytest.mark.parametrize("edits", [[MIRROR], [CROP, MIRROR], [MIRROR, CROP, MIRROR]])
def test_a_viewers_edit_of_an_edited_picture_is_undone(home: Home, edits: list[Any]) -> None:
    """Immich deletes all edits and inserts the new ones, in one transaction: in between the old ones are back."""
    home.edit(home.photo, CROP, MIRROR)
    before = home.all(EDITS)
    home.edit(home.of("vera"), *edits)
    assert home.all(EDITS) == before
    assert home.all(EDITED) == [[(True,)]] * 3


@pytest.mark.parametrize("home", [RELEASE, WITHOUT_AUDIT], indirect=True)
@pytest.mark.parametrize("edits", [[MIRROR], [MIRROR, CROP, MIRROR]])
def test_an_edit_that_meets_one_that_was_put_off(home: Home, edits: list[Any]) -> None:
    """What another member was given meanwhile comes between Immich's two statements."""
    with somebody_has_the_turn(home):  # type: ignore[arg-type]
        home.edit(home.photo, CROP, MIRROR)
    home.edit(home.of("ed"), *edits)
    same(home.all(EDITS), len(edits))
    assert home.all(EDITS)[0][0].action == "mirror"
    assert home.all(EDITED) == [[(True,)]] * 3


def test_while_sync_is_off_edits_are_immichs_affair(home: Home) -> None:
    home.edit(home.photo, CROP, MIRROR)
    home.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    home.delete("asset_edit", assetId=home.photo, sequence=0)
    home.insert("asset_edit", {"assetId": home.photo, "sequence": 0, "action": MIRROR[0], "parameters": MIRROR[1]})
    assert [len(edits) for edits in home.all(EDITS)] == [2, 2, 2]
    assert home.all(EDITS)[0][0].action == "mirror"
    home.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    inside(home.database.url).linked_asset("reconcile")
    same(home.all(EDITS), 2)


def test_an_edit_meets_one_that_is_not_committed_yet(home: Home) -> None:
    """It waits for that one, and takes its place."""
    mine, other = home.of("ed"), home.database.another()
    with ThreadPoolExecutor(1) as thread:
        with other.transaction():
            Immich(other, RELEASE).edit(home.photo, CROP, MIRROR)
            later = thread.submit(home.edit, mine, MIRROR)
            time.sleep(0.6)
            assert not later.done()
        later.result()
    home.upload(home.ed)
    same(home.all(EDITS), 1)


@pytest.mark.parametrize("who", ["family", "ed"])
def test_what_was_written_unseen_is_made_good(home: Home, who: str) -> None:
    home.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    home.edit(home.of(who), CROP)
    home.recognize_text(home.of(who), "Ice")
    home.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    inside(home.database.url).linked_asset("reconcile")
    same(home.all(EDITS), 1)
    same(home.all(BOXES), 1)
    assert home.all(EDITED) == [[(True,)]] * 3


def test_what_exists_is_linked(home: Home) -> None:
    photo = home.upload(home.family, "/elsewhere/2.jpg")
    home.process(photo)
    home.recognize_text(photo, "Harbour")
    home.edit(photo, CROP)
    home.move_file(photo, "/photos/2.jpg")
    clones = home.database.fetch("select asset_id from linked.member where source_id = %s", [photo])
    assert len(clones) == 3
    for table in ("asset_ocr", "ocr_search", "asset_edit"):
        assert home.database.value(f"select count(*) from {table}") == 3
