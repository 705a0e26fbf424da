"""Parcels: JSON and any number of descriptors, from one process to another over a stream."""

import json
import os
import socket
from typing import Any

MOST = 200


def send(end: socket.socket, told: Any, descriptors: list[int]) -> None:
    """Send one."""
    memory = os.memfd_create("parcel")
    with os.fdopen(memory, "wb+") as file:
        file.write(json.dumps([told, len(descriptors)]).encode())
        file.flush()
        socket.send_fds(end, [b"."], [memory])
    for at in range(0, len(descriptors), MOST):
        socket.send_fds(end, [b"."], descriptors[at : at + MOST])


def receive(end: socket.socket) -> tuple[Any, list[int]]:
    """Receive one; EOFError at the end."""
    told, count = json.loads(_read(_some(end)[0]))
    descriptors: list[int] = []
    while len(descriptors) < count:
        descriptors += _some(end)
    return told, descriptors


def _some(end: socket.socket) -> list[int]:
    data, descriptors, _, _ = socket.recv_fds(end, 1, MOST)
    if not data:
        raise EOFError
    return descriptors


def _read(memory: int) -> bytes:
    with os.fdopen(memory, "rb") as file:
        file.seek(0)
        return file.read()
