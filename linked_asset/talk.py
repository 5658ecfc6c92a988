"""What we say to people: on stderr, so that stdout stays for data."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

INTERRUPTED = "interrupted. The database is consistent; the same command goes on from here"


def say(line: str) -> None:
    print(f"linked-asset: {line}", file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere. Yields what is to be called with the number done so far."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def and_more(lines: Sequence[object], shown: int = 5) -> str:
    """The first few of many, in one line."""
    more = f" and {len(lines) - shown} more" if len(lines) > shown else ""
    return "; ".join(str(line) for line in lines[:shown]) + more
