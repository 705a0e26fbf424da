"""A journal that has grown long is written anew, a little at a time, and is never longer than it has to be."""

import faulthandler
import os
import resource
import signal
from collections.abc import Iterator
from unittest import mock

import pytest

from fdstorefs.core.node import Stasher
from fdstorefs.core.restoring import Arriving
from fdstorefs.errors import Overloaded, QuotaExceeded
from fdstorefs.host.user_namespaces import HeldChain, HeldNamespace
from fdstorefs.server.keeping import keeping
from fdstorefs.server.keeping.frames import OVERHEAD
from fdstorefs.server.keeping.keeping import COUNTERS, NAME_ROOM, read
from fdstorefs.server.keeping.memory import STEP, JournalMemory, read_memory
from fdstorefs.server.keeping.namespaces import FIRST_NUMBER
from tests.unit.keeping.lives import Kept, NextLife, picture

SMALL = 2000


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A store with a journal that is soon too long."""
    with mock.patch.object(keeping, "SLACK", SMALL):
        kept = Kept()
        kept.keeping._compact_at = SMALL
        yield kept
        kept.end()


def change(kept: Kept, times: int) -> None:
    """Change something."""
    kept.do("stash", "a", 0)
    for _ in range(times):
        kept.do("set mode", "a")


def same_after_a_crash(kept: Kept) -> bool:
    """Whether a server that went on now would have the same."""
    after = NextLife(read_memory(kept.holding.memory), kept.holding.copies())
    same = picture(kept.store) == picture(after.life.store)
    after.end()
    return same


def test_it_is_written_when_there_is_nothing_else_to_do(kept: Kept) -> None:
    """Until then the old one counts; what changes meanwhile is in both."""
    change(kept, 12)
    former, end = kept.keeping_end
    assert len(kept.life.idle) == 1

    kept.do("stash", "b", 1)
    assert kept.keeping_end[0] == former
    while kept.life.idle:
        kept.do("idle")
    now, shorter = kept.keeping_end
    assert (True, True) == (now != former, shorter < end)
    assert same_after_a_crash(kept)


def test_it_grows_to_little_more_than_twice_the_state(kept: Kept) -> None:
    """However long it is in use."""
    longest = 0
    for _ in range(20):
        change(kept, 10)
        while kept.life.idle:
            kept.do("idle")
        longest = max(longest, kept.keeping_end[1])

    assert longest < 2 * SMALL + 10 * 300


def test_a_server_that_never_rests_writes_it_all_the_same(kept: Kept) -> None:
    """Some of it with each change, once it is overdue."""
    names = [f"n{number}" for number in range(100)]
    for name in names:
        kept.do("make box", name)
    written = kept.keeping_end
    longest = 0
    for number in range(600):
        kept.do("set mode", names[number % len(names)])
        longest = max(longest, kept.keeping_end[1])

    assert written[0] != kept.keeping_end[0]
    assert longest < 4 * written[1]
    assert len(kept.life.idle) == 1
    assert same_after_a_crash(kept)


def test_lives_that_are_too_short_to_write_it_do_not_add_up(kept: Kept) -> None:
    """However often a server dies before it had the time: the next one goes on with a journal that is overdue."""
    names = [f"n{number}" for number in range(100)]
    for name in names:
        kept.do("make box", name)
    data, held = read_memory(kept.holding.memory), kept.holding.copies()
    first, lengths = kept.keeping_end[1], []
    for _ in range(40):
        life = NextLife(data, {number: os.dup(fd) for number, fd in held.items()})
        for name in names[:20]:
            node = life.life.store.locate(kept.person.subject, name).node
            assert node is not None
            life.life.store.set_mode(kept.person.subject, node, 0o600)
        data = read_memory(life.keeping.journal_fd)
        lengths.append(life.keeping._memory.end)
        life.end()
    for fd in held.values():
        os.close(fd)

    assert max(lengths) < 4 * first


def test_a_keeper_that_is_busy_gets_it_later(kept: Kept) -> None:
    """The old one stays, and is whole."""
    change(kept, 40)
    kept.do("refuse", True)
    former = kept.keeping_end[0]
    while kept.life.idle:
        kept.do("idle")
    assert former == kept.keeping_end[0]
    assert same_after_a_crash(kept)

    kept.do("refuse", False)
    change(kept, 40)
    while kept.life.idle:
        kept.do("idle")
    assert former != kept.keeping_end[0]
    assert same_after_a_crash(kept)


def test_room_that_was_not_needed_is_given_back(kept: Kept) -> None:
    """However much was made sure of."""
    kept.keeping.prepare(2_000)
    kept.do("stash", "a", 0)
    while kept.life.idle:
        kept.do("idle")

    assert os.fstat(kept.keeping.journal_fd).st_size <= 2 * STEP
    assert same_after_a_crash(kept)


MANY = 300
NAMES = [("\udcff" * 200 + str(number), "\U0001f600" * 40) for number in range(MANY)]


def test_a_restore_reserves_what_it_takes(kept: Kept) -> None:
    """As much as its names need, whatever they are made of, and not what names could need."""
    kept.person.stasher = Stasher(1, 1000, 1000, "\udcff" * 15, (1 << 31,) * 33, 1 << 40)
    number = kept.store.tree.next_ino()
    arriving = [
        Arriving([name], False, number + place, 1, 2, 0o7777, 9, 9, label=label, expires=1 << 62)
        for place, (name, label) in enumerate(NAMES)
    ]
    room: list[int] = []
    append = JournalMemory.append

    def noting(memory: JournalMemory, kind: int, payload: bytes) -> None:
        room.append(memory.unused - len(payload))
        append(memory, kind, payload)

    former = kept.keeping._memory.unused
    with mock.patch.object(JournalMemory, "append", noting):
        kept.store.restore(kept.person.subject, arriving, kept.person.stasher)

    assert room[0] >= OVERHEAD
    assert room[0] - former < MANY * 2500
    assert same_after_a_crash(kept)


def test_few_short_names_take_little(kept: Kept) -> None:
    """Not a fifth of what that many of the longest would."""
    former = kept.keeping._memory._room
    kept.keeping.prepare(1, (), Stasher(1, 1000, 1000, "x"), ["short"] * 20_000)

    assert kept.keeping._memory._room - former < 20_000 * NAME_ROOM // 5


def test_facts_are_in_the_new_one(kept: Kept) -> None:
    """Those that are remembered while it is written, too."""
    kept.keeping.remember(started=5)
    change(kept, 40)
    kept.keeping.remember(more=6)
    while kept.life.idle:
        kept.do("idle")

    assert {"started": 5, "more": 6} == read(kept.holding.memory).facts


@pytest.fixture
def no_more_memory(kept: Kept) -> Iterator[None]:
    """A journal can't grow, a memfd's size being limited as that of any file, and is not written anew."""
    kept.keeping.hold_still()
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = os.fstat(kept.keeping.journal_fd).st_size
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, former)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("no_more_memory")
def test_without_memory_an_operation_is_refused(kept: Kept) -> None:
    """Before anything has changed; and it may be tried again."""
    with pytest.raises(QuotaExceeded, match="there is no memory for what is to be kept of it"):
        change(kept, 1000)
    before = picture(kept.store)

    with pytest.raises(QuotaExceeded):
        kept.do("stash two", "b", "c", 1, 2)
    assert before == picture(kept.store)
    assert same_after_a_crash(kept)


def test_a_record_that_cannot_be_written_ends_the_server() -> None:
    """Nobody must be told of what is not in the journal."""
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        memory = JournalMemory.create(bytes(16))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (STEP, STEP))
        memory.append(1, b"x" * (2 * STEP))
        os._exit(0)

    assert signal.SIGABRT == os.WTERMSIG(os.waitpid(child, 0)[1])


def test_a_stashers_namespace_is_kept_as_long_as_its_entries(kept: Kept) -> None:
    """Stashers are known by its number, which would otherwise be another's one day."""
    chain = HeldChain(HeldNamespace(os.open("/proc/self/ns/user", os.O_RDONLY)))
    kept.person.stasher = Stasher(1, 1000, 1000, "x", chain)
    kept.do("stash", "a", 0)
    kept.do("create", "b")
    assert {COUNTERS, 1, FIRST_NUMBER} == set(kept.holding.held) == {n for n, _ in kept.keeping.everything()}

    numbers = tuple(chain)
    del chain
    kept.person.stasher = Stasher(1, 1000, 1000)
    after = NextLife(read_memory(kept.holding.memory), kept.holding.copies())
    stasher = after.life.store.root.children["a"].stasher
    assert stasher is not None
    assert isinstance(stasher.userns, HeldChain)
    assert numbers == stasher.userns
    assert {COUNTERS, 1, FIRST_NUMBER} == {number for number, _ in after.keeping.everything()}
    after.end()
    kept.do("discard", "a")
    assert FIRST_NUMBER in kept.holding.held
    kept.do("stash", "b", 1)
    kept.do("stash", "c", 1)
    assert FIRST_NUMBER not in kept.holding.held


def test_a_namespace_that_the_keeper_cannot_take_is_not_kept(kept: Kept) -> None:
    """And so nothing is stashed from there."""
    chain = HeldChain(HeldNamespace(os.open("/proc/self/ns/user", os.O_RDONLY)))
    kept.person.stasher = Stasher(1, 1000, 1000, "x", chain)
    kept.do("refuse", True)

    with pytest.raises(Overloaded):
        kept.do("stash", "a", 0)
    assert 0 == chain.held.number
