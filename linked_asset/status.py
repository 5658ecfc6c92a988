"""What `linked-asset status` tells: what is linked, what is left out and why, and in which state the addon is."""

import re
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
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
    "dismissed": "hidden by this user's own delete",
    "queued": "queued",
    "missing": "missing: run linked-asset reconcile",
}

_LOOKS_LIKE_A_PATH = re.compile(
    r"(?![a-z]+://)(?:[A-Za-z]:|\.{1,2}|[^\s/\\]+)?[/\\]\S*|[^\s/\\]+(?:[/\\][^\s/\\]+)+[/\\]?"
)

_POLICY = re.compile(r"\s*deletes\s*:\s*(own|all)\s*", re.IGNORECASE)
"""As `linked.deletes_own` reads it."""
DELETES = ("deletes", "deleted", "deletion", "trash")
POLICIES = ("own", "all", "mine", "everybody", "everyone")


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
    folder = f"the folder {waiting['path']}"
    what = "its name" if waiting["is_name"] else 'the end of "deletes: own"' if waiting["policy"] else folder
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
        f'the line "{line.strip()}" is ignored: a policy is the line "deletes: own" or "deletes: all"'
        for line in lines
        if _is_nearly_a_policy(line)
    ]
    policies = {found[1].lower() for line in lines if (found := _POLICY.fullmatch(line))}
    notes += ['of "deletes: own" and "deletes: all" the first counts'] if len(policies) > 1 else []
    notes += [
        f'the line "{line.strip()}" is ignored: only / alone stands for everything'
        for line in lines
        if line.startswith("/") and not line.strip(" \t\r/") and line.rstrip() != "/"
    ]
    if len(album["participants"]) < 2:
        notes.append("shared with nobody")
    return notes


def _is_nearly_a_policy(line: str) -> bool:
    """A word like it, with a colon or the like, or with nothing else but a word like what it can say."""
    words = re.fullmatch(r"\W*(\w+)\s*([:=\uff1a\u2013\u2014-]?)\s*(.*?)\W*", line.lower(), re.DOTALL)
    if not words or _POLICY.fullmatch(line) or not get_close_matches(words[1], DELETES, cutoff=0.75):
        return False
    return bool(words[2]) or bool(get_close_matches(words[3], POLICIES, cutoff=0.75))


def _users(connection: Connection) -> list[dict[str, Any]]:
    left_out: dict[str, dict[str, int]] = {}
    for row in _rows(connection, "left_out"):
        left_out.setdefault(row["id"], {})[row["reason"]] = row["media"]
    return [{**row, "left_out": left_out.get(row["id"], {})} for row in _rows(connection, "users")]


def _rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query(f"status/{name}")).mappings()]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
