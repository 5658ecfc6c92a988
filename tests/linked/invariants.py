"""What is always true (SPEC sections 4, 5 and 12), computed apart from the addon's own SQL.

Everything is read into Python and judged there: who is entitled to what from Immich's tables alone, and whether
the members of each group agree row by row, by the policies of the model layer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from linked_asset import immich
from linked_asset.immich import Policy
from tests.release import RELEASE

Row = dict[str, Any]
SHARED = (Policy.SHARED, Policy.PRODUCED)
STATE = (
    "member",
    "face",
    "dismissal",
    "linked_album",
    "waiting",
    "prefix",
    "participant",
    "queue",
    "unsettled",
    "album_pair",
    "album_refusal",
    "stack_pair",
    "person_pair",
    "made_tag",
    "brought",
    "passing_stack",
)


@dataclass
class Snapshot:
    """The tables that the invariants speak of, as rows."""

    release: immich.Release
    tables: dict[str, list[Row]] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], release: str = RELEASE) -> Snapshot:
        snapshot = cls(immich.release(release))
        cursor = connection.cursor(row_factory=dict_row)
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            for table in snapshot.release.tables:
                if table.touched:
                    snapshot.tables[table.name] = cursor.execute(f'select * from public."{table.name}"').fetchall()
            for table_name in STATE:
                rows = cursor.execute(f"select * from linked.{table_name}").fetchall()  # type: ignore[arg-type]
                snapshot.tables[f"linked.{table_name}"] = rows
        if not snapshot.release.table("album").has("ownerId"):
            owners = {row["albumId"]: row["userId"] for row in snapshot["album_user"] if row["role"] == "owner"}
            for album in snapshot["album"]:
                album["ownerId"] = owners.get(album["id"])
        return snapshot

    def __getitem__(self, table: str) -> list[Row]:
        return self.tables[table]

    @property
    def rows_of_assets(self) -> tuple[str, ...]:
        return tuple(table.name for table in self.release.rows_of_assets)

    def persons(self) -> dict[tuple[UUID, UUID], Row]:
        """By whose it is and the id under which Immich shows it."""
        id_ = self.release.table("person").column("personGroupId").name
        return {(row["ownerId"], row[id_]): row for row in self["person"]}

    def shown(self, face: Row) -> Any:
        """The id of the person, or group of persons, on a face."""
        return face[self.release.table("asset_face").column("personGroupId").name]

    def shared(self, table: str) -> tuple[str, ...]:
        return tuple(column.name for column in self.release.table(table).columns if column.policy in SHARED)


@dataclass(frozen=True)
class Entitlement:
    """Who may, and who must, have a clone of what. Pairs of source and user."""

    allowed: frozenset[tuple[UUID, UUID]]
    required: frozenset[tuple[UUID, UUID]]
    writers: frozenset[tuple[UUID, UUID]]
    deleters: frozenset[tuple[UUID, UUID]]
    """Who deletes for everybody."""


def covers(line: str, path: str) -> bool:
    """Whether a line of a description covers a path: folder by folder, as SPEC section 2 puts it."""
    blanks = (" ", "\t", "\r")
    if not line.startswith("/"):
        return False
    while line.endswith(blanks):
        line = line[:-1]
    if line == "/":
        return True
    while line.endswith((*blanks, "/")):
        line = line[:-1]
    folders, parts = line.split("/"), path.split("/")
    return line != "" and len(parts) > len(folders) and parts[: len(folders)] == folders


def entitlement(snapshot: Snapshot) -> Entitlement:
    assets = {row["id"]: row for row in snapshot["asset"]}
    users = {row["id"]: row for row in snapshot["user"]}
    clones = {row["asset_id"] for row in snapshot["linked.member"] if row["asset_id"] != row["source_id"]}
    own = {key: asset for key, asset in assets.items() if key not in clones and asset["visibility"] != "locked"}
    in_a_library = {(row["ownerId"], row["originalPath"]) for row in assets.values() if row["libraryId"] is not None}
    dismissed = {(row["source_id"], row["user_id"]) for row in snapshot["linked.dismissal"]}
    existing = {(row["source_id"], row["owner_id"]) for row in snapshot["linked.member"]}
    stills: dict[UUID, list[UUID]] = defaultdict(list)
    """Of each video part, also those in a locked folder."""
    for key, asset in assets.items():
        video = asset["livePhotoVideoId"]
        if key not in clones and video in assets and assets[video]["ownerId"] == asset["ownerId"]:
            stills[video].append(key)
    allowed: set[tuple[UUID, UUID]] = set()
    required: set[tuple[UUID, UUID]] = set()
    writers: set[tuple[UUID, UUID]] = set()
    deleters: set[tuple[UUID, UUID]] = set()

    def entitle(source: UUID, through: UUID, roles: dict[UUID, str], live: bool, deletes_own: bool) -> None:
        active = all(
            own[key]["deletedAt"] is None and not own[key]["isOffline"] and own[key]["status"] == "active"
            for key in (source, through)
        )
        for user, role in roles.items():
            pair = (source, user)
            if (
                user == own[source]["ownerId"]
                or pair in dismissed
                or (user, own[source]["originalPath"]) in in_a_library
            ):
                continue
            if through != source and (through, user) not in existing:
                continue
            allowed.add(pair)
            if role != "viewer":
                writers.add(pair)
                if not deletes_own:
                    deleters.add(pair)
            if active and live and users[user]["deletedAt"] is None:
                required.add(pair)

    for album, roles, content in _linked_albums(snapshot):
        written = (album["description"] or "").split("\n")
        wait = [line for line in written if waits(snapshot, album, line)]
        lines = [line for line in written if line not in wait]
        # Below one that waits, what counted until now goes on to count.
        lines += [
            row["path"]
            for row in snapshot["linked.prefix"]
            if row["album_id"] == album["id"] and any(covers(line, row["path"]) for line in wait)
        ]
        deletes_own = any("".join(line.split()).lower() == "deletes:own" for line in written) or any(
            row["policy"] for row in snapshot["linked.waiting"] if row["album_id"] == album["id"]
        )
        for source in own:
            for through in stills.get(source, [source]):
                if through not in own:
                    continue
                asset = own[through]
                picked = through in content and asset["ownerId"] in roles
                under = any(covers(line, asset["originalPath"]) for line in lines)
                if picked or (under and asset["ownerId"] == album["ownerId"]):
                    entitle(source, through, roles, album["deletedAt"] is None and bool(album["ownerId"]), deletes_own)
    return Entitlement(frozenset(allowed), frozenset(required), frozenset(writers), frozenset(deleters))


def waits(snapshot: Snapshot, album: Row, line: str | None) -> bool:
    """Whether the owner has still to approve a line of the description; None: the name. `test_approval` says when."""
    rows = [row for row in snapshot["linked.waiting"] if row["album_id"] == album["id"] and not row["policy"]]
    waiting = [row["path"] for row in rows]
    return line in waiting if line is None else line.rstrip(" \t\r/") in waiting and line.startswith("/")


def _linked_albums(snapshot: Snapshot) -> Iterator[tuple[Row, dict[UUID, str], set[UUID]]]:
    """Each linked album with its participants' roles and what is in it."""
    album_user = snapshot.release.table("album_user")
    album_asset = snapshot.release.table("album_asset")
    for album in snapshot["album"]:
        if not album["albumName"].strip(" \t\r\n").lower().startswith("linked album"):
            continue
        if waits(snapshot, album, None):
            continue
        # An album without owner keeps what it has (v3.0).
        roles = {album["ownerId"]: "owner"} if album["ownerId"] else {}
        for row in snapshot["album_user"]:
            if row[album_user.column("albumId").name] == album["id"]:
                roles.setdefault(row[album_user.column("userId").name], row["role"])
        content = {
            row[album_asset.column("assetId").name]
            for row in snapshot["album_asset"]
            if row[album_asset.column("albumId").name] == album["id"]
        }
        yield album, roles, content


