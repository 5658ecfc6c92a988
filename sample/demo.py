"""A family with four accounts, linked before your eyes: `make demo`, `python -m sample.demo v1.138.0`.

Starts a PostgreSQL server of its own, builds the database that a real Immich wrote for a small family, installs the
addon with Alembic, lets everybody do what people do in Immich (by the statements that Immich itself issues), and
removes the addon again. Nothing is left behind, neither in the database nor on this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from linked_asset import immich
from sample import FAMILIES, create_immich, load_family
from sample.server import Server, embedded_server
from tests.builders import Immich
from tests.database import Database

CHECKOUT = Path(__file__).parents[1]

VISIBLE = """
    select id from asset
    where "ownerId" = account.id and "deletedAt" is null and visibility in ('timeline', 'archive')"""
SEEN = f"""
    select name,
        (select count(*) from asset where type = 'IMAGE' and id in ({VISIBLE})) as photos,
        (select count(*) from asset where type = 'VIDEO' and id in ({VISIBLE})) as videos,
        (select string_agg("albumName", E'\\n' order by "albumName")
         from album where {{album_owner}} = account.id) as albums,
        (select string_agg(name, E'\\n' order by name) from person
         where "ownerId" = account.id and name <> '') as people,
        (select string_agg(value, E'\\n' order by value) from tag where "userId" = account.id
         and exists (select from tag_asset where {{tag_id}} = tag.id)) as tags
    from "user" account
    order by account.name <> 'Family', account.name
