"""The builders leave the rows that Immich would leave."""

import datetime as dt
from uuid import UUID

import pytest

from tests.builders import Immich
from tests.database import Database


@pytest.fixture
def server(immich: Database) -> Immich:
    return Immich(immich)


@pytest.fixture
def anna(server: Immich) -> UUID:
    return server.create_user("anna")


def count(server: Immich, table: str) -> int:
    return int(server.database.value(f'select count(*) from "{table}"'))


def usage(server: Immich, user: UUID) -> int:
    return int(server.database.value('select "quotaUsageInBytes" from "user" where id = %s', [user]))


def test_a_processed_upload_is_missing_nowhere(server: Immich, anna: UUID) -> None:
    asset = server.upload(anna, "/photos/a.jpg", size=5)
    server.process(asset, make="Canon", description="by the sea", tags=["Trips/Italy"])
    server.detect_faces(asset, [(1, 2, 30, 40)])
    status = server.database.row("select * from asset_job_status")
    assert None not in tuple(status)
    assert server.exif(asset).description == "by the sea"
    assert server.tags_of(asset) == ["Trips/Italy"]
    assert count(server, "tag_closure") == 3
    assert count(server, "asset_file") == 2
    assert count(server, "smart_search") == count(server, "face_search") == 1
    assert usage(server, anna) == 5


def test_extraction_keeps_what_it_is_not_told_to_change(server: Immich, anna: UUID) -> None:
    asset = server.upload(anna)
    server.extract_metadata(asset, city="Rome", tags=["A"])
    server.extract_metadata(asset, make="Canon")
    assert (server.exif(asset).city, server.exif(asset).make) == ("Rome", "Canon")
    assert server.tags_of(asset) == ["A"]
    server.extract_metadata(asset, tags=[])
    assert server.tags_of(asset) == []


