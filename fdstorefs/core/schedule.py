"""A schedule: what has its time, and what is next. Pure; time is any number that only grows."""

import heapq
from collections.abc import Callable, Hashable, Iterable
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

FEW = 64


class Schedule(Generic[Item]):
    """Items, each with one time at most. `nearest_changed` is told when another time is the next one.

    An item that gets another time, or none, leaves its former place in the heap behind; they are cleared away before
    they are more than the items.
    """

    def __init__(self) -> None:
        self.nearest_changed: Callable[[int | None], None] | None = None
        self._times: dict[Item, int] = {}
        self._heap: list[tuple[int, int, Item]] = []
        self._order = count()
        self._told: int | None = None

    def __len__(self) -> int:
        return len(self._times)

    @property
    def places(self) -> int:
        """How many places the heap has, those left behind among them."""
        return len(self._heap)

    @property
    def nearest(self) -> int | None:
        """The next time, None if there is none."""
        heap, times = self._heap, self._times
        while heap and times.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def put(self, item: Item, when: int | None) -> None:
        """Give an item a time, or take it off."""
        if self._times.get(item) == when:
            return
        if when is None:
            del self._times[item]
        else:
            self._times[item] = when
            heapq.heappush(self._heap, (when, next(self._order), item))
        self._clear_away()
        self._tell()

    def put_all(self, items: Iterable[tuple[Item, int]]) -> None:
        """Give very many items their times."""
        for item, when in items:
            if self._times.get(item) != when:
                self._times[item] = when
                self._heap.append((when, next(self._order), item))
        heapq.heapify(self._heap)
        self._clear_away()
        self._tell()

    def take_due(self, now: int, most: int) -> list[Item]:
        """Those whose time has come, earliest first and no more than `most`: they are off the schedule."""
        due: list[Item] = []
        while len(due) < most and (nearest := self.nearest) is not None and nearest <= now:
            item = heapq.heappop(self._heap)[2]
            del self._times[item]
            due.append(item)
        self._tell()
        return due

    def _clear_away(self) -> None:
        if len(self._heap) > 2 * len(self._times) + FEW:
            self._heap = [place for place in self._heap if self._times.get(place[2]) == place[0]]
            heapq.heapify(self._heap)

    def _tell(self) -> None:
        nearest = self.nearest
        if nearest != self._told:
            self._told = nearest
            if self.nearest_changed is not None:
                self.nearest_changed(nearest)
