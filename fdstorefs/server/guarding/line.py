"""The line to the enforcer: calls out, replies back, over one Unix socket.

A call is waited for, with the loop standing still, and so for a short time only: what does not answer by then counts
as gone. What needs no answer is posted; its reply is taken in later. Replies come in the order of the calls.
"""

import json
import logging
import select
import socket
import time
from array import array
from collections.abc import Sequence
from typing import Any

from fdstorefs.interface.enforcer import NAME

PATIENCE = 2.0
"""Seconds that a call may take."""

MOST_BYTES = 1 << 24
"""Of a reply."""

_AT_ONCE = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_CHUNK = 1 << 16

log = logging.getLogger(__name__)

Parameters = dict[str, Any]


class LineLost(Exception):
    """The enforcer is gone, does not answer, or speaks nonsense: this line is of no use any more."""


class Refusal(Exception):
    """An error that the enforcer answers with: `identifier` without its interface, and words for people."""

    def __init__(self, identifier: str, message: str, hint: str | None) -> None:
        super().__init__(message)
        self.identifier = identifier
        self.message = message
        self.hint = hint


class Line:
    """A connection. It owns the socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = bytearray()
        self._owed = 0

    def fileno(self) -> int:
        """The descriptor of the socket: `attend` when it is readable."""
        return self._socket.fileno()

    def call(
        self,
        method: str,
        parameters: Parameters,
        descriptors: Sequence[int] = (),
        patience: float = PATIENCE,
    ) -> Parameters:
        """Call a method and wait for its reply. Raises Refusal or LineLost."""
        deadline = time.monotonic() + patience
        self._send(_encoded(method, parameters), descriptors, deadline)
        while self._owed:
            self._take_in(self._next(deadline))
        return _result(self._next(deadline))

    def post(self, method: str, parameters: Parameters, descriptors: Sequence[int] = ()) -> None:
        """Call a method and do not wait. What it answers is of interest only if it is an error. Raises LineLost."""
        self._send(_encoded(method, parameters), descriptors, time.monotonic() + PATIENCE)
        self._owed += 1

    def attend(self) -> None:
        """Take in what has come, if anything has. Raises LineLost."""
        self._receive()
        while (message := self._pop()) is not None:
            if not self._owed:
                raise LineLost("the enforcer sent what nobody asked for")
            self._take_in(message)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _take_in(self, message: bytes) -> None:
        self._owed -= 1
        try:
            _result(message)
        except Refusal as error:
            log.warning("the enforcer: %s", error.message)

    def _send(self, data: bytes, descriptors: Sequence[int], deadline: float) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        rest = memoryview(data)
        while rest:
            try:
                sent = self._socket.sendmsg([rest], rights, _AT_ONCE)
            except BlockingIOError:
                self._wait(select.POLLIN | select.POLLOUT, deadline)
                # Whoever does not get rid of his replies may not be able to listen either.
                self._receive()
            except OSError as error:
                raise LineLost(f"the enforcer cannot be reached: {error.strerror}") from error
            else:
                rest, rights = rest[sent:], []

    def _next(self, deadline: float) -> bytes:
        while (message := self._pop()) is None:
            self._wait(select.POLLIN, deadline)
            self._receive()
        return message

    def _pop(self) -> bytes | None:
        end = self._received.find(b"\0")
        if end < 0:
            return None
        message = bytes(self._received[:end])
        del self._received[: end + 1]
        return message

    def _wait(self, events: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._socket, events)
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise LineLost("the enforcer does not answer")

    def _receive(self) -> None:
        try:
            piece = self._socket.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise LineLost(f"the enforcer cannot be reached: {error.strerror}") from error
        if not piece:
            raise LineLost("the enforcer has ended")
        self._received += piece
        if len(self._received) > MOST_BYTES:
            raise LineLost("the enforcer sent a message without end")


def _encoded(method: str, parameters: Parameters) -> bytes:
    return json.dumps({"method": f"{NAME}.{method}", "parameters": parameters}).encode("ascii") + b"\0"


def _result(message: bytes) -> Parameters:
    try:
        reply = json.loads(message)
        parameters = reply.get("parameters") or {}
        error = reply.get("error")
        if error is None and isinstance(parameters, dict):
            return parameters
        words, hint = parameters.get("message"), parameters.get("hint")
    except (ValueError, AttributeError, RecursionError) as wrong:
        raise LineLost("the enforcer sent what is no reply") from wrong
    raise Refusal(str(error).rpartition(".")[2], str(words or error), None if hint is None else str(hint))
