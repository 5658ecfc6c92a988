"""Which files of Immich's media folder the database names, and the other way round. Reads names, changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sqlalchemy import Connection, text

from linked_asset import errors, immich, render
from linked_asset.queries import without_comments

PRODUCED = ("thumbs", "encoded-video")
"""Folders of which Immich names every file in the database."""


@dataclass(frozen=True)
class Inventory:
    """How the folder and the database differ. Paths as the database has them."""

    missing: tuple[str, ...]
    """Files of linked media that are not there."""
    left_over: tuple[str, ...]
    """Files in the folders of `PRODUCED` that no row of Immich's names."""
    unseen: int
    """Files of linked media that lie outside the media folder, and cannot be looked for."""


def take_inventory(connection: Connection, release: immich.Release, folder: Path) -> Inventory:
    """Compares a folder, which may be mounted elsewhere than in Immich's container, with the database.

    Raises MediaUnreadable where it may not look, so that nothing is called missing that only cannot be seen.
    """
    root = _root(connection)
    named = _named(connection, release)
    missing, unseen = [], 0
    try:
        for path, is_linked in named.items():
            if is_linked:
                place = _place(path, root, folder)
                if place is None:
                    unseen += 1
                elif not place.exists():
                    missing.append(path)
    except OSError as error:
        raise errors.MediaUnreadable(reason=str(error)) from error
    left_over = [path for path in _produced(root, folder) if path not in named]
    return Inventory(tuple(sorted(missing)), tuple(sorted(left_over)), unseen)


def _root(connection: Connection) -> PurePosixPath | None:
    """The media folder as Immich's container has it: what its thumbnails lie in."""
    found = connection.execute(text("select path from public.asset_file where path like '%/thumbs/%' limit 1")).scalar()
    return PurePosixPath(str(found).partition("/thumbs/")[0] or "/") if found else None


def _named(connection: Connection, release: immich.Release) -> dict[str, bool]:
    """Every path in the database, and whether it is one of a linked asset's."""
    statement = render.environment().get_template("doctor/paths.sql").render(asset=release.table("asset"))
    return {row.path: row.is_linked for row in connection.execute(text(without_comments(statement)))}


def _place(path: str, root: PurePosixPath | None, folder: Path) -> Path | None:
    pure = PurePosixPath(path)
    if root and pure.is_relative_to(root):
        return folder / pure.relative_to(root)
    # Of an external library, mounted at the same place as in Immich's container or not at all.
    here = Path(path)
    return here if any(parent.is_dir() for parent in list(here.parents)[:-1]) else None


def _produced(root: PurePosixPath | None, folder: Path) -> Iterator[str]:
    if root is None:
        return
    for kind in PRODUCED:
        for parent, _, names in os.walk(folder / kind):
            for name in names:
                if not name.startswith("."):
                    yield str(root / Path(parent).relative_to(folder) / name)
