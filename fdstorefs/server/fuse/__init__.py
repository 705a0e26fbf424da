"""The mount: names through pyfuse3, handles beside it, on one /dev/fuse that is ours (see `tap`)."""

import errno
from collections.abc import Callable

from fdstorefs.server.context import Context
from fdstorefs.server.fuse.device import Device
from fdstorefs.server.fuse.driver import Driver
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.lane import Lanes
from fdstorefs.server.fuse.names import Names, PyFuse
from fdstorefs.server.fuse.opening import Opening
from fdstorefs.server.fuse.own_sockets import OwnSockets
from fdstorefs.server.fuse.readiness import Readiness
from fdstorefs.server.fuse.tap import Tap
from fdstorefs.server.passed import Passed


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

    # Handing over to the server of another process

    def freeze(self, done: Callable[[], None]) -> None:
        """Read no more requests and begin nothing; `done` is called in the loop once `hand_over` may be."""
        raise NotImplementedError

    def thaw(self) -> None:
        """Go on as before, whether `done` was called or not (then it is called no more)."""
        raise NotImplementedError

    def hand_over(self) -> Passed:
        """All that another server must know to go on. From now on nothing is answered but what is `lingering`."""
        raise NotImplementedError

    def leave(self) -> None:
        """The other server serves: forget all but what is `lingering`. Nothing is answered, closed or given back."""
        raise NotImplementedError

    @property
    def lingering(self) -> frozenset[int]:
        """Calls that cannot be handed over, as a thread is at it: this server answers them in the end."""
        raise NotImplementedError

    @property
    def needed(self) -> frozenset[int]:
        """The descriptors that have to stay open for what is `lingering`; none when there is nothing."""
        raise NotImplementedError

    def interrupt(self, unique: int) -> None:
        """A signal has arrived for the caller of a lingering call. Harmless if there is no such call."""
        raise NotImplementedError

    # Taking over from it

    def begin(self) -> None:
        """Serve, after `take_over`."""
        raise NotImplementedError

    @property
    def elsewhere(self) -> frozenset[int]:
        """Calls that the former server still has to answer."""
        raise NotImplementedError

    def answered_elsewhere(self, unique: int) -> None:
        """The former server has answered one of these."""
        raise NotImplementedError

    def former_is_gone(self) -> None:
        """It will answer no more: those calls fail with EIO."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop serving: who waits gets ENOTCONN, handles give back what they hold, the device is closed."""
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


def take_over(
    context: Context,
    passed: Passed,
    device_fd: int,
    own_device: int,
    on_unmounted: Callable[[], None],
    pass_interrupt: Callable[[int], None],
) -> MountServer:
    """Go on for a server that has handed over, from `begin` on: until then nothing is read, answered or registered.

    The context's store has what that one's had under names. What was passed is taken over, and `device_fd`. A signal
    for the caller of a call that the former server still has to answer is told to `pass_interrupt`.

    Raises NotUnderstood, OSError.
    """
    raise NotImplementedError
