"""A guard that knows what it was told, and says no when it is told to."""

from collections.abc import Iterable

from fdstorefs.core.guard import Named, Names, names_of
from fdstorefs.core.node import Opener, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.errors import NotGuarded

OPENER = Opener(1000, 1000, 0, (1,))


class KnowingGuard:
    """`known` are the names that it guards each file by, `entries` the file that it takes to be in each entry.

    `refuses`: it consents to nothing new.
    """

    def __init__(self, store: Store) -> None:
        self.known: dict[OpenFile, list[Named]] = {}
        self.entries: dict[int, OpenFile] = {}
        self.asked: list[list[Named]] = []
        self.refuses = False
        self.delivers = True
        self._store = store

    def require(self, coming: Names) -> None:
        """Nothing has changed yet when it is asked."""
        self.asked += [list(names) for names in coming.values()]
        if self.refuses:
            raise NotGuarded("the guard refuses")
        for file, names in coming.items():
            self.known[file] = list(names)
            self._fill(file, names)
            file.opener, file.guarded = OPENER, True

    def settle(self, files: Iterable[OpenFile]) -> None:
        """All has changed when it is told, and nothing is closed yet."""
        for file in files:
            assert file.holds > 0 or not file.entries
            self._empty({entry.ino for entry in file.entries}, file)
            if file.entries:
                self.known[file] = names_of(file)
                self._fill(file, names_of(file))
            else:
                self.known.pop(file, None)

    def _fill(self, file: OpenFile, names: Iterable[Named]) -> None:
        self.entries |= {named.number: file for named in names}

    def _empty(self, still: set[int], file: OpenFile) -> None:
        gone = [number for number, each in self.entries.items() if each is file and number not in still]
        for number in gone:
            del self.entries[number]

    def require_delivery(self, file: OpenFile) -> None:
        """What it does not know isn't delivered."""
        if not self.delivers or file not in self.known:
            raise NotGuarded("the guard sleeps")

    def filled(self) -> dict[int, OpenFile]:
        """What it ought to take to be in entries."""
        return {named.number: file for file, names in self.stored().items() for named in names}

    def stored(self) -> dict[OpenFile, list[Named]]:
        """What it ought to know: the names of all open files in the store."""
        files = {getattr(node, "file", None) for node in self._store.tree.nodes.values()} - {None}
        return {file: names_of(file) for file in files}


def by_path(known: dict[OpenFile, list[Named]]) -> dict[int, list[Named]]:
    """The names of each file, sorted, by the file's number."""
    return {file.number: sorted(names, key=lambda named: named.path) for file, names in known.items()}
