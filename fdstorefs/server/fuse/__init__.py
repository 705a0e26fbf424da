"""The mount: names through pyfuse3, handles beside it, on one /dev/fuse that is ours (see `tap`)."""

import errno
from collections.abc import Callable

from fdstorefs.server.context import Context
from fdstorefs.server.fuse.device import Device
from fdstorefs.server.fuse.driver import Driver
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.lane import Lanes
from fdstorefs.server.fuse.left_names import LeftNames
from fdstorefs.server.fuse.names import Names, PyFuse
from fdstorefs.server.fuse.opening import Opening
from fdstorefs.server.fuse.own_sockets import OwnSockets
from fdstorefs.server.fuse.readiness import Readiness
from fdstorefs.server.fuse.tap import Tap


class MountServer:
    """Serves one mount in the context's loop, from the moment it is made.

    `device` is the st_dev of what is mounted. There can be one in a process, which must never touch a path in
    its own mount from the loop.
    """

    def __init__(
        self, context: Context, device_fd: int, device: int, on_unmounted: Callable[[], None]
    ) -> None:
        self.device = device
        self._loop = context.loop
        self._connection = Device(device_fd)
        self._handles = Handles()
        self._lanes = Lanes(context.loop, readiness := Readiness(context.loop))
        opening = Opening(context, self._handles, self._lanes, readiness, self._connection.notify_poll)
        self._names = Names(context, self._handles, opening)
        self._driver = Driver(PyFuse(self._names))
        self._tap = Tap(self._connection, self._handles, self._driver.exchange, self._end)
        self._left_names = LeftNames(context.loop, self._connection, context.store.tree)
        self._on_unmounted = on_unmounted
        context.loop.register(device_fd, self._tap.readable)

    def _end(self) -> None:
        self._loop.unregister(self._connection.descriptor)
        self._on_unmounted()

    @property
    def sockets(self) -> OwnSockets:
        """The store's own sockets in the mount."""
        return self._names.sockets

    @property
    def handles(self) -> int:
        """How many handles clients have open."""
        return len(self._handles)

    def close(self) -> None:
        """Stop serving: who waits gets ENOTCONN, handles give back what they hold, the device is closed."""
        self._left_names.close()
        self._loop.unregister(self._connection.descriptor)
        self._tap.fail_all(errno.ENOTCONN)
        self._handles.release_all()
        self._lanes.close()
        self._driver.close()
        self._connection.close()


def serve_mount(
    context: Context, device_fd: int, own_device: int, on_unmounted: Callable[[], None]
) -> MountServer:
    """Serve the mount behind `device_fd`, a /dev/fuse that doesn't block and is the server's from now on.

    `own_device` is the st_dev of what is mounted. `on_unmounted` is called once, in the loop, when the mount
    is gone.
    """
    return MountServer(context, device_fd, own_device, on_unmounted)
