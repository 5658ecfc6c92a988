import click

from linked_asset.config import database_url
from linked_asset.database import engine_for
from linked_asset.watch import watch as keep_watching


@click.command()
def watch() -> None:
    """Work off queued linking and incidents at once. Optional: nothing depends on it."""
    keep_watching(engine_for(database_url()))
