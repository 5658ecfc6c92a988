"""What Immich's services do to the database, statement by statement.

    immich = Immich(database)
    family = immich.create_user("family")
    photo = immich.upload(family, "/photos/2020/beach.jpg")
    immich.extract_metadata(photo, description="by the sea")

A method stands for one action of a user or one job; it issues the statements that Immich v1.138.0
issues, in the same shapes, each in a transaction of its own unless Immich opens one.
"""

from .albums import Albums
from .base import Near
from .people import People

__all__ = ["Immich", "Near"]


class Immich(People, Albums):
    """All of Immich, on one database: accounts, media, jobs, tags, people, albums."""
