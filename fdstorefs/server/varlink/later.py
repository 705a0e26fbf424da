"""Calls whose answer comes later."""

from collections.abc import Callable
from typing import Generic, TypeVar

from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.reply import Reply

T = TypeVar("T")
Done = Callable[[T | Exception], None]


class Later(Generic[T]):
    """The activity of a call that `begin(done)` carries out, which gives `done` the result or what went wrong.

    `reply` and `failed` make replies of these. If the caller goes meanwhile, what was begun goes on.
    """

    def __init__(
        self,
        begin: Callable[["Done[T]"], None],
        reply: Callable[[T], Reply],
        failed: Callable[[Exception], Reply],
    ) -> None:
        self._begin = begin
        self._reply = reply
        self._failed = failed
        self._exchange: Exchange | None = None

    def start(self, exchange: Exchange) -> None:
        """Begin. What came with the message is at hand no more."""
        self._exchange = exchange
        try:
            self._begin(self._done)
        except Exception as error:  # noqa: BLE001  whatever it is, it is told to who asked
            exchange.finish(self._failed(error))

    def drained(self) -> None:
        """Nothing was said yet."""

    def stop(self) -> None:
        """Nobody is there to be told any more."""
        self._exchange = None

    def _done(self, result: T | Exception) -> None:
        if self._exchange is None:
            return
        self._exchange.finish(self._answer(result))

    def _answer(self, result: T | Exception) -> Reply:
        if isinstance(result, Exception):
            return self._failed(result)
        try:
            return self._reply(result)
        except Exception as error:  # noqa: BLE001  likewise
            return self._failed(error)
