"""A client that sends whatever bytes a test wants, and reads replies and the descriptors beside them."""

import json
import os
import socket
from array import array
from collections.abc import Sequence
from typing import Any

INTERFACE = "io.fdstorefs.Store"
STANDARD = "org.varlink.service"
SPACE = socket.CMSG_SPACE(4 * 253)
PATIENCE = 20.0

Parameters = dict[str, Any]


class ErrorReply(Exception):
    """An error reply: `identifier` without the interface, if that is ours."""

    def __init__(self, identifier: str, parameters: Parameters) -> None:
        super().__init__(f"{identifier} {parameters}")
        self.identifier = identifier.removeprefix(f"{INTERFACE}.")
        self.parameters = parameters


def encode(method: str, parameters: Parameters | None = None, **flags: bool) -> bytes:
    """The bytes of a call, its NUL included; a method without a dot is one of the store's."""
    name = method if "." in method else f"{INTERFACE}.{method}"
    call = {"method": name, "parameters": parameters or {}, **flags}
    return json.dumps(call).encode() + b"\0"


def rights(descriptors: Sequence[int]) -> list[tuple[int, int, Any]]:
    """Descriptors as sendmsg wants them."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []


class RawClient:
    """One connection. `received` are all descriptors that came and were not taken out; `close` closes them."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.received: list[int] = []
        self._pending = b""

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send bytes, and descriptors with the first of them."""
        sent = self.socket.sendmsg([data], rights(descriptors))
        if sent < len(data):
            self.socket.sendall(data[sent:])

    def call(
        self, method: str, parameters: Parameters | None = None, descriptors: Sequence[int] = ()
    ) -> Parameters:
        """Make a call and return the parameters of its reply; raises ErrorReply."""
        try:
            self.send(encode(method, parameters), descriptors)
        except BrokenPipeError:
            pass  # whoever closes the connection says why first
        return self.reply()

    def reply(self) -> Parameters:
        """The parameters of the next reply; raises ErrorReply, or EOFError at the end."""
        return self.full_reply()[0]

    def full_reply(self) -> tuple[Parameters, bool]:
        """The parameters of the next reply and whether more follow."""
        while b"\0" not in self._pending:
            self._receive()
        message, _, self._pending = self._pending.partition(b"\0")
        reply = json.loads(message)
        if "error" in reply:
            raise ErrorReply(reply["error"], reply["parameters"])
        return reply["parameters"], reply.get("continues", False)

    def _receive(self) -> None:
        data, ancillary, flags, _ = self.socket.recvmsg(1 << 16, SPACE, socket.MSG_CMSG_CLOEXEC)
        assert not flags & socket.MSG_CTRUNC, "the client is out of descriptors"
        for _, _, payload in ancillary:
            self.received += array("i", payload)
        if not data:
            raise EOFError
        self._pending += data

    def ends(self) -> bool:
        """Read to the end of the connection; True if there was nothing more to read."""
        try:
            rest = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return True
        return not rest

    def stash(self, name: str, descriptor: int, **more: Any) -> int:
        """Stash one descriptor; returns the number of the entry."""
        entries = [{"name": name, "fileDescriptor": 0}]
        return int(self.call("Stash", {"entries": entries, **more}, [descriptor])["ids"][0])

    def retrieve(self, *names: str, method: str = "Retrieve") -> list[int]:
        """Retrieve; the descriptors in the order of the names."""
        entries = self.call(method, {"names": list(names)})["entries"]
        assert [entry["name"] for entry in entries] == list(names)
        return [self.received[entry["fileDescriptor"]] for entry in entries]

    def drop(self) -> None:
        """Close what was received."""
        while self.received:
            os.close(self.received.pop())

    def close(self) -> None:
        """Close the connection and what was received."""
        self.drop()
        self.socket.close()
