"""The side of an upgrade that serves, with a keeper and a new server that do what a test says."""

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from fdstorefs.errors import StoreError
from fdstorefs.server.upgrading.outgoing import Attempt
from fdstorefs.server.upgrading.parts import Parts
from fdstorefs.server.upgrading.talk import Talk


class Turns:
    """A loop that calls back when the test says so."""

    def __init__(self) -> None:
        self.callbacks: dict[int, Callable[[int], None]] = {}
        self.later: list[Callable[[], None]] = []

    def register(self, fd: int, callback: Callable[[int], None]) -> None:
        """See Loop."""
        self.callbacks[fd] = callback

    def unregister(self, fd: int) -> None:
        """See Loop."""
        self.callbacks.pop(fd, None)

    def call_at(self, _when: float, function: Callable[[], None]) -> Any:
        """See Loop."""
        self.later.append(function)
        return SimpleNamespace(cancel=lambda: self.later.remove(function) if function in self.later else None)

    def turn(self) -> None:
        """Something has come on each line."""
        for callback in list(self.callbacks.values()):
            callback(1)

    def time_is_up(self) -> None:
        """Whatever was to be called some time is called."""
        later, self.later = self.later, []
        for function in later:
            function()


class Line:
    """A keeper's. It lives, and has not heard of anything yet."""

    def __init__(self, *, starts: bool = True) -> None:
        self.pid = 1000
        self.has_keeper, self.is_dismissed = True, False
        self.said: list[str] = []
        self.later: frozenset[int] = frozenset()
        self.its_end: socket.socket | None = None
        self._starts = starts

    def start_program(self, its_end: socket.socket) -> None:
        """See KeeperLine."""
        self.said.append("upgrade")
        if self._starts:
            self.its_end = its_end.dup()

    def succeeded(self, _pid: int) -> None:
        """See KeeperLine."""
        self.said.append("succeeded")

    def stay(self) -> None:
        """See KeeperLine."""
        self.said.append("stay")

    def unwatch(self) -> None:
        """See KeeperLine."""


class Trial:
    """An attempt, and what came of it. `new` is the new server's end of the talk, once it has begun."""

    def __init__(self, *, starts: bool = True, path: str = "/m") -> None:
        self.loop, self.line = Turns(), Line(starts=starts)
        self.failed: list[StoreError] = []
        self.left: list[bool] = []
        self.is_held = False
        self.frozen = 0
        own = socket.socket()
        idle = SimpleNamespace(rest=_nothing, begin=_nothing, close=_nothing, start=_nothing)
        server = SimpleNamespace(
            freeze=self._freeze, thaw=self._thaw, hand_over=_nothing_passed, leave=_nothing, lingering=()
        )
        parts = SimpleNamespace(
            loop=self.loop,
            line=self.line,
            mounted=SimpleNamespace(path=path, method="mount", device=1, device_fd=own.fileno()),
            mount_server=server,
            socket_server=server,
            listening=own,
            keeping=SimpleNamespace(
                hold_still=lambda: self._hold(True),
                move_again=lambda: self._hold(False),
                everything=tuple,
                journal_fd=own.fileno(),
            ),
            audit=SimpleNamespace(settle=lambda done: done()),
            policies=idle,
            lapses=idle,
            guarding=None,
            why="",
        )
        self._own = own
        self.attempt = Attempt(cast("Parts", parts), lambda: self.left.append(True))
        self.new: Talk

    def begin(self) -> None:
        """Raises StoreError."""
        self.attempt.begin(self.failed.append)
        assert self.line.its_end is not None
        self.new = Talk(self.line.its_end)

    def commit(self) -> None:
        """As far as the new server has said that it has everything."""
        self.begin()
        self.prepare()
        self.say("taken")

    def prepare(self) -> None:
        """The new server has loaded everything; nobody is served from then on."""
        self.new.say_much("prepared", pid=2000, numbers=[])
        self.loop.turn()

    def say(self, what: str, **told: str) -> None:
        """The new server says something."""
        self.new.say(what, **told)
        self.loop.turn()

    def end_new(self) -> None:
        """The new server ends."""
        self.new.close()
        self.loop.turn()

    def close(self) -> None:
        """Close what is open."""
        self._own.close()

    @property
    def serves(self) -> bool:
        """Whether this server does."""
        return not self.frozen and not self.left

    def _freeze(self, done: Callable[[], None]) -> None:
        self.frozen += 1
        done()

    def _thaw(self) -> None:
        self.frozen -= 1

    def _hold(self, is_held: bool) -> None:
        self.is_held = is_held


def _nothing(*_arguments: object) -> None:
    """Nothing has to be done."""


def _nothing_passed() -> Any:
    return SimpleNamespace(told={}, descriptors=[])
