"""Fixtures for tests of the hooks by themselves: the enforcer's maps are filled by the test, without a server.

- `kernel`: the kernel side with the programs in force; the test's own process has the enforcer's role. No more than
  TAGS open files can be tagged, and no roles, records or tags are left over from other tests
- `instance`: an instance of alice's, whose policy lets bob retrieve everything
- `held`: an open file of alice's, tagged for the instance
- `deliver(actor, fd, flags=0)`: whether somebody gets a descriptor through a socket
"""

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from fdstorefs.bpf.kernel import Kernel, switch_off
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.instance import PROFILE, Instance, bob_may
from tests.kernel.people import ALICE

PINS = "/sys/fs/bpf/fdstorefs-hooks"
TAGS = 64


@pytest.fixture(scope="package")
def programs() -> Iterator[Kernel]:
    """Compiled and attached once for all tests, as that takes a minute in an emulated machine."""
    with Kernel.open(PINS, sizes={"tags": TAGS}) as kernel:
        kernel.load(PROFILE, lockdown=False)
        kernel.publish([], kernel.numbers.next_generation())
        kernel.attach()
        yield kernel
    switch_off(PINS)


@pytest.fixture
def kernel(programs: Kernel) -> Kernel:
    """The same, with nothing in the ring."""
    programs.ring.read()
    return programs


@pytest.fixture
def instance(kernel: Kernel) -> Instance:
    """With its rows in force, and no others."""
    made = Instance(kernel, bob_may())
    kernel.publish(made.rows(), made.generation)
    return made


@pytest.fixture
def alices(actor: Callable[..., Actor]) -> Iterator[int]:
    """An open file of alice's, tagged for nobody."""
    alice = actor(ALICE)
    number = alice.call(acts.memfd)
    fd = fetch(alice, number)
    yield fd
    os.close(fd)


@pytest.fixture
def held(instance: Instance, alices: int) -> int:
    """The same, tagged for the instance."""
    instance.kernel.tag(alices, instance.number, instance.class_set())
    return alices


@pytest.fixture
def deliver() -> Callable[..., bool]:
    """Whether a descriptor arrives, the very same file."""

    def arrives(who: Actor, fd: int, flags: int = 0) -> bool:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(ours, [b"x"], [fd])
            inodes, found = who.call(acts.received, flags, descriptors=(theirs.fileno(),))
        assert bool(found & socket.MSG_CTRUNC) != bool(inodes)
        return bool(inodes == [os.fstat(fd).st_ino])

    return arrives


def fetch(holder: Actor, number: int) -> int:
    """A copy of a descriptor that an actor has."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        holder.call(acts.pass_on, number, descriptors=(theirs.fileno(),))
        return socket.recv_fds(ours, 8, 1)[1][0]
