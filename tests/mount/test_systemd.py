"""Under systemd: the units are sound, and an instance says when it serves."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable

import pytest

from tests.mount.cast import REPOSITORY, Cast

UNITS = [
    REPOSITORY / "systemd" / "fdstorefs@.service",
    REPOSITORY / "systemd" / "fdstorefs-enforcer.service",
    REPOSITORY / "systemd" / "user" / "fdstorefs.service",
]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_what_systemd_understands(unit: os.PathLike[str]) -> None:
    """systemd-analyze has nothing to say about them but that the man page isn't installed here."""
    manager = "--user" if "user" in os.fspath(unit) else "--system"
    with tempfile.TemporaryDirectory() as directory:
        name = os.path.basename(unit).replace("@.", "@run-fdstore.")
        copy = os.path.join(directory, name)
        with open(unit) as source, open(copy, "w") as target:
            target.write(source.read())
        argv = ["systemd-analyze", manager, "--man=no", "verify", copy]
        environment = {**os.environ, "XDG_RUNTIME_DIR": directory}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment, check=False)
    complaints = [line for line in done.stderr.splitlines() if name in line]

    assert complaints == []


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
