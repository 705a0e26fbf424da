"""What the service for containers can be told when it starts."""

import os
from dataclasses import dataclass

from fdstorefs.interface.host import SOCKET
from fdstorefs.server.options import ServeOptions

MOUNT = "/run/fdstore"
"""Where an instance is mounted in a container, if nobody says otherwise."""

__all__ = ["MOUNT", "SOCKET", "HostOptions"]


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How to serve containers. `serve` is for each instance, but for its `mount`, `ready_fd`, `keeper` and `ends_with`.

    `ready_fd`: a descriptor to write `ready` to once requests are served.
    """

    serve: ServeOptions
    socket: str = SOCKET
    ready_fd: int | None = None

    @property
    def records(self) -> str:
        """The directory that has the records of instances."""
        return f"{os.path.splitext(self.socket)[0]}.instances"
