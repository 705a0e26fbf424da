"""An upgrade in place, as far as the keeper has to do with it.

The server has a new program's server started, the candidate, which takes over from it. When that has, this process is
stale: it executes the new program, too, and is what it was. If that fails, it starts every further server so.
"""

import os
import signal
import time
from collections.abc import Callable

from fdstorefs.keeper.children import Children
from fdstorefs.keeper.holding import Held, Holding
from fdstorefs.keeper.program import HowToStart, become
from fdstorefs.keeper.saying import say
from fdstorefs.keeper.server import Server
from fdstorefs.keeper.signals import Signals, held_back
from fdstorefs.keeper.wire import Message, Verb

OF_AN_UPGRADE = frozenset({Verb.UPGRADE, Verb.SUCCEEDED, Verb.STAY})

_AGAIN_SECONDS = 30.0
"""After a program that could not be executed."""


class Upgrade:
    """The new program, if there is one. `start` forks a server of it, and is given a line to the one that serves.

    A keeper that has more rights than its server executes nothing that this names (`is_allowed`).
    """

    def __init__(
        self,
        holding: Holding,
        children: Children,
        signals: Signals,
        start: Callable[[HowToStart, int], Server],
        *,
        is_allowed: bool,
    ) -> None:
        self._holding, self._children, self._signals = holding, children, signals
        self._start = start
        self._is_allowed = is_allowed
        self._candidate: Server | None = None
        self._program: HowToStart | None = None
        self._renew_at = 0.0
        self.is_stale = False

    @property
    def program(self) -> HowToStart | None:
        """What further servers are of, None: as this process is."""
        return self._program if self.is_stale else None

    def take(self, message: Message, server: Server) -> Server | None:
        """Do what the server says of an upgrade. Returns the one that has taken its place, if it says that."""
        if not self._is_allowed:
            say("the server wants an upgrade, which there is none of here")
            self._holding.close_all(message.descriptors)
        elif message.verb is Verb.UPGRADE:
            self._begin(message)
        elif message.verb is Verb.SUCCEEDED:
            return self._succeed(message.numbers[0], server)
        else:
            self.dismiss()
        return None

    def dismiss(self) -> None:
        """The candidate is not wanted any more."""
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            candidate.line.close()
            candidate.signal(signal.SIGKILL)
            os.close(candidate.pidfd)

    def close(self) -> None:
        """In a child that goes on with our code: it has nothing to do with the candidate."""
        if self._candidate is not None:
            self._candidate.line.close()

    def renew(self, server: Server, held: Callable[[], Held], *, told_to_end: bool) -> None:
        """Execute the new program in this process, with everything, once it is stale. If that fails, go on as we are,
        for a while. `held` has the line of the server, which does not notice.
        """
        if self.program is None or self._candidate is not None or time.monotonic() < self._renew_at:
            return
        if self._holding.is_closing:
            return  # what takes for ever would keep a process from executing anything
        with held_back():
            if self._signals.is_ringing:
                return  # what is in our pipe would be lost; what comes from here on waits for the new program
            facts = {
                "server": server.pid,
                "pidfd": server.pidfd,
                "children": self._children.told,
                "told_to_end": told_to_end,
            }
            try:
                become(self.program, held(), facts)
            except OSError as error:
                say(f"the new program cannot be executed, and the old one goes on keeping: {error.strerror}")
                self._renew_at = time.monotonic() + _AGAIN_SECONDS

    def _begin(self, message: Message) -> None:
        """Start the candidate. Its line to the old server is closed if that fails, which tells that."""
        self.dismiss()
        try:
            program, former = HowToStart(**message.told), message.descriptors[0]
            self._candidate = self._start(program, former)
        except (OSError, TypeError, IndexError) as error:
            say(f"the new program cannot be started: {error}")
        else:
            self._program = program
            self._children.add(self._candidate.pid, os.dup(self._candidate.pidfd))
        self._holding.close_all(message.descriptors)

    def _succeed(self, pid: int, former: Server) -> Server | None:
        """The candidate is the server from now on. The former one ends, and this process is as old as that."""
        candidate = self._candidate
        if candidate is None or candidate.pid != pid:
            say(f"process {pid} was never started to take over")
            return None
        self._candidate = None
        # Before the former one's line ends: that is what tells it that the candidate has been told.
        is_told = candidate.tell(Verb.SERVE)
        former.line.close()
        self._children.add(former.pid, former.pidfd)
        self._children.forget(candidate.pid)
        # One that is dead already is not to be followed by its like.
        self.is_stale = self.is_stale or is_told
        return candidate
