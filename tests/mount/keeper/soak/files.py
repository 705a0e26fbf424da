"""Open files of all sorts, with the other side where there is one."""

import os
import random
import socket
import tempfile

from tests.mount.keeper.soak.model import Item

LARGE_BYTES = 65 * 2**20
"""Closing one that large may take a while, so it is left to somebody who has time."""


def new_item(choice: random.Random) -> Item:
    """One of them."""
    return choice.choice(_WAYS)()


def small_memory() -> Item:
    """A few bytes."""
    fd = os.memfd_create("small")
    os.write(fd, b"small")
    return Item(fd)


def large_memory() -> Item:
    """Many, none of them written."""
    fd = os.memfd_create("large")
    os.ftruncate(fd, LARGE_BYTES)
    return Item(fd)


def file() -> Item:
    """On a disk."""
    fd, path = tempfile.mkstemp()
    os.unlink(path)
    return Item(fd)


def event() -> Item:
    """All of these have one inode number."""
    return Item(os.eventfd(0))


def reader() -> Item:
    """Of a pipe."""
    ours, peer = os.pipe()
    return Item(ours, peer)


def writer() -> Item:
    """Of a pipe."""
    peer, ours = os.pipe()
    return Item(ours, peer)


def connected() -> Item:
    """A Unix socket."""
    ours, peer = socket.socketpair()
    return Item(ours.detach(), peer.detach())


def listening() -> Item:
    """A TCP socket."""
    made = socket.create_server(("127.0.0.1", 0))
    return Item(made.detach())


WITH_PEER = (reader, writer, connected)
_WAYS = (small_memory, small_memory, large_memory, file, event, listening, *WITH_PEER)
