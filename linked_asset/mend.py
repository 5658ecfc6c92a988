"""Mending a damaged schema linked: what can be told from the rest is made anew, the rest is refused.

The script of a release makes what is missing and replaces every function and trigger. What it passes by is done here:
columns that were renamed or retyped, constraints and indexes of tables that exist, and what is there too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from linked_asset import errors, immich, render, shipped
from linked_asset.database import INSUFFICIENT_PRIVILEGE, sqlstate
from linked_asset.queries import run_script
from linked_asset.shipped import SCHEMA, Damage, Object
from linked_asset.talk import and_more, say

REBUILT = frozenset(
    {"installation", "linked_album", "prefix", "participant", "face", "stack_pair", "queue", "quota_credit", "incident"}
    | {"passing_stack", "produced", "replacement", "unsettled", "waiting"}
)
"""Tables whose content follows from Immich's tables and the others, or is of the moment. Which rows are clones, what
the addon made and what people decided cannot be told once it is forgotten."""

APPROVED = frozenset({"linked_album", "prefix"})
"""Where they are lost, what stands in the albums counts: nobody is to lose a clone over it."""
NEEDED_FOR_REMOVAL = ("member", "album_pair", "person_pair", "made_tag")
FROM_THE_START = (*NEEDED_FOR_REMOVAL, "album_refusal", "dismissal")
"""Other tables may be missing because an older version had none."""


def run(connection: Connection, release: str) -> None:
    """Runs the script of a release, and mends until everything is as the script would make it from nothing."""
    script = render.install_script(release)
    _refuse_lost_tables(connection, release)
    lost = shipped.remains(connection) and not _tables(connection).issuperset(APPROVED)
    _rename_back(connection, release)
    _convert_back(connection, release)
    try:
        with connection.begin_nested():
            run_script(connection, script)
    except DBAPIError as error:
        state = sqlstate(error)
        if not state.startswith("42") or state == INSUFFICIENT_PRIVILEGE or not shipped.remains(connection):
            raise
        _clear_away(connection, release, error)
        run_script(connection, script)
    rebuilt = _rebuild(connection, shipped.damages(connection, release))
    if rebuilt:
        run_script(connection, script)
    found = sorted(shipped.damages(connection, release), key=lambda one: one.object.kind != "trigger")
    emptied = [damage.object.table for damage in found if _mend(connection, damage)]
    if lost or APPROVED.intersection([*rebuilt, *emptied]):
        run_script(connection, "do $linked$ begin perform linked.take_over(); end $linked$")
    left = shipped.damages(connection, release)
    if left:
        raise errors.BeyondMending(what=and_more(left))


def prepare_removal(connection: Connection) -> None:
    """Removal needs to know which rows are clones. What else the addon made stays where it is remembered no more."""
    release = immich.RELEASES[0]
    try:
        _rename_back(connection, release)
        _convert_back(connection, release)
    except errors.NotCompared:  # then the script itself says what is missing
        return
    broken = {damage.object.table for damage in shipped.damages(connection, release) if _has_lost_content(damage)}
    if "member" in broken:
        raise errors.BeyondMending(what="linked.member does not tell any more which rows are clones")
    lost = [table for table in NEEDED_FOR_REMOVAL if table in broken]
    if lost:
        names = ", ".join(f"{SCHEMA}.{table}" for table in lost)
        say(f"{names}: lost, and with it what the addon made; that stays in its owners' accounts")
        _drop_tables(connection, lost)
        run_script(connection, render.render("state", immich.release(release)))


def _refuse_lost_tables(connection: Connection, release: str) -> None:
    """Before the script makes them anew, without what was in them."""
    if not shipped.remains(connection):
        return
    state = shipped.readable_installation(connection)
    same_build = state is not None and shipped.is_of_this_build(state)
    expected = set(shipped.tables()) - REBUILT if same_build else set(FROM_THE_START)
    lost = sorted(expected - _tables(connection) - {"alembic_version"})
    if lost:
        raise errors.BeyondMending(what=and_more([f"table {SCHEMA}.{table} is missing" for table in lost]))


def _tables(connection: Connection) -> set[str]:
    return {one.table or "" for one in shipped.installed(connection).values() if one.kind == "table"}


def _rename_back(connection: Connection, release: str) -> None:
    """A table that has all its columns, but some by another name, has been renamed in."""
    wanted, found = shipped.fresh(connection, release), shipped.installed(connection)
    for table in shipped.tables():
        old, new = _columns(found.values(), table), _columns(wanted.values(), table)
        lost = [one for one in new if ("column", one.name) not in found]
        strange = [one for one in old if ("column", one.name) not in wanted]
        if not lost or [one.definition for one in lost] != [one.definition for one in strange]:
            continue
        if len(lost) > 1 and [one.definition for one in old] != [one.definition for one in new]:
            continue
        for one, other in zip(strange, lost, strict=True):
            run_script(connection, f"alter table {SCHEMA}.{table} rename column {_last(one)} to {_last(other)}")


def _convert_back(connection: Connection, release: str) -> None:
    """A column of another type whose values are still those of the type that it should have."""
    for damage in shipped.damages(connection, release):
        if damage.found is None or not _has_lost_content(damage):
            continue
        wanted = _type(damage.object)
        change = f"alter table {SCHEMA}.{damage.object.table} alter column {_last(damage.object)}"
        try:
            with connection.begin_nested():
                run_script(connection, f"{change} drop default")
                run_script(connection, f"{change} type {wanted} using {_last(damage.object)}::{wanted}")
        except DBAPIError as error:
            if not sqlstate(error).startswith(("22", "23", "42")) or sqlstate(error) == INSUFFICIENT_PRIVILEGE:
                raise


def _columns(objects: Iterable[Object], table: str) -> list[Object]:
    """In the order in which the table has them."""
    return [one for one in objects if one.kind == "column" and one.table == table]


def _last(column: Object) -> str:
    return column.name.removeprefix(f"{SCHEMA}.{column.table}.")


def _has_lost_content(damage: Damage) -> bool:
    if damage.wanted is None or damage.object.kind not in ("table", "column"):
        return False
    if damage.found is None or damage.object.kind == "table":
        return damage.found is None
    return _type(damage.found) != _type(damage.wanted)


def _type(one: Object) -> str:
    return one.definition.partition(" default ")[0].removesuffix(" not null")


def _clear_away(connection: Connection, release: str, error: DBAPIError) -> None:
    """Away with what the script stumbled over: functions of another shape, and tables that it can fill again."""
    found = shipped.damages(connection, release)
    functions = [
        one.found
        for one in found
        if one.found and one.object.kind == "function" and "RETURNS trigger" not in one.found.definition
    ]
    for function in functions:
        run_script(connection, f"drop routine {function.name}")
    if not _rebuild(connection, found) and not functions:
        raise errors.BeyondMending(what=and_more(found)) from error


def _rebuild(connection: Connection, found: Sequence[Damage]) -> list[str]:
    """Drops tables that lost a column, for the script to make them anew. Returns which."""
    broken = sorted({one.object.table or "" for one in found if _has_lost_content(one)})
    beyond = [one for one in found if _has_lost_content(one) and one.object.table not in REBUILT]
    if beyond:
        raise errors.BeyondMending(what=and_more(beyond))
    _drop_tables(connection, broken)
    return broken


def _drop_tables(connection: Connection, tables: Iterable[str]) -> None:
    for table in tables:
        run_script(connection, f"drop table if exists {SCHEMA}.{table} cascade")


def _mend(connection: Connection, damage: Damage) -> bool:
    """One object. Returns whether its table had to be emptied for it: rows that a key forbids can be told anew, or
    else the damage stays, and is refused afterwards."""
    if damage.wanted is None:
        say(f"drops {damage.object}, which is not of this version")
    statements = list(_statements(damage))
    if _is_accepted(connection, statements) or damage.object.kind != "constraint":
        return False
    if damage.object.table not in REBUILT:
        return False
    return _is_accepted(connection, [f"truncate {SCHEMA}.{damage.object.table} cascade", *statements])


def _is_accepted(connection: Connection, statements: Iterable[str]) -> bool:
    """Runs them all, or none when rows or other objects are in the way."""
    try:
        with connection.begin_nested():
            for statement in statements:
                run_script(connection, statement)
    except DBAPIError as error:
        if not sqlstate(error).startswith(("23", "2B")):
            raise
        return False
    return True


def _statements(damage: Damage) -> Iterable[str]:
    one = damage.object
    table = f"{SCHEMA}.{one.table}"
    name, _, place = one.name.partition(" on ")
    if damage.found is not None:
        yield from {
            "function": [f"drop routine {one.name}"],
            "trigger": [f"drop trigger {name} on {place if place.startswith(f'{SCHEMA}.') else 'public.' + place}"],
            "constraint": [f"alter table {table} drop constraint {name}"],
            "index": [f"drop index {one.name}"],
            "rule": [f"drop rule {name} on {table}"],
            "table": [f"alter table {table} set logged", f"alter table {table} disable row level security"],
        }.get(one.kind, [])
    if damage.wanted is None:
        return
    if one.kind == "constraint":
        yield f"alter table {table} add constraint {name} {one.definition}"
    elif one.kind == "index":
        yield one.definition
    elif one.kind == "column":
        column, rest = f"alter table {table} alter column {_last(one)}", one.definition
        yield f"{column} {'set' if rest.endswith('not null') else 'drop'} not null"
        default = rest.partition(" default ")[2].removesuffix(" not null")
        yield f"{column} set default {default}" if default else f"{column} drop default"
