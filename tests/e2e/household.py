"""A family account and linked users on a real server, and what must hold after everything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.database import Database
from tests.e2e.client import Account, Server
from tests.e2e.machine_learning import Fake
from tests.e2e.pictures import File
from tests.e2e.target import Target

CHECKOUT = Path(__file__).parents[2]
READ_ONLY = "/read-only.xmp"
"""The sidecar of a viewer's clone: a path under the picture, which cannot exist."""
EXPECTED_ERRORS = re.compile(
    r"VersionService|version check|BadRequestException|NotFoundException|ForbiddenException"
    # A job for the old file of a replaced asset, which Immich keeps as a copy, may start before that is in the trash.
    r'|"source":"copy".*ENOENT'
    # The metadata of a picture whose file is away at the moment.
    r"|AssetExtractMetadata.*ENOENT.*/external/"
)
OVERLAP_ERRORS = re.compile(
    # Jobs of several members write, move and delete the group's thumbnails and videos, each what it read when it began.
    # One that comes too late fails; what must hold is that every file is there in the end.
    r"Unable to run job handler \(\w+\): Error: .*/(thumbs|encoded-video)/"
    # The same of Immich's own: faces are found anew while pictures of their persons wait to be made.
    r"|Could not generate person thumbnail for \S+ missing data"
)


