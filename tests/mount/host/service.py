"""A running service for containers, as a test sees it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fdstorefs.client import host
from fdstorefs.client.host import Started
from tests.mount.cast import Cast, Process
from tests.mount.host.container import Container
from tests.mount.waiting import wait_for

ENDS_WITHIN = 10


class Service:
    """`fdstorefs host serve`, as a user, on a socket of its own. `end` fails if a process of an instance is left."""

    def __init__(
        self,
        cast: Cast,
        user: str | None,
        arguments: Sequence[str],
        log: IO[str],
        *,
        default_socket: bool = False,
    ) -> None:
        self.cast = cast
        self.user = user
        self._arguments = arguments
        self._log = log
        name = "run/fdstorefs/host.sock" if default_socket else "host.sock"
        self.socket = os.path.join(cast.home(user), name)
        # As /run/fdstorefs is: servers are of other users, and have to reach it.
        os.chmod(cast.home(user), 0o755)
        self.process = self._start()

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def start(self, container: Container, mount: str | None = None) -> Started:
        """Have an instance started for a container, by whoever runs the service."""
        if self.user is not None:
            asked = self.ask("start", "--pid", str(container.pid), "--json", user=self.user)
            assert 0 == asked.returncode, asked.stderr
            return Started(**json.loads(asked.stdout))
        with held(container.pid) as pidfd:
            return host.start(pidfd, mount, self.socket)

    def stop(self, container: Container, mount: str | None = None) -> None:
        """End a container's instance."""
        with held(container.pid) as pidfd:
            host.stop(pidfd, mount, self.socket)

    def instances(self) -> list[Started]:
        """All instances."""
        if self.user is not None:
            listed = self.ask("list", "--json", user=self.user).stdout
            return [Started(**each) for each in json.loads(listed)]
        return list(host.instances(self.socket))

    def ask(
        self, *words: str, user: str | None = None, **popen: object
    ) -> "subprocess.CompletedProcess[str]":
        """Run `fdstorefs host WORDS --socket ...` as a user to its end."""
        argv = [sys.executable, "-m", "fdstorefs", "host", *words, "--socket", self.socket]
        process = self.cast.start(self.cast.command(argv, user), **popen)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def kill(self) -> None:
        """End it with SIGKILL; what it has started goes on."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(ENDS_WITHIN)

    def start_again(self) -> None:
        """Another service in its place."""
        self.process = self._start()

    def records(self) -> list[str]:
        """The names of what is on record."""
        return sorted(os.listdir(self.socket.removesuffix(".sock") + ".instances"))

    def said(self) -> str:
        """Everything that it and its instances have printed."""
        self._log.seek(0)
        return self._log.read()

    def end(self) -> None:
        """End it and its instances."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(ENDS_WITHIN)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not self.processes(), ENDS_WITHIN, f"the instances to end:\n{self.said()}")

    def processes(self) -> list[int]:
        """The keepers and servers: all that have this service's command line, but itself and what forks for it."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        its_own = {self.pid, *map(int, children.read_text().split())} if children.exists() else {self.pid}
        found = map(int, filter(str.isdecimal, os.listdir("/proc")))
        return [pid for pid in found if pid not in its_own and self._is_of(pid)]

    def _is_of(self, pid: int) -> bool:
        try:
            return self.socket.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False

    def _start(self) -> Process:
        ready, ready_fd = os.pipe()
        command = [sys.executable, "-m", "fdstorefs", "host", "serve", "--socket", self.socket]
        argv = [*command, "--ready-fd", str(ready_fd), "--enforcement", "daemon", *self._arguments]
        with os.fdopen(ready) as announcement:
            with os.fdopen(ready_fd, "w"):
                process = self.cast.start(
                    self.cast.command(argv, self.user),
                    stdout=self._log,
                    stderr=self._log,
                    pass_fds=[ready_fd],
                )
            assert announcement.readline() == "ready\n", self.said()
        return process


@contextmanager
def held(pid: int) -> Iterator[int]:
    """A pidfd of a process."""
    pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def namespace_of(pid: int | str, kind: str) -> str:
    """A namespace of a process, as the kernel writes it."""
    return os.readlink(f"/proc/{pid}/ns/{kind}")
