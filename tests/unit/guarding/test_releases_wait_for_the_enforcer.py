"""What is released while the enforcer is away: descriptors wait for a while, numbers of entries until it is back."""

import os
from collections.abc import Iterator, Sequence

import pytest

from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.guarding import releases as module
from fdstorefs.server.guarding.releases import MOST_WAITING, Releases
from fdstorefs.server.loop import Loop

Told = list[tuple[int, list[int]]]


class Waiting:
    """Releases, and a file to release."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.descriptors = Descriptors()
        self.probe, self.file = os.eventfd(0), os.memfd_create("file")
        self.releases = Releases(self.loop, self.descriptors, self.probe)

    def tell(self) -> Told:
        """What the enforcer is told: inode numbers of open files, and entries."""
        told: Told = []
        self.releases.tell(lambda fd, entries: told.append((os.fstat(fd).st_ino, list(entries))))
        return told


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """For nobody yet."""
    made = Waiting()
    yield made
    made.releases.give_up()
    made.descriptors.drain(1)
    made.loop.close()
    os.close(made.probe)
    os.close(made.file)


def test_descriptors_and_entries_are_told_together(waiting: Waiting) -> None:
    """Once."""
    waiting.releases.add(waiting.file, [5, 6])

    assert [(os.fstat(waiting.file).st_ino, [5, 6])] == waiting.tell()
    assert [] == waiting.tell()
    assert 0 == waiting.descriptors.open_count


def test_entries_outlast_their_descriptors(waiting: Waiting) -> None:
    """When too many wait, and when they have waited too long."""
    for number in range(MOST_WAITING + 2):
        waiting.releases.add(waiting.file, [number])
    waiting.releases.give_up()
    ((inode, entries),) = waiting.tell()

    assert (os.fstat(waiting.probe).st_ino, [*range(MOST_WAITING + 2)]) == (inode, sorted(entries))
    assert [] == waiting.tell()


def test_many_are_told_in_several_messages(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one does not get through, what is left goes on waiting."""
    monkeypatch.setattr(module, "ENTRIES_AT_ONCE", 3)
    waiting.releases.add(waiting.file, range(8))
    waiting.releases.give_up()
    got: list[int] = []
    outcomes = iter([True, False])

    def release(_descriptor: int, entries: Sequence[int]) -> None:
        if not next(outcomes):
            raise TimeoutError
        got.extend(entries)

    with pytest.raises(TimeoutError):
        waiting.releases.tell(release)
    rest = waiting.tell()

    assert [3, 2] == [len(entries) for _, entries in rest]
    assert [*range(8)] == sorted([*got, *(number for _, entries in rest for number in entries)])
