from typing import TextIO

import click

from linked_asset import script

immich_option = click.option("--immich", required=True, metavar="VERSION", help="The Immich that runs there: v2.5.0")
output_option = click.option("--output", type=click.File("w"), default="-", help="A file instead of stdout.")


@click.group()
def sql() -> None:
    """Write scripts for psql, without connecting to a database."""


@sql.command()
@immich_option
@output_option
def install(immich: str, output: TextIO) -> None:
    """Write the script that installs: docker exec -i immich_postgres psql -U postgres immich < install.sql"""
    output.write(script.install(immich))


@sql.command()
@immich_option
@output_option
def remove(immich: str, output: TextIO) -> None:
    """Write the script that removes what was installed for this Immich."""
    output.write(script.remove(immich))
