"""A phone: what `/sync/stream` has told it, kept up to date from one sync to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.client import Account, Refused

Row = dict[str, Any]

KINDS: dict[str, tuple[str, str, Callable[[Row], Any]]] = {
    # request -> entity, its deletion, key
    "AssetsV1": ("AssetV1", "AssetDeleteV1", lambda row: row.get("id") or row["assetId"]),
    "AssetExifsV1": ("AssetExifV1", "", lambda row: row["assetId"]),
    "StacksV1": ("StackV1", "StackDeleteV1", lambda row: row.get("id") or row["stackId"]),
    "PeopleV1": ("PersonV1", "PersonDeleteV1", lambda row: row.get("id") or row["personId"]),
    "AssetFacesV1": ("AssetFaceV1", "AssetFaceDeleteV1", lambda row: row.get("id") or row["assetFaceId"]),
    "MemoriesV1": ("MemoryV1", "MemoryDeleteV1", lambda row: row.get("id") or row["memoryId"]),
    "MemoryToAssetsV1": ("MemoryToAssetV1", "MemoryToAssetDeleteV1", lambda row: (row["memoryId"], row["assetId"])),
    "AlbumsV1": ("AlbumV1", "AlbumDeleteV1", lambda row: row.get("id") or row["albumId"]),
    "AlbumUsersV1": ("AlbumUserV1", "AlbumUserDeleteV1", lambda row: (row["albumId"], row["userId"])),
    "AlbumToAssetsV1": ("AlbumToAssetV1", "AlbumToAssetDeleteV1", lambda row: (row["albumId"], row["assetId"])),
}
NEWER = {"AssetsV1": "AssetsV2", "AssetFacesV1": "AssetFacesV2", "AlbumsV1": "AlbumsV2"}
"""What replaces a kind in releases that know it."""


class Phone:
    def __init__(self, account: Account) -> None:
        self.account = account.again()
        self.rows: dict[str, dict[Any, Row]] = {request: {} for request in KINDS}
        self.requests = {request: self._requested(request) for request in KINDS}

    def _requested(self, request: str) -> str:
        newer = NEWER.get(request)
        if newer:
            try:
                for _ in self.account.stream([newer]):
                    break
                return newer
            except Refused:
                pass
        return request

    def sync(self) -> None:
        upserts, deletions = {}, {}
        for request, (entity, deletion, key) in KINDS.items():
            versioned = entity[:-1] + self.requests[request][-1]
            upserts[versioned] = upserts[entity.replace("V1", "BackfillV1")] = (request, key)
            deletions[deletion] = (request, key)
        acks: dict[str, str] = {}
        for line in self.account.stream(list(self.requests.values())):
            kind, row = line["type"], line["data"]
            assert kind != "SyncResetV1", "the phone is told to start anew"
            if kind in upserts:
                request, key = upserts[kind]
                self.rows[request][key(row)] = row
            elif kind in deletions:
                request, key = deletions[kind]
                self._forget(request, key(row))
            acks[kind] = line["ack"]
        self.account.acknowledge([ack for kind, ack in acks.items() if kind != "SyncCompleteV1"])

    def _forget(self, request: str, key: Any) -> None:
        self.rows[request].pop(key, None)
        # As the tables of the app do: what refers to it goes along.
        if request == "AssetsV1":
            self._drop(lambda row: row.get("assetId") == key)
        elif request == "MemoriesV1":
            self._drop(lambda row: row.get("memoryId") == key)
        elif request == "AlbumsV1":
            self._drop(lambda row: row.get("albumId") == key)
        elif request == "PeopleV1":
            for row in self.rows["AssetFacesV1"].values():
                if row["personId"] == key:
                    row["personId"] = None

    def _drop(self, gone: Callable[[Row], bool]) -> None:
        for rows in self.rows.values():
            for key in [key for key, row in rows.items() if gone(row)]:
                del rows[key]

    def ids(self, request: str) -> set[Any]:
        return set(self.rows[request])

    def differences(self, fresh: Phone) -> list[str]:
        """What a phone that starts anew has otherwise."""
        found = []
        for request in KINDS:
            mine, theirs = self.rows[request], fresh.rows[request]
            found += [f"{request}: {key} is not there any more" for key in mine.keys() - theirs.keys()]
            found += [f"{request}: {key} is missing" for key in theirs.keys() - mine.keys()]
            found += [
                f"{request}: {key} has {name} {mine[key][name]!r}, not {theirs[key][name]!r}"
                for key in mine.keys() & theirs.keys()
                for name in mine[key]
                if mine[key][name] != theirs[key][name]
            ]
        return found
