"""Who may do everything in a user namespace, asked of a process that may change while it is looked at."""

import os
from collections.abc import Iterator

import pytest

from fdstorefs.containers import rights
from fdstorefs.core.subject import CAP_SYS_ADMIN, NothingTold, Subject, Userns
from fdstorefs.host import procfs
from fdstorefs.host.task import Task
from fdstorefs.host.user_namespaces import HeldNamespace
from tests.unit.host.test_user_namespaces import waiting

_ELSEWHERE = 1


class Told(NothingTold):
    """What is known of a process at one moment."""

    def __init__(self, userns: Userns, capabilities: int = 0) -> None:
        self._userns, self._capabilities = userns, capabilities

    def userns(self) -> Userns:
        """Its user namespace."""
        return self._userns

    def capabilities(self) -> int:
        """Its capabilities."""
        return self._capabilities


def subject(*moments: Told, pid: int = 0) -> Subject:
    """Somebody with our uid, who at each look is as these moments say."""
    looks = iter(moments)
    return Subject(os.geteuid(), os.getegid(), pid, look_up=lambda: next(looks))


@pytest.fixture
def users() -> Iterator[int]:
    """Our own user namespace."""
    opened = procfs.open_namespace("user")
    yield opened
    os.close(opened)


def test_root_of_a_namespace_may_if_he_is_still_there() -> None:
    """Its map was read by a number, and is that of wherever he was by then."""
    with waiting("unshare", "-Ur") as pid:
        users = Task(pid).open_user_namespace()
        here = HeldNamespace(os.dup(users)).numbers
        stays = subject(Told(here), Told(here), pid=pid)
        goes = subject(Told(here), Told((_ELSEWHERE, *here)), pid=pid)

        assert rights.may(stays, users)
        assert not rights.may(goes, users)
        os.close(users)


@pytest.mark.skipif(os.geteuid() != 0, reason="it is about root")
@pytest.mark.parametrize("power", [True, False])
def test_root_of_the_host_may_if_he_has_the_power(users: int, power: bool) -> None:
    """There are containers whose root is the host's, with few capabilities."""
    here = HeldNamespace(os.dup(users)).numbers
    told = Told(here, power << CAP_SYS_ADMIN)

    assert power == rights.may(subject(told, told), users)


@pytest.mark.skipif(os.geteuid() != 0, reason="it is about root")
def test_nor_may_root_who_has_it_elsewhere(users: int) -> None:
    """Whoever goes into a namespace of his own has every capability, there."""
    here = HeldNamespace(os.dup(users)).numbers
    moments = Told(here, 1 << CAP_SYS_ADMIN), Told((_ELSEWHERE, *here), 1 << CAP_SYS_ADMIN)

    assert not rights.may(subject(*moments), users)
