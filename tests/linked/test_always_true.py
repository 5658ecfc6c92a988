"""Random participants do random things; after each of them everything that is always true holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import psycopg
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.database import Databases
from tests.linked.conftest import MEDIA, Household
from tests.release import PERSON_ID, SHOWN

WHO = st.sampled_from(["family", "anna", "ben", "clara"])
PICK = st.integers(0, 50)
FOLDER = st.sampled_from([MEDIA, f"{MEDIA}/2020", "/data/upload/elsewhere", "/mnt/scans"])
ROLE = st.sampled_from(["editor", "viewer"])
DESCRIPTION = st.sampled_from([MEDIA, f"{MEDIA}/2020/", "/mnt/scans\n" + MEDIA, "/", "no prefix", ""])

PEOPLE = f'select {PERSON_ID} as id from person where "ownerId" = %s order by id'


@contextmanager
def as_immich_fails() -> Iterator[None]:
    """Immich itself, without the addon, cannot delete an archived asset that leads a stack: the job fails."""
    try:
        yield
    except psycopg.errors.ForeignKeyViolation as error:
        if error.diag.constraint_name != "stack_primaryAssetId_fkey":
            raise


class Life(RuleBasedStateMachine):
    """What Immich's users and jobs do with assets that are theirs in Immich's eyes, clones included."""

    databases: Databases
    template: str

    def __init__(self) -> None:
        super().__init__()
        self._copy = self.databases.copy(self.template)
        self.house = Household(self._copy.__enter__())
        self.deleted: set[str] = set()
        self.away: str | None = None
        self.count = 0

    def teardown(self) -> None:
        self._copy.__exit__(None, None, None)

    @initialize()
    def some_photos(self) -> None:
        for _ in range(3):
            self.house.photo()
        for who in ("family", "anna", "clara"):
            self.house.photo(self.user(who), f"/data/upload/{who}/1.jpg")

    @invariant()
    def always_true(self) -> None:
        self.house.check()

    # --- picking ------------------------------------------------------------------------------

    def user(self, who: str) -> UUID:
        """Somebody who can act: neither deleted nor waiting to be."""
        order = [who, "clara", "ben", "anna", "family"]
        present = next(name for name in order if name not in self.deleted and name != self.away)
        return getattr(self.house, present)  # type: ignore[no-any-return]

    def pick(self, sql: str, parameters: list[Any], pick: int) -> Any:
        rows = self.house.database.fetch(sql, parameters)
        return rows[pick % len(rows)][0] if rows else None

    def asset(self, who: str, pick: int) -> UUID | None:
        sql = """select id from asset where "ownerId" = %s order by "originalPath", id"""
        return self.pick(sql, [self.user(who)], pick)  # type: ignore[no-any-return]

    def some(self, who: str, pick: int) -> list[UUID]:
        """Every second or third asset of a user, as in a bulk edit."""
        sql = """select id from asset where "ownerId" = %s order by "originalPath", id"""
        return [row.id for row in self.house.database.fetch(sql, [self.user(who)])][pick % 2 :: 1 + pick % 3]

    def album(self, pick: int) -> UUID | None:
        sql = 'select id from album where lower("albumName") like \'linked%%\' order by "createdAt", id'
        return self.pick(sql, [], pick)  # type: ignore[no-any-return]

    def number(self) -> int:
        self.count += 1
        return self.count

    # --- arrival ------------------------------------------------------------------------------

    @rule(who=WHO, folder=FOLDER, checksum=st.sampled_from([None, b"same", b"other"]), processed=st.booleans())
    def upload(self, who: str, folder: str, checksum: bytes | None, processed: bool) -> None:
        user = self.user(who)
        if checksum and self.house.database.fetch(
            'select from asset where "ownerId" = %s and checksum = %s and "libraryId" is null', [user, checksum]
        ):
            return
        asset = self.house.upload(user, f"{folder}/{self.number()}.jpg", checksum=checksum)
        if processed:
            self.house.process(asset)

    @rule(who=WHO, folder=FOLDER, still_first=st.booleans())
    def upload_live_photo(self, who: str, folder: str, still_first: bool) -> None:
        user, name = self.user(who), f"{folder}/{self.number()}"
        if still_first:
            still = self.house.upload(user, f"{name}.heic")
            video = self.house.upload(user, f"{name}.mov", type="VIDEO")
            self.house.pair_live_photo(still, video)
        else:
            video = self.house.upload(
                user, f"/data/upload/elsewhere/{self.number()}.mov", type="VIDEO", visibility="hidden"
            )
            self.house.upload(user, f"{name}.heic", live_photo_video_id=video)

    @rule(folder=FOLDER)
    def scan_library(self, folder: str) -> None:
        library = self.house.create_library(self.house.family, folder)
        self.house.import_library(self.house.family, library, [f"{folder}/{self.number()}.jpg" for _ in range(3)])

    # --- edits and jobs -----------------------------------------------------------------------

    @rule(who=WHO, pick=PICK)
    def edit(self, who: str, pick: int) -> None:
        if asset := self.asset(who, pick):
            self.house.update_exif(asset, description=f"text {self.number()}", rating=pick % 5)

    @rule(who=WHO, pick=PICK)
    def edit_many(self, who: str, pick: int) -> None:
        self.house.update_all_exif(self.some(who, pick), description=f"text {self.number()}", latitude=float(pick))

    @rule(who=WHO, pick=PICK, visibility=st.sampled_from(["archive", "timeline"]))
    def archive(self, who: str, pick: int, visibility: str) -> None:
        self.house.update_assets(self.some(who, pick), visibility=visibility)

    @rule(who=WHO, pick=PICK)
    def lock(self, who: str, pick: int) -> None:
        if asset := self.asset(who, pick):
            self.house.lock(asset)

    @rule(who=WHO, pick=PICK)
    def unlock(self, who: str, pick: int) -> None:
        sql = """select id from asset where "ownerId" = %s and visibility = 'locked' order by id"""
        if asset := self.pick(sql, [self.user(who)], pick):
            self.house.unlock(asset)

    @rule(who=WHO, pick=PICK)
    def favorite(self, who: str, pick: int) -> None:
        self.house.favorite(*self.some(who, pick), value=pick % 2 == 0)

    @rule(
        who=WHO, pick=PICK, job=st.sampled_from(["process", "extract_metadata", "generate_thumbnails", "smart_search"])
    )
    def job(self, who: str, pick: int, job: str) -> None:
        if asset := self.asset(who, pick):
            getattr(self.house, job)(asset)

    @rule(who=WHO, pick=PICK)
    def encode(self, who: str, pick: int) -> None:
        sql = """select id from asset where "ownerId" = %s and type = 'VIDEO' order by id"""
        if asset := self.pick(sql, [self.user(who)], pick):
            self.house.encode_video(asset)

    @rule(who=WHO, pick=PICK, folder=FOLDER)
    def move(self, who: str, pick: int, folder: str) -> None:
        sql = """select id from asset where "ownerId" = %s and not "isExternal" order by id"""
        if asset := self.pick(sql, [self.user(who)], pick):
            self.house.move_file(asset, f"{folder}/{self.number()}.jpg")

    @rule(who=WHO, pick=PICK)
    def replace(self, who: str, pick: int) -> None:
        if asset := self.asset(who, pick):
            owner = self.house.asset(asset).ownerId
            self.house.replace_asset(asset, f"/data/upload/{owner}/new-{self.number()}.jpg")

    # --- people, tags, albums, stacks ---------------------------------------------------------

    @rule(who=WHO, pick=PICK, places=st.lists(st.integers(0, 3), unique=True, max_size=3))
    def detect(self, who: str, pick: int, places: list[int]) -> None:
        if asset := self.asset(who, pick):
            boxes = [(100 * place, 0, 100 * place + 50, 50) for place in places]
            self.house.detect_faces(asset, boxes, seeds=[f"person {place}" for place in places])

    @rule(who=WHO, pick=PICK, known=st.booleans())
    def recognize(self, who: str, pick: int, known: bool) -> None:
        user = self.user(who)
        sql = f"""select asset_face.id from asset_face join asset on asset.id = "assetId"
                 where "ownerId" = %s and {SHOWN} is null order by "originalPath", asset_face.id"""
        if face := self.pick(sql, [user], pick):
            person = self.pick(PEOPLE, [user], pick) if known else None
            self.house.recognize(face, person)

    @rule(who=WHO, pick=PICK)
    def draw_face(self, who: str, pick: int) -> None:
        if asset := self.asset(who, pick):
            person = self.pick(PEOPLE, [self.user(who)], pick)
            self.house.create_face(asset, person)

    @rule(who=WHO, pick=PICK, force=st.booleans())
    def delete_face(self, who: str, pick: int, force: bool) -> None:
        sql = 'select asset_face.id from asset_face join asset on asset.id = "assetId" where "ownerId" = %s order by 1'
        if face := self.pick(sql, [self.user(who)], pick):
            self.house.delete_face(face, force=force)

    @rule(who=WHO, pick=PICK, name=st.sampled_from(["", "Oma", "Opa"]))
    def rename_person(self, who: str, pick: int, name: str) -> None:
        if person := self.pick(PEOPLE, [self.user(who)], pick):
            self.house.update_person(person, name=name)

    @rule(who=WHO, pick=PICK)
    def merge_people(self, who: str, pick: int) -> None:
        people = self.house.database.fetch(PEOPLE, [self.user(who)])
        if len(people) > 1:
            first = pick % (len(people) - 1)
            self.house.merge_people(people[first].id, people[first + 1].id)

    @rule(who=WHO, pick=PICK)
    def delete_person(self, who: str, pick: int) -> None:
        if person := self.pick(PEOPLE, [self.user(who)], pick):
            self.house.delete_people([person])

    @rule(
        nightly=st.sampled_from(["clean_people", "reset_faces", "reset_face_detection", "sync_usage", "update_covers"])
    )
    def nightly(self, nightly: str) -> None:
        getattr(self.house, nightly)()

    @rule(who=WHO, pick=PICK, value=st.sampled_from(["a", "a/b", "a/b/c", "x"]))
    def tag(self, who: str, pick: int, value: str) -> None:
        tag = self.house.upsert_tag(self.user(who), value)
        assets = [asset for asset in self.some(who, pick) if value not in self.house.tags_of(asset)]
        if assets:
            self.house.tag_assets(tag, *assets)

    @rule(who=WHO, pick=PICK, value=st.sampled_from(["a", "a/b", "a/b/c", "x"]))
    def untag(self, who: str, pick: int, value: str) -> None:
        if tag := self.pick('select id from tag where "userId" = %s and value = %s', [self.user(who), value], 0):
            self.house.untag_assets(tag, *self.some(who, pick))

    @rule(who=WHO, pick=PICK)
    def delete_tag(self, who: str, pick: int) -> None:
        if tag := self.pick('select id from tag where "userId" = %s order by value', [self.user(who)], pick):
            self.house.delete_tag(tag)

    @rule(who=WHO, pick=PICK, share=WHO)
    def create_album(self, who: str, pick: int, share: str) -> None:
        users = [] if self.user(share) == self.user(who) else [self.user(share)]
        self.house.create_album(self.user(who), f"Album {self.number()}", assets=self.some(who, pick), users=users)

    def own_album(self, who: str, pick: int) -> UUID | None:
        albums = [row for row in self.house.albums_of(self.user(who)) if not row.albumName.lower().startswith("linked")]
        albums.sort(key=lambda row: (row.createdAt, row.id))
        return albums[pick % len(albums)].id if albums else None

    @rule(who=WHO, pick=PICK)
    def add_to_own_album(self, who: str, pick: int) -> None:
        if album := self.own_album(who, pick):
            new = [asset for asset in self.some(who, pick) if asset not in self.house.album_assets(album)]
            if new:
                self.house.add_to_album(album, *new)

    @rule(who=WHO, pick=PICK)
    def remove_from_own_album(self, who: str, pick: int) -> None:
        if (album := self.own_album(who, pick)) and (asset := self.asset(who, pick)):
            self.house.remove_from_album(album, asset)

    @rule(who=WHO, pick=PICK)
    def edit_own_album(self, who: str, pick: int) -> None:
        if album := self.own_album(who, pick):
            self.house.update_album(album, albumName=f"Renamed {self.number()}", order="asc")

    @rule(who=WHO, pick=PICK)
    def delete_own_album(self, who: str, pick: int) -> None:
        if album := self.own_album(who, pick):
            self.house.delete_album(album)

    @rule(who=WHO, pick=PICK, share=WHO)
    def share_own_album(self, who: str, pick: int, share: str) -> None:
        album, user = self.own_album(who, pick), self.user(share)
        if album and user != self.user(who):
            if self.house.role_of(album, user):
                self.house.unshare_album(album, user)
            else:
                self.house.share_album(album, user)

    @rule(who=WHO, pick=PICK)
    def stack(self, who: str, pick: int) -> None:
        assets = self.some(who, pick)[:4]
        if len(assets) > 1:
            self.house.create_stack(self.user(who), assets)

    @rule(who=WHO, pick=PICK)
    def unstack(self, who: str, pick: int) -> None:
        if stack := self.pick('select id from stack where "ownerId" = %s order by id', [self.user(who)], pick):
            self.house.delete_stacks(stack)

    @rule(who=WHO, pick=PICK)
    def set_primary(self, who: str, pick: int) -> None:
        sql = 'select id from asset where "ownerId" = %s and "stackId" is not null order by id'
        if asset := self.pick(sql, [self.user(who)], pick):
            self.house.set_primary_asset(self.house.asset(asset).stackId, asset)

    # --- trash and deletion -------------------------------------------------------------------

    @rule(who=WHO, pick=PICK)
    def trash(self, who: str, pick: int) -> None:
        self.house.trash(self.some(who, pick)[:2])

    @rule(who=WHO)
    def restore(self, who: str) -> None:
        self.house.restore_all(self.user(who))

    @rule(who=WHO, jobs=st.booleans())
    def empty_trash(self, who: str, jobs: bool) -> None:
        self.house.empty_trash(self.user(who))
        if jobs:
            with as_immich_fails():
                self.house.run_deletions()

    @rule(who=WHO, pick=PICK)
    def delete(self, who: str, pick: int) -> None:
        """For good. Not what leads a stack that it is not in: Immich itself cannot delete that."""
        sql = """select id from asset where "ownerId" = %s and not exists (
                   select from stack where "primaryAssetId" = asset.id and stack.id is distinct from asset."stackId")
                 order by "originalPath", id"""
        if asset := self.pick(sql, [self.user(who)], pick):
            self.house.force_delete([asset])
            with as_immich_fails():
                self.house.delete_asset(asset)

    @rule(vanish=st.booleans(), pick=PICK)
    def offline(self, vanish: bool, pick: int) -> None:
        if asset := self.pick('select id from asset where "libraryId" is not null order by id', [], pick):
            (self.house.files_vanished if vanish else self.house.files_returned)([asset])

    @rule(pick=PICK)
    def delete_library(self, pick: int) -> None:
        if library := self.pick("select id from library order by id", [], pick):
            self.house.delete_library(library)

    # --- linked albums ------------------------------------------------------------------------

    @rule(pick=PICK, who=WHO, role=ROLE)
    def share_or_unshare(self, pick: int, who: str, role: str) -> None:
        album, user = self.album(pick), self.user(who)
        if album is None or self.house.owner_of(album) == user:
            return
        shared = self.house.role_of(album, user)
        if shared is None:
            self.house.share_album(album, user, role)
        elif shared == role:
            self.house.unshare_album(album, user)
        else:
            self.house.set_role(album, user, role)

    @rule(pick=PICK, description=DESCRIPTION)
    def edit_prefixes(self, pick: int, description: str) -> None:
        if album := self.album(pick):
            self.house.update_album(album, description=description)

    @precondition(lambda self: self.house.count("linked.waiting"))
    @rule()
    def approve(self) -> None:
        self.house.approve()

    @rule(pick=PICK, who=WHO)
    def contribute(self, pick: int, who: str) -> None:
        if (album := self.album(pick)) and (asset := self.asset(who, pick)):
            if asset in self.house.album_assets(album):
                self.house.remove_from_album(album, asset)
            else:
                self.house.add_to_album(album, asset)

    @rule(who=WHO, description=DESCRIPTION, share=WHO, role=ROLE)
    def another_linked_album(self, who: str, description: str, share: str, role: str) -> None:
        users = {} if self.user(share) == self.user(who) else {self.user(share): role}
        self.house.create_album(self.user(who), " LINKED album of mine", description, users=users)

    @rule(pick=PICK)
    def rename_linked_album(self, pick: int) -> None:
        if album := self.album(pick):
            self.house.update_album(album, albumName="Linked no more" if pick % 2 else "linked ALBUM 2")

    @rule(pick=PICK)
    def delete_linked_album(self, pick: int) -> None:
        if album := self.album(pick):
            self.house.delete_album(album)

    # --- accounts -----------------------------------------------------------------------------

    @precondition(lambda self: self.away is None)
    @rule(who=st.sampled_from(["family", "anna"]))
    def put_account_away(self, who: str) -> None:
        if who not in self.deleted:
            self.house.soft_delete_user(self.user(who))
            self.away = who

    @precondition(lambda self: self.away is not None)
    @rule()
    def bring_account_back(self) -> None:
        assert self.away
        self.house.restore_user(getattr(self.house, self.away))
        self.away = None

    @precondition(lambda self: self.count > 12 and not self.deleted)
    @rule(who=st.sampled_from(["anna", "ben", "clara"]))
    def delete_account(self, who: str) -> None:
        user = getattr(self.house, who)
        self.house.soft_delete_user(user)
        self.house.hard_delete_user(user)
        self.deleted.add(who)
        if self.away == who:
            self.away = None

    @rule(new=st.sampled_from(["/data", "/srv/immich"]))
    def move_media_folder(self, new: str) -> None:
        self.house.migrate_file_paths("/data", new)


def live(world: type[Life], databases: Databases, template: str, examples: int) -> None:
    """As many lives, the same ones each time; or LIFE_EXAMPLES that nobody has lived yet."""
    more = os.environ.get("LIFE_EXAMPLES")
    profile: Callable[..., settings] = settings
    run_state_machine_as_test(
        type(world.__name__, (world,), {"databases": databases, "template": template}),
        settings=profile(
            max_examples=int(more or examples),
            derandomize=not more,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_life_of_a_family(databases: Databases, linked_template: str) -> None:
    live(Life, databases, linked_template, 12)
