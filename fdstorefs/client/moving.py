"""Moving: discarding what has been transferred, as far as it is still what it was."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fdstorefs.client.dump import Lot, Node
from fdstorefs.client.store import Store
from fdstorefs.errors import NoSuchEntry, NotEmpty, StoreError


class Moved(NamedTuple):
    """How many names were discarded, and which were not, as they stand for something else by now, or for nothing.

    `error` is why others were not.
    """

    discarded: int
    kept: list[str]
    error: StoreError | None


class Moving:
    """Passes lots on, and remembers what went by. Iterate once."""

    def __init__(self, lots: Iterable[Lot]) -> None:
        self._lots = lots
        self._entries: list[tuple[str, int, int | None]] = []
        self._boxes: list[str] = []

    def __iter__(self) -> Iterator[Lot]:
        for lot in self._lots:
            for node in lot.nodes:
                self._remember(node)
            yield lot

    def _remember(self, node: Node) -> None:
        if node["kind"] == "box":
            if not node.get("onTheWay"):
                self._boxes.append(node["names"][0])
        else:
            self._entries += [(name, node["id"], node.get("file")) for name in node["names"]]

    def discard(self, store: Store) -> Moved:
        """Discard what went by, in the store that it came from. Boxes go if there is nothing left in them."""
        try:
            kept = store.discard_unchanged(self._entries)
        except StoreError as error:
            return Moved(0, [], error)
        for name in reversed(self._boxes):
            try:
                store.remove_box(name)
            except (NotEmpty, NoSuchEntry):
                kept.append(name)
            except StoreError as error:
                return Moved(len(self._entries) - len(kept), kept, error)
        return Moved(len(self._entries) + len(self._boxes) - len(kept), kept, None)
