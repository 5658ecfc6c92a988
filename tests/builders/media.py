"""Assets: upload, import, edit, trash, delete, stacks, live photos."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID, uuid4

from psycopg import sql

from .accounts import Accounts

EPOCH = dt.datetime(2020, 6, 1, 12, tzinfo=dt.UTC)


class Media(Accounts):
    # --- arrival ------------------------------------------------------------------------------

    def upload(
        self,
        owner: UUID,
        path: str | None = None,
        *,
        checksum: bytes | None = None,
        type: str = "IMAGE",
        visibility: str = "timeline",
        favorite: bool = False,
        live_photo_video_id: UUID | None = None,
        size: int = 1000,
        taken: dt.datetime = EPOCH,
        sidecar: str | None = None,
    ) -> UUID:
        """A user uploads a file. Without a path it goes where Immich stores uploads."""
        path = path or upload_path(owner, "mp4" if type == "VIDEO" else "jpg")
        if live_photo_video_id:
            self._hide_motion_part(live_photo_video_id)
        (asset,) = self.insert(
            "asset",
            {
                "ownerId": owner, "libraryId": None,
                "checksum": checksum or hashlib.sha1(path.encode()).digest(),
                "checksumAlgorithm": "sha1", "originalPath": path,
                "deviceAssetId": PurePosixPath(path).name, "deviceId": "WEB",
                "fileCreatedAt": taken, "fileModifiedAt": taken, "localDateTime": taken,
                "type": type, "isFavorite": favorite, "duration": None, "visibility": visibility,
                "livePhotoVideoId": live_photo_video_id,
                "originalFileName": PurePosixPath(path).name, "sidecarPath": sidecar,
            },
        )  # fmt: skip
        if sidecar and not self.has("asset", "sidecarPath"):
            self.insert("asset_file", {"assetId": asset.id, "type": "sidecar", "path": sidecar})
        self.upsert_exif(asset.id, fileSizeInByte=size)
        self.update_usage(owner, size)
        return asset.id

    def create_library(self, owner: UUID, *import_paths: str) -> UUID:
        (library,) = self.insert(
            "library",
            {
                "ownerId": owner, "name": "Library", "importPaths": list(import_paths),
                "exclusionPatterns": ["**/@eaDir/**"],
            },
        )  # fmt: skip
        return library.id

    def import_library(
        self, owner: UUID, library: UUID, paths: Sequence[str], *, taken: dt.datetime = EPOCH
    ) -> list[UUID]:
        """A library scan finds new files: one statement for all of them."""
        rows = [
            {
                "ownerId": owner, "libraryId": library, "isExternal": True, "isOffline": False,
                "checksum": hashlib.sha1(f"path:{path}".encode()).digest(),
                "checksumAlgorithm": "sha1-path", "originalPath": path,
                "fileCreatedAt": taken, "fileModifiedAt": taken, "localDateTime": taken,
                "deviceAssetId": PurePosixPath(path).name, "deviceId": "Library Import",
                "type": "VIDEO" if path.endswith((".mp4", ".mov")) else "IMAGE",
                "originalFileName": PurePosixPath(path).name, "livePhotoVideoId": None,
            }
            for path in paths
        ]  # fmt: skip
        return [asset.id for asset in self.insert("asset", *rows)]

    def replace_asset(
        self, asset_id: UUID, path: str, *, size: int = 2000, meanwhile: Callable[[], object] = lambda: None
    ) -> UUID:
        """A user replaces the file of an asset; the old file stays behind as a trashed copy, made a little later."""
        old = self.asset(asset_id)
        self.update_asset(
            asset_id, checksum=hashlib.sha1(path.encode()).digest(), originalPath=path,
            type="IMAGE", originalFileName=PurePosixPath(path).name,
            deviceAssetId=PurePosixPath(path).name, deviceId="WEB",
            fileCreatedAt=EPOCH, fileModifiedAt=EPOCH, localDateTime=EPOCH, duration=None,
            livePhotoVideoId=None, sidecarPath=None,
        )  # fmt: skip
        self.upsert_exif(asset_id, fileSizeInByte=size)
        meanwhile()
        kept = (
            "ownerId", "originalPath", "originalFileName", "libraryId", "deviceAssetId",
            "deviceId", "type", "checksum", "checksumAlgorithm", "fileCreatedAt", "localDateTime",
            "fileModifiedAt", "livePhotoVideoId", "sidecarPath",
        )  # fmt: skip
        (copy,) = self.insert("asset", {name: getattr(old, name) for name in kept if hasattr(old, name)})
        self.upsert_exif(copy.id, fileSizeInByte=1000)
        self.trash([copy.id])
        self.update_usage(old.ownerId, size)
        return copy.id

    # --- rows ---------------------------------------------------------------------------------

    def asset(self, asset_id: UUID) -> Any:
        return self.database.row("select * from asset where id = %s", [asset_id])

    def exif(self, asset_id: UUID) -> Any:
        return self.database.row('select * from asset_exif where "assetId" = %s', [asset_id])

    def update_asset(self, asset_id: UUID, /, **values: Any) -> Any:
        """The shape of every update of one asset: the answer is read from the statement itself."""
        assignments, parameters = self._assignments("asset", values)
        statement = sql.SQL(
            "with asset as (update asset set {} where id = %(id)s::uuid returning *) select asset.* from asset"
        ).format(assignments)
        return self.database.row(statement, {"id": asset_id, **parameters})

    def update_assets(self, ids: Iterable[UUID], /, **values: Any) -> None:
        """The shape of every update of several assets."""
        self.update("asset", sql.SQL("id = any(%(ids)s::uuid[])"), {"ids": list(ids)}, **values)

    def upsert_exif(self, asset_id: UUID, /, **values: Any) -> None:
        self.insert("asset_exif", {"assetId": asset_id, **values}, conflict=["assetId"])

    def update_exif(self, asset_id: UUID, /, **values: Any) -> None:
        """A user edits description, date, place or rating of one asset."""
        self.upsert_exif(asset_id, **values)

    def update_all_exif(self, ids: Iterable[UUID], /, **values: Any) -> None:
        """A user edits description, date or place of several assets."""
        self.update("asset_exif", sql.SQL('"assetId" = any(%(ids)s)'), {"ids": list(ids)}, **values)

    def shift_dates(self, ids: Iterable[UUID], minutes: int) -> None:
        """A user moves the dates of several assets."""
        self.update(
            "asset_exif",
            sql.SQL('"assetId" = any(%(ids)s)'),
            {"ids": list(ids), "minutes": minutes},
            dateTimeOriginal=sql.SQL('"dateTimeOriginal" + make_interval(mins => %(minutes)s)'),
        )

    # --- visibility ---------------------------------------------------------------------------

    def archive(self, *ids: UUID) -> None:
        self.update_assets(ids, visibility="archive")

    def unarchive(self, *ids: UUID) -> None:
        self.update_assets(ids, visibility="timeline")

    def lock(self, *ids: UUID) -> None:
        """Into the locked folder, and out of all albums."""
        self.update_assets(ids, visibility="locked")
        self.delete("album_asset", assetId=list(ids))

    def unlock(self, *ids: UUID) -> None:
        self.update_assets(ids, visibility="timeline")

    def favorite(self, *ids: UUID, value: bool = True) -> None:
        self.update_assets(ids, isFavorite=value)

    # --- live photos --------------------------------------------------------------------------

    def link_live_photo(self, still: UUID, motion: UUID) -> None:
        self._hide_motion_part(motion)
        self.update_asset(still, livePhotoVideoId=motion)

    def unlink_live_photo(self, still: UUID) -> None:
        motion = self.asset(still).livePhotoVideoId
        after = self.update_asset(still, livePhotoVideoId=None)
        self.update_asset(motion, visibility=after.visibility)

    def _hide_motion_part(self, motion: UUID) -> None:
        if self.asset(motion).visibility == "timeline":
            self.update_asset(motion, visibility="hidden")

    # --- stacks -------------------------------------------------------------------------------

    def create_stack(self, owner: UUID, assets: Sequence[UUID]) -> UUID:
        """One transaction: stacks that the assets led are dissolved into the new one, which is read back."""
        with self.transaction():
            return self.make_stack(owner, assets, *self.stacks_led_by(owner, assets))

    def stacks_led_by(self, owner: UUID, assets: Sequence[UUID]) -> tuple[list[UUID], list[UUID]]:
        """The stacks that these assets lead, and what is in them."""
        stacks = self.database.fetch(
            'select id from stack where "ownerId" = %s and "primaryAssetId" = any(%s)', [owner, list(assets)]
        )
        ids = [stack.id for stack in stacks]
        members = self.database.fetch('select id from asset where "stackId" = any(%s) and "deletedAt" is null', [ids])
        return ids, [asset.id for asset in members]

    def make_stack(self, owner: UUID, assets: Sequence[UUID], old: Sequence[UUID], members: Sequence[UUID]) -> UUID:
        if old:
            self.delete("stack", id=list(old))
        (stack,) = self.insert("stack", {"ownerId": owner, "primaryAssetId": assets[0]})
        self.update(
            "asset",
            sql.SQL("id = any(%(ids)s)"),
            {"ids": list({*assets, *members})},
            stackId=stack.id,
            updatedAt=dt.datetime.now(dt.UTC),
        )
        id_: UUID = self.database.row("select id from stack where id = %s", [stack.id]).id
        return id_

    def set_primary_asset(self, stack: UUID, asset: UUID) -> None:
        self.update_one("stack", stack, id=stack, primaryAssetId=asset)

    def remove_from_stack(self, asset: UUID) -> None:
        self.update_asset(asset, stackId=None)

    def delete_stacks(self, *ids: UUID) -> None:
        self.delete("stack", id=list(ids))

    # --- trash and deletion -------------------------------------------------------------------

    def trash(self, ids: Iterable[UUID]) -> None:
        self.update_assets(ids, deletedAt=dt.datetime.now(dt.UTC), status="trashed")

    def force_delete(self, ids: Iterable[UUID]) -> None:
        """Deletion without trash: the jobs (`delete_asset`) follow for all that is `deleted`."""
        self.update_assets(ids, deletedAt=dt.datetime.now(dt.UTC), status="deleted")

    def restore(self, ids: Iterable[UUID]) -> None:
        self.update(
            "asset",
            sql.SQL("status = 'trashed' and id = any(%(ids)s)"),
            {"ids": list(ids)},
            status="active",
            deletedAt=None,
        )

    def restore_all(self, owner: UUID) -> None:
        self._whole_trash(owner, status="active", deletedAt=None)

    def empty_trash(self, owner: UUID) -> None:
        """Marks the whole trash; the jobs (`delete_asset`) follow for all that is `deleted`."""
        self._whole_trash(owner, status="deleted")

    def run_deletions(self) -> list[UUID]:
        """The jobs that follow `empty_trash` and `force_delete`, of all users, one by one."""
        deleted = self.database.fetch("select id from asset where status = 'deleted'")
        for asset in deleted:
            self.delete_asset(asset.id)
        return [asset.id for asset in deleted]

    def delete_asset(self, asset_id: UUID) -> bool:
        """The job that deletes one asset for good. False: it is gone already."""
        found = self.database.fetch(
            """select asset.*, asset_exif."fileSizeInByte" as size from asset
               left join asset_exif on asset_exif."assetId" = asset.id where id = %s""",
            [asset_id],
        )
        if not found:
            return False
        (asset,) = found
        self._leave_stack(asset)
        self.delete("asset", id=asset_id)
        if asset.libraryId is None:
            self.update_usage(asset.ownerId, -(asset.size or 0))
        self.delete("move_history", pathType="original", entityId=asset_id)
        if asset.livePhotoVideoId and not self.database.value(
            'select count(*) from asset where "livePhotoVideoId" = %s', [asset.livePhotoVideoId]
        ):
            self.delete_asset(asset.livePhotoVideoId)
        return True

    def _leave_stack(self, asset: Any) -> None:
        stacks = self.database.fetch(
            """select stack.id, array_agg(asset.id) as assets from stack
               join asset on asset."stackId" = stack.id
                 and asset."deletedAt" is not null and asset.visibility = 'timeline'
               where stack.id = %s and stack."primaryAssetId" = %s group by stack.id""",
            [asset.stackId, asset.id],
        )
        for stack in stacks:
            if len(stack.assets) > 2:
                self.set_primary_asset(stack.id, next(a for a in stack.assets if a != asset.id))
            else:
                self.delete("stack", id=stack.id)

    def _whole_trash(self, owner: UUID, **values: Any) -> None:
        self.update("asset", sql.SQL("\"ownerId\" = %(owner)s and status = 'trashed'"), {"owner": owner}, **values)

    # --- external libraries -------------------------------------------------------------------

    def mark_offline(self, library: UUID, *import_paths: str) -> None:
        """A library scan: what lies outside the import paths is offline. One statement."""
        self.update(
            "asset",
            sql.SQL(
                """"isOffline" = false and "isExternal" = true and "libraryId" = %(library)s
                   and not "originalPath" like any(%(paths)s)"""
            ),
            {"library": library, "paths": [f"{path}%" for path in import_paths]},
            isOffline=True,
            deletedAt=dt.datetime.now(dt.UTC),
        )

    def files_vanished(self, ids: Iterable[UUID]) -> None:
        """A library scan does not find the files of these assets."""
        self.update_assets(ids, isOffline=True, deletedAt=dt.datetime.now(dt.UTC))

    def files_returned(self, ids: Iterable[UUID]) -> None:
        self.update_assets(ids, isOffline=False, deletedAt=None)

    def delete_library(self, library: UUID) -> None:
        """All its assets are marked and deleted one by one, then the library itself."""
        self.update_one("library", library, deletedAt=dt.datetime.now(dt.UTC))
        self.update(
            "asset", sql.SQL('"libraryId" = %(library)s'), {"library": library}, deletedAt=dt.datetime.now(dt.UTC)
        )
        for asset in self.database.fetch('select id from asset where "libraryId" = %s', [library]):
            self.delete_asset(asset.id)
        self.delete("library", id=library)


def upload_path(owner: UUID, extension: str) -> str:
    name = str(uuid4())
    return f"/data/upload/{owner}/{name[:2]}/{name[2:4]}/{name}.{extension}"
