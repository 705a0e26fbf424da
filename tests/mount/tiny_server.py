"""The smallest FUSE server that a mount can be tested with: its root directory exists, and nothing else.

`python -m tests.mount.tiny_server MOUNT` mounts with `mount_instance`, prints one line of JSON about it, or
about the error, and answers the kernel until it is unmounted. With `--mute` it answers INIT, the first
request, and no other, and ends with its standard input.
"""

import dataclasses
import errno
import json
import os
import select
import stat
import struct
import sys

from fdstorefs.server.mounting import MountError, mount_instance

GETATTR, INIT, OPENDIR, READDIR, RELEASEDIR, FORGET, INTERRUPT, BATCH_FORGET = 3, 26, 27, 28, 29, 2, 36, 42
WITHOUT_REPLY = (FORGET, INTERRUPT, BATCH_FORGET)
REQUEST = struct.Struct("=IIQQIIII")
REPLY = struct.Struct("=IiQ")
INIT_REPLY = struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, 0, 8, 6, 4096, 1, 1, 0, 0)
OPEN_REPLY = struct.pack("=QII", 0, 0, 0)
ROOT_ATTRIBUTES = struct.pack(
    "=QII 6Q10I", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, stat.S_IFDIR | 0o755, 2, 0, 0, 0, 4096, 0
)
REPLIES = {INIT: INIT_REPLY, GETATTR: ROOT_ATTRIBUTES, OPENDIR: OPEN_REPLY, READDIR: b"", RELEASEDIR: b""}


def answer(device_fd: int) -> bool:
    """Wait for one request and answer it; False when the file system has been unmounted."""
    select.select([device_fd], [], [])
    try:
        request = os.read(device_fd, 1 << 20)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EINTR, errno.ENOENT)
    _, opcode, unique, *_ = REQUEST.unpack_from(request)
    if opcode not in WITHOUT_REPLY:
        body = REPLIES.get(opcode)
        code = -errno.ENOSYS if body is None else 0
        os.write(device_fd, REPLY.pack(REPLY.size + len(body or b""), code, unique) + (body or b""))
    return True


def main(mountpoint: str, manner: str = "") -> int:
    """Mount, report, serve."""
    try:
        mounted = mount_instance(mountpoint)
    except MountError as error:
        print(json.dumps({"message": error.message, "hint": error.hint}), flush=True)
        return 1
    blocking, inherited = os.get_blocking(mounted.device_fd), os.get_inheritable(mounted.device_fd)
    report = {**dataclasses.asdict(mounted), "blocking": blocking, "inheritable": inherited}
    answer(mounted.device_fd)
    print(json.dumps(report), flush=True)
    while manner != "--mute" and answer(mounted.device_fd):
        pass
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
