"""An installation of the immich-linked-assets scripts becomes one of ours, and nobody loses anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest

from tests.builders import Immich
from tests.database import Database, Databases
from tests.linked.conftest import Household
from tests.shell.conftest import inside, one_line
from tests.shell.test_climb import immich_of

TABLES = """
    create schema linked;
    create table linked.album (album_cluster uuid not null, owner_id uuid not null,
        base_owner bool default false not null, description text not null, tag_id uuid, id uuid primary key);
    create table linked.stack (stack_cluster uuid not null, owner_id uuid not null,
        base_owner bool default false not null, id uuid primary key references public.stack (id) on delete cascade);
    create table linked.tag (tag_cluster uuid not null, owner_id uuid not null, base_owner bool default false not null,
        parent_updated bool default false not null, value text not null,
        id uuid primary key references public.tag (id) on delete cascade);
    create table linked.shared_album (album_name text not null, shared_album_cluster uuid not null,
        owner_id uuid not null, base_owner bool default false not null,
        id uuid primary key references public.album (id) on delete cascade);
    create table linked.asset (album_cluster uuid not null, asset_cluster uuid not null, owner_id uuid not null,
        base_owner bool default false not null, id uuid primary key);
    create table linked.asset_file (asset_cluster uuid not null, files_cluster uuid not null, owner_id uuid not null,
        base_owner bool default false not null, asset_id uuid not null references linked.asset (id) on delete cascade,
        id uuid primary key);
    create table linked.asset_face (asset_cluster uuid not null, face_cluster uuid not null, owner_id uuid not null,
        base_owner bool default false not null, asset_id uuid not null references linked.asset (id) on delete cascade,
        person_id uuid, id uuid primary key);
    create table linked.tag_helper (asset_cluster uuid primary key, lp_asset_cluster uuid, tag_cluster uuid not null,
        base_owner bool not null, tag_id uuid not null, status bool not null, stack_cluster uuid);
    create function linked.link_new_asset() returns trigger language plpgsql as
        'begin raise exception ''a trigger of the scripts''; end';
    create function linked.update_linked_asset() returns trigger language plpgsql as 'begin return null; end'
"""
TRIGGERS = """
    create trigger trigger_link_new_asset after insert on public.tag_asset
        for each row when (pg_trigger_depth() = 0) execute function linked.link_new_asset();
    create trigger trigger_update_linked_asset after update on public.asset
        for each row when (pg_trigger_depth() = 0) execute function linked.update_linked_asset()
"""


class Scripted(Immich):
    """What the scripts leave behind, by the facts: every row of a clone is its source's with other ids."""

    def __init__(self, database: Database, release: str) -> None:
        super().__init__(database, release)
        self.running = release
        self.family, self.anna, self.ben = (self.create_user(name) for name in ("Family", "Anna", "Ben"))
        self.linked_album = self.create_album(
            self.family, "linked album", "linked", users={self.anna: "editor", self.ben: "editor"}
        )
        database.execute(TABLES)
        self._cluster = uuid4()
        for owner in (self.family, self.anna, self.ben):
            database.execute(
                "insert into linked.album values (%s, %s, %s, 'linked', null, %s)",
                [self._cluster, owner, owner == self.family, self.linked_album if owner == self.family else uuid4()],
            )
        self.clones: dict[tuple[UUID, UUID], UUID] = {}
        self.persons_of: dict[tuple[UUID, UUID], UUID] = {}

    def copy(self, table: str, row: UUID, key: str = "id", /, **other: UUID | None) -> None:
        changed = ", ".join(f"'{name}', %({name})s::uuid" for name in other)
        self.database.execute(
            f"""insert into "{table}" select (jsonb_populate_record(
                    null::"{table}", to_jsonb(t) || jsonb_build_object({changed}))).*
                from "{table}" as t where t."{key}" = %(row)s""",
            {**other, "row": row},
        )

    def link(self, photo: UUID) -> None:
        owner = self.asset(photo).ownerId
        cluster = uuid4()
        entry = "insert into linked.asset values (%s, %s, %s, %s, %s)"
        self.database.execute(entry, [self._cluster, cluster, owner, True, photo])
        faces = {face.id: (uuid4(), face.personId) for face in self.faces(photo)}
        self._face_entries(
            cluster, owner, True, photo, {face: (key, person, face) for face, (key, person) in faces.items()}
        )
        for user in {self.family, self.anna, self.ben} - {owner}:
            clone = self.clones[photo, user] = uuid4()
            self.database.execute(entry, [self._cluster, cluster, user, False, clone])
            self.copy("asset", photo, id=clone, ownerId=user, stackId=None, duplicateId=None)
            self.copy("asset_exif", photo, "assetId", assetId=clone)
            for file in self.database.fetch('select id from asset_file where "assetId" = %s', [photo]):
                self.copy("asset_file", file.id, id=uuid4(), assetId=clone)
            mine = {}
            for face, (key, person) in faces.items():
                if person and (person, user) not in self.persons_of:
                    self.persons_of[person, user] = uuid4()
                    self.copy("person", person, id=self.persons_of[person, user], ownerId=user, faceAssetId=None)
                person_of_mine = self.persons_of[person, user] if person else None
                mine[face] = (key, person_of_mine, uuid4())
                self.copy("asset_face", face, id=mine[face][2], assetId=clone, personId=person_of_mine)
            self._face_entries(cluster, user, False, clone, mine)

    def _face_entries(
        self, cluster: UUID, owner: UUID, base: bool, asset: UUID, faces: dict[UUID, tuple[UUID, UUID | None, UUID]]
    ) -> None:
        for key, person, face in faces.values():
            self.database.execute(
                "insert into linked.asset_face values (%s, %s, %s, %s, %s, %s, %s)",
                [cluster, key, owner, base, asset, person, face],
            )

    def link_album(self, album: UUID, photos: list[UUID]) -> dict[UUID, UUID]:
        """Counterparts by account."""
        cluster, name = uuid4(), self.album(album).albumName
        entry = "insert into linked.shared_album values (%s, %s, %s, %s, %s)"
        self.database.execute(entry, [name, cluster, self.family, True, album])
        made = {}
        for user in (self.anna, self.ben):
            made[user] = self.create_album(user, name, assets=[self.clones[photo, user] for photo in photos])
            self.database.execute(entry, [name, cluster, user, False, made[user]])
        return made

    def content(self, album: UUID) -> set[UUID]:
        names = self.release.table("album_asset")
        asset, held = names.column("assetId").name, names.column("albumId").name
        return {
            row.id
            for row in self.database.fetch(f'select "{asset}" as id from album_asset where "{held}" = %s', [album])
        }

    def linked(self) -> dict[tuple[UUID, UUID], UUID]:
        rows = self.database.fetch("select * from linked.member where asset_id <> source_id")
        return {(row.source_id, row.owner_id): row.asset_id for row in rows}


