"""Standing between the world and a child process: signals go in, the exit code comes out."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import NoReturn

from fdstorefs.cli.failure import CANNOT_RUN, NO_SUCH_COMMAND, describe, say

_FORWARDED = {
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
}
_SENT_BY_KERNEL = 128  # si_code SI_KERNEL: such as Ctrl-C, which the terminal sends to our child as well

_Mask = set[signal.Signals] | set[int] | set[int | signal.Signals]


def run_to_the_end(
    command: list[str], environment: Mapping[str, str], other_ended: Callable[[int], None]
) -> int:
    """Run a command, forward signals to it, and return its exit code: 128 + n if signal n ended it.

    `other_ended` is told the process id of any other child that ends meanwhile.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_FORWARDED, signal.SIGCHLD})
    try:
        pid = os.fork()
        if pid == 0:
            _become(command, environment, before)
        return _supervise(pid, other_ended)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _supervise(pid: int, other_ended: Callable[[int], None]) -> int:
    while True:
        got = signal.sigwaitinfo({*_FORWARDED, signal.SIGCHLD})
        if got.si_signo != signal.SIGCHLD:
            _forward(pid, got)
            continue
        for ended, status in _ended_children():
            if ended == pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            other_ended(ended)


def _forward(pid: int, got: signal.struct_siginfo) -> None:
    if got.si_code != _SENT_BY_KERNEL:
        os.kill(pid, got.si_signo)


def _ended_children() -> list[tuple[int, int]]:
    """The children that have ended since the last look; one SIGCHLD may stand for several."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def _become(command: list[str], environment: Mapping[str, str], mask: _Mask) -> NoReturn:
    """In the child: become the command, or end as a shell would."""
    code = CANNOT_RUN
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = execute(command, environment)
    finally:
        os._exit(code)


def execute(command: list[str], environment: Mapping[str, str]) -> int:
    """Become the command. Returns only if that fails: reports it, and returns an exit code."""
    restored = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        for number, handler in restored.items():
            signal.signal(number, handler)
        say(f"cannot run `{command[0]}`: {describe(OSError(error.errno, error.strerror))}")
        return NO_SUCH_COMMAND if isinstance(error, FileNotFoundError) else CANNOT_RUN
