"""Intake: a descriptor becomes an open file of the store, or is closed; there is nothing between."""

import os
from collections.abc import Iterator

import pytest

from fdstorefs.core.node import Opener
from fdstorefs.errors import Loop, QuotaExceeded
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server.budget import budget
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
    intake = Intake(descriptors, RecursionGuard(None, os.getpid(), descriptors), limit=363)
    files = [intake.accept(os.memfd_create("x")).hold() for _ in range(intake.capacity)]

    with pytest.raises(QuotaExceeded, match="holds 6 open files: its descriptor limit of 363 allows 6"):
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


class Stuck(Descriptors):
    """Descriptors of which many are still to be closed: of user 1 as many as are set, and all of them stuck."""

    of_one = 0

    @property
    def pending(self) -> int:
        """All of them, and three more."""
        return self.of_one + 3

    def stuck(self, sender: int | None) -> int:
        """Only those of user 1."""
        return self.of_one if sender == 1 else 0


def test_what_is_still_being_closed_takes_room(descriptors: Descriptors) -> None:
    """Its descriptors are open until then."""
    stuck = Stuck()
    intake = Intake(stuck, RecursionGuard(None, os.getpid(), descriptors), limit=363)
    files = [intake.accept(os.memfd_create("x"), 2).hold() for _ in range(3)]

    with pytest.raises(QuotaExceeded, match="holds 3 open files, and 3 are still being closed"):
        intake.accept(os.memfd_create("one more"), 2)
    for file in files:
        file.drop()


def test_who_has_too_much_that_cannot_be_closed_stashes_no_more(descriptors: Descriptors) -> None:
    """And others do."""
    stuck = Stuck()
    intake = Intake(stuck, RecursionGuard(None, os.getpid(), descriptors), limit=4096)
    stuck.of_one = budget(4096).unclosed_of_one

    with pytest.raises(
        QuotaExceeded, match=f"{stuck.of_one} descriptors that uid 1 has stashed cannot be closed"
    ):
        intake.accept(os.memfd_create("one more"), 1)
    intake.accept(os.memfd_create("another's"), 2).hold().drop()


def test_it_is_known_who_brought_a_file(intake: Intake) -> None:
    """The first one who did; what it costs is his."""
    file = intake.accept(os.memfd_create("x"), 7).hold()
    intake.accept(os.dup(file.descriptor), 8)

    assert 7 == file.sender
    file.drop()


def told_of_unkept(intake: Intake) -> list[int]:
    """The inode numbers of what comes and is not kept, from now on."""
    unkept: list[int] = []
    intake.unkept = lambda descriptor: unkept.append(os.fstat(descriptor).st_ino)
    return unkept


def test_what_is_not_kept_is_told_while_it_is_still_open(intake: Intake) -> None:
    """Rejected, unwanted, or let go of before anybody was asked to guard it."""
    unkept = told_of_unkept(intake)
    descriptors = [os.memfd_create("x") for _ in range(3)]
    expected = [os.fstat(descriptor).st_ino for descriptor in descriptors]
    intake.reject(intake.accept(descriptors[0]))
    intake.discard_stray(descriptors[1])
    intake.accept(descriptors[2]).hold().drop()

    assert expected == unkept


def test_a_copy_of_what_is_kept_is_kept(intake: Intake) -> None:
    """It is the same open file that would be let go of."""
    unkept = told_of_unkept(intake)
    file = intake.accept(os.memfd_create("x")).hold()
    intake.discard_stray(os.dup(file.descriptor))
    intake.reject(intake.accept(os.dup(file.descriptor)))

    assert [] == unkept
    file.drop()


def test_what_the_store_cannot_take_is_not_kept(descriptors: Descriptors) -> None:
    """For want of room, or because it is a file of the store itself."""
    full = Intake(descriptors, RecursionGuard(None, os.getpid(), descriptors), limit=64)
    unkept = told_of_unkept(full)
    with pytest.raises(QuotaExceeded):
        full.accept(os.memfd_create("one more"))
    own = os.memfd_create("own")
    looped = Intake(descriptors, RecursionGuard(os.fstat(own).st_dev, os.getpid(), descriptors), 1024)
    looped.unkept = full.unkept
    with pytest.raises(Loop):
        looped.accept(own)

    assert 2 == len(unkept)


def test_what_somebody_was_asked_to_guard_is_his_to_let_go_of(intake: Intake) -> None:
    """Whoever knows its opener has been told of it otherwise."""
    unkept = told_of_unkept(intake)
    file = intake.accept(os.memfd_create("x")).hold()
    file.opener = Opener(0, 0, 0, (1,))
    file.drop()

    assert [] == unkept


def test_a_further_copy_of_what_is_kept_unguarded_is_told(intake: Intake) -> None:
    """The kernel has withheld the file from everybody when it came again, stashed or not."""
    unkept = told_of_unkept(intake)
    file = intake.accept(os.memfd_create("x")).hold()
    file.opener, file.unguarded = Opener(0, 0, 0, (1,)), "authority"
    inode = os.fstat(file.descriptor).st_ino
    intake.discard_stray(os.dup(file.descriptor))
    intake.reject(intake.accept(os.dup(file.descriptor)))

    assert [inode, inode] == unkept
    file.drop()
