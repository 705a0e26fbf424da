"""Handing a dump to another process, over a Unix stream socket; format 1.

Both sides first send a greeting. Then whoever gives sends lots, and an end that says how many there were and what they
come to; whoever takes answers once, that all is stored or why nothing is. Each may say so earlier, and that ends it.

    frame: magic `fdsd`, kind (u8), number of descriptors (u8), 0 (u16), length of the payload (u32), its crc32 (u32),
           big-endian; then the payload, JSON. The descriptors come with the first byte.
    greeting: {"format": 1, "program"}    lot: {"nodes"}, as the interface has them
    end: {"lots", "nodes", "descriptors", "sha256"} of the payloads of all lots    done: {"entries", "boxes", "files"}
    refused: {"error", "message", "name", "hint"}, an error of the interface
"""

import array
import errno
import hashlib
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from fdstorefs.client.dump import Lot
from fdstorefs.client.reply import table_is_full
from fdstorefs.client.restoration import Restored
from fdstorefs.client.retrieved import close_all
from fdstorefs.errors import BY_IDENTIFIER, Denied, Overloaded, ProtocolError, StoreError
from fdstorefs.interface import MAX_DESCRIPTORS

FORMAT = 1
PATIENCE_SECONDS = 60.0
"""How long the other side may do nothing."""

GREETING, LOT, END, DONE, REFUSED = range(1, 6)
_MAGIC = b"fdsd"
_HEADER = struct.Struct("!4sBBHII")
_MOST_BYTES = 1 << 24
_SPACE = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
_AGAIN_SECONDS = 0.02

Payload = dict[str, Any]
Progress = Callable[[int], None]


class Taker(Protocol):
    """What takes lots and stores them all at once."""

    def add(self, lot: Lot, /) -> None:
        """Take some more."""

    def commit(self) -> Restored:
        """Store all."""


class Frame(NamedTuple):
    """One frame; the descriptors are its receiver's, of `sent` that it was sent with."""

    kind: int
    payload: Payload
    data: bytes
    descriptors: list[int]
    sent: int


class Lost(ProtocolError):
    """The other side is gone, or does nothing any more."""


