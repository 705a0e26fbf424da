"""A server of a mount and a socket in it that can be followed by another: a keeper's part is left out.

`python -m tests.mount.handover.serving MOUNT` mounts, prints `ready`, and serves. Each line on its standard input is a
question, and has one line for an answer:

- `?`: what the server holds
- `succeed`: have another process take over: `succeeded`, from that
- `fail`: hand over all, to a process that then dies: `went on`
- `confuse KEY`: another process is told nonsense: `refused: ...`, and the first one goes on

It ends when its standard input is closed, and the mount with it.
"""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from fdstorefs.core.store import Store
from fdstorefs.host.descriptors import Descriptors, raise_limit
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.host.user_namespaces import HeldChain
from fdstorefs.server import doorway, fuse, varlink
from fdstorefs.server.context import Context
from fdstorefs.server.intake import Intake
from fdstorefs.server.keeping.keeping import Keeping, read
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import Mounted, mount_instance, unmount
from fdstorefs.server.passed import NotUnderstood, Passed
from fdstorefs.server.place import OwnPlace
from fdstorefs.server.record import Records
from fdstorefs.server.subjects import Subjects
from tests.mount.handover import parcel

STATUS = {"version": "0", "policyStatus": {}, "entries": 0, "descriptors": 0, "connections": 0}


class NobodyKeeps:
    """The line to a keeper that there isn't."""

    def keep(
        self,
        numbers: Iterable[int],
        descriptors: Iterable[int],
        slow: bool = False,
        foreign: Iterable[int] = (),
    ) -> None:
        """Nothing is held."""

    def drop(self, numbers: Iterable[int], slow: bool = False) -> None:
        """Nothing was."""

    def journal(self, descriptor: int) -> None:
        """It has its descriptor."""


class Server:
    """One of them. `device_fd` is the mount's, `device` what is mounted."""

    def __init__(self, mountpoint: str, device_fd: int, device: int, key: bytes | None = None) -> None:
        self.mountpoint = mountpoint
        self.device_fd, self.device = device_fd, device
        self.loop = Loop()
        store = Store(uid=os.geteuid(), gid=os.getegid(), clock=time.time_ns)
        intake = Intake(Descriptors(), RecursionGuard(device, os.getpid()), raise_limit())
        records = Records(store, key)
        self.context = Context(self.loop, store, intake, Subjects(), records, lambda: dict(STATUS))
        self.keeping: Keeping
        self.listening: socket.socket
        self.mount: fuse.MountServer
        self.socket: varlink.VarlinkServer
        self.line: socket.socket | None = None
        self.frozen = 0

    # Beginning

    def keep(self, keeping: Keeping) -> None:
        """Keep what is stored."""
        self.keeping = keeping
        keeping.attach(self.context.store, self.context.intake, self.loop.when_idle)

    def first(self, mounted: Mounted) -> None:
        """Serve a mount that is new."""
        self.keep(Keeping.begin(NobodyKeeps()))
        self.mount = fuse.serve_mount(self.context, self.device_fd, self.device, self.loop.stop)
        self.loop.in_thread(lambda: doorway.bind(lambda: OwnPlace().open_root(mounted)), self._bound)

    def _bound(self, listening: socket.socket | Exception) -> None:
        assert isinstance(listening, socket.socket), listening
        self.listening = listening
        self.socket = varlink.serve(self.context, listening)
        self.listen("ready")

    def listen(self, text: str) -> None:
        """Say this, and hear what is asked from now on."""
        self.loop.register(0, self._ask)
        say(text)

    # What is asked

    def _ask(self, _events: int) -> None:
        question, *arguments = os.read(0, 4096).decode().split() or [""]
        if not question:
            self.loop.unregister(0)
            self.end()
        elif question == "?":
            say(json.dumps(self._report()))
        else:
            self._succession(question, *arguments)

    def _report(self) -> dict[str, int]:
        return {
            "pid": os.getpid(),
            "descriptors": len(os.listdir("/proc/self/fd")) - 1,
            "files": self.context.intake.files,
            "handles": self.mount.handles,
            "nodes": len(self.context.store.tree.nodes),
            "listeners": self.context.store.events.listeners_of(os.geteuid()),
            "connections": self.socket.connections,
            "elsewhere": len(self.mount.elsewhere),
            "threads": threading.active_count(),
        }

    def end(self) -> None:
        """Take the mount away."""
        self.socket.close()
        self.listening.close()
        self.loop.in_thread(lambda: unmount(self.mountpoint, lazy=True), lambda _result: None)

    # Another one

    def _succession(self, how: str, key: str = "") -> None:
        self.loop.unregister(0)
        ours, theirs = socket.socketpair()
        with theirs:
            argv = [sys.executable, "-m", __spec__.name, "--from", str(theirs.fileno())]
            subprocess.Popen(argv, pass_fds=[theirs.fileno()])
        self.loop.register(ours.fileno(), functools.partial(self._prepared, ours, how, key))

    def _prepared(self, line: socket.socket, how: str, key: str, _events: int) -> None:
        """The other process has imported everything."""
        assert line.recv(1) == b"."
        self.loop.unregister(line.fileno())
        still = functools.partial(self._still, line, how, key)
        self.frozen = 2
        self.mount.freeze(still)
        self.socket.freeze(still)

    def _still(self, line: socket.socket, how: str, key: str) -> None:
        self.frozen -= 1
        if self.frozen:
            return
        mount, connections = self.mount.hand_over(), self.socket.hand_over()
        if key:
            (mount if key in mount.told else connections).told[key] = "nonsense"
        self._send(line, mount, connections)
        answer = line.recv(4096)
        if how != "fail" and answer == b"taken":
            line.send(b".")
            self._leave(line)
            return
        line.close()
        self.mount.thaw()
        self.socket.thaw()
        self.listen("went on" if how == "fail" else f"refused: {answer.decode()}")

    def _send(self, line: socket.socket, mount: Passed, connections: Passed) -> None:
        kept = dict(self.keeping.everything())
        about = {
            "mountpoint": self.mountpoint,
            "device": self.device,
            "key": self.context.records.key.hex(),
            "kept": list(kept),
        }
        mine = [self.device_fd, self.listening.fileno(), self.keeping.journal_fd, *kept.values()]
        parcel.send(line, about, mine)
        for passed in (mount, connections):
            parcel.send(line, passed.told, passed.descriptors)

    def _leave(self, line: socket.socket) -> None:
        def over(unique: int, moved: int = -1) -> None:
            line.send(f"{unique},{moved}\n".encode())
            if not self.mount.lingering:
                os._exit(0)

        self.socket.leave()
        self.mount.leave(over, over)
        if not self.mount.lingering:
            os._exit(0)
        line.setblocking(False)
        self.loop.register(line.fileno(), functools.partial(self._told_of_signals, line))

    def _told_of_signals(self, line: socket.socket, _events: int) -> None:
        for unique in line.recv(4096).split():
            self.mount.interrupt(int(unique))

    # In place of another one

    def told_of_answers(self, line: socket.socket) -> None:
        """Hear of what the former server has answered."""
        self.loop.register(line.fileno(), functools.partial(self._told_of_answers, line))

    def _told_of_answers(self, line: socket.socket, _events: int) -> None:
        answered = line.recv(4096)
        for unique, moved in (map(int, told.split(b",")) for told in answered.split()):
            if moved < 0:
                self.mount.answered_elsewhere(unique)
            else:
                self.mount.given_back(unique, moved)
        if not answered:
            self.loop.unregister(line.fileno())
            line.close()
            self.mount.former_is_gone()


