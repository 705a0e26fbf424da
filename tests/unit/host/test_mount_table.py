"""The mount table: as the kernel prints it, with names that try to break it."""

import os
from pathlib import Path

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
