import json

import click

from linked_asset.cli.tables import show_plan
from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.plan import plan as make_plan


@click.command(epilog="Example: linked-asset --env-file .env plan")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def plan(as_json: bool) -> None:
    """Show what would be linked for whom, before anything is installed. Changes nothing.

    Also what it saves, what is stored twice today, and the rows, space and time that it takes.
    """
    with connected(engine_for(database_url())) as connection:
        found = make_plan(connection)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    show_plan(found)
