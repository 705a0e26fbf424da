"""Handing over: a mount's server stops, tells another one how things stand, and goes on or leaves.

What waits is told as the requests that it came in, and the other server begins it anew. What a thread is at cannot be
told: it *lingers*. This server answers it in the end, on its own copy of the device, which any process may do that has
one; the other server passes on what the kernel says of it meanwhile.
"""

import functools
from collections.abc import Callable

from fdstorefs.core.store import Store
from fdstorefs.server.fuse import telling
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.lane import GiveBack, Lanes
from fdstorefs.server.fuse.names import Names
from fdstorefs.server.fuse.tap import Tap
from fdstorefs.server.fuse.transfer import Unfinished
from fdstorefs.server.passed import Packing, Passed


class HandingOver:
    """Of one mount. `on_answered` is told, once this server has left, of each lingering call that it has answered."""

    def __init__(self, store: Store, handles: Handles, names: Names, lanes: Lanes, tap: Tap) -> None:
        self._store = store
        self._handles = handles
        self._names = names
        self._lanes = lanes
        self._tap = tap
        self._done: Callable[[], None] | None = None
        self._is_still = False
        self._packing: Packing | None = None
        self._lingering: dict[int, Unfinished] = {}
        self._answered: list[int] = []
        self._has_left = False
        self.on_answered: Callable[[int], None] | None = None

    @property
    def lingering(self) -> frozenset[int]:
        """The calls that this server still has to answer, by their numbers."""
        return frozenset(self._lingering)

    @property
    def needed(self) -> frozenset[int]:
        """The stored descriptors that it needs for that."""
        return self._lanes.descriptors if self._lingering else frozenset()

    def freeze(self, done: Callable[[], None]) -> None:
        """Begin nothing more. Call `done` when all that is not told is answered, or lingers."""
        self._done, self._is_still = done, False
        self._lanes.freeze(self._still)

    def _still(self) -> None:
        self._is_still = True
        self.look()

    def look(self) -> None:
        """What lingers at a server before this one cannot be handed over by it, so that has to end first."""
        if self._is_still and not self._tap.elsewhere.numbers and self._done is not None:
            done, self._done = self._done, None
            done()

    def hand_over(self) -> Passed:
        """All that the other server has to know. From now on nothing is answered but what lingers."""
        self._packing = packing = Packing()
        handles, listings = self._handles, self._names.listings
        waiting = self._lanes.hand_over()
        self._lingering = {
            each.call.unique: each.unfinished() for each in self._lanes.active if not each.call.answered
        }
        self._tap.on_answered = self._on_answered
        return packing.passed(
            {
                "format": telling.FORMAT,
                "init": packing.bytes(self._tap.init_request),
                "answer": packing.bytes(self._tap.init_answer),
                "files": telling.tell_files_of(handles, packing),
                "nodes": telling.tell_nodes(self._store, handles, listings),
                "lookups": telling.tell_lookups(self._store),
                "sockets": [telling.tell_socket(socket) for _, socket in self._names.sockets.listing()],
                "handles": telling.tell_handles(handles),
                "listings": telling.tell_listings(listings, packing),
                "waiting": telling.tell_waiting(waiting, packing),
                "lingering": telling.tell_waiting(self._lingering.values(), packing),
            }
        )

    def _on_answered(self, unique: int) -> None:
        if self._lingering.pop(unique, None) is None:
            return
        if self._has_left:
            self._tell(unique)
        else:
            self._answered.append(unique)

    def _tell(self, unique: int) -> None:
        if self.on_answered is not None:
            self.on_answered(unique)

    def thaw(self) -> None:
        """Go on as before."""
        self._done = None
        self._lingering.clear()
        self._answered.clear()
        self._tap.on_answered = None
        self._let_go_of_packing()
        self._lanes.thaw()

    def leave(self, give_back: GiveBack | None) -> None:
        """The other server serves: go on with what lingers, and with nothing else.

        What would wait for long goes back to that one, if it can be told so.
        """
        self._has_left = True
        self._let_go_of_packing()
        for handle in self._handles:
            handle.leave()
        for unique in self._answered:
            self._tell(unique)
        back = functools.partial(self._back, give_back) if give_back is not None else None
        self._lanes.leave(self.lingering, back)

    def _back(self, give_back: GiveBack, unique: int, moved: int) -> None:
        del self._lingering[unique]
        give_back(unique, moved)

    def _let_go_of_packing(self) -> None:
        if self._packing is not None:
            self._packing.close()
            self._packing = None
