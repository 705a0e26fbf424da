"""The keeper's one loop: hold what the server sends, and start another server when it dies."""

import os
import select
import signal
import socket
import time
from collections.abc import Callable

from fdstorefs.keeper import wire
from fdstorefs.keeper.adoption import Adoption
from fdstorefs.keeper.children import Children
from fdstorefs.keeper.dying import is_dying
from fdstorefs.keeper.ending import exit_code, how, status_of
from fdstorefs.keeper.fork import Succession, fork
from fdstorefs.keeper.holding import Held, Holding
from fdstorefs.keeper.pauses import Pauses
from fdstorefs.keeper.program import HowToStart, become
from fdstorefs.keeper.room import fill_standard_streams, raise_limit
from fdstorefs.keeper.saying import say
from fdstorefs.keeper.server import Server
from fdstorefs.keeper.signals import Signals, held_back
from fdstorefs.keeper.spare import Spare
from fdstorefs.keeper.started_again import Life
from fdstorefs.keeper.upgrade import OF_AN_UPGRADE, Upgrade
from fdstorefs.keeper.warming import Warming
from fdstorefs.keeper.wire import Message, NotUnderstood, Verb

_LOOK_MILLISECONDS = 1000

StartServer = Callable[[Held], int]
"""In a child of the keeper: serve, and return the exit code. Called with signals held back."""


