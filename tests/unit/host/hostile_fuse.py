"""A FUSE file system whose server stops answering: what a hostile user can hand to the store.

It holds one file, `file`. It answers what it takes to look the file up and open it, and never anything else,
but takes requests off the queue: the kernel then waits for the answer, whatever signal comes. Beware: a
process that holds the file open can't end, for its end closes the file; unless `answers_flush`.
"""

import errno
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fdstorefs.host import procfs, syscalls

LOOKUP, GETATTR, OPEN, FLUSH, INIT, OPENDIR = 1, 3, 14, 25, 26, 27
ROOT_NODE = 1
FILE_NODE = 2
_HEADER = struct.Struct("=IIQQIIII")
_FOREVER = 2**32


def _attributes(node: int, first_inode: int) -> bytes:
    mode = 0o040755 if node == ROOT_NODE else 0o100666
    numbers = struct.pack("=6Q", first_inode | node, 12, 1, 0, 0, 0)
    return numbers + struct.pack("=10I", 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _answer(opcode: int, node: int, first_inode: int) -> bytes | None:
    """The body of an answer, None for the requests that are left hanging."""
    if opcode == INIT:
        return struct.pack("=4I2HI2HI8I", 7, 31, 65536, 0, 12, 9, 65536, 1, 1, 0, 0, *(0,) * 7)
    if opcode == LOOKUP:
        head = struct.pack("=4Q2I", FILE_NODE, 0, _FOREVER, 0, 0, 0)
        return head + _attributes(FILE_NODE, first_inode)
    if opcode == GETATTR and node == ROOT_NODE:
        return struct.pack("=Q2I", 0, 0, 0) + _attributes(ROOT_NODE, first_inode)
    if opcode in (OPEN, OPENDIR):
        return struct.pack("=Q2I", 1, 0, 0)
    return None


def _serve(device: int, first_inode: int, *, answers_flush: bool) -> None:
    while True:
        request = os.read(device, 1 << 20)
        _, opcode, unique, node, *_ = _HEADER.unpack_from(request)
        body = _answer(opcode, node, first_inode)
        if opcode == FLUSH and answers_flush:
            os.write(device, struct.pack("=IiQ", 16, -errno.ENOSYS, unique))
        elif body is not None:
            os.write(device, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)


def _main(mount_point: str, fstype: str, first_inode: str, options: str, answers_flush: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    data = f"fd={device},rootmode=40000,{options}"
    syscalls.mount("hostile", mount_point, fstype, syscalls.MS_NOSUID | syscalls.MS_NODEV, data)
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    with suppress(OSError):  # ENODEV: it was unmounted
        _serve(device, int(first_inode), answers_flush=answers_flush == "True")


@contextmanager
def hostile_mount(
    mount_point: Path,
    fstype: str = "fuse.hostile",
    first_inode: int = 0,
    options: str = "user_id=0,group_id=0,allow_other",
    *,
    answers_flush: bool = False,
) -> Iterator[Path]:
    """Mount it, give its one file's path, and take it down again: whoever is stuck in it wakes up then."""
    mount_point.mkdir()
    arguments = [str(mount_point), fstype, str(first_inode), options, str(answers_flush)]
    command = [sys.executable, "-m", __name__, *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"mounted\n"
        yield mount_point / "file"
    finally:
        _take_down(mount_point, server)


def _take_down(mount_point: Path, server: "subprocess.Popen[bytes]") -> None:
    try:
        if any(mount.mount_point == str(mount_point) for mount in procfs.mounts().mounts):
            syscalls.umount2(mount_point, syscalls.MNT_FORCE | syscalls.MNT_DETACH)
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