def violations(connection: psycopg.Connection[Any], release: str = RELEASE) -> list[str]:
    """Everything that does not hold, one line each."""
    snapshot = Snapshot.of(connection, release)
    return [
        *_membership(snapshot),
        *_agreement(snapshot),
        *_tags(snapshot),
        *_albums(snapshot),
        *_stacks(snapshot),
        *_people(snapshot),
        *_counterparts(snapshot),
        *_traces(snapshot),
    ]


def _membership(snapshot: Snapshot) -> Iterator[str]:
    assets = {row["id"]: row for row in snapshot["asset"]}
    entitled = entitlement(snapshot)
    occupied: dict[tuple[UUID, bytes], set[UUID]] = defaultdict(set)
    for asset in assets.values():
        if asset["libraryId"] is None:
            occupied[asset["ownerId"], bytes(asset["checksum"])].add(asset["id"])
    queued = {row["source_id"] for row in snapshot["linked.queue"]}
    existing: dict[tuple[UUID, UUID], UUID] = {}
    sources = {row["source_id"] for row in snapshot["linked.member"]}
    for member in snapshot["linked.member"]:
        asset = assets.get(member["asset_id"])
        if asset is None:
            yield f"member {member['asset_id']} has no asset"
            continue
        if asset["ownerId"] != member["owner_id"]:
            yield f"member {member['asset_id']} is remembered with another owner"
        if member["asset_id"] == member["source_id"]:
            continue
        if member["source_id"] not in assets:
            yield f"clone {member['asset_id']} has no source"
            continue
        pair = (member["source_id"], member["owner_id"])
        if pair in existing:
            yield f"two clones for {pair}"
        existing[pair] = member["asset_id"]
        if pair not in entitled.allowed:
            yield f"clone {member['asset_id']} of {pair} is not entitled"
        elif member["can_write"] != (pair in entitled.writers):
            yield f"clone {member['asset_id']} of {pair} has the wrong role"
        elif member["can_write"] and member["deletes_own"] != (pair not in entitled.deleters):
            yield f"clone {member['asset_id']} of {pair} follows the wrong policy"
        if asset["libraryId"] is not None or not asset["isExternal"]:
            yield f"clone {member['asset_id']} is not external without library"
    for source in sources:
        if not any(pair[0] == source for pair in existing):
            yield f"source {source} without clones is remembered"
    for source, user in entitled.required - existing.keys():
        if source in queued:
            continue
        if not occupied[user, bytes(assets[source]["checksum"])]:
            yield f"{source} is not linked for {user}"
    members = {row["asset_id"] for row in snapshot["linked.member"]}
    for asset in assets.values():
        looks_like_a_clone = asset.get("deviceId") == "linked" and asset["isExternal"] and asset["libraryId"] is None
        if looks_like_a_clone and asset["id"] not in members:
            yield f"asset {asset['id']} is a clone that no group knows"


