"""How long one user's stash takes while another user floods the instance. `python -m benchmarks.under_flood`

As root: the flood runs as one uid, whoever is measured as another. Nothing fails for being slow. The unit is the median
of the same stash while nobody else asks: the ratios are what to compare, the microseconds are one machine's.
"""

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles

import fdstorefs
from fdstorefs.server.budget import budget

FLOODING_UID, MEASURED_UID = 60_001, 60_002
CONNECTIONS, THREADS = 256, 64
SAMPLES, SETTLE_SECONDS = 400, 1.0

Stash = Callable[[int], None]


def main() -> None:
    """Print a table."""
    with _instance() as mount:
        alone = {door: _measured(mount, door) for door in ("socket", "mount")}
        print("| flood | stash through | median | 99 of 100 | median to alone |")
        print("| --- | --- | ---: | ---: | ---: |")
        for name, flood in (
            ("none", None),
            (f"{_share()} connections", _connections),
            ("64 threads", _threads),
        ):
            with _flooding(mount, flood):
                for door in ("socket", "mount"):
                    times = _measured(mount, door)
                    ratio = median(times) / median(alone[door])
                    most = quantiles(times, n=100)[-1]
                    print(
                        f"| {name} | {door} | {median(times) * 1e6:.0f} us | {most * 1e6:.0f} us | {ratio:.1f} |"
                    )


@contextmanager
def _instance() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fdstorefs-flood-") as directory:
        os.chmod(directory, 0o755)
        mount = f"{directory}/m"
        os.mkdir(mount)
        reader, writer = os.pipe()
        server = subprocess.Popen(
            [sys.executable, "-m", "fdstorefs", "serve", "--ready-fd", str(writer), mount], pass_fds=[writer]
        )
        os.close(writer)
        os.read(reader, 16)
        try:
            yield mount
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


@contextmanager
def _flooding(mount: str, flood: Callable[[str], None] | None) -> Iterator[None]:
    if flood is None:
        yield
        return
    child = _child(FLOODING_UID, lambda: flood(mount))
    time.sleep(SETTLE_SECONDS)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _child(uid: int, work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        work()
    except Exception:  # noqa: BLE001  whatever it is, this process must not go on as its parent would
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _measured(mount: str, door: str) -> list[float]:
    """Seconds that each of many stashes took, of a process of its own."""
    reader, writer = os.pipe()
    child = _child(MEASURED_UID, lambda: _tell(writer, _sample(mount, door)))
    os.close(writer)
    with open(reader) as told:
        times: list[float] = json.load(told)
    os.waitpid(child, 0)
    return times


def _tell(writer: int, times: list[float]) -> None:
    os.write(writer, json.dumps(times).encode())


def _sample(mount: str, door: str) -> list[float]:
    stash = _by_socket(mount) if door == "socket" else _by_mount(mount)
    times = []
    for _ in range(SAMPLES):
        file = os.memfd_create("sample")
        before = time.perf_counter()
        stash(file)
        times.append(time.perf_counter() - before)
        os.close(file)
    return times


def _by_socket(mount: str) -> Stash:
    store = fdstorefs.connect(mount)
    return lambda file: store.stash("measured", file, replace=True)


def _by_mount(mount: str) -> Stash:
    path = f"{mount}/measured-{os.getpid()}"

    def stash(file: int) -> None:
        entry = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(entry, b"%d" % file)
        os.close(entry)

    return stash


def _connections(mount: str) -> None:
    """So many connections that each ask again as soon as they have an answer."""
    file = os.memfd_create("flood")
    waiting = select.epoll()
    connections = {}
    for number in range(_share()):
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(f"{mount}/.fdstore")
        call = {
            "method": "io.fdstorefs.Store.Stash",
            "parameters": {"entries": [{"name": f"flood{number}", "fileDescriptor": 0}], "replace": True},
        }
        connections[connected.fileno()] = connected, json.dumps(call).encode() + b"\0"
        waiting.register(connected, select.EPOLLIN)
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file]))]
    for connected, call_bytes in connections.values():
        connected.sendmsg([call_bytes], beside)
    while True:
        for fd, _ in waiting.poll():
            connected, call_bytes = connections[fd]
            connected.recv(4096)
            connected.sendmsg([call_bytes], beside)


def _share() -> int:
    """As many connections as one user may have at the limit of descriptors that the instance has, too."""
    return min(CONNECTIONS, budget(resource.getrlimit(resource.RLIMIT_NOFILE)[1]).connections.per_uid)


def _threads(mount: str) -> None:
    """So many threads that each stash by writing a number into an entry, over and over."""
    file = os.memfd_create("flood")

    def flood(number: int) -> None:
        path = f"{mount}/flood{number}"
        while True:
            entry = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(entry, b"%d" % file)
            finally:
                os.close(entry)

    threads = [threading.Thread(target=flood, args=[number], daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    threads[0].join()


if __name__ == "__main__":
    main()
