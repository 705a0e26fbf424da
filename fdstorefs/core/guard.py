"""The guard of a store: whoever enforces the policy on open files wherever they go, and has to be told their names.

There may be none. If there is, an open file gets a name only with its consent, which is asked for before anything
changes; that it has lost one it is told afterwards. So at every moment the guard knows all names that there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from fdstorefs.core.name import join
from fdstorefs.core.node import Entry, OpenFile, Stasher


class Named(NamedTuple):
    """One name of an open file and what decides about it there. `number` is the entry's."""

    path: str
    number: int
    label: str | None
    stasher: Stasher | None


Names = Mapping[OpenFile, Sequence[Named]]
"""For each open file all the names that it is to have, none beside them."""


class Guard(Protocol):
    """Guards open files under their names."""

    def require(self, coming: Names, /) -> None:
        """Have these open files guarded under these names from now on, instead of those that they had.

        Who opened each and whether it can be guarded stands in it afterwards. Raises TooManyNames or NotGuarded,
        and then all is as it was.
        """

    def settle(self, files: Iterable[OpenFile], /) -> None:
        """From now on these have the names under which they are stored; those without any are guarded no more.

        For names that went, or that were agreed to and did not come. Cannot be refused.
        """

    def require_delivery(self, file: OpenFile, /) -> None:
        """Raise NotGuarded unless the policy is enforced on the open file at this moment, as far as it can be."""


def names_of(file: OpenFile) -> list[Named]:
    """All names under which an open file is stored."""
    return [named for entry in file.entries for named in names_in(entry)]


def names_in(entry: Entry) -> list[Named]:
    """Those that it has by this entry."""
    return [Named(join(box.path, name), entry.ino, entry.label, entry.stasher) for box, name in entry.places]
