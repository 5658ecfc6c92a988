"""Whether what a database has of ours is what this version of the package makes.

What it should be is not read out of our own text: the script of the release is run beside the installation, in schemas
that are rolled back at once, and both are compared in the words of PostgreSQL's catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from linked_asset import __version__, detection, errors, immich, render
from linked_asset.database import INSUFFICIENT_PRIVILEGE, READ_ONLY, message, sqlstate
from linked_asset.queries import query, run_script, without_comments
from linked_asset.talk import and_more

SCHEMA = "linked"
BESIDE = "linked_beside"
"""Where the script is run for comparison; its name with `_immich` is the schema that stands for Immich's."""

_TRIGGER = re.compile(r'create (?:or replace )?trigger (\w+)\s[^;]*?\son\s+public\."?(\w+)"?')
_FUNCTION = re.compile(r"create or replace (?:function|procedure) linked\.(\w+)")
_TABLE = re.compile(r"create table if not exists linked\.(\w+)")

ENDS = (immich.RELEASES[0], immich.RELEASES[-1])
"""Between them their scripts have all names of ours."""
FORMER = frozenset(
    {"finish_deletions", "follow_unshared_albums", "newest", "propagate_albums", "propagate_persons", "refresh_queued"}
    | {"hide_from_viewers", "is_off", "line_up", "remove_clones", "repair", "repair_state", "take_stock", "work_queue"}
)
"""Functions that earlier versions had: add to it what is dropped or renamed, or it counts as somebody else's."""

TABLE_PARTS = frozenset({"table", "column", "constraint", "index", "rule"})


@dataclass(frozen=True)
class Object:
    """One object of a schema, as the catalog has it."""

    kind: str
    name: str
    table: str | None
    owner: str | None
    definition: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


Objects = Mapping[tuple[str, str], Object]
"""By kind and name."""


@dataclass(frozen=True)
class Damage:
    """One way in which an installation is not as shipped."""

    wanted: Object | None
    found: Object | None

    @property
    def object(self) -> Object:
        one = self.wanted or self.found
        assert one is not None
        return one

    @property
    def is_harmless(self) -> bool:
        return self.wanted is not None and self.found is not None and self.wanted.definition == self.found.definition

    @property
    def breaks_queries(self) -> bool:
        return self.object.kind in TABLE_PARTS or (self.object.kind == "function" and self.found is None)

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.object} is missing"
        if self.wanted is None:
            return f"{self.object} is not ours"
        if self.found.definition.removeprefix(self.wanted.definition) == " disabled":
            return f"{self.object} is disabled"
        return f"{self.object} is not as shipped"


@cache
def triggers(release: str) -> frozenset[tuple[str, str]]:
    """Table and name of each of our triggers on Immich's tables."""
    return frozenset((found[2], found[1]) for found in _TRIGGER.finditer(render.install_script(release)))


@cache
def tables() -> tuple[str, ...]:
    """The tables of schema linked, Alembic's among them. They are those of every release."""
    return (*sorted(_TABLE.findall(render.install_script(immich.RELEASES[0]))), "alembic_version")


@cache
def functions() -> frozenset[str]:
    """The names of our functions, whatever the release. What has another name in schema linked is not ours."""
    return FORMER.union(*(_FUNCTION.findall(render.install_script(release)) for release in ENDS))


@cache
def _by_name(query: str) -> str:
    """A query that knows ours by name, without parameters, so that a psql script can hold it."""

    def names(found: Iterable[str]) -> str:
        return ", ".join(f"'{name}'" for name in sorted(set(found)))

    template = render.environment().get_template(f"guard/{query}.sql")
    return without_comments(
        template.render(
            tables=names(tables()),
            functions=names(functions()),
            triggers=names(name for release in ENDS for _, name in triggers(release)),
        )
    )


def present_query() -> str:
    """What there is of ours."""
    return _by_name("ours")


def renamed_query() -> str:
    """Under which name schema linked is found, if somebody has renamed it."""
    return _by_name("renamed")


def strangers_query() -> str:
    """What is in the way of a removal."""
    return _by_name("strangers")


