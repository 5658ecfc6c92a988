"""Immich's tables across releases, with what the addon does to every column.

    immich.release("v1.138.0").table("album_asset").column("albumId").name  # "albumsId"

Everything else is made from this description: the column lists in the SQL, the detection of a
release, the differences that `doctor` reports, the test databases.
"""

from functools import cache

from .model import Column, Policy, Release, Table, UnknownRelease, pg_type, version
from .tables import RELEASES, TABLES

__all__ = ["RELEASES", "Column", "Policy", "Release", "Table", "UnknownRelease", "pg_type", "release", "version"]


@cache
def release(name: str) -> Release:
    """Immich's tables in the release `name`, one of `RELEASES`."""
    if name not in RELEASES:
        raise UnknownRelease(name)
    return Release(name, TABLES)
