"""Under systemd: an instance says when it serves."""

import os
import socket
import sys
from collections.abc import Callable

import pytest

from tests.mount.cast import REPOSITORY, Cast


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_an_instance_tells_systemd_when_it_serves(
    cast: Cast, abstract: bool, wait_for: Callable[..., object]
) -> None:
    """READY=1 comes once the socket is there, to a path or to an abstract address."""
    mount, run = cast.directory(None, "fdstore-"), cast.directory(None, "run-")
    address = f"\0fdstorefs-{os.getpid()}" if abstract else f"{run}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(address)
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "NOTIFY_SOCKET": address.replace("\0", "@"),
        }
        server = cast.start([sys.executable, "-m", "fdstorefs", "serve", mount], env=environment)
        said = manager.recv(4096).decode().split("\n")

    assert said == ["READY=1", f"MAINPID={server.pid}"]
    assert os.path.exists(f"{mount}/.fdstore")
    server.terminate()
    assert server.wait(20) == 0