"""
LINKED_ALBUM = "linked album family"
TABLES = "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1"
FILES = 'select count(distinct "originalPath") from asset'


class Demo:
    """One run through the story, on one database."""

    def __init__(self, server: Server, connection: psycopg.Connection[Any], release: str) -> None:
        self.console = Console(highlight=False)
        self.server = server
        self.connection = connection
        self.release = release
        self.immich = Immich(Database(server.url), release)
        self.names = names(immich.release(release))
        self.people: dict[str, Any] = {}

    def run(self) -> None:
        create_immich(self.connection, self.release)
        load_family(self.connection, self.release)
        self.people = {row.name: row.id for row in self.rows('select id, name from "user"')}
        schema, sizes = self.schema(), self.sizes()
        self.before()
        self.install()
        self.edit()
        self.name()
        self.album()
        self.tag()
        self.contribute()
        self.delete()
        self.status()
        self.remove(schema, sizes)

    # --- the story ----------------------------------------------------------------------------

    def before(self) -> None:
        self.say(
            f"A family uses Immich {FAMILIES[self.release]}",
            "Four accounts. The shared photos are in the account Family, the others see none of them. "
            "An album of Family's is going to say what is shared:",
        )
        album = self.row('select * from album where "albumName" = %s', [LINKED_ALBUM])
        self.table(["Album", "Description", "Shared with"], [[album.albumName, album.description, "Anna, Ben, Clara"]])
        self.what_everybody_sees()

    def install(self) -> None:
        files = self.value(FILES)
        self.say("The addon is installed", "It lives in a schema of its own. Immich is not changed, and keeps running.")
        self.shell("alembic", "upgrade", "head")
        self.what_everybody_sees()
        self.tell(f"Files on disk: {files} before, {self.value(FILES)} now. Nothing is stored twice.")

    def edit(self) -> None:
        self.say("Anna writes a description", "in her own account, on a photo that Family uploaded:")
        photo = self.photo_of("Anna")
        self.immich.update_exif(photo, description="Ice cream after the rain")
        self.table(
            ["Account", "File", "Description"],
            self.rows(
                """select account.name, "originalFileName", description
                   from asset join asset_exif on "assetId" = id join "user" account on account.id = "ownerId"
                   where "originalPath" = (select "originalPath" from asset where id = %s) order by 1""",
                [photo],
            ),
        )

    def name(self) -> None:
        self.say("Ben names a face", "that Family's Immich had found, and left without a name:")
        person = self.value(
            """select his.person_id from person family
               join linked.person_pair mine on mine.person_id = family.{person_id} and mine.owner_id = family."ownerId"
               join linked.person_pair his on his.person_key = mine.person_key and his.owner_id = %s
               where family."ownerId" = %s and family.name = ''
               order by (select count(*) from asset_face where {shown} = family.{person_id}) desc, 1 limit 1""",
            [self.people["Ben"], self.people["Family"]],
        )
        self.immich.update_person(person, self.people["Ben"], name="Grandma")
        self.table(
            ["Account", "Person", "Faces"],
            self.rows(
                """select account.name, person.name as person, count(asset_face.id)
                   from person join "user" account on account.id = "ownerId"
                   join asset on asset."ownerId" = account.id
                   join asset_face on {shown} = person.{person_id} and asset_face."assetId" = asset.id
                   where person.name = 'Grandma' group by 1, 2 order by 1"""
            ),
        )

    def album(self) -> None:
        self.say("Clara makes an album", "of three of the photos. Everybody gets one, with photos of their own:")
        name = "For the calendar"
        self.immich.create_album(self.people["Clara"], name, assets=self.photos_of("Clara", 3))
        self.table(
            ["Account", "Album", "Photos"],
            self.rows(
                """select account.name, "albumName", count(*)
                   from album join "user" account on account.id = {album_owner}
                   join album_asset on {album_id} = album.id
                   where "albumName" = %s group by 1, 2 order by 1""",
                [name],
            ),
        )

    def tag(self) -> None:
        self.say("Anna tags two photos", "and everybody finds them by that tag:")
        tag = self.immich.upsert_tag(self.people["Anna"], "Print large")
        self.immich.bulk_tag([tag], self.photos_of("Anna", 2))
        self.table(
            ["Account", "Tag", "Photos"],
            self.rows(
                """select account.name, value, count(*)
                   from tag join "user" account on account.id = "userId" join tag_asset on {tag_id} = tag.id
                   where value = 'Print large' group by 1, 2 order by 1"""
            ),
        )

    def contribute(self) -> None:
        self.say("Anna shares a photo of her own", "by putting it into the linked album:")
        photo = self.row(
            """select id, "originalFileName" from asset
               where "ownerId" = %s and not "isExternal" and type = 'IMAGE' and visibility = 'timeline'
                   and "deletedAt" is null
               order by "originalFileName" limit 1""",
            [self.people["Anna"]],
        )
        album = self.value('select id from album where "albumName" = %s', [LINKED_ALBUM])
        self.immich.add_to_album(album, photo.id)
        self.who_has(photo.originalFileName)

    def delete(self) -> None:
        self.say("Ben throws a photo away", "It is in everybody's trash. Then he empties his:")
        photo = self.photo_of("Ben", 7)
        name = self.value('select "originalFileName" from asset where id = %s', [photo])
        self.immich.trash([photo])
        self.who_has(name)
        self.immich.empty_trash(self.people["Ben"])
        self.immich.run_deletions()
        self.who_has(name)

    def status(self) -> None:
        self.say("What the addon says about itself")
        self.shell("linked-asset", "status")
        self.what_everybody_sees()

    def remove(self, schema: str, sizes: Mapping[str, int]) -> None:
        self.say(
            "The addon is removed",
            "What people did to their own photos, albums and persons stays, wherever they did it: it is theirs.",
        )
        linked = self.sizes()
        clones = [row.asset_id for row in self.rows("select asset_id from linked.member where asset_id <> source_id")]
        self.shell("alembic", "downgrade", "base")
        self.what_everybody_sees()
        now = self.sizes()
        self.table(
            ["Rows of", "before", "linked", "removed"],
            [[name, sizes[name], linked[name], now[name]] for name in sizes if sizes[name] or linked[name]],
        )
        self.tell(
            "asset: the photo that Ben threw away. album, tag: Clara's and Anna's new ones, and Family's own of them. "
            "..._audit: what Immich's apps are told about rows that are gone."
        )
        if self.schema() != schema:
            raise SystemExit("the schema is not what it was")
        left = self.rows("select from pg_namespace where nspname = 'linked'")
        if left or self.rows("select from asset where id = any (%s)", [clones]):
            raise SystemExit("something of the addon is left")
        self.tell("pg_dump --schema-only: the same as before, byte for byte. Clones: 0. Schema linked: gone.")

    # --- showing ------------------------------------------------------------------------------

    def say(self, title: str, more: str = "") -> None:
        self.console.print()
        self.console.rule(f"[bold]{escape(title)}", align="left", characters="-")
        if more:
            self.tell(more)

    def tell(self, text: str) -> None:
        self.console.print(escape(text), soft_wrap=not self.console.is_terminal)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(escape(str(value)) if value is not None else "-" for value in row))
        self.console.print(table)

    def what_everybody_sees(self) -> None:
        self.table(["Account", "Photos", "Videos", "Albums", "People", "Tags"], self.rows(SEEN))

    def who_has(self, file_name: str) -> None:
        rows = self.rows(
            """select account.name, case when asset."deletedAt" is null then 'in the timeline' else 'in the trash' end
               from asset join "user" account on account.id = "ownerId" where "originalFileName" = %s order by 1""",
            [file_name],
        )
        self.table(["Account", file_name], rows or [["nobody", "gone for good"]])

    def shell(self, command: str, *arguments: str) -> None:
        """A command as a user types it, with its output."""
        self.console.print(f"\n[bold]$ {command} {' '.join(arguments)}")
        sys.stdout.flush()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
        subprocess.run(
            [sys.executable, "-m", command.replace("-", "_"), *arguments],
            cwd=CHECKOUT,
            env={**environment, "DB_URL": self.server.url},
            stderr=sys.stdout,  # in order
            check=True,
        )

    # --- the database -------------------------------------------------------------------------

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """What the statement finds; `{names}` in it are those of the release."""
        return self.connection.execute(statement.format(**self.names).encode(), parameters).fetchall()

    def row(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        (row,) = self.rows(statement, parameters)
        return row

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        return self.row(statement, parameters)[0]

    def photos_of(self, account: str, count: int) -> list[Any]:
        """Linked photos in this account, the first ones by name."""
        rows = self.rows(
            """select asset.id from asset join linked.member on asset_id = asset.id
               where "ownerId" = %s and type = 'IMAGE' and visibility = 'timeline' and "deletedAt" is null
               order by "originalFileName" limit %s""",
            [self.people[account], count],
        )
        return [row.id for row in rows]

    def photo_of(self, account: str, place: int = 1) -> Any:
        return self.photos_of(account, place)[-1]

    def sizes(self) -> dict[str, int]:
        return {row.name: self.value(f'select count(*) from public."{row.name}"') for row in self.rows(TABLES)}

    def schema(self) -> str:
        """Everything in the database but the rows; without the lines that differ from dump to dump."""
        dump = subprocess.run(
            [str(self.server.bin / "pg_dump"), "--schema-only", self.server.url],
            capture_output=True,
            text=True,
            check=True,
        )
        return "".join(line for line in dump.stdout.splitlines(True) if "restrict " not in line)


def names(release: immich.Release) -> dict[str, str]:
    """How statements call what is called otherwise in other releases."""

    def column(table: str, canonical: str) -> str:
        return f'"{release.table(table).column(canonical).name}"'

    album_id, user_id = column("album_user", "albumId"), column("album_user", "userId")
    return {
        "album_id": column("album_asset", "albumId"),
        "tag_id": column("tag_asset", "tagId"),
        "person_id": column("person", "personGroupId"),
        "shown": column("asset_face", "personGroupId"),
        "album_owner": 'album."ownerId"'
        if release.table("album").has("ownerId")
        else f"(select {user_id} from album_user where {album_id} = album.id and role = 'owner')",
    }


def main() -> None:
    release = sys.argv[1] if sys.argv[1:] else list(FAMILIES)[-1]
    with (
        embedded_server() as server,
        psycopg.connect(server.url, autocommit=True, row_factory=namedtuple_row) as connection,
    ):
        Demo(server, connection, release).run()


if __name__ == "__main__":
    main()
