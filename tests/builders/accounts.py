"""Users, partners, what is kept about them."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from psycopg import sql

from .base import Service

NOW = sql.SQL("now()")


class Accounts(Service):
    def create_user(
        self, name: str, *, admin: bool = False, quota: int | None = None, label: str | None = None
    ) -> UUID:
        email = f"{name.lower()}@example.org"
        (user,) = self.insert(
            "user",
            {
                "email": email, "name": name, "isAdmin": admin, "password": "x",
                "quotaSizeInBytes": quota, "storageLabel": label, "clusterGroupId": self.create_cluster_group(),
            },
        )  # fmt: skip
        return user.id

    def create_cluster_group(self) -> UUID | None:
        """Accounts whose faces are recognized together; of one account to begin with."""
        if not self.release.has("cluster_group"):
            return None
        group: UUID = self.database.value("insert into cluster_group default values returning id")
        return group

    def update_usage(self, user: UUID, delta: int) -> None:
        """The quota after an upload or a deletion."""
        self.update(
            "user",
            sql.SQL('id = %(id)s and "deletedAt" is null'),
            {"id": user, "delta": delta},
            quotaUsageInBytes=sql.SQL('"quotaUsageInBytes" + %(delta)s'),
            updatedAt=NOW,
        )

    def sync_usage(self) -> None:
        """The nightly job that computes all quotas anew."""
        self.update(
            "user",
            sql.SQL('"user"."deletedAt" is null'),
            {},
            quotaUsageInBytes=sql.SQL(
                """(select coalesce(sum(asset_exif."fileSizeInByte"), 0) from asset
                    left join asset_exif on asset_exif."assetId" = asset.id
                    where asset."libraryId" is null and asset."ownerId" = "user".id)"""
            ),
            updatedAt=NOW,
        )

    def soft_delete_user(self, user: UUID) -> None:
        """The administrator deletes an account; it can be restored for a week."""
        self._albums_of(user, dt.datetime.now(dt.UTC))
        self.update_one("user", user, status="deleted", deletedAt=dt.datetime.now(dt.UTC))

    def restore_user(self, user: UUID) -> None:
        self._albums_of(user, None)
        self.update_one("user", user, status="active", deletedAt=None)

    def hard_delete_user(self, user: UUID) -> None:
        """The job that removes an account for good (after its folders)."""
        if self.has("album", "ownerId"):
            self.delete("album", ownerId=user)
        else:
            self.database.execute(
                """delete from album where id in
                   (select "albumId" from album_user where "userId" = %s and role = 'owner')""",
                [user],
            )
        self.delete("user", id=user)

    def configure(self, settings: dict[str, Any]) -> None:
        """An administrator changes settings: what differs from the defaults is kept."""
        self.insert("system_metadata", {"key": "system-config", "value": settings}, conflict=["key"])

    def create_partner(self, shared_by: UUID, shared_with: UUID, *, timeline: bool = True) -> None:
        self.insert("partner", {"sharedById": shared_by, "sharedWithId": shared_with})
        self.update(
            "partner",
            sql.SQL('"sharedById" = %(by)s and "sharedWithId" = %(with)s'),
            {"by": shared_by, "with": shared_with},
            inTimeline=timeline,
        )

    def _albums_of(self, user: UUID, deleted: dt.datetime | None) -> None:
        if self.has("album", "ownerId"):
            where = '"ownerId" = %(user)s'
        else:
            where = """id in (select "albumId" from album_user
                              where "userId" = %(user)s and role = 'owner')"""
        self.update("album", sql.SQL(where), {"user": user}, deletedAt=deleted)
