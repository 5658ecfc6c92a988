"""Many threads do what Immich does, all at once, to the members of a few groups.

What writes several rows of one account is done by one thread at a time for each account: two such statements that meet
the same rows in another order are a deadlock on a bare server, too. So here every deadlock is the addon's.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.builders import Immich
from tests.database import Database
from tests.linked.conftest import MEDIA, Household
from tests.linked.sessions import impatient, wait_until_nothing_is_left
from tests.release import PERSON_ID, SHOWN

GROUPS = 20
THREADS = 8
BOXES = [(0, 0, 50, 50), (100, 0, 150, 50), (200, 0, 250, 50)]

EXPECTED = (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation, ValueError)
"""What Immich alone gets, too, when two requests add the same, or one deletes what the other works on."""

MADE_BY_SYNC = """
    select from stack join linked.stack_pair on stack_id = stack.id
    where "primaryAssetId" = %s and stack_id <> stack_key
"""


class Actor:
    """A thread with connections of its own, that acts on members picked at random."""

    def __init__(self, house: Household, seed: int, turns: dict[UUID, threading.Lock], concern: str) -> None:
        self.house = house
        self.turns = turns
        self.often = CONCERNS[concern]
        self.random = random.Random(seed)
        self.seed = seed
        self.done: Counter[str] = Counter()
        self.errors: list[tuple[str, Exception]] = []
        self._database = Database(impatient(house.database.url))
        self.immich = Immich(self._database)

    def work(self, until: float) -> None:
        acts = [name for name in dir(self) if name.startswith("do_")]
        weights = [RARE.get(name, 10) * (5 if name.removeprefix("do_") in self.often else 1) for name in acts]
        while time.monotonic() < until:
            (act,) = self.random.choices(acts, weights)
            try:
                getattr(self, act)()
                self.done[act] += 1
            except EXPECTED as error:
                # Two requests of one account that stack the same; a stack that sync has made is in nobody's way.
                if isinstance(error, psycopg.Error) and error.diag.constraint_name == "stack_primaryAssetId_uq":
                    (primary,) = re.findall(r"=\(([-0-9a-f]{36})\)", str(error.diag.message_detail))
                    if self.rows(MADE_BY_SYNC, primary):
                        self.errors.append((act, error))
            except Exception as error:
                self.errors.append((act, error))
        self._database.close()

    # --- picking ----------------------------------------------------------------------------------

    def rows(self, query: str, *parameters: Any) -> list[Any]:
        return self._database.fetch(query, list(parameters))

    def one(self, query: str, *parameters: Any) -> Any:
        rows = self.rows(query, *parameters)
        if not rows:
            raise ValueError(query)
        return self.random.choice(rows)[0]

    @contextmanager
    def account(self) -> Iterator[UUID]:
        """One whose rows nobody else writes several of at once meanwhile."""
        user = self.random.choice(list(self.turns))
        with self.turns[user]:
            yield user

    @contextmanager
    def all_accounts(self) -> Iterator[None]:
        with ExitStack() as stack:
            for turn in self.turns.values():
                stack.enter_context(turn)
            yield

    def member(self, user: UUID | None = None) -> UUID:
        return self.one("select asset_id from linked.member where owner_id = %s or %s", user, user is None)  # type: ignore[no-any-return]

    def members(self, user: UUID, count: int = 4) -> list[UUID]:
        ids = [row.asset_id for row in self.rows("select asset_id from linked.member where owner_id = %s", user)]
        return self.random.sample(ids, min(count, len(ids)))

    def path(self) -> str:
        return f"{MEDIA}/{self.seed}-{self.random.random()}.jpg"

    # --- acts -------------------------------------------------------------------------------------

    def do_edit(self) -> None:
        self.immich.update_exif(self.member(), description=str(self.random.random()), rating=self.random.randint(0, 5))

    def do_edit_many(self) -> None:
        with self.account() as user:
            self.immich.update_all_exif(self.members(user), latitude=self.random.random())

    def do_archive(self) -> None:
        with self.account() as user:
            self.immich.update_assets(self.members(user), visibility=self.random.choice(["archive", "timeline"]))

    def do_extract(self) -> None:
        with self.account() as user:
            self.immich.extract_metadata(self.member(user), tags=self.random.sample(["a", "a/b", "c"], 2))

    def do_thumbnails(self) -> None:
        self.immich.generate_thumbnails(self.member())

    def do_search(self) -> None:
        self.immich.smart_search(self.member())

    def do_duplicates(self) -> None:
        with self.account() as user:
            self.immich.detect_duplicates(self.members(user))

    def do_detect(self) -> None:
        boxes = self.random.sample(BOXES, self.random.randint(0, 3))
        with self.account() as user:
            self.immich.detect_faces(self.member(user), boxes, seeds=[box[0] for box in boxes])

    def do_recognize(self) -> None:
        face = self.one(f"select face_id from linked.face join asset_face on id = face_id where {SHOWN} is null")
        self.immich.recognize(face)

    def do_rename_person(self) -> None:
        # A person whose last face goes meanwhile tells nobody any more what it is called.
        with self.all_accounts():
            person = self.one(f"select {PERSON_ID} from person where {PERSON_ID} in (select {SHOWN} from asset_face)")
            self.immich.update_person(person, name=self.random.choice(["Mum", "Dad", ""]))

    def do_merge(self) -> None:
        with self.account() as user:
            people = [row.id for row in self.immich.people(user)]
            self.immich.merge_people(*self.random.sample(people, 2))

    def do_tag(self) -> None:
        with self.account() as user:
            tag = self.immich.upsert_tag(user, self.random.choice(["a", "a/b", "c", "d"]))
            self.immich.bulk_tag([tag], self.members(user))

    def do_untag(self) -> None:
        with self.account() as user:
            self.immich.untag_assets(self._tag(user), *self.members(user))

    def do_delete_tag(self) -> None:
        with self.account() as user:
            self.immich.delete_tag(self._tag(user))

    def do_album(self) -> None:
        with self.account() as user:
            self.immich.create_album(user, "Album", assets=self.members(user))

    def do_add_to_album(self) -> None:
        with self.account() as user:
            self.immich.add_to_album(self._album(user), *self.members(user, 1))

    def do_remove_from_album(self) -> None:
        with self.account() as user:
            self.immich.remove_from_album(self._album(user), *self.members(user, 2))

    def do_delete_album(self) -> None:
        with self.account() as user:
            self.immich.delete_album(self._album(user))

    def do_covers(self) -> None:
        with self.all_accounts():
            self.immich.update_covers()

    def do_stack(self) -> None:
        with self.account() as user:
            self.immich.create_stack(user, self.members(user, 3))

    def do_unstack(self) -> None:
        with self.account() as user:
            self.immich.delete_stacks(self.one('select id from stack where "ownerId" = %s', user))

    def do_upload(self) -> None:
        self.immich.process(self.immich.upload(self.house.family, self.path()))

    def do_move(self) -> None:
        photo = self.one('select id from asset where not "isExternal" and "ownerId" = %s', self.house.family)
        self.immich.move_file(photo, self.path())

    def do_trash_and_restore(self) -> None:
        with self.account() as user:
            members = self.members(user, 2)
            self.immich.trash(members)
            self.immich.restore(members)

    def do_delete(self) -> None:
        with self.account() as user:
            self.immich.delete_asset(self.member(user))

    def do_share_and_unshare(self) -> None:
        self.immich.share_album(self.house.linked_album, self.house.clara)
        self.immich.unshare_album(self.house.linked_album, self.house.clara)

    def do_recount(self) -> None:
        with self.all_accounts():
            self.immich.sync_usage()

    def _tag(self, user: UUID) -> UUID:
        return self.one('select id from tag where "userId" = %s', user)  # type: ignore[no-any-return]

    def _album(self, user: UUID) -> UUID:
        albums = [album.id for album in self.immich.albums_of(user) if album.albumName == "Album"]
        if not albums:
            raise ValueError(user)
        return self.random.choice(albums)


RARE = {"do_delete": 2, "do_share_and_unshare": 1, "do_album": 2, "do_recount": 2}


CONCERNS = {
    "all": set[str](),
    "stacks": {"stack", "unstack", "trash_and_restore"},
    "people": {"detect", "recognize", "rename_person", "merge"},
    "albums": {"album", "add_to_album", "remove_from_album", "delete_album", "covers"},
    "tags": {"tag", "untag", "delete_tag", "extract"},
    "membership": {"upload", "move", "delete", "share_and_unshare", "trash_and_restore"},
}
"""What happens more often than the rest: two acts on the same rows have to meet."""


@pytest.mark.parametrize(
    ("concern", "seconds"),
    [("all", 4), ("stacks", 4), *(pytest.param(concern, 30, marks=pytest.mark.slow) for concern in CONCERNS)],
)
def test_many_at_once(household: Household, concern: str, seconds: int) -> None:
    for _ in range(GROUPS):
        household.photo()
    turns = {user: threading.Lock() for user in (household.family, household.anna, household.ben)}
    actors = [Actor(household, seed, turns, concern) for seed in range(THREADS)]
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=actor.work, args=[until], name=f"actor {actor.seed}") for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 60)
    assert not any(thread.is_alive() for thread in threads)
    assert [error for actor in actors for error in actor.errors] == []
    wait_until_nothing_is_left(household.database)
    assert household.count("linked.note") == 0
    household.check()
    assert not household.database.value("select deadlocks from pg_stat_database where datname = current_database()")
    done = sum((actor.done for actor in actors), Counter())
    print(f"{done.total()} acts in {seconds} s: {dict(done)}")
    assert min(actor.done.total() for actor in actors) >= seconds / 2
