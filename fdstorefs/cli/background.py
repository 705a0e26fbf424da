"""A server, or its keeper, in a process of its own, and the wait until it serves."""

import fcntl
import os
import signal
import sys
from dataclasses import replace
from typing import NoReturn

from fdstorefs.cli.failure import FAILED, Failure, say
from fdstorefs.cli.serving import serve_alone
from fdstorefs.server.options import ServeOptions

_READY = b"ready\n"


def start(options: ServeOptions, *, log: int | None = None, die_with_us: bool = False) -> int:
    """Start an instance and return the process id of its keeper, or of its server if it has none, once it serves.

    It has a session of its own and none of our descriptors; what it prints goes to the descriptor `log`, or
    nowhere. With `die_with_us` it ends when this process does, however that comes about. Raises Failure with the
    reason that it gave.
    """
    # Whoever ignores it has no children to wait for, and we may have inherited that.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ours, its = os.pipe()
    parent = os.getpid() if die_with_us else None
    pid = os.fork()
    if pid == 0:
        _become_server(options, its, log, parent)
    os.close(its)
    try:
        _await_ready(pid, ours)
    except BaseException:
        end(pid)
        raise
    finally:
        os.close(ours)
    return pid


def end(pid: int) -> None:
    """Tell a server of ours to end, and wait until it has."""
    try:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return  # it has ended, and somebody noticed


def _await_ready(pid: int, pipe: int) -> None:
    said = b""
    while said != _READY and (more := os.read(pipe, 4096)):
        said += more
    if said == _READY:
        return
    message, _, hint = os.fsdecode(said).rstrip("\n").partition("\n")
    raise Failure(message or _how_it_ended(pid), hint=hint)


def _how_it_ended(pid: int) -> str:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    return f"the server ended before it served ({how})"


def _become_server(options: ServeOptions, pipe: int, log: int | None, parent: int | None) -> NoReturn:
    """In the child: let go of everything that is our parent's, serve, and end."""
    code = FAILED
    try:
        os.setsid()
        pipe = _keep_only(pipe, log)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        ends_with = None if parent is None else _watched(parent)
        # The copy is closed as soon as it serves. Ours tells why it doesn't, even if the copy is closed.
        options = replace(options, ready_fd=os.dup(pipe), ends_with=ends_with)
        if options.keeper:
            from fdstorefs.cli.keeping import keep

            code = keep(options, lambda failure: _report(pipe, failure))
        else:
            serve_alone(options)
            code = 0
    except Failure as failure:
        code = _report(pipe, failure)
    except BaseException as error:  # noqa: BLE001 (nothing may get past the fork; the parent reports it)
        _tell(pipe, f"the server failed: {type(error).__name__}: {error}", None)
    finally:
        os._exit(code)


def _keep_only(pipe: int, log: int | None) -> int:
    """Close everything but the pipe, whose new number it returns; 0 leads nowhere, 1 and 2 to the log."""
    # Above the first three, which may have been closed when we started.
    pipe = fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 3)
    nowhere = fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD_CLOEXEC, 3)
    output = nowhere if log is None else fcntl.fcntl(log, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(nowhere, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, os.sysconf("SC_OPEN_MAX"))
    return pipe


def _watched(parent: int) -> int:
    """A pidfd of our parent, which tells when it has ended."""
    try:
        pidfd = os.pidfd_open(parent)
    except ProcessLookupError:
        os._exit(FAILED)
    if os.getppid() != parent:  # it died before we asked
        os._exit(FAILED)
    return pidfd


def _report(pipe: int, failure: Failure) -> int:
    _tell(pipe, failure.message, failure.hint)
    return failure.exit_code


def _tell(pipe: int, message: str, hint: str | None) -> None:
    """Tell the parent, or the log once the parent has stopped listening."""
    try:
        os.write(pipe, os.fsencode(f"{message}\n{hint or ''}\n"))
    except BrokenPipeError:
        say(message, hint)
        sys.stderr.flush()
