"""Immich's HTTP API as far as the tests use it. What differs between releases is here and nowhere else."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.pictures import File

Json = dict[str, Any]
PASSWORD = "password"
IDLE_SECONDS = 240
RESTORE_SECONDS = 240


class Refused(AssertionError):
    """Immich answered with an error."""

    def __init__(self, response: httpx.Response) -> None:
        request = response.request
        super().__init__(f"{request.method} {request.url.path}: {response.status_code} {response.text[:500]}")
        self.status = response.status_code


@dataclass(eq=False)
class Api:
    """One session, as web or phone have it."""

    url: str
    token: str | None = None
    version: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        self.http = httpx.Client(base_url=f"{self.url}/api", headers=headers, timeout=120)

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        response = self.http.request(method, path, **({"json": body} if body is not None else {}), **more)
        if response.is_error:
            raise Refused(response)
        return response.json() if response.content and "json" in response.headers.get("content-type", "") else None

    def status(self, path: str, **query: str) -> int:
        """What a browser would get: 200 with a body that is really there."""
        with self.http.stream("GET", path, params=query) as response:
            try:
                size = sum(len(part) for part in response.iter_bytes())
            except httpx.HTTPError:
                return 0
            return response.status_code if size or response.status_code != 200 else 0


def log_in(url: str, email: str, password: str) -> Json:
    answer: Json = Api(url).call("POST", "/auth/login", {"email": email, "password": password})
    return answer


class Account(Api):
    """A user, logged in."""

    def __init__(self, url: str, email: str, password: str = PASSWORD) -> None:
        about = log_in(url, email, password)
        self.id: str = about["userId"]
        self.name: str = about["name"]
        self.email = email
        version = Api(url).call("GET", "/server/version")
        super().__init__(url, about["accessToken"], (version["major"], version["minor"], version["patch"]))

    def __repr__(self) -> str:
        return self.name

    def again(self) -> Account:
        """The same user on another device."""
        return Account(self.url, self.email)

    # Media

    def upload(self, file: File, **fields: str) -> Json:
        """The answer: `id`, and `status` created or duplicate."""
        answer: Json = self.call("POST", "/assets", files=self._parts(file), data={**self._about(file), **fields})
        return answer

    def upload_all(self, files: Iterable[File]) -> list[str]:
        return [self.upload(file)["id"] for file in files]

    def replace(self, asset: str, file: File) -> Json:
        """Immich's `replace asset`, until v2.7."""
        answer: Json = self.call("PUT", f"/assets/{asset}/original", files=self._parts(file), data=self._about(file))
        return answer

    def is_known(self, file: File) -> bool:
        """What a phone asks before it uploads."""
        checksum = hashlib.sha1(file.content).hexdigest()
        answer = self.call("POST", "/assets/bulk-upload-check", {"assets": [{"id": "1", "checksum": checksum}]})
        return bool(answer["results"][0]["action"] == "reject")

    def _parts(self, file: File) -> Any:
        return {"assetData": (file.name, file.content, "application/octet-stream")}

    def _about(self, file: File) -> dict[str, str]:
        taken = file.taken.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
        about = {"fileCreatedAt": taken, "fileModifiedAt": taken, "filename": file.name}
        if self.version < (3,):
            about |= {"deviceAssetId": f"{file.name}-{uuid4()}", "deviceId": "tests"}
        return about

    def search(self, **query: Any) -> list[Json]:
        """All that `search/metadata` finds."""
        found: list[Json] = []
        page: Any = 1
        while page:
            answer = self.call("POST", "/search/metadata", {"size": 500, "page": int(page), **query})["assets"]
            found += answer["items"]
            page = answer["nextPage"]
        return found

    def assets(self) -> list[Json]:
        """Timeline and archive, own ones only."""
        found = self.search()
        # Asked for nothing in particular v3 finds the videos of live photos as well, and those before no archive.
        if self.version < (3,):
            found += self.search(visibility="archive")
        return [asset for asset in found if asset["ownerId"] == self.id and asset["visibility"] != "hidden"]

    def trashed(self) -> list[Json]:
        everything = self.search(withDeleted=True)
        return [asset for asset in everything if asset["isTrashed"] and asset["ownerId"] == self.id]

    def names(self) -> list[str]:
        return sorted(asset["originalFileName"] for asset in self.assets())

    def timeline(self) -> list[str]:
        """Ids, as the web's timeline loads them."""
        ids: list[str] = []
        for bucket in self.call("GET", "/timeline/buckets", params={"visibility": "timeline"}):
            query = {"timeBucket": bucket["timeBucket"], "visibility": "timeline"}
            ids += self.call("GET", "/timeline/bucket", params=query)["id"]
        return ids

    def find(self, name: str, trashed: bool = False) -> str:
        """The id of the one asset of this name."""
        listed = self.trashed() if trashed else self.assets()
        found = [asset["id"] for asset in listed if asset["originalFileName"] == name]
        assert len(found) == 1, f"{self} has {len(found)} of {name}"
        return str(found[0])

    def asset(self, asset: str) -> Json:
        answer: Json = self.call("GET", f"/assets/{asset}")
        return answer

    def change(self, asset: str, **values: Any) -> Json:
        answer: Json = self.call("PUT", f"/assets/{asset}", values)
        return answer

    def trash(self, *assets: str) -> None:
        self.call("DELETE", "/assets", {"ids": list(assets), "force": False})

    def delete(self, *assets: str) -> None:
        self.call("DELETE", "/assets", {"ids": list(assets), "force": True})

    def restore(self, *assets: str) -> None:
        self.call("POST", "/trash/restore/assets", {"ids": list(assets)})

    def empty_trash(self) -> None:
        self.call("POST", "/trash/empty")

    def edit(self, asset: str, *edits: Json) -> None:
        """Crop, rotate or mirror; from v2.5."""
        self.call("PUT", f"/assets/{asset}/edits", {"edits": list(edits)})

    def smart(self, query: str, size: int = 100) -> list[str]:
        answer = self.call("POST", "/search/smart", {"query": query, "size": size})
        return [asset["originalFileName"] for asset in answer["assets"]["items"] if asset["ownerId"] == self.id]

    def markers(self) -> list[str]:
        return sorted(marker["id"] for marker in self.call("GET", "/map/markers"))

    def memories(self) -> list[Json]:
        answer: list[Json] = self.call("GET", "/memories")
        return answer

    # People

    def people(self) -> list[Json]:
        answer: Json = self.call("GET", "/people", params={"withHidden": "true", "size": 500})
        return list(answer["people"])

    def person(self, name: str) -> Json:
        found = [person for person in self.people() if person["name"] == name]
        assert len(found) == 1, f"{self} has {len(found)} of {name}: {[person['name'] for person in self.people()]}"
        return found[0]

    def faces(self, asset: str) -> list[Json]:
        """From left to right."""
        answer: list[Json] = self.call("GET", "/faces", params={"id": asset})
        return sorted(answer, key=lambda face: (face["boundingBoxX1"], face["boundingBoxY1"]))

    def named(self, asset: str) -> list[str | None]:
        """Who is on it, from left to right."""
        return [face["person"] and face["person"]["name"] for face in self.faces(asset)]

    def name_person(self, person: str, name: str) -> None:
        self.call("PUT", f"/people/{person}", {"name": name})

    def merge(self, into: str, *others: str) -> None:
        self.call("POST", f"/people/{into}/merge", {"ids": list(others)})

    def assign(self, face: str, person: str) -> None:
        self.call("PUT", f"/faces/{person}", {"id": face})

    def draw(self, asset: str, person: str, box: tuple[int, int, int, int] = (10, 400, 110, 500)) -> None:
        left, top, right, bottom = box
        self.call(
            "POST",
            "/faces",
            {
                "assetId": asset, "personId": person, "imageWidth": 800, "imageHeight": 600,
                "x": left, "y": top, "width": right - left, "height": bottom - top,
            },
        )  # fmt: skip

    def pictures_of(self, person: str) -> list[str]:
        return sorted(asset["originalFileName"] for asset in self.search(personIds=[person]))

    # Albums, tags, stacks

    def create_album(
        self, name: str, assets: Sequence[str] = (), description: str = "", **users: Iterable[Account]
    ) -> str:
        """`editor=[...]`, `viewer=[...]`."""
        shared = [{"userId": user.id, "role": role} for role, them in users.items() for user in them]
        body = {"albumName": name, "description": description, "albumUsers": shared, "assetIds": list(assets)}
        return str(self.call("POST", "/albums", body)["id"])

    def albums(self) -> list[Json]:
        """One's own."""
        listed: list[Json] = self.call("GET", "/albums")
        return [album for album in listed if self.owner_of(album) == self.id]

    def owner_of(self, album: Json) -> str:
        if "ownerId" in album:
            return str(album["ownerId"])
        return str(next(user["user"]["id"] for user in album["albumUsers"] if user["role"] == "owner"))

    def album(self, name: str) -> Json:
        found = [album for album in self.albums() if album["albumName"] == name]
        assert len(found) == 1, f"{self} has {len(found)} of {name}"
        return found[0]

    def content(self, album: str) -> list[str]:
        return sorted(asset["originalFileName"] for asset in self.search(albumIds=[album]))

    def put_in(self, album: str, *assets: str) -> list[Json]:
        answer: list[Json] = self.call("PUT", f"/albums/{album}/assets", {"ids": list(assets)})
        return answer

    def take_out(self, album: str, *assets: str) -> None:
        self.call("DELETE", f"/albums/{album}/assets", {"ids": list(assets)})

    def share(self, album: str, user: Account, role: str = "editor") -> None:
        self.call("PUT", f"/albums/{album}/users", {"albumUsers": [{"userId": user.id, "role": role}]})

    def unshare(self, album: str, user: Account) -> None:
        self.call("DELETE", f"/albums/{album}/user/{user.id}")

    def set_role(self, album: str, user: Account, role: str) -> None:
        self.call("PUT", f"/albums/{album}/user/{user.id}", {"role": role})

    def change_album(self, album: str, **values: Any) -> None:
        self.call("PATCH", f"/albums/{album}", values)

    def delete_album(self, album: str) -> None:
        self.call("DELETE", f"/albums/{album}")

    def tag(self, value: str, *assets: str) -> str:
        tag = self.call("PUT", "/tags", {"tags": [value]})[0]["id"]
        self.call("PUT", f"/tags/{tag}/assets", {"ids": list(assets)})
        return str(tag)

    def untag(self, value: str, *assets: str) -> None:
        tag = next(tag["id"] for tag in self.call("GET", "/tags") if tag["value"] == value)
        self.call("DELETE", f"/tags/{tag}/assets", {"ids": list(assets)})

    def tags_of(self, asset: str) -> list[str]:
        return sorted(tag["value"] for tag in self.asset(asset).get("tags") or [])

    def stack(self, *assets: str) -> str:
        return str(self.call("POST", "/stacks", {"assetIds": list(assets)})["id"])

    def stacks(self) -> list[Json]:
        answer: list[Json] = self.call("GET", "/stacks")
        return answer

    # Sync

    def stream(self, types: Sequence[str]) -> Iterator[Json]:
        with self.http.stream("POST", "/sync/stream", json={"types": list(types)}) as response:
            if response.is_error:
                response.read()
                raise Refused(response)
            for line in response.iter_lines():
                if line:
                    yield json.loads(line)

    def acknowledge(self, acks: Sequence[str]) -> None:
        for start in range(0, len(acks), 1000):
            self.call("POST", "/sync/ack", {"acks": list(acks[start : start + 1000])})


