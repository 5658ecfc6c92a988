"""What happens around the revisions: guard, climb, and link what exists. `migrations/env.py` calls it."""

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NoReturn

from alembic import context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from linked_asset import adoption, climb, detection, errors, guard, linking, operations, render, shipped
from linked_asset.database import (
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    READ_ONLY,
    SERVER_GAVE_UP,
    SETTINGS,
    message,
    sqlstate,
)
from linked_asset.queries import query, run_script, source, without_comments
from linked_asset.talk import INTERRUPTED, say

UPGRADE_LOCK = {"class": 1818848875, "key": 1}
"""The class is that of all our advisory locks; keys 0 and 2 line up writers (sql/guard.sql)."""
SECONDS_TO_WAIT_FOR_ANOTHER = 5.0
OUR_REFUSAL, OUR_WARNING = "LA001", "LA002"
"""SQLSTATEs of what our scripts say."""
SCRIPT_SETTINGS = {
    **SETTINGS,
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "idle_session_timeout": "0",
}
"""What a script needs of its session, whatever the role, the database or the server has set."""
DROP_SCHEMA = "drop table linked.alembic_version;\ndrop schema linked;"

ADOPT = "adopt"
"""The attribute of Alembic's configuration that asks to take over what the immich-linked-assets scripts have linked."""
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
        say(INTERRUPTED)
        sys.exit(130)


def configure(**options: Any) -> None:
    context.configure(version_table="alembic_version", version_table_schema="linked", **options)


def command() -> str:
    """What Alembic was asked for: upgrade, downgrade, stamp, or something that only shows."""
    return COMMANDS.get(_step_function().__name__, "show")


def show(connection: Connection) -> None:
    """`current`, `history --indicate-current` and the like: no change, whatever the state of the database."""
    with connection.begin():
        versions, known = shipped.versions(connection), _known_releases()
        guard.refuse_newer(versions, known)
        if shipped.installation(connection) and not versions:
            raise errors.Damaged(what="Alembic's version table is gone")
        if not set(versions) <= set(known):
            raise errors.Damaged(what=f"Alembic's version table says {', '.join(versions)}")
        configure(connection=connection, dont_mutate=True)
        context.run_migrations()


def change(connection: Connection) -> None:
    """`upgrade`, `downgrade` and `stamp`: all or nothing. Then what exists is linked, in small transactions."""
    name, step_function = command(), _step_function()
    tell = cache(say)  # once, however often it is tried
    with _telling_who_is_waited_for(connection):
        _unless_busy(connection, lambda: _change_once(connection, name, step_function, tell))
        if _is_installed(connection):
            linking.link_queued(connection)
            _refuse_suspended(connection, name)
            _resolve_incidents(connection)


def write_script() -> None:
    """`--sql`: a psql script that checks first, changes in one transaction, and links what exists."""
    configure(dialect_name="postgresql", literal_binds=True)
    if command() == "stamp":
        raise errors.Refused(reason="a stamp only says what is installed, which a script cannot know")
    migration, step_function, down = context.get_context(), _step_function(), command() == "downgrade"
    emit = migration.impl.static_output
    current = _only(migration.get_current_heads())
    steps = list(step_function(migration.get_current_heads(), migration))
    goal = climb.destination(steps, current)
    configure(dialect_name="postgresql", literal_binds=True, fn=lambda *_: steps, **{operations.TARGET_OPTION: goal})
    emit("\\set ON_ERROR_STOP on")
    emit("\\set AUTOCOMMIT on")
    emit(operations.template("settings", settings=SCRIPT_SETTINGS))
    with context.begin_transaction():
        emit(_checks(current, goal, down=down))
        emit(operations.own())
        context.run_migrations()
        if goal is None:
            emit(DROP_SCHEMA)
    if goal is not None:
        emit("-- Links what exists, in small transactions. Interrupted, it goes on from there.")
        emit(operations.template("act_as_owner"))
        emit("call linked.drain();")


def _unless_busy(connection: Connection, work: Callable[[], None]) -> None:
    """Does the work of one transaction, again when Immich holds the locks, for half a minute in all."""
    give_up = time.monotonic() + operations.SECONDS_TO_WAIT
    while True:
        try:
            with connection.begin():
                left = max(give_up - time.monotonic(), 1)
                connection.execute(text("select set_config('linked.patience', :left, true)"), {"left": f"{left:.1f}"})
                connection.exec_driver_sql(f"set local lock_timeout = '{operations.LOCK_TIMEOUT}'")
                work()
                return
        except DBAPIError as error:
            if sqlstate(error) not in LOCK_NOT_AVAILABLE:
                _explain(error)
            if time.monotonic() > give_up - 1:
                raise errors.TablesLocked(seconds=operations.SECONDS_TO_WAIT, reason=message(error)) from error
        time.sleep(random.uniform(0.2, 1))


def _explain(error: DBAPIError) -> NoReturn:
    """Refusals of our scripts, and what others' triggers say when rows are removed, in one line: all is rolled back."""
    state = sqlstate(error)
    if not state or state in (INSUFFICIENT_PRIVILEGE, READ_ONLY) or state.startswith(SERVER_GAVE_UP):
        raise error
    where = getattr(getattr(error.orig, "diag", None), "context", None)
    place = f" ({where.splitlines()[0]})" if where and state != OUR_REFUSAL else ""
    raise errors.Refused(reason=message(error) + place) from error


