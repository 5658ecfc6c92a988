import json
import sys

import click

from linked_asset.cli.tables import show_status
from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.status import status as read_status
from linked_asset.talk import and_more, say


@click.command(epilog="Example: linked-asset status --json")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option("--check", is_flag=True, help="Say nothing if sync is at work; else why not, with exit code 1.")
def status(as_json: bool, check: bool) -> None:
    """Show what is linked, what is left out and why."""
    with connected(engine_for(database_url())) as connection:
        found = read_status(connection)
    if check:
        if found["installed"]["outdated"]:
            say(f"to be installed again (linked-asset upgrade): {and_more(found['installed']['outdated'])}")
            sys.exit(1)
        return
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    show_status(found)
