"""Handing a dump to another process: what arrives is what was sent, or both sides know that it is not."""

import errno
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

import pytest

from fdstorefs.client.dump import Lot
from fdstorefs.client.handing import DONE, END, GREETING, LOT, REFUSED, Handing, Lost
from fdstorefs.client.restoration import Restored
from fdstorefs.errors import Denied, EntryExists, Overloaded, ProtocolError, StoreError

Result = Any


class Shelf:
    """A taker that keeps what comes."""

    def __init__(self, refuses: StoreError | None = None, *, in_the_end: bool = False) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.texts: list[bytes] = []
        self.is_done = False
        self._refuses, self._in_the_end = refuses, in_the_end

    def add(self, lot: Lot) -> None:
        """Read each file."""
        if self._refuses is not None and not self._in_the_end:
            raise self._refuses
        self.nodes += lot.nodes
        self.texts += [os.pread(each, 100, 0) for each in lot.descriptors]

    def commit(self) -> Restored:
        """All is there."""
        if self._refuses is not None:
            raise self._refuses
        self.is_done = True
        return Restored(len(self.nodes), 0, len(self.texts))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection; afterwards no more is open than before."""
    before = set(os.listdir("/proc/self/fd"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs

    assert len(before) == len(os.listdir("/proc/self/fd"))


def lots(count: int, each: int = 3) -> Iterator[Lot]:
    """So many lots with so many files, which hold their names."""
    for number in range(count):
        nodes, files = [], []
        for index in range(each):
            name = f"{number}-{index}"
            files.append(os.memfd_create(name))
            os.write(files[-1], name.encode())
            nodes.append({"names": [name], "fileDescriptor": index, "\udcff": "ü"})
        yield Lot(nodes, files)


def both(give: Callable[[], Result], take: Callable[[], Result]) -> tuple[Result, Result]:
    """What both sides come to: a result or an error."""
    results: list[Result] = [None]

    def run() -> None:
        results[0] = outcome(take)

    thread = threading.Thread(target=run)
    thread.start()
    given = outcome(give)
    thread.join(20)
    return given, results[0]


def outcome(what: Callable[[], Result]) -> Result:
    """Its result, or its error."""
    try:
        return what()
    except (StoreError, OSError) as error:
        return error


def hand_over(pair: tuple[socket.socket, socket.socket], shelf: Shelf, given: Any) -> tuple[Result, Result]:
    """One end gives, the other takes, and each closes its own."""

    def give() -> Result:
        with pair[0]:
            return Handing(pair[0]).give(given)

    def take() -> Result:
        with pair[1]:
            return Handing(pair[1]).take(shelf)

    return both(give, take)


@pytest.mark.parametrize(("count", "each"), [(0, 0), (1, 1), (3, 253), (40, 3)])
def test_everything_arrives(pair: tuple[socket.socket, socket.socket], count: int, each: int) -> None:
    """Both sides know how much it was."""
    shelf = Shelf()
    given, taken = hand_over(pair, shelf, lots(count, each))
    expected = [f"{number}-{index}" for number in range(count) for index in range(each)]

    assert Restored(count * each, 0, count * each) == given == taken
    assert expected == [node["names"][0] for node in shelf.nodes] == [text.decode() for text in shelf.texts]


@pytest.mark.parametrize("in_the_end", [False, True])
def test_a_refusal_reaches_the_other_side(
    pair: tuple[socket.socket, socket.socket], in_the_end: bool
) -> None:
    """With the error, its name and its hint; however much was still to come."""
    error = EntryExists("`x` exists", name="x", hint="do something")
    given, taken = hand_over(pair, Shelf(error, in_the_end=in_the_end), lots(100))

    assert taken is error
    assert (EntryExists, "the other side: `x` exists", "x", "do something") == (
        type(given),
        given.message,
        given.name,
        given.hint,
    )


def test_a_source_that_fails_takes_everything_back(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing is stored, and the side that takes knows why."""

    def failing() -> Iterator[Lot]:
        yield from lots(2)
        raise Denied("may not retrieve `y`", name="y")

    shelf = Shelf()
    given, taken = hand_over(pair, shelf, failing())

    assert (Denied, Denied, False) == (type(given), type(taken), shelf.is_done)
    assert "the other side: may not retrieve `y`" == taken.message


def test_a_source_that_goes_away_has_given_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    """All of it was not there."""
    shelf = Shelf()
    frames = greeting() + frame(LOT, {"nodes": []})

    assert isinstance(taken_from(pair, shelf, frames), Lost)
    assert not shelf.is_done


@pytest.mark.parametrize("takes", [False, True])
def test_one_who_greets_and_goes_away_is_lost(pair: tuple[socket.socket, socket.socket], takes: bool) -> None:
    """Before it is greeted: what it has said until then is no answer."""
    with pair[1]:
        pair[1].sendall(greeting() + (frame(LOT, {"nodes": []}) if takes else b""))
    handing = Handing(pair[0])
    error = outcome(lambda: handing.take(Shelf()) if takes else handing.give(lots(1)))

    assert isinstance(error, Lost)


def test_the_last_words_of_one_who_goes_away_are_heard(pair: tuple[socket.socket, socket.socket]) -> None:
    """Why it refuses comes after what it has said before; the files among that are closed."""
    with pair[1]:
        pair[1].sendall(greeting())
        socket.send_fds(pair[1], [frame(LOT, {"nodes": []}, count=1)], [0])
        pair[1].sendall(frame(REFUSED, {"error": Denied.identifier, "message": "no"}))
    error = outcome(lambda: Handing(pair[0]).take(Shelf()))

    assert (Denied, "the other side: no") == (type(error), str(error.message))