@dataclass
class World:
    """Immich, its database and its folders."""

    target: Target
    server: Server
    database: Database
    machine_learning: Fake

    def command(self, *arguments: str) -> str:
        """A command of the addon's or Alembic's; what it prints."""
        result = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=CHECKOUT,
            env={**os.environ, "DB_URL": self.target.db_url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def upgrade(self) -> str:
        return self.command("alembic", "upgrade", "head")

    def downgrade(self) -> str:
        return self.command("alembic", "downgrade", "base")

    def wait(self) -> None:
        self.server.wait()

    def restore(self, backup: str) -> None:
        """Immich itself restores one of its backups; it ends all connections to the database."""
        self.database.close()
        self.server.restore(backup)
        self.wait()

    def has_column(self, table: str, column: str) -> bool:
        return bool(
            self.database.value(
                """select count(*) from information_schema.columns
                   where table_schema = 'public' and table_name = %s and column_name = %s""",
                [table, column],
            )
        )

    def log(self) -> str:
        return self.target.log() if self.target.log else ""

    def deadlocks(self) -> int:
        count = self.database.value("select deadlocks from pg_stat_database where datname = current_database()")
        assert isinstance(count, int)
        return count

    def files(self, users: list[str]) -> Iterator[tuple[str, str]]:
        """What the database says and where: every path of a file of these users'."""
        theirs = """"ownerId" = any(%(users)s::uuid[])"""
        statements = [
            f"""select 'original of ' || id, "originalPath" from asset where not "isOffline" and {theirs}""",
            f"""select asset_file.type || ' of ' || asset.id, path
                from asset_file join asset on asset.id = "assetId" where {theirs}""",
            f"""select 'picture of person ' || id, "thumbnailPath" from person where {theirs}""",
        ]
        statements += [
            f"""select '{column} of ' || id, "{column}" from asset where {theirs}"""
            for column in ("sidecarPath", "encodedVideoPath")
            if self.has_column("asset", column)
        ]
        for statement in statements:
            for what, path in self.database.fetch(statement, {"users": users}):
                if path and not path.endswith(READ_ONLY):
                    yield what, path


@dataclass
class Household:
    """Family, Anna (editor), Ben (editor) and Vera (viewer) share a linked album."""

    world: World
    prefix: str | None = None
    """What the linked album covers: the family's uploads, if nothing is said."""
    family: Account = field(init=False)
    anna: Account = field(init=False)
    ben: Account = field(init=False)
    vera: Account = field(init=False)
    linked_album: str = field(init=False)
    gone: list[Account] = field(default_factory=list)
    overlapped: bool = field(init=False, default=False)
    """Whether jobs of several members of one group ran at the same moment."""

    def __post_init__(self) -> None:
        server = self.world.server
        self.family, self.anna, self.ben, self.vera = map(server.create_user, ("Family", "Anna", "Ben", "Vera"))
        self.look_from_now()
        self._deadlocks = self.world.deadlocks()
        description = self.prefix or self.uploads(self.family)
        self.linked_album = self.family.create_album(
            "Linked album", description=description, editor=[self.anna, self.ben], viewer=[self.vera]
        )

    def log_in_again(self) -> None:
        """Another release answers from now on."""
        server = self.world.server
        self.world.server = Server(server.url, server.email, server.password)
        self.family, self.anna, self.ben, self.vera = (
            user.again() for user in (self.family, self.anna, self.ben, self.vera)
        )
        self.look_from_now()

    def uploads(self, user: Account) -> str:
        """The folder of a user's uploads, as Immich sees it."""
        return f"{self.world.target.media_location}/upload/{user.id}"

    @property
    def linked(self) -> list[Account]:
        return [self.anna, self.ben, self.vera]

    @property
    def everybody(self) -> list[Account]:
        return [user for user in (self.family, *self.linked) if user not in self.gone]

    def delete(self, user: Account) -> None:
        """A user's account, at once and for good."""
        self.world.server.delete_user(user)
        self.gone.append(user)
        self.wait()

    def upload(self, *files: File, user: Account | None = None) -> list[str]:
        """Files of the family's, with all jobs done."""
        ids = (user or self.family).upload_all(files)
        self.wait()
        return ids

    def wait(self) -> None:
        self.world.wait()

    def each(self, look: Callable[[Account], Any], users: list[Account] | None = None) -> list[Any]:
        return [look(user) for user in users or self.everybody]

    def agree(self, look: Callable[[Account], Any], users: list[Account] | None = None) -> Any:
        """What everybody sees alike."""
        seen = {user.name: look(user) for user in users or self.everybody}
        values = list(seen.values())
        assert all(value == values[0] for value in values), seen
        return values[0]

    def write_again(self) -> None:
        """The next write of anybody's: with it the addon does what it has put off."""
        (asset, *_) = self.family.assets()
        self.family.change(asset["id"], isFavorite=not asset["isFavorite"])
        self.wait()

    def settle(self, nights: int = 1) -> None:
        """The night after jobs at the same moment, which may have taken files from each other: the addon has marked
        sources of groups that have been quiet, and Immich's jobs for what is missing make it anew."""
        self.overlapped = True
        self.wait()
        for _ in range(nights):
            for what in ("unsettled set since = since", "produced set told_at = told_at"):
                self.world.database.execute(f"update linked.{what} - interval '12 hours'")
            self.world.command("linked_asset", "reconcile")
            for queue in ("thumbnailGeneration", "videoConversion"):
                self.world.server.run(queue, force=False)
            self.wait()
        unsettled = 'select unsettled.*, "originalFileName" from linked.unsettled join asset on asset.id = source_id'
        assert self.world.database.fetch(unsettled) == []

    def look_from_now(self) -> None:
        """What Immich has logged so far is none of this household's."""
        self._log_from = len(self.world.log())

    def log(self) -> str:
        """What Immich has logged since this household is there."""
        return self.world.log()[self._log_from :]

    def check(self, users: list[Account] | None = None) -> None:
        """Every file named for any user exists and is delivered, and neither Immich nor the addon noted a fault."""
        users = users or self.everybody
        self.wait()
        found = [
            f"no file: {what}: {path}"
            for what, path in self.world.files([user.id for user in users])
            if not self.world.target.local(path).is_file()
        ]
        for user in users:
            for asset in user.search(withDeleted=True):
                if asset["isOffline"] or asset["ownerId"] != user.id:
                    continue
                for path, query in _media(asset):
                    status = user.status(path, **query)
                    if status != 200:
                        found.append(f"{user} gets {status}: {path} {query} of {asset['originalFileName']}")
        incidents = self.world.database.fetch("select place, sqlstate, message, context from linked.incident")
        found += [f"incident: {incident}" for incident in incidents]
        found += [f"doctor: {finding}" for finding in self.problems()]
        found += [f"Immich: {line}" for line in self.errors()]
        assert not found, "\n".join(found[:40])
        assert self.world.deadlocks() == self._deadlocks, "deadlocks in PostgreSQL"
        assert not self.world.server.failed()

    def leave(self) -> None:
        """Nothing of this household stays in Immich."""
        for user in self.everybody:
            self.world.server.delete_user(user)
        self.wait()

    def problems(self) -> list[Any]:
        result = subprocess.run(
            [sys.executable, "-m", "linked_asset", "doctor", "--json"],
            cwd=CHECKOUT,
            env={**os.environ, "DB_URL": self.world.target.db_url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.stdout, result.stderr
        return [finding for finding in json.loads(result.stdout) if finding["kind"] == "problem"]

    def errors(self) -> list[str]:
        """Lines of Immich's log that tell of an error; those that answer a bad request are Immich's way to refuse."""
        plain = re.sub(r"\x1b\[\d+m", "", self.log())
        errors = [line for line in plain.splitlines() if " ERROR " in line and not EXPECTED_ERRORS.search(line)]
        return [line for line in errors if not (self.overlapped and OVERLAP_ERRORS.search(line))]


def _media(asset: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    path = f"/assets/{asset['id']}"
    # The video of a live photo has no pictures of its own.
    if asset["visibility"] != "hidden":
        for size in ("thumbnail", "preview"):
            yield f"{path}/thumbnail", {"size": size}
            yield f"{path}/thumbnail", {"size": size, "edited": "true"}
    yield f"{path}/original", {}
    if asset["type"] == "VIDEO":
        yield f"{path}/video/playback", {}
    if asset.get("livePhotoVideoId"):
        yield f"/assets/{asset['livePhotoVideoId']}/video/playback", {}


def everything(user: Account) -> dict[str, Any]:
    """What all members of a household see alike."""
    names = user.names()
    return {
        "pictures": names,
        "exif": {name: user.asset(user.find(name))["exifInfo"]["description"] for name in names},
        "persons": {name: sorted(filter(None, user.named(user.find(name)))) for name in names},
        "tags": {name: user.tags_of(user.find(name)) for name in names},
        "albums": {
            album["albumName"]: sorted(user.content(album["id"]))
            for album in user.albums()
            if album["albumName"] != "Linked album"
        },
        "stacks": len(user.stacks()),
    }


def dump(world: World) -> str:
    """The database without its rows."""
    result = subprocess.run(
        ["pg_dump", "--schema-only", "--no-owner", world.target.db_url], capture_output=True, text=True, check=True
    )
    # Newer versions of pg_dump put a random key there.
    return "\n".join(line for line in result.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))
