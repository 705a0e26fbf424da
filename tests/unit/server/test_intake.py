"""Intake: a descriptor becomes an open file of the store, or is closed; there is nothing between."""

import os
from collections.abc import Iterator

import pytest

from fdstorefs.errors import Loop, QuotaExceeded
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server.intake import Intake


@pytest.fixture
def descriptors() -> Descriptors:
    """The server's descriptors."""
    return Descriptors()


@pytest.fixture
def intake(descriptors: Descriptors) -> Intake:
    """An intake with room for many."""
    return Intake(descriptors, RecursionGuard(None, os.getpid(), descriptors), limit=1024)


@pytest.fixture(autouse=True)
def nothing_leaks(descriptors: Descriptors) -> Iterator[None]:
    """Whatever a test does, the server owns no descriptor at its end."""
    yield
    assert descriptors.drain(5) == 0
    assert descriptors.open_count == 0


def is_open(descriptor: int) -> bool:
    """Whether a number is an open descriptor."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_second_copy_is_the_same_file_and_is_closed(intake: Intake) -> None:
    """However it comes in, one open file description is one open file."""
    first = os.memfd_create("x")
    copy = os.dup(first)
    file = intake.accept(first).hold()

    assert intake.accept(copy) is file
    assert (intake.files, is_open(copy)) == (1, False)
    file.drop()
    assert (intake.files, is_open(first)) == (0, False)


def test_the_same_number_again_is_another_file_once_it_was_closed(intake: Intake) -> None:
    """The kernel gives numbers out again; the store must not take the new file for the old one."""
    for content in (b"one", b"two"):
        descriptor = os.memfd_create("x")
        os.write(descriptor, content)
        file = intake.accept(descriptor).hold()

        assert os.pread(file.descriptor, 9, 0) == content
        file.drop()


def test_a_file_that_nobody_came_to_hold_is_given_back(intake: Intake) -> None:
    """After a refusal further on."""
    file = intake.accept(os.memfd_create("x"))
    intake.reject(file)

    assert (intake.files, is_open(file.descriptor)) == (0, False)


def test_rejecting_a_copy_leaves_the_stored_file_alone(intake: Intake) -> None:
    """The refused stash of a file that is stored already closes nothing but the copy."""
    file = intake.accept(os.memfd_create("x")).hold()
    intake.reject(intake.accept(os.dup(file.descriptor)))

    assert (intake.files, is_open(file.descriptor)) == (1, True)
    file.drop()


def test_what_would_be_a_loop_is_refused_and_closed(descriptors: Descriptors) -> None:
    """A file on the store's own device."""
    descriptor = os.memfd_create("x")
    intake = Intake(descriptors, RecursionGuard(os.fstat(descriptor).st_dev, os.getpid(), descriptors), 1024)

    with pytest.raises(Loop):
        intake.accept(descriptor)
    assert not is_open(descriptor)


def test_at_the_limit_one_more_is_refused_with_the_number(descriptors: Descriptors) -> None:
    """EDQUOT says how many there are; what is stored already still goes in, for it takes no room."""
    intake = Intake(descriptors, RecursionGuard(None, os.getpid(), descriptors), limit=66)
    files = [intake.accept(os.memfd_create("x")).hold() for _ in range(intake.capacity)]

    with pytest.raises(QuotaExceeded, match="holds 2 open files"):
        intake.accept(os.memfd_create("one more"))
    assert intake.accept(os.dup(files[0].descriptor)) is files[0]
    for file in files:
        file.drop()


def test_a_descriptor_that_is_not_open_changes_nothing(intake: Intake) -> None:
    """A mistake of the server's own shows as EBADF."""
    closed = os.memfd_create("x")
    os.close(closed)

    with pytest.raises(OSError, match=r"[Bb]ad file descriptor"):
        intake.accept(closed)
    assert intake.files == 0


@pytest.mark.parametrize(
    ("limit", "capacity"), [(40, 0), (256, 192), (1024, 896), (20_000, 17_500), (10**6, 996_416)]
)
def test_enough_is_kept_back_for_everything_else(descriptors: Descriptors, limit: int, capacity: int) -> None:
    """A store that is full can still talk to its clients."""
    assert Intake(descriptors, RecursionGuard(None, 1, descriptors), limit).capacity == capacity
