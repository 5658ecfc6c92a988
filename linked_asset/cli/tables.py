"""Status as tables for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from linked_asset.doctor import Finding
from linked_asset.reconcile import Difference
from linked_asset.status import REASONS


def status_tables(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield _albums(found["albums"])
    yield _users(found["users"])
    yield from _summary(found)


def differences_table(differences: Sequence[Difference]) -> RenderableType:
    table = _table("Source", "Rows changed")
    for difference in differences:
        rows = [f"{count} of {name}" for name, count in difference.changes.items()]
        table.add_row(escape(difference.file_name or str(difference.source_id or "")), escape("\n".join(rows)))
    return table


def findings_table(findings: Sequence[Finding]) -> RenderableType:
    table = _table("Check", "", "What", "What to do")
    for finding in findings:
        table.add_row(finding.check, finding.kind, escape(finding.what), escape(finding.remedy))
    return table


def _albums(albums: list[Mapping[str, Any]]) -> RenderableType:
    if not albums:
        return 'There is no linked album: one whose name starts with "linked album" becomes one.'
    table = _table("Linked album", "Owner", "Prefixes", "Shared with", "Media", "Notes")
    for album in albums:
        linked_users = [person for person in album["participants"] if person["role"] != "owner"]
        others = [f"{person['name']} ({person['role']})" for person in linked_users]
        state = [] if album["live"] else ["awaits deletion: keeps what it has, links nothing new"]
        table.add_row(
            escape(album["name"]),
            escape(album["owner"]["name"] or album["owner"]["id"]),
            escape("\n".join(prefix["path"] for prefix in album["prefixes"])),
            escape("\n".join(others)),
            str(album["media"]),
            escape("\n".join([*state, *album["notes"]])),
        )
    return table


def _users(users: list[Mapping[str, Any]]) -> RenderableType:
    table = _table("User", "Sources", "Clones", "Left out")
    for user in users:
        reasons = [f"{media} {REASONS[reason]}" for reason, media in user["left_out"].items()]
        table.add_row(
            escape(user["name"] or user["id"]), str(user["sources"]), str(user["clones"]), escape("\n".join(reasons))
        )
    return table


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _summary(found: Mapping[str, Any]) -> Iterator[str]:
    installed, detected, incidents = found["installed"], found["detected"], found["incidents"]
    fits = f"fit {detected['fits']}" if detected["fits"] else f"fit no step (closest: {detected['closest']})"
    says = f", Immich says it is {detected['immich_says']}" if detected["immich_says"] else ""
    yield escape(f"Installed for Immich {installed['immich']} by version {installed['package']}.")
    yield escape(f"Immich's tables {fits}{says}.")
    for line in detected["differences"]:
        yield escape(f"  {line}")
    for line in installed["outdated"]:
        yield escape(f"To be installed again (alembic upgrade head): {line}.")
    if found["queued"]:
        yield f"{found['queued']} media are queued for linking."
    if found["unsettled"]:
        yield f"{found['unsettled']} media may lack thumbnails or video until Immich's job for what is missing has run."
    if found["locked"]:
        yield f"{found['locked']} media are in a locked folder and not linked."
    if incidents["count"]:
        yield f"{incidents['count']} incidents, to be repaired by linked-asset reconcile; the latest:"
    for incident in incidents["latest"]:
        yield escape(f"  {incident['happened_at']} {incident['place']}: {incident['message']} ({incident['sqlstate']})")
