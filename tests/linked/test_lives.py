"""Random lives in other worlds than a family with two editors: other albums and roles, a viewer, sync off at times."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import initialize, invariant, precondition, rule

from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.reconcile import reconcile
from tests.database import Database, Databases
from tests.linked.conftest import MEDIA
from tests.linked.test_always_true import PICK, WHO, Life, live
from tests.release import ALBUM_ASSET, PERSON_ID, TAG_ASSET

ROLES = st.sampled_from([None, "editor", "viewer"])

PEOPLE = f'select {PERSON_ID} as id from person where "ownerId" = %s order by id'


class AnyFamily(Life):
    """Nobody, one, two or three users are linked, by one album or two, in any roles."""

    @initialize(first=st.tuples(ROLES, ROLES, ROLES), second=st.tuples(ROLES, ROLES, ROLES), nested=st.booleans())
    def some_albums(self, first: tuple[str | None, ...], second: tuple[str | None, ...], nested: bool) -> None:
        house = self.house
        users = (house.anna, house.ben, house.clara)
        for user in (house.anna, house.ben):
            house.unshare_album(house.linked_album, user)
        for user, role in zip(users, first, strict=True):
            if role:
                house.share_album(house.linked_album, user, role)
        house.create_album(
            house.family,
            "Linked album, too",
            f"{MEDIA}/2020" if nested else "/mnt/scans",
            users={user: role for user, role in zip(users, second, strict=True) if role},
        )


FILES_AND_ROWS = ("originalPath", "checksum", "deletedAt", "status", "isOffline")
"""What moves, replaces or deletes: of this the source's counts after something was missed."""


class Outages(Life):
    """Sync is suspended at times, and everybody goes on; then it is taken up again and reconciled."""

    off = False

    @invariant()
    def always_true(self) -> None:
        if not self.off:
            super().always_true()

    @precondition(lambda self: not self.off)
    @rule()
    def sync_stops(self) -> None:
        self.house.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'a test'")
        self.off = True

    @precondition(lambda self: self.off)
    @rule()
    def sync_comes_back(self) -> None:
        before = self.sources()
        self.house.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
        reconciled(self.house.database)
        self.off = False
        after = self.assets()
        changed = {asset: (before[asset], after[asset]) for asset in before.keys() & after.keys()}
        assert not {asset: pair for asset, pair in changed.items() if pair[0] != pair[1]}
        gone = list(before.keys() - after.keys())
        unaudited = self.house.database.fetch(
            'select id from unnest(%s::uuid[]) as id where id not in (select "assetId" from asset_audit)', [gone]
        )
        assert not unaudited

    def sources(self) -> dict[UUID, tuple[Any, ...]]:
        clones = self.house.database.fetch("select asset_id from linked.member where asset_id <> source_id")
        return {asset: row for asset, row in self.assets().items() if asset not in {clone.asset_id for clone in clones}}

    def assets(self) -> dict[UUID, tuple[Any, ...]]:
        names = ", ".join(f'"{name}"' for name in FILES_AND_ROWS)
        rows = self.house.database.fetch(f"select id, {names} from asset")
        return {row[0]: (*row[1:], self.house.file_of(row[0], "sidecar")) for row in rows}


def reconciled(database: Database) -> None:
    with connected(engine_for(database_url({"DB_URL": database.url}))) as connection:
        reconcile(connection, dry_run=False)


MARK = "of Ben"
BOX = (70, 70, 90, 90)


