"""What the server has sent is there when the next server starts, and is the same open file."""

import os
import select
import signal
from collections.abc import Iterator

import pytest

from fdstorefs.host.syscalls import pidfd_getfd
from tests.mount.keeper.conftest import StandIn, held_by
from tests.mount.waiting import wait_for


def some_files(count: int) -> list[int]:
    """Open files that nobody else has."""
    return [os.memfd_create(f"file-{number}") for number in range(count)]


@pytest.fixture
def files() -> Iterator[list[int]]:
    """Three of them."""
    made = some_files(3)
    yield made
    for each in made:
        os.close(each)


@pytest.mark.parametrize(
    "kills",
    [["server"], ["keeper"], ["keeper", "server"], ["server", "keeper"] * 3, ["keeper"] * 3 + ["server"]],
)
def test_it_survives_kill_9(stand_in: StandIn, files: list[int], kills: list[str]) -> None:
    """Of the server, of the keeper, and of both in turn."""
    stand_in.ask("keep", files, numbers=[1, 2, 1 << 40])
    for who in kills:
        stand_in.kill(who)

    assert [1, 2, 1 << 40] == stand_in.ask("who")["numbers"]
    assert [True] * 3 == [stand_in.is_same(n, fd) for n, fd in zip([1, 2, 1 << 40], files, strict=True)]
    assert kills.count("server") == stand_in.ask("who")["restarts"]


def test_what_was_sent_last_is_held(stand_in: StandIn, files: list[int]) -> None:
    """The server dies at once, while the keeper was asleep: what is in the queue is not lost."""
    before = stand_in.ask("who")["server"]
    stand_in.ask("die_after_keeping", [files[0]], number=9)
    wait_for(lambda: (now := stand_in._who_but("server", before)) and now["numbers"] == [9])

    assert stand_in.is_same(9, files[0])


def test_many_are_handed_over(stand_in: StandIn) -> None:
    """More than fit into a message, or into several."""
    files = some_files(1500)
    for start in range(0, 1500, 250):
        lot = slice(start, start + 250)
        stand_in.ask("keep", files[lot], numbers=list(range(1, 1501))[lot])
    stand_in.kill("keeper")
    stand_in.kill("server")

    assert list(range(1, 1501)) == stand_in.ask("who")["numbers"]
    assert [True] * 4 == [stand_in.is_same(n, files[n - 1]) for n in (1, 700, 1111, 1500)]
    for each in files:
        os.close(each)


@pytest.mark.parametrize("slow", [False, True])
def test_what_is_dropped_is_closed(stand_in: StandIn, files: list[int], slow: bool) -> None:
    """By the keeper as well: the other end of a pipe notices."""
    reading, writing = os.pipe()
    stand_in.ask("keep", [writing, files[0]], numbers=[1, 2])
    os.close(writing)
    stand_in.ask("drop", numbers=[1], slow=slow)

    assert b"" == os.read(reading, 1)
    stand_in.kill("server")
    assert [2] == stand_in.ask("who")["numbers"]


def test_journal_and_note_are_held(stand_in: StandIn) -> None:
    """The latest of each, whoever is killed."""
    for text in (b"old", b"new"):
        journal = os.memfd_create("journal")
        os.write(journal, text)
        stand_in.ask("journal", [journal])
    stand_in.ask("note", device=7)
    stand_in.ask("note", method="mount")
    for who in ("keeper", "server", "server"):
        stand_in.kill(who)

    now = stand_in.ask("who")
    assert ("new", {"device": 7, "method": "mount"}) == (now["journal"], now["note"])


def test_without_a_spare_a_keeper_is_started(stand_in: StandIn, files: list[int]) -> None:
    """It begins with nothing, gets everything, and can start servers."""
    stand_in.ask("keep", files, numbers=[1, 2, 3])
    kill_the_spare(stand_in)
    stand_in.kill("keeper")
    now = stand_in.kill("server")

    assert [1, 2, 3] == now["numbers"]
    assert [True] * 3 == [stand_in.is_same(n, fd) for n, fd in zip([1, 2, 3], files, strict=True)]


