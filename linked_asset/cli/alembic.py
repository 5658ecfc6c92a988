"""Alembic's commands for those who have the package and no checkout."""

import re
from typing import NoReturn

import click
from alembic.config import CommandLine

from linked_asset import script
from linked_asset.alembic_ini import alembic_config, alembic_ini


@click.command(epilog="Example: linked-asset upgrade, or on the way to an older step: linked-asset upgrade v2.5.0")
@click.argument("revision", default="head")
def upgrade(revision: str) -> NoReturn:
    """Install, or bring an installation up to the running Immich, and link what exists.

    REVISION is an Immich version; without it the newest that fits Immich's tables. Running it again changes nothing.
    """
    run("upgrade", step_for(revision))


@click.command(epilog="Example: linked-asset downgrade base")
@click.argument("revision")
def downgrade(revision: str) -> NoReturn:
    """Go back to the step of an older Immich version, or remove everything: base."""
    run("downgrade", step_for(revision))


@click.command(epilog="Example: linked-asset current")
def current() -> NoReturn:
    """Show for which Immich version linked assets are installed."""
    run("current")


@click.command(epilog="Example: linked-asset history --indicate-current")
@click.option("--indicate-current", is_flag=True, help="Mark the installed one. Asks the database.")
def history(indicate_current: bool) -> NoReturn:
    """List the Immich versions that have a step of their own."""
    run("history", *["--indicate-current"] * indicate_current)


def step_for(revision: str) -> str:
    """Most Immich versions have no step of their own, but that of an earlier one."""
    if not re.fullmatch(r"v?\d+\.\d+\.\d+", revision):
        return revision
    return script.step(alembic_config(), revision)


def run(*arguments: str) -> NoReturn:
    """As Alembic's own command line: what a user can cause is a line and an exit code."""
    CommandLine(prog="linked-asset").main(argv=["--config", str(alembic_ini()), *arguments])
    raise SystemExit(0)
