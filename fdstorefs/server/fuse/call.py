"""Calls: requests on handles that wait for their answer."""

from collections.abc import Callable

from fdstorefs.server.fuse.caller import Caller

Payload = bytes | bytearray
Answer = Callable[["Call", int, Payload], None]


class Call:
    """One READ, WRITE or POLL. It is answered once; what comes later is dropped.

    `nonblocking` is O_NONBLOCK of the handle at that moment. Whoever makes the call wait sets `on_interrupt`
    to what must happen when a signal arrives for the caller. `request` is as the kernel sent it, without the data
    of a WRITE, of which a server before this one has written `moved` bytes.
    """

    __slots__ = ("_answer", "answered", "caller", "moved", "nonblocking", "on_interrupt", "request", "unique")

    def __init__(
        self,
        unique: int,
        caller: Caller,
        answer: Answer,
        *,
        nonblocking: bool = False,
        request: bytes = b"",
        moved: int = 0,
    ) -> None:
        self.unique = unique
        self.caller = caller
        self.nonblocking = nonblocking
        self.request = request
        self.moved = moved
        self.answered = False
        self.on_interrupt: Callable[[], None] | None = None
        self._answer = answer

    def reply(self, payload: Payload = b"") -> None:
        """Success."""
        self._finish(0, payload)

    def fail(self, code: int) -> None:
        """Failure with this errno."""
        self._finish(code, b"")

    def interrupt(self) -> None:
        """A signal arrived for the caller."""
        if self.on_interrupt is not None:
            self.on_interrupt()

    def _finish(self, code: int, payload: Payload) -> None:
        if not self.answered:
            self.answered = True
            self.on_interrupt = None
            self._answer(self, code, payload)
