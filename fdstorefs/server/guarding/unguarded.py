"""Entries with files that nobody guards: which of them the enforcer was told of, as no tag leads it there."""

from collections.abc import Collection, Iterable

from fdstorefs.core.node import OpenFile


class UnguardedEntries:
    """Numbers of entries by the unguarded file that is in them."""

    def __init__(self) -> None:
        self._files: dict[int, OpenFile] = {}
        self._numbers: dict[OpenFile, set[int]] = {}

    def note(self, file: OpenFile, numbers: Iterable[int]) -> None:
        """The enforcer has been told that these entries hold this file, whatever they held before."""
        for number in numbers:
            former = self._files.pop(number, None)
            if former is not None:
                self._numbers[former].discard(number)
            if not file.guarded:
                self._files[number] = file
                self._numbers.setdefault(file, set()).add(number)

    def take_gone(self, file: OpenFile, still: Collection[int]) -> list[int]:
        """The entries that it was told of for this file and that hold it no more; they are forgotten here."""
        numbers = self._numbers.get(file)
        if numbers is None:
            return []
        gone = [number for number in numbers if number not in still]
        for number in gone:
            numbers.discard(number)
            del self._files[number]
        if not numbers:
            del self._numbers[file]
        return gone
