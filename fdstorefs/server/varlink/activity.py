"""Activities: calls that are answered over time rather than in one go, while the loop serves others."""

import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from fdstorefs.errors import StoreError
from fdstorefs.server.user_turns import Scheduler
from fdstorefs.server.varlink.reply import Reply, success

T = TypeVar("T")

log = logging.getLogger(__name__)


class Activity(Protocol):
    """What goes on for one call. None of these is called after `stop`."""

    def start(self, exchange: "Exchange") -> None:
        """Begin. May finish at once."""

    def drained(self) -> None:
        """The client has read all that was said, or there is room for what was offered."""

    def stop(self) -> None:
        """The last reply is given or the client is gone: let go of everything. Called once."""


@runtime_checkable
class Lasting(Activity, Protocol):
    """An activity that the server of another process can go on with. Any other has to end before a handover."""

    def told(self) -> dict[str, Any]:
        """What it needs beside the call itself, for JSON."""

    def resume(self, exchange: "Exchange", told: dict[str, Any]) -> None:
        """Go on, in place of `start`: in the other server, whose service has made the activity of the same call."""


class Line(Protocol):
    """The connection under an exchange."""

    @property
    def backlog(self) -> int:
        """Bytes that wait for the client to read."""

    def failure(self, error: StoreError) -> Reply:
        """The error reply that stands for an exception."""

    def send(self, data: bytes) -> None:
        """Send, or queue what the kernel does not take. May close the connection."""

    def offer(self, reply: Reply) -> bool:
        """Send a reply with descriptors at once, or not: then `drained` is called when there is room. May close."""

    def call_is_over(self) -> None:
        """The last reply of the activity has been sent."""


class Exchange:
    """The caller, as an activity sees it. Once it is over, nothing is said or run any more."""

    def __init__(self, line: Line, loop: Scheduler, activity: Activity) -> None:
        self._line = line
        self._loop = loop
        self._activity: Activity | None = activity
        self._is_frozen = False
        self._next: list[Callable[[], None]] = []

    @property
    def activity(self) -> Activity | None:
        """What goes on; None once it is over."""
        return self._activity

    def freeze(self) -> None:
        """Do not go on with what is to be done soon."""
        self._is_frozen = True

    def thaw(self) -> None:
        """Go on."""
        self._is_frozen = False
        soon, self._next = self._next, []
        for function in soon:
            self.soon(function)

    def resume(self, told: dict[str, Any]) -> None:
        """Let the activity go on where that of another server was."""
        activity = self._activity
        if isinstance(activity, Lasting):
            self.run(lambda: activity.resume(self, told))
        else:
            self.start()

    def start(self) -> None:
        """Let the activity begin."""
        if self._activity is not None:
            activity = self._activity
            self.run(lambda: activity.start(self))

    def drained(self) -> None:
        """Tell the activity that the client has read everything."""
        if self._activity is not None:
            self.run(self._activity.drained)

    def stop(self) -> None:
        """End the activity without a word."""
        activity, self._activity = self._activity, None
        if activity is not None:
            activity.stop()

    @property
    def backlog(self) -> int:
        """Bytes that wait for the client to read."""
        return self._line.backlog

    def say(self, reply: Reply) -> None:
        """One reply of several."""
        if self._activity is not None:
            self._line.send(reply.data)

    def offer(self, reply: Reply) -> bool:
        """One reply of several, with descriptors. False: there is no room, and the activity is told when there is.

        Raises Overloaded where no room of this client's would help.
        """
        return self._activity is not None and self._line.offer(reply)

    def finish(self, reply: Reply) -> None:
        """The last reply."""
        if self._activity is not None:
            self.stop()
            self._line.send(reply.data)
            self._line.call_is_over()

    def fail(self, error: StoreError) -> None:
        """An error instead of the last reply."""
        self.finish(self._line.failure(error))

    def soon(self, function: Callable[[], None]) -> None:
        """Go on with `function` in the next turn of the loop."""
        self._loop.call_soon(lambda: self._go_on(function))

    def _go_on(self, function: Callable[[], None]) -> None:
        if self._is_frozen:
            self._next.append(function)
        else:
            self.run(function)

    def in_thread(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Do `work` in a thread, then `done(result or exception)` here, even if the call is over by then."""
        self._loop.in_thread(work, done)

    def run(self, function: Callable[[], Any]) -> None:
        """Call `function` now, if the call still goes on. What it raises becomes the error that ends it."""
        if self._activity is None:
            return
        try:
            function()
        except StoreError as error:
            self.fail(error)
        except Exception:
            log.exception("a call failed")
            self.fail(StoreError("the server failed to carry this out", hint="see the server's log"))


def say_parameters(exchange: Exchange, parameters: dict[str, Any], *, continues: bool) -> None:
    """One reply of several, or the last one."""
    reply = success(parameters, continues=continues)
    if continues:
        exchange.say(reply)
    else:
        exchange.finish(reply)
