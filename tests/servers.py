"""The server that tests run on.

TEST_DATABASE_URL    a server that is already there (a superuser's URL), else
TEST_POSTGRES_BIN    a directory with initdb, pg_ctl and postgres, else
PG14=1               PostgreSQL 14 from npm, else
TEST_POSTGRES_IMAGE  an image, if a Docker engine answers, else
TEST_POSTGRES        the version of the embedded server: 18 (default) or 16
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sample.pg14 import pg14_bin
from sample.server import embedded_server, server

IMAGE = "tensorchord/vchord-postgres:pg14-v0.4.3"


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of the administrative database of the server that the environment asks for."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
    elif bin_ := os.environ.get("TEST_POSTGRES_BIN"):
        with server(Path(bin_)) as local:
            yield local.url
    elif os.environ.get("PG14") == "1":
        with server(pg14_bin()) as local:
            yield local.url
    elif docker_answers():
        with _container() as url:
            yield url
    else:
        with embedded_server(os.environ.get("TEST_POSTGRES", "18")) as local:
            yield local.url


def docker_answers() -> bool:
    if "TEST_POSTGRES" in os.environ:
        return False
    try:
        import docker

        return bool(docker.from_env(timeout=5).ping())
    except Exception:  # no package, no engine, no permission: all the same
        return False


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.postgres import PostgresContainer

    image = os.environ.get("TEST_POSTGRES_IMAGE", IMAGE)
    container = PostgresContainer(image, username="postgres", password="postgres", driver=None)
    with container.with_command("postgres -c fsync=off -c autovacuum=off") as running:
        yield running.get_connection_url()
