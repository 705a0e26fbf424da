"""Keeping: the journal of a store whose open files a keeper holds, written to memory that the keeper holds, too."""

import json
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fdstorefs import __version__
from fdstorefs.core.node import Box, Entry, OpenFile, Stasher
from fdstorefs.core.store import Store
from fdstorefs.errors import StoreError
from fdstorefs.host.file_kind import is_answered_by_the_kernel
from fdstorefs.host.user_namespaces import HeldChain, HeldNamespace
from fdstorefs.server.intake import Intake
from fdstorefs.server.keeping import frames
from fdstorefs.server.keeping.compaction import Compaction, nodes_payload
from fdstorefs.server.keeping.counters import FILE, NAMESPACE, Counters
from fdstorefs.server.keeping.encoding import NodeEncoder, room_for
from fdstorefs.server.keeping.line import Line
from fdstorefs.server.keeping.memory import JournalMemory, read_memory
from fdstorefs.server.keeping.namespaces import FIRST_NUMBER, Hold, KeptNamespaces, NamespacesAgain
from fdstorefs.server.keeping.rebuilding import Rebuilder, Rebuilt
from fdstorefs.server.keeping.state import FACTS, NODES, Restored, take_in

COUNTERS = 0
"""The number under which the keeper holds the counters."""

NAME_ROOM = 4096
"""Bytes that are made sure of for each name that a record speaks of, with what else is said."""

SLACK = 64 * 1024
"""A journal is written anew when it has this much more than twice what it takes to say how things are.

That is work for a server that has nothing else to do, until there is as much again: then each change does some of it.
"""

MOST_UNUSED = 1 << 20
"""Bytes: or when more than this, and more than is in it, was reserved for what then took less."""

WhenIdle = Callable[[Callable[[], bool]], None]

log = logging.getLogger(__name__)


def read(fd: int) -> Restored:
    """What is in a journal. Raises NewerFormat, OSError."""
    contents = frames.read_frames(read_memory(fd))
    return Restored(fd, contents, take_in(contents))


