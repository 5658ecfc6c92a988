import json
from pathlib import Path

import click

from linked_asset.cli.tables import show_findings
from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.doctor import PROBLEM, examine
from linked_asset.talk import say


@click.command(epilog="Example: linked-asset doctor --media /data")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option(
    "--media",
    "media_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Immich's media folder (UPLOAD_LOCATION), to look for the files as well.",
)
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, media_folder: Path | None) -> None:
    """Check everything, and say what to do about what is found. Exit code 1 on a problem."""
    with connected(engine_for(database_url())) as connection:
        findings = examine(connection, media_folder)
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings], indent=2, ensure_ascii=False))
    elif findings:
        show_findings(findings)
    else:
        say("all is well")
    ctx.exit(1 if any(finding.kind == PROBLEM for finding in findings) else 0)
