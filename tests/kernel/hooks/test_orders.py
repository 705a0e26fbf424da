"""Orders are the enforcer's, a question the server's; from anybody else the same fcntl means nothing."""

import errno
import os
from collections.abc import Callable

import pytest

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Chain, RoleKind
from fdstorefs.bpf.kernel import Kernel
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.conftest import fetch
from tests.kernel.hooks.instance import INITIAL, Instance, bob_may
from tests.kernel.people import ALICE, MALLORY

Start = Callable[..., Actor]


def order(what: int) -> int:
    """The argument of the fcntl."""
    return abi.TOKEN << 32 | what


def test_looking(kernel: Kernel, instance: Instance, alices: int) -> None:
    """Says who opened a file, and what it is."""
    answer = kernel.look(alices, instance.number)
    status = os.fstat(alices)

    assert (ALICE.uid, 0, INITIAL) == (answer.opener.uid, answer.opener.capabilities, answer.opener.userns)
    assert (Chain((INITIAL,)), (0,), 1) == (answer.chain, answer.owners, answer.authority)
    assert (status.st_ino, status.st_mode, INITIAL) == (answer.inode, answer.mode, answer.owner_userns)
    assert abi.NO_CLASSES == answer.classes


def test_looking_for_nobody(kernel: Kernel, alices: int) -> None:
    """Without an instance nobody has authority, and capabilities over nothing are not known."""
    answer = kernel.look(alices, 0)

    assert (0, abi.KNOWS_UID | abi.KNOWS_USERNS) == (answer.authority, answer.opener.known)


def test_authority(kernel: Kernel, instance: Instance, actor: Start) -> None:
    """Over what the server's own user opened, there or in a namespace he made; over all if privileged."""
    privileged = Instance(kernel, bob_may(), flags=abi.PRIVILEGED)
    openers = {
        "own": actor(ALICE),
        "another": actor(MALLORY),
        "root": actor(),
        "own namespace": actor(ALICE, namespace=True),
        "another's namespace": actor(MALLORY, namespace=True),
    }
    found = {}
    for name, opener in openers.items():
        fd = fetch(opener, opener.call(acts.memfd))
        found[name] = [kernel.look(fd, each.number).authority for each in (instance, privileged)]
        os.close(fd)

    assert {
        "own": [1, 1],
        "another": [0, 1],
        "root": [0, 1],
        "own namespace": [1, 1],
        "another's namespace": [0, 1],
    } == found


def test_no_authority(kernel: Kernel, instance: Instance) -> None:
    """A file of somebody else's is not tagged, and nor is any for an instance that there is not."""
    fd = os.memfd_create("root's")
    errors = []
    for number in (instance.number, 0, 999_999):
        with pytest.raises(PermissionError) as raised:
            kernel.tag(fd, number, 1)
        errors.append(raised.value.errno)
    os.close(fd)

    assert ([errno.EPERM] * 3, []) == (errors, list(kernel.tagged()))


def test_four_instances(kernel: Kernel, alices: int) -> None:
    """Are as many as can keep a file; when one has let go there is room again."""
    instances = [Instance(kernel, bob_may()) for _ in range(5)]
    for each in instances[:4]:
        kernel.tag(alices, each.number, abi.NO_CLASSES)
    with pytest.raises(OSError, match=os.strerror(errno.EMLINK).lower()):
        kernel.tag(alices, instances[4].number, abi.NO_CLASSES)
    kernel.untag(alices, instances[2].number)
    kernel.tag(alices, instances[4].number, 5)
    (tag,) = kernel.tagged()

    assert [instances[at].number for at in (0, 1, 4, 3)] == [slot.instance for slot in tag.slots]


def test_a_server_asks(kernel: Kernel, instance: Instance, actor: Start, alices: int) -> None:
    """Whether a file is tagged for it, and has classes."""
    server = actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    number = server.call(acts.memfd)
    answers = [server.call(acts.order_kept, order(abi.ASK), number)]
    fd = fetch(server, number)
    for classes in (abi.NO_CLASSES, 5):
        kernel.tag(fd, instance.number, classes)
        answers.append(server.call(acts.order_kept, order(abi.ASK), number))
    os.close(fd)

    assert [errno.ENOTCONN, errno.EINPROGRESS, errno.EISCONN] == answers


def test_from_anybody_else(kernel: Kernel, held: int, actor: Start) -> None:
    """Orders do nothing: not from root, and not from a server but to ask."""
    before = list(kernel.tagged())
    server = actor(ALICE)
    Instance(kernel, bob_may()).give_role(server.pid, RoleKind.SERVER)
    number = server.call(acts.memfd)
    orders = [order(what) for what in (abi.LOOK, abi.TAG, abi.UNTAG)]
    answers = [server.call(acts.order_kept, each, number) for each in orders]
    root = actor()
    number = root.call(acts.memfd)
    answers += [root.call(acts.order_kept, each, number) for each in [*orders, order(abi.ASK)]]

    assert ([0] * 7, before) == (answers, list(kernel.tagged()))
