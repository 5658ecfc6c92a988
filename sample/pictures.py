"""The pictures in README: what `make demo` and `linked-asset status` print, as rich draws it.

`python -m sample.pictures` draws them anew; a test says when they are not up to date.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
from rich.console import Console
from rich.text import Text

from sample import FAMILIES, create_immich, load_family
from sample.server import embedded_server

CHECKOUT = Path(__file__).parents[1]
FOLDER = CHECKOUT / "docs" / "pictures"
COLUMNS = 80
CHAPTERS = ("Anna writes", "Ben names", "Clara makes", "Ben throws")
"""Of the demonstration, which is too long for one picture."""


def pictures() -> dict[Path, str]:
    """What the files should hold."""
    return {
        FOLDER / "demo.svg": drawn("make demo", chapters(run("sample.demo"))),
        FOLDER / "status.svg": drawn("linked-asset status", status()),
    }


def status() -> str:
    with embedded_server() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            newest = list(FAMILIES)[-1]
            create_immich(connection, newest)
            load_family(connection, newest)
        run("linked_asset", "upgrade", database=server.url)
        return run("linked_asset", "status", database=server.url)


def chapters(story: str) -> str:
    found = re.split(r"^(?=.*-{3})", story, flags=re.MULTILINE)
    return "".join(chapter for chapter in found if any(title in chapter.partition("\n")[0] for title in CHAPTERS))


def run(module: str, *arguments: str, database: str = "") -> str:
    """What a command prints on a terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
    terminal = {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=CHECKOUT,
        env={**environment, **terminal, "DB_URL": database},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def drawn(title: str, printed: str) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(printed.rstrip()))
    svg = console.export_svg(title=title, unique_id=title.replace(" ", "-"))
    # A reader's own font will do: none is loaded from elsewhere.
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for path, svg in pictures().items():
        path.write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
