"""The notice that an instance serves: to whoever waits on a descriptor, and to systemd (see sd_notify(3))."""

import os
import socket


def announce(ready_fd: int | None) -> None:
    """Say once that the instance serves. Raises OSError if who asked to be told cannot be."""
    if ready_fd is not None:
        os.write(ready_fd, b"ready\n")
        os.close(ready_fd)
    address = os.environ.pop("NOTIFY_SOCKET", None)
    if address:
        _notify(address, f"READY=1\nMAINPID={os.getpid()}")


def _notify(address: str, state: str) -> None:
    # A leading @ stands for the NUL of an abstract address.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connected:
        connected.sendto(state.encode(), name)