def refuse_renamed(connection: Connection) -> None:
    """Nothing works then, Immich's triggers have lost what they look for, and it looks as if nothing was installed."""
    name = run_script(connection, renamed_query()).scalar()
    if name is None:
        return
    quoted = connection.dialect.identifier_preparer.quote(name)
    is_taken = connection.execute(text("select to_regnamespace('linked') is not null")).scalar_one()
    remedy = f"{'drop schema linked; ' if is_taken else ''}alter schema {quoted} rename to linked"
    raise errors.Renamed(name=name, remedy=remedy)


def present(connection: Connection) -> list[str]:
    """What there is of ours, however little. Empty: nothing, or somebody else's schema."""
    return list(run_script(connection, present_query()).scalars())


def remains(connection: Connection) -> bool:
    """Whether there is more than Alembic's version table, which is written before anything is made."""
    return any(one != "table linked.alembic_version" for one in present(connection))


def is_there(connection: Connection) -> bool:
    """Whether something was installed, whatever is left of it."""
    return remains(connection) or bool(versions(connection))


def versions(connection: Connection) -> list[str]:
    """What Alembic's version table holds: one revision, if all is well."""
    if not detection.has_table(connection, "alembic_version", SCHEMA):
        return []
    rows = connection.execute(text("select * from linked.alembic_version")).mappings().all()
    return [str(row["version_num"]) for row in rows if "version_num" in row]


def installation(connection: Connection) -> Mapping[str, Any] | None:
    """The row in which an installation says what it is; None when nothing of ours is there."""
    refuse_renamed(connection)
    state = readable_installation(connection)
    if state is None and is_there(connection):
        raise errors.Damaged(what="nothing says any more what is installed")
    return state


def is_version(text: str) -> bool:
    """Whether it can be a revision, of this version of the package or of a newer one."""
    return re.fullmatch(r"v\d+\.\d+\.\d+", text) is not None and not detection.is_newer(immich.RELEASES[0], text)


def readable_installation(connection: Connection) -> Mapping[str, Any] | None:
    """The same; None also when there is no such row, not the columns that it should have, or no version in it."""
    if not detection.has_table(connection, "installation", SCHEMA):
        return None
    row = connection.execute(text("select * from linked.installation")).mappings().first()
    known = {"immich_version", "package_version", "script_sha256", "installed_at", "suspended_at", "suspended_why"}
    readable = row is not None and known <= row.keys() and is_version(str(row["immich_version"]))
    return dict(row) if row is not None and readable else None


def is_of_this_build(state: Mapping[str, Any]) -> bool:
    """Whether it was installed by this package, and not by an older or a newer one."""
    release = state["immich_version"]
    return release in immich.RELEASES and state["script_sha256"] == render.script_hash(release)


def refuse_damaged(connection: Connection) -> None:
    """One line instead of PostgreSQL's complaint about a table or column that is not there."""
    state = installation(connection)
    if state is None:
        return
    if state["immich_version"] not in immich.RELEASES:
        raise errors.InstalledByNewer(release=state["immich_version"])
    if versions(connection) != [state["immich_version"]]:
        raise errors.Damaged(what="Alembic's version table does not say what is installed")
    try:
        found = damages(connection, state["immich_version"])
    except errors.NotCompared:
        return
    broken = [str(one) for one in found if one.wanted and one.breaks_queries]
    if not broken:
        return
    if not is_of_this_build(state):
        raise errors.Outdated(version=state["package_version"])
    raise errors.Damaged(what=and_more(broken))


def refuse_to_work(connection: Connection) -> None:
    """Also where what is installed would write with other rights than Immich has."""
    refuse_damaged(connection)
    strange = misowned(connection)
    if strange:
        raise errors.Damaged(
            what=and_more([f"{one} belongs to {one.owner} and not to {owner}" for one, owner in strange], 1)
        )


def damages(connection: Connection, release: str) -> list[Damage]:
    """How what is installed differs from what the script of a release makes."""
    wanted, found = fresh(connection, release), installed(connection)
    ours = [Damage(one, found.get(key)) for key, one in wanted.items()]
    strange = [Damage(None, one) for key, one in found.items() if key not in wanted and _acts(one, wanted)]
    return [damage for damage in ours if not damage.is_harmless] + strange


