"""A store behind a mount and nothing else: no socket, no command line.

`python -m tests.mount.fuse.serving MOUNT [ENTRIES] [LIMIT]` mounts, prints `ready`, and serves. Each line on its
standard input is answered with a line of JSON: what the server holds. It ends when the mount is gone, or when
its standard input is closed: then it unmounts.
"""

import json
import os
import signal
import sys
import threading
import time

from fdstorefs.core.limits import Limits
from fdstorefs.core.store import Store
from fdstorefs.host.descriptors import Descriptors, raise_limit
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server import fuse
from fdstorefs.server.context import Context
from fdstorefs.server.intake import Intake
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import Mounted, mount_instance, unmount
from fdstorefs.server.record import Records
from fdstorefs.server.subjects import Subjects


def make_context(loop: Loop, mounted: Mounted, entries: int | None, limit: int) -> Context:
    """A store with the usual parts."""
    guard = RecursionGuard(mounted.device, os.getpid())
    store = Store(uid=os.geteuid(), gid=os.getegid(), clock=time.time_ns, limits=Limits(entries))
    intake = Intake(Descriptors(), guard, limit)
    return Context(loop, store, intake, Subjects(), Records(store), dict)


def answer_questions(loop: Loop, context: Context, server: fuse.MountServer, end: threading.Event) -> None:
    """Report what is held, once for each line on standard input; unmount at its end."""

    def ask(_events: int) -> None:
        if not os.read(0, 4096):
            loop.unregister(0)
            end.set()
            return
        report = {
            "descriptors": len(os.listdir("/proc/self/fd")) - 1,
            "files": context.intake.files,
            "handles": server.handles,
            "nodes": len(context.store.tree.nodes),
            "threads": threading.active_count(),
        }
        print(json.dumps(report), flush=True)

    loop.register(0, ask)


def main(mountpoint: str, entries: str = "", limit: str = "") -> None:
    """Mount, serve, unmount."""
    # A server that is stuck must not outlive its test: when it ends its clients come free.
    signal.alarm(110)
    mounted = mount_instance(mountpoint)
    loop = Loop()
    context = make_context(loop, mounted, int(entries) if entries else None, int(limit or raise_limit()))
    server = fuse.serve_mount(context, mounted.device_fd, mounted.device, loop.stop)
    end = threading.Event()
    answer_questions(loop, context, server, end)
    threading.Thread(target=lambda: end.wait() and unmount(mountpoint, lazy=True), daemon=True).start()
    print("ready", flush=True)
    loop.run()
    server.close()
    loop.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
