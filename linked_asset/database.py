"""Connecting to Immich's database, and errors of PostgreSQL in our words."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from linked_asset import errors
from linked_asset.config import target
from linked_asset.queries import query, source

LOCK_NOT_AVAILABLE = frozenset({"55P03", "40P01", "40001"})  # lock timeout, deadlock, serialization failure
INSUFFICIENT_PRIVILEGE = "42501"
READ_ONLY = "25006"
DEBUG = "LINKED_ASSET_DEBUG"
"""The environment variable that asks for tracebacks."""
SETTINGS = {
    "search_path": "pg_catalog, public, vectors, pg_temp",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "session_replication_role": "origin",
}
"""What our statements need, whatever the role, the database or the server has set."""
SET = """
    select set_config(needed.name, wanted, true)
    from unnest(%(names)s::text[], %(values)s::text[]) as needed (name, wanted)
    join pg_catalog.pg_settings on lower(pg_settings.name) = needed.name
    where setting <> wanted
"""
SERVER_GAVE_UP = ("08", "53", "57P")  # connection lost, out of resources, shut down


def engine_for(url: URL) -> Engine:
    """One connection at a time. Nothing is prepared, and what we set ends with each transaction, for poolers' sake."""
    engine = create_engine(
        url, poolclass=NullPool, isolation_level="READ COMMITTED", connect_args={"prepare_threshold": None}
    )
    event.listen(engine, "connect", _stay_connected)
    event.listen(engine, "begin", _set_what_we_need)
    return engine


def _stay_connected(raw: Any, _: Any) -> None:
    """What matters between transactions, or before the first statement of one."""
    raw.execute("set idle_session_timeout = 0")
    raw.commit()


def _set_what_we_need(connection: Connection) -> None:
    parameters = {"names": list(SETTINGS), "values": list(SETTINGS.values())}
    connection.exec_driver_sql(SET, parameters).close()


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection; what is wrong with it, and what PostgreSQL says within, becomes one clear line."""
    try:
        connection = engine.connect()
    except DBAPIError as error:
        if debugging():
            raise
        _refused(engine.url, error)
    with connection:
        event.listen(connection, "begin", _act_as_owner)
        try:
            yield connection
        except DBAPIError as error:
            explain(connection, error)


def _act_as_owner(connection: Connection) -> None:
    connection.exec_driver_sql(source("guard/act_as_owner"))


def sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def message(error: DBAPIError) -> str:
    """PostgreSQL's own words in one line, without the statement that SQLAlchemy adds."""
    diagnostic = getattr(error.orig, "diag", None)
    text = getattr(diagnostic, "message_primary", None) or str(error.orig)
    return " ".join(text.split()).rstrip(".")


def debugging() -> bool:
    return bool(os.environ.get(DEBUG))


def explain(connection: Connection, error: DBAPIError) -> NoReturn:
    """Raises it in our words; as it is, with its traceback, for those who ask for that."""
    state = sqlstate(error)
    if debugging():
        raise error
    if state == INSUFFICIENT_PRIVILEGE:
        raise errors.RightMissing(role=connection.engine.url.username, right=_right(connection, error)) from error
    if state == READ_ONLY:
        raise errors.ReadOnly(target=target(connection.engine.url), reason=message(error)) from error
    if state.startswith(SERVER_GAVE_UP) or (isinstance(error, OperationalError) and not state):
        raise errors.DatabaseRefused(reason=message(error)) from error
    raise errors.UnexpectedError(reason=message(error), sqlstate=state) from error


def _right(connection: Connection, error: DBAPIError) -> str:
    """Who may act as the owner of Immich's tables has all rights that it takes; PostgreSQL names a table among many."""
    connection.rollback()
    owner = connection.execute(query("guard/owner")).first()
    connection.rollback()
    if owner is None or owner.lacking is None:
        return message(error)
    return f"{owner.lacking} ({message(error)})"


def _refused(url: URL, error: DBAPIError) -> NoReturn:
    # psycopg has no SQLSTATE for a connection that never was; with several addresses the last line is the best one.
    said = [line.strip() for line in str(error.orig).splitlines() if re.search(r"failed: |FATAL: ", line)]
    reason = re.sub(r"^.*(?:failed|FATAL): +", "", said[-1] if said else message(error))
    kind: type[errors.LinkedAssetError]
    if re.search(r'database ".*" does not exist', reason):
        kind = errors.DatabaseMissing
    elif re.search(r"authentication|password|pg_hba\.conf|role .* (?:does not exist|is not permitted)", reason):
        kind = errors.LoginRefused
    else:
        kind = errors.DatabaseUnreachable
    raise kind(target=target(url), reason=reason) from error
