"""What systemd does for a service with FileDescriptorStoreMax= and NotifyAccess=all, as far as a service sees it.

Messages are taken in order, and one whose sender is dead by then is nobody's. What is one too many is dropped without
a word, and what is there already, under whatever name, is kept once.
"""

import array
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from tests.mount.cast import REPOSITORY, Cast, Process, group_is_gone
from tests.mount.service import launch
from tests.mount.waiting import wait_for

MOST_DESCRIPTORS = 253
_CREDENTIALS = struct.Struct("3i")
_SPACE = socket.CMSG_SPACE(MOST_DESCRIPTORS * 4) + socket.CMSG_SPACE(_CREDENTIALS.size)


class Manager:
    """The unit that it manages is one program, started as often as `start` is called.

    `stored` are pairs of name and descriptor, `said` are the other messages.
    """

    def __init__(self, directory: str, cast: Cast, most: int = 100, obeys: bool = True) -> None:
        self.stored: list[tuple[str, int]] = []
        self.said: list[str] = []
        self.dead_senders = 0
        self.barriers = 0
        self.most = most
        self.obeys = obeys
        self.main: Process | None = None
        self._cast = cast
        self.log = Path(directory) / "log"
        self.address = f"{directory}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(self.address)
        os.chmod(self.address, 0o777)
        self._awake = threading.Event()
        self._awake.set()
        self._ends = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    # What it does

    def start(self, *argv: str, told: bool = True) -> Process:
        """Start the unit, and wait until it is ready. `told`: with $FDSTORE, as from systemd 254 on."""
        main = self.try_to_start(*argv, told=told)
        assert self.is_ready, self.log.read_text()
        return main

    def try_to_start(self, *argv: str, told: bool = True) -> Process:
        """The same, but it may end instead. `log` has what it says."""
        self.said.clear()
        names = [name for name, _ in self.stored]
        descriptors = [descriptor for _, descriptor in self.stored]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NOTIFY_SOCKET": self.address}
        if told:
            environment["FDSTORE"] = str(self.most)
        if names:
            environment |= {"LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names)}
        command = [sys.executable, launch.__file__, ",".join(map(str, descriptors))]
        program = [sys.executable, "-m", "fdstorefs", "serve", *argv]
        with self.log.open("a") as log:
            self.main = self._cast.start(
                [*command, *program], env=environment, pass_fds=descriptors, stdout=log, stderr=log
            )
        main = self.main
        wait_for(lambda: self.is_ready or main.poll() is not None, 30, "the unit to be ready")
        return main

    @property
    def group(self) -> int:
        """The process group that all of the unit's processes are in."""
        assert self.main is not None
        return self.main.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has said so."""
        return any("READY=1" in text.split("\n") for text in self.said)

    def kill(self) -> None:
        """Kill all of the unit's processes at once."""
        assert self.main is not None
        os.killpg(self.main.pid, 9)
        self.main.wait(20)
        wait_for(lambda: group_is_gone(self.group), 20, "all to be gone")

    def stop(self) -> int:
        """Tell all of the unit's processes to end, and return the first one's exit status."""
        assert self.main is not None
        os.killpg(self.main.pid, 15)
        status = self.main.wait(20)
        wait_for(lambda: group_is_gone(self.group), 20, "all to be gone")
        return status

    def pause(self) -> None:
        """Take nothing from the queue any more."""
        self._awake.clear()
        self._poke()

    def go_on(self) -> None:
        """Take what is there, in order."""
        self._awake.set()

    # What there is

    @property
    def names(self) -> list[str]:
        """Of all that is stored."""
        return [name for name, _ in self.stored]

    def has(self, descriptor: int) -> bool:
        """Whether this open file is stored."""
        return any(same_file_order(ours, descriptor) == SAME_FILE for _, ours in self.stored)

    def settle(self) -> None:
        """Until all that was sent so far is done."""
        ours, its = os.pipe()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(self.address)
            socket.send_fds(sender, [b"BARRIER=1"], [its])
        os.close(its)
        os.read(ours, 1)
        os.close(ours)

    def end(self) -> None:
        """Everything."""
        if self.main is not None and not group_is_gone(self.group):
            self.stop()
        self._ends = True
        self._awake.set()
        self._poke()
        self._thread.join()
        self._socket.close()
        for _, descriptor in self.stored:
            os.close(descriptor)

    def _poke(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"STATUS=", self.address)

    # How

    def _run(self) -> None:
        while not self._ends:
            message, beside, _, _ = self._socket.recvmsg(4096, _SPACE)
            self._awake.wait()
            descriptors = array.array("i")
            sender = 0
            for _, kind, data in beside:
                if kind == socket.SCM_RIGHTS:
                    descriptors.frombytes(data)
                elif kind == socket.SCM_CREDENTIALS:
                    sender = _CREDENTIALS.unpack(data)[0]
            for descriptor in self._take(message.decode(), list(descriptors), sender):
                os.close(descriptor)

    def _take(self, text: str, descriptors: list[int], sender: int) -> list[int]:
        """Do what it says; returns what is not kept of the descriptors."""
        told = dict(line.split("=", 1) for line in text.split("\n"))
        if "BARRIER" in told:
            self.barriers += 1
            return descriptors
        if not _is_alive(sender):
            self.dead_senders += 1
            return descriptors
        if "FDSTOREREMOVE" in told:
            gone = [entry for entry in self.stored if entry[0] == told["FDNAME"]]
            self.stored = [entry for entry in self.stored if entry not in gone]
            return [descriptor for _, descriptor in gone]
        if "FDSTORE" in told:
            return self._store(told["FDNAME"], descriptors) if self.obeys else descriptors
        self.said.append(text)
        return descriptors

    def _store(self, name: str, descriptors: list[int]) -> list[int]:
        refused = []
        for descriptor in descriptors:
            if len(self.stored) >= self.most or self.has(descriptor):
                refused.append(descriptor)
            else:
                self.stored = [(name, descriptor), *self.stored]
        return refused


def _is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


Make = Callable[..., Manager]
