"""A cgroup that nobody has told of is looked for, and others do not wait for that."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs.enforcer import cgroups
from fdstorefs.enforcer.cgroup_tree import CgroupTree
from fdstorefs.enforcer.cgroups import LOOK_AGAIN_SECONDS, Cgroups
from fdstorefs.server.loop import Loop, Timer

UNKNOWN = 2**63


class Clock:
    """Goes on only when it is told to. Each look at the whole tree takes `cost` seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.cost = 0.0
        self.looks = 0

    def look(self) -> None:
        self.looks += 1
        self.now += self.cost


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time as cgroups have it."""
    found = Clock()
    monkeypatch.setattr(cgroups, "monotonic", lambda: found.now)
    look_again: Callable[[CgroupTree], None] = CgroupTree.look_again

    def look(tree: CgroupTree) -> None:
        found.look()
        look_again(tree)

    monkeypatch.setattr(CgroupTree, "look_again", look)
    return found


@pytest.fixture
def followed(tmp_path: Path, clock: Clock) -> Iterator[Cgroups]:
    """The cgroups of a hierarchy that is a directory."""
    loop = Loop()
    found = Cgroups(loop, str(tmp_path))
    found.follow(Nothing())
    clock.looks = 0
    yield found
    found.close()
    loop.close()


class Nothing:
    """Classifies nothing."""

    def cgroup_appeared(self, number: int, path: str) -> None: ...

    def cgroup_gone(self, number: int) -> None: ...


def test_not_twice_in_a_moment(followed: Cgroups, clock: Clock) -> None:
    """However often somebody is denied something."""
    for later in (0.0, LOOK_AGAIN_SECONDS / 2, LOOK_AGAIN_SECONDS):
        clock.now += later
        followed.look_for(UNKNOWN)

    assert 2 == clock.looks


def test_what_takes_long_is_done_seldom(followed: Cgroups, clock: Clock) -> None:
    """There is ten times as much time for others, from when it ended."""
    clock.cost = 3.0
    followed.look_for(UNKNOWN)
    clock.now += 29.9
    followed.look_for(UNKNOWN)
    assert 1 == clock.looks

    clock.now += 0.2
    followed.look_for(UNKNOWN)

    assert 2 == clock.looks


def test_a_look_that_is_due_takes_place_when_it_may(
    followed: Cgroups, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes cgroups faster than they can be followed cannot have everybody wait all the time."""
    due: list[tuple[float, Callable[[], None]]] = []
    call_at = Loop.call_at

    def note(loop: Loop, when: float, act: Callable[[], None]) -> Timer:
        due.append((when, act))
        return call_at(loop, when, act)

    monkeypatch.setattr(Loop, "call_at", note)
    monkeypatch.setattr(CgroupTree, "catch_up", lambda _tree: False)
    clock.cost = 3.0
    for _ in range(3):
        followed.catch_up()
    assert (1, 1) == (clock.looks, len(due))

    clock.now, look = due.pop()
    look()

    assert 2 == clock.looks


def test_one_that_is_known_costs_no_look(followed: Cgroups, clock: Clock, tmp_path: Path) -> None:
    """Nor one that the kernel has told of since."""
    (tmp_path / "new").mkdir()

    followed.look_for((tmp_path / "new").stat().st_ino)

    assert 0 == clock.looks
