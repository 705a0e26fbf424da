"""Which file system is mounted where: the text of a mountinfo file, understood."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

_OCTAL_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a mount namespace. `root` is the part of the file system that it shows.

    `options` are the file system's own: of FUSE, `user_id=1000` says who serves it, as the mount's own user namespace
    has him.
    """

    mount_id: int
    parent_id: int
    device: int
    root: str
    mount_point: str
    fstype: str
    source: str
    options: tuple[str, ...] = ()


class MountTable:
    """The mounts of one mount namespace at one moment, by mount id and by device.

    Of one that isn't whole (`is_whole`) some lines were not understood: what is not in it may be there.
    """

    def __init__(self, mounts: Iterable[Mount], *, is_whole: bool = True) -> None:
        self.mounts = tuple(mounts)
        self.is_whole = is_whole
        self._by_id = {mount.mount_id: mount for mount in self.mounts}
        self._by_device = {mount.device: mount for mount in reversed(self.mounts)}

    def by_id(self, mount_id: int) -> Mount | None:
        """The mount with this id."""
        return self._by_id.get(mount_id)

    def on_device(self, device: int) -> Mount | None:
        """The first mount of the file system with this device number."""
        return self._by_device.get(device)

    def filesystem(self, device: int, mount_id: int) -> str | None:
        """The type of the file system that a file is on, None where no mount of ours is known to show it.

        By mount id first: btrfs and overlayfs give files device numbers that no mount has.
        """
        mount = self.by_id(mount_id)
        if mount is None and self.is_whole:
            mount = self.on_device(device)
        return None if mount is None else mount.fstype


def parse(mountinfo: bytes) -> MountTable:
    """Read the text of a mountinfo file. A line that isn't understood is left out: the table is not whole."""
    # Whoever may mount names mount points: the kernel escapes the newline, and nothing else may end a line.
    lines = mountinfo.removesuffix(b"\n").split(b"\n") if mountinfo else []
    mounts = [_understood(line) for line in lines]
    return MountTable(filter(None, mounts), is_whole=None not in mounts)


def _understood(line: bytes) -> Mount | None:
    try:
        return _parse_line(line)
    except (ValueError, OverflowError):
        return None


def _parse_line(line: bytes) -> Mount:
    before, _, after = line.partition(b" - ")
    mount_id, parent_id, device, root, mount_point = before.split(b" ")[:5]
    fstype, source, *options = after.split(b" ")
    major, minor = device.split(b":")
    return Mount(
        int(mount_id),
        int(parent_id),
        os.makedev(int(major), int(minor)),
        _unescape(root),
        _unescape(mount_point),
        _unescape(fstype),
        _unescape(source),
        tuple(_unescape(options[0]).split(",")) if options else (),
    )


def _unescape(field: bytes) -> str:
    return os.fsdecode(_OCTAL_ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field))
