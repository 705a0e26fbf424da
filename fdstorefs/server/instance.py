"""One instance, put together: mount, store, socket, loop. The composition root of the server."""

import logging
import os
import signal
import socket
import time
from typing import Any

from fdstorefs import __version__
from fdstorefs.core.limits import Limits
from fdstorefs.core.store import Store
from fdstorefs.host import procfs
from fdstorefs.host.descriptors import Descriptors, raise_limit
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server import doorway, fuse, varlink
from fdstorefs.server.context import Context
from fdstorefs.server.intake import Intake
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import Mounted, MountError, mount_instance, unmount
from fdstorefs.server.options import ServeOptions
from fdstorefs.server.readiness_notice import announce
from fdstorefs.server.record import Records
from fdstorefs.server.subjects import Subjects

log = logging.getLogger(__name__)

DRAIN_SECONDS = 2.0


class Instance:
    """A mounted store that serves until it is told to stop or its mount is gone."""

    def __init__(self, options: ServeOptions, mounted: Mounted, limit: int) -> None:
        self._options = options
        self._mounted = mounted
        self._started = time.time_ns()
        self._descriptors = Descriptors()
        self._loop = Loop()
        self._context = self._make_context(limit)
        self._mount_server = fuse.serve_mount(self._context, mounted.device_fd, mounted.device, self._end)
        self._watch = doorway.MountWatch(self._loop, mounted.device, self._end)
        self._socket_server: varlink.VarlinkServer | None = None
        self._failure: BaseException | None = None
        self._ending = False

    def _make_context(self, limit: int) -> Context:
        options = self._options
        guard = RecursionGuard(self._mounted.device, os.getpid(), self._descriptors)
        intake = Intake(self._descriptors, guard, limit)
        entries = intake.capacity if options.entries is None else options.entries
        store = Store(
            uid=os.geteuid(),
            gid=os.getegid(),
            clock=time.time_ns,
            mode=options.mode,
            limits=Limits(entries, options.entries_per_uid),
        )
        return Context(
            loop=self._loop,
            store=store,
            intake=intake,
            subjects=Subjects(),
            records=Records(store),
            status=self.status,
        )

    def run(self) -> None:
        """Serve. Returns when the instance has ended and is unmounted; raises what kept it from starting."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal(number, self._end)
        self._loop.in_thread(lambda: doorway.bind(self._mounted.path), self._bound)
        self._loop.run()
        self._close()
        if self._failure is not None:
            raise self._failure

    def _bound(self, listening: socket.socket | BaseException) -> None:
        if isinstance(listening, BaseException):
            self._failure = MountError(f"cannot make the socket in {self._mounted.path}: {listening}")
            self._end()
            return
        self._socket_server = varlink.serve(self._context, listening)
        log.info("serving %s", self._mounted.path)
        announce(self._options.ready_fd)

    def _end(self) -> None:
        """Take the mount away while the loop still answers it, then stop. Called for every reason to end."""
        if self._ending:
            return
        self._ending = True
        self._watch.close()
        if self._socket_server is not None:
            self._socket_server.close()
            self._socket_server = None
        self._loop.in_thread(self._unmount, lambda _result: self._loop.stop())

    def _unmount(self) -> None:
        if procfs.mounts().on_device(self._mounted.device) is None:
            return
        try:
            unmount(self._mounted.path, lazy=True)
        except MountError as error:
            log.warning("%s", error.message)

    def _close(self) -> None:
        self._mount_server.close()
        left = self._descriptors.drain(DRAIN_SECONDS)
        if left:
            log.warning("%d descriptors are still being closed by their file servers", left)
        self._loop.close()

    def status(self) -> dict[str, Any]:
        """The reply of the interface's Status."""
        store, intake = self._context.store, self._context.intake
        return {
            "version": __version__,
            "mount": self._mounted.path,
            "pid": os.getpid(),
            "keeper": None,
            "uid": store.root.uid,
            "enforcement": "daemon",
            "enforcementReason": "owner and mode bits, checked by the server for every request",
            "policy": None,
            "entries": store.usage.total,
            "descriptors": intake.files,
            "limit": intake.limit,
            "connections": self._socket_server.connections if self._socket_server is not None else 0,
            "started": self._started,
            "method": self._mounted.method,
            "kernel": os.uname().release,
        }


def serve(options: ServeOptions) -> None:
    """Mount and serve one instance until it ends. Raises MountError if it cannot be mounted."""
    limit = raise_limit()
    Instance(options, mount_instance(options.mount), limit).run()