def _agreement(snapshot: Snapshot) -> Iterator[str]:
    assets = {row["id"]: row for row in snapshot["asset"]}
    rows: dict[str, dict[UUID, list[Row]]] = {}
    for table in (*snapshot.rows_of_assets, "asset_face"):
        by_asset = rows[table] = defaultdict(list)
        for row in snapshot[table]:
            by_asset[row["assetId"]].append(row)
    embeddings = {row["faceId"]: row["embedding"] for row in snapshot["face_search"]}
    twins = _twins(snapshot)
    keys = {row["face_id"]: row["face_key"] for row in snapshot["linked.face"]}
    member_of = {row["asset_id"]: row for row in snapshot["linked.member"]}
    clone_of = {(row["source_id"], row["owner_id"]): row["asset_id"] for row in snapshot["linked.member"]}

    columns = {"image": "thumbhash", "video": "encodedVideoPath"}
    marked = {(row["source_id"], columns[row["what"]]) for row in snapshot["linked.unsettled"] if row["marked_at"]}

    for source_id, members in _groups(snapshot).items():
        source = assets.get(source_id)
        if source is None:
            continue
        for member in members:
            clone = assets.get(member["asset_id"])
            if clone is None or clone is source:
                continue
            where = f"clone {clone['id']} of {source_id}"
            for name in snapshot.shared("asset"):
                expected = source[name]
                if name == "visibility" and "locked" in (clone[name], source[name]):
                    continue
                if name == "isEdited" and (source_id, "thumbhash") in marked:
                    expected = bool(rows["asset_edit"].get(source_id))
                if (source_id, name) in marked:
                    if not expected and clone[name]:
                        continue
                    yield f"{where}: {name} is not what only the source is marked with"
                if name == "sidecarPath" and not member["can_write"]:
                    expected = f"{source['originalPath']}/read-only.xmp"
                if clone[name] != expected:
                    yield f"{where}: asset.{name} is {clone[name]!r}, not {expected!r}"
            video = source["livePhotoVideoId"]
            if video in member_of:
                video = clone_of.get((member_of[video]["source_id"], clone["ownerId"]))
            elif video is not None:
                video = None
            if clone["livePhotoVideoId"] != video:
                yield f"{where}: livePhotoVideoId is {clone['livePhotoVideoId']}, not {video}"
            for table in snapshot.rows_of_assets:
                names = snapshot.shared(table)
                mine = _comparable(rows[table][clone["id"]], names)
                theirs = _comparable(_files_for(snapshot, member, source, rows[table][source_id], table), names)
                if mine != theirs:
                    yield f"{where}: {table} is {mine}, not {theirs}"
            names = snapshot.shared("asset_face")
            mine_faces = {
                keys.get(face["id"], face["id"]): (*(face[name] for name in names), embeddings.get(face["id"]))
                for face in rows["asset_face"][clone["id"]]
                if member["can_write"] or face["id"] in keys
            }
            their_faces = {
                keys.get(face["id"], face["id"]): (
                    *(face[name] for name in names), None if clone["id"] in twins else embeddings.get(face["id"])
                )
                for face in rows["asset_face"][source_id]
            }  # fmt: skip
            if mine_faces != their_faces:
                yield f"{where}: faces are {mine_faces}, not {their_faces}"


