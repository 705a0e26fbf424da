"""What systemd is told to keep, and what came back from it when the unit was started again."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdstorefs.keeper import started_again, unit_store
from fdstorefs.keeper.holding import Holding
from fdstorefs.keeper.started_again import Passed, passed, take_up
from fdstorefs.keeper.unit_record import NUMBER, Record, Unreadable
from fdstorefs.keeper.unit_store import Busy, UnitStore, journal_name, name_of, number_of


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """Its socket, which nobody reads but the test."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        yield listening


@pytest.fixture
def store(systemd: socket.socket) -> Iterator[UnitStore]:
    """Ours."""
    made = UnitStore(systemd.getsockname())
    yield made
    made.close()


def heard(systemd: socket.socket) -> list[str]:
    """All messages so far; their descriptors are closed."""
    systemd.setblocking(False)
    found = []
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(systemd, 4096, 4)
        except BlockingIOError:
            return found
        for descriptor in descriptors:
            os.close(descriptor)
        found.append(message.decode().replace("\n", " "))


def memfd() -> int:
    """A new one."""
    return os.memfd_create("x")


@pytest.mark.parametrize("number", [0, 1, 10**9, (1 << 62) + 5])
def test_names_tell_numbers(number: int) -> None:
    """There and back."""
    assert number == number_of(name_of(number))


@pytest.mark.parametrize(
    "name", ["fdstorefs-", "fdstorefs-record", "fdstorefs-journal-7", "http", "7", "fdstorefs--1"]
)
def test_other_names_tell_none(name: str) -> None:
    """Ours or not."""
    assert number_of(name) is None


def test_six_thousand_names_fit() -> None:
    """As the units have it: into one variable of the environment, even after a thousand million stashes."""
    names = [name_of(10**9 + number) for number in range(6000)]

    assert len(":".join(names)) < unit_store.MOST_NAME_BYTES


def test_a_stash_of_several_is_one_round(systemd: socket.socket, store: UnitStore) -> None:
    """And refused if that is not done in time; then what was sent is taken back."""
    files = [memfd(), memfd()]
    with pytest.raises(Busy):
        store.store(zip(("fdstorefs-1", "fdstorefs-2"), files, strict=True), 0.0)

    assert [
        "FDSTORE=1 FDNAME=fdstorefs-1 FDPOLL=0",
        "FDSTORE=1 FDNAME=fdstorefs-2 FDPOLL=0",
        "BARRIER=1",
        "FDSTOREREMOVE=1 FDNAME=fdstorefs-1",
        "FDSTOREREMOVE=1 FDNAME=fdstorefs-2",
    ] == heard(systemd)
    for file in files:
        os.close(file)


def test_one_that_is_stuck_is_not_waited_for_again(systemd: socket.socket, store: UnitStore) -> None:
    """Until it has done what it was told before."""
    file = memfd()
    for _ in range(2):
        with pytest.raises(Busy):
            store.store([("fdstorefs-1", file)], 0.0)
    sent = heard(systemd)
    with pytest.raises(Busy, match="in time"):
        store.store([("fdstorefs-1", file)], 0.0)

    assert [
        "FDSTORE=1 FDNAME=fdstorefs-1 FDPOLL=0",
        "BARRIER=1",
        "FDSTOREREMOVE=1 FDNAME=fdstorefs-1",
    ] == sent
    os.close(file)


def test_what_had_no_room_goes_first(systemd: socket.socket, store: UnitStore) -> None:
    """Messages keep their order, however full the queue was."""
    names = [f"fdstorefs-{number}" for number in range(2000)]
    store.remove(names)
    found = []
    while not store.send():
        found += heard(systemd)
    found += heard(systemd)

    assert [f"FDSTOREREMOVE=1 FDNAME={name}" for name in names] == found


def test_a_record_says_what_was_written_last() -> None:
    """To whoever has the descriptor."""
    record = Record.create(journal=1, note={})
    record.write(journal=2)

    assert {"journal": 2, "note": {}, "version": 1} == Record.read(record.fd).told
    os.close(record.fd)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"version": 2}', b"\xff"])
def test_what_is_no_record_is_noticed(text: bytes) -> None:
    """Another version's, too."""
    descriptor = memfd()
    os.pwrite(descriptor, text, 0)
    with pytest.raises(Unreadable):
        Record.read(descriptor)

    os.close(descriptor)


