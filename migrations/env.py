"""Connect, guard, climb, link what exists."""

from logging.config import fileConfig

from alembic import context

from linked_asset import operations, upgrade  # noqa: F401  (operations: op.install_linked, op.remove_linked)
from linked_asset.config import database_url
from linked_asset.database import connected, engine_for

config = context.config
if config.cmd_opts is not None and config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def run() -> None:
    engine = config.attributes.get("connection") or engine_for(database_url())
    with connected(engine) as connection:
        upgrade.configure(connection=connection)
        if upgrade.command() == "show":
            upgrade.show(connection)
        else:
            upgrade.change(connection)


with upgrade.in_one_line(config):
    if context.is_offline_mode():
        upgrade.write_script()
    else:
        run()
