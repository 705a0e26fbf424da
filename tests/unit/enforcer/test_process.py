"""Processes are looked at as a whole, and only while they are there."""

import os

import pytest

from fdstorefs.bpf.abi import Order
from fdstorefs.enforcer import process
from fdstorefs.enforcer.errors import NotAMount
from fdstorefs.enforcer.process import has_ended, look_at, number_behind, process_behind
from fdstorefs.enforcer.served_mount import FUSE_MAGIC, in_the_kernel, served_by
from fdstorefs.errors import NoSuchProcess, QuotaExceeded
from fdstorefs.host import procfs
from fdstorefs.host.mount_table import Mount, MountTable
from tests.unit.enforcer.enforced import this_process

DIRECTORY = 0o040755


def test_this_process() -> None:
    """What the kernel says of it."""
    found = this_process()

    assert (os.getpid(), os.geteuid(), os.getegid()) == (found.pid, found.uid, found.gid)
    assert found.userns.numbers[0] == os.stat("/proc/self/ns/user").st_ino
    assert {*os.getgroups(), os.getegid()} == found.groups


def test_one_that_has_ended_and_was_not_waited_for() -> None:
    """It is gone, whatever can still be read of it."""
    child = os.fork()
    if not child:
        os._exit(0)
    pidfd = os.pidfd_open(child)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

    assert has_ended(pidfd)
    with pytest.raises(NoSuchProcess):
        look_at(child, pidfd)
    os.waitpid(child, 0)
    with pytest.raises(NoSuchProcess):
        look_at(child, pidfd)
    with pytest.raises(NoSuchProcess):
        number_behind(pidfd)
    os.close(pidfd)


def test_a_pidfd_of_another() -> None:
    """A number says nothing."""
    pidfd = os.pidfd_open(os.getppid())

    with pytest.raises(NoSuchProcess):
        look_at(os.getpid(), pidfd)
    assert os.getppid() == number_behind(pidfd)
    os.close(pidfd)


def test_one_with_too_many_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before they are all read."""
    pidfd = os.pidfd_open(os.getpid())
    monkeypatch.setattr(process, "MOST_MOUNTINFO", 10)

    with pytest.raises(QuotaExceeded):
        look_at(os.getpid(), pidfd)
    assert os.getpid() == process_behind(os.getpid(), pidfd).pid
    os.close(pidfd)


def mount(**changes: object) -> Mount:
    """A mount of this user's, where this test's directory is."""
    fd = os.open("/", os.O_PATH)
    number = int(procfs.fdinfo_field(procfs.fdinfo(fd), "mnt_id"))
    os.close(fd)
    given = {
        "mount_id": number,
        "parent_id": 1,
        "device": os.makedev(0, 300),
        "root": "/",
        "mount_point": "/m",
        "fstype": "fuse.fdstorefs",
        "source": "fdstorefs",
        "options": ("rw", f"user_id={this_process().inner_uid}", "group_id=0"),
    }
    return Mount(**(given | changes))  # type: ignore[arg-type]


def seen(**changes: int) -> Order:
    """What the kernel says of its root."""
    userns = this_process().userns.numbers[0]
    given = {"device": 300, "magic": FUSE_MAGIC, "mode": DIRECTORY, "owner_userns": userns}
    return Order(0, **(given | changes))


def served(found: Mount, kernel: Order) -> str:
    """What is served there."""
    fd = os.open("/", os.O_PATH)
    try:
        return served_by(this_process(), MountTable([found]), fd, "/m", kernel).path
    finally:
        os.close(fd)


def test_a_mount_of_ones_own() -> None:
    """Everything fits."""
    assert "/m" == served(mount(), seen())


@pytest.mark.parametrize(
    "changes",
    [
        {"mount_id": 1 << 30},
        {"root": "/box"},
        {"mount_point": "/elsewhere"},
        {"fstype": "fuse.sshfs"},
        {"fstype": "ext4"},
        {"device": os.makedev(0, 301)},
        {"options": ("rw", "user_id=4242")},
        {"options": ()},
    ],
)
def test_a_mount_that_is_not_ones_own(changes: dict[str, object]) -> None:
    """One thing that does not fit is enough."""
    with pytest.raises(NotAMount):
        served(mount(**changes), seen())


@pytest.mark.parametrize(
    "changes", [{"device": 301}, {"magic": 0xEF53}, {"mode": 0o100644}, {"owner_userns": 12345}]
)
def test_what_the_kernel_says_otherwise(changes: dict[str, int]) -> None:
    """It cannot be forged: neither by a bind mount nor by a number that means another in another namespace."""
    with pytest.raises(NotAMount):
        served(mount(), seen(**changes))


def test_large_device_numbers() -> None:
    """As the kernel has them inside."""
    assert 7 << 20 | 0xFFFFF == in_the_kernel(os.makedev(7, 0xFFFFF))
