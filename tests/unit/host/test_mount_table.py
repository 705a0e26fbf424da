"""The mount table: as the kernel prints it, with names that try to break it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdstorefs.host import mount_table, procfs, syscalls
from fdstorefs.host.live_mounts import LiveMountTable

_LINES = (
    rb"22 27 0:21 / /proc rw,relatime - proc proc rw"
    b"\n"
    rb"36 35 98:0 /mnt1 /with\040space\011tab\134 rw master:1 shared:2 - ext3 /dev/root rw,errors=continue"
    b"\n"
    rb"40 35 0:45 / /- rw - fuse.sshfs me@host: rw"
    b"\n"
    rb"41 35 0:45 / /again rw - fuse.sshfs me@host: rw"
    b"\n"
)


def test_lines_are_understood() -> None:
    """Optional fields, escapes, and a mount point that looks like the separator."""
    table = mount_table.parse(_LINES)
    spaced, sshfs = table.by_id(36), table.by_id(40)

    assert spaced is not None
    assert (os.makedev(98, 0), "/mnt1", "/with space\ttab\\", "ext3", "/dev/root") == (
        spaced.device,
        spaced.root,
        spaced.mount_point,
        spaced.fstype,
        spaced.source,
    )
    assert sshfs is not None
    assert (sshfs.mount_point, sshfs.fstype) == ("/-", "fuse.sshfs")


ODD = ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r0:1 / / rw - fuse x"]
"""What ends lines for Python and not for the kernel, which writes it into the table as it is."""


@pytest.mark.parametrize("odd", ODD)
def test_a_name_may_have_other_ends_of_lines(odd: str) -> None:
    """Only the kernel's own ends a line."""
    name = odd.replace(" ", "\\040").encode()
    table = mount_table.parse(
        b"50 35 0:46 /r" + name + b" /m" + name + b" rw - tmpfs s" + name + b" rw\n" + _LINES
    )
    mount = table.by_id(50)

    assert mount is not None
    assert (f"/r{odd}", f"/m{odd}", f"s{odd}") == (mount.root, mount.mount_point, mount.source)
    assert (5, True) == (len(table.mounts), table.is_whole)


BROKEN = [
    b"not a line of a mount table",
    b"50 35 0:46 / /m rw",
    b"50 35 no:46 / /m rw - tmpfs x rw",
    b"\xff",
    b"",
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_line_that_is_not_understood_takes_nothing_else_along(broken: bytes) -> None:
    """The others count; but that a mount isn't there is no longer known."""
    table = mount_table.parse(broken + b"\n" + _LINES)

    assert mount_table.parse(_LINES).mounts == table.mounts
    assert not table.is_whole
    assert table.filesystem(os.makedev(0, 45), 36) == "ext3"
    assert table.filesystem(os.makedev(0, 45), 50) is None


def test_a_filesystem_is_found_by_mount_and_by_device() -> None:
    """The mount id decides, for devices are not always those of a mount; then the device."""
    table = mount_table.parse(_LINES)

    assert table.filesystem(os.makedev(0, 45), 36) == "ext3"
    assert table.filesystem(os.makedev(0, 45), 999) == "fuse.sshfs"
    assert table.filesystem(os.makedev(0, 99), 999) is None


def test_the_first_mount_of_a_device_stands_for_it() -> None:
    """Of two mounts of one file system, the one mounted first is named."""
    mount = mount_table.parse(_LINES).on_device(os.makedev(0, 45))

    assert mount is not None
    assert mount.mount_point == "/-"


def test_our_own_mounts() -> None:
    """The root directory's device is in our own table."""
    assert procfs.mounts().on_device(os.stat("/proc").st_dev) is not None


def test_the_live_table_follows_changes(root: None, tmp_path: Path) -> None:
    """It is read again after each change of the mounts and not otherwise."""
    live = LiveMountTable()
    try:
        before = live.current()
        assert live.current() is before

        syscalls.mount("tmpfs", tmp_path, "tmpfs")
        during = {mount.mount_point for mount in live.current().mounts}
        syscalls.umount2(tmp_path, syscalls.UMOUNT_NOFOLLOW)
        after = {mount.mount_point for mount in live.current().mounts}
    finally:
        live.forget()

    assert str(tmp_path) in during
    assert str(tmp_path) not in after


@pytest.fixture
def live() -> Iterator[LiveMountTable]:
    """A live table of the test's own."""
    made = LiveMountTable()
    yield made
    made.forget()


@pytest.mark.parametrize("odd", ODD)
def test_the_live_table_has_odd_mount_points(
    root: None, live: LiveMountTable, tmp_path: Path, odd: str
) -> None:
    """As the kernel really writes them."""
    path = tmp_path / f"a{odd.replace('/', '')}b"
    path.mkdir()
    live.current()
    syscalls.mount("tmpfs", path, "tmpfs")
    try:
        found = live.current()
    finally:
        syscalls.umount2(path, syscalls.UMOUNT_NOFOLLOW)

    assert str(path) in {mount.mount_point for mount in found.mounts}
    assert found.is_whole


@pytest.mark.parametrize("begun", [False, True], ids=["at first", "after a change"])
def test_the_live_table_is_read_again_after_a_failure(
    root: None, live: LiveMountTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """The kernel tells of a change once: who could not read the table then must not believe an older one."""

    def fail(_fd: int) -> bytes:
        raise OSError(12, "out of memory")

    if begun:
        live.current()
    syscalls.mount("tmpfs", tmp_path, "tmpfs")
    try:
        with monkeypatch.context() as patch, pytest.raises(OSError, match="memory"):
            patch.setattr(procfs, "read_all", fail)
            live.current()
        found = live.current()
    finally:
        syscalls.umount2(tmp_path, syscalls.UMOUNT_NOFOLLOW)

    assert str(tmp_path) in {mount.mount_point for mount in found.mounts}
