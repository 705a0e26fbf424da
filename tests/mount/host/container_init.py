"""The first process of a container, which does what a test tells it, line by line.

Unshares what its arguments name, waits for its id maps, goes into a new pid namespace with a /proc and a /run of its
own, and then executes each line of its input.
"""

import json
import os
import sys

from fdstorefs.host import syscalls

_SHARED = syscalls.MS_REC | syscalls.MS_PRIVATE


def become(told: dict[str, bool]) -> None:
    """Enter the namespaces. Returns in the first process of the container."""
    flags = syscalls.CLONE_NEWNS
    flags |= syscalls.CLONE_NEWUSER if told["users"] else 0
    flags |= syscalls.CLONE_NEWPID if told["pids"] else 0
    syscalls.unshare(flags)
    print(os.getpid(), flush=True)
    os.read(0, 1)  # and no more, which is for the program
    if told["users"]:
        os.setgid(0)
        os.setuid(0)
    syscalls.mount(None, "/", None, _SHARED)
    if told["pids"] and (child := os.fork()):
        print(child, flush=True)
        os.close(0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    if told["pids"]:
        syscalls.mount("proc", "/proc", "proc")
    syscalls.mount("tmpfs", "/run", "tmpfs", 0, "mode=755")


_PROGRAM = """
import json, os, sys
names = {}
for line in iter(sys.stdin.readline, ""):
    try:
        names["answer"] = None
        exec(json.loads(line), names)
        told = {"answer": names["answer"]}
    except Exception as error:
        told = {"error": type(error).__name__, "errno": getattr(error, "errno", None), "said": str(error)}
    print(json.dumps(told), flush=True)
"""


def main() -> None:
    """Be the container until its input ends."""
    become(json.loads(sys.argv[1]))
    # As a container's program is: executed in there, so that its user namespace is that of its memory, too.
    os.execv(sys.executable, [sys.executable, "-I", "-u", "-c", _PROGRAM])


if __name__ == "__main__":
    main()
