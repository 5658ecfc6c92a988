"""Alembic operations of our own, so that a revision reads `op.install_linked("v2.3.0")`.

The script of a release is complete: it makes everything of the addon as that release needs it, whatever was there. A
climb over several revisions therefore runs only the script of the last one; `target` in the migration context names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection

from linked_asset import __version__, adoption, immich, mend, render, shipped
from linked_asset.queries import run_script

TARGET_OPTION = "linked_target"
LOCK_TIMEOUT = "3s"
SECONDS_TO_WAIT = 30
"""For Immich's tables, in all."""
SECONDS_IN_THE_WAY = 5
"""That Immich's writers wait at most while the last readers are waited for."""


@Operations.register_operation("install_linked")
class InstallLinked(MigrateOperation):
    """Makes functions, triggers and state of the addon as one Immich release needs them."""

    def __init__(self, release: str) -> None:
        self.release = release

    @classmethod
    def install_linked(cls, operations: Operations, release: str) -> Any:
        """Install the addon for this Immich release, or bring it there from any other."""
        return operations.invoke(cls(release))

    def reverse(self) -> MigrateOperation:
        return RemoveLinked()


@Operations.register_operation("remove_linked")
class RemoveLinked(MigrateOperation):
    """Removes all clones and everything of the addon but its schema, which still holds Alembic's version table."""

    @classmethod
    def remove_linked(cls, operations: Operations) -> Any:
        """Leave Immich as if the addon had never been there."""
        return operations.invoke(cls())


@Operations.implementation_for(InstallLinked)
def _install(operations: Operations, operation: InstallLinked) -> None:
    context = operations.migration_context
    target = context.opts.get(TARGET_OPTION, operation.release)
    if operation.release != target:
        return
    if context.as_sql:
        context.impl.static_output(installation_script(operation.release))
    else:
        assert context.connection is not None
        install(context.connection, operation.release)


@Operations.implementation_for(RemoveLinked)
def _remove(operations: Operations, _: RemoveLinked) -> None:
    context = operations.migration_context
    if context.as_sql:
        context.impl.static_output(removal_script())
    else:
        assert context.connection is not None
        remove(context.connection)


def install(connection: Connection, release: str) -> None:
    """Makes everything as the release needs it, and mends what the script alone would leave as it is."""
    run_script(connection, before_installing(release))
    mend.run(connection, release)
    adoption.take_over(connection, release)
    run_script(connection, after_installing(release))


def remove(connection: Connection) -> None:
    """Removes everything, whatever state it is in."""
    run_script(connection, own())
    mend.prepare_removal(connection)
    run_script(connection, removal_script())


def installation_script(release: str) -> str:
    """Everything that installing does; what the linked albums cover is queued, and linked once this is committed."""
    return "\n".join((before_installing(release), render.install_script(release).strip(), after_installing(release)))


def before_installing(release: str) -> str:
    # Creating a trigger stops writers, dropping one stops readers as well.
    mode = "access exclusive" if "drop trigger" in render.install_script(release) else "share row exclusive"
    triggers = [f"('{table}', '{name}')" for table, name in sorted(shipped.triggers(release))]
    return f"""\
set local lock_timeout = '{LOCK_TIMEOUT}';
set local client_min_messages = 'warning';
{own()}
{template("names", triggers=triggers)}
{_lock(mode, release, wait=True)}
{template("renew", functions=_quoted(sorted(shipped.functions())))}"""


def after_installing(release: str) -> str:
    return f"""\
do $linked$
begin
    -- What stands in the albums counts. Later, what was written while sync was off may have been written by an editor.
    if not exists (select from linked.installation) then
        perform linked.take_over();
    end if;
end
$linked$;
insert into linked.installation (immich_version, package_version, script_sha256)
values ('{release}', '{__version__}', '{render.script_hash(release)}')
on conflict (singleton) do update set
    immich_version = excluded.immich_version,
    package_version = excluded.package_version,
    script_sha256 = excluded.script_sha256,
    installed_at = now(),
    suspended_at = null,
    suspended_why = null;
do $linked$ begin perform linked.enqueue_all(); end $linked$;
"""


def removal_script() -> str:
    """Readers go on while clones are deleted, and stop for the moment in which the triggers are dropped."""
    return f"""\
set local lock_timeout = '{LOCK_TIMEOUT}';
set local client_min_messages = 'warning';
{own()}
{_lock("share row exclusive", wait=True)}
{template("remove", strangers=shipped.strangers_query())}
{_lock("access exclusive", wait=False)}
{render.remove_script().strip()}
"""


def own() -> str:
    """Whatever follows in the transaction is done as the role that owns Immich's tables, and so is all that is ours."""
    return template("own", tables=_quoted(shipped.tables()), functions=_quoted(sorted(shipped.functions())))


def _quoted(names: Iterable[str]) -> list[str]:
    return [f"'{name}'" for name in names]


def _lock(mode: str, release: str | None = None, *, wait: bool) -> str:
    tables: set[str] = set()
    if release:
        tables = {table.name for table in immich.release(release) if table.touched}
        # Some of our triggers are on tables that we do not touch otherwise.
        tables |= {table for table, _ in shipped.triggers(release)}
    names = [f"'{name}'" for name in sorted(tables)]
    return template("lock", mode=mode, tables=names, wait=wait, seconds=SECONDS_TO_WAIT if wait else SECONDS_IN_THE_WAY)


def template(name: str, **variables: object) -> str:
    """The file sql/operation/`name`.sql, filled in."""
    return render.environment().get_template(f"operation/{name}.sql").render(**variables).strip()
