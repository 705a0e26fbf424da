"""A measuring client: a process that runs batches and says how long each took (see batch.h)."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.peers.process import END_SECONDS, ROOT, Failed

MOST = 512
"""Descriptors a client opens for one batch; fewer than the least usual limit of 1024."""


class Client:
    """A client process with its connection; a context manager."""

    def __init__(
        self, command: Sequence[str | Path], complaints: Path, *, inherits: Sequence[int] = ()
    ) -> None:
        self._complaints = complaints
        with complaints.open("ab") as stderr:
            self._popen = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=ROOT,
                pass_fds=inherits,
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._popen.pid

    def seconds(self, op: str, count: int, *, kind: str = "-", first: int = 0, span: int = 1) -> float:
        """What `count` operations took; `first`, `span` and `kind` say on which entries. Raises Failed."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        try:
            self._popen.stdin.write(f"{op} {kind} {first} {span} {count}\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: then there is no answer either
        answer = self._popen.stdout.readline()
        if not answer:
            raise Failed(
                f"the client stopped at `{op}`: {self._complaints.read_text(errors='replace').strip()}"
            )
        return float(json.loads(answer)["seconds"])

    def microseconds(self, op: str, count: int, *, kind: str = "-", first: int = 0, span: int = 1) -> float:
        """Microseconds for one of `count` operations."""
        return self.seconds(op, count, kind=kind, first=first, span=span) / count * 1e6

    def fill(self, op: str, kind: str, first: int, count: int) -> float:
        """Many operations that bring descriptors, in batches; returns the seconds of all."""
        starts = range(first, first + count, MOST)
        return sum(self.seconds(op, min(MOST, first + count - at), kind=kind, first=at) for at in starts)

    def close(self) -> None:
        """End the process and its connection."""
        self._popen.communicate(timeout=END_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._popen.kill()
            self._popen.wait()
