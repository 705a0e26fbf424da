"""Rebuilding: a store from what is in a journal and the descriptors that the keeper has.

Of a journal that is whole nothing is left over but what nobody was ever told of: a descriptor that came in a moment
before its server died. If records are lost, every descriptor counts: what no entry leads to gets a name of its own,
in a box of the instance's owner.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.core.tree import ROOT_INO
from fdstorefs.server.intake import Intake
from fdstorefs.server.keeping.decoding import Fields, HoldAgain, NodeDecoder, open_file
from fdstorefs.server.keeping.state import Restored

FOUND = "lost+found"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Rebuilt:
    """How it went: how many entries and boxes there are, and open files in them.

    `dropped` are numbers and descriptors that nobody needs, and the caller's. `missing` are paths of entries that
    are lost as their open file is, and `found` those that were made for what had no name.
    """

    entries: int = 0
    files: int = 0
    dropped: dict[int, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether the store is not what the journal says."""
        return bool(self.missing or self.found)


class Rebuilder:
    """Fills an empty store, once. `held` are descriptors of open files, by number."""

    def __init__(
        self,
        restored: Restored,
        held: Mapping[int, int],
        store: Store,
        intake: Intake,
        hold_again: HoldAgain,
    ) -> None:
        self._nodes = restored.state.nodes
        self._is_damaged = restored.damage is not None
        self._held = dict(held)
        self._store = store
        self._intake = intake
        self._decoder = NodeDecoder(hold_again)
        self._boxes: dict[int, Box] = {ROOT_INO: store.root}
        self._files: dict[int, OpenFile] = {}
        self._found: Box | None = None
        self._rebuilt = Rebuilt()

    def run(self) -> Rebuilt:
        """All of it."""
        self._restore_root()
        for number, fields in self._nodes.items():
            if "p" in fields and number != ROOT_INO:
                self._boxes[number] = self._decoder.box(fields)
        for number in list(self._boxes):
            self._place_box(number)
        for fields in self._nodes.values():
            if "P" in fields:
                self._restore_entry(fields)
        self._settle_the_rest()
        self._rebuilt.entries, self._rebuilt.files = self._store.usage.total, len(self._files)
        return self._rebuilt

    def _restore_root(self) -> None:
        fields = self._nodes.get(ROOT_INO)
        if fields is None:
            return
        root, was = self._store.root, self._decoder.box(fields)
        root.uid, root.gid, root.mode, root.sealed = was.uid, was.gid, was.mode, was.sealed
        root.created, root.changed, root.stasher = was.created, was.changed, was.stasher

    # Boxes

    def _place_box(self, number: int) -> None:
        """Give a box its name, after those above it."""
        above: list[Box] = []
        box: Box | None = self._boxes[number]
        while box is not None and box.parent is None and box is not self._store.root and box not in above:
            above.append(box)
            box = self._boxes.get(self._place(box)[0])
        for each in reversed(above):
            parent, name = self._place(each)
            if not self._give_name(self._boxes.get(parent), name, each):
                self._find(each)
            self._store.usage.add(each.uid)

    def _place(self, box: Box) -> tuple[int, str]:
        number, name = self._nodes[box.ino]["p"]
        return number, name

    def _give_name(self, box: Box | None, name: str, node: Entry | Box) -> bool:
        """Whether it could be done: in what is left of a damaged journal two may have the same name, or a box none."""
        if box is None or name in box.children or not self._is_placed(box):
            return False
        self._store.tree.attach(box, name, node)
        return True

    def _is_placed(self, box: Box) -> bool:
        return box is self._store.root or box.parent is not None

    # Entries

    def _restore_entry(self, fields: Fields) -> None:
        file = self._file(fields["f"]) if "f" in fields else None
        if "f" in fields and file is None:
            self._miss(fields)
            return
        entry = self._decoder.entry(fields)
        if file is not None:
            entry.file = file.hold()
            file.enter(entry)
            if entry.stasher is not None:
                file.sender = entry.stasher.uid
        self._store.usage.add(entry.uid)
        if not [
            place for place in fields["P"] if self._give_name(self._boxes.get(place[0]), place[1], entry)
        ]:
            self._find(entry)

    def _file(self, fields: Fields) -> OpenFile | None:
        number: int = fields["n"]
        if number not in self._files and number in self._held:
            try:
                self._files[number] = self._intake.restore(open_file(fields, self._held[number]))
            except OSError as error:
                log.error("the descriptor of open file %d cannot be used: %s", number, error.strerror)
            else:
                del self._held[number]
        return self._files.get(number)

    def _miss(self, fields: Fields) -> None:
        for number, name in fields["P"]:
            box = self._boxes.get(number)
            prefix = f"{box.path}/" if box is not None and box.path else ""
            self._rebuilt.missing.append(prefix + name)

    # What has no name

    def _settle_the_rest(self) -> None:
        if not self._is_damaged:
            self._rebuilt.dropped = self._held
            return
        for number, descriptor in self._held.items():
            self._files[number] = file = self._intake.recognise(number, descriptor)
            root, now = self._store.root, time.time_ns()
            entry = Entry(
                self._store.tree.next_ino(), root.uid, root.gid, 0o600, now, now, stasher=root.stasher
            )
            entry.file = file.hold()
            file.enter(entry)
            self._store.usage.add(entry.uid)
            self._find(entry)

    def _find(self, node: Entry | Box) -> None:
        """Give a name to a node that has none."""
        if self._found is None:
            self._found = self._make_found()
        self._store.tree.attach(self._found, str(node.ino), node)
        self._rebuilt.found.append(f"{self._found.path}/{node.ino}")

    def _make_found(self) -> Box:
        root, now = self._store.root, time.time_ns()
        box = Box(self._store.tree.next_ino(), root.uid, root.gid, 0o700, now, now, stasher=root.stasher)
        self._store.tree.attach(root, self._free_name(root), box)
        self._store.usage.add(box.uid)
        return box

    def _free_name(self, root: Box) -> str:
        taken = {
            fields["p"][1]
            for fields in self._nodes.values()
            if fields.get("p") and fields["p"][0] == ROOT_INO
        }
        taken |= {
            name
            for fields in self._nodes.values()
            for number, name in fields.get("P", ())
            if number == ROOT_INO
        }
        name, count = FOUND, 1
        while name in taken or name in root.children:
            count += 1
            name = f"{FOUND}.{count}"
        return name
