"""Handing descriptors from one actor to another, through a Unix socket."""

import socket
from collections.abc import Sequence
from typing import Any

from tests.kernel import attempts
from tests.kernel.actor import Obedient


def handed(
    giver: Obedient,
    receiver: Obedient,
    name: str,
    *,
    as_duplicate: bool = False,
    flags: Sequence[int] = (attempts.NO_FLAGS,),
) -> list[dict[str, Any]]:
    """What arrives when the giver sends what it has of that name; the receiver looks once with each of the flags."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        giver.call(attempts.hand, name, as_duplicate, descriptors=(ours.fileno(),))
        return [receiver.call(attempts.receive, each, descriptors=(theirs.fileno(),)) for each in flags]
