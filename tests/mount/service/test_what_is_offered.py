"""The server's side of systemd's store, without a server."""

import os
from collections.abc import Iterator

import pytest

from fdstorefs.errors import QuotaExceeded
from fdstorefs.keeper import wire
from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.program import HowToStart
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.options import UnitOptions
from fdstorefs.server.unit_keeping import UnitKeeping
from tests.mount.service.manager import Manager

NO_LINE = -1


def held(line: int = NO_LINE) -> Held:
    """What a first server starts with."""
    return Held(line, os.getpid(), {}, None, {}, (), (), 0, 0.0, "", False)


def begun(manager: Manager, most: int = 50, room: int = 5000) -> UnitKeeping:
    """One that has begun."""
    made = UnitKeeping(UnitOptions(manager.address, most, room), held())
    assert made.begin()
    return made


@pytest.fixture
def files() -> Iterator[list[int]]:
    """Open files, each another."""
    made = [os.memfd_create(f"{number}") for number in range(60)]
    yield made
    for each in made:
        os.close(each)


def test_foreign_files_are_not_offered(manager: Manager, files: list[int]) -> None:
    """The others of the same call are."""
    begun(manager).keep([1, 2, 3], files[:3], foreign={2})

    assert [True, False, True] == [manager.has(file) for file in files[:3]]


@pytest.mark.parametrize(
    ("most", "room"), [(13, 5000), (50, 256 + 10 * len("fdstorefs-0:"))], ids=["max", "names"]
)
def test_no_more_than_can_come_back(manager: Manager, files: list[int], most: int, room: int) -> None:
    """As systemd takes only so many, and their names have to fit; what is refused is not there."""
    unit = begun(manager, most, room)
    unit.keep(range(10), files[:10], foreign=())
    with pytest.raises(QuotaExceeded, match="keeps 10 open files"):
        unit.keep([10], files[10:11], foreign=())
    unit.drop([3], lambda: None)
    unit.keep([3], files[11:12], foreign=())

    assert [False, True] == [manager.has(file) for file in files[10:12]]


def test_nothing_guarded_is_there(manager: Manager, files: list[int]) -> None:
    """Once the kernel guards the keeper: systemd would not get it. Nothing is offered after that."""
    ours, its = wire.line()
    line = KeeperLine(held(its.detach()), HowToStart("", "", {}), begun(manager))
    line.keep([1], files[:1])
    before = len(manager.stored)
    line.settled(guarded=True)
    line.keep([2], files[1:2])

    assert (2, []) == (before, manager.stored)
    assert line.unit is not None
    assert line.unit.status is None
    ours.close()


def test_what_is_dropped_is_confirmed(manager: Manager, files: list[int]) -> None:
    """Where systemd never had it, at once."""
    unit, heard = begun(manager), []
    unit.keep([1], files[:1], foreign=())
    unit.drop([2], lambda: heard.append(2))
    unit.drop([1], lambda: heard.append(1))

    assert [2] == heard
