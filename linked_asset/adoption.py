"""Taking over an installation of the `immich-linked-assets` scripts (Immich v1.138.0 to v2.7.5).

They use a schema `linked` too, with a row for each asset, face, album and stack that they had linked. It is set aside,
ours is made, and what theirs says of clones, faces, persons, albums and stacks becomes ours; all in the transaction of
the upgrade.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from linked_asset import detection, errors, immich, render
from linked_asset.queries import query, run_script, source
from linked_asset.talk import say

TABLES = ("album", "asset", "asset_face", "shared_album", "stack", "tag")
SINCE_SCRIPTS_ENDED = "v3.0.0"
ASIDE = "linked_to_adopt"
DROP_ASIDE = f"select set_config('role', 'none', true); drop schema {ASIDE} cascade"


def set_aside(connection: Connection, releases: Iterable[str]) -> None:
    """Makes room for ours. Refuses where linked users would lose what they have."""
    if not all(detection.has_table(connection, table, "linked") for table in TABLES):
        raise errors.NothingToAdopt()
    found = detection.detect(connection, releases)
    if immich.version(found.closest) >= immich.version(SINCE_SCRIPTS_ENDED):
        raise errors.NotAdopted(
            reason=f"the scripts ended with Immich v2.7.5, and its tables are those of {found.closest}"
        )
    album_user = immich.release(found.closest).table("album_user")
    names = {"album": album_user.column("albumId").name, "user": album_user.column("userId").name}
    for group in connection.execute(query("adoption/groups"), names).all():
        if group.album_id is None:
            reason = f'{group.owner} has no linked album any more: make one (its name starts with "linked album")'
            raise errors.NotAdopted(reason=f"{reason}, and share it with those who are to keep what they have")
        if group.missing:
            who = ", ".join(group.missing)
            raise errors.NotAdopted(reason=f'the album "{group.album_name}" is not shared with {who}: share it first')
    run_script(connection, source("adoption/set_aside"))


def take_over(connection: Connection, release: str) -> None:
    """Once our tables and functions are there, and before anything is linked."""
    if not _is_aside(connection):
        return
    run_script(connection, render.render("adoption/take_over", immich.release(release)))
    clones = connection.execute(text("select count(*) from adopted")).scalar_one()
    known = connection.execute(
        text(f"select count(*) from {ASIDE}.asset join public.asset using (id) where not base_owner")
    ).scalar_one()
    say(f"took over {clones} clones of the immich-linked-assets scripts, with their faces, persons, albums and stacks")
    if known > clones:
        say(
            f"warning: {known - clones} more are left alone: their original is gone or has another file, or their "
            "account has the picture twice. Do not delete them in Immich, it would delete the file"
        )


def forget(connection: Connection) -> None:
    if _is_aside(connection):
        run_script(connection, DROP_ASIDE)


def _is_aside(connection: Connection) -> bool:
    return detection.has_table(connection, "asset", ASIDE)
