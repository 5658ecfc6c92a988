"""The Immich that the tests run on: one that is there, or one from Immich's published images.

IMMICH_URL             its address, without `/api`
DB_URL                 its database, as the addon's commands take it
IMMICH_MEDIA           its media folder, as seen from here
IMMICH_EMAIL, IMMICH_PASSWORD
                       an administrator of it. Everything in it may be changed and deleted

May be left out:

IMMICH_MEDIA_LOCATION  the media folder as Immich sees it, where that is another path
IMMICH_EXTERNAL        a folder outside the media folder, by the same path here and for Immich: external libraries
IMMICH_LOG             Immich's log file: no error may be in it
IMMICH_ML_HOST         the address at which Immich reaches this machine: 127.0.0.1
IMMICH_UPGRADES        releases that Immich is upgraded to at the end, one after the other: "v2.7.5 v3.1.0"
IMMICH_UPGRADE         the command that does so: it gets a release, stops Immich, starts that one on the same database
                       and folders, and returns (in containers it is done here)

Without IMMICH_URL, and where a Docker engine answers: IMMICH_VERSION, an image's tag, and IMMICH_IMAGES, where Immich
publishes its images (the registry and its folder there).
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

NEEDED = ("IMMICH_URL", "DB_URL", "IMMICH_MEDIA", "IMMICH_EMAIL", "IMMICH_PASSWORD")
VERSION = "v2.7.5"
IMAGES = os.environ.get("IMMICH_IMAGES", "immich-app")
POSTGRES = f"{IMAGES}/postgres:14-vectorchord0.4.3-pgvectors0.2.0"
REDIS = "valkey/valkey:8-bookworm"
EMAIL, PASSWORD = "admin@example.org", "password"
START_SECONDS = 180


@dataclass(frozen=True)
class Target:
    url: str
    db_url: str
    media: Path
    email: str
    password: str
    media_location: str
    external: Path | None
    log: Callable[[], str] | None
    ml_host: str
    upgrade: Callable[[str], object] | None
    """Has another release of Immich run on the same database and folders."""

    def local(self, path: str) -> Path:
        """Where a file of Immich's is from here."""
        if path.startswith(f"{self.media_location}/"):
            return self.media / path.removeprefix(f"{self.media_location}/")
        return Path(path)


def why_not() -> str | None:
    """Why there is nothing to run on."""
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if not missing or _docker_answers():
        return None
    if len(missing) == len(NEEDED):
        return f"no Immich to run on: set {', '.join(NEEDED)}, or start Docker"
    return f"{', '.join(missing)} not set"


@contextmanager
def target() -> Iterator[Target]:
    if os.environ.get("IMMICH_URL"):
        env = os.environ
        log, external = env.get("IMMICH_LOG"), env.get("IMMICH_EXTERNAL")
        yield Target(
            url=env["IMMICH_URL"].rstrip("/"),
            db_url=env["DB_URL"],
            media=Path(env["IMMICH_MEDIA"]),
            email=env["IMMICH_EMAIL"],
            password=env["IMMICH_PASSWORD"],
            media_location=env.get("IMMICH_MEDIA_LOCATION", env["IMMICH_MEDIA"]).rstrip("/"),
            external=Path(external) if external else None,
            log=(lambda: Path(log).read_text(errors="replace")) if log else None,
            ml_host=env.get("IMMICH_ML_HOST", "127.0.0.1"),
            upgrade=_upgrade if env.get("IMMICH_UPGRADE") else None,
        )
    else:
        with _containers() as started:
            yield started


def upgrades() -> list[str]:
    return os.environ.get("IMMICH_UPGRADES", "").split()


def _upgrade(version: str) -> None:
    subprocess.run([*shlex.split(os.environ["IMMICH_UPGRADE"]), version], check=True)


def _docker_answers() -> bool:
    try:
        import docker

        return bool(docker.from_env(timeout=5).ping())
    except Exception:  # no package, no engine, no permission: all the same
        return False


@contextmanager
def _containers() -> Iterator[Target]:
    """Immich, PostgreSQL and Redis on a network of their own; folders have the same path inside and here."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.network import Network

    version = os.environ.get("IMMICH_VERSION", VERSION)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="immich-", ignore_cleanup_errors=True)))
        media, external = folder / "media", folder / "external"
        for path in (media, external):
            path.mkdir()
        network = stack.enter_context(Network())
        database = DockerContainer(POSTGRES).with_network(network).with_network_aliases("database")
        for name, value in {"USER": "postgres", "PASSWORD": "postgres", "DB": "immich"}.items():
            database.with_env(f"POSTGRES_{name}", value)
        stack.enter_context(database.with_exposed_ports(5432))
        stack.enter_context(DockerContainer(REDIS).with_network(network).with_network_aliases("redis"))
        port = _free_port()
        url = f"http://localhost:{port}"
        running: list[DockerContainer] = []

        def start(version: str) -> None:
            if running:
                running.pop().stop()
            immich = DockerContainer(f"{IMAGES}/immich-server:{version}").with_network(network)
            for path in (media, external):
                immich.with_volume_mapping(str(path), str(path), "rw")
            for name, value in {"DB_PASSWORD": "postgres", "IMMICH_MEDIA_LOCATION": str(media), "TZ": "UTC"}.items():
                immich.with_env(name, value)
            immich.with_kwargs(extra_hosts={"host.docker.internal": "host-gateway"})
            running.append(immich.with_bind_ports(2283, port).start())
            _wait_for(url)

        stack.callback(lambda: [container.stop() for container in running])
        start(version)
        _sign_up(url)
        yield Target(
            url=url,
            db_url=f"postgresql://postgres:postgres@{database.get_container_host_ip()}:{database.get_exposed_port(5432)}/immich",
            media=media,
            email=EMAIL,
            password=PASSWORD,
            media_location=str(media),
            external=external,
            log=lambda: b"".join(running[0].get_logs()).decode(errors="replace"),
            ml_host="host.docker.internal",
            upgrade=start,
        )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/api/server/ping", timeout=5).is_success:
                break
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"Immich does not answer at {url}")
        time.sleep(1)


def _sign_up(url: str) -> None:
    body = {"email": EMAIL, "password": PASSWORD, "name": "Admin"}
    httpx.post(f"{url}/api/auth/admin-sign-up", json=body, timeout=30).raise_for_status()
