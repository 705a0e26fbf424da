"""Stash a descriptor of some kind by number, have `fdstorefs exec` hand it to a child, and compare the two with kcmp.

Usage: same_open_file.py MOUNT KIND. Prints `KIND: the same open file`.
"""

import os
import socket
import sys
from collections.abc import Callable

from fdstorefs.host.syscalls import SAME_FILE, pidfd_getfd, pidfd_open, same_file_order

OPEN: dict[str, Callable[[], int]] = {
    "regular": lambda: os.open("/etc/hostname", os.O_RDONLY),
    "socket": lambda: socket.create_server(("127.0.0.1", 0)).detach(),
    "pipe": lambda: os.pipe()[0],
    "memfd": lambda: os.memfd_create("memory"),
    "directory": lambda: os.open("/etc", os.O_PATH | os.O_DIRECTORY),
    "eventfd": lambda: os.eventfd(3),
    "device": lambda: os.open("/dev/null", os.O_RDWR),
}
HANDED_OVER = 40


def child_with(mount: str, name: str) -> tuple[int, int]:
    """A child that was handed the entry as descriptor 40 and waits; its pid, and a pipe that ends its wait."""
    waiting, release = os.pipe()
    ready, announce = os.pipe()
    command = f"echo >&{announce}; read <&{waiting}"
    argv = [sys.executable, "-m", "fdstorefs", "--at", mount, "exec", "--fd", f"{HANDED_OVER}={name}", "--"]
    child = os.posix_spawn(
        sys.executable,
        [*argv, "bash", "-c", command],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, fd, fd) for fd in (waiting, announce)],
    )
    os.close(announce)
    if not os.read(ready, 1):
        raise SystemExit("the child was not handed its descriptor")
    return child, release


def main() -> None:
    mount, kind = sys.argv[1:]
    descriptor = OPEN[kind]()
    with open(f"{mount}/{kind}", "w") as entry:
        entry.write(f"{descriptor}\n")
    child, release = child_with(mount, kind)
    theirs = pidfd_getfd(pidfd_open(child), HANDED_OVER)
    if same_file_order(descriptor, theirs) != SAME_FILE:
        raise SystemExit(f"{kind}: another open file came back")
    os.close(release)
    os.waitpid(child, 0)
    print(f"{kind}: the same open file")


if __name__ == "__main__":
    main()
