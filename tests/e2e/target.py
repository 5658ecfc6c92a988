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

Without IMMICH_URL, and where a Docker engine answers: IMMICH_VERSION, an image's tag, and IMMICH_IMAGES, where Immich
publishes its images (the registry and its folder there).
"""

from __future__ import annotations

import os
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
        )
    else:
        with _containers() as started:
            yield started


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
        immich = DockerContainer(f"{IMAGES}/immich-server:{version}").with_network(network)
        for path in (media, external):
            immich.with_volume_mapping(str(path), str(path), "rw")
        for name, value in {"DB_PASSWORD": "postgres", "IMMICH_MEDIA_LOCATION": str(media), "TZ": "UTC"}.items():
            immich.with_env(name, value)
        immich.with_kwargs(extra_hosts={"host.docker.internal": "host-gateway"})
        stack.enter_context(immich.with_exposed_ports(2283))
        url = f"http://{immich.get_container_host_ip()}:{immich.get_exposed_port(2283)}"
        _sign_up(url)
        yield Target(
            url=url,
            db_url=f"postgresql://postgres:postgres@{database.get_container_host_ip()}:{database.get_exposed_port(5432)}/immich",
            media=media,
            email=EMAIL,
            password=PASSWORD,
            media_location=str(media),
            external=external,
            log=lambda: b"".join(immich.get_logs()).decode(errors="replace"),
            ml_host="host.docker.internal",
        )


def _sign_up(url: str) -> None:
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
    body = {"email": EMAIL, "password": PASSWORD, "name": "Admin"}
    httpx.post(f"{url}/api/auth/admin-sign-up", json=body, timeout=30).raise_for_status()
