"""A keeper that executes a new program loses no signal: what has come is acted on before, or waits for the new one."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from fdstorefs.keeper import upgrade, wire
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.keeper.program import HowToStart
from fdstorefs.keeper.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """One that runs; it is this process."""
    ours, its = wire.line()
    made = Server(os.getpid(), os.pidfd_open(os.getpid()), ours)
    with its:
        yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_nobody_has_read_yet(
    monkeypatch: pytest.MonkeyPatch, server: Server, number: int
) -> None:
    """It is in a pipe that the new program does not have: so first that is read, and then the program executed."""
    executed: list[Any] = []
    monkeypatch.setattr(upgrade, "become", lambda program, *_: executed.append(program))
    keeper, program = Keeper(lambda _held: 0), HowToStart("module", "function", {})
    keeper._signals.pipe, keeper._signals.wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    keeper._upgrade.is_stale, keeper._upgrade._program = True, program
    os.write(keeper._signals.wake, bytes([number]))
    keeper._renew(server)
    before = list(executed)
    keeper._signals.heard()
    keeper._renew(server)
    os.close(keeper._signals.pipe)
    os.close(keeper._signals.wake)

    assert ([], [program]) == (before, executed)
