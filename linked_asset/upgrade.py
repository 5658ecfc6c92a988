"""What happens around the revisions: guard, climb, and link what exists. `migrations/env.py` calls it."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic import context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from linked_asset import climb, detection, errors, guard, linking, operations, render, shipped
from linked_asset.queries import query
from linked_asset.talk import say

UPGRADE_LOCK = {"class": 1818848875, "key": 1}
"""The class is that of all our advisory locks; key 0 lines up writers (sql/guard.sql)."""
SECONDS_TO_WAIT_FOR_ANOTHER = 5.0
DROP_SCHEMA = "drop table linked.alembic_version;\ndrop schema linked;"

COMMANDS = {"upgrade": "upgrade", "downgrade": "downgrade", "do_stamp": "stamp"}

StepFunction = Callable[[Any, Any], Any]


@contextmanager
def in_one_line(config: Config) -> Iterator[None]:
    """On the command line an error is a line on stderr and exit code 1; a caller from Python gets the exception."""
    called_from_python = config.cmd_opts is None or getattr(config.cmd_opts, "raiseerr", False)
    try:
        yield
    except (errors.LinkedAssetError, CommandError) as error:
        if called_from_python:
            raise
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        if called_from_python:
            raise
        say("interrupted. The database is consistent; the same command goes on from here")
        sys.exit(130)


def configure(**options: Any) -> None:
    context.configure(version_table="alembic_version", version_table_schema="linked", **options)


def command() -> str:
    """What Alembic was asked for: upgrade, downgrade, stamp, or something that only shows."""
    return COMMANDS.get(_step_function().__name__, "show")


def show(connection: Connection) -> None:
    """`current`, `history --indicate-current` and the like: no change, whatever the state of the database."""
    with connection.begin():
        configure(connection=connection, dont_mutate=True)
        context.run_migrations()


def change(connection: Connection) -> None:
    """`upgrade`, `downgrade` and `stamp`: all or nothing. Then what exists is linked, in small transactions."""
    name, step_function = command(), _step_function()
    with _alone(connection):
        linking.patiently(lambda: _change_once(connection, name, step_function))
        if _is_installed(connection):
            linking.link_queued(connection)


def write_script() -> None:
    """`--sql`: a psql script that checks first, changes in one transaction, and links what exists."""
    configure(dialect_name="postgresql", literal_binds=True)
    migration, step_function, down = context.get_context(), _step_function(), command() == "downgrade"
    emit = migration.impl.static_output
    current = _only(migration.get_current_heads())
    steps = list(step_function(migration.get_current_heads(), migration))
    goal = climb.destination(steps, current)
    configure(dialect_name="postgresql", literal_binds=True, fn=lambda *_: steps, **{operations.TARGET_OPTION: goal})
    emit("\\set ON_ERROR_STOP on")
    with context.begin_transaction():
        emit(_checks(current, goal, down=down))
        if current is None:
            emit("create schema if not exists linked;")
        context.run_migrations()
        if goal is None:
            emit(DROP_SCHEMA)
    if goal is not None:
        emit("-- Links what exists, in small transactions. Interrupted, it goes on from there.")
        emit("call linked.drain();")


def _change_once(connection: Connection, name: str, step_function: StepFunction) -> None:
    with connection.begin():
        connection.exec_driver_sql(f"set local lock_timeout = '{operations.LOCK_TIMEOUT}'")
        guard.refuse_foreign_schema(connection)
        configure(connection=connection)
        heads = context.get_context().get_current_heads()
        current = _only(heads)
        if name != "upgrade" and current is None:
            say("linked assets are not installed, there is nothing to do")
            return
        if name == "upgrade":
            guard.refuse_other_databases(connection)
        steps = list(step_function(heads, context.get_context()))
        plan = _plan(connection, name, current, steps)
        if plan.target and (plan.steps or plan.again):
            guard.refuse_missing_rights(connection, plan.target)
        for remark in plan.remarks:
            say(remark)
        _carry_out(connection, current, plan)


def _plan(connection: Connection, name: str, current: str | None, steps: Sequence[Any]) -> climb.Plan:
    if name == "upgrade":
        if context.get_context().opts.get("destination_rev") in ("head", "heads"):
            known = [revision.revision for revision in context.script.walk_revisions()]
            return climb.as_far_as_it_fits(connection, current, steps, known)
        return climb.up_to(connection, current, steps)
    assert current is not None
    if name == "stamp":
        return climb.Plan(steps, climb.destination(steps, current) or current, [])
    return climb.down_to(connection, current, steps)


def _carry_out(connection: Connection, current: str | None, plan: climb.Plan) -> None:
    if current is None:
        connection.execute(text("create schema if not exists linked"))
    configure(connection=connection, fn=lambda *_: plan.steps, **{operations.TARGET_OPTION: plan.target})
    context.run_migrations()
    if plan.target is None:
        operations.run_script(connection, DROP_SCHEMA)
        say("removed: no clone, no trigger and nothing else of linked assets is left")
    elif plan.again:
        operations.run_script(connection, operations.installation_script(plan.target))
    if current is None:
        _say_what_is_taken_over(connection)


def _say_what_is_taken_over(connection: Connection) -> None:
    albums = connection.execute(query("guard/taken_over")).all()
    for album in albums:
        prefixes = ", ".join(album.prefixes) or "no prefix, only what is in the album"
        others = ", ".join(album.others) or "nobody yet"
        say(f'takes over the linked album "{album.name}" of {album.owner}: {prefixes}; shared with {others}')
    if not albums:
        say('there is no linked album yet: an album whose name starts with "linked album" becomes one')


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """One upgrade or downgrade at a time. The lock goes with the connection, however this process ends."""

    def ask(function: str) -> bool:
        with connection.begin():
            return bool(connection.execute(text(f"select {function}(:class, :key)"), UPGRADE_LOCK).scalar())

    give_up = time.monotonic() + SECONDS_TO_WAIT_FOR_ANOTHER
    while not ask("pg_try_advisory_lock"):
        if time.monotonic() > give_up:
            raise errors.AnotherUpgrade()
        time.sleep(0.2)
    try:
        yield
    finally:
        if not connection.invalidated:
            ask("pg_advisory_unlock")


def _is_installed(connection: Connection) -> bool:
    with connection.begin():
        return shipped.installation(connection) is not None


def _step_function() -> StepFunction:
    step_function: StepFunction = context.get_context().opts["fn"]
    return step_function


def _only(heads: Sequence[str]) -> str | None:
    return heads[0] if heads else None


def _checks(installed: str | None, goal: str | None, *, down: bool) -> str:
    template = render.environment().get_template("guard/fits.sql")
    differences = detection.differences_query(goal) if goal else None
    tolerated = guard.UNKNOWN if down else ""
    return template.render(installed=installed, target=goal, differences=differences, tolerated=tolerated).strip()
