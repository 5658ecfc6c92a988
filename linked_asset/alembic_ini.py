"""Alembic's configuration: in the installed package beside this file, in a checkout one folder up."""

from pathlib import Path

from alembic.config import Config

_HERE = Path(__file__).parent


def alembic_ini() -> Path:
    """The file for `alembic -c`."""
    packaged = _HERE / "alembic.ini"
    return packaged if packaged.exists() else _HERE.parent / "alembic.ini"


def alembic_config() -> Config:
    return Config(str(alembic_ini()))
