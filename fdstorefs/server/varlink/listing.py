"""List: everything the caller may list, a little at a time, so that nobody waits for a long listing."""

import re
import time
from collections.abc import Generator
from typing import Any

from fdstorefs.core.access import Target
from fdstorefs.core.subject import Subject
from fdstorefs.errors import InvalidArgument, Overloaded
from fdstorefs.server.context import Context
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.call import Call
from fdstorefs.server.varlink.pattern import pattern
from fdstorefs.server.varlink.reply import MAX_REPLY, dump, encoded

PARAMETERS = frozenset({"pattern", "details"})
Walk = Generator[tuple[str, Target | None]]
TURN_SECONDS = 0.001
BATCH_BYTES = 1 << 16
ENTRIES_PER_LOOK_AT_THE_CLOCK = 8

MOST_AT_A_TIME = 4
"""Lists of one user that are one reply: what they have found is kept until all is."""


def list_entries(context: Context, call: Call) -> "Listing":
    """Entries sorted by name; in several replies with `more`, else in one."""
    parameters.only(call.parameters, PARAMETERS)
    wanted, details = pattern(call.parameters), parameters.flag(call.parameters, "details")
    uid = call.subject.uid
    if not call.more and context.lists.of(uid) >= MOST_AT_A_TIME:
        raise Overloaded(
            f"uid {uid} has {MOST_AT_A_TIME} lists in one reply under way", hint="call with `more`"
        )
    return Listing(context, call.subject, wanted, details, call.more)


class Listing:
    """The activity of one List."""

    def __init__(
        self, context: Context, subject: Subject, wanted: re.Pattern[str] | None, details: bool, more: bool
    ) -> None:
        self._context = context
        self._subject = subject
        self._wanted = wanted
        self._details = details
        self._more = more
        self._walk = context.store.walk(subject)
        self._found: list[str] = []
        self._bytes = 0
        self._latest = ""

    def start(self, exchange: Exchange) -> None:
        """Begin."""
        self._begin(exchange)
        self._go_on()

    def _begin(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._count(1)

    def _count(self, times: int) -> None:
        if not self._more:
            self._context.lists.add(self._subject.uid, times)

    def told(self) -> dict[str, Any]:
        """How far it has come. In one reply nothing has been said yet, and another server begins anew."""
        return {"latest": self._latest, "found": self._found} if self._more else {}

    def resume(self, exchange: Exchange, told: dict[str, Any]) -> None:
        """Go on behind what has been said."""
        self._begin(exchange)
        self._found = [str(text) for text in told.get("found", ())]
        self._bytes = sum(len(text) + 1 for text in self._found)
        self._walk = rest_of(told.get("latest", ""), self._walk)
        if not exchange.backlog:
            self._go_on()

    def drained(self) -> None:
        """Continue where the last batch ended."""
        self._go_on()

    def stop(self) -> None:
        """Let go of what was found, and have on record what was left out."""
        self._found = []
        self._walk.close()
        self._count(-1)

    def _go_on(self) -> None:
        if self._collect():
            self._exchange.finish(encoded(self._batch()))
            return
        if self._more:
            self._say_batch()
        elif self._bytes > MAX_REPLY:
            raise InvalidArgument("the list is too long for one reply", hint="call with `more`")
        if not self._exchange.backlog:
            self._exchange.soon(self._go_on)

    def _say_batch(self) -> None:
        if self._bytes >= BATCH_BYTES:
            self._exchange.say(encoded(self._batch(), continues=True))

    def _collect(self) -> bool:
        """Collect for one turn; True at the end of the list."""
        end = time.monotonic() + TURN_SECONDS
        for count, (path, target) in enumerate(self._walk, 1):
            self._latest = path or self._latest
            if target is not None and (self._wanted is None or self._wanted.fullmatch(path)):
                self._add(target)
            full = self._more and self._bytes >= BATCH_BYTES
            look = target is None or count % ENTRIES_PER_LOOK_AT_THE_CLOCK == 0
            if full or (look and time.monotonic() > end):
                return False
        return True

    def _add(self, target: Target) -> None:
        if target.node is None:
            return
        text = dump(self._record(target))
        self._found.append(text)
        self._bytes += len(text) + 1

    def _record(self, target: Target) -> dict[str, Any]:
        records = self._context.records
        assert target.node is not None
        if self._details:
            return records.full(self._subject, target, target.node)
        return records.plain(self._subject, target, target.node)

    def _batch(self) -> str:
        entries, self._found, self._bytes = ",".join(self._found), [], 0
        return f'{{"entries":[{entries}]}}'


def rest_of(latest: str, walk: Walk) -> Walk:
    """The rest of a walk, which is sorted by the parts of paths."""
    place = latest.split("/") if latest else []
    try:
        for path, target in walk:
            if target is None or path.split("/") > place:
                yield path, target
    finally:
        walk.close()
