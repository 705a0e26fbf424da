"""A mounted store to test against: a server in a process of its own, and clients in others."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.mount.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[3]
STASHING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
START_SECONDS = 20

Client = subprocess.Popen[str]


class MountedStore:
    """The mount at `root` and the process that serves it."""

    def __init__(self, root: str, process: subprocess.Popen[str]) -> None:
        self.root = root
        self._process = process
        self.clients: list[Client] = []

    def path(self, name: str) -> str:
        """Where an entry is."""
        return f"{self.root}/{name}"

    def stash(self, name: str, descriptor: int, flags: int = STASHING, mode: int = 0o600) -> None:
        """Stash a descriptor of this process by its number."""
        handle = os.open(self.path(name), flags, mode)
        try:
            os.write(handle, f"{descriptor}\n".encode())
        finally:
            os.close(handle)

    def opened(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A handle on an entry; the caller closes it."""
        return os.open(self.path(name), flags)

    def holds(self) -> dict[str, int]:
        """What the server holds at this moment."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        report: dict[str, int] = json.loads(self._process.stdout.readline())
        return report

    def wait_until_holds(self, **expected: int) -> None:
        """Wait for the server to hold this: what is released takes a moment to be."""
        wait_for(lambda: expected.items() <= self.holds().items(), what=f"{expected}; there is {self.holds()}")

    def client(self, code: str, *arguments: object, **popen: Any) -> Client:
        """Start a Python client; `sys.argv[1]` is the mount, the rest follows. It is killed after the test."""
        # Not the virtual environment's: another user may not be able to reach that, and needs nothing of it.
        argv = [os.path.realpath(sys.executable), "-c", code, self.root, *map(str, arguments)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process: Client = subprocess.Popen(argv, **{**pipes, **popen})
        self.clients.append(process)
        return process

    def run(self, code: str, *arguments: object, expect: int = 0, **popen: Any) -> str:
        """Run a Python client to its end, which must be with this exit status; return what it printed."""
        process = self.client(code, *arguments, **popen)
        printed, _ = process.communicate(timeout=20)
        assert expect == process.returncode
        return printed.strip()

    def unmount(self) -> None:
        """Have the server unmount, and see it end well."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(10) == 0

    @property
    def pid(self) -> int:
        """The server's."""
        return self._process.pid


def start(root: str, *arguments: object) -> MountedStore:
    """Serve a mount at `root` in a new process."""
    process = subprocess.Popen(
        # A server that is stuck must not outlive its test: without it, clients come free.
        ["timeout", "--foreground", "--kill-after=1", "110", sys.executable, "-m", "tests.mount.fuse.serving"]
        + [root, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    said = process.stdout.readline() if readable else ""
    assert said == "ready\n"
    return MountedStore(root, process)


def next_line(client: Client) -> str:
    """The next line that a client prints."""
    assert client.stdout is not None
    return client.stdout.readline().strip()
