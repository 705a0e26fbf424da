"""What the old server gives to the new one when it stands still, and how that finds it again.

The descriptors come in this order: the journal, the /dev/fuse, the listening socket, the open files that came after
the new program was started, then those of the mount and of the socket.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fdstorefs.server.passed import NotUnderstood, Passed, understood
from fdstorefs.server.upgrading.former import Former
from fdstorefs.server.upgrading.parts import Parts
from fdstorefs.server.upgrading.talk import Message


@dataclass(frozen=True, slots=True)
class State:
    """Everything; every descriptor is the new server's. `files` are those that it did not have, by number.

    `unwanted` are numbers that the keeper has yet to be told to drop. Nobody was served since `still` (ns of
    time.monotonic_ns()). It was the `former` server's.
    """

    journal: int
    device_fd: int
    listening: socket.socket
    files: dict[int, int]
    mount: Passed
    socket: Passed
    unwanted: tuple[int, ...]
    still: int
    former: Former


def state_of(parts: Parts, known: Iterable[int]) -> tuple[dict[str, Any], list[int]]:
    """What is to be told, and the descriptors with it, all of which remain ours. `known` are the files that it has."""
    known = frozenset(known)
    files = [(number, fd) for number, fd in parts.keeping.everything() if number not in known]
    mount, connections = parts.mount_server.hand_over(), parts.socket_server.hand_over()
    single = [parts.keeping.journal_fd, parts.mounted.device_fd, parts.listening.fileno()]
    told = {
        "files": [number for number, _ in files],
        "mount": mount.told,
        "mountDescriptors": len(mount.descriptors),
        "socket": connections.told,
        "unwanted": sorted(parts.line.later),
    }
    return told, [*single, *(fd for _, fd in files), *mount.descriptors, *connections.descriptors]


def understand(message: Message, former: Former) -> State:
    """What `state_of` has told. Raises NotUnderstood, and then everything is closed."""
    descriptors = message.descriptors
    try:
        return understood("the state", lambda: _understand(message.told, descriptors, former))
    except NotUnderstood:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _understand(told: dict[str, Any], descriptors: list[int], former: Former) -> State:
    journal, device_fd, listening, *rest = descriptors
    numbers = [int(number) for number in told["files"]]
    files, rest = rest[: len(numbers)], rest[len(numbers) :]
    count = int(told["mountDescriptors"])
    return State(
        journal,
        device_fd,
        socket.socket(fileno=listening),
        dict(zip(numbers, files, strict=True)),
        Passed(told["mount"], rest[:count]),
        Passed(told["socket"], rest[count:]),
        tuple(told["unwanted"]),
        int(told["still"]),
        former,
    )