class Keeper:
    """Keeps one instance until its server ends for good.

    A server is a fork of this process: it has a copy of all that is in the `Holding`, and one end of a line. Before it
    answers a client, it sends what it has stored, and we take that into the holding and answer nothing. Its journal is
    a memfd, which both have. A pidfd tells that it is dead: then what is left on the line is read to its end, and the
    next one is forked, who finds everything. The file has it in this order: a server begins, runs, is dead.

    `announce` is called once, when it serves first, and `guarded` when the kernel guards this process as a keeper.
    `before` is how the instance ended whose descriptors are in the `holding`: a server is to go on with it. One that
    runs already is `adopted`. A process that is not `warm` yet has that called when there is nothing else to do.

    Who is warm has a spare (see `Spare`), or without (`has_spare`) somebody else has to have one. It is to the kernel
    what the keeper is when it is forked, so the first keeper waits until that is settled. A keeper that has more rights
    than its server executes nothing that this names (`may_upgrade`; see `Upgrade`).
    """

    def __init__(
        self,
        start_server: StartServer,
        announce: Callable[[], None] | None = None,
        guarded: Callable[[], None] | None = None,
        *,
        holding: Holding | None = None,
        before: Life | None = None,
        adopted: Adoption | None = None,
        warm: Callable[[], object] | None = None,
        has_spare: bool = True,
        may_upgrade: bool = True,
    ) -> None:
        self._start_server, self._announce, self._guarded = start_server, announce, guarded
        self._holding = adopted.holding if adopted is not None else holding or Holding()
        self._server = adopted.server if adopted is not None else None
        self._before = before or Life(adopted.restarts if adopted is not None else 0, 0.0, "")
        self._serves = adopted is not None
        self._has_served = adopted is not None or before is not None
        self._ending: int | None = None
        self._told_to_end = adopted is not None and adopted.is_told_to_end
        self._looks = adopted is not None and adopted.is_looked_after
        self._warming, self._is_cold = Warming(warm), warm is not None
        self._signals = Signals()
        self._pauses = Pauses(self._signals)
        self._children = Children(adopted.children if adopted is not None else ())
        self._has_spare, self._spare = has_spare, Spare(self._holding, self._signals)
        self._upgrade = Upgrade(
            self._holding, self._children, self._signals, self._fork_server, is_allowed=may_upgrade
        )

    def run(self) -> int:
        """Keep until the end, and return the server's exit code. Call it once.

        It returns in the spare's process, too, when that has been keeper and its server has ended.
        """
        fill_standard_streams()
        keeper = self
        while True:
            try:
                return keeper._keep()
            except Succession as succession:
                keeper = Keeper(self._start_server, adopted=succession.adoption)

    def _keep(self) -> int:
        raise_limit()
        self._signals.catch()
        if self._server is not None:
            self._have_spare()
        while True:
            code = self._start() if self._server is None else self._attend(self._server)
            if code is not None:
                self._upgrade.dismiss()
                return code

    # A server begins

    def _start(self) -> int | None:
        """Start a server. Returns an exit code if that cannot be done and is not to be tried again."""
        try:
            self._server = self._fork_server(self._upgrade.program)
        except OSError as error:
            if not self._has_served:
                raise
            self._pauses.note(has_served=False)
            return self._pauses.wait(f"no server can be started: {error.strerror}", len(self._holding.files))
        self._serves, self._ending = False, None
        self._spare.introduce_to(self._server)
        return None

    def _fork_server(self, program: HowToStart | None, former: int | None = None) -> Server:
        """One with our own code, or with that of a new program; `former` leads to one that still serves."""
        self._warming.finish()
        with held_back():  # a signal for the child waits until it can end in order
            pid, line = fork(lambda line: self._serve(line, program, former))
        return Server(pid, os.pidfd_open(pid), line)

    def _serve(self, line: socket.socket, program: HowToStart | None, former: int | None) -> int:
        """In a child: be the server, and nothing of what a keeper is."""
        self._signals.leave()
        held = self._held(line.detach(), os.getppid(), former)
        if program is not None:
            become(program, held)
        self._upgrade.close()
        self._spare.close()
        return self._start_server(held)

    def _held(self, line: int, keeper: int, former: int | None = None) -> Held:
        told = {**self._before._asdict(), "is_looked_after": self._looks, "former": former}
        return self._holding.held(line, keeper=keeper, **told)

    # A server runs

    def _attend(self, server: Server) -> int | None:
        """Until it is dead, or another has taken over. Returns the exit code if that was the end of all."""
        has_line = True
        while self._server is server:
            ready = self._wait([server.line.fileno()] if has_line else [], server.pidfd)
            self._renew(server)
            if not ready:
                self._warming.begin(self._signals.wake)
                if self._looks and is_dying(server.pid):
                    return self._bury(server)
            if self._signals.pipe in ready:
                self._hear_signals(server)
            self._children.reap(ready)
            if server.line.fileno() in ready:
                has_line = self._read(server)
            if server.pidfd in ready and self._server is server:
                return self._bury(server)
        return None

    def _wait(self, lines: list[int], pidfd: int) -> set[int]:
        waiting = select.poll()
        for descriptor in (*lines, pidfd, self._signals.pipe, *self._children.pidfds):
            waiting.register(descriptor, select.POLLIN)
        patience = _LOOK_MILLISECONDS if self._looks or self._upgrade.is_stale else None
        return {descriptor for descriptor, _ in waiting.poll(0 if self._warming.is_wanted else patience)}

    def _hear_signals(self, server: Server) -> None:
        for number in self._signals.heard():
            if number != signal.SIGHUP:
                self._told_to_end = True
                server.signal(number)
            elif not server.tell(Verb.UPGRADE):
                say("the server cannot be told that an upgrade is wanted")
        if self._is_cold and self._warming.is_done:
            self._is_cold = False
            self._have_spare()

    def _read(self, server: Server) -> bool:
        """Take in what there is. False at the end of the line."""
        while server.line.fileno() >= 0:  # else another has succeeded it
            try:
                message = wire.receive(server.line)
            except BlockingIOError:
                return True
            except NotUnderstood as error:
                say(f"{error}, and is left alone")
                self._holding.close_all(error.descriptors)
                continue
            if message is None:
                return False
            self._take(message, server)
        return False

    def _take(self, message: Message, server: Server) -> None:
        if message.verb is Verb.READY:
            self._note_that_it_serves()
        elif message.verb is Verb.SETTLED:
            if message.numbers == (1,) and self._guarded is not None:
                self._guarded()
            self._have_spare()
        elif message.verb is Verb.LOOK:
            self._looks = True
        elif message.verb is Verb.ENDING:
            self._ending = message.numbers[0]
        elif message.verb in OF_AN_UPGRADE:
            self._go_on_with(self._upgrade.take(message, server))
        elif not self._holding.take(message):
            say("some of what the server sent did not arrive, and is not held")

    def _note_that_it_serves(self) -> None:
        self._serves = self._has_served = True
        self._pauses.note(has_served=True)
        announce, self._announce = self._announce, None
        try:
            if announce is not None:
                announce()
        except OSError as error:
            say(f"who wanted to be told that it serves cannot be: {error.strerror}")

    def _have_spare(self) -> None:
        if self._has_spare and not self._is_cold and not self._upgrade.is_stale:
            self._warming.finish()
            self._spare.have(self._server)

    def _go_on_with(self, successor: Server | None) -> None:
        """With the server that has taken over, if one has."""
        if successor is None:
            return
        self._server = successor
        self._serves, self._ending = True, None
        self._pauses.note(has_served=True)
        if self._upgrade.is_stale:
            if self._told_to_end:
                successor.signal(signal.SIGTERM)
            self._spare.let_go(self._children)  # its code is as old as ours
            self._renew(successor)

    def _renew(self, server: Server) -> None:
        line = server.line.fileno()
        self._upgrade.renew(server, lambda: self._held(line, os.getpid()), told_to_end=self._told_to_end)

    # A server is dead

    def _bury(self, server: Server) -> int | None:
        """And start another, after a pause. Returns the exit code if there is to be none."""
        died = time.monotonic()
        self._read(server)
        if self._server is not server:
            return None  # the last that it said is that another has taken over
        self._upgrade.dismiss()
        server.close()
        status = status_of(server.pid)
        self._server = None
        # One that took over and could not serve has told why; the next may fare better.
        has_ended = self._serves and self._ending is not None
        if has_ended or self._told_to_end or not self._has_served:
            return exit_code(status, self._ending)
        if self._serves:
            self._before = self._before._replace(died=died, cause=how(status))
        self._pauses.note(has_served=self._serves)
        self._before = self._before._replace(restarts=self._before.restarts + 1)
        return self._pauses.wait(f"the server (pid {server.pid}) {how(status)}", len(self._holding.files))
