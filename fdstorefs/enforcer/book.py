"""The book of guarded files: which class set stands for which open file, under which names, in which instance. Pure.

A class set stands for one open file as one instance keeps it, and has a number of its own; what follows from its names
under the policies in force is worked out from them again whenever the policies change.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from fdstorefs.policy.request import EntryFacts


@dataclass(frozen=True, slots=True)
class GuardedFile:
    """One open file. `names` are all it has, in the instance's ids; `inodes` are its entries' in the mount.

    Or those that it had last: what is kept nowhere any more, or has left the name by which it could be guarded, stays
    guarded as it was. It has the entries that hold it now, if any.
    """

    instance: int
    names: tuple[EntryFacts, ...]
    inodes: frozenset[int]
    classes: tuple[int, ...]


class Book:
    """Guarded files by the number of their class set.

    `current` ones stand for an open file; others stay for a moment because a decision about to be made may have read
    their number.
    """

    def __init__(self) -> None:
        self._files: dict[int, GuardedFile] = {}
        self._current: defaultdict[int, set[int]] = defaultdict(set)
        self._entries: dict[tuple[int, int], int] = {}
        self._holding: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        self._touched: dict[int, int] = {}
        self._sweep = 0

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, number: int) -> bool:
        return number in self._files

    def get(self, number: int) -> GuardedFile | None:
        """The file with this class set."""
        return self._files.get(number)

    def of(self, instance: int) -> Iterator[tuple[int, GuardedFile]]:
        """The current files of an instance, by the number of their class set."""
        return ((number, self._files[number]) for number in self._current.get(instance, ()))

    def all(self) -> Iterator[tuple[int, GuardedFile]]:
        """All files, those that stay for a moment too."""
        return iter(tuple(self._files.items()))

    def count(self, instance: int) -> int:
        """How many current files an instance has."""
        return len(self._current.get(instance, ()))

    def add(self, number: int, file: GuardedFile) -> None:
        """A file is guarded by a new class set."""
        self._files[number] = file
        self._current[file.instance].add(number)
        self.touch(number)

    def change_entries(self, number: int, inodes: frozenset[int]) -> None:
        """Other entries hold it now, or none; its names stay as they were."""
        self._files[number] = replace(self._files[number], inodes=inodes)

    def is_current(self, number: int) -> bool:
        """Whether it stands for an open file."""
        file = self._files.get(number)
        return file is not None and number in self._current.get(file.instance, ())

    def touch(self, number: int) -> None:
        """It is known to be in use now."""
        self._touched[number] = self._sweep

    def set_aside(self, number: int) -> None:
        """It stands for no open file any more, but is not to be removed yet."""
        file = self._files[number]
        current = self._current[file.instance]
        current.discard(number)
        if not current:
            del self._current[file.instance]

    def remove(self, number: int) -> GuardedFile:
        """Forget one that was set aside."""
        self._touched.pop(number, None)
        return self._files.pop(number)

    # Entries

    def owner(self, instance: int, inode: int) -> int | None:
        """The class set of an entry."""
        return self._entries.get((instance, inode))

    def held_by(self, instance: int, number: int) -> list[int]:
        """The entries of an instance that hold the open file with this class set."""
        return [inode for owner, inode in self._holding.get(number, ()) if owner == instance]

    def give_entry(self, instance: int, inode: int, number: int) -> None:
        """An entry holds the open file with this class set from now on."""
        self._drop(instance, inode)
        self._entries[instance, inode] = number
        self._holding[number].add((instance, inode))

    def take_entry(self, instance: int, inode: int, number: int) -> bool:
        """The entry goes, if it still holds that file; whether it did."""
        if self._entries.get((instance, inode)) != number:
            return False
        self._drop(instance, inode)
        return True

    def take_entries(self, instance: int) -> list[int]:
        """All entries of an instance go."""
        gone = [inode for owner, inode in self._entries if owner == instance]
        for inode in gone:
            self._drop(instance, inode)
        return gone

    def _drop(self, instance: int, inode: int) -> None:
        number = self._entries.pop((instance, inode), None)
        if number is None:
            return
        holding = self._holding[number]
        holding.discard((instance, inode))
        if not holding:
            del self._holding[number]

    # What went without a word

    def begin_sweep(self) -> int:
        """From now on note anew which are in use; returns what `unused` wants."""
        self._sweep += 1
        return self._sweep

    def unused(self, sweep: int, in_use: Collection[int]) -> list[int]:
        """The current files that were neither found in use nor touched since that sweep began."""
        return [
            number
            for numbers in self._current.values()
            for number in numbers
            if number not in in_use and self._touched[number] < sweep
        ]
