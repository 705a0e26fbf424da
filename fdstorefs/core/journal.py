"""The journal of a store: whoever keeps what must outlive the process that serves it, and has to be told of it.

Each operation tells it once, before anybody is answered: `prepare` when nothing has changed yet and it may still be
refused, `record` when everything has. So what was answered is kept, and what is kept is whole. An open file is let
go after the record that says where it is no more.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from fdstorefs.core.node import Box, Entry, OpenFile, Stasher


class Journal(Protocol):
    """Keeps open files, and the state of the nodes that lead to them."""

    def prepare(
        self,
        names: int,
        files: Collection[OpenFile] = (),
        stasher: Stasher | None = None,
        texts: Collection[str] = (),
        /,
    ) -> None:
        """Keep these open files from now on, as far as they are not kept yet, and what there is to `stasher`.

        A record that speaks of so many names is to come, and besides of new nodes of the stasher's with these files,
        whose names and labels are `texts`. Raises Overloaded or QuotaExceeded, and then nothing has
        changed. A file that is kept and then gets no name goes with its last hold, as any other.
        """

    def record(self, nodes: Sequence[Entry | Box], /) -> None:
        """One operation: these are as they are now, and those without a name are gone. Is not refused."""


class NoJournal:
    """The journal of a store that ends with its process."""

    def prepare(
        self,
        names: int,
        files: Collection[OpenFile] = (),
        stasher: Stasher | None = None,
        texts: Collection[str] = (),
        /,
    ) -> None:
        """Nothing is kept."""

    def record(self, nodes: Sequence[Entry | Box], /) -> None:
        """Likewise."""