@pytest.mark.parametrize("ends", [False, True], ids=["it does nothing", "it ends while it is waited for"])
def test_a_spare_that_does_not_say_that_it_keeps_is_passed_over(
    stand_in: StandIn, files: list[int], ends: bool
) -> None:
    """It is no more, and a keeper is started that does: what is sent to it is held, and it has a spare itself."""
    stand_in.ask("keep", files, numbers=[1, 2, 3])
    before = stand_in.ask("who")
    spare = before["spare"] or wait_for(lambda: stand_in.ask("who")["spare"])
    os.kill(spare, signal.SIGSTOP)
    os.kill(before["keeper"], signal.SIGKILL)
    if ends:
        os.kill(spare, signal.SIGKILL)
    now = wait_for(lambda: stand_in._who_but("keeper", before["keeper"]))

    assert now["keeper"] not in (before["keeper"], spare)
    wait_for(lambda: not os.path.exists(f"/proc/{spare}"), what="the spare's end")
    another = wait_for(lambda: stand_in.ask("who")["spare"])
    assert [1, 2, 3] == stand_in.kill("server")["numbers"]
    assert another == stand_in.kill("keeper")["keeper"]
    assert [1, 2, 3] == stand_in.kill("server")["numbers"]
    assert [True] * 3 == [stand_in.is_same(n, fd) for n, fd in zip([1, 2, 3], files, strict=True)]


def test_its_end_is_noticed_though_another_has_its_end_of_the_line(
    stand_in: StandIn, files: list[int]
) -> None:
    """As a spare that is being forked does until it is scheduled."""
    stand_in.ask("keep", files, numbers=[1, 2, 3])
    copies = sockets_of(stand_in.ask("who")["keeper"])
    try:
        stand_in.kill("keeper")
        assert [1, 2, 3] == stand_in.kill("server")["numbers"]
    finally:
        for each in copies:
            os.close(each)


def test_a_spare_of_one_that_was_started_late_holds_nothing(stand_in: StandIn, files: list[int]) -> None:
    """What its keeper has by then it lets go of."""
    stand_in.ask("keep", files, numbers=[1, 2, 3])
    reading, writing = os.pipe()
    stand_in.ask("keep", [writing], numbers=[4])
    os.close(writing)
    kill_the_spare(stand_in)
    stand_in.kill("keeper")
    wait_for(lambda: stand_in.ask("who")["spare"])
    stand_in.ask("drop", numbers=[4])

    assert b"" == os.read(reading, 1)
    os.close(reading)


def kill_the_spare(stand_in: StandIn) -> None:
    """And wait for its end."""
    spare = wait_for(lambda: stand_in.ask("who")["spare"])
    dead = select.poll()
    dead.register(pidfd := os.pidfd_open(spare), select.POLLIN)
    os.kill(spare, signal.SIGKILL)
    assert dead.poll(10_000)
    os.close(pidfd)


def test_nothing_piles_up(stand_in: StandIn, files: list[int]) -> None:
    """Restarts cost no descriptor, neither in the keeper nor in the server."""
    stand_in.ask("keep", files, numbers=[1, 2, 3])

    def kill_all() -> None:
        for who in ("server", "keeper", "server"):
            stand_in.kill(who)
        wait_for(lambda: stand_in.ask("who")["spare"])

    def descriptors() -> int:
        now = stand_in.ask("who")
        return held_by(now["keeper"]) + held_by(now["server"])

    kill_all()
    before = descriptors()
    for _ in range(4):
        kill_all()

    # One connection may be about to be closed.
    assert descriptors() <= before + 1


def test_there_is_no_end_of_successors(stand_in: StandIn, files: list[int]) -> None:
    """Each keeper that was a spare has a spare, and the hundredth begins as the first."""
    stand_in.ask("keep", files, numbers=[1, 2, 3])
    depths = {stand_in.kill("server")["depth"]}
    for _ in range(3):
        wait_for(lambda: stand_in.ask("who")["spare"])
        stand_in.kill("keeper")
        wait_for(lambda: stand_in.ask("who")["spare"])
        depths.add(stand_in.kill("server")["depth"])

    assert 1 == len(depths)


def test_what_is_settled_reaches_the_keeper(stand_in: StandIn) -> None:
    """What it becomes when it is guarded, its servers are from their start."""
    before = stand_in.kill("server")["is_guarded"]
    stand_in.ask("settle", guarded=True)

    assert (False, True) == (before, stand_in.kill("server")["is_guarded"])


def test_the_spare_is_forked_once(stand_in: StandIn) -> None:
    """By when it is settled what the keeper is, and before there is anything that it would have to let go of."""
    spare = wait_for(lambda: stand_in.ask("who")["spare"])
    stand_in.ask("settle", guarded=True)
    stand_in.kill("server")

    assert spare == wait_for(lambda: stand_in.ask("who")["spare"])
    assert held_by(spare) < held_by(stand_in.ask("who")["keeper"])


def sockets_of(pid: int) -> list[int]:
    """Copies of all that a process has."""
    pidfd = os.pidfd_open(pid)
    numbers = [int(name) for name in os.listdir(f"/proc/{pid}/fd")]
    sockets = [each for each in numbers if os.readlink(f"/proc/{pid}/fd/{each}").startswith("socket:")]
    copies = [pidfd_getfd(pidfd, each) for each in sockets]
    os.close(pidfd)
    return copies
