"""The book of guarded files: which class set stands for which open file, under which names, in which instance. Pure.

A class set stands for one open file as one instance keeps it, and has a number of its own; what follows from its names
under the policies in force is worked out from them again whenever the policies change.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from fdstorefs.policy.request import EntryFacts


@dataclass(frozen=True, slots=True)
class GuardedFile:
    """One open file. `names` are all it has, in the instance's ids; `inodes` are its entries' in the mount."""

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

    def give_entry(self, instance: int, inode: int, number: int) -> None:
        """An entry holds the open file with this class set from now on."""
        self._entries[instance, inode] = number

    def take_entry(self, instance: int, inode: int, number: int) -> bool:
        """The entry goes, if it still holds that file; whether it did."""
        if self._entries.get((instance, inode)) != number:
            return False
        del self._entries[instance, inode]
        return True

    def take_entries(self, instance: int) -> list[int]:
        """All entries of an instance go."""
        gone = [inode for owner, inode in self._entries if owner == instance]
        for inode in gone:
            del self._entries[instance, inode]
        return gone

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
