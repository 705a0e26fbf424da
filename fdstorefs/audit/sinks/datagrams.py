"""Datagrams to a daemon of this machine, which may restart or not be there."""

import socket
from collections.abc import Callable, Sequence

from fdstorefs.audit.sinks.sink import Taken

PATIENCE = 2.0
"""Seconds to wait for room in the daemon's queue."""


class DatagramWriter:
    """Sends each line as a message, over a connection that it makes when it needs one."""

    def __init__(self, address: str, send: Callable[[socket.socket, bytes], None]) -> None:
        self._address = address
        self._send = send
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect. Raises OSError."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            connected.settimeout(PATIENCE)
            connected.connect(self._address)
        except OSError:
            connected.close()
            raise
        self.close()
        self._socket = connected

    def write(self, lines: Sequence[bytes]) -> Taken:
        """Send the lines until all are sent or an error comes. A daemon that restarted is found again."""
        for count, line in enumerate(lines):
            try:
                self._send_one(line)
            except OSError as error:
                self.close()
                return Taken(count, error)
        return Taken(len(lines))

    def sync(self) -> OSError | None:
        """What was sent is out of our hands."""
        return None

    def close(self) -> None:
        """Disconnect."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send_one(self, line: bytes) -> None:
        if self._socket is not None:
            try:
                self._send(self._socket, line)
            except (ConnectionRefusedError, ConnectionResetError):
                self.close()
            else:
                return
        self.open()
        assert self._socket is not None
        self._send(self._socket, line)
