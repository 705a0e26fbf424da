"""An enforcer that speaks the protocol and guards nothing, and a kernel that is a directory.

What a real kernel would answer to the server's question about an open file, a file in `kernel` says: it is called
after the device and inode of the open file, and holds an errno. `on` is there while the kernel enforces at all.
"""

import array
import contextlib
import json
import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

from fdstorefs.server.guarding.asking import CLASSIFIED, NOBODY, UNTAGGED

OPENER = {"uid": 1234, "gid": 1235, "capabilities": 8, "userns": [1, 2, 3]}
ROOM = socket.CMSG_SPACE(256 * 4)


class Kernel:
    """The directory. `ask` is what the server asks it."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._path.mkdir(mode=0o777, exist_ok=True)

    def ask(self, descriptor: int) -> int:
        """What it knows of an open file."""
        if not (self._path / "on").exists():
            return NOBODY
        try:
            return int(self._of(descriptor).read_text())
        except FileNotFoundError:
            return UNTAGGED

    def switch(self, on: bool) -> None:
        """Enforce, or don't."""
        if on:
            (self._path / "on").touch()
        else:
            (self._path / "on").unlink(missing_ok=True)

    def tag(self, descriptor: int, answer: int) -> None:
        """Know this of an open file."""
        self._of(descriptor).write_text(str(answer))

    def untag(self, descriptor: int) -> None:
        """Know nothing of it."""
        self._of(descriptor).unlink(missing_ok=True)

    def forget(self) -> None:
        """Know nothing of anything, as after all was switched off."""
        shutil.rmtree(self._path)
        self._path.mkdir(mode=0o777)

    def _of(self, descriptor: int) -> Path:
        found = os.fstat(descriptor)
        return self._path / f"{found.st_dev}-{found.st_ino}"


class FakeEnforcer:
    """Listens at `path` in threads of this process, from `start` to `end`.

    `calls` are those that came, `names` the paths that it knows each open file by (by inode). `why` is the answer to
    the next Guard that is about one of these paths; `error` the identifier that Register is refused with. While it is
    `silent` it answers nothing. `keepers` are the processes that Protect was about, of which
    `strangers` are refused.
    """

    def __init__(self, path: str, kernel: Kernel) -> None:
        self.path = path
        self.kernel = kernel
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.names: dict[int, list[str]] = {}
        self.why: dict[str, str] = {}
        self.error: str | None = None
        self.silent = False
        self.keepers: list[int] = []
        self.strangers: set[int] = set()
        self.enforces = True
        self._changed = threading.Condition()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to listen."""
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.path)
        os.chmod(self.path, 0o777)
        listening.listen()
        self._open = [listening]
        self._run(self._accept, listening)

    def end(self) -> None:
        """Be gone, and everything that was connected."""
        if os.path.exists(self.path):
            os.unlink(self.path)
        for each in self._open:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        for each in self._open:
            each.close()
        self._open, self._threads = [], []

    def await_call(self, method: str, count: int = 1) -> dict[str, Any]:
        """The parameters of the call of a method with this number, counted from 1, when it has come."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.of(method)) >= count, 20)
            assert came, f"no {method} number {count} among {[name for name, _ in self.calls]}"
            return self.of(method)[count - 1]

    def of(self, method: str) -> list[dict[str, Any]]:
        """The parameters of all calls of a method."""
        return [parameters for name, parameters in self.calls if name == method]

    @property
    def paths(self) -> list[list[str]]:
        """All names that it knows, by file."""
        return sorted(sorted(names) for names in self.names.values())

    def _run(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connected, _ = listening.accept()
            except OSError:
                return
            self._open.append(connected)
            self._run(self._serve, connected)

    def _serve(self, connected: socket.socket) -> None:
        received, descriptors = b"", array.array("i")
        while True:
            try:
                piece, ancillary, _, _ = connected.recvmsg(1 << 16, ROOM)
            except OSError:
                return
            for _, _, rights in ancillary:
                descriptors.frombytes(rights)
            received += piece
            *messages, received = received.split(b"\0")
            for message in messages:
                # The client sends one message with its descriptors at a time.
                mine, descriptors = self._split(message, descriptors)
                self._handle(connected, json.loads(message), mine)
            if not piece:
                return

    @staticmethod
    def _split(message: bytes, descriptors: "array.array[int]") -> tuple[list[int], "array.array[int]"]:
        parameters = json.loads(message)["parameters"]
        count = len(parameters["files"]) if "files" in parameters else 1
        return list(descriptors[:count]), descriptors[count:]

    def _handle(self, connected: socket.socket, call: dict[str, Any], descriptors: list[int]) -> None:
        method, parameters = call["method"].rpartition(".")[2], call["parameters"]
        try:
            reply = getattr(self, f"_{method.lower()}")(parameters, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        with self._changed:
            self.calls.append((method, parameters))
            self._changed.notify_all()
        if not self.silent:
            # Who asked may have been ended meanwhile.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connected.sendall(json.dumps(reply).encode() + b"\0")

    def _register(self, parameters: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        if self.error is not None:
            told = {"message": f"it says {self.error}"}
            return {"error": f"io.fdstorefs.Enforcer.{self.error}", "parameters": told}
        self.kernel.switch(self.enforces)
        told = {
            "instance": 7,
            "generation": 3,
            "lockdown": False,
            "hooks": ["file_receive"],
            "policies": ["p"],
        }
        return {"parameters": told}

    def _protect(self, parameters: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        with open(f"/proc/self/fdinfo/{descriptors[parameters['process']]}") as info:
            self.keepers.append(int(dict(line.split(":") for line in info)["Pid"]))
        if self.keepers[-1] in self.strangers:
            return {"error": "io.fdstorefs.Enforcer.NotPermitted", "parameters": {"message": "a stranger"}}
        return {}

    def _guard(self, parameters: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        files = [self._guard_one(file, descriptors[file["descriptor"]]) for file in parameters["files"]]
        return {"parameters": {"files": files}}

    def _guard_one(self, file: dict[str, Any], descriptor: int) -> dict[str, Any]:
        paths = [name["path"] for name in file["names"]]
        why = next((self.why[path] for path in paths if path in self.why), None)
        if why is None:
            self.names[os.fstat(descriptor).st_ino] = paths
            self.kernel.tag(descriptor, CLASSIFIED)
        return {"guarded": why is None, "why": why, "opener": OPENER}

    def _release(self, _parameters: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        self.names.pop(os.fstat(descriptors[0]).st_ino, None)
        self.kernel.untag(descriptors[0])
        return {"parameters": {}}
