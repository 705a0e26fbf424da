"""Dump: everything that matches, with its open files, a lot at a time.

Nothing is remembered from one turn to the next but what was seen already: each thing is judged in the turn in which
it goes out, as it is then. What does not get out of the door is judged again when there is room.
"""

import re
import time
from collections import deque
from typing import Any

from fdstorefs.core.access import Target
from fdstorefs.core.event import Change, Event
from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.subject import Subject
from fdstorefs.errors import Busy, Denied, NotGuarded, NotPermitted, Overloaded, StoreError
from fdstorefs.host.boot_clock import boottime
from fdstorefs.interface import MAX_DESCRIPTORS
from fdstorefs.server.context import Context
from fdstorefs.server.loop import Timer
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.call import Call
from fdstorefs.server.varlink.pattern import pattern
from fdstorefs.server.varlink.reply import Reply, encoded, success
from fdstorefs.server.varlink.reply import dump as encode
from fdstorefs.server.varlink.standard import expected_more

PARAMETERS = frozenset({"pattern", "leaveOut"})
TURN_SECONDS = 0.001
LOT = 128
"""Things that are judged in one turn; other clients wait meanwhile."""

LOT_BYTES = 1 << 16
AGAIN_SECONDS = 0.02
MOST_TRIES = 500

MOST_AT_A_TIME = 8
"""Dumps of one user: each remembers all that has gone out."""

Node = Entry | Box
Record = dict[str, Any]


def dump(context: Context, call: Call) -> "Dump":
    """Boxes and entries with all that is said of them, and descriptors, in several replies."""
    parameters.only(call.parameters, PARAMETERS)
    if not call.more:
        raise expected_more()
    leaves_out = parameters.flag(call.parameters, "leaveOut")
    uid = call.subject.uid
    if context.dumps.of(uid) >= MOST_AT_A_TIME:
        raise Overloaded(f"uid {uid} has {MOST_AT_A_TIME} dumps under way", hint="wait until one is done")
    return Dump(context, call.subject, pattern(call.parameters), leaves_out=leaves_out)


