"""The command `linked-asset`: one command per file."""

import os
from typing import Any

import click

from linked_asset import __version__
from linked_asset.cli.doctor import doctor
from linked_asset.cli.ini import ini
from linked_asset.cli.reconcile import reconcile
from linked_asset.cli.sql import sql
from linked_asset.cli.status import status
from linked_asset.cli.watch import watch
from linked_asset.database import DEBUG
from linked_asset.errors import LinkedAssetError
from linked_asset.talk import INTERRUPTED, say


class Group(click.Group):
    """What a user can cause is one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LinkedAssetError as error:
            say(str(error))
            ctx.exit(1)
        except KeyboardInterrupt:
            say(INTERRUPTED)
            ctx.exit(130)


@click.group(cls=Group)
@click.version_option(__version__, prog_name="linked-asset")
@click.option("--debug", is_flag=True, help="Show the traceback of an error of the database.")
def main(debug: bool) -> None:
    """Linked assets for Immich: one family account's media, real assets in every linked account.

    The database comes from the environment, by Immich's own names: DB_URL, or DB_HOSTNAME, DB_PORT, DB_USERNAME,
    DB_PASSWORD and DB_DATABASE_NAME. Alembic installs and removes: alembic -c "$(linked-asset ini)" upgrade head
    """
    if debug:
        os.environ[DEBUG] = "1"


for command in (doctor, ini, reconcile, sql, status, watch):
    main.add_command(command)
