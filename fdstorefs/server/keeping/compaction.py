"""Compaction: a new journal with the state as it is, written a little at a time while the store goes on changing.

What changes meanwhile is appended to both journals. A record has its nodes whole, so whatever the order in which a
node came into the new one: the last word on it is how it is.
"""

from collections import deque
from collections.abc import Iterable

from fdstorefs.core.node import Box, Entry
from fdstorefs.server.keeping.encoding import NodeEncoder
from fdstorefs.server.keeping.frames import OVERHEAD
from fdstorefs.server.keeping.memory import JournalMemory
from fdstorefs.server.keeping.state import NODES

AT_ONCE = 64
"""Nodes of one step, and of one record."""


class Compaction:
    """Writes these nodes to `memory`, which is empty but for facts."""

    def __init__(self, memory: JournalMemory, nodes: Iterable[Entry | Box], encoder: NodeEncoder) -> None:
        self.memory = memory
        self._todo = deque(nodes)
        self._encoder = encoder

    def step(self) -> bool:
        """Write some more. Whether there is more to do. Raises QuotaExceeded, and can be called again then."""
        some = [self._todo[place] for place in range(min(AT_ONCE, len(self._todo)))]
        payload = nodes_payload(some, self._encoder)
        self.memory.reserve(len(payload) + OVERHEAD)
        self.memory.append(NODES, payload)
        for _ in some:
            self._todo.popleft()
        return bool(self._todo)


def nodes_payload(nodes: Iterable[Entry | Box], encoder: NodeEncoder) -> bytes:
    """A record of nodes as they are now. Those that nothing leads to any more are gone."""
    there, gone = [], []
    for node in nodes:
        if node.is_attached if isinstance(node, Box) else node.is_named:
            there.append(encoder.node(node))
        else:
            gone.append(str(node.ino))
    text = f'{{"n":[{",".join(there)}],"g":[{",".join(gone)}]}}' if gone else f'{{"n":[{",".join(there)}]}}'
    return text.encode("ascii")