class Dump:
    """The activity of one Dump. With `leaves_out` what the subject may not have is told of at the end."""

    def __init__(
        self, context: Context, subject: Subject, wanted: re.Pattern[str] | None, *, leaves_out: bool
    ) -> None:
        self._context = context
        self._subject = subject
        self._wanted = wanted
        self._leaves_out = leaves_out
        self._left_out: dict[str, str] = {}
        self._walk = context.store.walk(subject)
        self._todo: deque[Node] = deque()
        self._met: set[Node] = set()
        self._out: set[Node] = set()
        self._sent: set[OpenFile] = set()
        self._opened: set[Box] = set()
        self._timer: Timer | None = None
        self._tries = 0

    def start(self, exchange: Exchange) -> None:
        """Begin."""
        self._exchange = exchange
        self._context.dumps.add(self._subject.uid, 1)
        self._end_subscription = self._context.store.events.subscribe(self._subject.uid, self._heard)
        self._go_on()

    def told(self) -> dict[str, Any]:
        """What has gone out, by its numbers."""
        return {
            "out": [node.ino for node in self._out],
            "sent": [file.number for file in self._sent],
            "leftOut": self._left_out,
        }

    def resume(self, exchange: Exchange, told: dict[str, Any]) -> None:
        """Begin, and pass over what went out from another server."""
        nodes = self._context.store.tree.nodes
        self._out = {nodes[number] for number in told.get("out", ()) if number in nodes}
        sent = set(told.get("sent", ()))
        self._sent = {file for file in self._context.intake.stored if file.number in sent}
        self._left_out = dict(told.get("leftOut", {}))
        self.start(exchange)

    def drained(self) -> None:
        """Go on: there is room."""
        if self._timer is None:
            self._go_on()

    def stop(self) -> None:
        """Forget everything."""
        self._end_subscription()
        self._context.dumps.add(self._subject.uid, -1)
        self._walk.close()
        if self._timer is not None:
            self._timer.cancel()

    def _heard(self, event: Event) -> None:
        """An entry that is renamed meanwhile must not be missed; a box that is has taken along what was told of."""
        if event.change is Change.RENAMED:
            if isinstance(event.node, Box):
                self._exchange.run(lambda: _refuse_moved(event))
            else:
                self._meet(event.node)

    # Which

    def _wants(self, path: str) -> bool:
        """Whether it matches, or is in a box that does."""
        wanted = self._wanted
        if wanted is None or wanted.fullmatch(path):
            return True
        at = path.rfind("/")
        return at > 0 and self._wants(path[:at])

    def _meet(self, node: Node) -> None:
        if node not in self._met:
            self._met.add(node)
            self._todo.append(node)

    def _look_around(self) -> bool:
        """Find what is there, for one turn. Whether that is all."""
        end = time.monotonic() + TURN_SECONDS
        for path, target in self._walk:
            if target is not None and target.node is not None and self._wants(path):
                self._meet(target.node)
            if len(self._todo) >= LOT or time.monotonic() > end:
                return False
        return True

    # One lot

    def _go_on(self) -> None:
        self._timer = None
        if self._exchange.backlog:
            return  # `drained` comes
        is_all = self._look_around()
        if len(self._todo) >= LOT or is_all:
            if self._todo and not self._send_lot():
                return
            if is_all and not self._todo:
                left_out = [{"name": name, "why": why} for name, why in self._left_out.items()]
                self._exchange.finish(success({"nodes": [], "leftOut": left_out}))
                return
        if not self._exchange.backlog:
            self._exchange.soon(self._go_on)

    def _send_lot(self) -> bool:
        lot, files, records = self._next_lot()
        reply = encoded(f'{{"nodes":[{",".join(records)}]}}', continues=True)
        if not files:
            if records:
                self._exchange.say(reply)
            return True
        if self._offer(Reply(reply.data, [file.descriptor for file in files])):
            return True
        self._todo.extendleft(reversed(lot))
        self._out.difference_update(lot)
        self._sent.difference_update(files)
        return False

    def _offer(self, reply: Reply) -> bool:
        try:
            taken = self._exchange.offer(reply)
        except Overloaded:
            # Somebody has to receive what is under way to him, and nothing tells when.
            self._tries += 1
            if self._tries > MOST_TRIES:
                raise
            self._timer = self._context.loop.call_at(
                time.monotonic() + AGAIN_SECONDS, lambda: self._exchange.soon(self._go_on)
            )
            return False
        if taken:
            self._tries = 0
        return taken

    def _next_lot(self) -> tuple[list[Node], list[OpenFile], list[str]]:
        lot: list[Node] = []
        files: list[OpenFile] = []
        records: list[str] = []
        size = 0
        while self._todo and len(lot) < LOT and len(files) < MAX_DESCRIPTORS and size < LOT_BYTES:
            node = self._todo.popleft()
            if node in self._out:
                continue
            targets = self._context.store.names_to_dump(self._subject, node, self._wants)
            first = [box for target in targets for box in _boxes_above(target) if box not in self._out]
            if first:
                self._todo.extendleft([node, *reversed(first)])
                continue
            self._out.add(node)
            lot.append(node)
            record = self._record(node, targets, files)
            if record is not None:
                records.append(encode(record))
                size += len(records[-1])
        return lot, files, records

    def _record(self, node: Node, targets: list[Target], files: list[OpenFile]) -> Record | None:
        """What goes out for a node; its open file joins `files` if it goes out for the first time."""
        if not targets:
            return None
        store = self._context.store
        try:
            store.require_dump(self._subject, targets[0], self._opened)
        except (Denied, NotPermitted, NotGuarded, Busy) as error:
            if not self._leaves_out:
                raise
            self._left_out[targets[0].path] = error.message
            return self._box(targets[0], node) if isinstance(node, Box) else None
        if isinstance(node, Box):
            return self._box(targets[0], node)
        return self._entry(targets, node, files)

    # Records

    def _box(self, target: Target, box: Box) -> Record:
        record = _common([target], box)
        if box.sealed:
            record["sealed"] = True
        if not self._wants(target.path):
            record["onTheWay"] = True
        return record

    def _entry(self, targets: list[Target], entry: Entry, files: list[OpenFile]) -> Record:
        record = _common(targets, entry)
        record["poll"] = entry.polled
        if entry.label is not None:
            record["label"] = entry.label
        if entry.expires is not None:
            record["lifetime"] = max(entry.expires - boottime(), 1)
        file = entry.file
        if file is not None:
            record["file"] = self._context.records.file_number(file)
            if file not in self._sent:
                self._sent.add(file)
                record["fileDescriptor"] = len(files)
                files.append(file)
        return record


def _common(targets: list[Target], node: Node) -> Record:
    record: Record = {
        "names": [target.path for target in targets],
        "kind": node.kind,
        "id": node.ino,
        "uid": node.uid,
        "gid": node.gid,
        "mode": node.mode,
        "created": node.created,
        "changed": node.changed,
    }
    who = node.stasher
    if who is not None:
        record["stasher"] = {"pid": who.pid, "uid": who.uid, "gid": who.gid, "command": who.command}
    return record


def _boxes_above(target: Target) -> list[Box]:
    """Those that a name is in, the highest first, without the root."""
    above: list[Box] = []
    box = target.box
    while box.parent is not None:
        above.append(box)
        box = box.parent
    return above[::-1]


def _refuse_moved(event: Event) -> StoreError:
    raise Busy(
        f"a box was renamed while all was being dumped, from `{event.former}`",
        name=event.former,
        hint="try again",
    )
