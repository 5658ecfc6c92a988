"""Revisions do what the golden files say."""

import difflib

import pytest

from tests.golden import HERE, golden, releases, rendered


@pytest.mark.parametrize("release", releases())
def test_revision_does_what_is_written_down(release: str) -> None:
    written = golden(release).read_text("utf-8") if golden(release).exists() else ""
    difference = "\n".join(
        difflib.unified_diff(
            written.splitlines(), rendered(release).splitlines(), str(golden(release)), "rendered now", lineterm=""
        )
    )
    assert not difference, f"{difference}\n\nIf this is what you want: python -m tests.golden"


def test_every_golden_file_has_a_revision() -> None:
    assert {path.stem for path in HERE.glob("*.sql")} == set(releases())
