"""Pages that follow from the code: every error, and every object in schema linked. Run by mkdocs."""

import re
from collections.abc import Iterator
from inspect import getdoc

import mkdocs_gen_files

from linked_asset import errors, immich, render

COMMENT = re.compile(r"comment on (\w+) (.+?) is\s+'((?:[^']|'')*)'", re.IGNORECASE)


def error_lines() -> Iterator[str]:
    for error in vars(errors).values():
        if (
            isinstance(error, type)
            and issubclass(error, errors.LinkedAssetError)
            and error is not errors.LinkedAssetError
        ):
            yield f"## {error.__name__}\n\n{' '.join((getdoc(error) or '').split())}\n"


def object_lines() -> Iterator[str]:
    found: dict[str, dict[str, str]] = {}
    for kind, name, comment in COMMENT.findall(render.install_script(immich.RELEASES[-1])):
        found.setdefault(kind.lower(), {})[name] = " ".join(comment.replace("''", "'").split())
    for kind in ("table", "procedure", "function", "trigger"):
        yield f"## {kind.capitalize()}s\n"
        for name, comment in sorted(found[kind].items()):
            yield f"`{name}`\n:   {comment}\n"


def write(path: str, title: str, introduction: str, lines: Iterator[str]) -> None:
    with mkdocs_gen_files.open(path, "w") as page:
        page.write(f"# {title}\n\n{introduction}\n\n" + "\n".join(lines))


write(
    "reference/errors.md",
    "Errors",
    "What a command says when it does not do its work: one line, exit code 1. Words in braces are filled in.",
    error_lines(),
)
write(
    "reference/schema.md",
    "Schema linked",
    f"What there is of ours for Immich {immich.RELEASES[-1]}. In psql: `\\dt+ linked.*`, `\\df+ linked.*`.",
    object_lines(),
)
