"""Albums."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import sql

from .tags import Tags


class Albums(Tags):
    def create_album(
        self,
        owner: UUID,
        name: str = "Untitled Album",
        description: str = "",
        *,
        assets: Sequence[UUID] = (),
        users: Sequence[UUID] | dict[UUID, str] = (),
    ) -> UUID:
        """One transaction: album, its assets, whom it is shared with (editors unless said)."""
        roles = users if isinstance(users, dict) else dict.fromkeys(users, "editor")
        if not self.has("album", "ownerId"):
            roles = {owner: "owner", **roles}
        with self.transaction():
            (album,) = self.insert(
                "album",
                {
                    "ownerId": owner, "albumName": name, "description": description,
                    "albumThumbnailAssetId": assets[0] if assets else None,
                },
            )  # fmt: skip
            if assets:
                self._add(album.id, assets)
            if roles:
                self.insert(
                    "album_user", *({"albumId": album.id, "userId": user, "role": role} for user, role in roles.items())
                )
        return album.id

    def update_album(self, album: UUID, /, **values: Any) -> None:
        """`albumName`, `description`, `albumThumbnailAssetId`, `isActivityEnabled`, `order`."""
        self.update_one("album", album, id=album, **values)

    def delete_album(self, album: UUID) -> None:
        self.delete("album", id=album)

    def share_album(self, album: UUID, user: UUID, role: str = "editor") -> None:
        self.insert("album_user", {"albumId": album, "userId": user, "role": role})

    def unshare_album(self, album: UUID, user: UUID) -> None:
        self.delete("album_user", albumId=album, userId=user)

    def set_role(self, album: UUID, user: UUID, role: str) -> None:
        where = sql.SQL("{} = %(album)s and {} = %(user)s").format(
            self.column("album_user", "albumId"), self.column("album_user", "userId")
        )
        self.update("album_user", where, {"album": album, "user": user}, role=role)

    def add_to_album(self, album: UUID, *assets: UUID) -> None:
        self._add(album, assets)
        cover = self.album(album).albumThumbnailAssetId
        self.update_one(
            "album", album, id=album, updatedAt=dt.datetime.now(dt.UTC), albumThumbnailAssetId=cover or assets[0]
        )

    def remove_from_album(self, album: UUID, *assets: UUID) -> None:
        self.delete("album_asset", albumId=album, assetId=list(assets))
        if self.album(album).albumThumbnailAssetId in assets:
            self.update_covers()

    def update_covers(self) -> None:
        """Covers that are missing or not in their album. Runs whenever somebody looks at albums."""
        album, asset = (self.column("album_asset", name) for name in ("albumId", "assetId"))
        content = sql.SQL(
            """from album_asset join asset on album_asset.{asset} = asset.id
                 and asset."deletedAt" is null where album_asset.{album} = album.id"""
        ).format(album=album, asset=asset)
        self.database.execute(
            sql.SQL(
                """update album set "albumThumbnailAssetId" =
                     (select album_asset.{asset} {content} order by asset."fileCreatedAt" desc limit 1)
                   where ("albumThumbnailAssetId" is null and exists (select 1 {content}))
                      or ("albumThumbnailAssetId" is not null and not exists
                          (select 1 {content} and album."albumThumbnailAssetId" = album_asset.{asset}))"""
            ).format(asset=asset, content=content)
        )

    def comment(self, album: UUID, asset: UUID, user: UUID, text: str | None = None) -> UUID:
        """A comment on a picture of an album; without a text, a like."""
        values = {"albumId": album, "assetId": asset, "userId": user, "comment": text, "isLiked": text is None}
        return self.insert("activity", values)[0].id

    def album(self, album: UUID) -> Any:
        return self.database.row("select * from album where id = %s", [album])

    def album_assets(self, album: UUID) -> set[UUID]:
        rows = self.database.fetch(
            sql.SQL("select {} from album_asset where {} = %s").format(
                self.column("album_asset", "assetId"), self.column("album_asset", "albumId")
            ),
            [album],
        )
        return {asset for (asset,) in rows}

    def _add(self, album: UUID, assets: Sequence[UUID]) -> None:
        self.insert("album_asset", *({"albumId": album, "assetId": asset} for asset in assets))