class Handing:
    """One end of a connection, which remains its owner's."""

    def __init__(self, connected: socket.socket, *, patience: float = PATIENCE_SECONDS) -> None:
        self._socket = connected
        self._patience = patience
        connected.settimeout(patience)

    # What the two sides do

    def give(self, lots: Iterable[Lot], progress: Progress | None = None) -> Restored:
        """Hand all lots over, and return how much the other side has stored.

        Raises the StoreError that either side met: then nothing is stored. Lost if the other side went away before it
        said so: nothing is stored unless it had everything already.
        """
        self._greet()
        counted = _Sum()
        try:
            for lot in lots:
                with lot:
                    data = self._send(LOT, {"nodes": lot.nodes}, lot.descriptors)
                    counted.add(data, len(lot.nodes), len(lot.descriptors))
                if progress is not None:
                    progress(counted.nodes)
                self._look_for_refusal()
        except Lost:
            raise
        except (StoreError, OSError) as error:
            self._refuse(error)
            raise
        self._send(END, counted.told())
        return _restored(self._receive(DONE).payload)

    def take(self, taker: Taker, progress: Progress | None = None) -> Restored:
        """Take all that the other side hands over, store it, and say so. Raises the StoreError that either side met."""
        try:
            self._greet()
            counted = _Sum()
            while True:
                frame = self._receive(LOT, END)
                if frame.kind == END:
                    break
                with Lot(_nodes(frame), frame.descriptors) as lot:
                    taker.add(lot)
                    counted.add(frame.data, len(lot.nodes), len(lot.descriptors))
                if progress is not None:
                    progress(counted.nodes)
            if frame.payload != counted.told():
                raise ProtocolError("what came is not what was sent: counts or checksum differ")
            done = taker.commit()
        except Lost:
            raise
        except (StoreError, OSError) as error:
            self._refuse(error)
            raise
        self._send(DONE, done._asdict())
        return done

    def _greet(self) -> None:
        self._send(GREETING, {"format": FORMAT, "program": "fdstorefs"})
        theirs = self._receive(GREETING).payload.get("format")
        if theirs != FORMAT:
            raise ProtocolError(
                f"the other side speaks format {theirs}, and this one format {FORMAT}",
                hint="use the same version of fdstorefs on both sides",
            )

    def _look_for_refusal(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if poll.poll(0):
            self._receive()

    def _refuse(self, error: StoreError | OSError) -> None:
        told = {
            "error": error.identifier if isinstance(error, StoreError) else StoreError.identifier,
            "message": error.strerror or str(error),
            "name": getattr(error, "name", None),
            "hint": getattr(error, "hint", None),
        }
        try:
            self._send(REFUSED, told)
        except (StoreError, OSError):
            return  # nobody is there to be told, or it was he who refused

    # Frames out

    def _send(self, kind: int, payload: Payload, descriptors: list[int] | None = None) -> bytes:
        rights = array.array("i", descriptors or ())
        data = json.dumps(payload, separators=(",", ":")).encode("ascii")
        header = _HEADER.pack(_MAGIC, kind, len(rights), 0, len(data), crc32(data))
        rest = memoryview(header + data)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if rights else []
        rest = rest[self._send_some(rest, ancillary) :]
        while rest:
            rest = rest[self._send_some(rest, []) :]
        return data

    def _send_some(self, data: memoryview, ancillary: list[Any]) -> int:
        until = time.monotonic() + self._patience
        while True:
            try:
                return self._socket.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    self._raise_last_words(error)
                if time.monotonic() > until:
                    raise Overloaded(
                        "too many descriptors of this user are under way",
                        hint="try again when they have arrived",
                    ) from None
            # Nobody tells when others of this user have received theirs.
            time.sleep(_AGAIN_SECONDS)

    def _raise_last_words(self, error: OSError) -> None:
        """Whoever is gone may have said why, after all that it said before."""
        if isinstance(error, BrokenPipeError | ConnectionResetError):
            until = time.monotonic() + self._patience
            while time.monotonic() < until:
                close_all(self._receive_any().descriptors)
        raise _lost(error) from None

    # Frames in

    def _receive(self, *expected: int) -> Frame:
        """The next frame, which is one of the expected; raises what the other side refuses for."""
        frame = self._receive_any()
        try:
            if frame.kind not in expected:
                raise ProtocolError(f"the other side sent a frame of kind {frame.kind} that nobody expected")
            if frame.sent != len(frame.descriptors):
                raise self._missing(frame.payload, len(frame.descriptors))
        except BaseException:
            close_all(frame.descriptors)
            raise
        return frame

    def _receive_any(self) -> Frame:
        """The next frame; raises what the other side refuses for."""
        header, descriptors = self._receive_header()
        try:
            magic, kind, count, _, length, checksum = _HEADER.unpack(header)
            if magic != _MAGIC or length > _MOST_BYTES:
                raise ProtocolError("the other side does not speak as fdstorefs does")
            data = self._receive_exactly(length)
            if crc32(data) != checksum:
                raise ProtocolError("what came is not what was sent: a checksum differs")
            payload = _load(data)
            if kind == REFUSED:
                raise _refusal(payload)
        except BaseException:
            close_all(descriptors)
            raise
        return Frame(kind, payload, data, descriptors, count)

    def _receive_header(self) -> tuple[bytes, list[int]]:
        header, descriptors = b"", array.array("i")
        try:
            while len(header) < _HEADER.size:
                piece, ancillary, _, _ = self._socket.recvmsg(
                    _HEADER.size - len(header), _SPACE, socket.MSG_CMSG_CLOEXEC
                )
                for level, kind, data in ancillary:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
                if not piece:
                    raise _lost(None)
                header += piece
        except BaseException as error:
            close_all(list(descriptors))
            if isinstance(error, OSError) and not isinstance(error, StoreError):
                raise _lost(error) from None
            raise
        return header, list(descriptors)

    def _receive_exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                piece = self._socket.recv(min(size - len(data), 1 << 16))
            except OSError as error:
                raise _lost(error) from None
            if not piece:
                raise _lost(None)
            data += piece
        return bytes(data)

    def _missing(self, payload: Payload, arrived: int) -> StoreError | OSError:
        nodes = payload.get("nodes") or ()
        names = [node["names"][0] for node in nodes if node.get("fileDescriptor") == arrived]
        what = f"`{names[0]}`" if names else "a descriptor"
        if table_is_full(self._socket.fileno()):
            return OSError(
                errno.EMFILE, f"cannot receive {what}: this process has as many descriptors as it may"
            )
        return Denied(
            f"the kernel refused to deliver {what} to pid {os.getpid()}",
            hint="a policy that the kernel enforces forbids it to this process; the audit log names the rule",
        )


class _Sum:
    """What lots come to."""

    def __init__(self) -> None:
        self.lots = self.nodes = self.descriptors = 0
        self._digest = hashlib.sha256()

    def add(self, data: bytes, nodes: int, descriptors: int) -> None:
        """One lot more."""
        self.lots += 1
        self.nodes += nodes
        self.descriptors += descriptors
        self._digest.update(data)

    def told(self) -> Payload:
        """As the end of it says."""
        return {
            "lots": self.lots,
            "nodes": self.nodes,
            "descriptors": self.descriptors,
            "sha256": self._digest.hexdigest(),
        }


def _lost(error: OSError | None) -> Lost:
    if isinstance(error, TimeoutError):
        return Lost("the other side does nothing any more", hint="see what it waits for")
    why = f": {os.strerror(error.errno).lower()}" if error is not None and error.errno else ""
    return Lost(f"the other side went away before it was done{why}", hint="see what it said")


def _load(data: bytes) -> Payload:
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the other side sent what is no JSON: {error}") from None
    if type(payload) is not dict:
        raise ProtocolError("the other side sent what is no object")
    return payload


def _nodes(frame: Frame) -> list[dict[str, Any]]:
    nodes = frame.payload.get("nodes")
    if type(nodes) is not list or not all(type(node) is dict for node in nodes):
        close_all(frame.descriptors)
        raise ProtocolError("the other side sent a lot without nodes")
    return nodes


def _refusal(payload: Payload) -> StoreError:
    kind = BY_IDENTIFIER.get(str(payload.get("error")), StoreError)
    name, hint = payload.get("name"), payload.get("hint")
    return kind(
        f"the other side: {payload.get('message')}",
        name=name if isinstance(name, str) else None,
        hint=hint if isinstance(hint, str) else None,
    )


def _restored(payload: Payload) -> Restored:
    try:
        return Restored(int(payload["entries"]), int(payload["boxes"]), int(payload["files"]))
    except (KeyError, TypeError, ValueError):
        raise ProtocolError("the other side is done, and does not say what it did") from None