def _files_for(snapshot: Snapshot, member: Row, source: Row, rows: list[Row], table: str) -> list[Row]:
    """In v2.4 a viewer's sidecar is a row of asset_file, of the viewer's own."""
    exif = snapshot.release.table("asset_exif")
    if table != "asset_file" or member["can_write"] or "sidecarPath" in source or exif.has("tags"):
        return rows
    own = {"type": "sidecar", "path": f"{source['originalPath']}/read-only.xmp"}
    return [*(row for row in rows if row["type"] != "sidecar"), own]


def _twins(snapshot: Snapshot) -> set[UUID]:
    """Members whose faces have no embedding: in each cluster group one member has them, the source if it can."""
    users = {row["id"]: row for row in snapshot["user"]}
    twins = set()
    for source, members in _groups(snapshot).items():
        seen = set()
        for member in sorted(members, key=lambda row: (row["asset_id"] != source, row["owner_id"])):
            cluster = users[member["owner_id"]].get("clusterGroupId", member["owner_id"])
            if cluster in seen:
                twins.add(member["asset_id"])
            seen.add(cluster)
    return twins


def _groups(snapshot: Snapshot) -> dict[UUID, list[Row]]:
    groups: dict[UUID, list[Row]] = defaultdict(list)
    for member in snapshot["linked.member"]:
        groups[member["source_id"]].append(member)
    return groups


def _tags(snapshot: Snapshot) -> Iterator[str]:
    table = snapshot.release.table("tag_asset")
    asset_id, tag_id = table.column("assetId").name, table.column("tagId").name
    tags = {row["id"]: row for row in snapshot["tag"]}
    owners = {row["id"]: row["ownerId"] for row in snapshot["asset"]}
    members = {row["asset_id"] for row in snapshot["linked.member"]}
    values: dict[UUID, set[str]] = defaultdict(set)
    for row in snapshot["tag_asset"]:
        values[row[asset_id]].add(tags[row[tag_id]]["value"])
        if row[asset_id] in members and tags[row[tag_id]]["userId"] != owners[row[asset_id]]:
            yield f"asset {row[asset_id]} has a tag of somebody else"
    for source_id, group in _groups(snapshot).items():
        for member in group:
            mine, theirs = values[member["asset_id"]], values[source_id]
            if (mine != theirs) if member["can_write"] else not theirs <= mine:
                yield f"clone {member['asset_id']} of {source_id}: tags are {mine}, not {theirs}"
    closure = {(row["id_ancestor"], row["id_descendant"]) for row in snapshot["tag_closure"]}
    made = {row["tag_id"] for row in snapshot["linked.made_tag"]}
    for tag in made & tags.keys():
        ancestor: UUID | None = tag
        while ancestor is not None:
            if (ancestor, tag) not in closure:
                yield f"tag {tags[tag]['value']} made by the addon lacks a closure row"
            ancestor = tags[ancestor]["parentId"]


