"""Checks that explain themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from linked_asset import detection, errors, guard, immich, media, shipped
from linked_asset.config import target
from linked_asset.queries import query, run_script
from linked_asset.status import status, waits
from linked_asset.talk import and_more

PROBLEM = "problem"
ADVICE = "advice"


@dataclass(frozen=True)
class Finding:
    """Something to know, and what to do about it. Only a problem makes the exit code 1."""

    check: str
    kind: str
    what: str
    remedy: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def examine(connection: Connection, media_folder: Path | None = None) -> list[Finding]:
    """Everything that is not as it should be; empty when all is well."""
    state = shipped.installation(connection)
    if state is None:
        raise errors.NotInstalled(target=target(connection.engine.url))
    release = str(state["immich_version"])
    guard.refuse_newer([release], immich.RELEASES)
    objects = list(_objects(connection, release))
    try:
        shipped.refuse_damaged(connection)
    except errors.Damaged as damage:
        return objects or [Finding("objects", PROBLEM, str(damage), "run `alembic upgrade head`")]
    found = status(connection)
    unfit = list(_tables(connection, release))
    findings = [
        *unfit,
        *_new_columns(connection, release),
        *objects,
        *_strangers(connection),
        *_state(found),
        *_waiting(found),
        *_albums(found),
        *_settings(connection),
    ]
    if not unfit and not objects:
        findings += [*_groups(connection), *_forgotten(connection)]
    if not unfit:
        findings += _surroundings(connection)
        if media_folder:
            findings += files(connection, release, media_folder)
    return findings


def _tables(connection: Connection, release: str) -> Iterator[Finding]:
    for difference in detection.differences(connection, release):
        yield Finding("tables", PROBLEM, str(difference), "run `alembic upgrade head`")


def _new_columns(connection: Connection, release: str) -> Iterator[Finding]:
    for column in detection.new_columns(connection, release):
        yield Finding("tables", ADVICE, str(column), "look for a version of this package that knows it")


def _objects(connection: Connection, release: str) -> Iterator[Finding]:
    try:
        for reason in shipped.outdated(connection, release):
            yield Finding("objects", PROBLEM, reason, "run `alembic upgrade head`")
    except errors.NotCompared as error:
        yield Finding(
            "objects", ADVICE, str(error), "run `linked-asset doctor` as the role that installed linked assets"
        )


def _strangers(connection: Connection) -> Iterator[Finding]:
    for one in run_script(connection, shipped.strangers_query()).scalars():
        yield Finding("strangers", ADVICE, f"{one} is not ours", "drop it before linked assets are removed")


def _state(found: dict[str, Any]) -> Iterator[Finding]:
    incidents = found["incidents"]
    if incidents["count"]:
        latest = incidents["latest"][0]
        yield Finding(
            "incidents",
            PROBLEM,
            f"{incidents['count']} incidents, the latest in {latest['place']}: {latest['message']}",
            "run `linked-asset reconcile`",
        )
    if found["queued"]:
        yield Finding(
            "queue", ADVICE, f"{found['queued']} media are queued for linking", "run `alembic upgrade head`, or wait"
        )
    if found["unsettled"]:
        yield Finding(
            "files",
            ADVICE,
            f"{found['unsettled']} media may lack thumbnails or video, because jobs of Immich overlapped",
            "wait for the night, or run Immich's job for missing thumbnails (of videos: transcoding)",
        )


def _waiting(found: dict[str, Any]) -> Iterator[Finding]:
    for waiting in found["waiting"]:
        remedy = f"run `linked-asset approve {waiting['album_id']}`, if the owner meant it"
        yield Finding("approval", ADVICE, waits(waiting), remedy)


def _albums(found: dict[str, Any]) -> Iterator[Finding]:
    for album in found["albums"]:
        for note in album["notes"]:
            yield Finding("albums", ADVICE, f"{album['name']}: {note}", "edit the album's description")


SETTINGS = {
    "default_transaction_isolation": (PROBLEM, "Immich's own statements fail where sync has written a row meanwhile"),
    "session_replication_role": (PROBLEM, "no trigger runs, and nothing is kept in sync"),
    "linked.writing": (ADVICE, "it is without effect: the addon sets it within its transactions"),
}


def _settings(connection: Connection) -> Iterator[Finding]:
    for found in guard.settings(connection):
        kind, consequence = SETTINGS[found.name]
        what = f"{found.name} is {found.value} for {found.what}: {consequence}"
        yield Finding("settings", kind, what, f"run `{found.remedy}`")


def _groups(connection: Connection) -> Iterator[Finding]:
    connection.execute(text("set local jit = off"))
    for kind, members in connection.execute(query("doctor/disagreement")):
        yield Finding(
            "groups",
            PROBLEM,
            f"{members} members disagree with their group on {kind}",
            "run `linked-asset reconcile`",
        )


def _forgotten(connection: Connection) -> Iterator[Finding]:
    count = connection.execute(query("doctor/forgotten")).scalar_one()
    if count:
        yield Finding(
            "forgotten clones",
            PROBLEM,
            f"{count} assets look like clones that are not remembered; deleted in Immich, they take the file along",
            "`select linked.clones_unknown()` has their ids; delete in psql those that you know to be clones",
        )


def files(connection: Connection, release: str, folder: Path) -> Iterator[Finding]:
    """What is wrong between the media folder and the database."""
    found = media.take_inventory(connection, immich.release(release), folder)
    if found.missing:
        yield Finding(
            "files",
            PROBLEM,
            f"{len(found.missing)} files of linked media are missing: {and_more(found.missing, 3)}",
            "restore originals from a backup; of thumbnails run Immich's job for missing ones, then for all",
        )
    if found.left_over:
        yield Finding(
            "files",
            ADVICE,
            f"{len(found.left_over)} thumbnails or videos are named by nobody: {and_more(found.left_over, 3)}",
            "they only take space; Immich from v3.0 on lists and deletes them (integrity report: untracked files)",
        )
    if found.unseen:
        what = f"{found.unseen} files of linked media lie outside the media folder and were not looked for"
        yield Finding("files", ADVICE, what, "mount their folder where Immich's container has it")


def _surroundings(connection: Connection) -> Iterator[Finding]:
    for check, what, remedy in connection.execute(query("doctor/surroundings")):
        yield Finding(check, ADVICE, what, remedy)
