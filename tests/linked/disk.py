"""Files, and what Immich's jobs do to files and rows, in which order.

A job is a generator that stops wherever another job may come in between; `run` runs one to its end, `interleave`
several at once. All paths are Immich's (`/data/...`), and lie under a temporary directory.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from tests.builders.jobs import thumbnail_path
from tests.linked.conftest import Household

Job = Iterator[None]

READ_ONLY = "/read-only.xmp"
"""How the sidecar path of a viewer's clone ends."""

ASSET_IS_GONE = (FileNotFoundError, ValueError, psycopg.errors.ForeignKeyViolation)
"""No file, no row, a row that refers to none: Immich swallows the errors of jobs."""


class Disk:
    """The media folder. The content of a file is whatever it was made from."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, content: str) -> None:
        file = self._file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def read(self, path: str) -> str:
        return self._file(path).read_text()

    def exists(self, path: str) -> bool:
        return self._file(path).is_file()

    def unlink(self, path: str | None) -> None:
        """Tolerates a file that is not there, as Immich does, and a path that cannot be one."""
        if path:
            with suppress(NotADirectoryError):
                self._file(path).unlink(missing_ok=True)

    def all(self) -> set[str]:
        """Every file and folder."""
        return {str(path.relative_to(self._root)) for path in self._root.rglob("*")}

    def rename(self, old: str, new: str) -> None:
        self._file(new).parent.mkdir(parents=True, exist_ok=True)
        self._file(old).rename(self._file(new))

    def remove_folder(self, path: str) -> None:
        shutil.rmtree(self._file(path), ignore_errors=True)

    def _file(self, path: str) -> Path:
        return self._root / path.lstrip("/")


def run(job: Job) -> None:
    for _ in job:
        pass


def interleave(jobs: Sequence[Job], order: Sequence[int]) -> None:
    """Takes one step of the job at each index, then all to their ends. Jobs fail when another has deleted the asset."""
    for index in order:
        with suppress(*ASSET_IS_GONE):
            next(jobs[index], None)
    for job in jobs:
        with suppress(*ASSET_IS_GONE):
            run(job)


class Storage:
    """Immich's jobs on the media of a household."""

    def __init__(self, house: Household, disk: Disk) -> None:
        self.house = house
        self.disk = disk

    # --- what must hold ---------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """Rows that point to files that are not there."""
        in_assets = [column for column in ("sidecarPath", "encodedVideoPath") if self.house.has("asset", column)]
        rows = self.house.database.fetch(
            """select 'original of ' || id || ' (' || status || ')' as what, "originalPath" as path from asset
               union all select type || ' of ' || "assetId", path from asset_file
               union all select 'face of ' || name, "thumbnailPath" from person where "thumbnailPath" <> ''"""
            + "".join(
                f"""union all select '{column} of ' || id, "{column}" from asset where "{column}" <> ''"""
                for column in in_assets
            )
        )
        # What Immich keeps of a replaced clone in its owner's trash has no file, so that no file is deleted with it; a
        # viewer's clone has no sidecar that could be written.
        return [
            f"{row.what}: {row.path}"
            for row in rows
            if not self.disk.exists(row.path) and ".replaced-" not in row.path and not row.path.endswith(READ_ONLY)
        ]

    def unsettled(self) -> int:
        return self.house.count("linked.unsettled")

    def grow_quiet(self) -> None:
        """Nothing has happened for longer than any job takes."""
        self.house.database.execute("update linked.unsettled set since = since - interval '12 hours'")
        self.house.database.execute("update linked.produced set told_at = told_at - interval '12 hours'")
        self.house.database.execute("update linked.pace set next_at = next_at - interval '12 hours'")
        self.house.update_usage(self.house.clara, 0)

    def settle(self) -> None:
        """Some quiet, then any write, and Immich's jobs for what is missing."""
        self.grow_quiet()
        self.generate_missing()
        self.encode_missing()

    # --- jobs -------------------------------------------------------------------------------------

    def upload(self, owner: UUID | None = None, path: str | None = None, **values: Any) -> UUID:
        """An upload that has been through all jobs."""
        asset_id = self.house.photo(owner, path, **values)
        row = self.house.asset(asset_id)
        self.disk.write(row.originalPath, row.originalPath)
        for file in self.files(asset_id).values():
            self.disk.write(file, row.originalPath)
        return asset_id

    def generate_thumbnails(self, asset_id: UUID, *, fullsize: bool = False, queued: bool = False) -> Job:
        """Writes to the asset's own paths, tells the database, then unlinks what it had been told before.

        Queued (from v2.5 on): that is done later.
        """
        asset = self.house.asset(asset_id)
        old = self.files(asset_id)
        yield
        kinds = ["preview", "thumbnail", *(["fullsize"] if fullsize else [])]
        new = {kind: thumbnail_path(asset, kind) for kind in kinds}
        content = self.disk.read(asset.originalPath)
        for path in new.values():
            self.disk.write(path, content)
        yield
        changed = [kind for kind in kinds if old.get(kind) != new[kind]]
        if changed:
            self.house.upsert_files(*({"assetId": asset_id, "type": kind, "path": new[kind]} for kind in changed))
        yield
        gone = [path for kind, path in old.items() if path != new.get(kind)]
        if "fullsize" in old and not fullsize:
            self.house.delete("asset_file", id=self._file_id(asset_id, "fullsize"))
        if not queued:
            for path in gone:
                self.disk.unlink(path)
            yield
        if asset.thumbhash != content.encode():
            self.house.update_asset(asset_id, thumbhash=content.encode())
        if self.house.has("asset_job_status", "previewAt"):
            self.house.upsert_job_status(asset_id, previewAt=self._now(), thumbnailAt=self._now())
        if queued:
            yield
            for path in gone:
                self.disk.unlink(path)

    def migrate_files(self, asset_id: UUID) -> Job:
        """Moves what was generated to where the asset's owner has it."""
        asset = self.house.asset(asset_id)
        old = self.files(asset_id)
        yield
        for kind in ("fullsize", "preview", "thumbnail"):
            yield from self._move(asset_id, kind, old.get(kind), thumbnail_path(asset, kind))
        yield from self._move(
            asset_id, "encoded_video", self.house.file_of(asset_id, "encoded_video"), video_path(asset)
        )

    def encode_video(self, asset_id: UUID) -> Job:
        asset = self.house.asset(asset_id)
        yield
        self.disk.write(video_path(asset), self.disk.read(asset.originalPath))
        yield
        self.house.set_file(asset_id, "encoded_video", video_path(asset))

    def drop_video(self, asset_id: UUID) -> Job:
        """The video needs no encoding any more. The file's deletion is queued before the database is told."""
        path = self.house.file_of(asset_id, "encoded_video")
        yield
        self.disk.unlink(path)
        yield
        self.house.forget_encoded_video(asset_id)

    def apply_template(self, asset_id: UUID, new_path: str) -> Job:
        asset = self.house.asset(asset_id)
        yield
        if asset.isExternal:
            return
        yield from self._move(asset_id, "original", asset.originalPath, new_path)
        yield from self._move(asset_id, "sidecar", self.house.file_of(asset_id, "sidecar"), f"{new_path}.xmp")

    def write_sidecar(self, asset_id: UUID, content: str = "sidecar") -> Job:
        asset, known = self.house.asset(asset_id), self.house.file_of(asset_id, "sidecar")
        yield
        path = known or f"{asset.originalPath}.xmp"
        # Immich logs that a file could not be written, and goes on.
        with suppress(FileExistsError, NotADirectoryError):
            self.disk.write(path, content)
        yield
        if not known:
            self.house.set_file(asset_id, "sidecar", path)

    def discover_sidecar(self, asset_id: UUID) -> Job:
        asset, known = self.house.asset(asset_id), self.house.file_of(asset_id, "sidecar")
        yield
        names = (f"{asset.originalPath}.xmp", f"{asset.originalPath.rpartition('.')[0]}.xmp")
        path = next((name for name in names if self.disk.exists(name)), None)
        if (asset.isExternal and path != known) or (path and not known):
            self.house.set_file(asset_id, "sidecar", path)

    def replace(self, asset_id: UUID, path: str, meanwhile: Callable[[], object] = lambda: None) -> UUID:
        """A user uploads another file in an asset's stead. Returns the copy of the old one, in the trash."""
        self.disk.write(path, path)
        return self.house.replace_asset(asset_id, path, meanwhile=meanwhile)

    def delete(self, asset_id: UUID) -> Job:
        """For good. The files are those of the row as it was before its deletion."""
        rows = self.house.database.fetch("select * from asset where id = %s", [asset_id])
        if not rows:
            return
        (asset,) = rows
        others = [self.house.file_of(asset_id, kind) for kind in ("encoded_video", "sidecar")]
        files = [*self.files(asset_id).values(), *filter(None, others), asset.originalPath]
        yield
        self.house.delete_asset(asset_id)
        yield
        for path in files:
            self.disk.unlink(path)

    def delete_user(self, user: UUID) -> Job:
        """The folders go first, then the rows."""
        label = self.house.database.value('select coalesce("storageLabel", id::text) from "user" where id = %s', [user])
        folders = [f"library/{label}", *(f"{name}/{user}" for name in ("upload", "profile", "thumbs", "encoded-video"))]
        yield
        for folder in folders:
            self.disk.remove_folder(f"/data/{folder}")
        self.house.hard_delete_user(user)

    def generate_missing(self) -> list[UUID]:
        """The nightly job: thumbnails of everything that lacks them, one after the other. Returns of which assets."""
        rows = self.house.database.fetch(
            """select asset.id, asset.thumbhash, status.*
               from asset join asset_job_status status on status."assetId" = asset.id
               where "deletedAt" is null and visibility <> 'hidden'"""
        )
        lacking = [
            row.id
            for row in rows
            if not row.thumbhash
            or (
                None in (getattr(row, "previewAt", None), getattr(row, "thumbnailAt", None))
                and not {"preview", "thumbnail"} <= set(self.files(row.id))
            )
        ]
        for asset_id in lacking:
            # Of what is edited this job makes only what the edits make of it (v2.5 to v3.1 at least).
            if self.house.has("asset", "isEdited") and self.house.asset(asset_id).isEdited:
                self.house.update_asset(asset_id, thumbhash=b"edited")
            else:
                run(self.generate_thumbnails(asset_id))
        return lacking

    def encode_missing(self) -> list[UUID]:
        """What an administrator's click encodes: every video that has no encoded file."""
        rows = self.house.database.fetch(
            """select id from asset where type = 'VIDEO' and visibility <> 'hidden' and "deletedAt" is null"""
        )
        lacking = [row.id for row in rows if not self.house.file_of(row.id, "encoded_video")]
        for asset_id in lacking:
            run(self.encode_video(asset_id))
        return lacking

    # --- rows -------------------------------------------------------------------------------------

    def files(self, asset_id: UUID) -> dict[str, str]:
        """What is made of the picture itself."""
        rows = self.house.database.fetch(
            f"""select type, path from asset_file
               where "assetId" = %s and type not in ('sidecar', 'encoded_video')
                   {'and not "isEdited"' if self.house.has("asset_file", "isEdited") else ""}
               order by type""",
            [asset_id],
        )
        return {row.type: row.path for row in rows}

    def _file_id(self, asset_id: UUID, kind: str) -> Any:
        rows = self.house.database.fetch(
            'select id from asset_file where "assetId" = %s and type = %s', [asset_id, kind]
        )
        return rows[0].id if rows else None

    def _now(self) -> Any:
        return self.house.database.value("select now()")

    def _move(self, asset_id: UUID, kind: str, old: str | None, new: str) -> Job:
        """`StorageCore.moveFile`: history, file, database. A file that is not there ends it."""
        if not old or old == new:
            return
        where = sql.SQL('"entityId" = %(id)s and "pathType" = %(kind)s')
        known = self.house.database.fetch(
            'select * from move_history where "entityId" = %s and "pathType" = %s', [asset_id, kind]
        )
        if known:
            (move,) = known
            actual = next((path for path in (move.oldPath, move.newPath) if self.disk.exists(path)), None)
            if actual is None:
                return
            self.house.update("move_history", where, {"id": asset_id, "kind": kind}, oldPath=actual, newPath=new)
            old = actual
        else:
            self.house.insert("move_history", {"entityId": asset_id, "pathType": kind, "oldPath": old, "newPath": new})
        yield
        if old != new:
            try:
                self.disk.rename(old, new)
            except FileNotFoundError:
                return
        yield
        if kind == "original":
            self.house.update_asset(asset_id, originalPath=new)
        else:
            self.house.set_file(asset_id, kind, new)
        self.house.delete("move_history", entityId=asset_id, pathType=kind)


def video_path(asset: Any) -> str:
    name = str(asset.id)
    return f"/data/encoded-video/{asset.ownerId}/{name[:2]}/{name[2:4]}/{name}.mp4"
