"""The command `linked-asset`: one command per file."""

import os
from typing import Any

import click

from linked_asset import __version__
from linked_asset.cli.adopt import adopt
from linked_asset.cli.alembic import current, downgrade, history, upgrade
from linked_asset.cli.approve import approve
from linked_asset.cli.doctor import doctor
from linked_asset.cli.ini import ini
from linked_asset.cli.plan import plan
from linked_asset.cli.reconcile import reconcile
from linked_asset.cli.sql import sql
from linked_asset.cli.status import status
from linked_asset.cli.watch import watch
from linked_asset.config import read_env_file
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
@click.option(
    "--env-file", type=click.Path(exists=True, dir_okay=False), help="Immich's .env file, to read its DB_* lines from."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error of the database.")
def main(env_file: str | None, debug: bool) -> None:
    """Linked assets for Immich: one family account's media, real assets in every linked account.

    The database comes from the environment, by Immich's own names: DB_URL, or DB_HOSTNAME (default: database), DB_PORT,
    DB_USERNAME, DB_PASSWORD and DB_DATABASE_NAME; each but the port also as a file (DB_PASSWORD_FILE).

    \b
    linked-asset plan             what would be linked, before anything is changed
    linked-asset upgrade          install, or follow an upgrade of Immich
    linked-asset status           what is linked, what is left out and why
    linked-asset doctor           is everything as it should be?
    linked-asset downgrade base   remove everything
    """
    if env_file:
        read_env_file(env_file)
    if debug:
        os.environ[DEBUG] = "1"


for command in (adopt, approve, current, doctor, downgrade, history, ini, plan, reconcile, sql, status, upgrade, watch):
    main.add_command(command)