def test_a_taker_that_goes_away_has_done_who_knows_what(pair: tuple[socket.socket, socket.socket]) -> None:
    """Whoever gives is told, and does not take it for done."""

    def vanish() -> None:
        with pair[1]:
            pair[1].sendall(greeting())
            pair[1].recv(1)

    given, _ = both(lambda: Handing(pair[0]).give(lots(50)), vanish)

    assert isinstance(given, Lost)


def test_one_who_does_nothing_is_not_awaited_for_ever(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is the patience of a terminal, not of a service."""
    error = outcome(lambda: Handing(pair[0], patience=0.01).give(lots(0)))

    assert isinstance(error, Lost)
    assert "does nothing" in str(error)


class Crowded:
    """A socket of a user who has too many descriptors under way, for so many times."""

    def __init__(self, connected: socket.socket, times: int) -> None:
        self._connected, self.times = connected, times

    def sendmsg(self, data: Any, ancillary: Any, flags: int) -> int:
        """Refuse, or send."""
        if ancillary and self.times:
            self.times -= 1
            raise OSError(errno.ETOOMANYREFS, "too many references")
        return self._connected.sendmsg(data, ancillary, flags)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connected, name)


def test_too_many_under_way_is_a_matter_of_time(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is tried again, and not sent twice."""
    shelf, crowded = Shelf(), Crowded(pair[0], 3)
    giving = Handing(crowded)  # type: ignore[arg-type]
    given, taken = both(lambda: giving.give(lots(2)), lambda: Handing(pair[1]).take(shelf))

    assert (Restored(6, 0, 6), 0) == (given, crowded.times)
    assert given == taken


def test_too_many_under_way_for_too_long_is_told_to_both(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing is stored."""
    shelf, giving = Shelf(), Handing(Crowded(pair[0], 10**9))  # type: ignore[arg-type]
    giving._patience = 0.0
    given, taken = both(lambda: giving.give(lots(2)), lambda: Handing(pair[1]).take(shelf))

    assert (Overloaded, Overloaded, False) == (type(given), type(taken), shelf.is_done)


def frame(
    kind: int, payload: Any, *, magic: bytes = b"fdsd", checksum: int | None = None, count: int = 0
) -> bytes:
    """One frame, right or wrong."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return (
        struct.pack(
            "!4sBBHII", magic, kind, count, 0, len(data), crc32(data) if checksum is None else checksum
        )
        + data
    )


def greeting(number: int = 1) -> bytes:
    """As each side begins."""
    return frame(GREETING, {"format": number})


def taken_from(pair: tuple[socket.socket, socket.socket], shelf: Shelf, data: bytes) -> Result:
    """What taking comes to, of these bytes and nothing more."""
    pair[0].sendall(data)
    pair[0].shutdown(socket.SHUT_WR)
    return outcome(lambda: Handing(pair[1]).take(shelf))


NOTHING = {"lots": 0, "nodes": 0, "descriptors": 0}
EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

NONSENSE = {
    "nothing": b"",
    "other words": b"GET / HTTP/1.1\r\n\r\n" + bytes(16),
    "another format": greeting(2),
    "no greeting": frame(LOT, {"nodes": []}),
    "another checksum": greeting() + frame(LOT, {"nodes": []}, checksum=1),
    "no JSON": greeting() + frame(LOT, b"{"),
    "no object": greeting() + frame(LOT, b"[]"),
    "no nodes": greeting() + frame(LOT, {}),
    "half a frame": greeting() + frame(LOT, {"nodes": []})[:-1],
    "a strange kind": greeting() + frame(77, {}),
    "done before it began": greeting() + frame(DONE, {"entries": 0, "boxes": 0, "files": 0}),
    "descriptors that are not there": greeting() + frame(LOT, {"nodes": []}, count=1),
    "fewer lots than counted": greeting() + frame(END, {**NOTHING, "lots": 1, "sha256": EMPTY_DIGEST}),
    "another sum": greeting() + frame(END, {**NOTHING, "sha256": "0"}),
    "too long": greeting() + struct.pack("!4sBBHII", b"fdsd", LOT, 0, 0, 1 << 31, 0),
    "a refusal": greeting() + frame(REFUSED, {"error": "Busy", "message": "no"}),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_restores_nothing(pair: tuple[socket.socket, socket.socket], nonsense: str) -> None:
    """It is an error, never a mistake of ours."""
    shelf = Shelf()

    assert isinstance(taken_from(pair, shelf, NONSENSE[nonsense]), StoreError)
    assert not shelf.is_done


def test_an_empty_dump_is_no_nonsense(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing is restored, well."""
    shelf = Shelf()
    end = greeting() + frame(END, {**NOTHING, "sha256": EMPTY_DIGEST})

    assert Restored(0, 0, 0) == taken_from(pair, shelf, end)
    assert shelf.is_done


def test_a_different_format_says_what_to_do(pair: tuple[socket.socket, socket.socket]) -> None:
    """The two versions are named."""
    error = taken_from(pair, Shelf(), greeting(2))

    assert isinstance(error, ProtocolError)
    assert "the other side speaks format 2, and this one format 1" == error.message
    assert "use the same version of fdstorefs on both sides" == error.hint
