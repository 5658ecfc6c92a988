import signal
import sys
from pathlib import Path

import click

from linked_asset.config import database_url
from linked_asset.database import engine_for
from linked_asset.watch import SETTLED_AFTER
from linked_asset.watch import watch as keep_watching


@click.command(epilog="Example: linked-asset watch --settled-after 60")
@click.option(
    "--settled-after",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=SETTLED_AFTER,
    show_default=True,
    help="How long Immich's tables have to stay as they are after a change, before it upgrades.",
)
@click.option(
    "--media",
    "media_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Immich's media folder (UPLOAD_LOCATION), read-only is enough, to look for the files once a day.",
)
def watch(settled_after: float, media_folder: Path | None) -> None:
    """Install, follow Immich's upgrades, work off queued linking and incidents at once. Nothing depends on it.

    Waits for Immich's tables, does what `linked-asset upgrade` does, and does so again whenever they have changed and
    settled. Works until it is stopped: Ctrl-C (exit code 130) or SIGTERM (exit code 0). What it was doing is rolled
    back. Removed meanwhile, linked assets are not installed again before the next start.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        keep_watching(engine_for(database_url()), settled_after=settled_after, media_folder=media_folder)
    except KeyboardInterrupt:
        sys.exit(130)
