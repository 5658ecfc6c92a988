import signal
import sys

import click

from linked_asset.config import database_url
from linked_asset.database import engine_for
from linked_asset.watch import watch as keep_watching


@click.command()
def watch() -> None:
    """Work off queued linking and incidents at once. Optional: nothing depends on it.

    Works until it is stopped: Ctrl-C (exit code 130) or SIGTERM (exit code 0). What it was doing is rolled back.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        keep_watching(engine_for(database_url()))
    except KeyboardInterrupt:
        sys.exit(130)
