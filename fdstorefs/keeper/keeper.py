"""The keeper's one loop: hold what the server sends, and start another server when it dies."""

import gc
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, NoReturn

from fdstorefs.keeper import wire
from fdstorefs.keeper.children import Children
from fdstorefs.keeper.ending import FAILED, exit_code, how, is_dying, status_of
from fdstorefs.keeper.holding import Held, Holding
from fdstorefs.keeper.program import HowToStart, become
from fdstorefs.keeper.started_again import Life
from fdstorefs.keeper.terminal import has_terminal
from fdstorefs.keeper.warming import Warming
from fdstorefs.keeper.wire import Message, NotUnderstood, Verb

_PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the next start, after so many in a row that came to nothing."""

_FORWARDED = (signal.SIGTERM, signal.SIGINT)
_CAUGHT = (*_FORWARDED, signal.SIGHUP)
_OF_AN_UPGRADE = frozenset({Verb.UPGRADE, Verb.SUCCEEDED, Verb.STAY})
_LOOK_MILLISECONDS = 1000
_AGAIN_SECONDS = 30.0
"""After a program that could not be executed."""

StartServer = Callable[[Held], int]
"""In a child of the keeper: serve, and return the exit code. Called with SIGTERM and SIGINT blocked."""


class Server(NamedTuple):
    """A server that runs: our end of the line to it, and a pidfd."""

    pid: int
    pidfd: int
    line: socket.socket


class Appointment(NamedTuple):
    """What a keeper goes by whom somebody else than its server has started: the server whose keeper it is, whatever
    that says, and what every further one gets. The pidfd is the keeper's.
    """

    pid: int
    pidfd: int
    inherited: tuple[int, ...]


class _Succession(Exception):
    """In a spare's process: it is the `keeper` now, and what is on the stack is its predecessor's."""

    def __init__(self, keeper: "Keeper") -> None:
        super().__init__()
        self.keeper = keeper


class Keeper:
    """Keeps one instance until its server ends for good. `announce` is called once, when it serves first, and `guarded`
    when the kernel guards this process as a keeper.

    `server` is one that runs already and whose keeper was killed, after `restarts` restarts. `before` is how the
    instance ended whose descriptors are in the `holding`: another server is to go on with it. A process that is not
    `warm` yet, but a program that has just begun, has that called when there is nothing else to do.

    One that is warm forks its spare, a process that holds nothing and waits: if the keeper is killed, the server makes
    that its keeper, and a new server is still a fork away. The spare is to the kernel what the keeper is when it is
    forked, so the first keeper waits until that is settled. Without one (`has_spare`) somebody else has to have one.

    For an upgrade the server has a new program started, the `_candidate`. When that has taken over, this process is
    `_stale`: it executes the new program, too, and is what it was, or if that fails, starts every further server so.
    One that has more rights than its server executes nothing that this names (`may_upgrade`).
    """

    def __init__(
        self,
        start_server: StartServer,
        announce: Callable[[], None],
        guarded: Callable[[], None] | None = None,
        *,
        holding: Holding | None = None,
        server: Server | None = None,
        restarts: int = 0,
        warm: Callable[[], object] | None = None,
        has_spare: bool = True,
        may_upgrade: bool = True,
        before: Life | None = None,
    ) -> None:
        self._start_server = start_server
        self._announce = announce
        self._guarded = guarded or _nothing
        self._holding = holding or Holding()
        self._server = server
        self._restarts = restarts if before is None else before.restarts
        self._warming = Warming(warm)
        self._is_cold = warm is not None
        self._has_spare = has_spare
        self._may_upgrade = may_upgrade
        self._serves = server is not None
        self._has_served = self._serves or before is not None
        self._has_announced = self._serves
        self._failures = 0
        self._told_to_end = False
        self._looks = False
        self._ending: int | None = None
        self._died = before.died if before is not None else 0.0
        self._cause = before.cause if before is not None else ""
        self._signals = (-1, -1)
        self._spare: tuple[int, socket.socket] | None = None
        self._children = Children()
        self._candidate: Server | None = None
        self._new_program: HowToStart | None = None
        self._is_stale = False
        self._renew_at = 0.0
        self._had_terminal = has_terminal()

    def remember(self, *, children: Iterable[tuple[int, int]], looks: bool, told_to_end: bool) -> None:
        """What else this process knew before it executed the new program."""
        for pid, pidfd in children:
            self._children.add(pid, pidfd)
        self._looks, self._told_to_end = looks, told_to_end

    def run(self) -> int:
        """Keep until the end, and return the server's exit code. Call it once.

        It returns in the spare's process, too, when that has been keeper and its server has ended.
        """
        _fill_standard_streams()
        keeper = self
        while True:
            try:
                return keeper._keep()
            except _Succession as succession:
                keeper = succession.keeper

    def _keep(self) -> int:
        raise_limit()
        self._catch_signals()
        if self._server is not None:
            self._have_spare()
        while True:
            code = self._start() if self._server is None else None
            if self._server is not None:
                code = self._attend(self._server)
            if code is not None:
                self._dismiss_candidate()
                return code

    def _catch_signals(self) -> None:
        self._signals = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._signals[1], warn_on_full_buffer=False)
        for number in _CAUGHT:
            signal.signal(number, _wake_up_only)
        # What came while a new program took the place of the old one has waited.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
        # Who ignores it never learns how a child ended, and that may have been inherited.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    # A spare

    def _have_spare(self) -> None:
        """Fork one, which lets go of all that it must not have. Raises _Succession in its process."""
        if not self._has_spare or self._is_cold or self._is_stale or self._spare is not None:
            return
        self._warming.finish()
        ours, its = wire.line()
        _flush()
        gc.freeze()  # so that a child's collector leaves shared pages alone
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._wait_as_spare(its)
        its.close()
        self._spare = pid, ours
        self._tell_of_spare()

    def _wait_as_spare(self, line: socket.socket) -> NoReturn:
        try:
            self._let_go()
            waiting = select.poll()
            waiting.register(line, select.POLLIN)
            waiting.poll()
            keeper = adopt(line, self._start_server)
        except BaseException as error:  # noqa: BLE001 (nothing may get past the fork)
            sys.excepthook(type(error), error, error.__traceback__)
            os._exit(FAILED)
        if keeper is None:
            os._exit(0)
        line.close()
        raise _Succession(keeper)

    def _let_go(self) -> None:
        """Of all that is a keeper's."""
        self._ignore_signals()
        self._holding.close()
        if self._server is not None:
            self._server.line.close()
            os.close(self._server.pidfd)

    def _ignore_signals(self) -> None:
        """In a child: they are its own affair."""
        signal.set_wakeup_fd(-1)
        for number in _FORWARDED:
            signal.signal(number, signal.SIG_DFL)
        # That a terminal has hung up, or somebody wants an upgrade, is the keeper's affair.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for end in self._signals:
            os.close(end)

    def _tell_of_spare(self) -> None:
        if self._spare is not None and self._server is not None:
            pid, its_line = self._spare
            try:
                wire.send(self._server.line, Verb.SPARE, (pid,), (its_line.fileno(),))
            except OSError:
                return  # the server is dead, or does without

    # A server begins

    def _start(self) -> int | None:
        """Start a server. Returns an exit code if that cannot be done and is not to be tried again."""
        try:
            self._server = self._fork()
        except OSError as error:
            if not self._has_served:
                raise
            self._failures += 1
            return self._pause(f"no server can be started: {error.strerror}")
        self._tell_of_spare()
        return None

    def _fork(self) -> Server:
        self._warming.finish()
        made = self._fork_server(self._new_program if self._is_stale else None)
        self._serves, self._ending = False, None
        return made

    def _fork_server(self, program: HowToStart | None, former: int | None = None) -> Server:
        """One with our own code, or with that of a new program; `former` leads to one that still serves."""
        ours, its = wire.line()
        _flush()
        gc.freeze()
        # A signal for the child waits until it can end in order.
        signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_server(its.detach(), program, former)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
        its.close()
        return Server(pid, os.pidfd_open(pid), ours)

    def _become_server(self, line: int, program: HowToStart | None, former: int | None) -> NoReturn:
        code = FAILED
        try:
            self._ignore_signals()
            held = self._held(line, os.getppid(), former)
            if program is not None:
                become(program, held)
            self._close_what_is_ours()
            code = self._start_server(held)
        except BaseException as error:  # noqa: BLE001 (nothing may get past the fork)
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            _flush()
            os._exit(code)

    def _close_what_is_ours(self) -> None:
        """In a child that goes on with our code."""
        ours = [self._candidate.line] if self._candidate is not None else []
        for line in (*ours, *([self._spare[1]] if self._spare is not None else [])):
            line.close()

    def _held(self, line: int, keeper: int, former: int | None = None) -> Held:
        return self._holding.held(
            line,
            keeper=keeper,
            restarts=self._restarts,
            died=self._died,
            cause=self._cause,
            is_looked_after=self._looks,
            former=former,
        )

    # A server runs

    def _attend(self, server: Server) -> int | None:
        """Until it is dead, or another has taken over. Returns the exit code if that was the end of all."""
        has_line = True
        while self._server is server:
            ready = self._wait([server.line.fileno()] if has_line else [], server.pidfd)
            self._renew()
            if not ready:
                self._warming.begin(self._signals[1])
                if self._looks and is_dying(server.pid):
                    return self._bury(server)
            if self._signals[0] in ready:
                self._hear_signals(server)
            self._children.reap(ready)
            if server.line.fileno() in ready:
                has_line = self._read(server.line)
            if server.pidfd in ready and self._server is server:
                return self._bury(server)
        return None

    def _wait(self, lines: list[int], pidfd: int) -> set[int]:
        waiting = select.poll()
        for descriptor in (*lines, pidfd, self._signals[0], *self._children.pidfds):
            waiting.register(descriptor, select.POLLIN)
        return {descriptor for descriptor, _ in waiting.poll(self._patience())}

    def _patience(self) -> int | None:
        """Milliseconds until there is something to do even if nothing happens."""
        if self._warming.is_wanted:
            return 0
        return _LOOK_MILLISECONDS if self._looks or self._is_stale else None

    def _hear_signals(self, server: Server) -> None:
        for number in dict.fromkeys(_drained(self._signals[0])):
            if number == signal.SIGHUP and self._has_hung_up():
                self._forward(server, signal.SIGTERM)
            elif number == signal.SIGHUP:
                self._ask_for_upgrade(server)
            elif number in _FORWARDED:
                self._forward(server, number)
        if self._is_cold and self._warming.is_done:
            self._is_cold = False
            self._have_spare()

    def _forward(self, server: Server, number: int) -> None:
        self._told_to_end = True
        try:
            signal.pidfd_send_signal(server.pidfd, number)
        except ProcessLookupError:
            return  # dead, and we are about to notice

    def _has_hung_up(self) -> bool:
        return self._had_terminal and not has_terminal()

    def _read(self, line: socket.socket) -> bool:
        """Take in what there is. False at the end of the line."""
        while True:
            try:
                message = wire.receive(line)
            except BlockingIOError:
                return True
            except ConnectionResetError:
                return False
            except NotUnderstood as error:
                _say(f"{error}, and is left alone")
                self._holding.close_all(error.descriptors)
                continue
            if message is None:
                return False
            self._take(message)
            if line.fileno() < 0:
                return False  # another has succeeded its server

    def _take(self, message: Message) -> None:
        if message.verb is Verb.READY:
            self._note_that_it_serves()
        elif message.verb is Verb.SETTLED:
            self._settle(guarded=message.numbers == (1,))
        elif message.verb is Verb.LOOK:
            self._looks = True
        elif message.verb is Verb.ENDING:
            self._ending = message.numbers[0]
        elif message.verb in _OF_AN_UPGRADE:
            self._upgrade(message)
        elif not self._holding.take(message):
            _say("some of what the server sent did not arrive, and is not held")

    def _settle(self, *, guarded: bool) -> None:
        if guarded:
            self._guarded()
        self._have_spare()

    def _note_that_it_serves(self) -> None:
        self._serves, self._failures, self._has_served = True, 0, True
        if not self._has_announced:
            self._has_announced = True
            try:
                self._announce()
            except OSError as error:
                _say(f"who wanted to be told that it serves cannot be: {error.strerror}")

    # A server is dead

    def _bury(self, server: Server) -> int | None:
        died = time.monotonic()
        self._read(server.line)
        if self._server is not server:
            return None  # the last that it said is that another has taken over
        self._dismiss_candidate()
        server.line.close()
        os.close(server.pidfd)
        status = status_of(server.pid)
        self._server = None
        # One that took over and could not serve has told why; the next may fare better.
        has_ended = self._serves and self._ending is not None
        if has_ended or self._told_to_end or not self._has_served:
            return exit_code(status, self._ending)
        if self._serves:
            self._died, self._cause = died, how(status)
        self._failures = 0 if self._serves else self._failures + 1
        self._restarts += 1
        return self._pause(f"the server (pid {server.pid}) {how(status)}")

    def _pause(self, why: str) -> int | None:
        """Wait before the next start. Returns an exit code if told to end."""
        seconds = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        when = f" in {seconds} s" if seconds else ""
        _say(f"{why}; {len(self._holding.files)} descriptors are held, and another server starts{when}")
        until = time.monotonic() + seconds
        waiting = select.poll()
        waiting.register(self._signals[0], select.POLLIN)
        while waiting.poll(1000 * max(until - time.monotonic(), 0)):
            came = _drained(self._signals[0])
            if any(number in _FORWARDED for number in came) or (
                signal.SIGHUP in came and self._has_hung_up()
            ):
                _say("told to end while there is no server")
                return 128 + signal.SIGTERM
        return None

    # An upgrade

    def _upgrade(self, message: Message) -> None:
        if not self._may_upgrade:
            _say("the server wants an upgrade, which there is none of here")
            self._holding.close_all(message.descriptors)
        elif message.verb is Verb.UPGRADE:
            self._start_candidate(message)
        elif message.verb is Verb.SUCCEEDED:
            self._succeed(message.numbers[0])
        else:
            self._dismiss_candidate()

    def _ask_for_upgrade(self, server: Server) -> None:
        try:
            wire.send(server.line, Verb.UPGRADE)
        except OSError:
            _say("the server cannot be told that an upgrade is wanted")

    def _start_candidate(self, message: Message) -> None:
        """Start the new program's server. Its line to the old one is closed if that fails, which tells it."""
        self._dismiss_candidate()
        try:
            how, former = HowToStart(**message.told), message.descriptors[0]
            self._warming.finish()
            self._new_program, self._candidate = how, self._fork_server(how, former)
        except (OSError, TypeError, IndexError) as error:
            _say(f"the new program cannot be started: {error}")
        else:
            self._children.add(self._candidate.pid, os.dup(self._candidate.pidfd))
        self._holding.close_all(message.descriptors)

    def _dismiss_candidate(self) -> None:
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            candidate.line.close()
            try:
                signal.pidfd_send_signal(candidate.pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended by itself
            os.close(candidate.pidfd)

    def _succeed(self, pid: int) -> None:
        """The candidate is the server from now on. The former one ends, and this process is as old as that."""
        former, candidate = self._server, self._candidate
        if former is None or candidate is None or candidate.pid != pid:
            _say(f"process {pid} was never started to take over")
            return
        self._server, self._candidate = candidate, None
        self._serves, self._ending, self._failures = True, None, 0
        # Before the former one's line ends: that is what tells it that the candidate has been told.
        is_told = _told_to_serve(candidate)
        former.line.close()
        self._children.add(former.pid, former.pidfd)
        self._children.forget(candidate.pid)
        if not is_told:
            return  # dead already: another is started
        self._is_stale = True
        if self._told_to_end:
            self._forward(candidate, signal.SIGTERM)
        self._let_spare_go()
        self._renew()

    def _let_spare_go(self) -> None:
        """Its code is as old as ours."""
        if self._spare is not None:
            pid, line = self._spare
            line.close()
            self._spare = None
            self._children.add(pid, os.pidfd_open(pid))

    def _renew(self) -> None:
        """Execute the new program in this process, with everything. If that fails, go on as we are, for a while."""
        server, program = self._server, self._new_program
        if not self._is_stale or server is None or program is None or time.monotonic() < self._renew_at:
            return
        if self._candidate is not None or self._holding.is_closing:
            return
        # A close that takes for ever would keep a process from executing anything, so nothing is being closed.
        signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
        facts = {
            "server": server.pid,
            "pidfd": server.pidfd,
            "children": self._children.told,
            "told_to_end": self._told_to_end,
        }
        try:
            become(program, self._held(server.line.fileno(), os.getpid()), facts)
        except OSError as error:
            _say(f"the new program cannot be executed, and the old one goes on keeping: {error.strerror}")
            self._renew_at = time.monotonic() + _AGAIN_SECONDS
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)


