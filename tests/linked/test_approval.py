"""What an editor writes into an album, so that it links more, counts once the owner has approved it (SPEC 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from sample import create_immich
from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.conftest import upgrade
from tests.linked.test_turns import somebody_has_the_turn
from tests.shell.conftest import inside, one_line

FOLDER = "/photos/shared"


class Home(Immich):
    """Nora owns pictures in two folders; her linked album shares one of them with Ed, an editor."""

    def __init__(self, database: Database, release: str) -> None:
        super().__init__(database, release)
        self.nora, self.ed, self.zoe = (self.create_user(name) for name in ("Nora", "Ed", "Zoe"))
        self.shared = self.upload(self.nora, f"{FOLDER}/1.jpg")
        self.private = self.upload(self.nora, "/photos/private/1.jpg")
        self.album = self.create_album(self.nora, "Linked album", FOLDER, users=[self.ed])

    def become_viewer(self, album: UUID, user: UUID) -> None:
        self.set_role(album, user, "viewer")

    def seen_by(self, user: UUID) -> set[str]:
        rows = self.database.fetch('select "originalPath" as path from asset where "ownerId" = %s', [user])
        return {row.path for row in rows}

    def minutes_later(self) -> None:
        """As far as rows of sharing, and what is noted of albums, tell."""
        with self.transaction():
            self.database.execute("set local session_replication_role = replica")
            self.database.execute(
                """update album_user set "createdAt" = "createdAt" - interval '2 minutes',
                   "updatedAt" = "updatedAt" - interval '2 minutes'"""
            )
            self.database.execute(
                """update linked.note set fresh = (
                     select jsonb_agg(row || jsonb_build_object(
                       'updatedAt', (row ->> 'updatedAt')::timestamptz - interval '2 minutes'))
                     from jsonb_array_elements(fresh) as row)
                   where place = 'album update'"""
            )
            self.database.execute("""update album_user_audit set "deletedAt" = "deletedAt" - interval '2 minutes'""")

    def waiting(self) -> list[str | None]:
        return [row.path for row in self.database.fetch("select path from linked.waiting order by path nulls first")]


@pytest.fixture(scope="session", params=["v2.6.0", "v3.0.0"])
def template(request: pytest.FixtureRequest, databases: Databases) -> tuple[str, str]:
    release: str = request.param
    base = databases.template(f"immich_{release}", lambda connection: create_immich(connection, release))

    return databases.template(f"approval_{release}", upgrade, base=base), release


@pytest.fixture
def home(databases: Databases, template: tuple[str, str]) -> Iterator[Home]:
    name, release = template
    with databases.copy(name) as database:
        home = Home(database, release)
        assert home.seen_by(home.ed) == {f"{FOLDER}/1.jpg"}
        yield home
        assert not database.fetch("select place, message from linked.incident")


WIDER = ["/", "/photos", f"{FOLDER}\n/photos/private", "/photos/private"]


@pytest.mark.parametrize("description", WIDER)
def test_a_wider_prefix_waits(home: Home, description: str) -> None:
    home.update_album(home.album, description=description)
    assert "/photos/private/1.jpg" not in home.seen_by(home.ed)
    assert home.waiting()
    assert not home.database.value("select exists (select from linked.queue)")


@pytest.mark.parametrize("description", WIDER)
def test_it_waits_still_when_the_editor_has_left(home: Home, description: str) -> None:
    home.share_album(home.album, home.zoe, "viewer")
    home.update_album(home.album, description=description)
    home.unshare_album(home.album, home.ed)
    assert "/photos/private/1.jpg" not in home.seen_by(home.zoe)
    home.minutes_later()
    home.update_album(home.album, description=description + "\n")
    assert "/photos/private/1.jpg" in home.seen_by(home.zoe)
    assert not home.waiting()


def test_narrowing_counts_at_once(home: Home) -> None:
    home.update_album(home.album, description=f"{FOLDER}/2024")
    assert home.seen_by(home.ed) == set()
    assert not home.waiting()
    home.update_album(home.album, description=FOLDER)
    assert home.seen_by(home.ed) == set()
    assert home.waiting() == [FOLDER]


def test_an_ordinary_album_is_not_made_a_linked_one(home: Home) -> None:
    album = home.create_album(home.nora, "Holidays", assets=[home.private], users=[home.ed, home.zoe])
    home.update_album(album, albumName="Linked album of mine", description="/")
    assert home.seen_by(home.zoe) == set()
    assert home.waiting() == [None]
    home.update_album(album, albumName="Holidays")
    assert home.waiting() == []


def test_what_the_owner_writes_alone_counts(home: Home) -> None:
    home.set_role(home.album, home.ed, "viewer")
    home.minutes_later()
    home.update_album(home.album, description="/photos")
    assert "/photos/private/1.jpg" in home.seen_by(home.ed)


def test_what_an_album_is_made_with_counts(home: Home) -> None:
    home.create_album(home.nora, "Linked album", "/photos/private", users=[home.zoe])
    assert home.seen_by(home.zoe) == {"/photos/private/1.jpg"}


def approve_by_command(home: Home) -> None:
    assert "approved: 1" in inside(home.database.url).linked_asset("approve", "Linked album").stderr


def approve_by_album(home: Home) -> None:
    home.create_album(home.nora, "  Approve Linked Album, please")


def approve_by_renaming(home: Home) -> None:
    home.update_album(home.create_album(home.nora, "Diary"), albumName="approve linked album")


@pytest.mark.parametrize("approve", [approve_by_command, approve_by_album, approve_by_renaming])
def test_the_owner_approves(home: Home, approve: object) -> None:
    home.update_album(home.album, description="/photos")
    approve(home)  # type: ignore[operator]
    assert home.seen_by(home.ed) == {f"{FOLDER}/1.jpg", "/photos/private/1.jpg"}
    assert not home.waiting()


CAREFUL = f"{FOLDER}\ndeletes: own"


def deletes_for_all(home: Home) -> bool:
    """Whether Ed's trash is Nora's."""
    clone = home.database.value("select asset_id from linked.member where owner_id = %s", [home.ed])
    rows = home.database.fetch("select deletes_own from linked.member where asset_id = %s", [clone])
    policy = home.database.fetch("select policy from linked.waiting")
    assert [row.policy for row in policy] in ([], ["deletes: all"])
    return not rows[0].deletes_own


@pytest.mark.parametrize("description", [FOLDER, f"{FOLDER}\ndeletes: all", f"{FOLDER}\ndeletes: my own"])
@pytest.mark.parametrize("approve", [approve_by_command, approve_by_album, approve_by_renaming])
def test_the_end_of_a_careful_policy_waits(home: Home, approve: object, description: str) -> None:
    home.update_album(home.album, description=CAREFUL)
    assert not deletes_for_all(home)
    home.update_album(home.album, description=description)
    assert not deletes_for_all(home)
    assert home.waiting() == [None]
    home.unshare_album(home.album, home.ed)
    home.share_album(home.album, home.ed)
    home.update_album(home.album, albumName="Linked album of ours")
    home.update_album(home.album, albumName="Linked album")
    assert not deletes_for_all(home)
    approve(home)  # type: ignore[operator]
    assert deletes_for_all(home)
    assert not home.waiting()


def test_a_careful_policy_counts_at_once(home: Home) -> None:
    assert deletes_for_all(home)
    home.update_album(home.album, description=CAREFUL)
    assert not home.waiting()
    home.update_album(home.album, description=FOLDER)
    home.update_album(home.album, description=CAREFUL)
    assert not home.waiting()
    home.trash([home.database.value("select asset_id from linked.member where owner_id = %s", [home.ed])])
    assert home.asset(home.shared).status == "active"


def test_the_owner_ends_a_careful_policy_alone(home: Home) -> None:
    home.update_album(home.album, description=CAREFUL)
    home.unshare_album(home.album, home.ed)
    home.minutes_later()
    home.update_album(home.album, description=FOLDER)
    assert not home.waiting()
    home.share_album(home.album, home.ed)
    assert deletes_for_all(home)


def test_a_policy_that_waits_is_told(home: Home) -> None:
    home.update_album(home.album, description=CAREFUL)
    home.update_album(home.album, description=FOLDER)
    here = inside(home.database.url)
    line = 'the album "Linked album" waits for its owner to approve the end of "deletes: own"'
    assert line in here.linked_asset("status").stdout
    assert line in here.linked_asset("doctor").stdout


def test_nobody_else_approves(home: Home) -> None:
    home.update_album(home.album, description="/photos")
    home.create_album(home.ed, "approve linked album")
    shared = home.create_album(home.nora, "Ours", users=[home.ed])
    home.update_album(shared, albumName="approve linked album")
    home.unshare_album(shared, home.ed)
    home.update_album(shared, description="and more")
    assert home.seen_by(home.ed) == {f"{FOLDER}/1.jpg"}
    assert home.waiting() == ["/photos"]


def test_a_counterpart_does_not_approve(home: Home) -> None:
    """Of an album of Ed's with a linked picture in it: its name reaches Nora's, which is shared with nobody."""
    clone = home.database.value('select id from asset where "ownerId" = %s', [home.ed])
    own = home.create_album(home.ed, "Best of", assets=[clone])
    home.update_album(home.album, description="/photos")
    home.update_album(own, albumName="approve linked album")
    assert home.waiting() == ["/photos"]


def test_unseen_it_waits(home: Home) -> None:
    home.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    home.update_album(home.album, description="/photos")
    home.unshare_album(home.album, home.ed)
    home.share_album(home.album, home.zoe, "viewer")
    home.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    inside(home.database.url).linked_asset("reconcile")
    assert home.seen_by(home.zoe) == {f"{FOLDER}/1.jpg"}
    assert home.waiting() == ["/photos"]


def test_installing_again_approves_nothing(home: Home) -> None:
    home.update_album(home.album, description="/photos")
    home.database.execute("update linked.installation set package_version = '0'")
    inside(home.database.url).alembic("upgrade", "head")
    assert home.waiting() == ["/photos"]
    assert home.seen_by(home.ed) == {f"{FOLDER}/1.jpg"}


def test_what_stands_at_installation_counts(home: Home) -> None:
    inside(home.database.url).alembic("downgrade", "base")
    home.update_album(home.album, description="/photos")
    inside(home.database.url).alembic("upgrade", "head")
    assert home.seen_by(home.ed) == {f"{FOLDER}/1.jpg", "/photos/private/1.jpg"}


@pytest.mark.parametrize("table", ["prefix", "linked_album"])
def test_lost_tables_cost_nobody_a_clone(home: Home, table: str) -> None:
    clone = home.database.value('select id from asset where "ownerId" = %s', [home.ed])
    home.database.execute(f"drop table linked.{table} cascade")
    inside(home.database.url).alembic("upgrade", "head")
    assert home.database.value('select id from asset where "ownerId" = %s', [home.ed]) == clone


def test_the_media_folder_moves(home: Home) -> None:
    home.migrate_file_paths("/photos", "/mnt")
    assert home.seen_by(home.ed) == {"/mnt/shared/1.jpg"}
    assert not home.waiting()


@pytest.mark.parametrize("template", ["v3.0.0"], indirect=True)
def test_an_album_that_is_taken_over(home: Home) -> None:
    """v3.0.0 to v3.0.2: an editor demotes the owner and takes the role, by two statements of one row each."""
    home.upload(home.ed, f"{FOLDER}/of-ed.jpg")
    home.share_album(home.album, home.zoe, "viewer")
    home.set_role(home.album, home.nora, "editor")
    assert home.seen_by(home.zoe) == {f"{FOLDER}/1.jpg"}
    home.set_role(home.album, home.ed, "owner")
    assert home.seen_by(home.zoe) == set()
    assert home.waiting() == [FOLDER]


def test_it_is_told(home: Home) -> None:
    home.update_album(home.album, description="/photos")
    here = inside(home.database.url)
    assert "waits for its owner to approve the folder /photos" in here.linked_asset("status").stdout
    assert "approval" in here.linked_asset("doctor").stdout
    assert 'nothing waits for approval in an album "Other". Waiting: "Linked album"' in one_line(
        here.linked_asset("approve", "Other", check=False)
    )


@pytest.mark.parametrize("template", ["v2.6.0"], indirect=True)
def test_moving_from_an_older_step_takes_over_what_is_known(home: Home) -> None:
    """Immich was upgraded, sync is suspended, and an editor may write before the addon is upgraded."""
    here = inside(home.database.url)
    home.database.execute("update linked.installation set immich_version = 'v2.5.2'")
    home.database.execute("update linked.alembic_version set version_num = 'v2.5.2'")
    home.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'other tables'")
    home.update_album(home.album, description="/photos")
    here.alembic("upgrade", "head")
    assert home.seen_by(home.ed) == {f"{FOLDER}/1.jpg"}
    assert home.waiting() == ["/photos"]


def test_reconcile_does_not_approve_what_one_who_left_has_written(home: Home) -> None:
    home.share_album(home.album, home.zoe, "viewer")
    home.update_album(home.album, description="/photos")
    home.unshare_album(home.album, home.ed)
    for _ in range(2):
        inside(home.database.url).linked_asset("reconcile")
    assert home.seen_by(home.zoe) == {f"{FOLDER}/1.jpg"}
    assert home.waiting() == ["/photos"]


def test_reconcile_does_not_link_what_one_who_left_has_named(home: Home) -> None:
    album = home.create_album(
        home.nora, "Holidays", assets=[home.private], users={home.ed: "editor", home.zoe: "viewer"}
    )
    home.update_album(album, albumName="Linked album of mine")
    home.unshare_album(album, home.ed)
    inside(home.database.url).linked_asset("reconcile")
    assert home.seen_by(home.zoe) == set()
    assert home.waiting() == [None]


def test_renaming_does_not_approve_what_stands_in_the_description(home: Home) -> None:
    home.update_album(home.album, description="/photos")
    home.share_album(home.album, home.zoe, "viewer")
    home.unshare_album(home.album, home.ed)
    home.minutes_later()
    home.update_album(home.album, albumName="Linked album of us all")
    assert home.seen_by(home.zoe) == {f"{FOLDER}/1.jpg"}


def test_what_was_written_before_an_album_was_linked(home: Home) -> None:
    album = home.create_album(home.nora, "Holidays", users={home.ed: "editor", home.zoe: "viewer"})
    home.update_album(album, description="/photos/private")
    home.unshare_album(album, home.ed)
    home.minutes_later()
    home.update_album(album, albumName="Linked album")
    assert home.seen_by(home.zoe) == set()
    assert home.waiting() == ["/photos/private"]


def test_what_sync_brought_from_another_account(home: Home) -> None:
    clone = home.database.value('select id from asset where "ownerId" = %s', [home.ed])
    home.create_album(home.ed, "Best of", "/photos/private", assets=[clone])
    (mine,) = home.database.fetch("select album_id from linked.album_pair where album_id <> album_key")
    home.update_album(mine.album_id, albumName="Linked album of the best")
    home.share_album(mine.album_id, home.zoe, "viewer")
    assert "/photos/private/1.jpg" not in home.seen_by(home.zoe)


@pytest.mark.parametrize("leave", [Home.unshare_album, Home.become_viewer])
def test_an_editor_who_leaves_while_writing(home: Home, leave: Callable[..., None]) -> None:
    """Immich has asked whether the editor may write, and writes when it is the editor no more."""
    home.share_album(home.album, home.zoe, "viewer")
    leave(home, home.album, home.ed)
    home.update_album(home.album, description="/photos")
    assert home.seen_by(home.zoe) == {f"{FOLDER}/1.jpg"}
    assert home.waiting() == ["/photos"]


def test_an_editor_who_leaves_while_approving(home: Home) -> None:
    home.update_album(home.album, description="/photos")
    album = home.create_album(home.nora, "Diary", users=[home.ed])
    home.unshare_album(album, home.ed)
    home.update_album(album, albumName="approve linked album")
    assert home.waiting() == ["/photos"]
    home.minutes_later()
    home.update_album(album, albumName="approve linked albums")
    assert not home.waiting()


def test_whom_the_owner_has_just_let_look_does_not_matter(home: Home) -> None:
    album = home.create_album(home.nora, "Untitled")
    home.update_album(album, description="/photos/private")
    home.share_album(album, home.zoe, "viewer")
    home.update_album(album, albumName="Linked album")
    assert home.seen_by(home.zoe) == {"/photos/private/1.jpg"}


def test_unseen_the_owner_alone_counts(home: Home) -> None:
    album = home.create_album(home.nora, "Linked album", users={home.zoe: "viewer"})
    home.database.execute("update linked.installation set suspended_at = now(), suspended_why = 'test'")
    home.update_album(album, description="/photos/private")
    home.database.execute("update linked.installation set suspended_at = null, suspended_why = null")
    inside(home.database.url).linked_asset("reconcile")
    assert home.seen_by(home.zoe) == {"/photos/private/1.jpg"}


# --- what was put off because somebody else had the turn ----------------------------------------------


def test_an_editor_writes_before_the_new_album_had_its_turn(home: Home) -> None:
    with somebody_has_the_turn(home):
        album = home.create_album(home.nora, "Linked album", FOLDER, users={home.ed: "editor", home.zoe: "viewer"})
    home.update_album(album, description="/photos")
    assert "/photos/private/1.jpg" not in home.seen_by(home.zoe)
    assert home.waiting() == ["/photos"]


def test_a_new_album_that_nobody_has_written_to_counts_later(home: Home) -> None:
    with somebody_has_the_turn(home):
        home.create_album(home.nora, "Linked album", "/photos/private", users=[home.zoe])
    home.upload(home.nora)
    assert home.seen_by(home.zoe) == {"/photos/private/1.jpg"}


def test_an_editor_is_long_gone_when_the_change_has_its_turn(home: Home) -> None:
    home.share_album(home.album, home.zoe, "viewer")
    with somebody_has_the_turn(home):
        home.update_album(home.album, description="/photos")
        home.unshare_album(home.album, home.ed)
    home.minutes_later()
    home.upload(home.nora, f"{FOLDER}/2.jpg")
    assert home.seen_by(home.zoe) == {f"{FOLDER}/1.jpg", f"{FOLDER}/2.jpg"}
    assert home.waiting() == ["/photos"]


def test_an_editor_is_long_gone_when_an_approval_has_its_turn(home: Home) -> None:
    home.update_album(home.album, description="/photos")
    album = home.create_album(home.nora, "Diary", users=[home.ed])
    with somebody_has_the_turn(home):
        home.update_album(album, albumName="approve linked album")
        home.unshare_album(album, home.ed)
    home.minutes_later()
    home.upload(home.nora, f"{FOLDER}/2.jpg")
    assert home.waiting() == ["/photos"]


@pytest.mark.parametrize("later", ["/photos", None])
def test_an_approval_is_of_what_waited_when_it_was_written(home: Home, later: str | None) -> None:
    home.update_album(home.album, description=f"{FOLDER}\n/photos/private")
    with somebody_has_the_turn(home):
        home.create_album(home.nora, "approve linked album")
    if later:
        home.update_album(home.album, description=later)
    else:
        home.upload(home.nora)
    assert home.waiting() == ([later] if later else [])
    assert ("/photos/private/1.jpg" in home.seen_by(home.ed)) is not bool(later)
