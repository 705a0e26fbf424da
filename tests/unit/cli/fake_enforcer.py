"""A socket that answers as an enforcer does."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

from fdstorefs.interface.enforcer import NAME
from tests.unit.cli.conftest import NOON

STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "pid": 70,
    "started": NOON,
    "abi": 1,
    "generation": 4,
    "loaded": NOON + 61_000_000_000,
    "hash": "5c",
    "lockdown": False,
    "hooks": ["file_receive", "file_fcntl"],
    "files": ["/p/web.yaml", "/p/a\nb.yaml"],
    "warnings": 2,
    "rejected": {"when": NOON, "message": "/p/web.yaml:3:5: error"},
    "policies": [
        {"name": "web", "mode": "enforce", "rules": 3, "file": "/p/web.yaml", "switched": False},
        {"name": "trial", "mode": "monitor", "rules": 1, "file": "/p/a\nb.yaml", "switched": True},
    ],
    "instances": [
        {
            "number": 1,
            "mount": "/run/fdstore",
            "pid": 77,
            "uid": 1000,
            "policies": ["web", "trial"],
            "guarded": 12,
            "connected": True,
            "ended": False,
        },
        {
            "number": 2,
            "mount": "/run/user/1/fdstore",
            "pid": 78,
            "uid": 1,
            "policies": ["web"],
            "guarded": 0,
            "connected": False,
            "ended": False,
        },
        {
            "number": 3,
            "mount": "/srv",
            "pid": 79,
            "uid": 0,
            "policies": [],
            "guarded": 1,
            "connected": False,
            "ended": True,
        },
    ],
    "audit": [{"target": "journald", "written": 7, "lost": 1}],
    "lost": 9,
    "pins": "/sys/fs/bpf/fdstorefs/v1",
}


class FakeEnforcer:
    """Answers each method as `replies` says: parameters, the bytes themselves, or None to hang up. Notes `calls`."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.replies: dict[str, dict[str, Any] | bytes | None] = {"Status": {"parameters": STATUS}}
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def refuse(self, method: str, error: str, **parameters: object) -> None:
        """Answer a method with an error."""
        self.replies[method] = {"error": f"{NAME}.{error}", "parameters": parameters}

    def close(self) -> None:
        """Listen no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        received = b""
        while not received.endswith(b"\0"):
            received += connection.recv(65536)
        call = json.loads(received[:-1])
        interface, _, method = call["method"].rpartition(".")
        assert interface == NAME
        self.calls.append((method, call["parameters"]))
        reply = self.replies[method]
        if reply is not None:
            connection.sendall(reply if isinstance(reply, bytes) else json.dumps(reply).encode() + b"\0")
