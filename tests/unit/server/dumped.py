"""A store as the socket serves it, without sockets: dumps of it, and restores into it."""

import json
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from fdstorefs.core.access import Check, Checked, mode_bits
from fdstorefs.core.limits import Limits
from fdstorefs.core.node import OpenFile
from fdstorefs.core.store import Store
from fdstorefs.errors import BY_IDENTIFIER, Overloaded, StoreError
from fdstorefs.server.context import Context
from fdstorefs.server.record import Records
from fdstorefs.server.varlink.activity import Activity, Exchange
from fdstorefs.server.varlink.call import Call
from fdstorefs.server.varlink.dumping import dump
from fdstorefs.server.varlink.reply import Reply, failure
from fdstorefs.server.varlink.restoring import restore
from fdstorefs.server.varlink.session import Session
from tests.unit.core.people import Clock, Person

ROOT = Person(0, 0, capabilities=-1)

Lot = tuple[list[dict[str, Any]], list[int]]


class Turns:
    """A loop that goes on by hand; time passes in no time."""

    def __init__(self) -> None:
        self.soon: deque[Callable[[], None]] = deque()

    def call_soon(self, function: Callable[[], None]) -> None:
        """Later."""
        self.soon.append(function)

    def call_at(self, _when: float, function: Callable[[], None]) -> "Turns":
        """Later, too."""
        self.soon.append(function)
        return self

    def cancel(self) -> None:
        """What comes of it is nothing: the activity is over."""


class Wire:
    """The connection under an exchange. `full`: how many more offers are not taken, `crowded`: nor could be."""

    def __init__(self, turns: Turns) -> None:
        self.said: list[tuple[dict[str, Any], list[int]]] = []
        self.backlog = 0
        self.full = 0
        self.crowded = 0
        self.exchange: Exchange | None = None
        self.is_over = False
        self._turns = turns

    def failure(self, error: StoreError) -> Reply:
        """As the service does."""
        return failure(error)

    def send(self, data: bytes) -> None:
        """Note it."""
        self.said.append((json.loads(data[:-1]), []))

    def offer(self, reply: Reply) -> bool:
        """Note it, or say no."""
        if self.crowded:
            self.crowded -= 1
            raise Overloaded("too many are under way")
        if self.full:
            self.full -= 1
            assert self.exchange is not None
            self._turns.call_soon(self.exchange.drained)
            return False
        self.said.append((json.loads(reply.data[:-1]), list(reply.descriptors or ())))
        return True

    def call_is_over(self) -> None:
        """Note it."""
        self.is_over = True


class Intake:
    """Knows open files by their descriptors."""

    def __init__(self, files: dict[int, OpenFile]) -> None:
        self._files = files
        self.limit = 20_000

    def accept(self, descriptor: int, _sender: int | None = None) -> OpenFile:
        """The open file."""
        return self._files[descriptor]

    def let_file_wait(self, _file: OpenFile) -> None:
        """There is no guard."""


class Served:
    """A store and what serves it. `files` are those that can come in, by descriptor."""

    def __init__(
        self, files: dict[int, OpenFile] | None = None, check: Check = mode_bits, limits: Limits | None = None
    ) -> None:
        self.store = Store(uid=0, gid=0, clock=Clock(), limits=limits, authority=Checked(check))
        self.turns = Turns()
        self.records = Records(self.store)
        subjects = cast(Any, self)
        self.context = Context(
            cast(Any, self.turns), self.store, cast(Any, Intake(files or {})), subjects, self.records, dict
        )
        self.session = Session()

    def stasher(self, _subject: object) -> object:
        """Whoever restores."""
        return ROOT.stasher

    def replies(
        self,
        who: Person = ROOT,
        between: Callable[[int], None] | None = None,
        full: int = 0,
        crowded: int = 0,
        **given: Any,
    ) -> list[tuple[dict[str, Any], list[int]]]:
        """All replies to a Dump. `between` is called with a count between any two turns of the server."""
        wire = Wire(self.turns)
        wire.full, wire.crowded = full, crowded
        activity: Activity = dump(self.context, Call("Dump", given, who.subject, [], more=True))
        wire.exchange = Exchange(wire, cast(Any, self.turns), activity)
        wire.exchange.start()
        count = 0
        while not wire.is_over:
            if between is not None:
                between(count)
            count += 1
            self.turns.soon.popleft()()
        return wire.said

    def dump(self, who: Person = ROOT, **given: Any) -> list[Lot]:
        """What a Dump brings, in lots. Fails if it fails."""
        replies = self.replies(who, **given)
        assert "error" not in replies[-1][0], replies[-1]
        return [(reply["parameters"]["nodes"], descriptors) for reply, descriptors in replies]

    def restore(self, lots: list[Lot], who: Person = ROOT, **given: Any) -> None:
        """Restore lots, the last of which is the end. Raises StoreError."""
        *some, end = lots
        for number, lot in enumerate(some):
            self.restore_some(lot, who, **({"first": True, **given} if number == 0 else {}))
        self.restore_some(end, who, last=True, **({} if some else {"first": True, **given}))

    def restore_some(
        self, lot: Lot, who: Person = ROOT, between: Callable[[int], None] | None = None, **given: Any
    ) -> None:
        """One call. `between` is called with a count between any two turns of the server."""
        nodes, descriptors = lot
        parameters = {"nodes": nodes, **given}
        call = Call("Restore", parameters, who.subject, list(descriptors), session=self.session)
        answer = restore(self.context, call)
        if not isinstance(answer, Reply):
            self._end(answer, between)

    def _end(self, answer: Activity, between: Callable[[int], None] | None) -> None:
        """Carry out the last call. Raises StoreError."""
        wire = Wire(self.turns)
        Exchange(wire, cast(Any, self.turns), answer).start()
        count = 0
        while not wire.is_over:
            if between is not None:
                between(count)
            count += 1
            self.turns.soon.popleft()()
        reply, _ = wire.said[-1]
        if "error" in reply:
            told = reply["parameters"]
            raise BY_IDENTIFIER[reply["error"].rpartition(".")[2]](told["message"], name=told.get("name"))