@contextmanager
def _telling_who_is_waited_for(connection: Connection) -> Iterator[None]:
    raw = connection.connection.driver_connection
    assert raw is not None

    def tell(diagnostic: Any) -> None:
        if diagnostic.severity_nonlocalized == "WARNING" and diagnostic.sqlstate == OUR_WARNING:
            say(str(diagnostic.message_primary))

    raw.add_notice_handler(tell)
    try:
        yield
    finally:
        raw.remove_notice_handler(tell)


def _change_once(connection: Connection, name: str, step_function: StepFunction, tell: Callable[[str], None]) -> None:
    _wait_for_others(connection)
    if context.config.attributes.get(ADOPT):
        adoption.set_aside(connection, _known_releases())
    guard.refuse_foreign_schema(connection)
    is_there = shipped.is_there(connection)
    if is_there or name == "upgrade":
        guard.refuse_other_roles(connection)
    configure(connection=connection)
    if is_there:
        _restore_version(connection)
    heads = context.get_context().get_current_heads()
    current = _only(heads)
    if name != "upgrade" and current is None:
        say("linked assets are not installed, there is nothing to do")
        return
    if name == "upgrade":
        guard.refuse_other_databases(connection)
        guard.refuse_other_isolation(connection)
    steps = list(step_function(heads, context.get_context()))
    plan = _plan(connection, name, current, steps)
    if plan.target and (plan.steps or plan.again):
        guard.refuse_missing_rights(connection, plan.target)
    for remark in plan.remarks:
        tell(remark)
    _carry_out(connection, current, plan)


def _restore_version(connection: Connection) -> None:
    """Alembic's version table follows from the row of the installation, and that from what its functions are."""
    known = _known_releases()
    versions = shipped.versions(connection)
    guard.refuse_newer(versions, known)
    if not shipped.remains(connection):
        raise errors.BeyondMending(what="nothing is left but Alembic's version table")
    state = shipped.readable_installation(connection)
    release = str(state["immich_version"]) if state else ""
    guard.refuse_newer([release], known)
    if release not in known:
        release = shipped.most_like(connection, known)
    if versions != [release]:
        run_script(connection, f"{operations.own()}\ndrop table if exists linked.alembic_version")
        context.get_context().stamp(context.script, release)
        say(f"Alembic's version table was lost or wrong; what is installed is for Immich {release}")


def _known_releases() -> list[str]:
    return [revision.revision for revision in context.script.walk_revisions()]


def _plan(connection: Connection, name: str, current: str | None, steps: Sequence[Any]) -> climb.Plan:
    if name == "upgrade":
        if context.get_context().opts.get("destination_rev") in ("head", "heads"):
            return climb.as_far_as_it_fits(connection, current, steps, _known_releases())
        return climb.up_to(connection, current, steps)
    assert current is not None
    if name == "stamp":
        if steps:
            raise errors.Stamped(installed=current)
        return climb.Plan((), current, [])
    return climb.down_to(connection, current, steps)


def _carry_out(connection: Connection, current: str | None, plan: climb.Plan) -> None:
    if current is None:
        run_script(connection, operations.own())
    configure(connection=connection, fn=lambda *_: plan.steps, **{operations.TARGET_OPTION: plan.target})
    context.run_migrations()
    adoption.forget(connection)
    if plan.target is None:
        run_script(connection, DROP_SCHEMA)
        say("removed: no clone, no trigger and nothing else of linked assets is left")
    elif plan.again:
        operations.install(connection, plan.target)
    if current is None:
        _say_what_is_taken_over(connection)


def _say_what_is_taken_over(connection: Connection) -> None:
    albums = connection.execute(query("guard/taken_over")).all()
    for album in albums:
        prefixes = ", ".join(album.prefixes) or "no prefix, only what is in the album"
        others = ", ".join(album.others) or "nobody yet"
        policy = "; deletes: own" if album.deletes_own else ""
        say(f'takes over the linked album "{album.name}" of {album.owner}: {prefixes}; shared with {others}{policy}')
    if not albums:
        say('there is no linked album yet: an album whose name starts with "linked album" becomes one')


def _wait_for_others(connection: Connection) -> None:
    """One change at a time. The lock is the transaction's: behind a pooler a session's would outlive this process."""
    give_up = time.monotonic() + SECONDS_TO_WAIT_FOR_ANOTHER
    while not connection.execute(text("select pg_try_advisory_xact_lock(:class, :key)"), UPGRADE_LOCK).scalar():
        if time.monotonic() > give_up:
            raise errors.AnotherUpgrade()
        time.sleep(0.2)


def _refuse_suspended(connection: Connection, name: str) -> None:
    """Linking may have found out that Immich's tables have changed meanwhile."""
    with connection.begin():
        state = shipped.installation(connection)
    if name == "upgrade" and state and state["suspended_at"]:
        raise errors.SuspendedAgain(why=state["suspended_why"])


def _resolve_incidents(connection: Connection) -> None:
    """Whatever is installed queues all that is linked to be repaired: what had happened before is made good."""
    with connection.begin():
        connection.execute(query("operation/resolve"))


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
    tolerated = [detection.NEW, *[guard.UNKNOWN] * down]
    return template.render(
        installed=installed,
        target=goal,
        differences=differences,
        tolerated=tolerated,
        ours=shipped.present_query(),
        renamed=shipped.renamed_query(),
        settings=None if down or goal is None else without_comments(source("guard/settings")),
    ).strip()
