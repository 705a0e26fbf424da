"""Sweeping: what was tagged and has gone without a word, as files do when their last holder ends."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from fdstorefs.bpf.abi import ClassSet, EntryKey
from fdstorefs.enforcer.book import Book
from fdstorefs.enforcer.guarding import Guarding
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.registry import Registry
from fdstorefs.server.loop import Loop

log = logging.getLogger(__name__)

EVERY_SECONDS = 300.0
SOON_SECONDS = 2.0
"""After an instance has ended, or somebody has run out of room."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is tagged: class sets and instances in use, all class sets that there are, and entries of no mount."""

    sets: frozenset[int]
    instances: frozenset[int]
    known: dict[int, ClassSet]
    astray: tuple[EntryKey, ...] = ()


class Sweeper:
    """Looks every few minutes, or soon, and lets go of what is used no more."""

    def __init__(
        self, loop: Loop, kernel: KernelSide, book: Book, guarding: Guarding, registry: Registry
    ) -> None:
        self._loop = loop
        self._kernel = kernel
        self._book = book
        self._guarding = guarding
        self._registry = registry
        self._is_sweeping = False
        self._timer = loop.call_at(time.monotonic() + EVERY_SECONDS, self._begin)

    def soon(self) -> None:
        """Look in a moment."""
        when = time.monotonic() + SOON_SECONDS
        if self._timer.cancelled or self._timer.when > when:
            self._timer.cancel()
            self._timer = self._loop.call_at(when, self._begin)

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _begin(self) -> None:
        self._timer = self._loop.call_at(time.monotonic() + EVERY_SECONDS, self._begin)
        if self._is_sweeping:
            return
        self._is_sweeping = True
        number = self._book.begin_sweep()
        self._loop.in_thread(lambda: find(self._kernel), lambda found: self._end(number, found))

    def _end(self, number: int, found: Found | Exception) -> None:
        self._is_sweeping = False
        if isinstance(found, Exception):
            log.error("what is tagged could not be looked at", exc_info=found)
            return
        self.sweep(number, found)

    def sweep(self, number: int, found: Found) -> None:
        """Let go of what was not found in use."""
        for unused in self._book.unused(number, found.sets):
            file = self._book.get(unused)
            instance = None if file is None else self._registry.get(file.instance)
            if instance is not None:
                self._guarding.retire_all([unused], instance)
        self._remove_strange(found.known.items(), found.sets)
        self._remove_astray(found.astray)
        for instance in self._registry:
            if instance.has_ended and instance.number not in found.instances:
                self._registry.forget(instance)

    def _remove_strange(self, known: Iterable[tuple[int, ClassSet]], in_use: frozenset[int]) -> None:
        """Class sets of a former enforcer, which files bore that were tagged anew since."""
        for number, class_set in known:
            if number not in in_use and number not in self._book:
                instance = self._registry.get(class_set.instance)
                if instance is not None:
                    self._guarding.empty(instance, number)
                self._kernel.remove_class_set(number)
                for each in class_set.classes:
                    self._kernel.remove_class(each)

    def _remove_astray(self, keys: Iterable[EntryKey]) -> None:
        """Entries that nobody removed with their mount: its device is soon another's."""
        living = {each.device for each in self._registry if not each.has_ended}
        for key in keys:
            if key.device not in living:
                self._kernel.remove_entry(key.device, key.inode)


def find(kernel: KernelSide) -> Found:
    """Look at all tags. Takes a while where there are many."""
    known = dict(kernel.class_sets())
    slots = [slot for tag in kernel.tagged() for slot in tag.slots]
    before = kernel.mounts()
    astray = [key for key, _ in kernel.entries() if key.device not in before]
    # Some may have come with their mount meanwhile.
    mounts = kernel.mounts()
    return Found(
        frozenset(slot.classes for slot in slots),
        frozenset(slot.instance for slot in slots),
        known,
        tuple(key for key in astray if key.device not in mounts),
    )