@dataclass
class Server:
    """Immich as its administrator sees it."""

    url: str
    email: str
    password: str
    admin: Account = field(init=False)

    def __post_init__(self) -> None:
        self.admin = Account(self.url, self.email, self.password)
        self.version = self.admin.version

    def create_user(self, name: str, quota: int | None = None) -> Account:
        email = f"{name.lower()}-{uuid4().hex[:8]}@example.org"
        body: Json = {"email": email, "password": PASSWORD, "name": name, "shouldChangePassword": False}
        if quota is not None:
            body["quotaSizeInBytes"] = quota
        self.admin.call("POST", "/admin/users", body)
        user = Account(self.url, email)
        # Who is listed among people is a user's preference in later releases, the system's configuration before.
        if "minimumFaces" in user.call("GET", "/users/me/preferences")["people"]:
            user.call("PUT", "/users/me/preferences", {"people": {"minimumFaces": 1}})
        return user

    def delete_user(self, user: Account, force: bool = True) -> None:
        self.admin.call("DELETE", f"/admin/users/{user.id}", {"force": force})

    def configure(self, change: Json) -> None:
        """Merges into the system's configuration."""

        def merge(old: Json, new: Json) -> Json:
            return {
                **old,
                **{key: merge(old[key], value) if isinstance(value, dict) else value for key, value in new.items()},
            }

        self.admin.call("PUT", "/system-config", merge(self.admin.call("GET", "/system-config"), change))

    def queues(self) -> dict[str, Json]:
        answer: Json = self.admin.call("GET", "/jobs")
        return {name: status["jobCounts"] for name, status in answer.items()}

    def run(self, queue: str, force: bool = True) -> None:
        """What the button of the job page does."""
        self.admin.call("PUT", f"/jobs/{queue}", {"command": "start", "force": force})

    def run_manual(self, name: str) -> None:
        self.admin.call("POST", "/jobs", {"name": name})

    def wait(self) -> None:
        """Until every queue is empty, three looks in a row: jobs queue others when they are done. Mails wait
        for minutes."""
        deadline = time.monotonic() + IDLE_SECONDS
        quiet = 0
        while quiet < 3:
            busy = {
                name: counts
                for name, counts in self.queues().items()
                if counts["active"]
                + counts["waiting"]
                + counts["paused"]
                + (name != "notifications" and counts["delayed"])
            }
            quiet = 0 if busy else quiet + 1
            assert time.monotonic() < deadline, f"still busy: {busy}"
            time.sleep(0.25 if busy else 0.15)

    def failed(self) -> dict[str, int]:
        return {name: counts["failed"] for name, counts in self.queues().items() if counts["failed"]}

    def create_library(self, owner: Account, folder: str) -> str:
        body = {"ownerId": owner.id, "name": f"library of {owner}", "importPaths": [folder]}
        return str(self.admin.call("POST", "/libraries", body)["id"])

    def scan(self, library: str) -> None:
        self.admin.call("POST", f"/libraries/{library}/scan")

    # Backups of the database; Immich itself restores them from v2.5 on

    @property
    def can_restore(self) -> bool:
        return self.version >= (2, 5, 0)

    def backups(self) -> set[str]:
        return {backup["filename"] for backup in self.admin.call("GET", "/admin/database-backups")["backups"]}

    def back_up(self) -> str:
        """The new backup's name."""
        before = self.backups()
        self.run_manual("backup-database")
        self.wait()
        (name,) = self.backups() - before
        return name

    def restore(self, backup: str) -> None:
        """Immich starts anew in its maintenance mode, restores, and starts anew as it was."""
        self.admin.call("POST", "/admin/maintenance", {"action": "restore_database", "restoreBackupFilename": backup})
        deadline = time.monotonic() + RESTORE_SECONDS
        seen = False
        while True:
            try:
                status = self.admin.call("GET", "/admin/maintenance/status")
            except (httpx.HTTPError, Refused):
                status = {"active": False, "task": "away"}
            assert not status.get("error"), f"Immich did not restore: {status['error']}"
            seen = seen or status["active"]
            if seen and not status["active"] and status.get("task") != "away":
                break
            assert time.monotonic() < deadline, f"Immich does not come back from maintenance: {status}"
            time.sleep(0.2)
