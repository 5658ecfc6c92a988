"""A database of a test, and where it comes from."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import namedtuple_row

_numbers = itertools.count(1)

Parameters = Sequence[Any] | dict[str, Any] | None
Statement = str | sql.SQL | sql.Composed


class Database:
    """One database, with a connection of its own that commits every statement."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._other: Database | None = None

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[Any]:
        """A new connection; rows are named tuples. The caller closes it (`with`)."""
        return psycopg.connect(self.url, autocommit=autocommit, row_factory=namedtuple_row)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is executed inside is one transaction."""
        self.execute("select")
        assert self._connection is not None
        with self._connection.transaction():
            yield

    def another(self) -> Database:
        """The same database through a second connection, which stays open with this one."""
        if self._other is None:
            self._other = Database(self.url)
        return self._other

    def execute(self, statement: Statement, parameters: Parameters = None) -> Any:
        """Run one statement in a transaction of its own; returns the cursor."""
        if self._connection is None or self._connection.closed:
            self._connection = self.connect()
        return self._connection.execute(statement, parameters)

    def fetch(self, statement: Statement, parameters: Parameters = None) -> list[Any]:
        return list(self.execute(statement, parameters))

    def row(self, statement: Statement, parameters: Parameters = None) -> Any:
        """The only row."""
        (row,) = self.fetch(statement, parameters)
        return row

    def value(self, statement: Statement, parameters: Parameters = None) -> Any:
        """The only column of the only row."""
        (value,) = self.row(statement, parameters)
        return value

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._other is not None:
            self._other.close()
            self._other = None


class Databases:
    """Creates databases on one server, all with names of one test run, and drops them."""

    def __init__(self, server_url: str, prefix: str) -> None:
        self.server_url = server_url
        self.prefix = prefix
        self._over: list[str] = []

    def url(self, name: str) -> str:
        url = sa.make_url(self.server_url).set(database=name)
        return url.render_as_string(hide_password=False)

    def template(self, name: str, build: Callable[[psycopg.Connection[Any]], None], base: str | None = None) -> str:
        """A database to copy from, built once per run (whichever worker comes first).

        `build` gets a connection to a copy of the template `base`, or to an empty database.
        """
        full_name = f"{self.prefix}_{name}"
        with self._admin() as admin:
            admin.execute("select pg_advisory_lock(hashtext(%s))", [full_name])
            if not admin.execute("select from pg_database where datname = %s", [full_name]).rowcount:
                draft = f"{full_name}_draft"
                self._create(admin, draft, base)
                with psycopg.connect(self.url(draft), autocommit=True) as connection:
                    build(connection)
                admin.execute(
                    sql.SQL("alter database {} rename to {}").format(sql.Identifier(draft), sql.Identifier(full_name))
                )
        return full_name

    @contextmanager
    def copy(self, template: str | None = None) -> Iterator[Database]:
        """A fresh copy of a template (or an empty database), dropped when the next one is made: PostgreSQL waits 100 ms
        for a session that has not quite ended."""
        name = f"{self.prefix}_{os.getpid()}_{next(_numbers)}"
        with self._admin() as admin:
            while self._over:
                admin.execute(_drop(self._over.pop()))
            self._create(admin, name, template)
            database = Database(self.url(name))
            try:
                yield database
            finally:
                database.close()
                self._over.append(name)

    def drop_all(self) -> None:
        """Drop whatever the run left."""
        with self._admin() as admin:
            pattern = self.prefix.replace("_", r"\_") + r"\_%"
            for (name,) in admin.execute("select datname from pg_database where datname like %s", [pattern]).fetchall():
                admin.execute(_drop(name))

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server_url, autocommit=True)

    @staticmethod
    def _create(admin: psycopg.Connection[Any], name: str, template: str | None) -> None:
        # The other way, the default since there are two, is five times slower.
        strategy = " strategy file_copy" if admin.info.server_version >= 150000 else ""
        admin.execute(
            sql.SQL("create database {} template {}" + strategy).format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )


def _drop(name: str) -> sql.Composed:
    return sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))


class Clients:
    """`psql` and `pg_dump` that can talk to the server in use."""

    def __init__(self, bin_: Path | None) -> None:
        self._bin = bin_

    def program(self, name: str) -> str:
        return str(self._bin / name) if self._bin else name

    def pg_dump(self, database: Database, *arguments: str) -> str:
        """A dump as text, without what differs between two dumps of one database."""
        dump = self._run("pg_dump", *arguments, database.url)
        return "".join(
            line for line in dump.splitlines(keepends=True) if not line.startswith(("\\restrict ", "\\unrestrict "))
        )

    def psql(self, database: Database, script: str, *arguments: str) -> str:
        """Run a script as an administrator would; it stops at the first error."""
        return self._run(
            "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-align",
            "--tuples-only", *arguments, database.url, script=script,
        )  # fmt: skip

    def _run(self, program: str, *arguments: str, script: str | None = None) -> str:
        result = subprocess.run(
            [self.program(program), *arguments], input=script or "", capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{program}: {result.stderr}")
        return result.stdout
