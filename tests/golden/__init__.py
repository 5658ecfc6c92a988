"""What an installation runs, written down: nobody changes what a revision does without seeing it."""

from pathlib import Path

from alembic.script import ScriptDirectory

from linked_asset import render
from linked_asset.alembic_ini import alembic_config

HERE = Path(__file__).parent


def releases() -> list[str]:
    """The releases that a revision stands for, the oldest first."""
    revisions = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return sorted(revision.revision for revision in revisions)


def golden(release: str) -> Path:
    return HERE / f"{release}.sql"


def rendered(release: str) -> str:
    """The install script as it is now."""
    return render.install_script(release)
