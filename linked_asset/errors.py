"""What can go wrong, each with a name. The docstring is the message; what it is filled with stays at hand as `data`."""

from inspect import cleandoc
from typing import Any


class LinkedAssetError(Exception):
    """Something went wrong."""

    def __init__(self, **data: Any) -> None:
        self.data = data
        super().__init__(cleandoc(type(self).__doc__ or "").replace("\n", " ").format(**data))


# The database cannot be reached


class InvalidConfiguration(LinkedAssetError):
    """{variable}: {problem}."""


class DatabaseUnreachable(LinkedAssetError):
    """cannot connect to {target}: {reason} (set DB_URL, or DB_HOSTNAME, DB_PORT, DB_USERNAME, DB_PASSWORD and
    DB_DATABASE_NAME)."""


class DatabaseMissing(LinkedAssetError):
    """there is no such database: {target} (set DB_DATABASE_NAME, or the last part of DB_URL)."""


class LoginRefused(LinkedAssetError):
    """the database does not let us in: {target}: {reason} (set DB_USERNAME and DB_PASSWORD, or DB_URL)."""


class UnexpectedError(LinkedAssetError):
    """the database says: {reason} (SQLSTATE {sqlstate}). This is likely a bug: `linked-asset --debug`, or
    LINKED_ASSET_DEBUG=1 with alembic, shows where."""


class DatabaseRefused(LinkedAssetError):
    """the database gave up: {reason}. Nothing is lost, run the same command again."""


class ReadOnly(LinkedAssetError):
    """{target} can only be read ({reason}): connect to the primary server, as a role whose transactions may write
    (default_transaction_read_only)."""


# The database is not what we need


class NotImmich(LinkedAssetError):
    """{target} is not an Immich database: it has no table {missing} in schema public. Nothing has been changed."""


class ImmichTooOld(LinkedAssetError):
    """Immich is older than {oldest}{running}: upgrade Immich first. Nothing has been changed."""


class TablesDoNotFit(LinkedAssetError):
    """Immich's tables do not fit {release}{running}: {differences}. Nothing has been changed."""


class TablesOlderThanInstalled(LinkedAssetError):
    """Immich's tables are those of {fitting}, the installed step is {installed}: run `alembic downgrade {fitting}`.
    Nothing has been changed."""


class ForeignSchema(LinkedAssetError):
    """schema "linked" exists already and is not ours (the SQL scripts of immich-linked-assets use the same name).
    What those have linked `linked-asset adopt` takes over. Else remove it first, by its own means where it made copies
    (of those scripts immich_delete_linked_asset.sql): `{remedy}`. Nothing has been changed."""


class NothingToAdopt(LinkedAssetError):
    """there is nothing of the immich-linked-assets scripts to take over (tables linked.asset, linked.shared_album and
    the like). Nothing has been changed."""


class NotAdopted(LinkedAssetError):
    """what the immich-linked-assets scripts have linked cannot be taken over: {reason}. Nothing has been changed."""


class OtherIsolation(LinkedAssetError):
    """{what}: the default isolation is {level}, under which Immich's own statements would fail once the addon is
    installed: `{remedy}`. Nothing has been changed."""


class RightMissing(LinkedAssetError):
    """role "{role}" lacks a right: {right}. Nothing has been changed."""


class MediaUnreadable(LinkedAssetError):
    """the media folder cannot be looked through ({reason}): run this as a user who may read it."""


class NotInstalled(LinkedAssetError):
    """linked assets are not installed in {target}: run `alembic upgrade head`."""


class Outdated(LinkedAssetError):
    """linked assets were installed by version {version} of this package, or by another build of this one: run
    `alembic upgrade head`."""


class Damaged(LinkedAssetError):
    """linked assets are damaged: {what}. `alembic upgrade head` mends what can be mended. Do not drop schema "linked":
    clones would stay, and with one of them Immich deletes the family's file."""


class Renamed(LinkedAssetError):
    """linked assets are damaged: schema "linked" is called "{name}" now, and no trigger finds it: `{remedy}`. Do not
    drop it: clones would stay, and with one of them Immich deletes the family's file. Nothing has been changed."""


class NotCompared(LinkedAssetError):
    """whether tables, functions and triggers of linked assets are as they should be cannot be told: {reason}."""


class BeyondMending(LinkedAssetError):
    """linked assets are damaged, and this cannot be mended without guessing: {what}. Restore it from a backup of the
    database. Do not drop schema "linked": clones would stay, and with one of them Immich deletes the family's file.
    Nothing has been changed."""


class Refused(LinkedAssetError):
    """{reason}. Nothing has been changed."""


class Stamped(LinkedAssetError):
    """what is installed is for Immich {installed}: `alembic upgrade` and `alembic downgrade` change that, a stamp only
    says so. Nothing has been changed."""


class InstalledByNewer(LinkedAssetError):
    """linked assets were installed for Immich {release} by a newer version of this package, which is needed here:
    upgrade the package. Nothing has been changed."""


class InstalledByOlder(LinkedAssetError):
    """the addon was installed by another build (version {version}) of this package: run `alembic upgrade head`."""


class Suspended(LinkedAssetError):
    """sync is suspended, because Immich's tables have changed ({why}): run `alembic upgrade head`."""


class SuspendedAgain(LinkedAssetError):
    """installed, but sync has been suspended again while linking, because Immich's tables have changed ({why}): run the
    same command again."""


class NothingWaits(LinkedAssetError):
    """nothing waits for approval in an album "{album}". Waiting: {waiting}."""


class SeveralAlbums(LinkedAssetError):
    """several albums "{album}" wait for approval: give the id of one ({ids})."""


class UnknownImmich(LinkedAssetError):
    """there is no step for Immich {version}, the oldest is {oldest}."""


# Not now


class TablesLocked(LinkedAssetError):
    """Immich is busy: its tables could not be locked within {seconds} s ({reason}). Nothing has been changed, try again
    later."""


class ImmichBusy(LinkedAssetError):
    """Immich is busy: it held what was needed in {tries} tries ({reason}). What was done before that stays; the same
    command goes on from here."""


class AnotherUpgrade(LinkedAssetError):
    """another upgrade or downgrade of linked assets is running on this database. Nothing has been changed."""


class LinkingStuck(LinkedAssetError):
    """linking does not get on: {queued} media stay queued. `linked-asset status` shows the incidents; the same command
    goes on from here."""
