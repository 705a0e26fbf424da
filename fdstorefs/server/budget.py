"""Budget: how the descriptors that the server may have are divided, so that none is wanting in the middle of a request.

All parts together are no more than the limit, from 357 on. So where one part is used up that is told to whoever
wants more of it, and nobody else is told that the server is out of descriptors. Pure.
"""

from typing import NamedTuple

from fdstorefs.interface import MAX_DESCRIPTORS
from fdstorefs.server.shares import Most

LEAST_OWN, MOST_OWN = 64, 192
"""For the server itself: the mount, sockets, the journal, logs, what is read in /proc, in 64 threads at once."""

OF_A_CONNECTION = 4
"""The socket, the process behind it and its cgroup, and an epoll set of its user's."""

MOST_CONNECTIONS, CONNECTIONS_OF_ONE = 1024, 256
MOST_HELD, HELD_OF_ONE = 4096, 1024
MOST_NAMESPACES = 256
MOST_HANDLES, HANDLES_OF_ONE = 1 << 15, 1 << 12
MOST_UNCLOSED_OF_ONE = 1024
MOST_STAGED, STAGED_OF_ONE = 80_000, 20_000


class Budget(NamedTuple):
    """What there may be of each.

    `connections` to the socket; `held`: received with calls that are not whole yet; `namespaces` of stashers;
    `stored`: open files. Of these are the `handles` through which those are used that have no name any more,
    what one user has stashed that cannot be closed (`unclosed_of_one`), and what has come of restores that are not
    done (`staged`).
    """

    connections: Most
    held: Most
    namespaces: int
    stored: int
    handles: Most
    unclosed_of_one: int
    staged: Most


def budget(limit: int) -> Budget:
    """For a server that may have `limit` descriptors."""
    own = _between(limit // 8, LEAST_OWN, MOST_OWN)
    connections = _between(limit // 64, 8, MOST_CONNECTIONS)
    held = _between(limit // 8, MAX_DESCRIPTORS, MOST_HELD)
    namespaces = _between(limit // 64, 8, MOST_NAMESPACES)
    stored = max(limit - own - OF_A_CONNECTION * connections - held - namespaces, 0)
    return Budget(
        connections=Most(min(connections // 2, CONNECTIONS_OF_ONE), connections),
        held=Most(_between(held // 4, MAX_DESCRIPTORS, HELD_OF_ONE), held),
        namespaces=namespaces,
        stored=stored,
        handles=Most(_between(stored // 16, 16, HANDLES_OF_ONE), _between(stored // 2, 64, MOST_HANDLES)),
        unclosed_of_one=_between(stored // 16, 16, MOST_UNCLOSED_OF_ONE),
        staged=Most(min(stored // 2, STAGED_OF_ONE), min(stored // 4 * 3, MOST_STAGED)),
    )


def _between(amount: int, least: int, most: int) -> int:
    return max(least, min(amount, most))
