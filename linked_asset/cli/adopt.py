import click
from alembic import command

from linked_asset.alembic_ini import alembic_config
from linked_asset.upgrade import ADOPT


@click.command(epilog="Example: linked-asset adopt")
def adopt() -> None:
    """Take over what the SQL scripts of immich-linked-assets have linked, and install.

    Clones, persons, albums and stacks keep their ids, so that favourites and own albums survive. What was linked by a
    tag is put into the linked album, which has to be shared with everybody who is to keep what they have.
    """
    config = alembic_config()
    config.attributes[ADOPT] = True
    command.upgrade(config, "head")
