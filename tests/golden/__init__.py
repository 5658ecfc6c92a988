"""What an installation runs, written down: nobody changes what a revision does without seeing it.

Whole for the oldest and the newest release, for those between as what differs from the one before.
"""

import difflib
from pathlib import Path

from alembic.script import ScriptDirectory

from linked_asset import immich, render
from linked_asset.alembic_ini import alembic_config

HERE = Path(__file__).parent


def releases() -> list[str]:
    """The releases that a revision stands for, the oldest first."""
    revisions = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return sorted((revision.revision for revision in revisions), key=immich.version)


def golden_files() -> dict[Path, str]:
    """What each golden file has to hold."""
    known = releases()
    files = {}
    for before, release in zip([None, *known], known, strict=False):
        if before is None or release == known[-1]:
            files[HERE / f"{release}.sql"] = render.install_script(release)
        else:
            files[HERE / f"{release}.diff"] = difference(before, release)
    return files


def difference(before: str, release: str) -> str:
    lines = difflib.unified_diff(
        render.install_script(before).splitlines(), render.install_script(release).splitlines(), before, release,
        lineterm="", n=1,
    )  # fmt: skip
    # Without line numbers: what is added far above would change them all.
    return "".join("@@\n" if line.startswith("@@") else f"{line}\n" for line in lines)


def written_files() -> set[Path]:
    return {*HERE.glob("*.sql"), *HERE.glob("*.diff")}