def test_what_is_for_another_process_is_not_looked_at() -> None:
    """As sd_listen_fds(3) has it."""
    assert Passed({}, 0, 0) == passed({"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "fdstorefs-1"})


def kept(journals: int = 1, **told: object) -> dict[str, int]:
    """What systemd passes: a record, journals of which the first is the one, two files and a name nobody knows."""
    made = [memfd() for _ in range(journals)]
    facts = {"restarts": 3, "note": {"device": 5}, "journal": os.fstat(made[0]).st_ino, "others": []}
    record = Record.create(**{**facts, "ended": None, "over": False, **told})
    files = {name_of(1): memfd(), name_of(7): memfd(), "fdstorefs-what": memfd()}
    return {unit_store.RECORD: record.fd, **{journal_name(each): each for each in made}, **files}


def test_it_is_held(systemd: socket.socket, store: UnitStore) -> None:
    """By number; what has no use is removed, the journal that is not the one too."""
    came, holding = kept(journals=2), Holding()
    journal, other = (name for name in came if "journal" in name)
    expected = {1: came[name_of(1)], 7: came[name_of(7)], NUMBER: came[unit_store.RECORD]}, came[journal]
    life = take_up(came, holding, _Answered(store, systemd), 12.5)

    assert life is not None
    assert expected == (holding.files, holding.journal)
    assert (4, 12.5, {"device": 5}) == (life.restarts, life.died, holding.note)
    assert {"fdstorefs-what", other} == _removed(_Answered.heard)
    holding.close()


def test_of_two_with_one_name_none_is_used(
    systemd: socket.socket, store: UnitStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows which is the one; it is said, and both go."""
    came, holding = kept(), Holding()
    twice = [(name_of(3), memfd()), (name_of(3), memfd())]
    assert take_up(came, holding, _Answered(store, systemd), 0.0, twice) is not None

    assert {1, 7, NUMBER} == set(holding.files)
    assert name_of(3) in _removed(_Answered.heard)
    assert "several descriptors named `fdstorefs-3`: none is used" in capsys.readouterr().err
    for _, descriptor in twice:
        with pytest.raises(OSError, match=r"[Bb]ad file descriptor"):
            os.fstat(descriptor)
    holding.close()


def test_two_records_are_an_error(systemd: socket.socket, store: UnitStore) -> None:
    """Everything stays as it is."""
    came, holding = kept(), Holding()
    twice = [(unit_store.RECORD, came.pop(unit_store.RECORD)), (unit_store.RECORD, memfd())]
    with pytest.raises(Unreadable, match="several descriptors of the instance that are named"):
        take_up(came, holding, store, 0.0, twice)

    assert ({}, []) == (holding.files, heard(systemd))
    for descriptor in (*came.values(), *(each for _, each in twice)):
        os.close(descriptor)


def test_names_that_come_twice_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among all that systemd passes."""
    first = 200
    monkeypatch.setattr(started_again, "_FIRST", first)
    for number in range(3):
        made = memfd()
        os.dup2(made, first + number)
        os.close(made)
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3"}
    came = passed(environment | {"LISTEN_FDNAMES": "fdstorefs-1:fdstorefs-2:fdstorefs-1"})

    assert {"fdstorefs-2": first + 1} == came.ours
    assert [("fdstorefs-1", first), ("fdstorefs-1", first + 2)] == came.twice
    for number in range(3):
        os.close(first + number)


@pytest.mark.parametrize("over", [True, False], ids=["over", "without its journal"])
def test_an_instance_that_has_ended_is_not_taken_up(
    systemd: socket.socket, store: UnitStore, over: bool
) -> None:
    """All that is left of it goes."""
    came, holding = kept(over=over), Holding()
    if not over:
        os.close(came.pop(next(name for name in came if "journal" in name)))
    names = set(came)

    assert take_up(came, holding, _Answered(store, systemd), 0.0) is None
    assert {} == holding.files
    assert names == _removed(_Answered.heard)


def _removed(messages: list[str]) -> set[str]:
    return {text.partition("FDNAME=")[2] for text in messages if text.startswith("FDSTOREREMOVE=1")}


class _Answered(UnitStore):
    """One whose systemd answers at once."""

    heard: list[str]

    def __init__(self, store: UnitStore, systemd: socket.socket) -> None:
        self.__dict__.update(store.__dict__)
        self._systemd = systemd

    def finish(self, patience: float) -> bool:
        self.send()
        type(self).heard = heard(self._systemd)
        return True