def _albums(snapshot: Snapshot) -> Iterator[str]:
    album_asset, album_user = snapshot.release.table("album_asset"), snapshot.release.table("album_user")
    albums = {row["id"]: row for row in snapshot["album"]}
    key_of = {row["album_id"]: row["album_key"] for row in snapshot["linked.album_pair"]}
    counterpart = {(row["album_key"], row["owner_id"]): row["album_id"] for row in snapshot["linked.album_pair"]}
    refused = {(row["album_key"], row["owner_id"]) for row in snapshot["linked.album_refusal"]}
    seen_by = {
        (key_of.get(row[album_user.column("albumId").name]), row[album_user.column("userId").name])
        for row in snapshot["album_user"]
        if row["role"] != "owner"
    }
    content: set[tuple[UUID, UUID]] = {
        (row[album_asset.column("albumId").name], row[album_asset.column("assetId").name])
        for row in snapshot["album_asset"]
    }
    groups = _groups(snapshot)
    locked = {row["id"] for row in snapshot["asset"] if row["visibility"] == "locked"}
    member_of = {row["asset_id"]: row for row in snapshot["linked.member"]}
    for album_id, asset_id in content:
        album, member = albums[album_id], member_of.get(asset_id)
        if member is None or not member["can_write"] or album["ownerId"] != member["owner_id"] or asset_id in locked:
            continue
        if album["deletedAt"] is not None or album["albumName"].strip(" \t\r\n").lower().startswith("linked album"):
            continue
        key = key_of.get(album_id)
        if key is None:
            yield f"album {album_id} holds a member and has no key"
            continue
        for sibling in groups[member["source_id"]]:
            user = sibling["owner_id"]
            if user == member["owner_id"] or (key, user) in refused or (key, user) in seen_by:
                continue
            if sibling["asset_id"] in locked:
                continue
            other = counterpart.get((key, user))
            if other is None:
                yield f"album {album_id} has no counterpart for {user}"
            elif (other, sibling["asset_id"]) not in content:
                yield f"counterpart {other} of album {album_id} lacks {sibling['asset_id']}"
            elif [albums[other][name] for name in ("albumName", "description", "order")] != [
                album[name] for name in ("albumName", "description", "order")
            ]:
                yield f"counterpart {other} of album {album_id} has another name, description or order"


