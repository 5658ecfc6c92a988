"""Every table of Immich's that the addon touches, or whose cascades reach one that it does.

A column is one line: name, type, policy, then what is not the default (`NOT NULL`, no server
default, no foreign key). `since` is the first release that has it, `until` the first that does
not, `was` what was different before a release. Names are those of the newest release.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import TypeEngine

from .model import Check, Column, Embedding, ForeignKey, Index, Policy, Reference, Table, Unique

RELEASES = (
    "v1.138.0",
    "v1.140.0",
    "v2.2.0",
    "v2.3.0",
    "v2.4.0",
    "v2.5.0",
    "v2.5.2",
    "v2.6.0",
    "v2.7.0",
    "v3.0.0",
    "v3.2.0",
    "v3.3.0",
)
"""Every release at which a table of the model changed, ascending."""

IDENTITY, SHARED, PRODUCED, PERSONAL, DERIVED = (
    Policy.IDENTITY,
    Policy.SHARED,
    Policy.PRODUCED,
    Policy.PERSONAL,
    Policy.DERIVED,
)

UUID = sa.Uuid()
VARCHAR = sa.String()
VARCHAR_255 = sa.String(255)
TEXT = sa.Text()
BOOLEAN = sa.Boolean()
SMALLINT = sa.SmallInteger()
INTEGER = sa.Integer()
BIGINT = sa.BigInteger()
REAL: TypeEngine[Any] = sa.REAL()
DOUBLE: TypeEngine[Any] = sa.Double()
DATE = sa.Date()
TIMESTAMP = sa.DateTime(timezone=True)
BYTEA = sa.LargeBinary()
JSONB = pg.JSONB()
VARCHARS = sa.ARRAY(VARCHAR)
TEXTS = sa.ARRAY(TEXT)
INTEGERS = sa.ARRAY(INTEGER)
EMBEDDING = Embedding(512)

VISIBILITY = pg.ENUM("archive", "timeline", "hidden", "locked", name="asset_visibility_enum")
STATUS = pg.ENUM("active", "trashed", "deleted", name="assets_status_enum")
SOURCE_TYPE = pg.ENUM("machine-learning", "exif", "manual", name="sourcetype")
CHECKSUM_ALGORITHM = pg.ENUM("sha1", "sha1-path", name="asset_checksum_algorithm_enum")
ALBUM_USER_ROLE = pg.ENUM("owner", "editor", "viewer", name="album_user_role_enum")
PERSON_USER_ROLE = pg.ENUM("read", "write", "admin", name="person_user_role_enum")

RANDOM_ID = "uuid_generate_v4()"
ORDERED_ID = "immich_uuid_v7()"
NOW = "now()"
CLOCK = "clock_timestamp()"

SET_NULL = "SET NULL"
NO_ACTION = "NO ACTION"

# --- An asset and what hangs on it ----------------------------------------------------------

_LOCAL = "(\"localDateTime\" AT TIME ZONE 'UTC'::text)"
_LOCAL_DAY = f"(({_LOCAL})::date)"
_LOCAL_MONTH = f"(date_trunc('MONTH'::text, {_LOCAL}) AT TIME ZONE 'UTC'::text)"

ASSET = Table(
    "asset",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("deviceAssetId", VARCHAR, PERSONAL, birth='s."deviceAssetId"', until="v3.0.0"),
    Column("ownerId", UUID, IDENTITY, references=Reference("user"), index=True),
    Column("deviceId", VARCHAR, PERSONAL, birth="'linked'", until="v3.0.0"),
    Column("type", VARCHAR, SHARED),
    Column("originalPath", VARCHAR, SHARED),
    Column("fileCreatedAt", TIMESTAMP, SHARED, index=True),
    Column("fileModifiedAt", TIMESTAMP, SHARED),
    Column("isFavorite", BOOLEAN, PERSONAL, default="false"),
    Column("duration", INTEGER, SHARED, nullable=True, was={"v3.0.0": {"type": VARCHAR}}),
    Column("encodedVideoPath", VARCHAR, PRODUCED, nullable=True, default="''::character varying", until="v2.6.0"),
    Column("checksum", BYTEA, SHARED, index=True),
    Column(
        "livePhotoVideoId", UUID, DERIVED, nullable=True, references=Reference("asset", on_delete=SET_NULL), index=True
    ),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW, birth='s."createdAt"'),
    Column("originalFileName", VARCHAR, SHARED, index=True),
    Column("sidecarPath", VARCHAR, SHARED, nullable=True, until="v2.4.0"),
    Column("thumbhash", BYTEA, PRODUCED, nullable=True),
    Column("isOffline", BOOLEAN, SHARED, default="false"),
    Column("libraryId", UUID, PERSONAL, nullable=True, references=Reference("library"), index=True),
    Column("isExternal", BOOLEAN, PERSONAL, default="false", birth="true"),
    Column("deletedAt", TIMESTAMP, SHARED, nullable=True),
    Column("localDateTime", TIMESTAMP, SHARED),
    Column("stackId", UUID, DERIVED, nullable=True, references=Reference("stack", on_delete=SET_NULL), index=True),
    Column("duplicateId", UUID, PERSONAL, nullable=True, index=True),
    Column("status", STATUS, SHARED, default="'active'::assets_status_enum"),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("visibility", VISIBILITY, SHARED, default="'timeline'::asset_visibility_enum"),
    Column("width", INTEGER, SHARED, nullable=True, since="v2.5.0"),
    Column("height", INTEGER, SHARED, nullable=True, since="v2.5.0"),
    Column("isEdited", BOOLEAN, SHARED, default="false", since="v2.5.0"),
    Column("checksumAlgorithm", CHECKSUM_ALGORITHM, SHARED, since="v2.7.0"),
    Index(("ownerId", "checksum"), unique=True, where='"libraryId" IS NULL', name="UQ_assets_owner_checksum"),
    Index(("id", "stackId")),
    Index((_LOCAL_DAY,), name="asset_localDateTime_idx"),
    Index((_LOCAL_MONTH,), name="asset_localDateTime_month_idx"),
    Index(("originalPath", "libraryId")),
    Index(("ownerId", "libraryId", "checksum"), unique=True, where='"libraryId" IS NOT NULL'),
    Index(
        ("id",),
        where="(visibility = 'timeline'::asset_visibility_enum) AND (\"deletedAt\" IS NULL)",
        name="asset_id_timeline_notDeleted_idx",
        since="v2.6.0",
    ),
    Index(("createdAt",), since="v3.0.0"),
)

ASSET_EXIF = Table(
    "asset_exif",
    Column("assetId", UUID, IDENTITY, references=Reference("asset", on_update=NO_ACTION)),
    Column("make", VARCHAR, SHARED, nullable=True),
    Column("model", VARCHAR, SHARED, nullable=True),
    Column("exifImageWidth", INTEGER, SHARED, nullable=True),
    Column("exifImageHeight", INTEGER, SHARED, nullable=True),
    Column("fileSizeInByte", BIGINT, SHARED, nullable=True),
    Column("orientation", VARCHAR, SHARED, nullable=True),
    Column("dateTimeOriginal", TIMESTAMP, SHARED, nullable=True),
    Column("modifyDate", TIMESTAMP, SHARED, nullable=True),
    Column("lensModel", VARCHAR, SHARED, nullable=True),
    Column("fNumber", DOUBLE, SHARED, nullable=True),
    Column("focalLength", DOUBLE, SHARED, nullable=True),
    Column("iso", INTEGER, SHARED, nullable=True),
    Column("latitude", DOUBLE, SHARED, nullable=True),
    Column("longitude", DOUBLE, SHARED, nullable=True),
    Column("city", VARCHAR, SHARED, nullable=True, index=True),
    Column("state", VARCHAR, SHARED, nullable=True),
    Column("country", VARCHAR, SHARED, nullable=True),
    Column("description", TEXT, SHARED, default="''::text"),
    Column("fps", DOUBLE, SHARED, nullable=True),
    Column("exposureTime", VARCHAR, SHARED, nullable=True),
    Column("livePhotoCID", VARCHAR, SHARED, nullable=True, index=True),
    Column("timeZone", VARCHAR, SHARED, nullable=True),
    Column("projectionType", VARCHAR, SHARED, nullable=True),
    Column("profileDescription", VARCHAR, SHARED, nullable=True),
    Column("colorspace", VARCHAR, SHARED, nullable=True),
    Column("bitsPerSample", INTEGER, SHARED, nullable=True),
    Column("autoStackId", VARCHAR, SHARED, nullable=True, index=True),
    Column("rating", INTEGER, SHARED, nullable=True),
    Column("updatedAt", TIMESTAMP, DERIVED, default=CLOCK),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("lockedProperties", VARCHARS, SHARED, nullable=True, since="v2.4.0"),
    Column("tags", VARCHARS, SHARED, nullable=True, since="v2.5.0"),
    primary_key=("assetId",),
    key=("assetId",),
)

ASSET_FILE = Table(
    "asset_file",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("assetId", UUID, IDENTITY, references=Reference("asset"), index=True),
    Column("createdAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("type", VARCHAR, PRODUCED),
    Column("path", VARCHAR, PRODUCED),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("isEdited", BOOLEAN, PRODUCED, default="false", since="v2.5.0"),
    Column("isProgressive", BOOLEAN, PRODUCED, default="false", since="v2.5.0"),
    Column("isTransparent", BOOLEAN, PRODUCED, default="false", since="v2.6.0"),
    Unique(("assetId", "type", "isEdited")),
    key=("assetId", "type", "isEdited"),
)

ASSET_JOB_STATUS = Table(
    "asset_job_status",
    Column("assetId", UUID, IDENTITY, references=Reference("asset")),
    Column("facesRecognizedAt", TIMESTAMP, PRODUCED, nullable=True),
    Column("metadataExtractedAt", TIMESTAMP, PRODUCED, nullable=True),
    Column("duplicatesDetectedAt", TIMESTAMP, PRODUCED, nullable=True),
    Column("previewAt", TIMESTAMP, PRODUCED, nullable=True, until="v2.5.2"),
    Column("thumbnailAt", TIMESTAMP, PRODUCED, nullable=True, until="v2.5.2"),
    Column("ocrAt", TIMESTAMP, PRODUCED, nullable=True, since="v2.2.0"),
    primary_key=("assetId",),
    key=("assetId",),
)

SMART_SEARCH = Table(
    "smart_search",
    Column("assetId", UUID, IDENTITY, references=Reference("asset", on_update=NO_ACTION)),
    Column("embedding", EMBEDDING, PRODUCED),
    primary_key=("assetId",),
    key=("assetId",),
)

ASSET_VIDEO = Table(
    "asset_video",
    Column("assetId", UUID, IDENTITY, references=Reference("asset", on_update=NO_ACTION)),
    Column("bitrate", INTEGER, PRODUCED),
    Column("frameCount", INTEGER, PRODUCED),
    Column("timeBase", INTEGER, PRODUCED),
    Column("index", SMALLINT, PRODUCED),
    Column("profile", SMALLINT, PRODUCED, nullable=True),
    Column("level", SMALLINT, PRODUCED, nullable=True),
    Column("colorPrimaries", SMALLINT, PRODUCED),
    Column("colorTransfer", SMALLINT, PRODUCED),
    Column("colorMatrix", SMALLINT, PRODUCED),
    Column("dvProfile", SMALLINT, PRODUCED, nullable=True),
    Column("dvLevel", SMALLINT, PRODUCED, nullable=True),
    Column("dvBlSignalCompatibilityId", SMALLINT, PRODUCED, nullable=True),
    Column("codecName", TEXT, PRODUCED),
    Column("formatName", TEXT, PRODUCED),
    Column("formatLongName", TEXT, PRODUCED),
    Column("pixelFormat", TEXT, PRODUCED),
    primary_key=("assetId",),
    key=("assetId",),
    since="v3.0.0",
)

ASSET_AUDIO = Table(
    "asset_audio",
    Column("assetId", UUID, IDENTITY, references=Reference("asset", on_update=NO_ACTION)),
    Column("bitrate", INTEGER, PRODUCED),
    Column("index", SMALLINT, PRODUCED),
    Column("profile", SMALLINT, PRODUCED, nullable=True),
    Column("codecName", TEXT, PRODUCED),
    primary_key=("assetId",),
    key=("assetId",),
    since="v3.0.0",
)

ASSET_KEYFRAME = Table(
    "asset_keyframe",
    Column("assetId", UUID, IDENTITY, references=Reference("asset", on_update=NO_ACTION)),
    Column("pts", INTEGERS, PRODUCED),
    Column("accDuration", INTEGERS, PRODUCED),
    Column("ownDuration", INTEGERS, PRODUCED),
    Column("totalDuration", INTEGER, PRODUCED),
    Column("packetCount", INTEGER, PRODUCED),
    Column("outputFrames", INTEGER, PRODUCED),
    primary_key=("assetId",),
    key=("assetId",),
    since="v3.0.0",
)

ASSET_EDIT = Table(
    "asset_edit",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("assetId", UUID, IDENTITY, references=Reference("asset"), index=True),
    Column("action", VARCHAR, SHARED),
    Column("parameters", JSONB, SHARED),
    Column("sequence", INTEGER, SHARED),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW, since="v2.6.0"),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True, since="v2.6.0"),
    Unique(("assetId", "sequence")),
    key=("assetId", "sequence"),
    since="v2.5.0",
)

ASSET_OCR = Table(
    "asset_ocr",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("assetId", UUID, IDENTITY, references=Reference("asset"), index=True),
    Column("x1", REAL, PRODUCED),
    Column("y1", REAL, PRODUCED),
    Column("x2", REAL, PRODUCED),
    Column("y2", REAL, PRODUCED),
    Column("x3", REAL, PRODUCED),
    Column("y3", REAL, PRODUCED),
    Column("x4", REAL, PRODUCED),
    Column("y4", REAL, PRODUCED),
    Column("boxScore", REAL, PRODUCED),
    Column("textScore", REAL, PRODUCED),
    Column("text", TEXT, PRODUCED),
    Column("isVisible", BOOLEAN, PRODUCED, default="true", since="v2.5.0"),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True, since="v3.0.0"),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW, since="v3.2.0"),
    key=("assetId", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text"),
    since="v2.2.0",
)

OCR_SEARCH = Table(
    "ocr_search",
    Column("assetId", UUID, IDENTITY, references=Reference("asset")),
    Column("text", TEXT, PRODUCED),
    primary_key=("assetId",),
    key=("assetId",),
    since="v2.2.0",
)

ASSET_METADATA = Table(
    "asset_metadata",
    Column("assetId", UUID, IDENTITY, references=Reference("asset")),
    Column("key", VARCHAR, PERSONAL),
    Column("value", JSONB, PERSONAL),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW, index=True),
    primary_key=("assetId", "key"),
    touched=False,
    since="v1.140.0",
)

# --- People ---------------------------------------------------------------------------------

ASSET_FACE = Table(
    "asset_face",
    Column("assetId", UUID, IDENTITY, references=Reference("asset")),
    Column(
        "personGroupId",
        UUID,
        DERIVED,
        nullable=True,
        references=Reference("person_group", on_delete=SET_NULL),
        was={
            "v3.2.0": {"name": "personId", "references": Reference("person", "personGroupId", on_delete=SET_NULL)},
        },
    ),
    Column("imageWidth", INTEGER, PRODUCED, default="0"),
    Column("imageHeight", INTEGER, PRODUCED, default="0"),
    Column("boundingBoxX1", INTEGER, PRODUCED, default="0"),
    Column("boundingBoxY1", INTEGER, PRODUCED, default="0"),
    Column("boundingBoxX2", INTEGER, PRODUCED, default="0"),
    Column("boundingBoxY2", INTEGER, PRODUCED, default="0"),
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("sourceType", SOURCE_TYPE, PRODUCED, default="'machine-learning'::sourcetype"),
    Column("deletedAt", TIMESTAMP, PRODUCED, nullable=True),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID),
    Column("isVisible", BOOLEAN, PRODUCED, default="true", since="v2.5.0"),
    Index(("assetId", "personGroupId")),
    Index(("personGroupId", "assetId")),
    Index(
        ("personGroupId", "assetId"),
        where='("deletedAt" IS NULL) AND ("isVisible" IS TRUE)',
        name="asset_face_personId_assetId_notDeleted_isVisible_idx",
        since="v2.6.0",
        until="v3.2.0",
    ),
    Index(
        ("personGroupId", "assetId"),
        where='("deletedAt" IS NULL) AND ("isVisible" IS TRUE)',
        name="asset_face_personGroupId_assetId_notDeleted_isVisible_idx",
        since="v3.2.0",
    ),
)

FACE_SEARCH = Table(
    "face_search",
    Column("faceId", UUID, IDENTITY, references=Reference("asset_face", on_update=NO_ACTION)),
    Column("embedding", EMBEDDING, PRODUCED),
    primary_key=("faceId",),
    key=("faceId",),
)

PERSON_GROUP = Table(
    "person_group",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("clusterGroupId", UUID, DERIVED, references=Reference("cluster_group"), index=True),
    Column("createdAt", TIMESTAMP, DERIVED, default=NOW),
    Column("createId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    since="v3.2.0",
)

PERSON = Table(
    "person",
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("ownerId", UUID, IDENTITY, references=Reference("user"), was={"v3.2.0": {"index": True}}),
    Column("name", VARCHAR, SHARED, default="''::character varying"),
    Column("thumbnailPath", VARCHAR, DERIVED, default="''::character varying"),
    Column("isHidden", BOOLEAN, PERSONAL, default="false"),
    Column("birthDate", DATE, SHARED, nullable=True),
    Column(
        "faceAssetId",
        UUID,
        DERIVED,
        nullable=True,
        references=Reference("asset_face", on_delete=SET_NULL, on_update=NO_ACTION),
        index=True,
    ),
    Column("isFavorite", BOOLEAN, PERSONAL, default="false"),
    Column("color", VARCHAR, SHARED, nullable=True),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column(
        "personGroupId",
        UUID,
        IDENTITY,
        references=Reference("person_group"),
        index=True,
        was={"v3.2.0": {"name": "id", "default": RANDOM_ID, "references": None, "index": False}},
    ),
    Check("person_birthDate_chk", '("birthDate" <= CURRENT_DATE)'),
    primary_key=("ownerId", "personGroupId"),
    was={"v3.2.0": {"primary_key": ("personGroupId",)}},
)

PERSON_USER = Table(
    "person_user",
    Column("personGroupId", UUID, IDENTITY),
    Column("sharedById", UUID, IDENTITY),
    Column("sharedWithId", UUID, IDENTITY, references=Reference("user"), index=True),
    Column("role", PERSON_USER_ROLE, PERSONAL),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Check("person_user_sharedBy_sharedWith_chk", '("sharedById" <> "sharedWithId")'),
    ForeignKey(("sharedById", "personGroupId"), "person", ("ownerId", "personGroupId")),
    Index(("sharedById", "personGroupId")),
    primary_key=("personGroupId", "sharedById", "sharedWithId"),
    uses=("personGroupId", "sharedById", "sharedWithId"),
    since="v3.3.0",
)

# --- Tags, stacks, albums -------------------------------------------------------------------

TAG = Table(
    "tag",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("userId", UUID, IDENTITY, references=Reference("user")),
    Column("value", VARCHAR, SHARED),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("color", VARCHAR, PERSONAL, nullable=True, birth='s."color"'),
    Column("parentId", UUID, DERIVED, nullable=True, references=Reference("tag", on_update=NO_ACTION), index=True),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Unique(("userId", "value")),
    key=("userId", "value"),
)

TAG_ASSET = Table(
    "tag_asset",
    Column("assetId", UUID, IDENTITY, references=Reference("asset"), index=True, was={"v2.3.0": {"name": "assetsId"}}),
    Column("tagId", UUID, DERIVED, references=Reference("tag"), index=True, was={"v2.3.0": {"name": "tagsId"}}),
    Index(("assetId", "tagId")),
    primary_key=("assetId", "tagId"),
    key=("assetId", "tagId"),
)

TAG_CLOSURE = Table(
    "tag_closure",
    Column("id_ancestor", UUID, DERIVED, references=Reference("tag", on_update=NO_ACTION), index=True),
    Column("id_descendant", UUID, DERIVED, references=Reference("tag", on_update=NO_ACTION), index=True),
    primary_key=("id_ancestor", "id_descendant"),
    key=("id_ancestor", "id_descendant"),
)

STACK = Table(
    "stack",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column(
        "primaryAssetId",
        UUID,
        DERIVED,
        references=Reference("asset", on_delete=NO_ACTION, on_update=NO_ACTION),
        index=True,
    ),
    Column("ownerId", UUID, IDENTITY, references=Reference("user"), index=True),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID),
    Unique(("primaryAssetId",)),
    key=("primaryAssetId",),
)

ALBUM = Table(
    "album",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("ownerId", UUID, IDENTITY, references=Reference("user"), index=True, until="v3.0.0"),
    Column("albumName", VARCHAR, SHARED, default="'Untitled Album'::character varying"),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column(
        "albumThumbnailAssetId",
        UUID,
        DERIVED,
        nullable=True,
        references=Reference("asset", on_delete=SET_NULL),
        index=True,
    ),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("description", TEXT, SHARED, nullable=True, was={"v3.2.0": {"nullable": False, "default": "''::text"}}),
    Column("deletedAt", TIMESTAMP, PERSONAL, nullable=True),
    Column("isActivityEnabled", BOOLEAN, PERSONAL, default="true", birth='s."isActivityEnabled"'),
    Column("order", VARCHAR, SHARED, default="'desc'::character varying"),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
)

ALBUM_USER = Table(
    "album_user",
    Column("albumId", UUID, IDENTITY, references=Reference("album"), index=True, was={"v2.3.0": {"name": "albumsId"}}),
    Column("userId", UUID, IDENTITY, references=Reference("user"), index=True, was={"v2.3.0": {"name": "usersId"}}),
    Column(
        "role",
        ALBUM_USER_ROLE,
        PERSONAL,
        default="'editor'::album_user_role_enum",
        was={"v3.0.0": {"type": VARCHAR, "default": "'editor'::character varying"}},
    ),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("createId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Index(
        ("albumId",),
        unique=True,
        where="role = 'owner'::album_user_role_enum",
        name="album_user_unique_owner",
        since="v3.0.0",
    ),
    primary_key=("albumId", "userId"),
    key=("albumId", "userId"),
)

ALBUM_ASSET = Table(
    "album_asset",
    Column("albumId", UUID, IDENTITY, references=Reference("album"), index=True, was={"v2.3.0": {"name": "albumsId"}}),
    Column("assetId", UUID, DERIVED, references=Reference("asset"), index=True, was={"v2.3.0": {"name": "assetsId"}}),
    Column("createdAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    primary_key=("albumId", "assetId"),
    key=("albumId", "assetId"),
)

# --- Accounts, memories, and what the server keeps for itself -------------------------------

USER = Table(
    "user",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("email", VARCHAR, PERSONAL),
    Column(
        "password",
        VARCHAR,
        PERSONAL,
        nullable=True,
        was={"v3.2.0": {"nullable": False, "default": "''::character varying"}},
    ),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("profileImagePath", VARCHAR, PERSONAL, default="''::character varying"),
    Column("isAdmin", BOOLEAN, PERSONAL, default="false"),
    Column("shouldChangePassword", BOOLEAN, PERSONAL, default="true"),
    Column("deletedAt", TIMESTAMP, PERSONAL, nullable=True),
    Column(
        "oauthId",
        VARCHAR,
        PERSONAL,
        nullable=True,
        was={"v3.3.0": {"nullable": False, "default": "''::character varying"}},
    ),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("storageLabel", VARCHAR, PERSONAL, nullable=True),
    Column("name", VARCHAR, PERSONAL, default="''::character varying"),
    Column("quotaSizeInBytes", BIGINT, PERSONAL, nullable=True),
    Column("quotaUsageInBytes", BIGINT, PERSONAL, default="0"),
    Column("status", VARCHAR, PERSONAL, default="'active'::character varying"),
    Column("profileChangedAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("avatarColor", VARCHAR, PERSONAL, nullable=True),
    Column("pinCode", VARCHAR, PERSONAL, nullable=True),
    Column(
        "clusterGroupId",
        UUID,
        PERSONAL,
        references=Reference("cluster_group", on_delete=NO_ACTION),
        index=True,
        since="v3.2.0",
    ),
    Unique(("email",)),
    Unique(("storageLabel",)),
    Index(("updatedAt", "id")),
    uses=("id", "deletedAt", "quotaUsageInBytes", "clusterGroupId"),
)

MEMORY_ASSET = Table(
    "memory_asset",
    Column("memoriesId", UUID, IDENTITY, references=Reference("memory"), index=True),
    Column("assetId", UUID, IDENTITY, references=Reference("asset"), index=True, was={"v2.3.0": {"name": "assetsId"}}),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    primary_key=("memoriesId", "assetId"),
    key=("memoriesId", "assetId"),
)

MOVE_HISTORY = Table(
    "move_history",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("entityId", UUID, PERSONAL),
    Column("pathType", VARCHAR, PERSONAL),
    Column("oldPath", VARCHAR, PERSONAL),
    Column("newPath", VARCHAR, PERSONAL),
    Unique(("entityId", "pathType"), name="UQ_entityId_pathType"),
    Unique(("newPath",), name="UQ_newPath"),
    uses=("id", "entityId"),
)

SYSTEM_METADATA = Table(
    "system_metadata", Column("key", VARCHAR, PERSONAL), Column("value", JSONB, PERSONAL), primary_key=("key",)
)

# --- What clients that sync learn deletions from --------------------------------------------

ASSET_AUDIT = Table(
    "asset_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("assetId", UUID, DERIVED, index=True),
    Column("ownerId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
)

ASSET_FACE_AUDIT = Table(
    "asset_face_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("assetFaceId", UUID, DERIVED, index=True),
    Column("assetId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
)

ASSET_EDIT_AUDIT = Table(
    "asset_edit_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("editId", UUID, DERIVED),
    Column("assetId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
    since="v2.6.0",
)

ASSET_OCR_AUDIT = Table(
    "asset_ocr_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("assetId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
    since="v3.0.0",
)

ASSET_METADATA_AUDIT = Table(
    "asset_metadata_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("assetId", UUID, DERIVED, index=True),
    Column("key", VARCHAR, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
    touched=False,
    since="v1.140.0",
)

PERSON_AUDIT = Table(
    "person_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("personGroupId", UUID, DERIVED, index=True, was={"v3.2.0": {"name": "personId"}}),
    Column("ownerId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
)

PERSON_GROUP_AUDIT = Table(
    "person_group_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("personGroupId", UUID, DERIVED, index=True),
    Column("clusterGroupId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
    since="v3.2.0",
)

STACK_AUDIT = Table(
    "stack_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("stackId", UUID, DERIVED),
    Column("userId", UUID, DERIVED),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
)

ALBUM_AUDIT = Table(
    "album_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("albumId", UUID, DERIVED, index=True),
    Column("userId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
)

ALBUM_USER_AUDIT = Table(
    "album_user_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("albumId", UUID, DERIVED, index=True),
    Column("userId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
)

ALBUM_ASSET_AUDIT = Table(
    "album_asset_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("albumId", UUID, DERIVED, references=Reference("album"), index=True),
    Column("assetId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
)

MEMORY_ASSET_AUDIT = Table(
    "memory_asset_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("memoryId", UUID, DERIVED, references=Reference("memory"), index=True),
    Column("assetId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
)

# --- Context: not ours to read or write, but foreign keys and triggers lead there -----------

CLUSTER_GROUP = Table(
    "cluster_group",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("name", VARCHAR, PERSONAL, nullable=True),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    touched=False,
    since="v3.2.0",
)

CLUSTER_GROUP_REQUEST = Table(
    "cluster_group_request",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("clusterGroupId", UUID, PERSONAL, references=Reference("cluster_group"), index=True),
    Column("userId", UUID, PERSONAL, references=Reference("user"), index=True),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Unique(("clusterGroupId", "userId")),
    touched=False,
    since="v3.2.0",
)

LIBRARY = Table(
    "library",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("name", VARCHAR, PERSONAL),
    Column("ownerId", UUID, PERSONAL, references=Reference("user"), index=True),
    Column("importPaths", TEXTS, PERSONAL),
    Column("exclusionPatterns", TEXTS, PERSONAL),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("deletedAt", TIMESTAMP, PERSONAL, nullable=True),
    Column("refreshedAt", TIMESTAMP, PERSONAL, nullable=True),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    touched=False,
)

MEMORY = Table(
    "memory",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("deletedAt", TIMESTAMP, PERSONAL, nullable=True),
    Column("ownerId", UUID, PERSONAL, references=Reference("user"), index=True),
    Column("type", VARCHAR, PERSONAL),
    Column("data", JSONB, PERSONAL),
    Column("isSaved", BOOLEAN, PERSONAL, default="false"),
    Column("memoryAt", TIMESTAMP, PERSONAL),
    Column("seenAt", TIMESTAMP, PERSONAL, nullable=True),
    Column("showAt", TIMESTAMP, PERSONAL, nullable=True),
    Column("hideAt", TIMESTAMP, PERSONAL, nullable=True),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    touched=False,
)

MEMORY_AUDIT = Table(
    "memory_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("memoryId", UUID, DERIVED, index=True),
    Column("userId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
    touched=False,
)

PARTNER = Table(
    "partner",
    Column("sharedById", UUID, PERSONAL, references=Reference("user", on_update=NO_ACTION)),
    Column("sharedWithId", UUID, PERSONAL, references=Reference("user", on_update=NO_ACTION), index=True),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("inTimeline", BOOLEAN, PERSONAL, default="false"),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Column("createId", UUID, DERIVED, default=ORDERED_ID, index=True),
    primary_key=("sharedById", "sharedWithId"),
    touched=False,
)

PARTNER_AUDIT = Table(
    "partner_audit",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("sharedById", UUID, DERIVED, index=True),
    Column("sharedWithId", UUID, DERIVED, index=True),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
    touched=False,
)

ACTIVITY = Table(
    "activity",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("updatedAt", TIMESTAMP, DERIVED, default=NOW),
    Column("albumId", UUID, PERSONAL, references=Reference("album"), index=True),
    Column("userId", UUID, PERSONAL, references=Reference("user"), index=True),
    Column("assetId", UUID, PERSONAL, nullable=True, references=Reference("asset"), index=True),
    Column("comment", TEXT, PERSONAL, nullable=True),
    Column("isLiked", BOOLEAN, PERSONAL, default="false"),
    Column("updateId", UUID, DERIVED, default=ORDERED_ID, index=True),
    Check("activity_like_check", '(comment IS NULL) = "isLiked"'),
    ForeignKey(("albumId", "assetId"), "album_asset", ("albumId", "assetId"), on_update=NO_ACTION),
    Index(("albumId", "assetId")),
    Index(("assetId", "userId", "albumId"), unique=True, where='"isLiked" = true', name="activity_like_idx"),
    touched=False,
)

SHARED_LINK = Table(
    "shared_link",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("description", VARCHAR, PERSONAL, nullable=True),
    Column("userId", UUID, PERSONAL, references=Reference("user"), index=True),
    Column("key", BYTEA, PERSONAL, index=True),
    Column("type", VARCHAR, PERSONAL),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("expiresAt", TIMESTAMP, PERSONAL, nullable=True),
    Column("allowUpload", BOOLEAN, PERSONAL, default="false"),
    Column("albumId", UUID, PERSONAL, nullable=True, references=Reference("album"), index=True),
    Column("allowDownload", BOOLEAN, PERSONAL, default="true"),
    Column("showExif", BOOLEAN, PERSONAL, default="true"),
    Column("password", VARCHAR, PERSONAL, nullable=True),
    Column("slug", VARCHAR, PERSONAL, nullable=True),
    Unique(("key",)),
    Unique(("slug",)),
    touched=False,
)

SHARED_LINK_ASSET = Table(
    "shared_link_asset",
    Column("assetId", UUID, PERSONAL, references=Reference("asset"), index=True, was={"v2.3.0": {"name": "assetsId"}}),
    Column(
        "sharedLinkId",
        UUID,
        PERSONAL,
        references=Reference("shared_link"),
        index=True,
        was={"v2.3.0": {"name": "sharedLinksId"}},
    ),
    primary_key=("assetId", "sharedLinkId"),
    touched=False,
)

USER_AUDIT = Table(
    "user_audit",
    Column("userId", UUID, DERIVED),
    Column("deletedAt", TIMESTAMP, DERIVED, default=CLOCK, index=True),
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    touched=False,
)

INTEGRITY_REPORT = Table(
    "integrity_report",
    Column("id", UUID, IDENTITY, default=ORDERED_ID),
    Column("type", VARCHAR, PERSONAL),
    Column("path", VARCHAR, PERSONAL),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("assetId", UUID, PERSONAL, nullable=True, references=Reference("asset"), index=True),
    Column("fileAssetId", UUID, PERSONAL, nullable=True, references=Reference("asset_file"), index=True),
    Unique(("type", "path")),
    touched=False,
    since="v3.0.0",
)

VERSION_HISTORY = Table(
    "version_history",
    Column("id", UUID, IDENTITY, default=RANDOM_ID),
    Column("createdAt", TIMESTAMP, PERSONAL, default=NOW),
    Column("version", VARCHAR, PERSONAL),
    touched=False,
)

KYSELY_MIGRATIONS = Table(
    "kysely_migrations",
    Column("name", VARCHAR_255, PERSONAL),
    Column("timestamp", VARCHAR_255, PERSONAL),
    primary_key=("name",),
    touched=False,
)

TABLES = (
    ASSET,
    ASSET_EXIF,
    ASSET_FILE,
    ASSET_JOB_STATUS,
    SMART_SEARCH,
    ASSET_VIDEO,
    ASSET_AUDIO,
    ASSET_KEYFRAME,
    ASSET_EDIT,
    ASSET_OCR,
    OCR_SEARCH,
    ASSET_METADATA,
    ASSET_FACE,
    FACE_SEARCH,
    PERSON_GROUP,
    PERSON,
    PERSON_USER,
    TAG,
    TAG_ASSET,
    TAG_CLOSURE,
    STACK,
    ALBUM,
    ALBUM_USER,
    ALBUM_ASSET,
    USER,
    MEMORY_ASSET,
    MOVE_HISTORY,
    SYSTEM_METADATA,
    ASSET_AUDIT,
    ASSET_FACE_AUDIT,
    ASSET_EDIT_AUDIT,
    ASSET_OCR_AUDIT,
    ASSET_METADATA_AUDIT,
    PERSON_AUDIT,
    PERSON_GROUP_AUDIT,
    STACK_AUDIT,
    ALBUM_AUDIT,
    ALBUM_USER_AUDIT,
    ALBUM_ASSET_AUDIT,
    MEMORY_ASSET_AUDIT,
    CLUSTER_GROUP,
    CLUSTER_GROUP_REQUEST,
    LIBRARY,
    MEMORY,
    MEMORY_AUDIT,
    PARTNER,
    PARTNER_AUDIT,
    ACTIVITY,
    SHARED_LINK,
    SHARED_LINK_ASSET,
    USER_AUDIT,
    INTEGRITY_REPORT,
    VERSION_HISTORY,
    KYSELY_MIGRATIONS,
)
