"""The psql scripts, made by Alembic's `--sql`."""

import re
from collections.abc import Callable
from io import StringIO

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from linked_asset import detection, immich
from linked_asset.alembic_ini import alembic_config
from linked_asset.errors import UnknownImmich
from linked_asset.talk import say


def install(version: str) -> str:
    """From nothing to the step for this Immich."""
    return _written(lambda config: command.upgrade(config, step(config, version), sql=True))


def remove(version: str) -> str:
    """From the step for this Immich to nothing."""
    return _written(lambda config: command.downgrade(config, f"{step(config, version)}:base", sql=True))


def _written(write: Callable[[Config], None]) -> str:
    config = alembic_config()
    config.output_buffer = StringIO()
    write(config)
    return config.output_buffer.getvalue()


def step(config: Config, version: str) -> str:
    """The newest step that is not newer than this version: patch releases have none of their own."""
    steps = [revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()]
    wanted = f"v{version.removeprefix('v')}"
    if not re.fullmatch(r"v\d+(\.\d+)*(-.*)?", wanted) or detection.is_newer(steps[-1], wanted):
        raise UnknownImmich(version=version, oldest=steps[-1])
    found = next(one for one in steps if not detection.is_newer(one, wanted))
    if detection.is_newer(wanted, immich.RELEASES[-1]):
        newest = immich.RELEASES[-1]
        say(f"Immich {wanted} is newer than the newest known, {newest}: the script fails where its tables differ")
    return found
