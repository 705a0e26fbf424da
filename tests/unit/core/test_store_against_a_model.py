"""The store and a naive model of it, driven by the same random operations, always agree."""

from collections import Counter
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from fdstorefs.core.limits import Limits
from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.errors import StoreError
from tests.unit.core.people import Clock, Files, Person

LIMIT = 8
PEOPLE = (Person(1000, 1000), Person(1001, 1001))
NAMES = st.sampled_from(["a", "b", "c", "box/a", "box/b", "deep/er/a", "box", "deep", "deep/er"])
SOMEBODY = st.sampled_from(PEOPLE)


class StoreAndModel(RuleBasedStateMachine):
    """The model: paths of entries to (owner, file number or None), and paths of boxes to owners."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.files = Files()
        self.store = Store(uid=0, gid=0, clock=Clock(), limits=Limits(entries=LIMIT))
        self.entries: dict[str, tuple[int, int]] = {}
        self.boxes: dict[str, int] = {"": 0}
        self.holds: Counter[int] = Counter()
        self.known: dict[int, OpenFile] = {}
        self.identity: dict[int, int] = {}
        self.next_identity = 0
        self.gone: list[Box] = []

    # What the model says of an operation before it is tried

    def parent(self, path: str) -> str:
        return path.rpartition("/")[0]

    def searchable(self, who: Person, path: str) -> bool:
        parent = self.parent(path)
        while parent:
            if self.boxes.get(parent) != who.subject.uid:
                return False
            parent = self.parent(parent)
        return True

    def exists(self, path: str) -> bool:
        return path in self.entries or path in self.boxes

    def owner(self, path: str) -> int:
        return self.boxes[path] if path in self.boxes else self.owner_of_entry(path)

    def owner_of_entry(self, path: str) -> int:
        return self.entries[path][0]

    def reachable(self, who: Person, path: str) -> bool:
        return self.parent(path) in self.boxes and self.searchable(who, path)

    def full(self) -> bool:
        nodes = {self.identity_of(path) for path in self.entries}
        return len(nodes) + len(self.boxes) - 1 >= LIMIT

    def identity_of(self, path: str) -> int:
        return self.entry_ids[path]

    @property
    def entry_ids(self) -> dict[str, int]:
        return {path: node.ino for path, node in self.real_entries().items()}

    def real_entries(self) -> dict[str, Entry]:
        root = self.store.root
        return {path: node for path, _, _, node in self.store.tree.walk(root) if isinstance(node, Entry)}

    def attempt(self, expected: bool, operation: Callable[[], object]) -> object:
        """Run it; it must succeed exactly if the model says so."""
        if expected:
            return operation()
        with pytest.raises(StoreError):
            operation()
        return None

    # Operations

    @rule(who=SOMEBODY, path=NAMES, replace=st.booleans(), again=st.booleans(), data=st.data())
    def stash(self, who: Person, path: str, replace: bool, again: bool, data: st.DataObject) -> None:
        stored = sorted({number for _, number in self.entries.values()})
        number = data.draw(st.sampled_from(stored)) if again and stored else None
        file = self.known[number] if number is not None else self.files()
        self.known[file.number] = file
        owned = path in self.entries and self.owner_of_entry(path) == who.subject.uid
        fits = owned and replace if path in self.entries else not self.full()
        expected = self.reachable(who, path) and path not in self.boxes and fits
        done = self.attempt(
            expected,
            lambda: self.store.stash(who.subject, path, file, who.stasher, replace=replace),
        )
        if done is not None:
            self.set_file(path, who.subject.uid, file.number)

    def set_file(self, path: str, uid: int, number: int) -> None:
        node = self.real_entries()[path]
        for other, entry in self.real_entries().items():
            if entry is node:
                self.entries[other] = (self.entries.get(other, (uid, 0))[0], number)

    @rule(who=SOMEBODY, path=NAMES)
    def make_box(self, who: Person, path: str) -> None:
        expected = self.reachable(who, path) and not self.exists(path) and not self.full()

        def make() -> Box:
            target = self.store.locate_goal(who.subject, path)
            return self.store.make_box(who.subject, target.box, target.name)

        if self.attempt(expected, make) is not None:
            self.boxes[path] = who.subject.uid

    @rule(who=SOMEBODY, path=NAMES)
    def remove_box(self, who: Person, path: str) -> None:
        empty = not any(self.parent(other) == path for other in [*self.entries, *self.boxes] if other)
        expected = self.reachable(who, path) and self.boxes.get(path) == who.subject.uid and empty

        def remove() -> bool:
            target = self.store.locate(who.subject, path)
            self.store.remove_box(who.subject, target)
            assert isinstance(target.node, Box)
            self.gone.append(target.node)
            return True

        if self.attempt(expected, remove):
            del self.boxes[path]

    @rule(target=held, who=SOMEBODY, path=NAMES)
    def retrieve(self, who: Person, path: str) -> OpenFile | None:
        expected = self.may_use(who, path)
        files = self.attempt(expected, lambda: self.store.retrieve_many(who.subject, [path]))
        if files is None:
            return None
        (file,) = files  # type: ignore[misc]
        assert file.number == self.entries[path][1]
        self.holds[file.number] += 1
        return file.hold()  # type: ignore[no-any-return]

    def may_use(self, who: Person, path: str) -> bool:
        owned = path in self.entries and self.owner_of_entry(path) == who.subject.uid
        return self.reachable(who, path) and owned

    @rule(target=held, who=SOMEBODY, path=NAMES)
    def take(self, who: Person, path: str) -> OpenFile | None:
        files = self.attempt(self.may_use(who, path), lambda: self.store.take_many(who.subject, [path]))
        if files is None:
            return None
        (file,) = files  # type: ignore[misc]
        assert file.number == self.entries.pop(path)[1]
        self.holds[file.number] += 1
        return file  # type: ignore[no-any-return]

    @rule(file=consumes(held))
    def give_back(self, file: OpenFile | None) -> None:
        if file is not None:
            self.holds[file.number] -= 1
            file.drop()

    @rule(who=SOMEBODY, path=NAMES)
    def discard(self, who: Person, path: str) -> None:
        def discard() -> bool:
            self.store.discard_many(who.subject, [path])
            return True

        if self.attempt(self.may_use(who, path), discard):
            del self.entries[path]

    @rule(who=SOMEBODY, source=NAMES, goal=NAMES)
    def rename_entry(self, who: Person, source: str, goal: str) -> None:
        if source in self.boxes or goal in self.boxes:
            return
        same = source in self.entries and self.entry_ids.get(goal) == self.entry_ids[source]
        usable = self.may_use(who, source) and self.reachable(who, goal)
        mine = goal not in self.entries or self.owner_of_entry(goal) == who.subject.uid

        def rename() -> bool:
            old = self.store.locate(who.subject, source)
            self.store.rename(who.subject, old, self.store.locate_goal(who.subject, goal))
            return True

        if self.attempt(usable and (same or mine), rename) and not same:
            self.entries[goal] = self.entries.pop(source)

    @rule(who=SOMEBODY, source=NAMES, goal=NAMES)
    def link(self, who: Person, source: str, goal: str) -> None:
        expected = self.may_use(who, source) and self.reachable(who, goal) and not self.exists(goal)

        def link() -> Entry:
            where = self.store.locate_goal(who.subject, goal)
            return self.store.link(who.subject, self.store.locate(who.subject, source), where.box, where.name)

        if self.attempt(expected, link) is not None:
            self.entries[goal] = self.entries[source]

    @rule(who=SOMEBODY, source=NAMES)
    def bring_into_a_removed_box(self, who: Person, source: str) -> None:
        """As through an open directory; whatever it was that was to be brought stays where it is."""
        for box in self.gone:
            with pytest.raises(StoreError):
                self.store.rename(
                    who.subject, self.store.locate(who.subject, source), self.store.target(box, "x")
                )
            with pytest.raises(StoreError):
                self.store.link(who.subject, self.store.locate(who.subject, source), box, "x")
            with pytest.raises(StoreError):
                self.store.make_box(who.subject, box, "x")

    # What must always hold

    @invariant()
    def the_same_paths_hold_the_same_files(self) -> None:
        real = {path: entry.file.number for path, entry in self.real_entries().items() if entry.file}
        assert real == {path: number for path, (_, number) in self.entries.items()}

    @invariant()
    def the_same_boxes_exist(self) -> None:
        boxes = {path for path, _, _, node in self.store.tree.walk(self.store.root) if isinstance(node, Box)}
        assert boxes | {""} == set(self.boxes)

    @invariant()
    def every_file_is_held_exactly_as_often_as_it_is_used(self) -> None:
        expected = Counter(self.holds)
        for entry in {id(entry): entry for entry in self.real_entries().values()}.values():
            if entry.file is not None:
                expected[entry.file.number] += 1
        assert {n: file.holds for n, file in self.known.items() if file.holds} == dict(+expected)

    @invariant()
    def nothing_is_released_that_is_in_use_and_nothing_twice(self) -> None:
        in_use = {number for number, file in self.known.items() if file.holds}
        assert in_use.isdisjoint(self.files.released)
        assert len(set(self.files.released)) == len(self.files.released)

    @invariant()
    def the_count_is_right(self) -> None:
        nodes = {id(node) for _, _, _, node in self.store.tree.walk(self.store.root)}
        assert self.store.usage.total == len(nodes) <= LIMIT
        assert len(self.store.tree.nodes) == len(nodes) + 1


TestStoreAndModel = StoreAndModel.TestCase
TestStoreAndModel.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
