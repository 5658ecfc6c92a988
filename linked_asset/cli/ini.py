import click

from linked_asset.alembic_ini import alembic_ini


@click.command()
def ini() -> None:
    """Print where Alembic's configuration is.

    An installed package needs no checkout: alembic -c "$(linked-asset ini)" upgrade head
    """
    click.echo(alembic_ini())