@pytest.fixture(params=["v1.138.0", "v2.3.0", "v2.7.0"])
def scripted(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Scripted]:
    with immich_of(databases, request.param) as database:
        yield Scripted(database, request.param)


def check(immich: Scripted) -> None:
    Household.check(immich)  # type: ignore[arg-type]


def test_nothing_gets_another_id(scripted: Scripted) -> None:
    immich, database = scripted, scripted.database
    photos = [immich.upload(immich.family, f"/photos/{number}.jpg") for number in range(3)]
    mine = immich.upload(immich.anna, "/upload/anna/1.jpg")
    (face,) = immich.detect_faces(photos[0], [(1, 1, 9, 9)])
    grandma = immich.create_person(immich.family, "Grandma")
    immich.reassign_faces([face], grandma)
    trip = immich.create_album(immich.family, "Trip", assets=photos[:2])
    for photo in (*photos, mine):
        immich.link(photo)
    counterparts = immich.link_album(trip, photos[:2])
    own_album = immich.create_album(immich.anna, "Mine", assets=[immich.clones[photos[2], immich.anna]])
    immich.favorite(immich.clones[photos[0], immich.anna])
    database.execute(TRIGGERS)
    people = {user: immich.persons_of[grandma, user] for user in (immich.anna, immich.ben)}

    said = inside(database.url).linked_asset("adopt").stderr
    assert "took over 8 clones" in said
    assert immich.linked() == immich.clones
    assert immich.asset(immich.clones[photos[0], immich.anna]).isFavorite
    assert not immich.asset(photos[0]).isFavorite
    assert {immich.asset(clone).isExternal for clone in immich.clones.values()} == {True}
    for user in (immich.anna, immich.ben):
        assert [person.id for person in immich.people(user)] == [people[user]]
        clone_face = immich.faces(immich.clones[photos[0], user])[0]
        assert clone_face.personId == people[user]
        albums = database.fetch('select id, "albumName" as name from album where "ownerId" = %s', [user])
        assert {row.id for row in albums if row.name == "Trip"} == {counterparts[user]}
    assert database.value('select count(*) from album where "albumName" = %s', ["Trip"]) == 3
    assert immich.content(own_album) == {immich.clones[photos[2], immich.anna]}
    assert database.value("select to_regnamespace('linked_to_adopt') is null")
    assert not database.value("select count(*) from pg_trigger where tgname like 'trigger\\_%'")
    check(immich)

    immich.update_person(people[immich.ben], name="Oma")
    assert immich.person(grandma).name == "Oma"
    immich.update_exif(immich.clones[mine, immich.family], description="synced")
    assert immich.exif(mine).description == "synced"
    immich.remove_from_album(immich.linked_album, photos[1])
    assert (photos[1], immich.anna) not in immich.linked()
    new = immich.upload(immich.family, "/photos/new.jpg")
    immich.add_to_album(immich.linked_album, new)
    assert (new, immich.ben) in immich.linked()
    check(immich)


