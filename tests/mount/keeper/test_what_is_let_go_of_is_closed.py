"""What leaves the store is closed in server and keeper: its other side hangs up, and the kernel's tag goes with it."""

import os
import select
from collections.abc import Callable
from contextlib import suppress

import pytest

import fdstorefs
from tests.mount.instance import Instance
from tests.mount.keeper.test_kill_9 import kill
from tests.mount.tortured import connect

Start = Callable[..., Instance]
SECONDS = 20


def replace(store: fdstorefs.Store) -> None:
    """Have another open file in its place."""
    other = os.memfd_create("other")
    store.stash("x", other, replace=True)
    os.close(other)


def expire(store: fdstorefs.Store) -> None:
    """Have it go by itself."""
    os.setxattr(f"{store.status().mount}/x", "user.fdstorefs.expires", b"0.01s")


WAYS: dict[str, Callable[[fdstorefs.Store], object]] = {
    "discard": lambda store: store.discard("x"),
    "unlink": lambda store: os.unlink(f"{store.status().mount}/x"),
    "take": lambda store: store.take("x").close(),
    "replace": replace,
    "expire": expire,
}


def await_closed(descriptor: int) -> bool:
    """Whether the other side of a pipe is closed everywhere, at last."""
    watched = select.poll()
    watched.register(descriptor, 0)
    return bool(watched.poll(SECONDS * 1000))


@pytest.mark.parametrize("kills", [[], ["keeper"], ["server"]], ids="-".join)
@pytest.mark.parametrize("way", WAYS)
def test_nobody_has_it_any_more(running_instance: Start, way: str, kills: list[str]) -> None:
    """However it leaves, and whoever was killed before."""
    instance = running_instance()
    reader, writer = os.pipe()
    with fdstorefs.connect(instance.mount) as store:
        store.stash("x", writer)
    os.close(writer)
    for who in kills:
        kill(instance.mount, who)

    with connect(instance.mount) as store:
        WAYS[way](store)

    assert await_closed(reader)
    os.close(reader)


def test_nor_what_was_refused(running_instance: Start) -> None:
    """It never was in the store."""
    instance = running_instance()
    reader, writer = os.pipe()
    with fdstorefs.connect(instance.mount) as store:
        store.stash("x", reader)
        with suppress(fdstorefs.EntryExists):
            store.stash("x", writer)
        os.close(writer)

    assert await_closed(reader)
    os.close(reader)
