"""What the keeper holds, and how it lets go of it."""

import _thread
import fcntl
import os
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fdstorefs.keeper.wire import Message, Verb

_MOST_CLOSING = 64


class Held(NamedTuple):
    """What a new server starts with. Every descriptor is its own, closed on exec.

    `line` leads to the keeper, whose process is `keeper`. `files` has the descriptor of each number, `journal` that of
    the journal, `note` what the last server noted; `inherited` are descriptors for every server, and `closing` those
    that nobody wants any more and whose close may block. A first server has `restarts` 0; else the one before it was
    found dead at `died`, seconds of time.monotonic(), and `cause` says how it ended. It
    `is_looked_after` where a file was ever kept whose close may block (see `wire.Verb.LOOK`).
    """

    line: int
    keeper: int
    files: dict[int, int]
    journal: int | None
    note: dict[str, Any]
    inherited: tuple[int, ...]
    closing: tuple[int, ...]
    restarts: int
    died: float
    cause: str
    is_looked_after: bool
    former: int | None = None
    """Leads to a server that still serves, which this one is to take over from."""


class Holding:
    """The descriptors, each by the number that the server gave it, the journal, and a note."""

    def __init__(
        self,
        inherited: Iterable[int] = (),
        files: Mapping[int, int] | None = None,
        journal: int | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> None:
        self.files: dict[int, int] = dict(files or {})
        self.journal = journal
        self.note: dict[str, Any] = dict(note or {})
        self.inherited = tuple(inherited)
        self._closers = _Closers()

    @property
    def is_closing(self) -> bool:
        """Whether something is being closed at this moment, which may take for ever."""
        return self._closers.is_busy

    def take(self, message: Message) -> bool:
        """Do what a message says. False if some of what should be held isn't."""
        if message.verb is Verb.KEEP:
            return self._keep(message)
        if message.verb is Verb.DROP or message.verb is Verb.DROP_SLOW:
            self._drop(message.numbers, slow=message.verb is Verb.DROP_SLOW)
            return True
        if message.verb is Verb.JOURNAL and message.descriptors:
            former, self.journal = self.journal, message.descriptors[0]
            if former is not None:
                os.close(former)
        elif message.verb is Verb.NOTE:
            self.note = message.told
        return not message.short

    def close_all(self, descriptors: Iterable[int]) -> None:
        """Close what nobody wants. Never waits."""
        for descriptor in descriptors:
            self._closers.close(descriptor)

    def close(self) -> None:
        """Close everything, in a child that is to hold nothing. Never waits for what may block."""
        left, self._closers = self._left_to_close(), _Closers()  # no thread has come along
        self.close_all((*self.files.values(), *left))
        for descriptor in (*self.inherited, *([] if self.journal is None else [self.journal])):
            _close(descriptor)

    def held(self, line: int, **told: Any) -> Held:
        """All of it, after a fork, for the new server, with the rest as `Held` has it."""
        return Held(
            line=line,
            files=self.files,
            journal=self.journal,
            note=self.note,
            inherited=self.inherited,
            closing=tuple(sorted(self._left_to_close() - {line, told.get("former")})),
            **told,
        )

    def _left_to_close(self) -> set[int]:
        """After a fork, in the child: what no thread of the parent's has closed here, or not yet.

        A number that such a thread was about to be done with may be free again, or something else's.
        """
        others = {*self.files.values(), *self.inherited, self.journal}
        return {descriptor for descriptor in self._closers.unclosed - others if _is_open(descriptor)}

    def _keep(self, message: Message) -> bool:
        for number, descriptor in zip(message.numbers, message.descriptors, strict=False):
            if number in self.files:
                self._closers.close(self.files[number])
            self.files[number] = descriptor
        return len(message.descriptors) == len(message.numbers)

    def _drop(self, numbers: Iterable[int], *, slow: bool) -> None:
        for number in numbers:
            descriptor = self.files.pop(number, None)
            if descriptor is not None and slow:
                self._closers.close(descriptor)
            elif descriptor is not None:
                _close(descriptor)


class _Closers:
    """Threads that are in close(2) and do nothing else, while there is something to close."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[object, int]] = deque()
        self._unclosed: dict[object, int] = {}
        self._running: set[object] = set()

    @property
    def is_busy(self) -> bool:
        """Whether there is such a thread."""
        return bool(self._running)

    @property
    def unclosed(self) -> set[int]:
        """What waits, and what a thread has not yet said that it is done with."""
        return set(self._unclosed.values())

    def close(self, descriptor: int) -> None:
        """Close it soon. Never waits."""
        ticket = object()
        self._unclosed[ticket] = descriptor
        self._waiting.append((ticket, descriptor))
        if len(self._running) < _MOST_CLOSING:
            token = object()
            self._running.add(token)
            _thread.start_new_thread(self._run, (token,))

    def _run(self, token: object) -> None:
        while self._waiting:
            try:
                ticket, descriptor = self._waiting.popleft()
            except IndexError:
                break  # another was quicker
            _close(descriptor)
            del self._unclosed[ticket]
        self._running.discard(token)


def _is_open(descriptor: int) -> bool:
    """Asks nobody but the table of descriptors."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        # The kernel has let go of it nevertheless; its writer is told of what could not be written, not we.
        return
