"""The server's end of the line to its keeper; when the keeper is gone, another one is started and gets everything."""

import errno
import logging
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, islice
from typing import Any

from fdstorefs.errors import NotSupported, Overloaded, QuotaExceeded
from fdstorefs.host.readable import becomes_readable
from fdstorefs.keeper import wire
from fdstorefs.keeper.dying import is_dying
from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.program import HowToStart
from fdstorefs.keeper.replacement import Replacement, Spare, make_keeper, start_cold
from fdstorefs.keeper.wire import MOST_DESCRIPTORS, NotUnderstood, Verb
from fdstorefs.server.loop import Loop
from fdstorefs.server.unit_keeping import UnitKeeping

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a stash waits for a keeper that has much to do."""

_HANDING_OVER_SECONDS = 10.0
_COLD_SECONDS = 10.0
"""How long a program may take until it is our keeper. It takes a tenth of one, and holds us up."""

_DROPPED_AT_ONCE = 1024
"""Numbers of one message: of many more the header could not say how many they are."""

_AGAIN_SECONDS = 0.2
"""A keeper that ends so soon is not replaced at once."""

_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})
_NO_ROOM = frozenset({errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM})

Pairs = Iterable[tuple[int, int]]


class _KeeperGone(Exception):
    """There is nobody at the other end."""


class KeeperLine:
    """To the keeper that started this server, or the one that came after it. All in one thread.

    `everything` gives number and descriptor of all that a new keeper is to hold, `journal_descriptor` the journal;
    whoever has them sets them. `may_keep` is asked about a process, by its number, that is to be the new keeper, before
    it gets anything. A child of ours may be it in any case. `how` a program is started that is a new keeper or server,
    None: not at all, and then `start` has to be set, which starts a keeper if there is no spare.
    `upgrade_wanted` is called when the keeper was asked for an upgrade. `unit` is systemd's part, where it has one.
    """

    def __init__(self, held: Held, how: HowToStart | None, unit: UnitKeeping | None = None) -> None:
        self.unit = unit
        self._socket = socket.socket(fileno=held.line)
        self._how = how
        self._restarts = held.restarts
        self._inherited = held.inherited
        self._note = held.note
        self._later: deque[tuple[Verb, Sequence[int]]] = deque()
        self._stalled = False
        self._is_looked_after = held.is_looked_after
        self._is_lost = False
        self._is_left = False
        self._waits = held.former is not None
        self._unsaid: list[Callable[[], None]] = []
        self._again_at = 0.0
        self._loop: Loop | None = None
        self._spare: Spare | None = None
        self.pid, self._pidfd = held.keeper, os.pidfd_open(held.keeper)
        self.everything: Callable[[], Pairs] = tuple
        self.journal_descriptor: Callable[[], int | None] = lambda: None
        self.may_keep: Callable[[int], bool] = lambda _pid: True
        self.start = self._start
        self.upgrade_wanted: Callable[[], None] = lambda: None

    # What a server has to say

    def begin(self) -> None:
        """Before all else. Raises Overloaded, OSError, MountError."""
        if self.unit is not None and self.unit.begin():
            for number, descriptor in self.unit.own():
                self._say(Verb.KEEP, (number,), (descriptor,))

    def keep(
        self,
        numbers: Sequence[int],
        descriptors: Sequence[int],
        slow: bool = False,
        foreign: Collection[int] = (),
    ) -> None:
        """Have descriptors held; `slow` if closing one of them may block, `foreign` are those that systemd must not
        get. They are, when this returns.

        Raises Overloaded and QuotaExceeded, and none of them is.
        """
        self._say_later_things()
        if slow and not self._is_looked_after:
            self._say(Verb.LOOK)
            self._is_looked_after = True
        done = 0
        try:
            while done < len(numbers):
                lot = slice(done, done + MOST_DESCRIPTORS)
                self._say(Verb.KEEP, numbers[lot], descriptors[lot])
                done += MOST_DESCRIPTORS
            if self.unit is not None:
                self.unit.keep(numbers, descriptors, foreign)
        except (Overloaded, QuotaExceeded):
            self.drop(numbers[:done])
            raise

    def drop(self, numbers: Sequence[int], slow: bool = False) -> None:
        """Have them held no longer; `slow` if closing one of them may block. Never raises and never waits."""
        if self._waits:
            self._unsaid.append(lambda: self.drop(numbers, slow))
        elif self.unit is None:
            self._let_go(numbers, slow)
        else:
            self.unit.drop(numbers, lambda gone: self._let_go(gone, slow))

    def _let_go(self, numbers: Sequence[int], slow: bool) -> None:
        verb = Verb.DROP_SLOW if slow else Verb.DROP
        self._later += (
            (verb, numbers[start : start + _DROPPED_AT_ONCE])
            for start in range(0, len(numbers), _DROPPED_AT_ONCE)
        )
        self._say_later_things()

    def journal(self, descriptor: int) -> None:
        """Have this memfd held as the journal, and not the former one. Raises Overloaded."""
        if self.unit is not None:
            self.unit.journal(descriptor)
        self._say(Verb.JOURNAL, (), (descriptor,))
        if self.unit is not None:
            self.unit.journal_is(descriptor)

    def note(self, **told: Any) -> None:
        """Leave a note to the next server, with what has been noted before. Raises Overloaded."""
        self._note = {**self._note, **told}
        if self.unit is not None:
            self.unit.note(self._note)
        self._say(Verb.NOTE, told=self._note)

    def settled(self, *, guarded: bool) -> None:
        """Whether the kernel guards the keeper is settled, before anything of a client's is kept. Raises Overloaded."""
        if self._waits:
            self._unsaid.append(lambda: self.settled(guarded=guarded))
            return
        if guarded and self.unit is not None:
            log.warning(
                "systemd keeps nothing of this instance, for the kernel gives it nothing that is guarded"
            )
            self.unit.leave()
        self._say(Verb.SETTLED, (int(guarded),))

    def ready(self) -> None:
        """Serving. Raises Overloaded."""
        self._say(Verb.READY)

    def end(self, code: int) -> None:
        """Ending for good, and the keeper too."""
        if self._is_left or self._waits:
            return  # another server serves
        if self.unit is not None:
            self.unit.ended()
        self.unwatch()
        try:
            self._send(Verb.ENDING, (code,))
        except (_KeeperGone, Overloaded) as error:
            log.warning("the keeper is not told of the end: %s", error)

    def end_for_good(self) -> None:
        """Nobody wants back what is kept."""
        if self.unit is not None and not self._is_left and not self._waits:
            self.unit.leave()

    # Another server in our place

    def start_program(self, its_end: socket.socket) -> None:
        """Have the keeper start a new program, with a line to this server. Raises Overloaded, NotSupported."""
        if self._how is None:
            raise NotSupported(
                "an instance that `fdstorefs host` has started is not upgraded in place",
                hint="restart the service; what is started from then on is of the new version",
            )
        self._say_later_things()
        self._say(Verb.UPGRADE, (), (its_end.fileno(),), self._how._asdict())

    def succeeded(self, pid: int) -> None:
        """Another process has taken over. Nothing is said after this. Raises Overloaded, and then it has not."""
        self._say_later_things()
        try:
            self._send(Verb.SUCCEEDED, (pid,))
        except _KeeperGone:
            raise Overloaded("the keeper is gone") from None
        self._is_left = True

    def stay(self) -> None:
        """Nobody takes over."""
        self._is_left = False
        self._stop_listening()
        self._start_listening()
        try:
            self._send(Verb.STAY)
        except (_KeeperGone, Overloaded):
            return  # who was started sees that its keeper is gone, or that we do not talk to it any more

    @property
    def has_keeper(self) -> bool:
        """Whether the keeper lives, and can still do anything."""
        return not becomes_readable(self._pidfd, 0) and not is_dying(self.pid)

    @property
    def is_dismissed(self) -> bool:
        """Whether the keeper has heard that another has `succeeded`: it lives, and has ended the line to this server.

        One that dies ends it, too, but has no memory any more by then.
        """
        waiting = select.poll()
        waiting.register(self._socket, 0)
        return bool(waiting.poll(0)) and self.has_keeper

    def await_word(self, deadline: float, former: int, is_wanted: Callable[[], bool]) -> bool:
        """Wait until the keeper says that this server is to serve, which took over from another. False: it never will,
        or when the line `former` to that one ended, this one `is_wanted` no more.

        Blocks, to time.monotonic() `deadline` at most.
        """
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        waiting.register(former, 0)
        while ready := dict(waiting.poll(1000 * max(deadline - time.monotonic(), 0))):
            try:
                message = wire.receive(self._socket)
            except BlockingIOError:
                if former in ready:
                    if not is_wanted():
                        return False
                    waiting.unregister(former)
                continue
            except (OSError, NotUnderstood):
                return False
            if message is None or message.verb is Verb.SERVE:
                return message is not None
        return False

    def go_on(self) -> None:
        """This is the server from now on, in the place of another: say what has waited for that. Raises Overloaded."""
        self._waits = False
        if self.unit is not None and self._loop is not None:
            self.unit.watch(self._loop, self.journal_descriptor())
        unsaid, self._unsaid = self._unsaid, []
        for say in unsaid:
            say()

    @property
    def later(self) -> frozenset[int]:
        """Numbers of what the keeper has yet to be told that it is not wanted any more."""
        later = frozenset(number for _, numbers in self._later for number in numbers)
        return later | self.unit.leaving if self.unit is not None else later

    # A keeper that is gone

    def watch(self, loop: Loop) -> None:
        """Notice in this loop when the keeper is gone."""
        self._loop = loop
        self._start_listening()
        if self.unit is not None and not self._waits:
            self.unit.watch(loop, self.journal_descriptor())

    def unwatch(self) -> None:
        """Let the keeper go, whatever becomes of it."""
        self._stop_listening()
        self._loop = None
        if self.unit is not None:
            self.unit.unwatch()

    def _start_listening(self) -> None:
        """To its end of the line, which tells first, and to its process: a fork may have that end, and be stuck."""
        if self._loop is not None:
            self._loop.register(self._socket.fileno(), self._on_event)
            self._loop.register(self._pidfd, self._on_event)

    def _stop_listening(self) -> None:
        if self._loop is not None:
            self._loop.unregister(self._socket.fileno())
            self._loop.unregister(self._pidfd)

    def _on_event(self, _events: int) -> None:
        if self._is_left:
            # The new server looks for another keeper, or we do if we stay.
            self._stop_listening()
        elif not self._listen() or becomes_readable(self._pidfd, 0):
            self._is_lost = True
            self._look_for_another()

    def _listen(self) -> bool:
        """Hear all that a keeper has said: of a spare, or that an upgrade is wanted. False at the end of the line."""
        try:
            while (message := wire.receive(self._socket)) is not None:
                if message.verb is Verb.SPARE:
                    line = socket.socket(fileno=message.descriptors[0])
                    self._set_spare(Spare(message.numbers[0], line))
                elif message.verb is Verb.UPGRADE and self._loop is not None:
                    # Later, for it says something itself, and this keeper may be about to be replaced.
                    self._loop.call_soon(self.upgrade_wanted)
        except BlockingIOError:
            return True
        except (OSError, NotUnderstood):
            return False
        return False

    def _set_spare(self, spare: Spare | None) -> None:
        if self._spare is not None:
            self._spare.line.close()
        self._spare = spare

    def _look_for_another(self) -> None:
        if self._loop is None or not self._is_lost:
            return
        try:
            self._replace()
        except Overloaded as error:
            log.error("%s", error.message)
            self._stop_listening()
            self._loop.call_at(self._again_at, self._look_for_another)

    def _replace(self) -> None:
        """Start another keeper and hand everything over. Raises Overloaded."""
        if self._waits or self._is_left:
            raise Overloaded("the keeper is gone, and another server sees to that")
        self._is_lost, former, begun = True, self.pid, time.monotonic()
        if begun < self._again_at:
            raise Overloaded("the keeper is gone again", hint="try again")
        self._say_goodbye()
        try:
            self._begin_with(self._another())
            count = self._hand_over()
        except OSError as error:
            raise Overloaded(
                f"the keeper is gone, and another cannot be started: {error.strerror}"
            ) from error
        except _KeeperGone:
            raise Overloaded("the keeper is gone, and another has ended at once") from None
        finally:
            # Whatever comes of it, half of the time is for clients.
            took = time.monotonic() - begun
            self._again_at = begun + took + max(took, _AGAIN_SECONDS)
        self._is_lost = False
        log.warning(
            "the keeper (pid %d) is gone; another (pid %d) holds %d descriptors", former, self.pid, count
        )

    def _another(self) -> Replacement:
        """The spare, or one that has to start first. Raises OSError."""
        self._listen()  # it may have been told of, and not been heard of yet
        spare, self._spare = self._spare, None
        if spare is not None and not self.may_keep(spare.pid):
            spare.line.close()
            spare = None
        if spare is not None:
            try:
                return make_keeper(spare, self._restarts, self._inherited)
            except OSError as error:
                log.warning("the spare keeper (pid %d) is of no use: %s", spare.pid, error.strerror)
        cold = self.start()
        # From here on it is what the next one takes the place of, if nothing comes of it.
        self._belongs_to(cold.pid, os.pidfd_open(cold.pid))
        self.may_keep(cold.pid)
        return make_keeper(cold, self._restarts, self._inherited, _COLD_SECONDS)

    def _start(self) -> Spare:
        if self._how is None:
            raise Overloaded("the keeper is gone, and nobody starts another")
        return start_cold(self._how)

    def _begin_with(self, new: Replacement) -> None:
        if self.unit is not None:
            self.unit.main_process(new.pid)
        self._belongs_to(new.pid, os.pidfd_open(new.pid), new.line)

    def _hand_over(self) -> int:
        journal = self.journal_descriptor()
        if journal is not None:
            self._send(Verb.JOURNAL, (), (journal,), patience=_HANDING_OVER_SECONDS)
        self._send(Verb.NOTE, told=self._note, patience=_HANDING_OVER_SECONDS)
        if self._is_looked_after:
            self._send(Verb.LOOK, patience=_HANDING_OVER_SECONDS)
        self._later.clear()
        count, rest = 0, chain(self.unit.own() if self.unit is not None else (), self.everything())
        while lot := list(islice(rest, MOST_DESCRIPTORS)):
            numbers, descriptors = zip(*lot, strict=True)
            self._send(Verb.KEEP, numbers, descriptors, patience=_HANDING_OVER_SECONDS)
            count += len(lot)
        self._hand_over_what_is_leaving()
        return count

    def _hand_over_what_is_leaving(self) -> None:
        """If we are killed before systemd has let go of them, the next server finds the numbers, and sees to it.

        The open files are closed here, so another one stands in for each.
        """
        leaving = sorted(self.unit.leaving) if self.unit is not None else []
        if not leaving:
            return
        nothing = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            for start in range(0, len(leaving), MOST_DESCRIPTORS):
                numbers = leaving[start : start + MOST_DESCRIPTORS]
                self._send(Verb.KEEP, numbers, [nothing] * len(numbers), patience=_HANDING_OVER_SECONDS)
        finally:
            os.close(nothing)

    def _say_goodbye(self) -> None:
        """Make sure that the former keeper is no more: it would start another server when we end."""
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass  # as expected
        except PermissionError:
            pass  # of a keeper with more rights than ours, who starts another makes sure of it
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return  # we are its child, or were

    def _belongs_to(self, pid: int, pidfd: int, line: socket.socket | None = None) -> None:
        self._stop_listening()
        os.close(self._pidfd)
        self.pid, self._pidfd = pid, pidfd
        if line is not None:
            self._socket.close()
            self._socket = line
        self._start_listening()

    # Sending

    def _say(
        self,
        verb: Verb,
        numbers: Sequence[int] = (),
        descriptors: Sequence[int] = (),
        told: dict[str, Any] | None = None,
    ) -> None:
        """Send, to a new keeper if the old one is gone. Raises Overloaded."""
        try:
            self._send(verb, numbers, descriptors, told)
        except _KeeperGone:
            self._replace()
            try:
                self._send(verb, numbers, descriptors, told)
            except _KeeperGone:
                raise Overloaded("the keeper is gone, and another has ended at once") from None

    def _say_later_things(self) -> None:
        """What is let go of may be told of when there is room for it."""
        while self._later:
            try:
                wire.send(self._socket, *self._later[0])
            except OSError:
                return  # no room; or nobody there, and then a new keeper gets what is left only
            self._later.popleft()

    def _send(
        self,
        verb: Verb,
        numbers: Sequence[int] = (),
        descriptors: Sequence[int] = (),
        told: dict[str, Any] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Send, and wait for room while that is bearable. Raises _KeeperGone and Overloaded."""
        until = time.monotonic() + (0 if self._stalled else patience)
        while True:
            try:
                wire.send(self._socket, verb, numbers, descriptors, told)
            except OSError as error:
                if error.errno in _GONE:
                    raise _KeeperGone from None
                if error.errno not in _NO_ROOM:
                    raise
                self._wait_for_room(error.errno, until)
            else:
                self._stalled = False
                return

    def _wait_for_room(self, code: int, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0:
            # One that is stuck must not cost every client so much.
            self._stalled = True
            raise Overloaded("the keeper has more to do than it can", hint="try again")
        if code == errno.EAGAIN:
            waiting = select.poll()
            waiting.register(self._socket, select.POLLOUT)
            waiting.poll(1000 * left)
        else:
            # Nothing tells when others of this user have received what is on its way to them.
            time.sleep(min(left, 0.002))
