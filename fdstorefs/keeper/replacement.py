"""Another keeper for a server whose own was killed: the spare one, or if that is gone, too, a new program.

Such a program starts with the standard library alone, takes over, and then imports what a new server would need.
"""

import errno
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import NamedTuple

from fdstorefs.keeper import wire
from fdstorefs.keeper.adoption import await_adoption
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.keeper.program import HowToStart, find, start
from fdstorefs.keeper.room import raise_limit
from fdstorefs.keeper.wire import Verb

_PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[2]); "
    "from fdstorefs.keeper.replacement import main; main(int(sys.argv[1]))"
)


class Spare(NamedTuple):
    """A process that waits to be keeper, at the other end of `line`."""

    pid: int
    line: socket.socket


class Replacement(NamedTuple):
    """The new keeper, and our end of the line to it."""

    pid: int
    line: socket.socket


def start_cold(how: HowToStart) -> Spare:
    """Start a new program. Raises OSError."""
    ours, its = wire.line()
    try:
        return Spare(_spawn(its.fileno(), how), ours)
    except BaseException:
        ours.close()
        raise
    finally:
        its.close()


def make_keeper(
    spare: Spare, restarts: int, inherited: tuple[int, ...] = (), seconds: float = 2.0
) -> Replacement:
    """Have a spare process be the keeper of this one, as it says itself. It holds nothing yet.

    Raises OSError if it is gone (EPIPE, ESRCH), or doesn't say so in that time (ETIMEDOUT): then it is no more.
    """
    its_pidfd = os.pidfd_open(spare.pid)
    try:
        ours = _ask(spare, restarts, inherited)
        try:
            _await_adoption(ours, seconds)
        except BaseException:
            # Else it would start a server with nothing in it when we end.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(its_pidfd, signal.SIGKILL)
            ours.close()
            raise
    finally:
        os.close(its_pidfd)
        spare.line.close()
    return Replacement(spare.pid, ours)


def _ask(spare: Spare, restarts: int, inherited: tuple[int, ...]) -> socket.socket:
    """Our end of the line on which it is to answer."""
    ours, its = wire.line()
    pidfd = os.pidfd_open(os.getpid())
    try:
        told = {"pid": os.getpid(), "restarts": restarts}
        wire.send(spare.line, Verb.ADOPT, (), (pidfd, its.fileno(), *inherited), told)
    except BaseException:
        ours.close()
        raise
    finally:
        its.close()
        os.close(pidfd)
    return ours


def _await_adoption(line: socket.socket, seconds: float) -> None:
    waiting = select.poll()
    waiting.register(line, select.POLLIN)
    if not waiting.poll(1000 * seconds):
        raise TimeoutError(errno.ETIMEDOUT, f"it has not answered for {seconds:g} s")
    message = wire.receive(line)
    if message is None or message.verb is not Verb.ADOPTED:
        raise BrokenPipeError(errno.EPIPE, "it has ended")


def _spawn(line: int, how: HowToStart) -> int:
    os.set_inheritable(line, True)
    argv = [sys.executable, "-I", "-c", _PROGRAM, str(line), json.dumps(sys.path), json.dumps(how)]
    return os.posix_spawn(sys.executable, argv, os.environ, setsigmask=())


def main(number: int) -> None:
    """Take over, keep until the end, and end this process."""
    raise_limit()
    os.set_inheritable(number, False)
    how = HowToStart(*json.loads(sys.argv[3]))
    line = socket.socket(fileno=number)
    line.setblocking(True)
    adopted = await_adoption(line)
    line.close()
    if adopted is None:
        sys.exit(0)
    sys.exit(
        Keeper(lambda held: start(how, held, how.options), adopted=adopted, warm=lambda: find(how)).run()
    )