def _stacks(snapshot: Snapshot) -> Iterator[str]:
    assets = {row["id"]: row for row in snapshot["asset"]}
    stacks = {row["id"]: row for row in snapshot["stack"]}
    member_of = {row["asset_id"]: row for row in snapshot["linked.member"]}
    clone_of = {(row["source_id"], row["owner_id"]): row["asset_id"] for row in snapshot["linked.member"]}
    users = {row["owner_id"] for row in snapshot["linked.member"]}
    content: dict[UUID, list[UUID]] = defaultdict(list)
    for asset in assets.values():
        if asset["stackId"] is not None:
            content[asset["stackId"]].append(asset["id"])
    made = {row["stack_id"] for row in snapshot["linked.stack_pair"] if row["stack_id"] != row["stack_key"]}
    for stack_id, stack in stacks.items():
        # Immich itself leaves such stacks behind; the addon does not.
        if stack_id in made and len(content[stack_id]) < 2:
            yield f"stack {stack_id} has fewer than two assets"
        if stack_id in made and assets[stack["primaryAssetId"]]["stackId"] != stack_id:
            yield f"stack {stack_id} is led by an asset outside"
        passing = stack_id in {row["stack_id"] for row in snapshot["linked.passing_stack"]}
        for asset in content[stack_id]:
            member = member_of.get(asset)
            if member and not member["can_write"] and assets[member["source_id"]]["stackId"] is None and not passing:
                yield f"stack {stack_id} holds {asset}, which its owner may only look at"
        linked = [member_of[asset] for asset in content[stack_id] if asset in member_of]
        linked = [member for member in linked if member["can_write"]]
        for user in users - {stack["ownerId"]}:
            part = [clone_of[member["source_id"], user] for member in linked if (member["source_id"], user) in clone_of]
            if len(part) < 2:
                continue
            theirs = {assets[asset]["stackId"] for asset in part}
            # A viewer's own stack of clones stands until the next write.
            if theirs & {row["stack_id"] for row in snapshot["linked.passing_stack"]}:
                continue
            if len(theirs) != 1 or None in theirs:
                yield f"stack {stack_id} is not a stack for {user}"
                continue
            primary = member_of.get(stack["primaryAssetId"])
            mapped = clone_of.get((primary["source_id"], user)) if primary else None
            their_primary = stacks[theirs.pop()]["primaryAssetId"]
            # A picture that is not linked for the other account can lead only the stack that it is in.
            leader = member_of.get(their_primary)
            known = leader is not None and (leader["source_id"], stack["ownerId"]) in clone_of
            if mapped is not None and known and their_primary != mapped:
                yield f"stack {stack_id} of {stack['ownerId']} has another primary asset for {user}: {linked} {part}"


def _people(snapshot: Snapshot) -> Iterator[str]:
    persons = snapshot.persons()
    accounts: dict[UUID, set[UUID]] = defaultdict(set)
    for owner, person in persons:
        accounts[person].add(owner)
    faces = {row["id"]: row for row in snapshot["asset_face"]}
    owners = {row["id"]: row["ownerId"] for row in snapshot["asset"]}
    writers = {row["asset_id"]: row["source_id"] for row in snapshot["linked.member"] if row["can_write"]}
    members = {(row["source_id"], row["owner_id"]) for row in snapshot["linked.member"]}
    left_open = {row["face_id"] for row in snapshot["linked.face"] if row["left_open"]}
    pairs = {(row["owner_id"], row["person_id"]): row["person_key"] for row in snapshot["linked.person_pair"]}
    for pair in pairs.keys() - persons.keys():
        yield f"person {pair} is paired but gone"
    same: dict[UUID, list[Row]] = defaultdict(list)
    for row in snapshot["linked.face"]:
        if row["face_id"] in faces:
            same[row["face_key"]].append(faces[row["face_id"]])
    for face_key, group in same.items():
        seen: dict[UUID, set[UUID]] = defaultdict(set)
        for face in group:
            person, owner = snapshot.shown(face), owners[face["assetId"]]
            if not accounts[person] or face["assetId"] not in writers or face["id"] in left_open:
                continue
            whose = owner if owner in accounts[person] else min(accounts[person])
            if (writers[face["assetId"]], whose) not in members:
                # Of somebody who sees the picture in an ordinary album.
                continue
            if whose != owner:
                yield f"face {face['id']} shows a person of another account"
            seen[person].add(pairs.get((whose, person), person))
        # Persons of one group are the same, paired or not.
        first, *others = seen.values() or [set()]
        while others and (more := [keys for keys in others if keys & first]):
            others = [keys for keys in others if not keys & first]
            first = first.union(*more)
        if others:
            yield f"face {face_key} shows different persons"


