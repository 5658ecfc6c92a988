"""What is shown to people: tables on a terminal, of 80 columns too, elsewhere one line for each thing, never cut."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console, JustifyMethod, RenderableType
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from linked_asset.doctor import Finding
from linked_asset.reconcile import Difference
from linked_asset.status import REASONS, waits
from linked_asset.talk import and_more

PREFIXES_SHOWN = 5
NOTES_SHOWN = 5

NOTES = "Notes"
NUMBERS = frozenset({"Media", "Sources", "Clones"})
STYLES = {
    "Left out": "yellow",
    "Stored twice today": "yellow",
    "Would get": "green",
    "Media": "green",
    "Clones": "green",
}

Rows = Sequence[Mapping[str, Sequence[str]]]
"""Heading to what stands below it, one or several things."""


def show_status(found: Mapping[str, Any]) -> None:
    _show_albums(found["albums"])
    _show([_user(user) for user in found["users"]])
    _tell(_summary(found))


def show_plan(found: Mapping[str, Any]) -> None:
    _show_albums(found["albums"])
    _show([_planned(user) for user in found["users"]])
    if found["clones"]:
        click.echo(
            f"{found['clones']:,} clones, {found['rows']:,} rows, about {decimal(found['bytes'])} in the database and "
            f"{_time(found['seconds'])}. No file is stored again."
        )
    click.echo(f"Nothing has been changed. To install it for Immich {found['immich']}: linked-asset upgrade")


def show_differences(differences: Sequence[Difference]) -> None:
    _show(
        [
            {
                "Source": [difference.file_name or str(difference.source_id or "all groups")],
                "What differed": [f"{kind}: {count}" for kind, count in difference.changes.items()],
            }
            for difference in differences
        ]
    )


def show_findings(findings: Sequence[Finding]) -> None:
    _show([{"Check": [one.check], "": [one.kind], "What": [one.what], "What to do": [one.remedy]} for one in findings])


def _show_albums(albums: Sequence[Mapping[str, Any]]) -> None:
    if albums:
        _show([_album(album) for album in albums])
    else:
        click.echo('There is no linked album: one whose name starts with "linked album" becomes one.')


def _planned(user: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    twice = user["left_out"].get("own_copy")
    return {
        "User": [user["name"] or user["id"]],
        "Would get": [f"{user['to_link']:,} media"],
        "Saves": [decimal(user["saved_bytes"])],
        "Stored twice today": [f"{twice['media']:,} media, {decimal(twice['bytes'])}"] if twice else [],
        "Left out": [f"{left_out['media']:,} {REASONS[reason]}" for reason, left_out in user["left_out"].items()],
    }


def _time(seconds: int) -> str:
    return f"{max(seconds, 1)} seconds" if seconds < 90 else f"{round(seconds / 60)} minutes"


def _album(album: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    linked_users = [person for person in album["participants"] if person["role"] != "owner"]
    state = [] if album["live"] else ["awaits deletion: keeps what it has, links nothing new"]
    policy = ["deletes: own, others' pictures only from their own account"] if album["deletes"] == "own" else []
    return {
        "Linked album": [album["name"]],
        "Owner": [album["owner"]["name"] or album["owner"]["id"]],
        "Prefixes": _first([prefix["path"] for prefix in album["prefixes"]], PREFIXES_SHOWN),
        "Shared with": [f"{person['name']} ({person['role']})" for person in linked_users],
        "Media": [str(album["media"])],
        NOTES: [*state, *policy, *_first(album["notes"], NOTES_SHOWN)],
    }


def _user(user: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    return {
        "User": [user["name"] or user["id"]],
        "Sources": [str(user["sources"])],
        "Clones": [str(user["clones"])],
        "Left out": [f"{media} {REASONS[reason]}" for reason, media in user["left_out"].items()],
    }


def _first(lines: Sequence[str], shown: int) -> list[str]:
    more = [f"and {len(lines) - shown} more"] if len(lines) > shown else []
    return [*lines[:shown], *more]


def _show(rows: Rows) -> None:
    console = Console()
    if console.is_terminal and rows:
        console.print(_table(rows))
        _tell((_cell(next(iter(row.values()))[0], [note]), "yellow") for row in rows for note in row.get(NOTES, ()))
        return
    for row in rows:
        click.echo("; ".join(_cell(heading, things) for heading, things in row.items() if things))


def _cell(heading: str, things: Sequence[str]) -> str:
    """An album may be called anything, but stays on its line."""
    label = f"{heading}: " if heading else ""
    return label + ", ".join(" ".join(thing.split()) if "\n" in thing else thing for thing in things)


def _table(rows: Rows) -> RenderableType:
    """Without notes, which need the whole width, and without columns in which nothing stands."""
    headings = [heading for heading in rows[0] if heading != NOTES and any(row[heading] for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold cyan")
    for heading in headings:
        justify: JustifyMethod = "right" if heading in NUMBERS else "left"
        table.add_column(heading, overflow="fold", justify=justify, style=STYLES.get(heading))
    for row in rows:
        table.add_row(*(escape("\n".join(row[heading])) for heading in headings))
    return table


def _tell(lines: Iterable[tuple[str, str]]) -> None:
    """Each line with the style that it has on a terminal."""
    console = Console(highlight=False)
    for line, style in lines:
        if console.is_terminal:
            console.print(Text(line, style))
        else:
            click.echo(line)


def _summary(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    installed, detected, incidents = found["installed"], found["detected"], found["incidents"]
    fits = f"fit {detected['fits']}" if detected["fits"] else f"fit no step (closest: {detected['closest']})"
    says = f", Immich says it is {detected['immich_says']}" if detected["immich_says"] else ""
    yield f"Installed for Immich {installed['immich']} by version {installed['package']}.", "green"
    yield f"Immich's tables {fits}{says}.", "green" if detected["fits"] else "red"
    for line in detected["differences"]:
        yield f"  {line}", "red"
    if installed["outdated"]:
        yield f"To be installed again (alembic upgrade head): {and_more(installed['outdated'])}.", "bold red"
    for waiting in found["waiting"]:
        yield f"{waits(waiting)}: linked-asset approve {waiting['album_id']}", "yellow"
    if found["queued"]:
        yield f"{found['queued']} media are queued for linking.", "yellow"
    if found["noted"]:
        yield f"{found['noted']} changes that met others are made with the next write of Immich's.", "yellow"
    if found["unsettled"]:
        yield (
            f"{found['unsettled']} media may lack thumbnails or video until Immich's job for what is missing has run.",
            "yellow",
        )
    if found["locked"]:
        yield f"{found['locked']} media are in a locked folder and not linked.", ""
    if incidents["count"]:
        yield f"{incidents['count']} incidents, to be repaired by linked-asset reconcile; the latest:", "bold red"
    for incident in incidents["latest"]:
        when = incident["last_at"]
        if incident["times"] > 1:
            when = f"{incident['times']} times from {incident['happened_at']} to {when}"
        yield f"  {when} {incident['place']}: {incident['message']} ({incident['sqlstate']})", "red"
