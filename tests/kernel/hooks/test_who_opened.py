"""What the kernel says of an opener, who may be gone long since, lasts as long as the open file."""

import os
from collections.abc import Callable

import pytest

from fdstorefs.bpf import abi
from fdstorefs.bpf.kernel import Kernel
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.conftest import fetch
from tests.kernel.hooks.instance import Instance
from tests.kernel.people import ALICE, MALLORY
from tests.mount.waiting import wait_for

Start = Callable[..., Actor]
SECONDS = 300


def opened_as(real: int, effective: int) -> int:
    """Open something as a program that runs set-user-id would."""
    os.setresuid(real, effective, 0)
    return acts.memfd()


@pytest.mark.parametrize(
    ("real", "effective", "known"),
    [
        (ALICE.uid, ALICE.uid, abi.KNOWS_UID),
        (ALICE.uid, 0, 0),
        (0, ALICE.uid, 0),
        (MALLORY.uid, ALICE.uid, 0),
    ],
    ids=["one user", "a program of root's", "root for a while", "a program of somebody's"],
)
def test_an_opener_who_is_two_users_is_neither(
    kernel: Kernel, instance: Instance, actor: Start, real: int, effective: int, known: int
) -> None:
    """His uid is not known, and nobody's server may speak for him unless it is privileged."""
    opener = actor()
    fd = fetch(opener, opener.call(opened_as, real, effective))
    answer = kernel.look(fd, instance.number)
    os.close(fd)

    assert known | abi.KNOWS_CAPABILITIES | abi.KNOWS_USERNS == answer.opener.known
    assert bool(known) == bool(answer.authority)


def test_an_open_file_holds_its_openers_namespace(kernel: Kernel, actor: Start) -> None:
    """Its number is another's only when both are gone: so what is tagged means the same for as long as it is tagged."""
    opener = actor(ALICE, namespace=True)
    fd = fetch(opener, opener.call(acts.memfd))
    (number, *_) = kernel.look(fd, 0).chain.numbers
    opener.end()

    def numbers_given(count: int) -> list[int]:
        others = [actor(ALICE, namespace=True) for _ in range(count)]
        given = [other.call(own_namespace) for other in others]
        for other in others:
            other.end()
        return given

    assert number not in numbers_given(8)
    os.close(fd)
    wait_for(lambda: number in numbers_given(4), SECONDS, "the number to be given again")


def own_namespace() -> int:
    """The number of one's user namespace."""
    return os.stat("/proc/self/ns/user").st_ino
