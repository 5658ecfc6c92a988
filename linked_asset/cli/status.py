import json

import click

from linked_asset.cli.tables import show_status
from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.status import status as read_status


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def status(as_json: bool) -> None:
    """Show what is linked, what is left out and why."""
    with connected(engine_for(database_url())) as connection:
        found = read_status(connection)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    show_status(found)
