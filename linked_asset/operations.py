"""Alembic operations of our own, so that a revision reads `op.install_linked("v2.3.0")`.

The script of a release is complete: it makes everything of the addon as that release needs it, whatever was there. A
climb over several revisions therefore runs only the script of the last one; `target` in the migration context names it.
"""

from __future__ import annotations

from typing import Any

import jinja2
from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection

from linked_asset import __version__, immich, render, shipped

TARGET_OPTION = "linked_target"
LOCK_TIMEOUT = "3s"


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
    target = operations.migration_context.opts.get(TARGET_OPTION, operation.release)
    if operation.release == target:
        _run(operations, installation_script(operation.release))


@Operations.implementation_for(RemoveLinked)
def _remove(operations: Operations, _: RemoveLinked) -> None:
    _run(operations, removal_script())


def installation_script(release: str) -> str:
    """Everything that installing does; what the linked albums cover is queued, and linked once this is committed."""
    script = render.install_script(release).strip()
    # Creating a trigger stops writers, dropping one stops readers as well.
    mode = "access exclusive" if "drop trigger" in script else "share row exclusive"
    return f"""\
set local lock_timeout = '{LOCK_TIMEOUT}';
set local client_min_messages = 'warning';
{_lock(mode, release, wait=True)}
{script}
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
{_lock("share row exclusive", wait=True)}
{template("remove").render().strip()}
{_lock("access exclusive", wait=False)}
{render.remove_script().strip()}
"""


def _lock(mode: str, release: str | None = None, *, wait: bool) -> str:
    tables: set[str] = set()
    if release:
        tables = {table.name for table in immich.release(release) if table.touched}
        # Some of our triggers are on tables that we do not touch otherwise.
        tables |= {table for table, _ in shipped.shipped(release).triggers}
    return template("lock").render(mode=mode, tables=[f"'{name}'" for name in sorted(tables)], wait=wait).strip()


def template(name: str) -> jinja2.Template:
    return render.environment().get_template(f"operation/{name}.sql")


def run_script(connection: Connection, script: str) -> None:
    """Several statements at once, taken as they are: no parameters, percent signs and colons mean themselves."""
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def _run(operations: Operations, script: str) -> None:
    context = operations.migration_context
    if context.as_sql:
        context.impl.static_output(script)
    else:
        assert context.connection is not None
        run_script(context.connection, script)
