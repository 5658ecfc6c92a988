"""Revisions do what the golden files say."""

import difflib
from pathlib import Path

import pytest

from tests.golden import golden_files, written_files

FILES = golden_files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_revision_does_what_is_written_down(path: Path) -> None:
    written = path.read_text("utf-8") if path.exists() else ""
    difference = "\n".join(
        difflib.unified_diff(written.splitlines(), FILES[path].splitlines(), path.name, "rendered now", lineterm="")
    )
    assert not difference, f"{difference}\n\nIf this is what you want: python -m tests.golden"


def test_every_golden_file_has_a_revision() -> None:
    assert written_files() == FILES.keys()
