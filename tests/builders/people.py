"""Faces and people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid4

from psycopg import sql

from .jobs import Jobs

Box = tuple[int, int, int, int]
LEARNED = "machine-learning"


class People(Jobs):
    # --- jobs ---------------------------------------------------------------------------------

    def detect_faces(
        self, asset_id: UUID, boxes: Sequence[Box], *, seeds: Sequence[object] = (), unaware: bool = False
    ) -> list[UUID]:
        """Faces found by machine at these places, and nowhere else: one statement adds and removes
        faces and adds embeddings. Equal seeds make equal faces. Returns the new faces.

        `unaware`: the job had looked at the asset before it had any face."""
        old = [] if unaware else self.faces(asset_id, sourceType=LEARNED)
        known = {_box(face) for face in old}
        new = [
            (uuid4(), box, seeds[index] if seeds else (asset_id, box))
            for index, box in enumerate(boxes)
            if box not in known
        ]
        gone = [face.id for face in old if _box(face) not in set(boxes)]
        if new or gone:
            self._refresh_faces(asset_id, new, gone)
        self.upsert_job_status(asset_id, facesRecognizedAt=dt.datetime.now(dt.UTC))
        return [face for face, _, _ in new]

    def _refresh_faces(self, asset_id: UUID, new: Sequence[tuple[UUID, Box, object]], gone: Sequence[UUID]) -> None:
        parts: list[sql.Composable] = []
        parameters: list[Any] = []
        if new:
            values = sql.SQL(", ").join([sql.SQL("(%s, %s, 1000, 1000, %s, %s, %s, %s)")] * len(new))
            parts.append(
                sql.SQL(
                    """added as (insert into asset_face (id, "assetId", "imageWidth", "imageHeight",
                         "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2")
                       values {})"""
                ).format(values)
            )
            parameters += [value for face, box, _ in new for value in (face, asset_id, *box)]
        if gone:
            parts.append(sql.SQL("removed as (delete from asset_face where id = any(%s))"))
            parameters.append(list(gone))
        if new:
            values = sql.SQL(", ").join([sql.SQL("(%s, %s)")] * len(new))
            parts.append(
                sql.SQL('added_embeddings as (insert into face_search ("faceId", embedding) values {})').format(values)
            )
            parameters += [v for face, _, seed in new for v in (face, self.embedding(seed))]
        statement = sql.SQL("with {} select from (select 1) as dummy")
        self.database.execute(statement.format(sql.SQL(", ").join(parts)), parameters)

    def recognize(self, face: UUID, person: UUID | None = None) -> UUID:
        """The recognition job of one face: a person it is like, or a new one."""
        owner = self.database.value(
            """select "ownerId" from asset join asset_face on "assetId" = asset.id
               where asset_face.id = %s""",
            [face],
        )
        new = person is None or (self._groups and not self.persons(person, owner))
        if new:
            group = person or self.create_group(owner)
            (row,) = self.insert("person", {"ownerId": owner, "faceAssetId": face, **group_of(group)})
            person = self._id(row)
        assert person is not None
        self.reassign_faces([face], person)
        if new:
            self.generate_person_thumbnail(person, owner)
        return person

    def run_recognition(self, faces: Iterable[UUID], *, min_faces: int = 3) -> None:
        """The recognition queue over these faces in this order, one by one, then over those that it deferred."""
        waiting = [(face, False) for face in faces]
        while waiting:
            face, deferred = waiting.pop(0)
            if not self._recognize_by_likeness(face, min_faces=min_faces, deferred=deferred):
                waiting.append((face, True))

    def unrecognized_faces(self) -> list[UUID]:
        """What the recognition job queues: all faces found by machine that show nobody yet, of all users."""
        rows = self.database.fetch(
            self._sql('select id from asset_face where {shown} is null and "sourceType" = %s order by id'), [LEARNED]
        )
        return [row.id for row in rows]

    def _recognize_by_likeness(self, face: UUID, *, min_faces: int, deferred: bool) -> bool:
        """False: to be tried once more when the others are done."""
        found = self.database.fetch(
            self._sql(
                """select {shown} as person, "ownerId", visibility,
                     exists (select from face_search where "faceId" = asset_face.id) as searchable
                   from asset_face join asset on asset.id = "assetId" where asset_face.id = %s"""
            ),
            [face],
        )
        if not found or found[0].person is not None or not found[0].searchable:
            return True
        asset = found[0]
        pool = (
            """in (select other.id from "user" other join "user" mine using ("clusterGroupId") where mine.id = %s)"""
            if self._groups
            else "= %s"
        )
        matches = self.database.fetch(
            self._sql(
                """select person from (
                     select asset_face.{shown} as person,
                       face_search.embedding <=> (select embedding from face_search where "faceId" = %s) as distance
                     from asset_face join asset on asset.id = "assetId" join face_search on "faceId" = asset_face.id
                     where "ownerId" {pool} and asset."deletedAt" is null
                   ) as match where distance <= 0.5 order by distance""",
                pool=sql.SQL(pool),
            ),
            [face, asset.ownerId],
        )
        if min_faces > 1 and len(matches) <= 1:
            return True
        core = len(matches) >= min_faces and asset.visibility == "timeline"
        if not core and not deferred:
            return False
        person = next((match.person for match in matches if match.person), None)
        if person or core:
            self.recognize(face, person)
        return True

    def import_faces(self, asset_id: UUID, people: dict[str, Box]) -> None:
        """Metadata extraction finds names of people in the file: faces are made anew each time."""
        owner = self.asset(asset_id).ownerId
        known = {
            row.name.lower(): self._id(row)
            for row in self.database.fetch("select * from person where \"ownerId\" = %s and name <> ''", [owner])
        }
        missing = [name for name in people if name.lower() not in known]
        if missing:
            rows = self.insert(
                "person", *({"ownerId": owner, "name": name, **group_of(self.create_group(owner))} for name in missing)
            )
            known |= {row.name.lower(): self._id(row) for row in rows}
        old = [face.id for face in self.faces(asset_id, sourceType="exif")]
        new = [(uuid4(), known[name.lower()], box) for name, box in people.items()]
        self.database.execute(
            self._sql(
                """with added as (insert into asset_face (id, {shown}, "assetId", "imageWidth", "imageHeight",
                     "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType") values {values}),
                   removed as (delete from asset_face where id = any(%s)) select from (select 1) as dummy""",
                values=sql.SQL(", ").join([sql.SQL("(%s, %s, %s, 1000, 1000, %s, %s, %s, %s, 'exif')")] * len(new)),
            ),
            [*(v for face, person, box in new for v in (face, person, asset_id, *box)), old],
        )
        faces = {known[name.lower()]: face for (face, _, _), name in zip(new, people, strict=True)}
        if missing:
            people_of = [known[name.lower()] for name in missing]
            self.insert(
                "person",
                *({"personGroupId": person, "ownerId": owner, "faceAssetId": faces[person]} for person in people_of),
                conflict=self.release.table("person").primary_key,
                update=["faceAssetId"],
            )

    def generate_person_thumbnail(self, person: UUID, owner: UUID | None = None) -> None:
        row = self.person(person, owner)
        path = f"/data/thumbs/{row.ownerId}/{str(person)[:2]}/{str(person)[2:4]}/{person}.jpeg"
        self.update_person(person, row.ownerId, thumbnailPath=path)

    def generate_missing_person_thumbnails(self) -> list[UUID]:
        """The part of the job for missing thumbnails that concerns people (nightly, or at an administrator's click).

        Returns those that got one."""
        missing = self._persons("\"thumbnailPath\" = ''", [])
        for person in missing:
            if person.faceAssetId is None:
                faces = self.database.fetch(
                    self._sql('select id from asset_face where {shown} = %s and "deletedAt" is null limit 1'),
                    [person.id],
                )
                if faces:
                    self.update_person(person.id, person.ownerId, faceAssetId=faces[0].id)
        drawn = self.database.fetch(
            self._sql(
                """select person.{id} as id, person."ownerId" from person
                   join asset_face on asset_face.id = person."faceAssetId"
                   join asset on asset_face."assetId" = asset.id
                   left join asset_exif on asset_exif."assetId" = asset.id
                   where person.{id} = any(%s) and asset_face."deletedAt" is null and person."thumbnailPath" = ''"""
            ),
            [[person.id for person in missing]],
        )
        for person in drawn:
            self.generate_person_thumbnail(person.id, person.ownerId)
        return [person.id for person in drawn]

    def reset_face_detection(self) -> None:
        """Detection of all assets from scratch: all faces found by machine go, of all users."""
        self.delete("asset_face", sourceType=LEARNED)
        self.clean_people()

    def reset_faces(self, cluster_of: UUID | None = None) -> None:
        """Recognition from scratch: all faces found by machine lose their person, of all users or of one
        cluster group."""
        if not self._groups:
            self.update("asset_face", sql.SQL('"sourceType" = %(t)s'), {"t": LEARNED}, personGroupId=None)
        elif cluster_of is None:
            self.database.execute(
                """update asset_face set "personGroupId" = null from asset
                   where asset_face."assetId" = asset.id and asset_face."sourceType" = %s""",
                [LEARNED],
            )
        else:
            self.database.execute(
                """update asset_face set "personGroupId" = null
                   from asset inner join "user" on "user".id = asset."ownerId"
                   where asset_face."assetId" = asset.id and asset_face."sourceType" = %s
                     and "user"."clusterGroupId" = (select "clusterGroupId" from "user" where id = %s)""",
                [LEARNED, cluster_of],
            )
        self.clean_people()

    def clean_people(self) -> list[UUID]:
        """The nightly job that deletes people without a face."""
        people = self.database.fetch(
            self._sql(
                """select person.{id} as id from person left join asset_face on asset_face.{shown} = person.{id}
                   where asset_face."deletedAt" is null
                   group by person.{id} having count(asset_face."assetId") = 0"""
            )
        )
        ids = [person.id for person in people]
        if ids:
            self.delete("person", personGroupId=ids)
        if self._groups:
            self.delete_empty_groups()
            self.database.execute(
                """delete from cluster_group
                   where not exists (select from "user" where "user"."clusterGroupId" = cluster_group.id)"""
            )
        return ids

    def delete_empty_groups(self) -> None:
        """Every group of the server of which nobody has a person."""
        self.database.execute(
            """delete from person_group
               where not exists (select from person where person."personGroupId" = person_group.id)"""
        )

    # --- users --------------------------------------------------------------------------------

    def create_group(self, owner: UUID) -> UUID | None:
        """A person group, where a person is one account's view of one."""
        if not self._groups:
            return None
        group: UUID = self.database.value(
            """insert into person_group ("clusterGroupId")
               select "clusterGroupId" from "user" where id = %s returning id""",
            [owner],
        )
        return group

    def create_person(self, owner: UUID, name: str = "", /, **values: Any) -> UUID:
        row = {"ownerId": owner, "name": name, **group_of(self.create_group(owner)), **values}
        return self._id(self.insert("person", row)[0])

    def update_person(self, person: UUID, owner: UUID | None = None, /, **values: Any) -> None:
        """The owner need be said only where several accounts have a person of one group."""
        where = self._sql('{id} = %(person)s and "ownerId" = %(owner)s')
        owner = owner or self.person(person).ownerId
        self.update("person", where, {"person": person, "owner": owner}, **values)

    def delete_people(self, people: Sequence[UUID], owner: UUID | None = None) -> None:
        """People of one account."""
        if not people:
            return
        if not self._groups:
            self.delete("person", personGroupId=list(people))
            return
        self.delete("person", ownerId=owner or self.person(people[0]).ownerId, personGroupId=list(people))
        self.delete_empty_groups()

    def merge_people(
        self, person: UUID, *others: UUID, namesakes_only: bool = False, first: UUID | None = None
    ) -> None:
        """Others become this person, one by one; where it is one of a group, for every account that has both.

        `namesakes_only`: v3.2.0 left out those who had another name. `first`: whose turn comes first (Immich goes by
        the ids of accounts)."""
        for other in others:
            for source in sorted(self.persons(other), key=lambda row: (row.ownerId != first, row.ownerId)):
                for target in self.persons(person, source.ownerId):
                    if not (namesakes_only and source.name not in ("", target.name or source.name)):
                        self._merge(source.ownerId, person, target, other, source)

    def _merge(self, owner: UUID, person: UUID, target: Any, other: UUID, source: Any) -> None:
        blanks = {
            name: getattr(source, name)
            for name in ("name", "birthDate")
            if getattr(source, name) and not getattr(target, name)
        }
        if blanks:
            self.update_person(person, owner, **blanks)
        if not self._groups:
            self.update("asset_face", sql.SQL('"personId" = %(old)s'), {"old": other}, personGroupId=person)
            self.delete("person", personGroupId=[other])
            return
        self.database.execute(
            """update asset_face set "personGroupId" = %s from asset
               where asset_face."assetId" = asset.id and asset_face."personGroupId" = %s and asset."ownerId" = %s""",
            [person, other, owner],
        )
        self.delete("person", ownerId=owner, personGroupId=[other])
        self.delete_empty_groups()

    def join_cluster_group(self, user: UUID, other: UUID) -> None:
        """A user accepts the invitation to another's cluster group."""
        group = self.database.value('select "clusterGroupId" from "user" where id = %s', [other])
        self._move_to(user, group)

    def leave_cluster_group(self, user: UUID) -> None:
        self._move_to(user, self.create_cluster_group())

    def _move_to(self, user: UUID, cluster_group: UUID | None) -> None:
        shared = """exists (select from person other
                            where other."personGroupId" = {} and other."ownerId" <> %(user)s)"""
        with self.transaction():
            self.database.execute(
                f"""update person_group set "clusterGroupId" = %(new)s
                    where id in (select "personGroupId" from person where "ownerId" = %(user)s)
                      and not {shared.format("person_group.id")}""",
                {"user": user, "new": cluster_group},
            )
            mapping = self.database.fetch(
                f"""with shared as (
                      select distinct person."personGroupId" as "oldId" from person
                      where "ownerId" = %(user)s and {shared.format('person."personGroupId"')}
                    ), mapping as materialized (select "oldId", uuid_generate_v4() as "newId" from shared),
                    created as (
                      insert into person_group (id, "clusterGroupId") select "newId", %(new)s::uuid from mapping
                    )
                    select "oldId" as old, "newId" as new from mapping""",
                {"user": user, "new": cluster_group},
            )
            if mapping:
                values = {"user": user, "old": [row.old for row in mapping], "new": [row.new for row in mapping]}
                remapped = '(select unnest(%(old)s::uuid[]) as "oldId", unnest(%(new)s::uuid[]) as "newId") as mapping'
                self.database.execute(
                    f"""update person set "personGroupId" = mapping."newId" from {remapped}
                        where person."personGroupId" = mapping."oldId" and person."ownerId" = %(user)s""",
                    values,
                )
                self.database.execute(
                    f"""update asset_face set "personGroupId" = mapping."newId" from {remapped}
                        where asset_face."personGroupId" = mapping."oldId"
                          and exists (select from asset
                                      where asset.id = asset_face."assetId" and asset."ownerId" = %(user)s)""",
                    values,
                )
        self.update_one("user", user, clusterGroupId=cluster_group, updatedAt=dt.datetime.now(dt.UTC))

    def share_people(self, owner: UUID, users: Sequence[UUID], role: str = "read") -> None:
        """A user shares everyone."""
        self.database.execute(
            """insert into person_user ("personGroupId", "sharedById", "sharedWithId", role)
               select "personGroupId", "ownerId", shared.id, %s::person_user_role_enum
               from person cross join unnest(%s::uuid[]) as shared (id) where "ownerId" = %s
               on conflict ("personGroupId", "sharedById", "sharedWithId") do update set role = excluded.role
               returning *""",
            [role, list(users), owner],
        )

    def rename_shared(self, user: UUID, person: UUID, /, **values: Any) -> None:
        """Name or birth date of a person, for all who have let this user write."""
        self.update_person(person, user, **values)
        for row in self.database.fetch(
            """select "sharedById" as owner from person_user
               where "personGroupId" = %s and "sharedWithId" = %s and role in ('write', 'admin')""",
            [person, user],
        ):
            self.update_person(person, row.owner, **values)

    def create_face(self, asset_id: UUID, person: UUID | None, box: Box = (1, 1, 9, 9)) -> UUID:
        """A face drawn by hand."""
        (face,) = self.insert(
            "asset_face",
            {
                "assetId": asset_id, "personGroupId": person, "imageWidth": 1000, "imageHeight": 1000,
                "boundingBoxX1": box[0], "boundingBoxY1": box[1], "boundingBoxX2": box[2],
                "boundingBoxY2": box[3], "sourceType": "manual",
            },
        )  # fmt: skip
        return face.id

    def reassign_faces(self, faces: Sequence[UUID], person: UUID | None) -> None:
        self.update("asset_face", sql.SQL("id = any(%(faces)s)"), {"faces": list(faces)}, personGroupId=person)

    def delete_face(self, face: UUID, *, force: bool = False) -> None:
        if force:
            self.delete("asset_face", id=face)
        else:
            where = sql.SQL("id = %(id)s")
            self.update("asset_face", where, {"id": face}, deletedAt=dt.datetime.now(dt.UTC))

    # --- rows ---------------------------------------------------------------------------------

    def person(self, person: UUID, owner: UUID | None = None) -> Any:
        """The row, with its id under that name."""
        (row,) = self.persons(person, owner)
        return row

    def persons(self, person: UUID, owner: UUID | None = None) -> list[Any]:
        """Of every account, or of one."""
        return [row for row in self._persons("{id} = %s", [person]) if owner in (None, row.ownerId)]

    def people(self, owner: UUID) -> list[Any]:
        return self._persons('"ownerId" = %s order by name, {id}', [owner])

    def _persons(self, where: str, parameters: Sequence[Any]) -> list[Any]:
        columns = "*, {id} as id" if self._groups else "*"
        return self.database.fetch(self._sql(f"select {columns} from person where {where}"), parameters)

    def faces(self, asset_id: UUID, /, **where: Any) -> list[Any]:
        """Whom a face shows has the name `personId` in every release."""
        columns = '*, "personGroupId" as "personId"' if self._groups else "*"
        rows = self.database.fetch(f'select {columns} from asset_face where "assetId" = %s order by id', [asset_id])
        return [r for r in rows if all(getattr(r, key) == value for key, value in where.items())]

    # --- names --------------------------------------------------------------------------------

    @property
    def _groups(self) -> bool:
        return self.release.has("person_group")

    def _id(self, row: Any) -> UUID:
        """Of a row of person."""
        id_: UUID = getattr(row, self.release.table("person").column("personGroupId").name)
        return id_

    def _sql(self, statement: str, **parts: sql.Composable) -> sql.Composed:
        names = {"id": self.column("person", "personGroupId"), "shown": self.column("asset_face", "personGroupId")}
        return sql.SQL(statement).format(**names, **parts)  # type: ignore[arg-type]


def group_of(group: UUID | None) -> dict[str, UUID]:
    """The value for an insert of a person; without a group the row gets an id by itself."""
    return {} if group is None else {"personGroupId": group}


def _box(face: Any) -> Box:
    return (face.boundingBoxX1, face.boundingBoxY1, face.boundingBoxX2, face.boundingBoxY2)
