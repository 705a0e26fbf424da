"""A mounted store to test against: a server in a process of its own, and clients in others."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from fdstorefs.host import procfs, syscalls
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
        self.kept: set[int] = set()

    def path(self, name: str) -> str:
        """Where an entry is."""
        return f"{self.root}/{name}"

    def stash(self, name: str, descriptor: int, flags: int = STASHING, mode: int = 0o600) -> None:
        """Stash a descriptor of this process by its number."""
        handle = os.open(self.path(name), flags, mode)
        try:
            os.write(handle, f"{descriptor}\n".encode())
            os.chmod(self.path(name), mode)
        finally:
            os.close(handle)

    def opened(self, name: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
        """A handle on an entry, closed after the test: while one is open the mount stays."""
        return self.keep(os.open(self.path(name), flags, mode))

    def keep(self, descriptor: int) -> int:
        """Close this descriptor after the test."""
        self.kept.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        """Close it now."""
        self.kept.remove(descriptor)
        os.close(descriptor)

    def memfd(self, content: bytes = b"") -> int:
        """A memfd that stands at its start."""
        descriptor = self.keep(os.memfd_create("test"))
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def end(self) -> None:
        """Kill the clients, close what was opened, and take the mount away."""
        for client in self.clients:
            client.kill()
            client.wait(10)
            close_streams(client)
        for descriptor in self.kept:
            os.close(descriptor)
        self._take_away()
        close_streams(self._process)

    def _take_away(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
            raise
        finally:
            if any(mount.mount_point == self.root for mount in procfs.mounts().mounts):
                syscalls.umount2(self.root, syscalls.MNT_DETACH)
        assert status == 0

    def holds(self) -> dict[str, int]:
        """What the server holds at this moment."""
        report: dict[str, int] = json.loads(self._ask("?"))
        return report

    def bind(self, name: str) -> None:
        """Have the server bind one of its own sockets."""
        assert self._ask(name) == "bound"

    def discard(self, name: str) -> None:
        """Have an entry discarded by the server itself: not through the mount."""
        assert self._ask(f"-{name}") == "discarded"

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def wait_until_holds(self, **expected: int) -> None:
        """Wait for the server to hold this: what is released takes a moment to be."""
        wait_for(lambda: expected.items() <= self.holds().items(), what=f"{expected}")

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

    def wait(self) -> int:
        """Wait for the server to end; returns its exit status."""
        return self._process.wait(10)

    @property
    def pid(self) -> int:
        """The server's."""
        return self._process.pid


def start(root: str, *arguments: object) -> MountedStore:
    """Serve a mount at `root` in a new process."""
    return MountedStore(root, serving("tests.mount.fuse.serving", root, *arguments))


def serving(program: str, root: str, *arguments: object, **popen: Any) -> subprocess.Popen[str]:
    """A new process of a module that serves a mount at `root`, as soon as it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", program, root, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        **popen,
    )
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    said = process.stdout.readline() if readable else ""
    assert said == "ready\n"
    return process


def close_streams(process: subprocess.Popen[str]) -> None:
    """Close our ends of a process's pipes."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def next_line(client: Client) -> str:
    """The next line that a client prints."""
    assert client.stdout is not None
    return client.stdout.readline().strip()
