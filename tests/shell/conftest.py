"""Commands as a user types them, each in a process of its own: exit codes and what goes where matter here."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest import mock

import pytest
from alembic.config import main as alembic_main

from linked_asset.cli import main as linked_asset_main

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shell:
    """A shell whose environment says where the database is."""

    environment: Mapping[str, str]
    ini: Path = CHECKOUT / "alembic.ini"

    def alembic(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "alembic", "-c", str(self.ini), *arguments, check=check)

    def linked_asset(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "linked_asset", *arguments, check=check)

    def run(self, *arguments: str, check: bool) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert not check or process.returncode == 0, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=dict(self.environment),
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Inside(Shell):
    """The same within this process: for what needs many commands and no process of its own."""

    def run(self, *arguments: str, check: bool) -> subprocess.CompletedProcess[str]:
        _, module, *rest = arguments
        out, err, code = StringIO(), StringIO(), 0
        with mock.patch.dict(os.environ, self.environment), redirect_stdout(out), redirect_stderr(err):
            try:
                alembic_main(rest) if module == "alembic" else linked_asset_main(rest, "linked-asset")
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
        assert not check or code == 0, err.getvalue()
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def inside(url: str) -> Inside:
    return Inside({"DB_URL": url})


def shell_for(url: str, ini: Path = CHECKOUT / "alembic.ini", **environment: str) -> Shell:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
    return Shell({**inherited, "PYTHONPATH": str(CHECKOUT), "DB_URL": url, **environment}, ini)


@pytest.fixture
def shell() -> Callable[..., Shell]:
    """`shell(url)`: where `alembic` and `linked-asset` find that database."""
    return shell_for


@pytest.fixture
def own_process() -> Callable[..., Shell]:
    """The same where a file has its commands run inside, for what needs a process of its own."""
    return shell_for


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The only thing that a failed command said; on stderr, with exit code 1."""
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("linked-asset: ")
    return line.removeprefix("linked-asset: ")
