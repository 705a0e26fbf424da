"""Who connects to the service and says nothing keeps nobody out."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

from fdstorefs.client import host as client
from fdstorefs.containers.desk import LIMITS
from tests.mount.host.service import Service


def test_who_is_idle_gives_way(service: Callable[..., Service]) -> None:
    """All places of one user are taken, by connections without a call or with half of one."""
    host = service()
    with ExitStack() as connections:
        for number in range(LIMITS.connections.per_uid):
            idle = connections.enter_context(socket.socket(socket.AF_UNIX))
            idle.connect(host.socket)
            idle.send(b"{" * (number % 2))

        assert host.pid == client.status(host.socket).pid
