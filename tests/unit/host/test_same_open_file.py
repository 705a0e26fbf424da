"""IdentityIndex: two descriptors are one entry exactly when they are one open file."""

import os
import random
from typing import NamedTuple

import pytest

from fdstorefs.host import identity, syscalls
from fdstorefs.host.identity import IdentityIndex
from tests.unit.host.conftest import Keep

DEV, INO = 1, 2


class Stored(NamedTuple):
    """A stored file."""

    descriptor: int
    device: int = DEV
    inode: int = INO


@pytest.fixture(params=["kcmp", "fcntl alone"])
def comparison(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, keep: Keep) -> str:
    """With the kernel's order, and where kcmp is forbidden (as it is in some containers)."""
    if request.param == "fcntl alone":
        monkeypatch.setattr(syscalls, "_SYS_KCMP", None)
        _skip_without_fcntl(keep(os.eventfd(0)))
    return str(request.param)


def _skip_without_fcntl(fd: int) -> None:
    try:
        syscalls.same_file_order(fd, fd)
    except OSError as error:
        pytest.skip(f"needs fcntl F_DUPFD_QUERY, Linux 6.10: {error}")


def test_a_copy_is_the_same_file(comparison: str, keep: Keep) -> None:
    """A duplicate is found, another eventfd of the same inode isn't."""
    index: IdentityIndex[Stored] = IdentityIndex()
    stored, other = keep(os.eventfd(0)), keep(os.eventfd(0))
    index.add(Stored(stored))

    assert index.find(keep(os.dup(stored)), DEV, INO) == Stored(stored)
    assert index.find(other, DEV, INO) is None


def test_the_same_path_opened_twice_is_two_files(comparison: str, keep: Keep) -> None:
    """One inode, two open files with an offset each: not the same."""
    index: IdentityIndex[Stored] = IdentityIndex()
    first, second = keep(os.open("/", os.O_RDONLY)), keep(os.open("/", os.O_RDONLY))
    index.add(Stored(first))

    assert index.find(second, DEV, INO) is None


def test_removed_files_are_not_found(comparison: str, keep: Keep) -> None:
    """After removal in any order, each remaining file is found and each removed one isn't."""
    index: IdentityIndex[Stored] = IdentityIndex()
    fds = [keep(os.eventfd(0)) for _ in range(40)]
    for fd in fds:
        index.add(Stored(fd))
    removed = set(random.Random(7).sample(fds, 20))
    for fd in removed:
        index.remove(Stored(fd))

    assert [None if fd in removed else Stored(fd) for fd in fds] == [index.find(fd, DEV, INO) for fd in fds]
    assert len(index) == 20


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_what_is_yet_to_be_sorted_is_found(
    comparison: str, keep: Keep, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """However much of it is sorted already, and what is added and removed meanwhile."""
    monkeypatch.setattr(identity, "SORTED_AT_ONCE", 8)
    index: IdentityIndex[Stored] = IdentityIndex()
    fds = [keep(os.eventfd(0)) for _ in range(20)]
    for fd in fds[:18]:
        index.add_unsorted(Stored(fd))
    more = [index.sort_some() for _ in range(rounds)]
    for fd in fds[18:]:
        index.add(Stored(fd))
    for fd in fds[::3]:
        index.remove(Stored(fd))

    expected = [None if place % 3 == 0 else Stored(fd) for place, fd in enumerate(fds)]
    assert expected == [index.find(keep(os.dup(fd)), DEV, INO) for fd in fds]
    assert {found for found in expected if found is not None} == set(index)
    assert (13, [True, True, False][:rounds]) == (len(index), more)


def test_what_has_an_inode_of_its_own_needs_no_sorting(keep: Keep) -> None:
    """Most files have."""
    index: IdentityIndex[Stored] = IdentityIndex()
    index.add_unsorted(Stored(keep(os.eventfd(0)), DEV, 1))
    index.add_unsorted(Stored(keep(os.eventfd(0)), DEV, 2))

    assert (False, 2) == (index.sort_some(), len(index))


def test_nothing_is_indexed_twice(comparison: str, keep: Keep) -> None:
    """The same open file a second time is an error."""
    index: IdentityIndex[Stored] = IdentityIndex()
    fd = keep(os.eventfd(0))
    index.add(Stored(fd))

    with pytest.raises(ValueError, match="indexed already"):
        index.add(Stored(keep(os.dup(fd))))


def test_what_was_never_added_cannot_be_removed(keep: Keep) -> None:
    """Removing an unknown file is an error."""
    with pytest.raises(KeyError):
        IdentityIndex[Stored]().remove(Stored(keep(os.eventfd(0))))


def test_a_full_bucket_costs_a_logarithm(monkeypatch: pytest.MonkeyPatch, keep: Keep) -> None:
    """Among 1,000 eventfds, which all have one inode, a look-up makes ten comparisons at most."""
    index: IdentityIndex[Stored] = IdentityIndex()
    fds = [keep(os.eventfd(0)) for _ in range(1000)]
    for fd in fds:
        index.add(Stored(fd))
    comparisons = 0
    order = syscalls.same_file_order

    def counted(a: int, b: int) -> int:
        nonlocal comparisons
        comparisons += 1
        return order(a, b)

    monkeypatch.setattr(syscalls, "same_file_order", counted)
    if order(fds[0], fds[1]) == syscalls.DIFFERENT_WITHOUT_ORDER:
        pytest.skip("needs kcmp: CONFIG_KCMP, and no seccomp filter against it")

    assert index.find(fds[500], DEV, INO) == Stored(fds[500])
    assert comparisons <= 10


def test_a_closed_descriptor_is_an_error(keep: Keep) -> None:
    """Asking about a descriptor that isn't open is an error, not `unknown`."""
    index: IdentityIndex[Stored] = IdentityIndex()
    index.add(Stored(keep(os.eventfd(0))))
    closed = os.eventfd(0)
    os.close(closed)

    with pytest.raises(OSError, match="bad file descriptor"):
        index.find(closed, DEV, INO)
