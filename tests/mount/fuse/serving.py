"""A store behind a mount and nothing else: no socket, no command line.

`python -m tests.mount.fuse.serving MOUNT [ENTRIES] [LIMIT]` mounts, prints `ready`, and serves. Each line on
its standard input is a question (see `Questions`). It ends when the mount is gone, or when its standard input is
closed: then it unmounts.
"""

import json
import os
import signal
import socket
import sys
import threading
import time

from fdstorefs.core.limits import Limits
from fdstorefs.core.store import Store
from fdstorefs.host.descriptors import Descriptors, raise_limit
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server import fuse
from fdstorefs.server.context import Context
from fdstorefs.server.intake import Intake
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import Mounted, mount_instance, unmount
from fdstorefs.server.record import Records
from fdstorefs.server.subjects import Subjects


def make_context(loop: Loop, mounted: Mounted, entries: int | None, limit: int) -> Context:
    """A store with the usual parts."""
    guard = RecursionGuard(mounted.device, os.getpid())
    store = Store(uid=os.geteuid(), gid=os.getegid(), clock=time.time_ns, limits=Limits(entries))
    intake = Intake(Descriptors(), guard, limit)
    return Context(loop, store, intake, Subjects(), Records(store), dict)


class Questions:
    """What is asked on standard input: `?` what is held, `-NAME` to discard an entry, a name to bind a socket there."""

    def __init__(self, loop: Loop, context: Context, server: fuse.MountServer, mountpoint: str) -> None:
        self._loop = loop
        self._context = context
        self._server = server
        self._mountpoint = mountpoint
        self._bound: list[socket.socket] = []
        loop.register(0, self._ask)

    def _ask(self, _events: int) -> None:
        question = os.read(0, 4096).decode().strip()
        if not question:
            self._loop.unregister(0)
            self.close()  # what is bound inside keeps a mount
            self._loop.in_thread(lambda: unmount(self._mountpoint, lazy=True), lambda _result: None)
        elif question == "?":
            answer(json.dumps(self._report()))
        elif question.startswith("-"):
            self._discard(question.removeprefix("-"))
        else:
            self._loop.in_thread(lambda: self._bind(question), answer)

    def _discard(self, name: str) -> None:
        """As somebody does who comes through another door."""
        store, subjects = self._context.store, self._context.subjects
        subject = subjects.subject(os.getpid(), os.geteuid(), os.getegid())
        store.discard(subject, store.locate(subject, name))
        answer("discarded")

    def _report(self) -> dict[str, int]:
        return {
            "descriptors": len(os.listdir("/proc/self/fd")) - 1,
            "files": self._context.intake.files,
            "handles": self._server.handles,
            "nodes": len(self._context.store.tree.nodes),
            "threads": threading.active_count(),
        }

    def _bind(self, name: str) -> str:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(f"{self._mountpoint}/{name}")
        listening.listen()
        self._bound.append(listening)
        return "bound"

    def close(self) -> None:
        """Close the sockets."""
        for listening in self._bound:
            listening.close()


def answer(text: object) -> None:
    """One line on standard output."""
    print(text, flush=True)


def main(mountpoint: str, entries: str = "", limit: str = "") -> None:
    """Mount, serve, unmount."""
    # A server that is stuck must not outlive its test: when it ends its clients come free.
    signal.alarm(110)
    mounted = mount_instance(mountpoint)
    loop = Loop()
    context = make_context(loop, mounted, int(entries) if entries else None, int(limit or raise_limit()))
    server = fuse.serve_mount(context, mounted.device_fd, mounted.device, loop.stop)
    questions = Questions(loop, context, server, mountpoint)
    answer("ready")
    loop.run()
    questions.close()
    server.close()
    loop.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
