"""A user has only so many descriptors on their way. What the kernel refuses then is told, and nothing is lost."""

import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

from tests.mount.cast import ORDINARY_USER
from tests.mount.instance import Instance
from tests.mount.test_mounting import needs_root

Start = Callable[..., Instance]
LIMIT, MORE = 1100, 4096

# Holds descriptors of its user on their way, in sockets that nobody reads, until its input ends.
HOLD = f"""
import array, os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({MORE}, {MORE}))
pairs = [socket.socketpair() for _ in range(6)]
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 253))]
for ours, _ in pairs:
    ours.sendmsg([b"x"], rights)
print("held", flush=True)
sys.stdin.read()
"""

# Makes the call in its argument over and over, each time after a line of input, and prints what came of it.
ASK = """
import os, resource, sys
import fdstorefs
mount, call, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
file = os.memfd_create("precious")
with fdstorefs.connect(mount) as store:
    store.stash("there", file)
    print("ready", flush=True)
    for _ in sys.stdin:
        try:
            {
                "retrieve": lambda: store.retrieve("there").close(),
                "take": lambda: store.take("there").close(),
                "stash": lambda: store.stash("new", os.memfd_create("new")),
            }[call]()
            said = "done"
        except fdstorefs.StoreError as error:
            said = f"{type(error).__name__} {error.errno}"
        print(said, *[entry.name for entry in store.list()], flush=True)
"""


@contextmanager
def running(instance: Instance, text: str, *arguments: str) -> Any:
    """A program that has said that it is ready."""
    process = instance.popen([sys.executable, "-c", text, *arguments], user=ORDINARY_USER, stdin=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), process.stderr.read() if process.stderr else ""
        yield process
    finally:
        process.stdin.close()
        process.wait(20)


def asked(process: Any) -> str:
    """What comes of the next call."""
    process.stdin.write("\n")
    process.stdin.flush()
    said: str = process.stdout.readline()
    return said.strip()


@needs_root
@pytest.mark.parametrize(
    ("call", "limit", "after"),
    [
        pytest.param("retrieve", MORE, "there", id="the server cannot send them to the client"),
        pytest.param("take", MORE, "", id="nor give them away"),
        pytest.param("stash", MORE, "new there", id="nor to its keeper"),
        pytest.param("stash", LIMIT, "new there", id="the client cannot send them"),
    ],
)
def test_what_the_kernel_refuses_is_told_and_can_be_done_again(
    running_instance: Start, call: str, limit: int, after: str
) -> None:
    """Overloaded, EAGAIN: the store has what it had before, and has it done once those others have arrived."""
    instance = running_instance(user=ORDINARY_USER, descriptors=LIMIT)
    with running(instance, ASK, instance.mount, call, str(limit)) as client:
        with running(instance, HOLD):
            while_held = asked(client)
        # The kernel counts what nobody will read any more until it has looked for it.
        released = next(said for said in iter(lambda: asked(client), "") if not said.startswith("Overloaded"))

    assert "Overloaded 11 there" == while_held
    assert f"done {after}".strip() == released
