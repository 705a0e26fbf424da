"""Places at the service: what each asker and all together may have there, and what is kept for some. Pure."""

from collections import Counter
from enum import Enum
from typing import NamedTuple

from fdstorefs.errors import Overloaded


class Kind(Enum):
    """Who counts for what: root of the host; the server of an instance on record; a user of the host; a container."""

    ROOT = "root"
    SERVER = "server"
    USER = "user"
    CONTAINER = "container"


class Standing(NamedTuple):
    """For whom somebody counts. `number` is a uid, a process, or a namespace."""

    kind: Kind
    number: int

    def __str__(self) -> str:
        return _NAMES[self.kind].format(self.number)


_NAMES = {
    Kind.ROOT: "uid {}",
    Kind.SERVER: "server {}",
    Kind.USER: "uid {}",
    Kind.CONTAINER: "the container of namespace {}",
}


class Bounds(NamedTuple):
    """The most that one may have, and all together who have no place `kept`. Who is in neither is not bounded."""

    of_one: dict[Kind, int]
    of_others: int
    kept: frozenset[Kind]


CONNECTIONS_OF_ONE = 64
MOST_CONNECTIONS = 1024
CONNECTIONS = Bounds(
    {Kind.SERVER: 4, Kind.USER: CONNECTIONS_OF_ONE, Kind.CONTAINER: CONNECTIONS_OF_ONE},
    MOST_CONNECTIONS - 128,
    frozenset({Kind.ROOT, Kind.SERVER}),
)
CALLS_OF_ONE = 16
CALLS = Bounds(
    {Kind.SERVER: CALLS_OF_ONE, Kind.USER: CALLS_OF_ONE, Kind.CONTAINER: CALLS_OF_ONE},
    512,
    frozenset({Kind.ROOT}),
)
"""Of those that last, to start or to end an instance. Fewer than connections, so that some of these are idle."""


class Places:
    """Counts what all have of something."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._taken: Counter[Standing] = Counter()
        self._others = 0

    def take(self, standing: Standing) -> None:
        """Count one more, whether there is room or not."""
        self._add(standing, 1)

    def give_back(self, standing: Standing) -> None:
        """Count one less."""
        self._add(standing, -1)

    def _add(self, standing: Standing, amount: int) -> None:
        self._taken[standing] += amount
        if not self._taken[standing]:
            del self._taken[standing]
        if not self._is_kept(standing):
            self._others += amount

    def _is_kept(self, standing: Standing) -> bool:
        return standing.kind in self._bounds.kept

    def over(self, standing: Standing, more: int = 0) -> str | None:
        """Who would have more than they may, if this one had so many `more`; None: nobody."""
        most = self._bounds.of_one.get(standing.kind)
        if most is not None and self._taken[standing] + more > most:
            return str(standing)
        if not self._is_kept(standing) and self._others + more > self._bounds.of_others:
            return "others than root"
        return None

    def gives_way(self, standing: Standing, other: Standing) -> bool:
        """Whether the `other` has a place of those that are too many with this one."""
        most = self._bounds.of_one.get(standing.kind)
        if most is not None and self._taken[standing] > most:
            return other == standing
        return not self._is_kept(other)

    def require(self, standing: Standing) -> None:
        """Raise Overloaded unless there is room for one more."""
        who = self.over(standing, 1)
        if who is not None:
            raise Overloaded(f"{who} have as many under way as they may", hint="try again when one has ended")
