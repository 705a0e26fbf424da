"""The service for containers with many instances, each for a container that does nothing."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.peers.process import (
    END_SECONDS,
    READY_SECONDS,
    Failed,
    Process,
    processor_seconds_of_all,
)
from fdstorefs.client import host
from fdstorefs.client.host import Started

_CONTAINER = (
    "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child",
    "sh", "-c", "mount -t tmpfs none /run && echo ready && exec sleep infinity",
)  # fmt: skip


class Container:
    """User, mount and pid namespace with one process, which sleeps."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            _CONTAINER, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._popen.stdout is not None
        if not select.select([self._popen.stdout], [], [], READY_SECONDS)[0]:
            raise Failed("a container is not ready")
        if self._popen.stdout.readline() != b"ready\n":
            raise Failed("no container can be made here")
        children = Path(f"/proc/{self._popen.pid}/task/{self._popen.pid}/children").read_text().split()
        self.pidfd = os.pidfd_open(int(children[0]))

    def end(self) -> None:
        """Kill what is in it."""
        self._popen.kill()
        self._popen.wait()
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        os.close(self.pidfd)


class Hosted:
    """The service, and as many containers as are wanted; instances are started one after the other."""

    def __init__(self, containers: int) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="fdstorefs-bench-")
        scratch = Path(self._scratch.name)
        self._socket = str(scratch / "host.sock")
        command = [sys.executable, "-m", "fdstorefs", "host", "serve", "--socket", self._socket]
        options = ["--enforcement", "daemon", "--ready-fd", "{ready}"]
        self._service = Process([*command, *options], scratch / "complaints")
        self.containers = [Container() for _ in range(containers)]
        self.instances: list[Started] = []

    def start(self) -> float:
        """Have the instance of the next container started; seconds until it served."""
        container = self.containers[len(self.instances)]
        begin = time.perf_counter()
        self.instances.append(host.start(container.pidfd, None, self._socket))
        return time.perf_counter() - begin

    @property
    def service(self) -> int:
        """The service's process."""
        return self._service.pid

    @property
    def processor_seconds(self) -> float:
        """What service and instances have spent on a processor so far."""
        return processor_seconds_of_all(self.service)

    @property
    def processes(self) -> list[int]:
        """Those of all instances, and of the service."""
        return [self.service, *(pid for each in self.instances for pid in pair(each))]

    def end_one(self) -> float:
        """End a container; seconds until nothing is left of its instance."""
        container, instance = self.containers.pop(), self.instances.pop()
        pidfds = [os.pidfd_open(pid) for pid in pair(instance)]
        begin = time.perf_counter()
        signal.pidfd_send_signal(container.pidfd, signal.SIGKILL)
        for pidfd in pidfds:
            if not select.select([pidfd], [], [], END_SECONDS)[0]:
                raise Failed("an instance does not end with its container")
            os.close(pidfd)
        taken = time.perf_counter() - begin
        container.end()
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for container in self.containers:
            container.end()
        self._service.end()
        self._scratch.cleanup()


def pair(instance: Started) -> tuple[int, int]:
    """Server and keeper of an instance."""
    if instance.server is None:
        raise Failed("an instance has no server")
    return instance.server, instance.keeper


def switches(processes: Iterable[int]) -> int:
    """How often threads of these processes have been put on a processor, or taken off it, so far."""
    return sum(_switches_of(task) for pid in processes for task in Path(f"/proc/{pid}/task").iterdir())


def _switches_of(task: Path) -> int:
    lines = (task / "status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
