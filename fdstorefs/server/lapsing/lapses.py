"""Lapses: has entries go when their time has come, or when what they hold is hung up, and puts it on record.

Nothing happens while nothing is due: there is one timer, set to the nearest time. Where very many are due together, as
when a box is unsealed after a long time, they go a few in each turn of the loop, the oldest first. Nobody sees what
has yet to go, and whoever asks for one of these by its name has it go first.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Iterable

from fdstorefs.audit.decision import EntryMark
from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.record import Event
from fdstorefs.core.duration import SECOND
from fdstorefs.core.event import Change
from fdstorefs.core.node import Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.errors import StoreError
from fdstorefs.host import syscalls
from fdstorefs.host.boot_clock import boot_timer, boottime
from fdstorefs.host.hang_up import has_another_side
from fdstorefs.server.enforcement.recorder import mark_of
from fdstorefs.server.intake import Intake
from fdstorefs.server.lapsing.hang_ups import HangUps
from fdstorefs.server.loop import Loop

AT_ONCE = 64
"""Entries that go in one turn of the loop, as one operation, or are looked at in it."""

RETRY_SECONDS = 1
"""Until it is tried again where the journal had no room."""

log = logging.getLogger(__name__)


class Lapses:
    """Of one store. All methods are called in the loop's thread; `begin` when all that was kept is in the store."""

    def __init__(self, loop: Loop, store: Store, intake: Intake, audit: AuditLog) -> None:
        self._loop = loop
        self._store = store
        self._intake = intake
        self._audit = audit
        self._hang_ups = HangUps(loop, self._evict)
        self._timer = boot_timer()
        # What is in sealed boxes, and had to stay there.
        self._overdue: dict[Entry, None] = {}
        self._hung_up: dict[OpenFile, None] = {}
        self._rests = False
        self._look_again: deque[OpenFile] = deque()

    def begin(self) -> None:
        """Begin. What has expired before, or is hung up, goes first."""
        store = self._store
        if self._rests:
            self._rests = False
            self._hang_ups.go_on()
        self._loop.register(self._timer, self._on_timer)
        self._intake.released = self._released
        store.attend, store.unsealed = self._attend, self._unsealed
        store.schedule.nearest_changed, store.is_over, store.go_now = self._set_timer, _is_over, self._go_now
        store.schedule.put_all(
            (node, node.expires)
            for node in store.tree.nodes.values()
            if isinstance(node, Entry) and node.expires is not None and node.is_named
        )
        self._expire()
        for file in self._intake.stored:
            if has_another_side(file.kind):
                self._attend(file)

    def rest(self) -> None:
        """Have nothing go by itself until the next `begin`."""
        self._rests = True
        self._hang_ups.rest()
        self._loop.unregister(self._timer)

    def close(self) -> None:
        """Let go of the timer and of what is watched; nothing goes by itself any more."""
        self._store.attend = self._store.unsealed = self._store.schedule.nearest_changed = None
        self._store.go_now = None
        self._intake.released = None
        self._hang_ups.close()
        self._loop.unregister(self._timer)
        os.close(self._timer)

    # Expiry

    def _set_timer(self, when: int | None) -> None:
        syscalls.set_timer(self._timer, when)

    def _on_timer(self, _events: int) -> None:
        try:
            os.read(self._timer, 8)
        except BlockingIOError:
            return
        self._expire()
        self._set_timer(self._store.schedule.nearest)

    def _expire(self) -> None:
        """Have some of what is due go. If there is more, the timer has run out already."""
        now = boottime()
        due = self._store.schedule.take_due(now, AT_ONCE)
        if self._go(due, Change.EXPIRED):
            self._overdue |= dict.fromkeys(entry for entry in due if entry.is_named)
        else:
            for entry in due:
                self._store.schedule.put(entry, now + RETRY_SECONDS * SECOND)

    def _go_now(self, entry: Entry) -> None:
        """One that is due, before its turn."""
        if self._go([entry], Change.EXPIRED):
            self._store.schedule.put(entry, None)
            if entry.is_named:
                self._overdue[entry] = None

    # Hang-ups

    def _attend(self, file: OpenFile) -> None:
        if any(entry.polled for entry in file.entries):
            self._hang_ups.watch(file)
        else:
            self._hang_ups.forget(file)

    def _released(self, file: OpenFile) -> None:
        self._hang_ups.forget(file)
        self._hung_up.pop(file, None)

    def _evict(self, file: OpenFile, cause: str) -> None:
        if self._rests:
            return  # it is looked at again
        polled = [entry for entry in file.entries if entry.polled]
        if self._go(polled, Change.EVICTED, cause):
            if any(entry.polled for entry in file.entries):
                self._hung_up[file] = None
            elif file.holds:
                self._hang_ups.forget(file)
        else:
            self._loop.call_at(time.monotonic() + RETRY_SECONDS, lambda: self._hang_ups.look(file))

    # Going

    def _unsealed(self) -> None:
        """What had to stay goes, as much as goes at once before the reply to whoever unsealed the box."""
        overdue, self._overdue = self._overdue, {}
        hung_up, self._hung_up = self._hung_up, {}
        now = boottime()
        self._store.schedule.put_all(
            (entry, entry.expires)
            for entry in overdue
            if entry.is_named and entry.expires is not None and entry.expires <= now
        )
        self._expire()
        if hung_up and not self._look_again:
            self._loop.call_soon(self._look_at_more)
        self._look_again.extend(hung_up)
        self._look_at_some()

    def _look_at_some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._look_again))):
            self._hang_ups.look(self._look_again.popleft())

    def _look_at_more(self) -> None:
        self._look_at_some()
        if self._look_again:
            self._loop.call_soon(self._look_at_more)

    def _go(self, entries: Iterable[Entry], change: Change, cause: str | None = None) -> bool:
        """Whether the names that can go are gone. If there is no room to say so in the journal, none is."""
        targets = [target for entry in entries for target in self._store.may_lapse(entry)]
        if not targets:
            return True
        marks = [mark_of(target) for target in targets]
        try:
            self._store.lapse(targets, change)
        except StoreError as error:
            log.warning("entries that are to go stay for another second: %s", error)
            return False
        for mark in marks:
            self._record(mark, cause)
        return True

    def _record(self, mark: EntryMark, cause: str | None) -> None:
        if cause is None:
            self._audit.event(Event.EXPIRED, entry=mark)
        else:
            self._audit.event(Event.EVICTED, entry=mark, cause=cause)


def _is_over(when: int) -> bool:
    return when <= boottime()
