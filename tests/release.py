"""The Immich release that the tests run on: TEST_IMMICH, else the oldest."""

import os

from linked_asset import immich

RELEASE = os.environ.get("TEST_IMMICH", immich.RELEASES[0])


def column_name(table: str, column: str) -> str:
    """A column as the release spells it."""
    return immich.release(RELEASE).table(table).column(column).name


class Columns:
    """The columns of a table as the release spells them, quoted: `Columns("album_user").albumId`."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __getattr__(self, column: str) -> str:
        return f'"{column_name(self._table, column)}"'


ALBUM_ASSET, ALBUM_USER, TAG_ASSET, MEMORY_ASSET = map(
    Columns, ("album_asset", "album_user", "tag_asset", "memory_asset")
)

PERSON_ID = f'"{column_name("person", "personGroupId")}"'
"""The id of a person as Immich shows it, in table person."""
SHOWN = f'"{column_name("asset_face", "personGroupId")}"'
"""Whom a face shows."""
