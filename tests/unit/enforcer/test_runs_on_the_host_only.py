"""An enforcer that would not see the host as it is does not start."""

import os

import pytest

from fdstorefs.enforcer import place
from fdstorefs.errors import NotPermitted
from fdstorefs.host.task import Task
from fdstorefs.host.user_database import INITIAL_USER_NAMESPACE

HOST = {
    "user": INITIAL_USER_NAMESPACE,
    "pid": place.INITIAL_PID_NAMESPACE,
    "cgroup": place.INITIAL_CGROUP_NAMESPACE,
}


class Looked:
    """A process with these namespaces and this root directory, or what looking at that ends in."""

    def __init__(self, root: tuple[int, int] | OSError = (1, 2), **others: int) -> None:
        self._namespaces = HOST | others
        self._root = root

    def namespace(self, kind: str) -> str:
        """A link."""
        return f"{kind}:[{self._namespaces[kind]}]"

    def root(self) -> tuple[int, int]:
        """Where it is."""
        if isinstance(self._root, OSError):
            raise self._root
        return self._root


def test_on_the_host() -> None:
    """Nothing is said."""
    place.require_host(0, Looked(), Looked())


@pytest.mark.parametrize(
    ("uid", "own", "first", "said"),
    [
        (1000, Looked(), Looked(), "only root of the host"),
        (0, Looked(user=7), Looked(), "user namespace"),
        (0, Looked(pid=7), Looked(), "pid namespace"),
        (0, Looked(cgroup=7), Looked(), "cgroup namespace"),
        (0, Looked(root=(3, 4)), Looked(), "chroot"),
        (0, Looked(), Looked(root=PermissionError(13, "Permission denied")), "may not look"),
        (0, Looked(root=FileNotFoundError(2, "No such file")), Looked(), "does not see the host's processes"),
    ],
)
def test_elsewhere(uid: int, own: Looked, first: Looked, said: str) -> None:
    """It is not permitted, and the user learns where it may run."""
    with pytest.raises(NotPermitted, match=said) as refused:
        place.require_host(uid, own, first)

    assert 3 == refused.value.exit_code
    assert refused.value.hint


def test_a_processs_root() -> None:
    """Our own."""
    found = os.stat("/")

    assert (found.st_dev, found.st_ino) == Task(os.getpid()).root()
