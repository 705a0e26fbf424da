"""A container as the place of an instance."""

from collections.abc import Callable

from fdstorefs.containers import errand, mounting
from fdstorefs.containers.container import Container
from fdstorefs.host.file_kind import stored_files_are_from
from fdstorefs.server.mounting import Mounted


class ContainerPlace:
    """The mount namespace of a container (see `server.place.Place`), once this process is in its user namespace.

    `device` is a connection to FUSE that was opened there, and `leave_off` is called before it is unmounted.
    """

    def __init__(self, container: Container, device: int, leave_off: Callable[[], None]) -> None:
        self._leave_off = leave_off
        self._container = container
        self._device = device
        self._copy = self._table = -1

    def find(self, mountpoint: str) -> str:
        """As `Place` has it; it is made, if it is missing."""
        brought = errand.send(self._container, lambda inside: mounting.find(inside, mountpoint))
        path: str = brought.told["path"]
        return path

    def mount(self, path: str, former: int | None) -> Mounted:
        """As `Place` has it. Call it once."""
        device = self._device
        brought = errand.send(
            self._container, lambda inside: mounting.mount(inside, path, device, former), (device,)
        )
        self._copy, self._table, table = brought.descriptors
        stored_files_are_from(table)
        return Mounted(device, path, "mount", brought.told["device"])

    def unmount(self, mounted: Mounted) -> None:
        """As `Place` has it."""
        self._leave_off()
        errand.send(self._container, lambda inside: mounting.unmount(inside, mounted.device))

    def open_root(self, _mounted: Mounted) -> int:
        """As `Place` has it. The one that was made with the mount."""
        copy, self._copy = self._copy, -1
        return copy

    def open_table(self) -> int:
        """As `Place` has it. The one that was opened with the mount."""
        table, self._table = self._table, -1
        return table
