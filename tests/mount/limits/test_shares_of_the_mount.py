"""Limits that are set hold at both doors and are told; handles in the mount are shared by users."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import fdstorefs
from fdstorefs.server.budget import budget
from tests.mount.cast import ORDINARY_USER, Cast
from tests.mount.instance import Instance
from tests.mount.test_mounting import needs_root

Start = Callable[..., Instance]
LIMIT = 1024
EVERYTHING = "examples/policies/everything.yaml"

OPEN_ALL = """
import errno, os, sys
handles = []
try:
    while True:
        handles.append(os.open(sys.argv[1], os.O_RDONLY))
except OSError as error:
    print(errno.errorcode[error.errno], len(handles), flush=True)
sys.stdin.read()
"""


@contextmanager
def many_handles(instance: Instance, entry: str) -> Iterator[list[str]]:
    """An ordinary user opens an entry until he is refused, and keeps them; what he was told, and how many he has."""
    process = instance.popen([sys.executable, "-c", OPEN_ALL, entry], user=ORDINARY_USER, stdin=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()
    finally:
        process.stdin.close()
        process.wait(20)


@needs_root
def test_one_user_cannot_take_all_handles(running_instance: Start, cast: Cast) -> None:
    """He is refused with EDQUOT, others open what they like, and what he closes he can open again."""
    os.chmod(cast.home(None), 0o755)
    instance = running_instance(arguments=["--policy", EVERYTHING], descriptors=LIMIT)
    entry = f"{instance.mount}/shared"
    with fdstorefs.connect(instance.mount) as store:
        file = os.memfd_create("shared")
        store.stash("shared", file, mode=0o666)
        os.close(file)
    with many_handles(instance, entry) as told:
        others = [os.open(entry, os.O_RDONLY) for _ in range(3)]
    with many_handles(instance, entry) as again:
        pass
    for descriptor in others:
        os.close(descriptor)
    most = str(budget(LIMIT).handles.per_uid)

    assert ["EDQUOT", most] == told
    assert ["EDQUOT", most] == again


def test_a_box_holds_as_many_as_it_was_told(running_instance: Start) -> None:
    """Through the socket and through the mount; `status` says the number, as text and as JSON."""
    instance = running_instance(arguments=["--entries-per-box", "2"])
    with fdstorefs.connect(instance.mount) as store:
        store.make_box("box")
        store.stash_many({"box/a": 0, "box/b": 0})
        with pytest.raises(fdstorefs.QuotaExceeded, match="the box `box` is full: it may hold 2"):
            store.stash("box/c", 0)
        status = store.status()
    with pytest.raises(OSError, match="quota") as told:
        os.mkdir(f"{instance.mount}/box/c")
    said = instance.run([sys.executable, "-m", "fdstorefs", "--at", instance.mount, "status"]).stdout

    assert errno.EDQUOT == told.value.errno
    assert status.limits is not None
    assert 2 == status.limits["entriesPerBox"]
    assert ", 2 in a box, " in said