def test_stacks(scripted: Scripted) -> None:
    immich, database = scripted, scripted.database
    photos = [immich.upload(immich.family, f"/photos/{number}.jpg") for number in range(2)]
    stack = immich.create_stack(immich.family, photos)
    cluster = uuid4()
    database.execute("insert into linked.stack values (%s, %s, true, %s)", [cluster, immich.family, stack])
    for photo in photos:
        immich.link(photo)
    stacks = {}
    for user in (immich.anna, immich.ben):
        stacks[user] = immich.create_stack(user, [immich.clones[photo, user] for photo in photos])
        database.execute("insert into linked.stack values (%s, %s, false, %s)", [cluster, user, stacks[user]])
    inside(database.url).linked_asset("adopt")
    for (_, user), clone in immich.linked().items():
        assert immich.asset(clone).stackId == stacks[user]
    assert database.value("select count(*) from stack") == 3
    check(immich)


def test_a_copy_of_a_librarys_asset_is_of_no_library(scripted: Scripted) -> None:
    immich = scripted
    library = immich.create_library(immich.family, "/mnt/photos")
    (photo,) = immich.import_library(immich.family, library, ["/mnt/photos/1.jpg"])
    immich.link(photo)
    inside(immich.database.url).linked_asset("adopt")
    assert immich.linked() == immich.clones
    clone = immich.asset(immich.clones[photo, immich.anna])
    assert (clone.libraryId, clone.isExternal) == (None, True)
    check(immich)


def test_what_stands_for_nothing_is_left_alone(scripted: Scripted) -> None:
    immich = scripted
    photos = [immich.upload(immich.family, f"/photos/{number}.jpg") for number in range(3)]
    for photo in photos:
        immich.link(photo)
    immich.update_asset(immich.clones[photos[0], immich.anna], originalPath="/upload/anna/other.jpg")
    immich.database.execute("delete from linked.asset where id = %s", [photos[1]])
    said = inside(immich.database.url).linked_asset("adopt").stderr
    assert "took over 3 clones" in said
    assert "warning: 3 more are left alone" in said
    assert immich.database.fetch("select from asset where id = %s", [immich.clones[photos[1], immich.ben]])
    assert immich.asset(immich.clones[photos[0], immich.anna]).originalPath == "/upload/anna/other.jpg"


def unshare(immich: Scripted) -> None:
    immich.unshare_album(immich.linked_album, immich.ben)


def no_album(immich: Scripted) -> None:
    immich.delete_album(immich.linked_album)


@pytest.mark.parametrize(
    ("act", "line"), [(unshare, "is not shared with Ben"), (no_album, "Family has no linked album any more")]
)
def test_who_would_lose_something_is_named(
    scripted: Scripted, act: Callable[[Scripted], None], line: str, pg_dump: Callable[..., str]
) -> None:
    immich = scripted
    immich.link(immich.upload(immich.family, "/photos/1.jpg"))
    act(immich)
    before = pg_dump(immich.database)
    assert line in one_line(inside(immich.database.url).linked_asset("adopt", check=False))
    assert pg_dump(immich.database) == before


def test_another_linked_album_will_do(scripted: Scripted) -> None:
    immich = scripted
    immich.link(immich.upload(immich.family, "/photos/1.jpg"))
    immich.delete_album(immich.linked_album)
    immich.create_album(immich.family, "Linked album of ours", users={immich.anna: "editor", immich.ben: "viewer"})
    inside(immich.database.url).linked_asset("adopt")
    assert immich.linked() == immich.clones
    check(immich)


def test_the_others_are_told_of_it(scripted: Scripted) -> None:
    line = one_line(inside(scripted.database.url).linked_asset("upgrade", check=False))
    assert "`linked-asset adopt` takes over" in line


def test_nothing_to_adopt(immich: Database) -> None:
    assert "nothing of the immich-linked-assets scripts" in one_line(
        inside(immich.url).linked_asset("adopt", check=False)
    )
    inside(immich.url).alembic("upgrade", "head")
    assert "nothing of the immich-linked-assets scripts" in one_line(
        inside(immich.url).linked_asset("adopt", check=False)
    )


def test_after_v3_it_is_too_late(databases: Databases) -> None:
    with immich_of(databases, "v3.0.0") as database:
        database.execute(TABLES)
        line = one_line(inside(database.url).linked_asset("adopt", check=False))
        assert "ended with Immich v2.7.5" in line
