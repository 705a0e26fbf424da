"""An end in order is an end; anything else is not."""

import os
import select
import signal
import subprocess
import sys

import pytest

from tests.mount.keeper.conftest import SECONDS, StandIn
from tests.mount.waiting import wait_for

_CANNOT_FORK = """
import errno, os, sys
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.keeper.started_again import Life

def fork():
    raise OSError(errno.EAGAIN, "there are too many processes")

os.fork = fork
sys.exit(Keeper(lambda held: 0, lambda: None, before=Life(1, 0.0)).run())
"""


@pytest.mark.parametrize("killed_before", [[], ["server"]])
@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_the_servers(stand_in: StandIn, code: int, killed_before: list[str]) -> None:
    """The keeper ends with it."""
    for who in killed_before:
        stand_in.kill(who)
    stand_in.ask("end", code=code)

    assert code == stand_in.process.wait(SECONDS)


def test_a_signal_is_passed_on(stand_in: StandIn) -> None:
    """To the server, which ends in order."""
    stand_in.process.send_signal(signal.SIGTERM)

    assert 7 == stand_in.process.wait(SECONDS)


def test_an_end_that_was_not_announced_is_none(stand_in: StandIn) -> None:
    """Whatever the exit code."""
    before = stand_in.ask("who")
    stand_in.ask("end", code=-3)
    now = wait_for(lambda: stand_in._who_but("server", before["server"]))

    assert (before["keeper"], 1) == (now["keeper"], now["restarts"])


def test_it_does_not_give_up(stand_in: StandIn) -> None:
    """Servers that end before they serve are followed by others, and nothing is lost."""
    held = os.memfd_create("held")
    stand_in.ask("keep", [held], numbers=[1])
    stand_in.ask("note", fails=3)
    now = stand_in.kill("server")

    assert (4, [1]) == (now["restarts"], now["numbers"])
    assert stand_in.is_same(1, held)
    said = stand_in.end()
    assert 3 == said.count("ended with exit code 5; 1 descriptors are held, and another server starts in ")


def test_a_replaced_keeper_ends_with_the_server(stand_in: StandIn) -> None:
    """It is no child of whoever started the first one, but leaves nothing behind."""
    keeper = stand_in.kill("keeper")["keeper"]
    pidfd = os.pidfd_open(keeper)
    stand_in.kill("server")
    stand_in.ask("end", code=0)

    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    assert ended.poll(1000 * SECONDS)
    os.close(pidfd)


def test_it_can_be_told_to_end_while_no_server_can_be_forked() -> None:
    """A fork that failed leaves no signal held back."""
    command = [sys.executable, "-c", _CANNOT_FORK]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as keeper:
        assert keeper.stderr is not None
        said = keeper.stderr.readline()
        keeper.terminate()
        try:
            code = keeper.wait(SECONDS)
        finally:
            keeper.kill()

    assert "no server can be started: there are too many processes" in said
    assert 128 + signal.SIGTERM == code