class Viewer(Life):
    """Ben only ever views. What he writes is marked: it never leaves his account, and nobody takes it from him."""

    acted = False
    kept: frozenset[tuple[Any, ...]] = frozenset()

    @initialize()
    def ben_views(self) -> None:
        self.house.set_viewer(self.house.ben)

    def user(self, who: str) -> UUID:
        user = super().user(who)
        self.acted = self.acted or user == self.house.ben
        return user

    def marked(self, who: str, text: str) -> str:
        return f"{MARK} {text}" if self.user(who) == self.house.ben else text

    @rule(who=WHO, pick=PICK)
    def edit(self, who: str, pick: int) -> None:
        if asset := self.asset(who, pick):
            self.house.update_exif(asset, description=self.marked(who, f"text {self.number()}"), rating=pick % 5)

    @rule(who=WHO, pick=PICK)
    def edit_many(self, who: str, pick: int) -> None:
        self.house.update_all_exif(self.some(who, pick), description=self.marked(who, f"text {self.number()}"))

    @rule(who=WHO, pick=PICK, name=st.sampled_from(["", "Oma", "Opa"]))
    def rename_person(self, who: str, pick: int, name: str) -> None:
        if person := self.pick(PEOPLE, [self.user(who)], pick):
            self.house.update_person(person, name=name and self.marked(who, name))

    @rule(who=WHO, pick=PICK, value=st.sampled_from(["a", "a/b", "x"]))
    def tag(self, who: str, pick: int, value: str) -> None:
        super().tag(who, pick, self.marked(who, value))  # type: ignore[operator]

    @rule(who=WHO, pick=PICK, value=st.sampled_from(["a", "a/b", "x"]))
    def untag(self, who: str, pick: int, value: str) -> None:
        super().untag(who, pick, self.marked(who, value))  # type: ignore[operator]

    @rule(who=WHO, pick=PICK)
    def draw_face(self, who: str, pick: int) -> None:
        if asset := self.asset(who, pick):
            person = self.pick(PEOPLE, [self.user(who)], pick)
            box = BOX if self.user(who) == self.house.ben else (1, 1, 9, 9)
            self.house.create_face(asset, person, box)

    @rule(who=WHO, pick=PICK, share=WHO)
    def create_album(self, who: str, pick: int, share: str) -> None:
        users = [] if self.user(share) == self.user(who) else [self.user(share)]
        name = self.marked(who, f"Album {self.number()}")
        self.house.create_album(self.user(who), name, assets=self.some(who, pick), users=users)

    @rule(who=WHO, pick=PICK)
    def edit_own_album(self, who: str, pick: int) -> None:
        if album := self.own_album(who, pick):
            self.house.update_album(album, albumName=self.marked(who, f"Renamed {self.number()}"), order="asc")

    @rule(pick=PICK, who=st.sampled_from(["anna", "clara"]), role=st.sampled_from(["editor", "viewer"]))
    def share_or_unshare(self, pick: int, who: str, role: str) -> None:
        if self.user(who) != self.house.ben:
            super().share_or_unshare(pick, who, role)  # type: ignore[operator]

    @rule(share=st.sampled_from(["anna", "ben"]))
    def another_linked_album(self, share: str) -> None:
        users = {self.house.ben: "viewer"} if share == "ben" else {self.house.anna: "editor"}
        if share not in self.deleted and share != self.away and "family" not in (self.away, *self.deleted):
            self.house.create_album(self.house.family, " LINKED album of mine", f"{MEDIA}/2020", users=users)

    @rule(who=st.sampled_from(["anna", "clara"]))
    @precondition(lambda self: self.count > 12 and not self.deleted)
    def delete_account(self, who: str) -> None:
        user = getattr(self.house, who)
        self.house.soft_delete_user(user)
        self.house.hard_delete_user(user)
        self.deleted.add(who)
        if self.away == who:
            self.away = None

    def marked_albums(self) -> list[tuple[UUID, UUID]]:
        """Album and owner."""
        rows = self.house.database.fetch('select id from album where "albumName" like %s', [f"{MARK}%"])
        return [(row.id, self.house.owner_of(row.id)) for row in rows]

    @invariant()
    def nothing_of_the_viewer_leaves(self) -> None:
        found = self.house.database.fetch(
            f"""select 'exif' as what, "ownerId" as owner from asset_exif join asset on id = "assetId"
                where description like '{MARK}%%'
                union all select 'person', "ownerId" from person where name like '{MARK}%%'
                union all select 'tag', "userId" from tag where value like '{MARK}%%'
                union all select 'face', "ownerId" from asset_face join asset on asset.id = "assetId"
                where "boundingBoxX1" = {BOX[0]}"""
        )
        found += [("album", owner) for _, owner in self.marked_albums()]
        leaked = [what for what, owner in found if owner != self.house.ben]
        assert not leaked, leaked

    @invariant()
    def nothing_is_taken_from_the_viewer(self) -> None:
        kept = frozenset(
            self.house.database.fetch(
                f"""select 'tag' as what, {TAG_ASSET.assetId} as asset, value from tag_asset
                    join tag on tag.id = {TAG_ASSET.tagId} where value like '{MARK}%%'
                    union all select 'album', {ALBUM_ASSET.assetId}, {ALBUM_ASSET.albumId}::text from album_asset
                    where {ALBUM_ASSET.albumId} = any(%(albums)s)
                    union all select 'face', "assetId", asset_face.id::text from asset_face
                    where "boundingBoxX1" = {BOX[0]}""",
                {"albums": [album for album, owner in self.marked_albums() if owner == self.house.ben]},
            )
        )
        there = {row.id for row in self.house.database.fetch("select id from asset")}
        if not self.acted:
            assert not {row for row in self.kept - kept if row[1] in there}
        self.acted, self.kept = False, kept


@pytest.mark.parametrize("world", [AnyFamily, Outages, Viewer])
def test_lives(databases: Databases, linked_template: str, world: type[Life]) -> None:
    live(world, databases, linked_template, 5)
