"""What would be linked for whom, before anything is installed.

What the linked albums cover is told by the functions that will tell it later: they are made in a transaction that is
rolled back, without a trigger, so that no table of Immich's is locked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from linked_asset import detection, guard, immich, operations, render, shipped
from linked_asset.alembic_ini import alembic_config
from linked_asset.queries import query, run_script, without_comments
from linked_asset.status import read_albums

CONCERNS = ("state", "guard", "coverage")
"""The files that make what the linked albums cover known. Their functions call others, which are not called here."""
QUIETLY = "set local check_function_bodies = off; set local client_min_messages = 'warning';"
UNDERSTAND = "select linked.understand(ids, ids, ids) from (select array(select id from public.album)) as albums (ids)"
CLONES_A_SECOND = 1000
EMBEDDINGS_A_SECOND = 360
"""Measured; what goes into a vector index is bound by that."""


def plan(connection: Connection) -> dict[str, Any]:
    """Everything as plain data, ready for JSON."""
    with _as_installed(connection) as release:
        albums = read_albums(connection)
        users = _users(connection)
        tables = [dict(row) for row in connection.execute(text(_space_query(release))).mappings()]
    clones = sum(row["rows"] for row in tables if row["name"] == "asset")
    embeddings = sum(row["rows"] for row in tables if row["has_vector_index"])
    return {
        "immich": release,
        "albums": albums,
        "users": users,
        "clones": clones,
        "rows": sum(row["rows"] for row in tables),
        "bytes": sum(row["bytes"] for row in tables),
        "seconds": round(clones / CLONES_A_SECOND + embeddings / EMBEDDINGS_A_SECOND),
    }


@contextmanager
def _as_installed(connection: Connection) -> Iterator[str]:
    """Within, schema linked knows the linked albums; afterwards nothing of it is left. Yields the release that fits."""
    with connection.begin() as transaction:
        guard.refuse_foreign_schema(connection)
        guard.refuse_other_databases(connection)
        state = shipped.installation(connection)
        if state:
            shipped.refuse_damaged(connection)
            yield str(state["immich_version"])
        else:
            steps = [step.revision for step in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
            found = detection.detect(connection, steps)
            if found.fitting is None:
                raise guard.unfit_for(connection, found.closest, found.differences)
            release = immich.release(found.fitting)
            script = "\n".join(render.render(concern, release) for concern in CONCERNS)
            run_script(connection, f"{operations.own()}\n{QUIETLY}\n{script}\n{UNDERSTAND}")
            yield found.fitting
        transaction.rollback()


def _users(connection: Connection) -> list[dict[str, Any]]:
    users: dict[str, dict[str, Any]] = {
        row["id"]: {"id": row["id"], "name": row["name"], "to_link": 0, "saved_bytes": 0, "left_out": {}}
        for row in connection.execute(query("status/users")).mappings()
    }
    for row in connection.execute(query("status/left_out")).mappings():
        user = users[row["id"]]
        if row["reason"] in ("missing", "queued"):
            user["to_link"] += row["media"]
            user["saved_bytes"] += row["bytes"]
        else:
            user["left_out"][row["reason"]] = {"media": row["media"], "bytes": row["bytes"]}
    return list(users.values())


def _space_query(release: str) -> str:
    template = render.environment().get_template("plan/space.sql")
    return without_comments(template.render(tables=[*_copied(immich.release(release))]))


def _copied(release: immich.Release) -> Iterator[tuple[str, str]]:
    """Table, and how its rows are joined to the sources."""
    yield "asset", ""
    for table in release:
        copied = table.with_policy(immich.Policy.SHARED, immich.Policy.PRODUCED)
        if copied and table.touched and table.name != "asset" and table.has("assetId"):
            yield table.name, f' join public.{table.name} as r on r."assetId" = wanted.source_id'
    faces = ' join public.asset_face as f on f."assetId" = wanted.source_id'
    yield "face_search", f'{faces} join public.face_search as r on r."faceId" = f.id'
