"""Lets count what somebody else than its owner may have written into a linked album."""

from sqlalchemy import Connection, Row, text

from linked_asset import errors, linking, shipped
from linked_asset.config import target
from linked_asset.queries import query


def approve(connection: Connection, album: str) -> int:
    """Approves what waits in the album of that name or id, and links it. Returns how much waited."""
    with connection.begin():
        if shipped.installation(connection) is None:
            raise errors.NotInstalled(target=target(connection.engine.url))
        shipped.refuse_to_work(connection)
        found = _waiting(connection, album)
    with connection.begin():
        approved = connection.execute(text("select linked.approve(:album)"), {"album": found.album_id}).scalar_one()
    linking.link_queued(connection)
    return int(approved)


def _waiting(connection: Connection, album: str) -> Row[tuple[str, str]]:
    waiting = connection.execute(query("status/waiting")).all()
    albums = {row.album_id: row for row in waiting if album in (row.album_id, row.name)}
    if not albums:
        names = ", ".join(sorted({f'"{row.name}"' for row in waiting})) or "none"
        raise errors.NothingWaits(album=album, waiting=names)
    if len(albums) > 1:
        raise errors.SeveralAlbums(album=album, ids=", ".join(albums))
    return next(iter(albums.values()))
