"""`make demo`."""

import subprocess
import sys
from pathlib import Path

import pytest

from sample import FAMILIES

CHECKOUT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], *([release] for release in FAMILIES)], ids=" ".join)
def test_demo_tells_the_whole_story(arguments: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "sample.demo", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    for told in ("Ice cream after the rain", "For the calendar", "Print large", "gone for good", "installs for Immich"):
        assert told in result.stdout
    assert result.stdout.count("Grandma") > 4
    assert result.stdout.rstrip().endswith("Clones: 0. Schema linked: gone.")
