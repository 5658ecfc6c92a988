"""What `make dist` makes, installed where nothing else is."""

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from linked_asset import __version__
from tests.database import Database
from tests.release import RELEASE
from tests.shell.conftest import CHECKOUT

pytestmark = [pytest.mark.packaging, pytest.mark.slow]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    makefile = (CHECKOUT / "Makefile").read_text("utf-8")
    (recipe,) = re.findall(r"^dist:.*\n\t\$\(BIN\)/python (.* )--outdir dist$", makefile, re.MULTILINE)
    subprocess.run([sys.executable, *recipe.split(), "--outdir", str(folder)], cwd=CHECKOUT, check=True)
    return folder


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_it_says_what_it_is(dist: Path) -> None:
    wheel = only(dist, "*.whl")
    assert wheel.name == f"linked_asset-{__version__}-py3-none-any.whl"
    with ZipFile(wheel) as archive:
        metadata = HeaderParser().parsestr(
            archive.read(f"linked_asset-{__version__}.dist-info/METADATA").decode("utf-8")
        )
    assert metadata["Version"] == __version__
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["License-Expression"] == "MIT"


def test_the_changelog_begins_with_it() -> None:
    newest, *_ = re.findall(r"^## (.*)$", (CHECKOUT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest == __version__


def test_the_source_has_nothing_that_is_not_needed(dist: Path) -> None:
    with tarfile.open(only(dist, "*.tar.gz")) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"CHANGELOG.md", "LICENSE", "README.md", "alembic.ini", "migrations/env.py"} <= names
    tops = {name.split("/")[0] for name in names}
    assert tops <= {
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "PKG-INFO",
        "pyproject.toml",
        ".gitignore",
        "alembic.ini",
    } | {
        "linked_asset",
        "migrations",
    }


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_from_nothing_to_nothing_in_an_empty_environment(
    dist: Path, tmp_path: Path, kind: str, immich: Database, pg_dump: Callable[..., str], psql: Callable[..., str]
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    there = tmp_path / "venv" / "bin"
    pip = [str(there / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, str(only(dist, kind))], capture_output=True, text=True, check=False)
    if "Connection" in installed.stderr and installed.returncode:
        pytest.skip("no package index answers")
    assert installed.returncode == 0, installed.stderr

    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DB_", "PYTHON"))}
    environment |= {"DB_URL": immich.url, "PATH": f"{there}:{os.environ['PATH']}"}

    def run(*command: str) -> str:
        return subprocess.run(command, check=True, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout

    before = pg_dump(immich, "--schema-only")
    assert run("linked-asset", "--version").split()[-1] == __version__
    assert "Nothing has been changed" in run("linked-asset", "plan")
    run("linked-asset", "upgrade")
    assert json.loads(run("linked-asset", "status", "--json"))["installed"]["package"] == __version__
    run("linked-asset", "doctor")
    assert RELEASE in run("alembic", "-c", run("linked-asset", "ini").strip(), "current")
    run("linked-asset", "downgrade", "base")
    assert pg_dump(immich, "--schema-only") == before
    psql(immich, run("linked-asset", "sql", "install", "--immich", RELEASE))
    run("linked-asset", "status", "--check")
    psql(immich, run("linked-asset", "sql", "remove", "--immich", RELEASE))
    assert pg_dump(immich, "--schema-only") == before
