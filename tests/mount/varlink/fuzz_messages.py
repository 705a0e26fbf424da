"""A fuzzer for the socket: calls with wrong, strange and damaged contents, against a running server.

For a long run: `python -m tests.mount.varlink.fuzz_messages --cases 100000`. It says what came back, and fails if
an answer is no Varlink, if the server stops answering, leaves a trace in its log, or grows.
"""

import argparse
import json
import os
import random
import socket
import string
import subprocess
import sys
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.mount.varlink.raw_client import INTERFACE, PATIENCE, SPACE, STANDARD, rights

METHODS = (
    "Stash",
    "Retrieve",
    "Take",
    "Discard",
    "List",
    "Describe",
    "Rename",
    "Link",
    "MakeBox",
    "RemoveBox",
    "Seal",
    "Unseal",
    "Watch",
    "Status",
)
KEYS = (
    "name",
    "names",
    "entries",
    "fileDescriptor",
    "from",
    "to",
    "replace",
    "mode",
    "label",
    "pattern",
    "details",
)
NAMES = (
    "a",
    "b",
    "box",
    "box/a",
    ".",
    "..",
    "",
    "/",
    ".fdstore",
    "a/../b",
    "x" * 300,
    "\udcff",
    "\0",
    "é",
    "a\nb",
)
GROWTH = 24 << 20
"""Bytes that a server may grow while it is fuzzed: buffers of the largest message, and no more with more cases."""


class Finding(AssertionError):
    """Something that must not happen."""


def message(source: random.Random) -> bytes:
    """One message, more or less a call."""
    data = json.dumps(_call(source)).encode()
    for _ in range(source.choice((0, 0, 0, 0, 0, 1, 2, 8))):
        data = _damaged(source, data)
    return data


def _call(source: random.Random) -> dict[str, Any]:
    interface = source.choice((INTERFACE, INTERFACE, INTERFACE, INTERFACE, STANDARD, "io.example"))
    call: dict[str, Any] = {
        "method": f"{interface}.{source.choice((*METHODS, 'GetInfo', 'GetInterfaceDescription'))}"
    }
    call["parameters"] = {key: _value(source, 0) for key in source.sample(KEYS, source.randrange(4))}
    if source.random() < 0.6:
        method, call["parameters"] = _sensible(source)
        call["method"] = f"{INTERFACE}.{method}"
    for flag in ("more", "oneway", "upgrade"):
        if source.random() < 0.15:
            call[flag] = source.choice((True, True, False, 1, None))
    return call


def _sensible(source: random.Random) -> tuple[str, dict[str, Any]]:
    """A method and parameters that it takes."""
    name, other = source.choice(NAMES), source.choice(NAMES)
    stashed = {"entries": [{"name": name, "fileDescriptor": 0}], "replace": True}
    return source.choice(
        (
            ("Stash", stashed),
            ("Stash", {**stashed, "label": "l"}),
            ("Retrieve", {"names": [name]}),
            ("Take", {"names": [name, other]}),
            ("Discard", {"names": [name]}),
            ("Describe", {"name": name}),
            ("MakeBox", {"name": name, "mode": 448}),
            ("RemoveBox", {"name": name}),
            ("Rename", {"from": name, "to": other, "replace": True}),
            ("Link", {"from": name, "to": other}),
            ("Seal", {"name": name}),
            ("Unseal", {"name": name}),
            ("List", {"pattern": "**", "details": True}),
            ("Watch", {}),
            ("Status", {}),
        )
    )


def _value(source: random.Random, depth: int) -> Any:
    if depth < 3 and source.random() < 0.3:
        items = [_value(source, depth + 1) for _ in range(source.randrange(4))]
        return items if source.random() < 0.5 else dict(zip(KEYS, items, strict=False))
    return source.choice((None, True, False, 0, -1, 2**31, 2**64, 1e300, 0.5, 256, *NAMES, _text(source)))


def _text(source: random.Random) -> str:
    return "".join(source.choice(string.printable) for _ in range(source.randrange(20)))


def _damaged(source: random.Random, data: bytes) -> bytes:
    at = source.randrange(len(data) + 1)
    match source.randrange(5):
        case 0:
            return data[:at] + bytes([source.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at]
        case 2:
            return data[:at] + data[max(0, at - source.randrange(40)) :]
        case 3:
            return data[:at] + bytes(source.randrange(256) for _ in range(source.randrange(9))) + data[at:]
        case _:
            return data[:at] + b"[{" * source.randrange(600) + data[at:]


def answers(path: str, data: bytes, descriptors: list[int]) -> list[dict[str, Any]]:
    """All that comes back for one message, to the end of the connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(path)
        try:
            client.sendmsg([data + b"\0"], rights(descriptors))
            client.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have seen enough
        found = []
        for part in _parts(client):
            found.append(_decoded(part))
            if found[-1].get("parameters", {}).get("change") == "ready":
                break  # it watches, and would do so for ever
        return found


def _decoded(part: bytes) -> dict[str, Any]:
    reply = json.loads(part)
    if not isinstance(reply, dict) or not reply.keys() <= {"error", "parameters", "continues"}:
        raise Finding(f"no reply of Varlink: {part!r}")
    return reply


def _parts(client: socket.socket) -> Iterator[bytes]:
    pending = b""
    while True:
        try:
            data, ancillary, _, _ = client.recvmsg(1 << 16, SPACE, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return
        except TimeoutError as error:
            raise Finding("the server does not answer") from error
        for _, _, payload in ancillary:
            for descriptor in array("i", payload):
                os.close(descriptor)
        if not data:
            return
        *whole, pending = (pending + data).split(b"\0")
        yield from whole


def fuzz(path: str, cases: int, seed: int) -> Counter[str]:
    """Send so many messages; counts what came back, by error. Raises Finding."""
    source = random.Random(seed)
    found: Counter[str] = Counter()
    descriptors = [os.memfd_create("fuzz"), *os.pipe()]
    try:
        for _ in range(cases):
            data = message(source)
            sent = source.sample(
                descriptors, source.choice((1, 1, 3) if b"Stash" in data else (0,) * 9 + (1,))
            )
            replies = answers(path, data, sent)
            found.update(str(reply.get("error", "a result")).rpartition(".")[2] for reply in replies)
            found["no reply"] += not replies
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    if found["Failed"]:
        raise Finding(f"the server failed {found['Failed']} times")
    return found


def memory(pid: int) -> int:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def main() -> None:
    """Fuzz a server of our own, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as mount, tempfile.TemporaryFile("w+") as log:
        ready, said = os.pipe()
        command = [sys.executable, "-m", "fdstorefs", "serve", "--ready-fd", str(said), mount]
        server = subprocess.Popen(command, pass_fds=[said], stderr=log)
        os.close(said)
        os.read(ready, 16)
        try:
            path = f"{mount}/.fdstore"
            print(fuzz(path, options.cases // 10, options.seed))
            before = memory(server.pid)
            print(fuzz(path, options.cases - options.cases // 10, options.seed + 1))
            print(f"grew by {memory(server.pid) - before} bytes, of {before}")
        finally:
            server.terminate()
            server.wait()
        log.seek(0)
        if "Traceback" in (text := log.read()):
            raise Finding(text)


if __name__ == "__main__":
    main()
