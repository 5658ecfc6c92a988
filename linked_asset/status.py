"""What `linked-asset status` tells: what is linked, what is left out and why, and in which state the addon is."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from linked_asset import detection, shipped
from linked_asset.alembic_ini import alembic_config
from linked_asset.config import target
from linked_asset.errors import NotCompared, NotInstalled
from linked_asset.queries import query

REASONS: Mapping[str, str] = {
    "own_copy": "has the same file already",
    "own_library": "in a library of their own",
    "source_trashed": "in the trash",
    "source_offline": "offline",
    "source_awaits_deletion": "about to be deleted",
    "album_awaits_deletion": "the album awaits deletion",
    "user_awaits_deletion": "the account awaits deletion",
    "dismissed": "dismissed by this viewer",
    "queued": "queued",
    "missing": "missing: run linked-asset reconcile",
}

_LOOKS_LIKE_A_PATH = re.compile(
    r"(?![a-z]+://)(?:[A-Za-z]:|\.{1,2}|[^\s/\\]+)?[/\\]\S*|[^\s/\\]+(?:[/\\][^\s/\\]+)+[/\\]?"
)


def status(connection: Connection) -> dict[str, Any]:
    """Everything as plain data, ready for JSON."""
    installed = shipped.installation(connection)
    if installed is None:
        raise NotInstalled(target=target(connection.engine.url))
    shipped.refuse_damaged(connection)
    incidents = _rows(connection, "incidents")
    return {
        "installed": _installed(connection, installed),
        "detected": _detected(connection),
        "albums": read_albums(connection),
        "waiting": _rows(connection, "waiting"),
        "users": _users(connection),
        "locked": connection.execute(query("status/locked")).scalar_one(),
        "queued": connection.execute(text("select count(*) from linked.queue")).scalar_one(),
        "noted": connection.execute(text("select count(*) from linked.note")).scalar_one(),
        "unsettled": connection.execute(text("select count(distinct source_id) from linked.unsettled")).scalar_one(),
        "incidents": {
            "count": incidents[0].pop("total") if incidents else 0,
            "latest": [{name: _plain(value) for name, value in row.items() if name != "total"} for row in incidents],
        },
    }


def waits(waiting: Mapping[str, Any]) -> str:
    """What an editor may have written, in a line."""
    what = "its name" if waiting["is_name"] else f"the folder {waiting['path']}"
    return f'the album "{waiting["name"]}" waits for its owner to approve {what}'


def read_albums(connection: Connection) -> list[dict[str, Any]]:
    """The linked albums as they are understood, with notes on what may be meant otherwise."""
    return [_album(row) for row in _rows(connection, "albums")]


def _installed(connection: Connection, state: Mapping[str, Any]) -> dict[str, Any]:
    release = str(state["immich_version"])
    return {
        "immich": release,
        "package": state["package_version"],
        "installed_at": _plain(state["installed_at"]),
        "suspended_at": _plain(state["suspended_at"]),
        "suspended_why": state["suspended_why"],
        "outdated": _outdated(connection, release),
    }


def _outdated(connection: Connection, release: str) -> list[str]:
    try:
        return shipped.outdated(connection, release)
    except NotCompared as error:
        return [str(error).rstrip(".")]


def _detected(connection: Connection) -> dict[str, Any]:
    releases = [revision.revision for revision in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    found = detection.detect(connection, releases)
    return {
        "fits": found.fitting,
        "immich_says": detection.running_version(connection),
        "closest": found.closest,
        "differences": [str(difference) for difference in found.differences],
    }


def _album(row: dict[str, Any]) -> dict[str, Any]:
    owner = {"id": row.pop("owner_id"), "name": row.pop("owner")}
    lines = (row.pop("description") or "").splitlines()
    return {**row, "owner": owner, "notes": [*_notes(row, lines)]}


def _notes(album: Mapping[str, Any], lines: list[str]) -> list[str]:
    notes = [] if album["prefixes"] else ["no prefix: linked is what is in the album"]
    notes += [f"prefix {prefix['path']} matches nothing" for prefix in album["prefixes"] if not prefix["matches"]]
    notes += [
        f'the line "{line.strip()}" is ignored: a prefix starts with /'
        for line in lines
        if not line.startswith("/") and _LOOKS_LIKE_A_PATH.fullmatch(line.strip())
    ]
    notes += [
        f'the line "{line.strip()}" is ignored: only / alone stands for everything'
        for line in lines
        if line.startswith("/") and not line.strip(" \t\r/") and line.rstrip() != "/"
    ]
    if len(album["participants"]) < 2:
        notes.append("shared with nobody")
    return notes


def _users(connection: Connection) -> list[dict[str, Any]]:
    left_out: dict[str, dict[str, int]] = {}
    for row in _rows(connection, "left_out"):
        left_out.setdefault(row["id"], {})[row["reason"]] = row["media"]
    return [{**row, "left_out": left_out.get(row["id"], {})} for row in _rows(connection, "users")]


def _rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query(f"status/{name}")).mappings()]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
