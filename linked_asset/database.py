"""Connecting to Immich's database, and errors of PostgreSQL in our words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from linked_asset import errors
from linked_asset.config import target
from linked_asset.queries import source

LOCK_NOT_AVAILABLE = frozenset({"55P03", "40P01", "40001"})  # lock timeout, deadlock, serialization failure
INSUFFICIENT_PRIVILEGE = "42501"
READ_ONLY = "25006"
SERVER_GAVE_UP = ("08", "53", "57P")  # connection lost, out of resources, shut down


def engine_for(url: URL) -> Engine:
    """One connection at a time; nothing prepared, so that a pooler in between does no harm."""
    return create_engine(url, poolclass=NullPool, connect_args={"prepare_threshold": None})


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection; what is wrong with it, and what PostgreSQL says within, becomes one clear line."""
    try:
        connection = engine.connect()
    except OperationalError as error:
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


def explain(connection: Connection, error: DBAPIError) -> NoReturn:
    """Raises what a user can do something about in our words, anything else (a bug) as it is."""
    state = sqlstate(error)
    if state == INSUFFICIENT_PRIVILEGE:
        raise errors.RightMissing(role=connection.engine.url.username, right=message(error)) from error
    if state == READ_ONLY:
        raise errors.ReadOnly(target=target(connection.engine.url), reason=message(error)) from error
    if state.startswith(SERVER_GAVE_UP) or (isinstance(error, OperationalError) and not state):
        raise errors.DatabaseRefused(reason=message(error)) from error
    raise error


def _refused(url: URL, error: OperationalError) -> NoReturn:
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
