"""The server's side of systemd's store, without a server."""

import os
from collections.abc import Iterator

import pytest

from fdstorefs.errors import QuotaExceeded
from fdstorefs.keeper import wire
from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.program import HowToStart
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.loop import Loop
from fdstorefs.server.options import UnitOptions
from fdstorefs.server.unit_keeping import UnitKeeping
from tests.mount.service.systemd_stand_in import Manager

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
    unit.drop([3], lambda _gone: None)
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
    heard: list[int] = []
    unit = begun(manager)
    unit.keep([1, 2], files[:2], foreign={2})
    unit.drop([2], heard.extend)
    unit.drop([1], heard.extend)

    assert ([2], {1}) == (heard, unit.leaving)


def test_what_is_kept_again_is_not_let_go_of(manager: Manager, files: list[int]) -> None:
    """By what was said of the one before that had its number."""
    heard: list[int] = []
    unit, loop = begun(manager), Loop()
    unit.keep([1, 2, 3], files[:3], foreign=())
    unit.watch(loop, None)
    unit.drop([1, 2], heard.extend)
    unit.drop([3], lambda gone: (heard.extend(gone), loop.stop()))
    unit.keep([2], files[3:4], foreign=())
    loop.run()

    assert ([1, 3], [False, True]) == (heard, [manager.has(file) for file in (files[1], files[3])])


def test_another_keeper_knows_of_what_is_leaving(manager: Manager, files: list[int]) -> None:
    """If the server is killed before systemd has let go of it, the next one finds it with the keeper."""
    ours, its = wire.line()
    line = KeeperLine(held(its.detach()), HowToStart("", "", {}), begun(manager))
    line.keep([1, 2], files[:2])
    line.drop([1])
    while True:
        try:
            wire.receive(ours)
        except BlockingIOError:
            break
    line.everything = lambda: [(2, files[1])]
    line._hand_over()
    kept: set[int] = set()
    while {1, 2} - kept:
        message = wire.receive(ours)
        assert message is not None
        kept |= set(message.numbers if message.verb is wire.Verb.KEEP else ())
        for descriptor in message.descriptors:
            os.close(descriptor)

    assert {1} == line.later
    ours.close()
