"""A keeper has the service's rights, and its server those of a container, who may have taken it over."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fdstorefs.containers import keeping
from fdstorefs.containers.container import Container
from fdstorefs.containers.keeping import Beginning, to_keep
from fdstorefs.containers.record import Process, Record, Records
from fdstorefs.host import procfs
from fdstorefs.keeper import wire
from fdstorefs.keeper.ending import FAILED
from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.wire import Verb

_MILLISECONDS = 20_000


@pytest.fixture
def container() -> Iterator[Container]:
    """The namespaces that we are in."""
    made = Container(
        os.pidfd_open(os.getpid()),
        procfs.open_namespace("user"),
        procfs.open_namespace("mnt"),
        procfs.open_root(os.getpid()),
    )
    yield made
    made.close()


@contextmanager
def waiting() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that does nothing."""
    with subprocess.Popen(
        [sys.executable, "-I", "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def beginning(directory: Path, container: Container, server: int) -> Beginning:
    """What a keeper of this server is told."""
    us = Process.of(os.getpid())
    record = Record(
        "/run/fdstore",
        0,
        container.user_namespace,
        container.mount_namespace,
        us,
        {},
        us,
        Process.of(server),
    )
    return Beginning(record.name, to_keep(record).split(b"\n", 2)[2], Records(str(directory)), "/nowhere")


def forked(act: Callable[[], object]) -> int:
    """The number of a process that does this."""
    pid = os.fork()
    if pid == 0:
        # Those of the tests are closed there.
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        with suppress(BaseException):
            act()
        os._exit(99)
    return pid


def wish(marker: Path) -> dict[str, object]:
    """A program that an upgrade could name: it leaves a mark."""
    return {"module": "cProfile", "function": "run", "options": f"open({str(marker)!r}, 'w').close()"}


def await_hang_up(ours: socket.socket) -> None:
    """Until nobody has the other end of this line any more."""
    waiting = select.poll()
    waiting.register(ours, 0)

    assert waiting.poll(_MILLISECONDS)


def ask_for_program(line: socket.socket, marker: Path) -> None:
    """Ask as a server does that has been taken over, and wait until the keeper is done with it."""
    ours, its = wire.line()
    with ours:
        wire.send(line, Verb.UPGRADE, (), (its.fileno(),), wish(marker))
        its.close()
        await_hang_up(ours)


def code_of(pid: int) -> int:
    """The exit code of a child of ours; one that does not end is killed."""
    pidfd = os.pidfd_open(pid)
    try:
        select.select([pidfd], [], [], _MILLISECONDS / 1000)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        os.close(pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_it_executes_nothing_that_its_server_names(
    tmp_path: Path, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the server would be root of the host: the new program has the keeper's rights."""
    marker, pipe = tmp_path / "marker", os.open(os.devnull, os.O_WRONLY)

    def serve(_beginning: Beginning, held: Held, _pipe: int | None) -> int:
        line = socket.socket(fileno=held.line)
        wire.send(line, Verb.READY)
        ask_for_program(line, marker)
        wire.send(line, Verb.ENDING, (0,))
        return 0

    monkeypatch.setattr(keeping, "_serve", serve)
    keeper = forked(lambda: keeping.keep(beginning(tmp_path, container, os.getpid()), container, pipe))
    os.close(pipe)

    assert 0 == code_of(keeper)
    assert not marker.exists()


def adopted(tmp_path: Path, container: Container, server: int, named: int) -> tuple[int, socket.socket]:
    """A keeper in the place of one that was killed, and the line to it. The server says that it is another process."""
    pidfd, its_pidfd = os.pidfd_open(server), os.pidfd_open(named)
    (ours, its), (line, its_line) = wire.line(), wire.line()
    wire.send(ours, Verb.ADOPT, (), (its_pidfd, its_line.fileno()), {"pid": named, "restarts": 0})
    told = beginning(tmp_path, container, server)
    keeper = forked(lambda: keeping.keep_on(told, container, pidfd, its.detach()))
    for descriptor in (pidfd, its_pidfd):
        os.close(descriptor)
    for end in (ours, its, its_line):
        end.close()
    return keeper, line


def test_nor_does_one_that_came_later(tmp_path: Path, container: Container) -> None:
    """A keeper in the place of one that was killed."""
    marker = tmp_path / "marker"
    with waiting() as server:
        keeper, line = adopted(tmp_path, container, server.pid, server.pid)
        with line:
            ask_for_program(line, marker)
            os.kill(keeper, signal.SIGTERM)

            assert FAILED == code_of(keeper)
    assert not marker.exists()


def test_it_signals_nobody_whom_its_server_names(tmp_path: Path, container: Container) -> None:
    """Told to end, it tells the process that asked for it, whoever that says that it is."""
    with waiting() as server, waiting() as victim:
        keeper, line = adopted(tmp_path, container, server.pid, victim.pid)
        with line:
            # From when that is answered on it listens to signals.
            ask_for_program(line, tmp_path / "marker")
            os.kill(keeper, signal.SIGTERM)

            assert FAILED == code_of(keeper)
        assert -signal.SIGTERM == server.wait()
        assert victim.poll() is None
