"""The mount: names through pyfuse3, handles beside it, on one /dev/fuse that is ours (see `tap`)."""

import errno
from collections.abc import Callable

from fdstorefs.server.budget import budget
from fdstorefs.server.context import Context
from fdstorefs.server.fuse.device import Device
from fdstorefs.server.fuse.driver import Driver
from fdstorefs.server.fuse.handing_over import HandingOver
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.lane import GiveBack, Lanes
from fdstorefs.server.fuse.left_names import LeftNames
from fdstorefs.server.fuse.names import Names, PyFuse
from fdstorefs.server.fuse.opening import Opening
from fdstorefs.server.fuse.own_sockets import OwnSockets
from fdstorefs.server.fuse.readiness import Readiness
from fdstorefs.server.fuse.requests import Requests
from fdstorefs.server.fuse.taking_over import Parts
from fdstorefs.server.fuse.taking_over import take_over as take_over_mount
from fdstorefs.server.fuse.tap import Tap
from fdstorefs.server.fuse.transfer import Unfinished
from fdstorefs.server.passed import Passed


class MountServer:
    """Serves one mount in the context's loop, from `begin` on.

    `device` is the st_dev of what is mounted. There can be one in a process, which must never touch a path in
    its own mount from the loop.
    """

    def __init__(
        self, context: Context, device_fd: int, device: int, on_unmounted: Callable[[], None]
    ) -> None:
        self.device = device
        self._context = context
        self._loop = context.loop
        self._connection = Device(device_fd)
        self._handles = Handles(budget(context.intake.limit).handles)
        self._lanes = Lanes(context.loop, readiness := Readiness(context.loop))
        self._opening = Opening(context, self._handles, self._lanes, readiness, self._connection.notify_poll)
        self._names = Names(context, self._handles, self._opening)
        self._driver = Driver(PyFuse(self._names))
        self._tap = Tap(self._connection, self._handles, self._driver.exchange, self._end)
        self._left_names = LeftNames(context.loop, self._connection, context.store.tree)
        self._on_unmounted = on_unmounted
        self._requests = Requests(self._connection, self._tap, context.loop.call_soon)
        self._begun: list[Unfinished] = []
        self._handing_over = HandingOver(context.store, self._handles, self._names, self._lanes, self._tap)

    def begin(self) -> None:
        """Serve: first what another server has left undone, if there was one, then what the kernel asks."""
        self._loop.register(self._connection.descriptor, self._requests.readable)
        for handle in self._handles:
            handle.begin()
        begun, self._begun = self._begun, []
        for unfinished in begun:
            self._tap.serve_again(*unfinished)

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

    # Handing over to the server of another process, and taking over from it

    def freeze(self, done: Callable[[], None]) -> None:
        """Read no more requests and begin nothing; `done` is called in the loop once `hand_over` may be."""
        self._loop.unregister(self._connection.descriptor)
        self._requests.serve_all()
        self._handing_over.freeze(done)

    def thaw(self) -> None:
        """Go on as before, whether `done` was called or not (then it is called no more)."""
        self._handing_over.thaw()
        self._loop.register(self._connection.descriptor, self._requests.readable)

    def hand_over(self) -> Passed:
        """All that another server must know to go on. From now on nothing is answered but what is `lingering`.

        What is passed is this server's until it ends. Raises OSError, and can be thawed then.
        """
        return self._handing_over.hand_over()

    def leave(self, on_answered: Callable[[int], None], give_back: GiveBack | None = None) -> None:
        """The other server serves: forget all but what is `lingering`, and tell of each of these that is answered.

        What would go on to linger without a thread at it, as it waits for data, is told to `give_back`, and is the
        other server's then (`given_back`). Without that it is waited for here, for as long as it takes.

        Nothing else is answered, closed or released, and this object cannot be closed.
        """
        self._handing_over.on_answered = on_answered
        self._handing_over.leave(give_back)

    @property
    def lingering(self) -> frozenset[int]:
        """Calls that cannot be handed over, as a thread is at it: this server answers them in the end."""
        return self._handing_over.lingering

    @property
    def needed(self) -> frozenset[int]:
        """The descriptors that have to stay open for what is `lingering`, the device and the loop's own among them."""
        return self._handing_over.needed | {self._connection.descriptor} | self._loop.own

    def interrupt(self, unique: int) -> None:
        """A signal has arrived for the caller of a lingering call. Harmless if there is no such call."""
        self._tap.interrupt(unique)

    def take_over(self, passed: Passed, pass_interrupt: Callable[[int], None]) -> None:
        """Put everything in its place that another server has passed; before `begin`. See `take_over`."""
        self._tap.elsewhere.pass_interrupt = pass_interrupt
        parts = Parts(self._context, self._handles, self._opening, self._names, self._tap)
        self._begun = take_over_mount(parts, passed)

    @property
    def elsewhere(self) -> frozenset[int]:
        """Calls that the former server still has to answer."""
        return self._tap.elsewhere.numbers

    def answered_elsewhere(self, unique: int) -> None:
        """The former server has answered one of these. Harmless if it is none."""
        self._tap.answered_elsewhere(unique)
        self._handing_over.look()

    def given_back(self, unique: int, moved: int) -> None:
        """The former server has not answered one of these, but has moved so many bytes: go on with it."""
        self._tap.serve_given_back(unique, moved)
        self._handing_over.look()

    def former_is_gone(self) -> None:
        """It will answer no more: those calls fail with EIO."""
        self._tap.fail_elsewhere(errno.EIO)
        self._handing_over.look()

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
    server = MountServer(context, device_fd, own_device, on_unmounted)
    server.begin()
    return server


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
    server = MountServer(context, device_fd, own_device, on_unmounted)
    server.take_over(passed, pass_interrupt)
    return server
