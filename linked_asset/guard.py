"""What keeps us from changing a database, checked before anything is changed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from linked_asset import detection, errors, immich, shipped
from linked_asset.config import target
from linked_asset.queries import query
from linked_asset.talk import and_more

UNKNOWN = "unknown_column"


def refuse_foreign_schema(connection: Connection) -> None:
    """A schema `linked` with anything in it, but nothing of ours, belongs to somebody else."""
    shipped.refuse_renamed(connection)
    if shipped.present(connection) or not connection.execute(query("guard/schema_objects")).scalar():
        return
    triggers = connection.execute(query("guard/foreign_triggers")).scalars()
    remedy = "; ".join([*(f"drop trigger {trigger}" for trigger in triggers), "drop schema linked cascade"])
    raise errors.ForeignSchema(remedy=remedy)


def refuse_newer(versions: Sequence[str], known: Sequence[str]) -> None:
    """A revision that this version of the package does not have. What is no version at all is damage instead."""
    for version in versions:
        if version not in known and shipped.is_version(version) and detection.is_newer(version, immich.RELEASES[0]):
            raise errors.InstalledByNewer(release=version)


def refuse_other_databases(connection: Connection) -> None:
    """Only Immich's database will do, of a release that we know the beginnings of."""
    missing = detection.missing_table(connection)
    if missing:
        raise errors.NotImmich(target=target(connection.engine.url), missing=missing)
    if detection.is_too_old(connection):
        running = detection.running_version(connection)
        raise errors.ImmichTooOld(oldest=immich.RELEASES[0], running=f" ({running})" if running else "")


def refuse_other_isolation(connection: Connection) -> None:
    """Above read committed, Immich's own statements fail where sync has written a row meanwhile."""
    for setting in settings(connection):
        if setting.name == "default_transaction_isolation":
            raise errors.OtherIsolation(what=setting.what, level=setting.value, remedy=setting.remedy)


def settings(connection: Connection) -> Sequence[Row[Any]]:
    """What is set on the server, for the database or a role, and keeps sync from working."""
    return connection.execute(query("guard/settings")).all()


def refuse_unfit(connection: Connection, release: str, *, grown: bool = False) -> None:
    """The tables have to be those of the release; `grown`: with columns of later ones, which are not kept in sync."""
    unfit = [found for found in detection.differences(connection, release) if not (grown and found.kind == UNKNOWN)]
    if unfit:
        raise unfit_for(connection, release, unfit)


def unfit_for(connection: Connection, release: str, unfit: Sequence[detection.Difference]) -> errors.TablesDoNotFit:
    running = detection.running_version(connection)
    return errors.TablesDoNotFit(
        release=release,
        running=f" (Immich says it is {running})" if running else "",
        differences="; ".join(str(difference) for difference in unfit),
    )


def refuse_other_roles(connection: Connection) -> None:
    """Whoever changes anything does it as the owner of Immich's tables."""
    owner = connection.execute(query("guard/owner")).first()
    if owner is not None and owner.lacking is not None:
        raise errors.RightMissing(role=_session_user(connection), right=owner.lacking)


def refuse_missing_rights(connection: Connection, release: str) -> None:
    """Says what a role lacks before PostgreSQL does, table by table."""
    tables = [table.name for table in immich.release(release) if table.touched]
    parameters = {"tables": tables, "functions": list(shipped.functions())}
    lacking = connection.execute(query("guard/missing_rights"), parameters).scalars().all()
    if lacking:
        raise errors.RightMissing(role=_session_user(connection), right=and_more(lacking))


def _session_user(connection: Connection) -> str:
    return str(connection.exec_driver_sql("select session_user").scalar())
