"""Tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from .media import Media


class Tags(Media):
    def upsert_tag(self, owner: UUID, value: str) -> UUID:
        """A path from root to leaf, each tag in a transaction that holds its closure only: the tag
        itself is written through another connection and is there before."""
        tag = None
        parts = [part for part in value.split("/") if part]
        for depth in range(1, len(parts) + 1):
            tag = self._upsert_value(owner, "/".join(parts[:depth]), tag)
        if tag is None:
            raise ValueError(value)
        return tag

    def _upsert_value(self, owner: UUID, value: str, parent: UUID | None) -> UUID:
        other = Tags(self.database.another(), self.release.name)
        with self.transaction():
            self.database.execute("select")
            (tag,) = other.insert(
                "tag",
                {"userId": owner, "value": value, "parentId": parent},
                conflict=["userId", "value"],
                update=["parentId"],
            )
            self.insert("tag_closure", {"id_ancestor": tag.id, "id_descendant": tag.id}, nothing=True)
            if parent:
                self.database.execute(
                    """insert into tag_closure (id_ancestor, id_descendant)
                       select id_ancestor, %s::uuid from tag_closure where id_descendant = %s
                       on conflict do nothing""",
                    [tag.id, parent],
                )
        return tag.id

    def create_tag(self, owner: UUID, value: str, *, color: str | None = None) -> UUID:
        """The tag page: no closure rows are written."""
        parent = None
        if "/" in value:
            parent = self.database.value(
                'select id from tag where "userId" = %s and value = %s', [owner, value.rpartition("/")[0]]
            )
        row = {"userId": owner, "value": value, "color": color, "parentId": parent}
        return self.insert("tag", row)[0].id

    def update_tag(self, tag: UUID, /, **values: Any) -> None:
        self.update_one("tag", tag, **values)

    def delete_tag(self, tag: UUID) -> None:
        self.delete("tag", id=tag)

    def tag_assets(self, tag: UUID, *assets: UUID) -> None:
        """One tag for several assets."""
        self.insert("tag_asset", *({"tagId": tag, "assetId": asset} for asset in assets))

    def bulk_tag(self, tags: Sequence[UUID], assets: Sequence[UUID]) -> None:
        """Several tags for several assets, one statement."""
        self.insert("tag_asset", *({"tagId": tag, "assetId": asset} for tag in tags for asset in assets), nothing=True)

    def untag_assets(self, tag: UUID, *assets: UUID) -> None:
        self.delete("tag_asset", tagId=tag, assetId=list(assets))

    def replace_tags(self, asset: UUID, tags: Sequence[UUID]) -> None:
        """Part of every metadata extraction, also when nothing changes. One transaction."""
        with self.transaction():
            self.delete("tag_asset", assetId=asset)
            if tags:
                rows = [{"tagId": tag, "assetId": asset} for tag in tags]
                self.insert("tag_asset", *rows, nothing=True)

    def tags_of(self, asset: UUID) -> list[str]:
        name = self.release.table("tag_asset")
        return [
            tag.value
            for tag in self.database.fetch(
                f"""select value from tag join tag_asset on tag.id = "{name.column("tagId").name}"
                    where "{name.column("assetId").name}" = %s order by value""",
                [asset],
            )
        ]
