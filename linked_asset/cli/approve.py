import click

from linked_asset.approve import approve as let_count
from linked_asset.config import database_url
from linked_asset.database import connected, engine_for
from linked_asset.talk import say


@click.command(epilog='Example: linked-asset approve "Linked album of the family"')
@click.argument("album")
def approve(album: str) -> None:
    """Let count what an editor may have written into ALBUM, a name or an id: its name and folders.

    Without a shell: an album of the owner's own, shared with nobody, whose name starts with "approve linked album".
    """
    with connected(engine_for(database_url())) as connection:
        approved = let_count(connection, album)
    say(f"approved: {approved} of what stands in the album counts from now on")
