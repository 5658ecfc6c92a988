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
        new = person is None
        if person is None:
            (row,) = self.insert("person", {"ownerId": owner, "faceAssetId": face})
            person = row.id
        self.reassign_faces([face], person)
        if new:
            self.generate_person_thumbnail(person)
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
            'select id from asset_face where "personId" is null and "sourceType" = %s order by id', [LEARNED]
        )
        return [row.id for row in rows]

    def _recognize_by_likeness(self, face: UUID, *, min_faces: int, deferred: bool) -> bool:
        """False: to be tried once more when the others are done."""
        found = self.database.fetch(
            """select "personId", "ownerId", visibility from asset_face join asset on asset.id = "assetId"
               where asset_face.id = %s""",
            [face],
        )
        if not found or found[0].personId is not None:
            return True
        asset = found[0]
        matches = self.database.fetch(
            """select "personId" from (
                 select asset_face."personId",
                   face_search.embedding <=> (select embedding from face_search where "faceId" = %s) as distance
                 from asset_face join asset on asset.id = "assetId" join face_search on "faceId" = asset_face.id
                 where "ownerId" = %s and asset."deletedAt" is null
               ) as match where distance <= 0.5 order by distance""",
            [face, asset.ownerId],
        )
        if min_faces > 1 and len(matches) <= 1:
            return True
        core = len(matches) >= min_faces and asset.visibility == "timeline"
        if not core and not deferred:
            return False
        person = next((match.personId for match in matches if match.personId), None)
        if person or core:
            self.recognize(face, person)
        return True

    def import_faces(self, asset_id: UUID, people: dict[str, Box]) -> None:
        """Metadata extraction finds names of people in the file: faces are made anew each time."""
        owner = self.asset(asset_id).ownerId
        known = {
            row.name.lower(): row.id
            for row in self.database.fetch("select id, name from person where \"ownerId\" = %s and name <> ''", [owner])
        }
        missing = [name for name in people if name.lower() not in known]
        if missing:
            rows = self.insert("person", *({"ownerId": owner, "name": name} for name in missing))
            known |= {row.name.lower(): row.id for row in rows}
        old = [face.id for face in self.faces(asset_id, sourceType="exif")]
        new = [(uuid4(), known[name.lower()], box) for name, box in people.items()]
        self.database.execute(
            sql.SQL(
                """with added as (insert into asset_face (id, "personId", "assetId", "imageWidth", "imageHeight",
                     "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType") values {}),
                   removed as (delete from asset_face where id = any(%s)) select from (select 1) as dummy"""
            ).format(sql.SQL(", ").join([sql.SQL("(%s, %s, %s, 1000, 1000, %s, %s, %s, %s, 'exif')")] * len(new))),
            [*(v for face, person, box in new for v in (face, person, asset_id, *box)), old],
        )
        faces = {known[name.lower()]: face for (face, _, _), name in zip(new, people, strict=True)}
        if missing:
            people_of = [known[name.lower()] for name in missing]
            self.insert(
                "person",
                *({"id": person, "ownerId": owner, "faceAssetId": faces[person]} for person in people_of),
                conflict=["id"],
                update=["faceAssetId"],
            )

    def generate_person_thumbnail(self, person: UUID) -> None:
        row = self.person(person)
        path = f"/data/thumbs/{row.ownerId}/{str(person)[:2]}/{str(person)[2:4]}/{person}.jpeg"
        self.update_person(person, thumbnailPath=path)

    def generate_missing_person_thumbnails(self) -> list[UUID]:
        """The part of the job for missing thumbnails that concerns people (nightly, or at an administrator's click).

        Returns those that got one."""
        missing = self.database.fetch("select * from person where \"thumbnailPath\" = ''")
        for person in missing:
            if person.faceAssetId is None:
                faces = self.database.fetch(
                    'select id from asset_face where "personId" = %s and "deletedAt" is null limit 1', [person.id]
                )
                if faces:
                    self.update_person(person.id, faceAssetId=faces[0].id)
        drawn = self.database.fetch(
            """select person.id from person
               join asset_face on asset_face.id = person."faceAssetId"
               join asset on asset_face."assetId" = asset.id
               left join asset_exif on asset_exif."assetId" = asset.id
               where person.id = any(%s) and asset_face."deletedAt" is null""",
            [[person.id for person in missing]],
        )
        for person in drawn:
            self.generate_person_thumbnail(person.id)
        return [person.id for person in drawn]

    def reset_face_detection(self) -> None:
        """Detection of all assets from scratch: all faces found by machine go, of all users."""
        self.delete("asset_face", sourceType=LEARNED)
        self.clean_people()

    def reset_faces(self) -> None:
        """Recognition from scratch: all faces found by machine lose their person, of all users."""
        self.update("asset_face", sql.SQL('"sourceType" = %(t)s'), {"t": LEARNED}, personId=None)
        self.clean_people()

    def clean_people(self) -> list[UUID]:
        """The nightly job that deletes people without a face."""
        people = self.database.fetch(
            """select person.id from person left join asset_face on asset_face."personId" = person.id
               where asset_face."deletedAt" is null
               group by person.id having count(asset_face."assetId") = 0"""
        )
        ids = [person.id for person in people]
        self.delete_people(ids)
        return ids

    # --- users --------------------------------------------------------------------------------

    def create_person(self, owner: UUID, name: str = "", /, **values: Any) -> UUID:
        return self.insert("person", {"ownerId": owner, "name": name, **values})[0].id

    def update_person(self, person: UUID, /, **values: Any) -> None:
        self.update_one("person", person, **values)

    def delete_people(self, people: Sequence[UUID]) -> None:
        if people:
            self.delete("person", id=list(people))

    def merge_people(self, person: UUID, *others: UUID) -> None:
        """Others become this person, one by one."""
        for other in others:
            target, source = self.person(person), self.person(other)
            blanks = {
                name: getattr(source, name)
                for name in ("name", "birthDate")
                if getattr(source, name) and not getattr(target, name)
            }
            if blanks:
                self.update_person(person, **blanks)
            self.update("asset_face", sql.SQL('"personId" = %(old)s'), {"old": other}, personId=person)
            self.delete("person", id=[other])

    def create_face(self, asset_id: UUID, person: UUID | None, box: Box = (1, 1, 9, 9)) -> UUID:
        """A face drawn by hand."""
        (face,) = self.insert(
            "asset_face",
            {
                "assetId": asset_id, "personId": person, "imageWidth": 1000, "imageHeight": 1000,
                "boundingBoxX1": box[0], "boundingBoxY1": box[1], "boundingBoxX2": box[2],
                "boundingBoxY2": box[3], "sourceType": "manual",
            },
        )  # fmt: skip
        return face.id

    def reassign_faces(self, faces: Sequence[UUID], person: UUID | None) -> None:
        self.update("asset_face", sql.SQL("id = any(%(faces)s)"), {"faces": list(faces)}, personId=person)

    def delete_face(self, face: UUID, *, force: bool = False) -> None:
        if force:
            self.delete("asset_face", id=face)
        else:
            where = sql.SQL("id = %(id)s")
            self.update("asset_face", where, {"id": face}, deletedAt=dt.datetime.now(dt.UTC))

    # --- rows ---------------------------------------------------------------------------------

    def person(self, person: UUID) -> Any:
        return self.database.row("select * from person where id = %s", [person])

    def faces(self, asset_id: UUID, /, **where: Any) -> list[Any]:
        rows = self.database.fetch('select * from asset_face where "assetId" = %s order by id', [asset_id])
        return [r for r in rows if all(getattr(r, key) == value for key, value in where.items())]


def _box(face: Any) -> Box:
    return (face.boundingBoxX1, face.boundingBoxY1, face.boundingBoxX2, face.boundingBoxY2)
