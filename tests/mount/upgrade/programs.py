"""Programs to upgrade to: copies of the package, each with its own version, and changes where a test wants them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fdstorefs
from fdstorefs.client.store import Store
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from fdstorefs.server.keeping import frames
from fdstorefs.server.keeping.frames import Contents
from fdstorefs.server.mounting import unmount
from tests.mount.cast import REPOSITORY, mounted_below
from tests.mount.tortured import connect, repeat
from tests.mount.waiting import wait_for

SECONDS = 30

Changes = Mapping[str, tuple[str, str]]
"""By file of the package: what is replaced there, and with what."""

FORMAT = {"server/keeping/frames.py": ("MAJOR, MINOR = 2, 0", "MAJOR, MINOR = 3, 0")}
"""A format of the journal that the present one does not read."""


class Installed:
    """What is installed as `fdstorefs`, and changes, and an instance that was started from it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mount = str(directory / "mount")
        self.log = directory / "log"
        self._told: set[int] = set()
        self._gate = str(directory / "gate")
        os.mkfifo(self._gate)
        self._through = os.open(self._gate, os.O_RDWR)
        os.mkdir(self.mount)
        self.log.touch()

    def install(self, version: str, changes: Changes | None = None) -> None:
        """Have this version installed from now on."""
        copy = self.directory / f"program-{version}-{len(list(self.directory.iterdir()))}"
        package = copy / "fdstorefs"
        # Another test may be having something compiled, which is renamed when it is whole.
        shutil.copytree(f"{REPOSITORY}/fdstorefs", package, ignore=shutil.ignore_patterns("*.pyc.*"))
        all_changes = {"__init__.py": (f'"{fdstorefs.__version__}"', f'"{version}"'), **(changes or {})}
        for name, (former, new) in all_changes.items():
            text = (package / name).read_text()
            assert former in text, f"{name} has no {former!r}"
            (package / name).write_text(text.replace(former, new, 1))
        link = self.directory / "next"
        link.symlink_to(copy)
        link.rename(self.directory / "current")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The command line of what is installed."""
        return subprocess.run(
            [sys.executable, "-m", "fdstorefs", *arguments],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(self.directory / "current")},
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
            check=False,
        )

    def start(self, *arguments: str) -> Store:
        """Mount, and connect."""
        done = self.run("mount", "--log", str(self.log), *arguments, self.mount)
        assert done.returncode == 0, done.stderr
        return fdstorefs.connect(self.mount)

    def upgrade(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """By the command line."""
        return self.run("upgrade", "--at", self.mount, *arguments)

    def said(self) -> str:
        """The log of all that ran."""
        return self.log.read_text()

    def await_words(self, words: str) -> None:
        """Until the log has them."""
        wait_for(lambda: words in self.said(), SECONDS, f"`{words}` in the log:\n{self.said()}")

    def stopping_before(self, line: str) -> str:
        """A line of a program: before it the program says that it is there, and waits to be let through."""
        indent = line[: len(line) - len(line.lstrip())]
        return f'{indent}log.warning("it is there")\n{indent}open({self._gate!r}, "rb", 0).read(1)\n{line}'

    def let_through(self) -> None:
        """Whoever waits, or comes there first."""
        os.write(self._through, b"!")

    def journal(self) -> Contents:
        """What the keeper has of a journal."""
        with connect(self.mount) as store:
            keeper = repeat(store, lambda store: store.status()).keeper
        for fd in os.listdir(f"/proc/{keeper}/fd"):
            path = f"/proc/{keeper}/fd/{fd}"
            if "fdstorefs-journal" in _link(path):
                data = Path(path).read_bytes()
                # Of a format that this program need not know.
                head = frames._HEADER.unpack_from(data)
                return Contents(head[3], [], 0, 0, False, None, head[1], head[4].rstrip(b"\0").decode())
        raise AssertionError("the keeper has no journal")

    def end(self) -> None:
        """End the instance, whatever became of it."""
        os.close(self._through)
        try:
            wait_for(self._ends, SECONDS, "the end")
        finally:
            print(self.said())
            for left in mounted_below(self.mount):
                unmount(left, lazy=True)

    def _ends(self) -> bool:
        """Tell it to, each keeper once. Who is told may have been killed a moment ago."""
        try:
            with fdstorefs.connect(self.mount) as store:
                status = store.status()
            if (pid := status.keeper or status.pid) not in self._told:
                self._told.add(pid)
                os.kill(pid, signal.SIGTERM)
        except (fdstorefs.StoreError, ProcessLookupError):
            pass
        return not mounted_below(self.mount) and not self._processes()

    def _processes(self) -> list[str]:
        """Of what is installed: they are in nobody's way, but may be writing what Python compiles."""
        return [pid for pid in os.listdir("/proc") if pid.isdigit() and self._is_ours(pid)]

    def _is_ours(self, pid: str) -> bool:
        """By what it was started with. A program that a keeper has started has it in its environment alone."""
        try:
            facts = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False
        return any(os.fsencode(self.directory) in each for each in facts)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""


def facts(store: Store) -> list[dict[str, Any]]:
    """All that there is, in words that can be compared. (When it expires is told by a clock that is set.)"""
    entries = repeat(store, lambda store: store.list())
    return [entry._asdict() | {"expires": entry.expires is not None} for entry in entries]


def is_same(store: Store, name: str, descriptor: int) -> bool:
    """Whether an entry is the open file behind our descriptor."""
    with repeat(store, lambda store: store.retrieve(name)) as found:
        return same_file_order(found.fileno(), descriptor) == SAME_FILE
