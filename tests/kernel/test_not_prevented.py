"""What the kernel's enforcement does not prevent. SECURITY.md says so; these tests keep it true.

Each needs somebody who may have the file, and wants somebody else to have it, or what is in it. By the ways that are
guarded he doesn't get it.
"""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdstorefs import connect
from fdstorefs.host import syscalls
from tests.kernel import attempts
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import NAME, SECRET, Attacker, Scene
from tests.kernel.handing import handed
from tests.kernel.io_uring import Ring
from tests.kernel.policies import ELSEWHERE

FILE, ANEW = "file", "opened anew"

pytestmark = pytest.mark.parametrize("kind", [Attacker.SAME_UID], ids=[Attacker.SAME_UID.value])

_rings: list[Ring] = []
_child: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _guarded(scene: Scene) -> None:
    """The file that the way around leads to is guarded."""
    assert [] == handed(scene.service, scene.attacker, NAME)[0]["texts"]
    scene.require_refused()


# From ring to ring


def make_ring() -> int:
    """Make a ring without a file; its descriptor."""
    _rings.append(Ring())
    return _rings[0].fd


def put_into_ring(pid: int, number: int, name: str) -> None:
    """Put what one has into somebody else's ring."""
    pidfd = os.pidfd_open(pid)
    Ring(attempts.own_number(name)).send_file(syscalls.pidfd_getfd(pidfd, number))
    os.close(pidfd)


def read_from_ring() -> str:
    """Read what is in one's own ring."""
    return _rings[0].read(100).decode()


def test_a_ring_of_io_uring(scene: Scene) -> None:
    """IORING_MSG_SEND_FD puts a file into another's ring, and no security module is asked; he reads it there."""
    number = scene.attacker.call(make_ring)
    scene.service.call(put_into_ring, scene.attacker.pid, number, NAME)

    assert SECRET == scene.attacker.call(read_from_ring)


# To children


def have_child(name: str) -> int:
    """Have a child that inherits what one has, and reads it when it is told to; its pid."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        theirs.recv(1)
        theirs.send(attempts.read(attempts.own_number(name)).encode())
        os._exit(0)
    theirs.close()
    _child.append(ours)
    return pid


def child_reads() -> str:
    """What the child reads."""
    _child[0].send(b"x")
    text = _child[0].recv(100).decode()
    os.wait()
    return text


def test_children(scene: Scene, control_groups: ControlGroups) -> None:
    """What is inherited is not received: it stays open, whatever becomes of the child."""
    child = scene.service.call(have_child, NAME)
    (control_groups[ELSEWHERE] / "cgroup.procs").write_text(str(child))

    assert SECRET == scene.service.call(child_reads)


# By path


@pytest.fixture
def path(scene: Scene) -> Iterator[Path]:
    """A file of the service's user, with a name in a file system."""
    fd, name = tempfile.mkstemp(dir="/run")
    os.write(fd, SECRET.encode())
    os.fchown(fd, scene.service.role.uid, scene.service.role.uid)
    os.close(fd)
    yield Path(name)
    os.unlink(name)


def stash_file(mount: str, name: str, path: str) -> None:
    """Open a file, keep it and stash it."""
    attempts._held[name] = os.open(path, os.O_RDONLY)
    with connect(mount) as store:
        store.stash(name, attempts._held[name])


def open_anew(name: str, other: str) -> None:
    """Open what one has once more, by its name in /proc."""
    attempts._held[other] = os.open(f"/proc/self/fd/{attempts.own_number(name)}", os.O_RDONLY)


def test_a_file_opened_anew(scene: Scene, path: Path) -> None:
    """It is the open file that is guarded. Another one of the same file is another."""
    scene.service.call(stash_file, scene.mount, FILE, str(path))
    scene.service.call(open_anew, FILE, ANEW)

    assert [] == handed(scene.service, scene.attacker, FILE)[0]["texts"]
    assert [SECRET] == handed(scene.service, scene.attacker, ANEW)[0]["texts"]


# As data


def forward(name: str, line: int) -> None:
    """Send what is in a file."""
    with socket.socket(fileno=line) as end:
        end.send(attempts.read(attempts.own_number(name)).encode())


def test_its_data(scene: Scene) -> None:
    """Whoever may read it can tell what it says."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        scene.service.call(forward, NAME, descriptors=(ours.fileno(),))

        assert SECRET == scene.attacker.call(attempts.receive, 0, descriptors=(theirs.fileno(),))["data"]
