"""A running command that says when it is ready, as the tests see it."""

import os
import select
import signal
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from tests.kernel import commands
from tests.kernel.actor import Actor

# An emulated machine compiles for a minute, and two machines may share the host's processors.
READY_SECONDS = 300
END_SECONDS = 120

Run = Callable[..., int]


class CommandProcess:
    """A command in an actor of its own."""

    def __init__(self, actor: Actor, arguments: Sequence[str], run: Run = commands.run, *more: Any) -> None:
        """`run(arguments, *more, log, ready, ...)` is called there; descriptors come last."""
        self.actor = actor
        self._log = tempfile.TemporaryFile("a+")
        self._ready, self._ready_end = os.pipe()
        self._run = run
        self._arguments = (list(arguments), *more)

    def start(self, *descriptors: int) -> None:
        """Start it and wait until it is ready; fail with its own words if it ends instead, or takes too long."""
        given = (self._log.fileno(), self._ready_end, *descriptors)
        self.actor.begin(self._run, *self._arguments, descriptors=given)
        os.close(self._ready_end)
        readable, _, _ = select.select([self._ready, self.actor.line.fileno()], [], [], READY_SECONDS)
        said = os.read(self._ready, 64) if self._ready in readable else b""
        assert said == b"ready\n", f"`{self._arguments[0]}` does not get ready:\n{self.said()}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.actor.pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def said(self) -> str:
        """Everything that it has printed so far."""
        self._log.seek(0)
        return self._log.read()

    def outcome(self) -> int:
        """Its exit code, once it has one of its own."""
        readable, _, _ = select.select([self.actor.line], [], [], END_SECONDS)
        assert readable, f"`{self._arguments[0]}` does not end:\n{self.said()}"
        return int(self.actor.outcome())

    def end(self) -> None:
        """Be rid of it."""
        self.actor.end()
        os.close(self._ready)
        self._log.close()
