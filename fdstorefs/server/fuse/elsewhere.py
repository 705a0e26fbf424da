"""Elsewhere: calls that came when another server had the mount, and that it still has to answer."""

from collections.abc import Callable

from fdstorefs.server.fuse import protocol


class Elsewhere:
    """By the numbers that the kernel has for them. `pass_interrupt` is told of signals for their callers."""

    def __init__(self) -> None:
        self._requests: dict[int, bytes] = {}
        self._interrupted: set[int] = set()
        self.pass_interrupt: Callable[[int], None] | None = None

    @property
    def numbers(self) -> frozenset[int]:
        """All of them."""
        return frozenset(self._requests)

    def add(self, request: bytes) -> None:
        """One more, as the kernel has sent it."""
        self._requests[protocol.header(memoryview(request)).unique] = request

    def interrupt(self, unique: int) -> bool:
        """A signal has arrived for the caller. Whether it is one of these."""
        if unique not in self._requests:
            return False
        self._interrupted.add(unique)
        if self.pass_interrupt is not None:
            self.pass_interrupt(unique)
        return True

    def take(self, unique: int) -> tuple[bytes, bool]:
        """Its request, empty if there is none, and whether a signal has arrived. It is none of these any more."""
        is_interrupted = unique in self._interrupted
        self._interrupted.discard(unique)
        return self._requests.pop(unique, b""), is_interrupted

    def handle_of(self, unique: int) -> int | None:
        """The handle that it came by."""
        request = self._requests.get(unique)
        return protocol.transfer(memoryview(request)).fh if request is not None else None
