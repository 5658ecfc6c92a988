"""The wheel has all that an installation needs, without a checkout."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.database import Database
from tests.shell.conftest import CHECKOUT, Shell

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(CHECKOUT)]
    subprocess.run([*pip, "--no-build-isolation"], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_contents(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sql = {
        f"linked_asset/{path.relative_to(CHECKOUT / 'linked_asset')}"
        for path in CHECKOUT.glob("linked_asset/sql/**/*.sql")
    }
    assert sql <= names
    assert {
        "linked_asset/py.typed",
        "linked_asset/alembic.ini",
        "linked_asset/migrations/env.py",
        "linked_asset/migrations/script.py.mako",
        "linked_asset/migrations/versions/v1_138_0.py",
    } <= names
    assert not [name for name in names if name.startswith(("sample", "tests")) or "__pycache__" in name]


def test_works_outside_the_checkout(
    wheel: Path, tmp_path: Path, immich: Database, shell: Callable[..., Shell], pg_dump: Callable[..., str]
) -> None:
    # Unpacked in front of the path rather than installed with its dependencies: the same files in the same places.
    zipfile.ZipFile(wheel).extractall(tmp_path)
    environment = {**shell(immich.url).environment, "PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-P", "-m", *arguments]
        return subprocess.run(
            command, check=True, cwd=tmp_path.parent, env=environment, capture_output=True, text=True
        ).stdout

    before = pg_dump(immich, "--schema-only")
    ini = run("linked_asset", "ini").strip()
    assert ini == str(tmp_path / "linked_asset" / "alembic.ini")
    run("alembic", "-c", ini, "upgrade", "head")
    assert "v1.138.0" in run("alembic", "-c", ini, "current")
    run("alembic", "-c", ini, "downgrade", "base")
    assert pg_dump(immich, "--schema-only") == before
