"""The other end of the socket, saying what it is told to: what no real instance does."""

import array
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Say(NamedTuple):
    """What to answer to one call. `files`: how many descriptors come along; `hang_up`: and then go away."""

    reply: bytes = b""
    files: int = 0
    hang_up: bool = False


HANG_UP = Say(hang_up=True)
SILENCE = Say()

Script = Sequence[Sequence[Say]]


class ScriptedInstance:
    """Listens in a directory; each connection in turn gets the answers of one line of the script."""

    def __init__(self, directory: str, script: Script) -> None:
        self.heard: list[bytes] = []
        self._script = script
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(os.path.join(directory, ".fdstore"))
        self._listening.listen()
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answers in self._script:
            connection, _ = self._listening.accept()
            self._connections.append(connection)
            if not self._answer(connection, answers):
                connection.close()

    def _answer(self, connection: socket.socket, answers: Sequence[Say]) -> bool:
        """Whether the connection stays."""
        for say in answers:
            call = b""
            while not call.endswith(b"\0"):
                more = connection.recv(1 << 16)
                if not more:
                    return False
                call += more
            self.heard.append(call)
            if say.reply:
                send(connection, say)
            if say.hang_up:
                return False
        return True

    def close(self) -> None:
        """End it; the script must have been played."""
        self._thread.join(10)
        assert not self._thread.is_alive(), "the client didn't make all the connections of the script"
        for connection in self._connections:
            connection.close()
        self._listening.close()


def send(connection: socket.socket, say: Say) -> None:
    """Send a reply with so many descriptors."""
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(say.files)]
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    connection.sendmsg([say.reply + b"\0"], rights)
    for descriptor in descriptors:
        os.close(descriptor)


Play = Callable[..., str]
