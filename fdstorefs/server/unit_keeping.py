"""The server's side of systemd: what is kept is kept there, too, so that it comes back if all of us are killed at once.

The keeper is told to let go of something when systemd has: whatever the next server finds with the keeper it removes
from systemd as well, and so nothing stays there that nobody knows of.

systemd gets no file whose attributes somebody in user space is asked for: it asks for them, and who does not answer
would hold up the whole machine.
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from fdstorefs.errors import Overloaded, QuotaExceeded
from fdstorefs.host.boot_clock import boottime
from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.unit_record import NUMBER, Record
from fdstorefs.keeper.unit_store import JOURNAL, RECORD, Busy, UnitStore, journal_name, name_of
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import MountError
from fdstorefs.server.options import UnitOptions

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a stash waits for systemd."""

RESERVED = 3
"""Places beside those of open files: for the record, a journal, and another in its place."""

_RESERVED_BYTES = 256
_LEAVING_SECONDS = 30.0
_AGAIN_SECONDS = 0.1
_Pairs = list[tuple[str, int]]
Then = Callable[[Sequence[int]], None]
_Leaving = tuple[set[int], Then]
"""Numbers, and what to do when systemd has let go of them."""


class UnitKeeping:
    """What systemd has of this instance. All in one thread.

    Nothing is said to systemd, and nothing written, before `begin` or `watch`, but what has to be.

    The record says `note` (what the next server gets), `restarts`, which `journal` is the one (its inode number) and
    which `others` may be there, when the last server `ended` in order (seconds of CLOCK_BOOTTIME), and whether it is
    `over`: nobody wants any of this back.
    """

    def __init__(self, options: UnitOptions, held: Held) -> None:
        self._options = options
        self._store = UnitStore(options.address)
        self._is_on = options.most > 0
        self._loop: Loop | None = None
        self._leaving: list[_Leaving] = []
        self._being_confirmed: list[_Leaving] = []
        self._confirming = -1
        self._restarts = held.restarts
        self._names: dict[int, str] = {}
        self._elsewhere: set[int] = set()
        self._room = 0
        found = held.files.pop(NUMBER, -1)
        self._record: Record | None = Record.read(found) if found >= 0 else None
        if self._is_on and self._record is None and held.journal is not None:
            log.error("systemd keeps nothing of this instance: it did not from its start")
            self._is_on = False
        self.knows(held.files)

    @property
    def status(self) -> dict[str, int] | None:
        """How many descriptors are there, and how many there may be. None if systemd keeps nothing of ours."""
        if not self._is_on or self._record is None:
            return None
        return {"entries": len(self._names) + 2, "most": self._options.most}

    def own(self) -> Iterator[tuple[int, int]]:
        """Number and descriptor of what a keeper is to hold for us."""
        if self._record is not None:
            yield NUMBER, self._record.fd

    @property
    def leaving(self) -> frozenset[int]:
        """Numbers of what systemd has been told to let go of, and may not have yet."""
        return frozenset(
            number for numbers, _ in (*self._leaving, *self._being_confirmed) for number in numbers
        )

    def knows(self, numbers: Iterable[int], foreign: Collection[int] = ()) -> None:
        """Of what is kept these are there now, but for those that are `foreign`."""
        self._elsewhere = set(foreign)
        self._names = {number: name_of(number) for number in numbers if number not in self._elsewhere}
        self._room = self._options.room - _RESERVED_BYTES - _size(self._names.values())

    def begin(self) -> bool:
        """Make the record, before anything is kept; whether it has been made now.

        Raises Overloaded, OSError, MountError.
        """
        if not self._is_on or self._record is not None:
            return False
        self._check_that_it_keeps()
        record = Record.create(note={}, restarts=0, journal=None, others=[], ended=None, over=False)
        self._offer([(RECORD, record.fd)])
        self._record = record
        return True

    # What a server keeps

    def keep(self, numbers: Sequence[int], descriptors: Sequence[int], foreign: Collection[int]) -> None:
        """Have descriptors there, but not those that are `foreign`. They are, when this returns.

        Raises Overloaded and QuotaExceeded, and none of them is.
        """
        for leaving, _ in (*self._leaving, *self._being_confirmed):
            leaving.difference_update(numbers)  # these are others now, which nobody has let go of
        if not self._is_on:
            return
        new = {
            number: descriptor
            for number, descriptor in zip(numbers, descriptors, strict=True)
            if number not in foreign
        }
        names = {number: name_of(number) for number in new}
        size = _size(names.values())
        if len(self._names) + len(new) > self._options.most - RESERVED or size > self._room:
            raise QuotaExceeded(
                f"systemd keeps {len(self._names)} open files of this instance, as many as its unit may have there",
                hint="discard some, or raise FileDescriptorStoreMax= (6000 is about as many as systemd can pass on)",
            )
        self._offer([(names[number], descriptor) for number, descriptor in new.items()])
        self._names |= names
        self._room -= size
        self._elsewhere |= set(numbers).intersection(foreign)

    def drop(self, numbers: Sequence[int], then: Then) -> None:
        """Have these there no longer, and call `then` with those that aren't, unless they are kept again by then.

        Never raises and never waits.
        """
        # Of what is not known here, systemd may have heard from the server before.
        there = [number for number in numbers if self._is_on and number not in self._elsewhere]
        elsewhere = set(numbers).difference(there)
        self._elsewhere -= elsewhere
        if elsewhere:
            then(sorted(elsewhere))
        if not there:
            return
        self._store.remove(map(name_of, there))
        for number in there:
            self._forget(number)
        self._leaving.append((set(there), then))
        self._confirm()

    def journal(self, descriptor: int) -> None:
        """Have this journal there, beside the former one. Raises Overloaded."""
        if not self._is_on or self._record is None:
            return
        self._record.write(others=[*self._record.told["others"], os.fstat(descriptor).st_ino])
        self._offer([(journal_name(descriptor), descriptor)])

    def journal_is(self, descriptor: int) -> None:
        """From now on this is the journal, and no other is needed."""
        if not self._is_on or self._record is None:
            return
        current = os.fstat(descriptor).st_ino
        others = {*self._record.told["others"], self._record.told["journal"]} - {None, current}
        self._record.write(journal=current, others=list(others))
        self._store.remove(f"{JOURNAL}{other}" for other in others)
        self._store.send()

    def note(self, note: dict[str, Any]) -> None:
        """What the next server is to know."""
        if self._record is not None:
            self._record.write(note=note)

    def main_process(self, pid: int) -> None:
        """This is the unit's main process now."""
        self._store.say(f"MAINPID={pid}")
        self._store.send()

    # The end

    def ended(self) -> None:
        """This server ends in order. What is there may be wanted back."""
        if self._record is not None:
            self._record.write(ended=boottime() / 1e9)

    def leave(self) -> None:
        """Have nothing there any more: the instance ends for good, or must not be kept there."""
        if not self._is_on or self._record is None:
            return
        self._is_on = False
        self._record.write(over=True)
        journals = {*self._record.told["others"], self._record.told["journal"]} - {None}
        self._store.remove(chain(self._names.values(), (f"{JOURNAL}{each}" for each in journals), (RECORD,)))
        if not self._store.finish(_LEAVING_SECONDS):
            log.error("systemd has not let go of what it keeps of this instance: it is busy")
        self._let_go()

    def watch(self, loop: Loop, journal: int | None) -> None:
        """This is the server, this its journal, and its loop hears of systemd."""
        self._loop = loop
        if self._record is not None and journal is not None:
            self._record.write(restarts=self._restarts, ended=None)
            self.journal_is(journal)
        self._confirm()

    def unwatch(self) -> None:
        """The loop is not to be used any more."""
        if self._loop is not None and self._confirming >= 0:
            self._loop.unregister(self._confirming)
        self._loop = None

    # Towards systemd

    def _offer(self, items: _Pairs) -> None:
        if not items:
            return
        try:
            self._store.store(items, PATIENCE_SECONDS)
        except Busy as error:
            raise Overloaded(f"systemd does not keep it: {error}", hint="try again") from error

    def _check_that_it_keeps(self) -> None:
        try:
            keeps = self._store.keeps(_LEAVING_SECONDS)
        except Busy as error:
            raise Overloaded(f"systemd does not answer: {error}", hint="try again") from error
        if not keeps:
            raise MountError(
                "systemd does not keep what the server sends it",
                "the unit needs `NotifyAccess=all` and a `FileDescriptorStoreMax=`; or tell `--systemd-store no`",
            )

    def _forget(self, number: int) -> None:
        name = self._names.pop(number, None)
        if name is not None:
            self._room += len(name) + 1

    def _confirm(self) -> None:
        """Have those who wait called when systemd has done what it was told. One question at a time is enough."""
        if self._loop is None or self._confirming >= 0 or not self._leaving:
            return
        self._being_confirmed, self._leaving = self._leaving, []
        self._confirming = self._store.barrier()
        self._loop.register(self._confirming, self._confirmed, 0)
        self._send()

    def _send(self) -> None:
        if not self._store.send() and self._loop is not None:
            self._loop.call_at(time.monotonic() + _AGAIN_SECONDS, self._send)

    def _confirmed(self, _events: int) -> None:
        if self._loop is not None:
            self._loop.unregister(self._confirming)
        os.close(self._confirming)
        self._confirming = -1
        waiting, self._being_confirmed = self._being_confirmed, []
        for numbers, then in waiting:
            then(sorted(numbers))
        self._confirm()

    def _let_go(self) -> None:
        """Nobody answers for systemd any more."""
        waiting, self._leaving = self._leaving, []
        for numbers, then in waiting:
            then(sorted(numbers))


def _size(names: Iterable[str]) -> int:
    """How many bytes they take."""
    return sum(len(name) + 1 for name in names)
