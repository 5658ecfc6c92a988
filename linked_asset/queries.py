"""Queries that are asked from Python, each in a file of its own below `sql`."""

from functools import cache
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection, CursorResult, TextClause, text


@cache
def source(name: str) -> str:
    """The file `name`.sql as it is."""
    return files("linked_asset").joinpath(f"sql/{name}.sql").read_text("utf-8")


def query(name: str) -> TextClause:
    """The file `name`.sql, ready to be executed. `:word` is a parameter."""
    return text(source(name))


def run_script(connection: Connection, script: str) -> CursorResult[Any]:
    """Several statements at once, taken as they are: no parameters, percent signs and colons mean themselves."""
    return connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def without_comments(statement: str) -> str:
    """For a query that becomes part of another one."""
    return "\n".join(line for line in statement.splitlines() if not line.startswith("--")).strip()
