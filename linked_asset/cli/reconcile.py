import json
import sys
from collections.abc import Callable
from contextlib import ExitStack

import click

from linked_asset import talk
from linked_asset.cli.tables import show_differences
from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.reconcile import reconcile as go_through


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For scripts: the number of `differences`, and where.")
def reconcile(dry_run: bool, as_json: bool) -> None:
    """Find every difference between members and repair it."""
    with ExitStack() as stack, connected(engine_for(database_url())) as connection:

        def progress(what: str, total: int) -> Callable[[int], None]:
            return stack.enter_context(talk.progress(what, total))

        report = go_through(connection, dry_run=dry_run, progress=progress)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    elif report.differences:
        show_differences(report.differences)
    verb = "would be repaired" if dry_run else "repaired"
    talk.say(f"{report.sources} media looked at, {report.rows} differences {verb}")
    for failure in report.failures:
        talk.say(str(failure))
    if report.failures:
        sys.exit(1)
