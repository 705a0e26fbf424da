"""Nobody fills the table of tags for others: what a user's servers receive is counted, and has a limit."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fdstorefs.bpf import abi, syscall
from fdstorefs.bpf.abi import Reason, RoleKind
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.conftest import PINS, fetch
from tests.kernel.hooks.instance import Instance, bob_may
from tests.kernel.people import ALICE, MALLORY

Deliver = Callable[..., bool]
Start = Callable[..., Actor]


class Share:
    """How many slots of tags a user's instances have, as the kernel counts them."""

    def __init__(self, shares: int, uid: int) -> None:
        self._shares, self._key = shares, uid.to_bytes(4, "little")

    @property
    def taken(self) -> int:
        """So many."""
        found = syscall.lookup(self._shares, self._key, 8)
        return 0 if found is None else int.from_bytes(found, "little")

    def become(self, taken: int) -> None:
        """Be so many."""
        syscall.update(self._shares, self._key, taken.to_bytes(8, "little"))


@contextmanager
def share_of(uid: int) -> Iterator[Share]:
    """The share of a user, which is afterwards what it was."""
    (path,) = Path(PINS).glob("v*/maps/shares")
    shares = syscall.obj_get(str(path))
    share = Share(shares, uid)
    before = share.taken
    try:
        yield share
    finally:
        share.become(before)
        os.close(shares)


def test_a_full_share(actor: Start, deliver: Deliver, instance: Instance, alices: int) -> None:
    """A server gets no more than its user may have, and that is on record; another user's gets what is sent to it."""
    server = actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    theirs = Instance(instance.kernel, bob_may(), uid=MALLORY.uid)
    other, mallory = actor(MALLORY), actor(MALLORY)
    theirs.give_role(other.pid, RoleKind.SERVER)
    fd = fetch(mallory, mallory.call(acts.memfd))
    with share_of(ALICE.uid) as share:
        share.become(abi.MOST_SLOTS_EACH)
        got = deliver(server, alices)
        (event,) = instance.kernel.ring.read()
        others = deliver(other, fd)
    os.close(fd)

    assert (False, Reason.NO_ROOM, True) == (got, event.reason, others)


def test_the_last_of_a_share(actor: Start, deliver: Deliver, instance: Instance, alices: int) -> None:
    """One more is one more."""
    server = actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    with share_of(ALICE.uid) as share:
        share.become(abi.MOST_SLOTS_EACH - 1)
        got = deliver(server, alices)

        assert (True, abi.MOST_SLOTS_EACH) == (got, share.taken)
        share.become(1)


def test_tags_count_while_they_are_there(instance: Instance, actor: Start) -> None:
    """From the tag on until it is taken away, or the file is closed."""
    alice, kernel = actor(ALICE), instance.kernel
    numbers = [alice.call(acts.memfd) for _ in range(2)]
    first, second = (fetch(alice, number) for number in numbers)
    with share_of(ALICE.uid) as share:
        counts = [share.taken]
        for fd in (first, second, first):
            kernel.tag(fd, instance.number, instance.class_set())
            counts.append(share.taken)
        kernel.untag(first, instance.number)
        counts.append(share.taken)
        for fd in (first, second):
            os.close(fd)
        alice.end()
        gone = share.taken

    begin = counts[0]
    assert [begin, begin + 1, begin + 2, begin + 2, begin + 1] == counts
    assert begin == gone
