"""A guarded instance with a keeper of its own, as everybody starts it, and the kills that it survives."""

import os
import select
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fdstorefs
from fdstorefs.server.mounting import unmount
from tests.kernel.actor import Actor
from tests.kernel.command_process import CommandProcess
from tests.mount.cast import mounted_below
from tests.mount.waiting import wait_for

SECONDS = 240


def ask_status(mount: str) -> dict[str, Any] | None:
    """What the server says of itself, None if there is none."""
    try:
        with fdstorefs.connect(mount) as store:
            return store.status()._asdict()
    except (fdstorefs.NoInstance, fdstorefs.ProtocolError):
        return None


class KeptInstance:
    """Keeper and server, of which `actor` becomes the first keeper, and the directory that it is mounted on.

    To anybody but its user, whom `visitor` is too, the mount is closed.
    """

    def __init__(self, actor: Actor, visitor: Actor, mount: Path, policy: str) -> None:
        self.mount = str(mount)
        self._visitor = visitor
        mount.mkdir(parents=True)
        os.chown(mount, actor.role.uid, actor.role.uid)
        self._process = CommandProcess(
            actor, ["serve", "--enforcement", "kernel", "--policy", policy, self.mount]
        )
        self._process.start()

    def status(self) -> fdstorefs.Status:
        """What the server says, as soon as there is one."""
        return wait_for(self.status_now, SECONDS, "a server")

    def status_now(self) -> fdstorefs.Status | None:
        """None if there is no server at this moment."""
        said = self._visitor.call(ask_status, self.mount)
        return fdstorefs.Status(**said) if said is not None else None

    def kill_server(self) -> fdstorefs.Status:
        """What the next server says first."""
        killed = self.status().pid
        os.kill(killed, signal.SIGKILL)
        return self._next(lambda status: status.pid != killed)

    def kill_keeper(self) -> fdstorefs.Status:
        """What the server says when it has another one."""
        killed = self.status().keeper
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        return self._next(lambda status: status.keeper != killed)

    @contextmanager
    def without_server(self) -> Iterator[None]:
        """Kill the server; there is no other before the end of this."""
        status = self.status()
        assert status.keeper is not None
        os.kill(status.keeper, signal.SIGSTOP)
        try:
            os.kill(status.pid, signal.SIGKILL)
            _await_end(status.pid)
            yield
        finally:
            os.kill(status.keeper, signal.SIGCONT)

    def _next(self, is_next: Callable[[fdstorefs.Status], bool]) -> fdstorefs.Status:
        return wait_for(
            lambda: status if (status := self.status_now()) is not None and is_next(status) else None,
            SECONDS,
            "another process in the place of the one that was killed",
        )

    def said(self) -> str:
        """Everything that keepers and servers have printed so far."""
        return self._process.said()

    def end(self) -> None:
        """Be rid of all its processes, and of its mount."""
        status = self.status_now()
        if status is not None and status.keeper is not None:
            os.kill(status.keeper, signal.SIGTERM)
            _await_end(status.pid)
        self._process.end()
        for mount in mounted_below(self.mount):
            unmount(mount, lazy=True)
        shutil.rmtree(self.mount)


def _await_end(pid: int) -> None:
    """Until it will do nothing any more; whoever started it may not have noticed yet."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([pidfd], [], [], SECONDS)[0], f"process {pid} does not end"
    finally:
        os.close(pidfd)
