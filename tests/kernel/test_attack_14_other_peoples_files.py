"""Attack 14: stash somebody else's open file, to have the kernel keep it from whom he shares it with."""

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from fdstorefs import connect
from fdstorefs.bpf import abi
from fdstorefs.enforcer.options import SOCKET
from fdstorefs.host import syscalls
from fdstorefs.server.guarding.finding import find
from tests.kernel import attempts
from tests.kernel.actor import Actor, Obedient
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import Attacker, by_each
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.handing import handed
from tests.kernel.people import ALICE, BOB
from tests.kernel.policies import ELSEWHERE

SHARED, TEXT = "shared", "what root shares with everyone"
OWN = "own"


def open_one(name: str, text: str) -> None:
    """Open something and keep it."""
    attempts._held[name] = os.memfd_create(name)
    os.pwrite(attempts._held[name], text.encode(), 0)


def keep(name: str, line: int) -> None:
    """Keep what arrives through a socket."""
    with socket.socket(fileno=line) as end:
        _, files, _, _ = socket.recv_fds(end, 1, 1)
    attempts._held[name] = files[0]


def stash_kept(mount: str, name: str) -> list[Any]:
    """Stash what one has, and say whether it is guarded, and why not."""
    with connect(mount) as store:
        store.stash(name, attempts._held[name])
        entry = store.describe(name).entry
    return [entry.guarded, entry.unguarded]


def have_it_withheld(mount: str, name: str) -> list[Any]:
    """For a server: have the enforcer keep a file from everybody, and give it the enforcer's orders oneself."""
    fd, root = attempts._held[name], os.open(mount, os.O_PATH | os.O_DIRECTORY)
    line = find(SOCKET)
    line.call("Register", {"mount": mount, "mountDescriptor": 0, "previous": None}, [root], patience=60)
    told = line.call("Guard", {"files": [{"descriptor": 0, "names": []}]}, [fd], patience=60)["files"][0]
    for order in (abi.TAG, abi.UNTAG, abi.LOOK):
        syscalls.set_descriptor_flags(fd, abi.TOKEN << 32 | order)
    line.close()
    os.close(root)
    return [told["guarded"], told.get("why")]


@pytest.fixture
def culprit(
    kind: Attacker,
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    control_groups: ControlGroups,
) -> tuple[Obedient, Callable[..., list[Any]], str]:
    """The attacker, what he does, and the mount of an instance that is his."""
    if kind is Attacker.COMPROMISED_SERVER:
        server = instance(compromised=True)
        return server.inside, have_it_withheld, server.mount
    attacker = actor(ALICE, cgroup=control_groups[ELSEWHERE], namespace=kind is Attacker.ROOT_IN_NAMESPACE)
    server = instance(joins=attacker.pid if kind is Attacker.ROOT_IN_NAMESPACE else None)
    return attacker, stash_kept, server.mount


def give(giver: Obedient, receiver: Obedient) -> None:
    """Have somebody keep what root shares."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        giver.call(attempts.hand, SHARED, False, descriptors=(ours.fileno(),))
        receiver.call(keep, SHARED, descriptors=(theirs.fileno(),))


@by_each
def test_root_can_still_share_it(
    culprit: tuple[Obedient, Callable[..., list[Any]], str], actor: Callable[..., Actor]
) -> None:
    """He has no authority over who opened it, and is told so; over what he opened himself he has."""
    attacker, attempt, mount = culprit
    root, bystander = actor(), actor(BOB)
    root.call(open_one, SHARED, TEXT)
    attacker.call(open_one, OWN, TEXT)
    give(root, attacker)

    assert [False, "authority"] == attacker.call(attempt, mount, SHARED)
    assert [True, None] == attacker.call(attempt, mount, OWN)
    for giver in (root, attacker):
        assert [TEXT] == handed(giver, bystander, SHARED)[0]["texts"]
    assert [] == handed(attacker, bystander, OWN)[0]["texts"]