class Keeping:
    """The journal of one store (the core's `Journal`). All methods are called in the loop's thread."""

    def __init__(self, line: Line, identity: bytes, memory: JournalMemory, counters: Counters) -> None:
        self.counters = counters
        self._line = line
        self.identity = identity
        self._memory = memory
        self._facts: dict[str, Any] = {}
        self._encoder = NodeEncoder()
        self._namespaces = KeptNamespaces()
        self._compaction: Compaction | None = None
        self._waits_for_rest = False
        self._compact_at, self._most_unused = SLACK, MOST_UNUSED
        self._is_foreign = False

    @classmethod
    def begin(cls, line: Line) -> "Keeping":
        """The journal of a store that is new. Raises OSError, StoreError."""
        identity = os.urandom(frames.IDENTITY_BYTES)
        keeping = cls(line, identity, JournalMemory.create(identity), Counters.create())
        line.journal(keeping.journal_fd)
        line.keep([COUNTERS], [keeping.counters.fd])
        return keeping

    @classmethod
    def resume(
        cls,
        line: Line,
        restored: Restored,
        held: Mapping[int, int],
        store: Store,
        intake: Intake,
        hold: Hold = HeldChain,
    ) -> tuple["Keeping", Rebuilt]:
        """Go on with a journal: fill an empty store with what is in it.

        `held` are the descriptors that the keeper has, by number. All of them, and the journal's, are taken over.
        `hold` has user namespaces known again. Raises OSError, StoreError.
        """
        counters = Counters(held[COUNTERS]) if COUNTERS in held else Counters.create()
        memory = JournalMemory.resume(restored.fd, restored.contents)
        keeping = cls(line, restored.contents.identity, memory, counters)
        if COUNTERS not in held:
            log.error("the keeper has lost the counters of the audit log: they begin again")
            line.keep([COUNTERS], [counters.fd])
        keeping._facts = dict(restored.facts)
        keeping._compact_at = 2 * restored.state.size + SLACK
        keeping._is_foreign = restored.contents.writer != __version__
        return keeping, keeping._rebuild(restored, held, store, intake, hold)

    def _rebuild(
        self, restored: Restored, held: Mapping[int, int], store: Store, intake: Intake, hold: Hold
    ) -> Rebuilt:
        files = {number: fd for number, fd in held.items() if COUNTERS < number < FIRST_NUMBER}
        spaces = {number: fd for number, fd in held.items() if number >= FIRST_NUMBER}
        # Also that of one that is dropped: until the keeper, and systemd, have heard of it, it must not be another's.
        self.counters.raise_to(FILE, max(files, default=0))
        self.counters.raise_to(NAMESPACE, max(spaces, default=0))
        intake.pass_over(self.counters.cells[FILE])
        self._namespaces.pass_over(self.counters.cells[NAMESPACE])
        again = NamespacesAgain(self._namespaces, spaces, hold)
        rebuilt = Rebuilder(restored, files, store, intake, again).run()
        if rebuilt.dropped or again.left:
            self._line.drop([*rebuilt.dropped, *again.left], slow=True)
        for fd in rebuilt.dropped.values():
            intake.discard_stray(fd)
        for fd in again.left.values():
            os.close(fd)
        if restored.damage is not None or rebuilt.differs:
            self._write_anew(store)
        return rebuilt

    @property
    def journal_fd(self) -> int:
        """The journal's descriptor at this moment."""
        return self._memory.fd

    def everything(self) -> Iterator[tuple[int, int]]:
        """Number and descriptor of all that is kept: for a keeper that takes the place of another."""
        yield COUNTERS, self.counters.fd
        for file in self._intake.stored:
            if file.kept:
                yield file.number, file.descriptor
        yield from self._namespaces

    def attach(self, store: Store, intake: Intake, when_idle: WhenIdle) -> None:
        """Keep what becomes of this store from now on."""
        self._store, self._intake, self._when_idle = store, intake, when_idle
        self.record([store.root])
        store.journal, intake.let_go = self, self._let_go
        when_idle(intake.sort_some)
        self._write_anew_if_foreign()

    def remember(self, **facts: Any) -> None:
        """Facts of the instance that outlive the server, as JSON has them."""
        self._facts |= facts
        self._append(FACTS, _json(facts))

    # Another server in the place of this one

    def hold_still(self) -> None:
        """Go on in this journal: somebody else reads it."""
        self._give_up_compaction()
        self._compact_at = self._most_unused = sys.maxsize

    def move_again(self) -> None:
        """Nobody does any more."""
        self._compact_at, self._most_unused = self._memory.end + SLACK, MOST_UNUSED

    def wait(self) -> None:
        """Write nothing to the journal: another server does. What is recorded is written by `go_on`."""
        self._memory.wait()

    def go_on(self) -> None:
        """This is the server from now on."""
        self._memory.go_on()
        self._write_anew_if_foreign()

    def _write_anew_if_foreign(self) -> None:
        """Once it is ours, a journal that another version has begun becomes one of this version, when there is time."""
        if self._is_foreign and not self._memory.is_waiting:
            self._is_foreign = False
            self._begin_compaction()

    def close(self) -> None:
        """Let go of the memory; the keeper may still have it."""
        self._give_up_compaction()
        self._memory.close()
        self.counters.close()

    # What a store tells

    def prepare(
        self,
        names: int,
        files: Collection[OpenFile] = (),
        stasher: Stasher | None = None,
        texts: Collection[str] = (),
    ) -> None:
        """See the core."""
        if self._memory.end > self._compact_at + SLACK:
            # It is never idle, or each of its lives was too short: the longer the journal, the later the next begins.
            self._compact_some()
        room = names * NAME_ROOM
        self._memory.reserve(room + room_for(texts, files, stasher) if texts else room)
        new = {file.number: file for file in files if not file.kept}
        space = self._namespaces.unkept(stasher.userns) if stasher is not None else None
        if new or space is not None:
            self._keep(new, space)

    def _keep(self, new: Mapping[int, OpenFile], space: tuple[int, HeldNamespace] | None) -> None:
        numbers, descriptors = list(new), [file.descriptor for file in new.values()]
        if space is not None:
            numbers.append(space[0])
            descriptors.append(space[1].descriptor)
            self.counters.raise_to(NAMESPACE, space[0])
        self.counters.raise_to(FILE, max(new, default=0))
        slow = any(file.may_block_on_close for file in new.values())
        self._line.keep(numbers, descriptors, slow=slow, foreign=foreign(new.values()))
        for file in new.values():
            file.kept = True
        if space is not None:
            self._namespaces.add(*space)

    def record(self, nodes: Sequence[Entry | Box]) -> None:
        """See the core."""
        self._append(NODES, nodes_payload(dict.fromkeys(nodes), self._encoder))
        if self._namespaces.has_gone:
            self._line.drop(self._namespaces.take_gone())

    def _let_go(self, file: OpenFile) -> None:
        self._line.drop([file.number], slow=file.may_block_on_close)

    def _append(self, kind: int, payload: bytes) -> None:
        self._memory.append(kind, payload)
        if self._compaction is not None:
            self._append_to_the_next(self._compaction, kind, payload)
        elif self._memory.end > self._compact_at or self._is_wasteful:
            self._begin_compaction()

    # A new journal in place of one that has grown long

    @property
    def _is_wasteful(self) -> bool:
        return self._memory.unused > max(self._most_unused, self._memory.end)

    def _append_to_the_next(self, compaction: Compaction, kind: int, payload: bytes) -> None:
        try:
            compaction.memory.reserve(len(payload) + frames.OVERHEAD)
        except StoreError as error:
            self._give_up_compaction(error)
        else:
            compaction.memory.append(kind, payload)

    def _begin_compaction(self) -> None:
        try:
            self._compaction = self._new_compaction(self._store)
        except (OSError, StoreError) as error:
            self._give_up_compaction(error)
        else:
            self._compact_when_idle()

    def _compact_when_idle(self) -> None:
        if not self._waits_for_rest:
            self._waits_for_rest = True
            self._when_idle(self._compact_at_rest)

    def _compact_at_rest(self) -> bool:
        self._waits_for_rest = self._compact_some()
        return self._waits_for_rest

    def _new_compaction(self, store: Store) -> Compaction:
        memory = JournalMemory.create(self.identity)
        facts = _json(self._facts)
        memory.reserve(len(facts) + frames.OVERHEAD)
        memory.append(FACTS, facts)
        return Compaction(memory, list(store.tree.nodes.values()), self._encoder)

    def _compact_some(self) -> bool:
        if self._compaction is None:
            return False
        try:
            if self._compaction.step():
                return True
            self._replace(self._compaction.memory)
        except StoreError as error:
            self._give_up_compaction(error)
        return False

    def _replace(self, memory: JournalMemory) -> None:
        """Go on in another journal, which says the same. Raises StoreError."""
        self._line.journal(memory.fd)
        self._compaction, former, self._memory = None, self._memory, memory
        former.close()
        self._compact_at, self._most_unused = 2 * memory.end + SLACK, MOST_UNUSED

    def _give_up_compaction(self, error: Exception | None = None) -> None:
        """Go on with the journal that there is, and try again when it has grown some more."""
        compaction, self._compaction = self._compaction, None
        if compaction is not None:
            compaction.memory.close()
        if error is not None:
            log.warning("the journal could not be written anew: %s", error)
            self._compact_at, self._most_unused = self._memory.end + SLACK, 2 * self._memory.unused

    def _write_anew(self, store: Store) -> None:
        """At once: what the journal has is not how things are. Raises OSError, StoreError."""
        compaction = self._new_compaction(store)
        while compaction.step():
            pass
        self._replace(compaction.memory)


def foreign(files: Iterable[OpenFile]) -> set[int]:
    """The numbers of those about which somebody in user space may be asked, by whoever asks."""
    return {file.number for file in files if not is_answered_by_the_kernel(file.filesystem)}


def _json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, separators=(",", ":")).encode("ascii")