def say(text: str) -> None:
    """One line on standard output."""
    print(text, flush=True)


def take_over(line: socket.socket) -> Server:
    """What the other server has."""
    about, (device_fd, listening, journal, *kept) = parcel.receive(line)
    server = Server(about["mountpoint"], device_fd, about["device"], bytes.fromhex(about["key"]))
    context = server.context
    held = dict(zip(about["kept"], kept, strict=True))
    hold = context.subjects.home.hold_again
    keeping, rebuilt = Keeping.resume(
        NobodyKeeps(), read(journal), held, context.store, context.intake, hold=hold or HeldChain
    )
    assert not rebuilt.differs
    server.keep(keeping)
    server.listening = socket.socket(fileno=listening)
    interrupt: Callable[[int], None] = lambda unique: void(line.send(f"{unique}\n".encode()))  # noqa: E731
    server.mount = fuse.take_over(
        context, Passed(*parcel.receive(line)), device_fd, about["device"], server.loop.stop, interrupt
    )
    server.socket = varlink.take_over(context, server.listening, Passed(*parcel.receive(line)))
    return server


def void(_result: Any) -> None:
    """Nothing comes of it."""


def succeed(line: socket.socket) -> Server:
    """Take over, and serve once the other one has left. Exits if that is not to be."""
    line.send(b".")
    try:
        server = take_over(line)
    except NotUnderstood as error:
        line.send(str(error).encode())
        sys.exit(1)
    line.send(b"taken")
    if not line.recv(1):
        sys.exit(1)
    server.told_of_answers(line)
    server.mount.begin()
    server.socket.begin()
    server.listen("succeeded")
    return server


def main(mountpoint: str, line: str = "") -> None:
    """Mount and serve, or take over."""
    # A server that is stuck must not outlive its test: when it ends its clients come free.
    signal.alarm(110)
    if mountpoint == "--from":
        server = succeed(socket.socket(fileno=int(line)))
    else:
        mounted = mount_instance(mountpoint)
        server = Server(mounted.path, mounted.device_fd, mounted.device)
        server.first(mounted)
    server.loop.run()
    server.mount.close()
    server.loop.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
