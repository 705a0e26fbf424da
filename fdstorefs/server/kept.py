"""What a server has of its keeper: the line to it, and what the server before this one left there."""

import gc
import logging
import mmap
import os
import time
from dataclasses import dataclass
from typing import Any

from fdstorefs.audit.memory import Memory
from fdstorefs.core.store import Store
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.keeper.holding import Held
from fdstorefs.server.intake import Intake
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.keeping.frames import NewerFormat
from fdstorefs.server.keeping.keeping import COUNTERS, Keeping, foreign, read
from fdstorefs.server.keeping.rebuilding import Rebuilt
from fdstorefs.server.keeping.state import Restored
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import MountError
from fdstorefs.server.subjects import Subjects

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Kept:
    """`restored` is the journal of the server before this one, None for the first, which has begun its own. `memory` is
    the audit log's.
    """

    line: KeeperLine
    held: Held
    restored: Restored | None
    begun: Keeping | None
    memory: Memory

    @property
    def facts(self) -> dict[str, Any]:
        """What that server wanted to be remembered."""
        return self.restored.facts if self.restored is not None else {}

    @property
    def device(self) -> int | None:
        """The device of its mount."""
        device: int | None = self.held.note.get("device")
        return device

    @property
    def away(self) -> int:
        """Nanoseconds since it was found dead."""
        return int((time.monotonic() - self.held.died) * 1e9)


def take_up(held: Held, line: KeeperLine) -> Kept:
    """Read the journal, or begin one. Raises MountError if that cannot be done."""
    try:
        line.begin()
        if held.journal is None:
            begun = Keeping.begin(line)
            return Kept(line, held, None, begun, Memory.new(begun.counters.cells))
        # Next to nothing of what is made from here on is garbage, and everybody waits: see `keep`.
        gc.disable()
        restored = read(held.journal)
        return Kept(line, held, restored, None, Memory.again(restored.facts, counters_of(held)))
    except NewerFormat as error:
        raise MountError(
            f"the journal cannot be read: {error}", "serve with the version that has written it"
        ) from error
    except OSError as error:
        raise MountError(f"the journal is not to be had: {error.strerror}") from error


def counters_of(held: Held) -> "memoryview[int]":
    """The counters before anything else is there: what is counted meanwhile is in the same memory."""
    return memoryview(mmap.mmap(held.files.get(COUNTERS, -1), mmap.PAGESIZE)).cast("Q")


def keep(
    kept: Kept, store: Store, intake: Intake, subjects: Subjects, loop: Loop, descriptors: Descriptors
) -> Keeping:
    """Fill the empty store with what is kept, and from now on keep what becomes of it. Raises OSError, StoreError."""
    line, held = kept.line, kept.held
    keeping = kept.begun or _resume(kept, store, intake, subjects)
    # What is there now stays for long, and goes by its count of references: the collector need not look at it.
    gc.freeze()
    gc.enable()
    if held.former is not None:
        keeping.wait()
    keeping.attach(store, intake, loop.when_idle)
    line.everything, line.journal_descriptor = keeping.everything, lambda: keeping.journal_fd
    if line.unit is not None:
        elsewhere = foreign(intake.stored)
        line.unit.knows(number for number, _ in keeping.everything() if number not in elsewhere)
    line.watch(loop)
    for descriptor in held.closing:
        descriptors.discard(descriptors.adopt(descriptor), may_block=True)
    return keeping


def end_with(pidfd: int, loop: Loop, end: Any) -> None:
    """Call `end` when the process behind a pidfd has ended."""

    def ended(_events: int) -> None:
        loop.unregister(pidfd)
        os.close(pidfd)
        end()

    loop.register(pidfd, ended)


def _resume(kept: Kept, store: Store, intake: Intake, subjects: Subjects) -> Keeping:
    assert kept.restored is not None
    hold = subjects.home.hold_again
    keeping, rebuilt = Keeping.resume(kept.line, kept.restored, kept.held.files, store, intake, hold=hold)
    _report(kept.restored, rebuilt)
    return keeping


def _report(restored: Restored, rebuilt: Rebuilt) -> None:
    if restored.damage is not None:
        log.error("the journal is damaged: %s", restored.damage)
    for path in rebuilt.missing:
        log.error("lost, for the keeper does not have it: %s", path)
    for path in rebuilt.found:
        log.error("found without a name, and put at %s", path)
