"""Processes that do what a test tells them, line by line: real users, groups, capabilities and namespaces."""

import socket
import subprocess
import sys
from collections.abc import Sequence

from fdstorefs.core.subject import Subject
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink.ancillary import SPACE, unpack
from fdstorefs.server.varlink.sender import Sender

_PROGRAM = """
import os, socket, sys
connected = socket.socket(socket.AF_UNIX)
if len(sys.argv) > 1:
    connected.connect(sys.argv[1])
for line in iter(sys.stdin.readline, ""):
    exec(line)
    print("done", flush=True)
"""


class DrivenProcess:
    """A process that has connected to `path`, if one is given. `prefix` is the command that starts it."""

    def __init__(
        self,
        path: str | None = None,
        *,
        prefix: Sequence[str] = (),
        uid: int | None = None,
        groups: Sequence[int] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-I", "-c", _PROGRAM, *([path] if path is not None else [])],
            user=uid,
            group=uid,
            extra_groups=groups,
            pass_fds=pass_fds,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        self.do("pass")

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def do(self, statement: str) -> None:
        """Have it execute a statement; returns when that is done."""
        assert "done\n" == self.say(statement)

    def execute(self, *command: str) -> None:
        """Have it execute `command`, which must repeat its input as cat does; returns when that runs."""
        # Its own reading ahead must not get what the new program is to read.
        self.do(f"print('done', flush=True); os.execv({command[0]!r}, {list(command)!r})")

        assert "I am here\n" == self.say("I am here")

    def leave(self, statement: str) -> None:
        """Have it execute a statement that it does not return from."""
        self._write(statement)

    def say(self, line: str) -> str:
        """Give it a line of input and return its next line of output."""
        self._write(line)
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def _write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """End it, and wait until nothing of it is left."""
        self.process.kill()
        self.process.communicate()


class Counter:
    """Where processes connect: gives the sender of each connection, and the subject of each message."""

    def __init__(self, path: str, subjects: Subjects) -> None:
        self.path = path
        self._subjects = subjects
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def accept(self) -> "Line":
        """The next connection."""
        return Line(self._listening.accept()[0], self._subjects)

    def close(self) -> None:
        """Let nobody in any more."""
        self._listening.close()


class Line:
    """One connection, with the sender that the server would make for it."""

    def __init__(self, connected: socket.socket, subjects: Subjects) -> None:
        connected.settimeout(20)
        self._socket = connected
        self.sender = Sender(connected, subjects)

    def subject(self) -> Subject:
        """The subject of the next byte that comes."""
        _, ancillary, _, _ = self._socket.recvmsg(1, SPACE)
        credentials, _ = unpack(ancillary)
        assert credentials is not None
        return self.sender.subject(credentials)

    def close(self) -> None:
        """End the connection."""
        self.sender.close()
        self._socket.close()
