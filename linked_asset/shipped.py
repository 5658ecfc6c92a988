"""Whether the functions and triggers in a database are those of this version of the package."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, text

from linked_asset import __version__, detection, render
from linked_asset.queries import query

_FUNCTION = re.compile(
    r"create or replace (?:function|procedure) linked\.(\w+)\s*\(.*?as \$linked\$(.*?)\$linked\$", re.DOTALL
)
_TRIGGER = re.compile(r'create (?:or replace )?trigger (\w+)\s[^;]*?\son\s+public\."?(\w+)"?')


@dataclass(frozen=True)
class Objects:
    """What a script makes, as far as it can be compared with a database."""

    functions: frozenset[tuple[str, str]]
    """Name and body of each (overloads have different bodies)."""
    triggers: frozenset[tuple[str, str]]
    """Table and name of each."""


@cache
def shipped(release: str) -> Objects:
    """What the script for an Immich release makes."""
    script = render.install_script(release)
    return Objects(
        frozenset((found[1], found[2]) for found in _FUNCTION.finditer(script)),
        frozenset((found[2], found[1]) for found in _TRIGGER.finditer(script)),
    )


def installed(connection: Connection) -> Objects:
    """What the database has: all functions of schema linked, and all triggers that call them and are enabled."""
    functions = connection.execute(query("shipped/functions"))
    triggers = connection.execute(query("shipped/triggers"))
    return Objects(
        frozenset((row[0], row[1]) for row in functions),
        frozenset((row[0], row[1]) for row in triggers),
    )


def installation(connection: Connection) -> Mapping[str, object] | None:
    """The row in which an installation says what it is; None when nothing is installed."""
    if not detection.has_table(connection, "installation", "linked"):
        return None
    row = connection.execute(text("select * from linked.installation")).mappings().one_or_none()
    return None if row is None else dict(row)


def outdated(connection: Connection, release: str) -> list[str]:
    """Why the objects for a release have to be made again; empty when they are as shipped and at work."""
    state = installation(connection)
    if state is None:
        return ["nothing says what is installed"]
    wanted, found = shipped(release), installed(connection)
    missing = sorted(wanted.triggers - found.triggers)
    reasons = [f"trigger {name} on {table} is missing or disabled" for table, name in missing]
    reasons += sorted({f"function linked.{name} is not as shipped" for name, _ in wanted.functions - found.functions})
    if state["package_version"] != __version__:
        reasons.insert(0, f"it was installed by version {state['package_version']}")
    elif state["script_sha256"] != render.script_hash(release):
        reasons.insert(0, "it was installed by another build of this version")
    if state["suspended_at"]:
        reasons.append(f"sync has been suspended since {state['suspended_at']} ({state['suspended_why']})")
    return reasons
