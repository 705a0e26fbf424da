"""Looking at a message that holds a descriptor (MSG_PEEK) again and again, while a test does something else."""

import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.kernel import attempts
from tests.kernel.actor import Obedient
from tests.kernel.messages import receive_rights


@dataclass
class Looks:
    """What came of it, known at the end: how often somebody looked, and how often he got the descriptor."""

    looks: int = 0
    arrived: int = 0


def keep_looking(pause: int, line: int, bell: int) -> list[int]:
    """Look until somebody rings; `pause`: milliseconds between two looks. The numbers of looks and of arrivals."""
    looks = arrived = 0
    ringing = select.poll()
    ringing.register(bell, select.POLLIN)
    with socket.socket(fileno=line) as here:
        while not ringing.poll(pause):
            _, files, _ = receive_rights(here, 1, attempts.PEEK)
            looks += 1
            arrived += len(files)
            for fd in files:
                os.close(fd)
    os.close(bell)
    return [looks, arrived]


@contextmanager
def looking(giver: Obedient, looker: Obedient, name: str, *, pause: int = 2) -> Iterator[Looks]:
    """Have somebody look at what `giver` sends him, from here to the end of the block."""
    ours, theirs = socket.socketpair()
    bell, rope = os.pipe()
    found = Looks()
    with ExitStack() as ends, ours, theirs:
        ends.callback(os.close, bell)
        giver.call(attempts.hand, name, False, descriptors=(ours.fileno(),))
        looker.begin(keep_looking, pause, descriptors=(theirs.fileno(), bell))
        try:
            yield found
        finally:
            os.close(rope)
            found.looks, found.arrived = looker.outcome()


@contextmanager
def offered(giver: Obedient, looker: Obedient, name: str) -> Iterator[Callable[[], list[str]]]:
    """What somebody sends stays there to be looked at: a function gives what the looker sees of it now."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        giver.call(attempts.hand, name, False, descriptors=(ours.fileno(),))
        yield lambda: looker.call(attempts.receive, attempts.PEEK, descriptors=(theirs.fileno(),))["texts"]