def test_edits(server: Immich, anna: UUID) -> None:
    one, two = server.upload(anna), server.upload(anna)
    server.update_exif(one, rating=5, description="x")
    server.update_all_exif([one, two], latitude=1.5, longitude=2.5)
    server.update_all_exif([one], dateTimeOriginal=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    server.shift_dates([one, two], 60)
    server.archive(one, two)
    server.favorite(one)
    assert server.exif(one).dateTimeOriginal == dt.datetime(2020, 1, 1, 1, tzinfo=dt.UTC)
    assert (server.exif(one).rating, server.exif(two).latitude) == (5, 1.5)
    assert (server.asset(one).visibility, server.asset(one).isFavorite) == ("archive", True)


def test_locked_assets_leave_their_albums(server: Immich, anna: UUID) -> None:
    asset = server.upload(anna)
    album = server.create_album(anna, assets=[asset])
    server.lock(asset)
    assert server.album_assets(album) == set()
    server.unlock(asset)
    assert server.asset(asset).visibility == "timeline"


def test_trash(server: Immich, anna: UUID) -> None:
    assets = [server.upload(anna) for _ in range(4)]
    server.trash(assets[:3])
    server.restore(assets[:1])
    server.empty_trash(anna)
    assert set(server.run_deletions()) == set(assets[1:3])
    assert count(server, "asset") == count(server, "asset_audit") == 2
    server.trash(assets[3:])
    server.restore_all(anna)
    assert server.asset(assets[3]).status == "active"
    server.force_delete(assets[3:])
    server.run_deletions()
    assert usage(server, anna) == 1000
    server.sync_usage()
    assert usage(server, anna) == 1000
    assert not server.delete_asset(assets[3])


def test_live_photos(server: Immich, anna: UUID) -> None:
    motion = server.upload(anna, "/photos/a.mov", type="VIDEO")
    still = server.upload(anna, "/photos/a.jpg", live_photo_video_id=motion)
    assert server.asset(motion).visibility == "hidden"
    server.unlink_live_photo(still)
    assert server.asset(motion).visibility == "timeline"
    server.link_live_photo(still, motion)
    assert server.asset(still).livePhotoVideoId == motion
    other = server.upload(anna, "/photos/b.jpg")
    embedded = server.extract_motion_part(other)
    assert server.asset(other).livePhotoVideoId == embedded
    server.delete_asset(still)
    server.delete_asset(other)
    assert count(server, "asset") == 0


def test_pairing_live_photos(server: Immich, anna: UUID) -> None:
    still, motion = server.upload(anna), server.upload(anna, type="VIDEO")
    album = server.create_album(anna, assets=[still, motion])
    server.pair_live_photo(still, motion)
    assert server.album_assets(album) == {still}
    server.encode_video(motion)
    assert server.asset(motion).encodedVideoPath.endswith(".mp4")


def test_stacks(server: Immich, anna: UUID) -> None:
    a, b, c, d = (server.upload(anna) for _ in range(4))
    first = server.create_stack(anna, [a, b])
    second = server.create_stack(anna, [a, c, d])
    assert first != second
    assert {server.asset(x).stackId for x in (a, b, c, d)} == {second}
    server.remove_from_stack(d)
    server.set_primary_asset(second, b)
    server.trash([a, b, c])
    server.delete_asset(b)
    assert server.database.value('select "primaryAssetId" from stack') in {a, c}
    server.delete_stacks(second)
    assert server.asset(a).stackId is None


def test_libraries(server: Immich, anna: UUID) -> None:
    library = server.create_library(anna, "/mnt/photos/")
    one, two = server.import_library(anna, library, ["/mnt/photos/1.jpg", "/mnt/photos/2.mp4"])
    server.process(one)
    server.files_vanished([two])
    server.mark_offline(library, "/mnt/elsewhere/")
    assert server.asset(one).isOffline
    server.files_returned([one, two])
    assert not server.asset(two).isOffline
    server.delete_library(library)
    assert count(server, "asset") == count(server, "library") == 0


def test_moves(server: Immich, anna: UUID) -> None:
    asset = server.upload(anna)
    server.process(asset)
    server.move_file(asset, "/data/library/anna/2020/a.jpg")
    server.upsert_files({"assetId": asset, "type": "preview", "path": "/data/thumbs/elsewhere.jpeg"})
    server.migrate_files(asset)
    server.migrate_file_paths("/data/", "/photos/data")
    assert server.asset(asset).originalPath == "/photos/data/library/anna/2020/a.jpg"
    paths = server.database.fetch("select path from asset_file")
    assert all(path.startswith("/photos/data/thumbs/") for (path,) in paths)
    assert count(server, "move_history") == 0


def test_replaced_asset(server: Immich, anna: UUID) -> None:
    asset = server.upload(anna, "/photos/a.jpg")
    copy = server.replace_asset(asset, "/photos/b.jpg")
    assert server.asset(asset).originalPath == "/photos/b.jpg"
    assert server.asset(copy).originalPath == "/photos/a.jpg"
    assert server.asset(copy).status == "trashed"


def test_sidecar_and_fullsize(server: Immich, anna: UUID) -> None:
    asset = server.upload(anna, "/photos/a.jpg")
    server.write_sidecar(asset)
    assert server.asset(asset).sidecarPath == "/photos/a.jpg.xmp"
    server.generate_thumbnails(asset, fullsize=True)
    assert count(server, "asset_file") == 3
    server.generate_thumbnails(asset)
    assert count(server, "asset_file") == 2


def test_people(server: Immich, anna: UUID) -> None:
    asset = server.upload(anna)
    one, two = server.detect_faces(asset, [(1, 1, 9, 9), (20, 20, 30, 30)], seeds=["mum", "dad"])
    mum, dad = server.recognize(one), server.recognize(two)
    server.update_person(dad, name="Dad", birthDate=dt.date(1970, 1, 1))
    assert server.detect_faces(asset, [(1, 1, 9, 9), (20, 20, 30, 30)]) == []
    drawn = server.create_face(asset, mum, (40, 40, 50, 50))
    server.merge_people(mum, dad)
    assert server.person(mum).name == "Dad"
    assert {face.personId for face in server.faces(asset)} == {mum}
    server.delete_face(drawn)
    server.reassign_faces([one], None)
    server.detect_faces(asset, [(1, 1, 9, 9)])
    assert {face.id for face in server.faces(asset)} == {one, drawn}
    server.recognize(one, mum)
    server.delete_face(one, force=True)
    # Not left behind by the nightly job: a person that has soft-deleted faces only.
    assert server.clean_people() == []


def test_resets(server: Immich, anna: UUID) -> None:
    asset = server.upload(anna)
    (face,) = server.detect_faces(asset, [(1, 1, 9, 9)])
    server.recognize(face)
    server.reset_faces()
    assert count(server, "person") == 0
    assert [f.personId for f in server.faces(asset)] == [None]
    server.reset_face_detection()
    assert server.faces(asset) == []


def test_albums(server: Immich, anna: UUID) -> None:
    ben, clara = server.create_user("ben"), server.create_user("clara")
    a, b = server.upload(anna), server.upload(anna)
    album = server.create_album(anna, "Trip", "by train", assets=[a], users={ben: "viewer"})
    server.share_album(album, clara)
    server.set_role(album, ben, "editor")
    server.add_to_album(album, b)
    server.update_album(album, albumName="Italy", order="asc")
    assert server.album(album).albumThumbnailAssetId == a
    server.remove_from_album(album, a)
    assert server.album(album).albumThumbnailAssetId == b
    server.unshare_album(album, ben)
    roles = server.database.fetch('select "usersId", role from album_user')
    assert [tuple(row) for row in roles] == [(clara, "editor")]
    server.delete_album(album)
    assert count(server, "album_audit") == 3


def test_tags(server: Immich, anna: UUID) -> None:
    a, b = server.upload(anna), server.upload(anna)
    tag = server.create_tag(anna, "Trips", color="#ff0000")
    child = server.create_tag(anna, "Trips/Italy")
    assert server.upsert_tag(anna, "Trips/Italy") == child
    server.tag_assets(tag, a, b)
    server.bulk_tag([tag, child], [a, b])
    server.untag_assets(tag, a)
    assert server.tags_of(a) == ["Trips/Italy"]
    server.update_tag(tag, color="#00ff00")
    server.delete_tag(tag)
    assert server.tags_of(b) == []


def test_accounts(server: Immich, anna: UUID) -> None:
    ben = server.create_user("ben", quota=10)
    album = server.create_album(anna, users=[ben])
    server.create_partner(anna, ben)
    server.soft_delete_user(anna)
    assert server.album(album).deletedAt
    server.restore_user(anna)
    assert server.album(album).deletedAt is None
    server.hard_delete_user(anna)
    assert count(server, "album") == count(server, "partner") == 0


def test_duplicates(server: Immich, anna: UUID) -> None:
    a, b = server.upload(anna), server.upload(anna)
    server.detect_duplicates([a, b], duplicate=a)
    assert {server.asset(x).duplicateId for x in (a, b)} == {a}