def adopt(
    line: socket.socket,
    start_server: StartServer,
    warm: Callable[[], object] | None = None,
    appointment: Appointment | None = None,
) -> Keeper | None:
    """A keeper for the server that says ADOPT on this line. None if nobody is at the other end.

    With an appointment the server is believed nothing but how often it was started; and such a keeper has no spare,
    and upgrades nothing.
    """
    message = wire.receive(line)
    if message is None or message.verb is not Verb.ADOPT:
        return None
    pidfd, end, *told = message.descriptors
    server, holding = Server(message.told["pid"], pidfd, socket.socket(fileno=end)), Holding(tuple(told))
    if appointment is not None:
        server, holding = (
            server._replace(pid=appointment.pid, pidfd=appointment.pidfd),
            Holding(appointment.inherited),
        )
        holding.close_all((pidfd, *told))
    try:
        wire.send(server.line, Verb.ADOPTED)
    except OSError:
        pass  # it is dead, as we are about to notice
    return Keeper(
        start_server,
        _nothing,
        holding=holding,
        server=server,
        restarts=message.told["restarts"],
        warm=warm,
        has_spare=appointment is None,
        may_upgrade=appointment is None,
    )


def _told_to_serve(candidate: Server) -> bool:
    try:
        wire.send(candidate.line, Verb.SERVE)
    except OSError:
        return False
    return True


def _nothing() -> None:
    """What is to be said or done has been, long ago."""


def raise_limit() -> None:
    """Have room for as many descriptors as the server, which does the same."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _fill_standard_streams() -> None:
    """Where 0, 1 or 2 is closed, let it lead nowhere, before something else gets the number."""
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(nowhere, True)
    os.close(nowhere)


def _drained(pipe: int) -> bytes:
    try:
        return os.read(pipe, 4096)
    except BlockingIOError:
        return b""


def _say(what: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"fdstorefs: keeper: {what}\n")
    _flush()


def _flush() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            continue  # nobody listens: no reason to stop keeping


def _wake_up_only(_number: int, _frame: object) -> None:
    """The byte in the pipe is what the loop acts on."""
