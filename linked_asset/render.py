"""Renders the SQL of the addon for one Immich release.

The files under `linked_asset/sql` are Jinja templates. What differs between releases (lists of columns, renamed
columns, tables that exist or not) comes from the model layer, so that no file names a release.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from linked_asset import detection, immich
from linked_asset.immich import Column, Policy, Release, Table
from linked_asset.immich.model import Unique

CONCERNS = (
    "state",
    "guard",
    "coverage",
    "note",
    "delete",
    "asset",
    "propagate",
    "produced",
    "face",
    "people",
    "live_photo",
    "stack",
    "tag",
    "album_pair",
    "membership",
    "album",
    "account",
    "hazard",
    "reconcile",
)
"""The files of an installation, in the order in which they are run."""

DELETIONS = {
    "asset_edit": ("asset_edit_audit", {"editId": "id", "assetId": '"assetId"'}),
    "asset_ocr": ("asset_ocr_audit", {"assetId": '"assetId"'}),
}
"""Where Immich's clients learn that rows below an asset are gone: a table, and what its columns hold of such a row."""

POLICIES = {
    "shared": (Policy.SHARED, Policy.PRODUCED),
    "produced": (Policy.PRODUCED,),
}


class Names:
    """The columns of a table, quoted, as they are called in the release at hand: `album_asset.assetId`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getattr__(self, canonical: str) -> str:
        return quoted(self._table.column(canonical).name)

    def __contains__(self, canonical: str) -> bool:
        return self._table.has(canonical)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Template:
    """What the templates can ask of a release."""

    def __init__(self, release: Release) -> None:
        self.release = release

    def columns(self, table: str, which: str, without: Iterable[str] = ()) -> list[Column]:
        """The columns of a table under a policy of `POLICIES`, less its natural key and those named in `without`."""
        described = self.release.table(table)
        left_out = {*described.key, *without}
        return [
            column
            for column in described.columns
            if column.policy in POLICIES[which] and column.canonical not in left_out
        ]

    def names(self, table: str, which: str, alias: str | None = None, without: Iterable[str] = ()) -> str:
        """`a."x", a."y"`"""
        return ", ".join(
            f"{alias}.{quoted(column.name)}" if alias else quoted(column.name)
            for column in self.columns(table, which, without)
        )

    def assignments(self, table: str, which: str, alias: str, without: Iterable[str] = ()) -> str:
        """`"x" = a."x", "y" = a."y"`"""
        return ", ".join(
            f"{quoted(column.name)} = {alias}.{quoted(column.name)}" for column in self.columns(table, which, without)
        )

    def differ(self, table: str, which: str, one: str, other: str, without: Iterable[str] = ()) -> str:
        """A condition that is true when one of the columns differs.

        Compared byte by byte: to compare so many columns one by one takes longer to set up than it takes to write four
        rows, and the operators of embeddings live in whatever schema the vector extension was put into.
        """
        rows = (f"row({self.names(table, which, alias, without)})::record" for alias in (one, other))
        return " *<> ".join(rows)

    def births(self, table: str) -> list[tuple[str, str]]:
        """Name and value of the personal columns that a new clone gets from the addon, over `s`, its source."""
        return [
            (quoted(column.name), column.birth)
            for column in self.release.table(table).columns
            if column.birth is not None
        ]

    def is_set(self, table: str) -> bool:
        """Whether Immich deletes rows of single assets, and means these. Of other tables such a delete is a reset."""
        return bool(self.key(table)) or table == "ocr_search"

    def is_followed(self, table: str) -> bool:
        """Whether only Immich's jobs write the table: what they produce for a viewer's clone is followed as well."""
        return not self.release.table(table).with_policy(Policy.SHARED)

    def has_unique_key(self, table: str) -> bool:
        """Whether no two rows of an asset can have the same natural key."""
        described = self.release.table(table)
        key = set(described.names(described.key))
        unique = [described.primary_key, *(one.columns for one in described.of(Unique))]
        return key in [set(described.names(columns)) for columns in unique]

    def owner_of(self, album: str) -> str:
        """The owner of a row of `album` under that name: until v3.0.0 a column, then what `album_user` says."""
        if self.release.table("album").has("ownerId"):
            return f'{album}."ownerId"'
        names = Names(self.release.table("album_user"))
        return (
            f"(select owner.{names.userId} from public.album_user owner"
            f" where owner.{names.albumId} = {album}.id and owner.role = 'owner')"
        )

    def key(self, table: str) -> list[str]:
        """The natural key of a row below an asset, without the asset itself."""
        described = self.release.table(table)
        return [quoted(described.column(name).name) for name in described.key if name != "assetId"]


def qualified(condition: str) -> str:
    """The condition with the schema of each of its operators and functions, for when the search path is anybody's."""
    condition = re.sub(r"(?<= )(=|<>|\*<>|\|\|)(?= )", r"operator(pg_catalog.\1)", condition)
    condition = condition.replace("starts_with(", "pg_catalog.starts_with(")
    if re.search(r"(?<!pg_catalog)\.\w+\(|\bin \(|::(?!pg_catalog\.)", condition):
        raise ValueError(f"asks for more than can be asked before the search path is set: {condition}")
    return condition


def typed(function: str) -> str:
    """The function with the schema of the types of its variables."""
    return re.sub(r"^(\s+v_\w+) (uuid|text|bytea|jsonb)\b", r"\1 pg_catalog.\2", function, flags=re.MULTILINE)


@cache
def environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("linked_asset", "sql"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {"qualified": qualified, "typed": typed}
    return environment


def render(name: str, release: Release) -> str:
    template = Template(release)
    context = {table.name: Names(table) for table in release.tables}
    return (
        environment()
        .get_template(f"{name}.sql")
        .render(
            **context,
            has=release.has,
            differences=detection.differences_query(release.name),
            columns=template.columns,
            names=template.names,
            assignments=template.assignments,
            differ=template.differ,
            births=template.births,
            # v2.4 writes the tags of an asset, a viewer's own among them, to its sidecar; v2.5 those of its exif.
            sidecar_rows_of_viewers=not (
                release.table("asset").has("sidecarPath") or release.table("asset_exif").has("tags")
            ),
            key=template.key,
            has_column=lambda table, column: release.table(table).has(column),
            deletions={table: told for table, told in DELETIONS.items() if release.has(told[0])},
            rows_of_assets=[table.name for table in release.rows_of_assets],
            is_set=template.is_set,
            is_followed=template.is_followed,
            has_unique_key=template.has_unique_key,
            owner_of=template.owner_of,
            needs_approval=needs_approval(release.name),
            deletes_within="1 minute" if immich.version(release.name) < immich.version("v2.5.0") else "10 minutes",
        )
    )


def needs_approval(release: str) -> bool:
    """From v2.6.2 an album's editors may change its name and description; no table tells v2.6.0 from it."""
    return immich.version(release) >= immich.version("v2.6.0")


@cache
def install_script(release: str) -> str:
    """The statements that create, or bring up to date, everything of the addon in an Immich of this release.

    Idempotent, without transaction control, several statements in one text.
    """
    described = immich.release(release)
    return "\n".join(render(concern, described) for concern in CONCERNS)


def remove_script() -> str:
    """The statements that drop everything of the addon but the schema and Alembic's version table in it."""
    return resources.files("linked_asset").joinpath("sql/remove.sql").read_text()


def script_hash(release: str) -> str:
    """Tells whether an installation was made by the same script."""
    return hashlib.sha256(install_script(release).encode()).hexdigest()
