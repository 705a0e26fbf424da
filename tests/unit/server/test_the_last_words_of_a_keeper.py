"""A keeper asks for an upgrade and is killed: another is started, once, and then comes the upgrade."""

import errno
import os
import subprocess
from collections.abc import Iterator

import pytest

from fdstorefs.errors import Overloaded
from fdstorefs.keeper import wire
from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.replacement import Spare
from fdstorefs.keeper.wire import Verb
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.loop import Loop


class Line:
    """A server's line to a keeper that was killed after it had said something. None can be started."""

    def __init__(self, *said: Verb) -> None:
        ours, its = wire.line()
        with subprocess.Popen(["sleep", "infinity"]) as keeper:
            self.line = KeeperLine(
                Held(ours.detach(), keeper.pid, {}, None, {}, (), (), 0, 0.0, "", False), None
            )
            keeper.kill()
        for verb in said:
            wire.send(its, verb)
        its.close()
        self.tried = self.wanted = 0
        self.line.start = self._start
        self.line.upgrade_wanted = self._want
        self.loop = Loop()
        self.line.watch(self.loop)

    def _start(self) -> Spare:
        self.tried += 1
        raise OSError(errno.EAGAIN, "no more processes")

    def _want(self) -> None:
        self.wanted += 1
        self.line.note(it="says something")

    def close(self) -> None:
        """Let go of all."""
        self.line.unwatch()
        self.loop.close()
        self.line._socket.close()
        os.close(self.line._pidfd)


@pytest.fixture
def gone() -> Iterator[Line]:
    """One that has asked for an upgrade."""
    made = Line(Verb.UPGRADE)
    yield made
    made.close()


def test_it_is_replaced_once(gone: Line) -> None:
    """Who says something meanwhile would have another started, and one would be left over."""
    with pytest.raises(Overloaded):
        gone.line.note(something=1)

    assert (1, 0) == (gone.tried, gone.wanted)


def test_the_upgrade_is_still_wanted(gone: Line) -> None:
    """In the next turn."""
    gone.loop.call_at(0, lambda: gone.loop.call_soon(gone.loop.stop))
    gone.loop.run()

    assert (1, 1) == (gone.tried, gone.wanted)
