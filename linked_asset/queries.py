"""Queries that are asked from Python, each in a file of its own below `sql`."""

from functools import cache
from importlib.resources import files

from sqlalchemy import TextClause, text


@cache
def source(name: str) -> str:
    """The file `name`.sql as it is."""
    return files("linked_asset").joinpath(f"sql/{name}.sql").read_text("utf-8")


def query(name: str) -> TextClause:
    """The file `name`.sql, ready to be executed. `:word` is a parameter."""
    return text(source(name))
