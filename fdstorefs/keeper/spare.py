"""The spare: a process that the keeper forks, and that holds nothing.

If the keeper is killed, the server makes that its keeper. It has all code that a new server needs: one is a fork away.
"""

import os
import select
import socket

from fdstorefs.keeper.adoption import await_adoption
from fdstorefs.keeper.children import Children
from fdstorefs.keeper.fork import Succession, fork
from fdstorefs.keeper.holding import Holding
from fdstorefs.keeper.server import Server
from fdstorefs.keeper.signals import Signals
from fdstorefs.keeper.wire import Verb


class Spare:
    """The one process, or none. The line's other end, which leads to it, is for each server anew, and so stays here."""

    def __init__(self, holding: Holding, signals: Signals) -> None:
        self._holding, self._signals = holding, signals
        self._pid = 0
        self._line: socket.socket | None = None

    def have(self, server: Server | None) -> None:
        """Fork one if there is none, and tell the server. Raises Succession in its process, when it is adopted."""
        if self._line is None:
            self._pid, self._line = fork(lambda line: self._wait(line, server))
            if server is not None:
                self.introduce_to(server)

    def introduce_to(self, server: Server) -> None:
        """Tell a server where it waits, if there is one. A server that is dead, or does without, need not know."""
        if self._line is not None:
            server.tell(Verb.SPARE, (self._pid,), (self._line.fileno(),))

    def let_go(self, children: Children) -> None:
        """Have none any more: it ends, and that is awaited as that of the children."""
        if self._line is not None:
            self.close()
            children.add(self._pid, os.pidfd_open(self._pid))

    def close(self) -> None:
        """Have nothing to do with it any more."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _wait(self, line: socket.socket, server: Server | None) -> int:
        """Without all that is a keeper's."""
        self._signals.leave()
        self._holding.close()
        if server is not None:
            server.close()
        waiting = select.poll()
        waiting.register(line, select.POLLIN)
        waiting.poll()
        adoption = await_adoption(line)
        if adoption is None:
            return 0
        line.close()
        raise Succession(adoption)
