"""The image for Docker Compose, built and run where a Docker engine answers."""

from collections.abc import Iterator

import pytest

from linked_asset import __version__
from tests.servers import docker_answers
from tests.shell.conftest import CHECKOUT

pytestmark = [pytest.mark.packaging, pytest.mark.skipif(not docker_answers(), reason="no Docker engine answers")]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    import docker

    client = docker.from_env()
    built, _ = client.images.build(path=str(CHECKOUT), rm=True)
    yield built.id
    client.images.remove(built.id, force=True)


def run(image: str, *command: str) -> str:
    import docker

    said: bytes = docker.from_env().containers.run(image, list(command), remove=True)
    return said.decode()


def test_runs_as_nobody(image: str) -> None:
    assert __version__ in run(image, "--version")
    import docker

    assert docker.from_env().images.get(image).attrs["Config"]["User"] == "65534"


def test_has_all_that_a_script_needs(image: str) -> None:
    assert "create schema linked" in run(image, "sql", "install", "--immich", "v1.138.0")
