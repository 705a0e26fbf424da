"""Processes that the benchmarks start: when each is ready, what it weighs, and its end."""

import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
"""Where the packages are: clients and servers in Python are started here."""

READY_SECONDS = 20
END_SECONDS = 10


class Failed(Exception):
    """A process of the benchmarks ended or answered too late; carries what it said."""


class Process:
    """A process with its standard error in a file, ended by SIGTERM and, if that does not help, SIGKILL."""

    def __init__(self, command: Sequence[str | Path], complaints: Path) -> None:
        """Start it and wait for its line: on standard output, or on the number in place of `{ready}`."""
        self.command = list(map(str, command))
        self._complaints = complaints
        started = time.perf_counter()
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            self._popen = self._start(writer)
            self._await_ready(pipe)
        self.seconds_to_ready = time.perf_counter() - started

    def _start(self, ready: int) -> subprocess.Popen[bytes]:
        named = any("{ready}" in part for part in self.command)
        try:
            with self._complaints.open("ab") as stderr:
                return subprocess.Popen(
                    [part.replace("{ready}", str(ready)) for part in self.command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL if named else ready,
                    stderr=stderr,
                    pass_fds=[ready] if named else [],
                    cwd=ROOT,
                )
        finally:
            os.close(ready)

    def _await_ready(self, pipe: IO[bytes]) -> None:
        readable, _, _ = select.select([pipe], [], [], READY_SECONDS)
        if not readable or not pipe.read(1):
            self.end()
            raise Failed(f"`{' '.join(self.command)}` is not ready: {self.complaints() or 'it says nothing'}")

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._popen.pid

    def complaints(self) -> str:
        """What it wrote to standard error."""
        return self._complaints.read_text(errors="replace").strip()

    def end(self) -> None:
        """End it and wait; harmless when it has ended."""
        self._popen.terminate()
        try:
            self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def family(pid: int) -> list[int]:
    """A process and its descendants that live now."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended while we looked


def memory(pid: int, field: str = "Pss") -> int:
    """Bytes of a process and its descendants; `field` is one of /proc/PID/smaps_rollup."""
    return sum(memory_of(member, field) for member in family(pid))


def memory_of(pid: int, field: str = "Pss") -> int:
    """Bytes of one process alone."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise Failed(f"/proc/{pid}/smaps_rollup has no `{field}`")


def processor_seconds(pid: int) -> float:
    """What a process's main thread has spent on a processor, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) * 1e-9


def processor_seconds_of_all(pid: int) -> float:
    """What the threads of a process and of its descendants have spent on a processor; of those that live now."""
    tasks = (task for member in family(pid) for task in Path(f"/proc/{member}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) * 1e-9
