"""Attack 14: stash somebody else's open file, to have the kernel keep it from whom he shares it with."""

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from fdstorefs import connect
from fdstorefs.bpf import abi
from fdstorefs.enforcer.options import SOCKET
from fdstorefs.errors import EntryExists
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
from tests.mount.waiting import wait_for

SHARED, TEXT = "shared", "what root shares with everyone"
OWN, ROOTS = "own", "roots"
SECONDS = 120


def open_one(name: str, text: str) -> None:
    """Open something and keep it."""
    attempts._held[name] = os.memfd_create(name)
    os.pwrite(attempts._held[name], text.encode(), 0)


def keep(name: str, line: int) -> None:
    """Keep what arrives through a socket."""
    with socket.socket(fileno=line) as end:
        _, files, _, _ = socket.recv_fds(end, 1, 1)
    attempts._held[name] = files[0]


def stash_kept(mount: str, name: str, under: str | None = None) -> list[Any]:
    """Stash what one has, and say whether it is guarded, and why not."""
    with connect(mount) as store:
        store.stash(under or name, attempts._held[name])
        entry = store.describe(under or name).entry
    return [entry.guarded, entry.unguarded]


def stash_in_vain(mount: str, name: str) -> None:
    """Stash it once more, where there is something."""
    with connect(mount) as store, pytest.raises(EntryExists):
        store.stash(name, attempts._held[name])


def discard(mount: str, name: str) -> list[Any]:
    """Discard a name, and say whether what the attacker stashed is guarded then."""
    with connect(mount) as store:
        store.discard(name)
        entry = store.describe(SHARED).entry
    return [entry.guarded, entry.unguarded]


def have_it_withheld(mount: str, name: str) -> list[Any]:
    """For a server: have the enforcer keep a file from everybody else, as if one's own user and root had stashed it;
    and give it the enforcer's orders oneself.
    """
    userns = [os.stat("/proc/self/ns/user").st_ino]
    facts = {"gid": None, "capabilities": (1 << 41) - 1, "userns": userns}
    names = [
        {"path": f"{name}{uid}", "inode": 1 << 40 | uid, "label": None, "stasher": {"uid": uid, **facts}}
        for uid in (os.getuid(), 0)
    ]
    fd, root = attempts._held[name], os.open(mount, os.O_PATH | os.O_DIRECTORY)
    line = find(SOCKET)
    line.call("Register", {"mount": mount, "mountDescriptor": 0, "previous": None}, [root], patience=60)
    told = line.call("Guard", {"files": [{"descriptor": 0, "names": names}]}, [fd], patience=60)["files"][0]
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


@pytest.mark.parametrize(
    "namespace", [False, True], ids=[Attacker.SAME_UID.value, Attacker.ROOT_IN_NAMESPACE.value]
)
def test_roots_own_instance_is_of_no_use(
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    control_groups: ControlGroups,
    namespace: bool,
) -> None:
    """Its server has authority over what root opened, and who stashes that there has not. What root stashes is guarded
    from then on, as root wanted it.
    """
    mount = instance(0).mount
    root, bystander = actor(cgroup=control_groups[ELSEWHERE]), actor(BOB)
    root.call(os.chmod, mount, 0o777)
    attacker = actor(ALICE, cgroup=control_groups[ELSEWHERE], namespace=namespace)
    root.call(open_one, SHARED, TEXT)
    attacker.call(open_one, OWN, TEXT)
    give(root, attacker)

    def shared() -> list[list[str]]:
        return [handed(giver, bystander, SHARED)[0]["texts"] for giver in (root, attacker)]

    assert [False, "authority"] == attacker.call(stash_kept, mount, SHARED)
    assert [[TEXT], [TEXT]] == shared()
    assert [True, None] == attacker.call(stash_kept, mount, OWN)
    assert [] == handed(attacker, bystander, OWN)[0]["texts"]

    attacker.call(stash_in_vain, mount, SHARED)
    wait_for(lambda: shared() == [[TEXT], [TEXT]], SECONDS, "the file to be nobody's business again")

    assert [True, None] == root.call(stash_kept, mount, SHARED, ROOTS)
    assert [[], []] == shared()
    assert [True, None] == root.call(discard, mount, ROOTS)
    assert [[], []] == shared()
