"""A keeper with its stand-in server, and what a client can ask of it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from tests.mount.cast import REPOSITORY
from tests.mount.waiting import wait_for

SECONDS = 20


class StandIn:
    """The processes, and commands to the server (see `stand_in`)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mount.keeper.stand_in", path],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.end()

    def ask(self, do: str, descriptors: Sequence[int] = (), **told: Any) -> Any:
        """Have the server do something; returns its answer."""
        return self._ask(do, descriptors, told)[0]

    def take(self, number: int) -> int:
        """The descriptor with this number."""
        return self._ask("give", (), {"number": number})[1][0]

    def is_same(self, number: int, descriptor: int) -> bool:
        """Whether the server has the same open file at this number."""
        theirs = self.take(number)
        try:
            return same_file_order(theirs, descriptor) == SAME_FILE
        finally:
            os.close(theirs)

    def _ask(self, do: str, descriptors: Sequence[int], told: dict[str, Any]) -> tuple[Any, list[int]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connected:
            connected.settimeout(SECONDS)
            connected.connect(self.path)
            socket.send_fds(connected, [json.dumps({"do": do, **told}).encode()], list(descriptors))
            answer, came, _, _ = socket.recv_fds(connected, 1 << 16, 253)
        return json.loads(answer) if answer else None, came

    def kill(self, who: str) -> Any:
        """Kill `server` or `keeper`, wait until another serves or keeps, and return what `who` says then."""
        before = self.ask("who")
        os.kill(before[who], 9)
        return wait_for(lambda: self._who_but(who, before[who]), SECONDS, f"another {who}")

    def _who_but(self, who: str, former: int) -> Any:
        try:
            now = self.ask("who")
        except OSError:
            return None
        return now if now and now[who] != former else None

    def end(self) -> str:
        """End all, and return what was said."""
        try:
            self.ask("end", code=0)
        except OSError:
            self.process.kill()
        assert self.process.stderr is not None
        return self.process.communicate(timeout=SECONDS)[1]


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    """A keeper with its stand-in server."""
    made = StandIn(str(tmp_path / "socket"))
    yield made
    if made.process.poll() is None or os.path.exists(made.path):
        print(made.end())


def held_by(pid: int) -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))