def _acts(stranger: Object, wanted: Objects) -> bool:
    """Whether an object that we do not know changes what ours do: a column that must be filled stops inserts."""
    if stranger.kind == "trigger":
        return True
    if stranger.kind == "function":
        return _is_ours(stranger)
    if ("table", f"{SCHEMA}.{stranger.table}") not in wanted:
        return False
    if stranger.kind == "column":
        return stranger.definition.endswith("not null") and not re.search(r" default | identity ", stranger.definition)
    return stranger.kind != "index" or " UNIQUE " in stranger.definition


def _is_ours(one: Object) -> bool:
    """By name: another shape of one of our functions has no business there."""
    if one.kind == "function":
        return one.name.removeprefix(f"{SCHEMA}.").partition("(")[0] in functions()
    return one.kind == "table" and one.table in tables()


def fresh(connection: Connection, release: str) -> Objects:
    """What the script of a release makes on this server."""
    key = f"objects of {release}"
    if key not in connection.info:
        savepoint = connection.begin_nested()
        try:
            run_script(connection, _script_beside(release))
            connection.info[key] = _objects(connection, BESIDE)
        except DBAPIError as error:
            if sqlstate(error) not in (INSUFFICIENT_PRIVILEGE, READ_ONLY):
                raise
            raise errors.NotCompared(reason=message(error)) from error
        finally:
            savepoint.rollback()
    objects: Objects = connection.info[key]
    return objects


def installed(connection: Connection) -> Objects:
    """What the database has in schema linked, and all triggers that call functions there."""
    return _objects(connection, SCHEMA)


def _script_beside(release: str) -> str:
    script = render.install_script(release)
    tables = sorted({table for table, _ in triggers(release)})
    for pattern, there in (
        (r"\blinked\.", f"{BESIDE}."),
        (r"\bschema linked\b", f"schema {BESIDE}"),
        (r"\bpublic\.", f"{BESIDE}_immich."),
    ):
        script = re.sub(pattern, there, script)
    stand_ins = "\n".join(f'create table {BESIDE}_immich."{table}" ();' for table in tables)
    return f"""\
select set_config('role', 'none', true) where has_database_privilege(session_user, current_database(), 'CREATE');
select set_config('check_function_bodies', 'off', true),
    set_config('client_min_messages', 'warning', true);
create schema {BESIDE};
create schema {BESIDE}_immich;
{stand_ins}
{script}
"""


def _objects(connection: Connection, schema: str) -> Objects:
    savepoint = connection.begin_nested()
    run_script(connection, "set local search_path = pg_catalog; set local quote_all_identifiers = off")
    rows = connection.execute(query("shipped/objects"), {"schema": schema}).all()
    savepoint.rollback()
    objects = [
        Object(row.kind, _at_home(row.name), row.table_name, row.owner, _at_home(row.definition)) for row in rows
    ]
    return {(one.kind, one.name): one for one in objects}


def _at_home(definition: str) -> str:
    return definition.replace(f"{BESIDE}_immich.", "public.").replace(f"{BESIDE}.", f"{SCHEMA}.")


def most_like(connection: Connection, releases: Iterable[str]) -> str:
    """The release whose script made most of what is installed."""
    found = installed(connection)

    def in_common(release: str) -> int:
        return sum(
            key in found and found[key].definition == one.definition for key, one in fresh(connection, release).items()
        )

    return max(releases, key=in_common)


def outdated(connection: Connection, release: str) -> list[str]:
    """Why the objects for a release have to be made again; empty when they are as shipped and at work."""
    state = readable_installation(connection)
    if state is None:
        return ["nothing says what is installed", *map(str, damages(connection, release))]
    reasons = [str(damage) for damage in damages(connection, release)]
    reasons += [f"{one} belongs to {one.owner} and not to {owner}" for one, owner in misowned(connection)]
    if state["package_version"] != __version__:
        reasons.insert(0, f"it was installed by version {state['package_version']}")
    elif state["script_sha256"] != render.script_hash(release):
        reasons.insert(0, "it was installed by another build of this version")
    if state["suspended_at"]:
        reasons.append(f"sync has been suspended since {state['suspended_at']} ({state['suspended_why']})")
    return reasons


def misowned(connection: Connection) -> list[tuple[Object, str]]:
    """What does not belong to the role that owns Immich's tables, and so runs with other rights than Immich has."""
    owner = connection.execute(query("guard/owner")).scalar()
    if owner is None:
        return []
    return [(one, owner) for one in installed(connection).values() if _is_ours(one) and one.owner not in (None, owner)]
