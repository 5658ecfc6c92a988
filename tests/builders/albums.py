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
        """One transaction, from v3.0.0 on one statement: album, assets, who it is shared with (editors unless said)."""
        roles = users if isinstance(users, dict) else dict.fromkeys(users, "editor")
        values = {
            "ownerId": owner, "albumName": name, "description": description,
            "albumThumbnailAssetId": assets[0] if assets else None,
        }  # fmt: skip
        if not self.has("album", "ownerId"):
            return self._create_at_once(values, {owner: "owner", **roles}, assets)
        with self.transaction():
            (album,) = self.insert("album", values)
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

    def _create_at_once(self, values: dict[str, Any], roles: dict[UUID, str], assets: Sequence[UUID]) -> UUID:
        keys = [name for name in values if self.has("album", name)]
        statement = sql.SQL(
            """with album as (insert into album ({}) values ({}) returning *),
                 album_user as (
                   insert into album_user ("albumId", "userId", role)
                   select album.id, added.id, added.role::album_user_role_enum
                   from album, unnest(%(users)s::uuid[], %(roles)s::text[]) as added (id, role)
                   returning *
                 ),
                 album_asset as (
                   insert into album_asset ("albumId", "assetId")
                   select album.id, asset_id from album, unnest(%(assets)s::uuid[]) as asset_id
                   on conflict do nothing
                   returning *
                 )
               select * from album"""
        ).format(self.columns("album", keys), sql.SQL(", ").join(sql.Placeholder(name) for name in keys))
        given = {name: values[name] for name in keys}
        album = self.database.row(
            statement, {**given, "users": list(roles), "roles": list(roles.values()), "assets": list(assets)}
        )
        return album.id

    def album_rows(self, assets: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
        """Album and asset of every row of `album_asset` that has one of these assets."""
        rows = self.database.fetch(
            sql.SQL("select {album} as album, {asset} as asset from album_asset where {asset} = any(%s)").format(
                album=self.column("album_asset", "albumId"), asset=self.column("album_asset", "assetId")
            ),
            [list(assets)],
        )
        return [(row.album, row.asset) for row in rows]

    def albums_of(self, user: UUID) -> list[Any]:
        """All that a user owns, by name."""
        return self.database.fetch(
            sql.SQL('select * from album where {} = %s order by "albumName", id').format(self._owner), [user]
        )

    def owner_of(self, album: UUID) -> UUID:
        return self.database.value(  # type: ignore[no-any-return]
            sql.SQL("select {} from album where id = %s").format(self._owner), [album]
        )

    def role_of(self, album: UUID, user: UUID) -> str | None:
        """In which an album is shared with a user."""
        rows = self.database.fetch(
            sql.SQL("select role from album_user where {} = %s and {} = %s").format(
                self.column("album_user", "albumId"), self.column("album_user", "userId")
            ),
            [album, user],
        )
        return rows[0].role if rows else None

    @property
    def _owner(self) -> sql.SQL:
        if self.has("album", "ownerId"):
            return sql.SQL('album."ownerId"')
        return sql.SQL("""(select "userId" from album_user where "albumId" = album.id and role = 'owner')""")

    def _add(self, album: UUID, assets: Sequence[UUID]) -> None:
        self.insert("album_asset", *({"albumId": album, "assetId": asset} for asset in assets))
