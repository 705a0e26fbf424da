"""Servers that a test can speak to from inside; and ones that give whatever they keep to whoever asks.

The server is the product's, with its own command line. Beside it a thread does what the test tells it: it has all
that the server has. In a compromised one the parts that say no say yes.
"""

import os
import socket
import threading
from typing import Any

from fdstorefs.cli.main import main
from fdstorefs.server.enforcement.authority import PolicyAuthority
from fdstorefs.server.guarding.finding import find
from fdstorefs.server.guarding.kernel_guard import KernelGuard
from tests.kernel.commands import prepare
from tests.kernel.role import obey

_REFUSING = ("require", "require_mode", "require_policy", "require_implied", "require_unoccupied")
_ASKED = ("may", "policy_allows", "exists")


def run(arguments: list[str], compromised: bool, log: int, ready: int, line: int) -> int:
    """Serve, and do what is asked for through `line`."""
    if compromised:
        _compromise()
    threading.Thread(target=obey, args=(socket.socket(fileno=line),), daemon=True).start()
    return main(prepare(arguments, log, ready))


def protect(enforcer: str, mount: str, pidfd: int) -> None:
    """Have a process guarded as this instance's keeper; for the thread inside the server."""
    line = find(enforcer)
    root = os.open(mount, os.O_PATH | os.O_DIRECTORY)
    line.call("Register", {"mount": mount, "mountDescriptor": 0, "previous": None}, [root], patience=60)
    line.call("Protect", {"process": 0}, [pidfd], patience=60)
    line.close()
    os.close(root)


def keep_silent() -> None:
    """Tell the enforcer of no file from now on."""
    for name in ("require", "settle"):
        setattr(KernelGuard, name, _nothing)


def _compromise() -> None:
    for name in _REFUSING:
        setattr(PolicyAuthority, name, _nothing)
    for name in _ASKED:
        setattr(PolicyAuthority, name, _yes)
    setattr(KernelGuard, "require_delivery", _nothing)  # noqa: B010 - a type checker knows it as something else


def _nothing(*_arguments: Any) -> None:
    return


def _yes(*_arguments: Any) -> bool:
    return True