def _counterparts(snapshot: Snapshot) -> Iterator[str]:
    """What is remembered of counterparts fits the rows, and nothing that the addon made stays where nobody needs it."""
    owners = {
        "album": {row["id"]: row["ownerId"] for row in snapshot["album"]},
        "stack": {row["id"]: row["ownerId"] for row in snapshot["stack"]},
    }
    for kind, owner_of in owners.items():
        for row in snapshot[f"linked.{kind}_pair"]:
            pair = row[f"{kind}_id"]
            if owner_of.get(pair) != row["owner_id"]:
                yield f"{kind} {pair} is paired and gone, or has another owner"
    linked = {row["user_id"] for row in snapshot["linked.participant"]}
    asset_owner = {row["id"]: row["ownerId"] for row in snapshot["asset"]}
    shown = {(asset_owner[row["assetId"]], snapshot.shown(row)) for row in snapshot["asset_face"]}
    names: dict[UUID, set[str]] = defaultdict(set)
    persons = snapshot.persons()
    known = [
        (row, (row["owner_id"], row["person_id"]))
        for row in snapshot["linked.person_pair"]
        if (row["owner_id"], row["person_id"]) in persons
    ]
    # Immich itself keeps the names of these alike, or leaves them.
    shared = {
        (row[owner], row["personGroupId"])
        for row in snapshot.tables.get("person_user", [])
        for owner in ("sharedById", "sharedWithId")
    }
    for row, key in known:
        if not row["made"] or key in shared:
            names[row["person_key"]].add(persons[key]["name"])
    writable = {row["asset_id"] for row in snapshot["linked.member"] if row["can_write"]}
    shown_to_writers = {
        (asset_owner[row["assetId"]], snapshot.shown(row))
        for row in snapshot["asset_face"]
        if row["assetId"] in writable
    }
    for row, key in known:
        if not row["made"]:
            continue
        if row["owner_id"] not in linked and key not in shown:
            yield f"person {key} was made for an account that is not linked any more"
        theirs = names[row["person_key"]]
        if key in shown_to_writers and key not in shared and theirs and persons[key]["name"] not in theirs:
            yield f"person {key} was made and is called otherwise than those it was made for"
    if "person_group" in snapshot.tables:
        for group in {row["id"] for row in snapshot["person_group"]} - {person for _, person in persons}:
            yield f"group {group} has no person"
    album_asset = snapshot.release.table("album_asset")
    filled = {row[album_asset.column("albumId").name] for row in snapshot["album_asset"]}
    for row in snapshot["linked.album_pair"]:
        if row["album_id"] != row["album_key"] and row["owner_id"] not in linked and row["album_id"] not in filled:
            yield f"album {row['album_id']} was made for an account that is not linked any more"
    tag_asset = snapshot.release.table("tag_asset")
    used = {row[tag_asset.column("tagId").name] for row in snapshot["tag_asset"]}
    needed = {row["id_ancestor"] for row in snapshot["tag_closure"] if row["id_descendant"] in used}
    for row in snapshot["linked.made_tag"]:
        if row["tag_id"] not in needed and row["unused_in"] is None:
            yield f"tag {row['tag_id']} was made, is not used, and will not be swept"


def _comparable(rows: Iterable[Row], names: tuple[str, ...]) -> list[str]:
    return sorted(repr([row[name] for name in names]) for row in rows)


def _traces(snapshot: Snapshot) -> Iterator[str]:
    faces = {row["id"]: row["assetId"] for row in snapshot["asset_face"]}
    members = {row["asset_id"] for row in snapshot["linked.member"]}
    for row in snapshot["linked.face"]:
        if row["face_id"] not in faces:
            yield f"face {row['face_id']} is remembered but gone"
        elif row["asset_id"] not in members:
            yield f"face {row['face_id']} is remembered on an asset that is no member"
    album_asset, tag_asset = snapshot.release.table("album_asset"), snapshot.release.table("tag_asset")
    held = {
        (row[table.column("assetId").name], row[table.column(holder).name])
        for table, holder in ((album_asset, "albumId"), (tag_asset, "tagId"))
        for row in snapshot[table.name]
    }
    viewed = {row["asset_id"] for row in snapshot["linked.member"] if not row["can_write"]}
    for row in snapshot["linked.brought"]:
        if row["asset_id"] not in viewed or (row["asset_id"], row["holder_id"]) not in held:
            yield f"{row} is remembered and not so"
    albums = {
        row["id"] for row in snapshot["album"] if row["albumName"].strip(" \t\r\n").lower().startswith("linked album")
    }
    waiting = {row["album_id"] for row in snapshot["linked.waiting"] if row["path"] is None and row["policy"] is None}
    if {row["album_id"] for row in snapshot["linked.linked_album"]} != albums - waiting:
        yield "linked albums are not those that Immich has"
