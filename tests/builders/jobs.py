"""The background jobs of one asset, in the order in which they follow an upload."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql

from linked_asset.immich import Policy

from .media import EPOCH
from .tags import Tags


class Jobs(Tags):
    def process(self, asset_id: UUID, /, **exif: Any) -> None:
        """Everything that Immich does to a new upload, faces aside."""
        self.extract_metadata(asset_id, **exif)
        self.generate_thumbnails(asset_id)
        self.smart_search(asset_id)
        self.detect_duplicates([asset_id])

    def extract_metadata(
        self, asset_id: UUID, /, *, tags: Sequence[str] | None = None, duration: Any = None, **exif: Any
    ) -> None:
        """Writes all exif columns, dates, and the tags anew. What is not given is as it is now:
        the file and its sidecar are assumed to hold what the database holds."""
        asset = self.asset(asset_id)
        shared = self.release.table("asset_exif").with_policy(Policy.SHARED)
        now = self.database.fetch('select * from asset_exif where "assetId" = %s', [asset_id])
        values = {column.canonical: getattr(now[0], column.name) if now else None for column in shared}
        values["description"] = values["description"] or ""
        self.upsert_exif(asset_id, **{**values, "timeZone": "UTC", **exif})
        taken = exif.get("dateTimeOriginal") or asset.fileCreatedAt
        self.update_asset(
            asset_id,
            duration=duration or asset.duration,
            localDateTime=taken,
            fileCreatedAt=taken,
            fileModifiedAt=asset.fileModifiedAt,
        )
        if tags is None:
            tags = self.tags_of(asset_id)
        self.replace_tags(asset_id, [self.upsert_tag(asset.ownerId, tag) for tag in tags])
        self.upsert_job_status(asset_id, metadataExtractedAt=dt.datetime.now(dt.UTC))

    def write_sidecar(self, asset_id: UUID, path: str | None = None) -> None:
        """Edits are written to a file beside the original, then extracted again."""
        path = path or f"{self.asset(asset_id).originalPath}.xmp"
        if self.has("asset", "sidecarPath"):
            self.update_asset(asset_id, sidecarPath=path)
        else:
            self.upsert_files({"assetId": asset_id, "type": "sidecar", "path": path})
        self.extract_metadata(asset_id)

    def extract_motion_part(self, still: UUID) -> UUID:
        """A motion photo: its video becomes a hidden asset in Immich's own folder."""
        asset = self.asset(still)
        path = f"/data/encoded-video/{asset.ownerId}/{str(still)[:2]}/{str(still)[2:4]}/{still}-MP.mp4"
        motion = self.insert(
            "asset",
            {
                "libraryId": asset.libraryId, "type": "VIDEO", "fileCreatedAt": asset.fileCreatedAt,
                "fileModifiedAt": asset.fileModifiedAt, "localDateTime": asset.localDateTime,
                "checksum": hashlib.sha1(path.encode()).digest(), "checksumAlgorithm": "sha1",
                "ownerId": asset.ownerId, "originalPath": path, "originalFileName": "motion.mp4",
                "visibility": "hidden", "deviceAssetId": "NONE", "deviceId": "NONE",
            },
        )[0].id  # fmt: skip
        if not asset.isExternal:
            self.update_usage(asset.ownerId, 500)
        self.upsert_exif(motion, fileSizeInByte=500)
        self.upsert_job_status(motion, metadataExtractedAt=dt.datetime.now(dt.UTC))
        self.update_asset(still, livePhotoVideoId=motion)
        return motion

    def pair_live_photo(self, still: UUID, motion: UUID) -> None:
        """Metadata extraction finds that two uploads are one live photo."""
        self.update_asset(still, livePhotoVideoId=motion)
        self.update_asset(motion, visibility="hidden")
        self.delete("album_asset", assetId=[motion])

    def generate_thumbnails(self, asset_id: UUID, *, fullsize: bool = False) -> None:
        """Into the folder of the asset's owner, whatever the paths were before."""
        asset = self.asset(asset_id)
        kinds = ["preview", "thumbnail", *(["fullsize"] if fullsize else [])]
        self.upsert_files(*({"assetId": asset_id, "type": kind, "path": thumbnail_path(asset, kind)} for kind in kinds))
        if not fullsize:
            self.delete("asset_file", assetId=asset_id, type="fullsize")
        thumbhash = hashlib.sha1(asset.originalPath.encode()).digest()
        if asset.thumbhash != thumbhash:
            self.update_asset(asset_id, thumbhash=thumbhash)
        now = dt.datetime.now(dt.UTC)
        if self.has("asset_job_status", "previewAt"):
            self.upsert_job_status(asset_id, previewAt=now, thumbnailAt=now)

    def smart_search(self, asset_id: UUID, embedding: str | None = None) -> None:
        self.insert(
            "smart_search",
            {"assetId": asset_id, "embedding": embedding or self.embedding(asset_id)},
            conflict=["assetId"],
        )

    def recognize_text(self, asset_id: UUID, *texts: str) -> None:
        """The OCR job (v2.2): one statement that replaces the boxes and the text that search looks at."""
        boxes = [
            {"assetId": asset_id, **dict.fromkeys(["x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4"], 0.1 * (number + 1)),
             "boxScore": 0.9, "textScore": 0.8, "text": text}
            for number, text in enumerate(texts)
        ]  # fmt: skip
        names = list(boxes[0]) if boxes else []
        statement = sql.SQL('with deleted_ocr as (delete from asset_ocr where "assetId" = %s), ')
        parameters: list[Any] = [asset_id]
        if boxes:
            row = sql.SQL("({})").format(sql.SQL(", ").join(sql.Placeholder() for _ in names))
            statement += sql.SQL("inserted_ocr as (insert into asset_ocr ({}) values {}), ").format(
                self.columns("asset_ocr", names), sql.SQL(", ").join(row for _ in boxes)
            )
            statement += sql.SQL(
                """inserted_search as (insert into ocr_search ("assetId", text) values (%s, %s)
                   on conflict ("assetId") do update set text = excluded.text) """
            )
            parameters += [value for box in boxes for value in box.values()] + [asset_id, " ".join(texts)]
        else:
            statement += sql.SQL('deleted_search as (delete from ocr_search where "assetId" = %s) ')
            parameters.append(asset_id)
        self.database.execute(statement + sql.SQL("select 1 as dummy"), parameters)
        self.upsert_job_status(asset_id, ocrAt=dt.datetime.now(dt.UTC))

    def edit(self, asset_id: UUID, *edits: tuple[str, dict[str, Any]]) -> None:
        """Crop, rotate, mirror (v2.5): one transaction that replaces all edits. The job follows: `generate_edited`."""
        with self.transaction():
            self.delete("asset_edit", assetId=asset_id)
            rows = [
                {"assetId": asset_id, "sequence": number, "action": action, "parameters": parameters}
                for number, (action, parameters) in enumerate(edits)
            ]
            if rows:
                self.insert("asset_edit", *rows)

    def generate_edited(self, asset_id: UUID) -> None:
        """The job after an edit: pictures of what the edits make of it, or none any more."""
        asset = self.asset(asset_id)
        edits = self.database.fetch('select id from asset_edit where "assetId" = %s', [asset_id])
        kinds = ["preview", "thumbnail"]
        if edits:
            paths = {kind: thumbnail_path(asset, kind).replace(f"-{kind}", f"_{kind}_edited") for kind in kinds}
            self.upsert_files(
                *({"assetId": asset_id, "type": kind, "path": paths[kind], "isEdited": True} for kind in kinds)
            )
        else:
            self.delete("asset_file", assetId=asset_id, isEdited=True)
        self.update_asset(asset_id, thumbhash=repr(edits).encode(), width=300 if edits else 400, height=300)

    def detect_duplicates(self, ids: Sequence[UUID], duplicate: UUID | None = None) -> None:
        """`duplicate`: the group that the assets turn out to belong to."""
        if duplicate:
            self.update(
                "asset",
                sql.SQL('"duplicateId" = any(%(old)s) or id = any(%(ids)s)'),
                {"old": [duplicate], "ids": list(ids)},
                duplicateId=duplicate,
            )
        now = dt.datetime.now(dt.UTC)
        self.insert(
            "asset_job_status",
            *({"assetId": asset_id, "duplicatesDetectedAt": now} for asset_id in ids),
            conflict=["assetId"],
        )

    def encode_video(self, asset_id: UUID) -> None:
        asset = self.asset(asset_id)
        self.set_file(
            asset_id, "encoded_video", f"/data/encoded-video/{asset.ownerId}/{str(asset_id)[:2]}/{asset_id}.mp4"
        )

    def forget_encoded_video(self, asset_id: UUID) -> None:
        """Transcoding finds that the video can be played as it is."""
        self.set_file(asset_id, "encoded_video", None)

    def file_of(self, asset_id: UUID, kind: str) -> str | None:
        """The path of a `sidecar` or `encoded_video`: of the asset, or in later releases in a row of asset_file."""
        if column := self._column_of(kind):
            return getattr(self.asset(asset_id), column) or None
        rows = self.database.fetch('select path from asset_file where "assetId" = %s and type = %s', [asset_id, kind])
        return rows[0].path if rows else None

    def set_file(self, asset_id: UUID, kind: str, path: str | None) -> None:
        if column := self._column_of(kind):
            self.update_asset(asset_id, **{column: path})
        elif path:
            self.upsert_files({"assetId": asset_id, "type": kind, "path": path})
        else:
            self.delete("asset_file", assetId=asset_id, type=kind)

    def _column_of(self, kind: str) -> str | None:
        column = {"sidecar": "sidecarPath", "encoded_video": "encodedVideoPath"}.get(kind)
        return column if column and self.has("asset", column) else None

    def move_file(self, asset_id: UUID, new_path: str) -> None:
        """The storage template puts the original where it belongs."""
        asset = self.asset(asset_id)
        (move,) = self.insert(
            "move_history",
            {
                "entityId": asset_id, "pathType": "original",
                "oldPath": asset.originalPath, "newPath": new_path,
            },
        )  # fmt: skip
        self.update_asset(asset_id, originalPath=new_path)
        self.delete("move_history", id=move.id)

    def migrate_files(self, asset_id: UUID) -> None:
        """The job that moves thumbnails to where the asset's owner has them."""
        asset = self.asset(asset_id)
        for file in self.database.fetch('select * from asset_file where "assetId" = %s order by type', [asset_id]):
            path = thumbnail_path(asset, file.type)
            if file.path != path:
                (move,) = self.insert(
                    "move_history",
                    {
                        "entityId": asset_id, "pathType": file.type,
                        "oldPath": file.path, "newPath": path,
                    },
                )  # fmt: skip
                self.upsert_files({"assetId": asset_id, "type": file.type, "path": path})
                self.delete("move_history", id=move.id)

    def migrate_file_paths(self, old: str, new: str) -> None:
        """Immich's media folder has moved: one transaction over whole tables."""
        source = "^" + re.escape(old.rstrip("/"))
        paths = {
            "asset": ["originalPath", "encodedVideoPath", "sidecarPath"],
            "asset_file": ["path"],
            "person": ["thumbnailPath"],
            "user": ["profileImagePath"],
        }
        with self.transaction():
            for table, columns in paths.items():
                values = {
                    name: sql.SQL("regexp_replace({}, %(old)s, %(new)s)").format(sql.Identifier(name))
                    for name in columns
                }
                parameters = {"old": source, "new": new.rstrip("/")}
                self.update(table, sql.SQL("true"), parameters, **values)

    def upsert_files(self, *files: dict[str, Any]) -> None:
        """One statement for all files."""
        rows = [{**file, "isEdited": file.get("isEdited", False)} for file in files]
        key = self.release.table("asset_file").key
        self.insert("asset_file", *rows, conflict=key, update=["path"])

    def upsert_job_status(self, asset_id: UUID, /, **values: dt.datetime) -> None:
        self.insert("asset_job_status", {"assetId": asset_id, **values}, conflict=["assetId"])

    def process_all(self, ids: Iterable[UUID]) -> None:
        for asset_id in ids:
            self.process(asset_id, make="Canon", dateTimeOriginal=EPOCH)


def thumbnail_path(asset: Any, kind: str) -> str:
    name = str(asset.id)
    extension = "webp" if kind == "thumbnail" else "jpeg"
    return f"/data/thumbs/{asset.ownerId}/{name[:2]}/{name[2:4]}/{name}-{kind}.{extension}"
