"""A store that is driven step by step, by one user who has three open files, as a server would."""

from hypothesis import strategies as st

from fdstorefs.core.access import Check, Checked, mode_bits
from fdstorefs.core.event import Change
from fdstorefs.core.limits import Limits
from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.restoring import Arriving
from fdstorefs.core.store import Store
from tests.unit.core.people import Clock, Files, Person

PATHS = ("a", "b", "box", "box/a", "box/b", "other", "other/a")
SOME_PATH = st.sampled_from(PATHS)
SOME_FILE = st.integers(0, 2)
STEPS = st.one_of(
    st.tuples(st.just("stash"), SOME_PATH, SOME_FILE),
    st.tuples(st.just("stash two"), SOME_PATH, SOME_PATH, SOME_FILE, SOME_FILE),
    st.tuples(st.just("restore"), SOME_PATH, SOME_PATH, SOME_PATH, SOME_FILE, st.booleans()),
    st.tuples(st.just("create"), SOME_PATH),
    st.tuples(st.just("fill"), SOME_PATH, SOME_FILE),
    st.tuples(st.just("link"), SOME_PATH, SOME_PATH),
    st.tuples(st.just("rename"), SOME_PATH, SOME_PATH),
    st.tuples(st.just("label"), SOME_PATH),
    st.tuples(st.just("discard"), SOME_PATH),
    st.tuples(st.just("discard two"), SOME_PATH, SOME_PATH),
    st.tuples(st.just("take"), SOME_PATH),
    st.tuples(st.just("make box"), SOME_PATH),
    st.tuples(st.just("remove box"), SOME_PATH),
    st.tuples(st.just("seal"), SOME_PATH, st.booleans()),
    st.tuples(st.just("set mode"), SOME_PATH),
    st.tuples(st.just("set group"), SOME_PATH),
    st.tuples(st.just("set expiry"), SOME_PATH, st.none() | st.integers(1, 9)),
    st.tuples(st.just("set polled"), SOME_PATH, st.booleans()),
    st.tuples(st.just("expire"), st.integers(1, 9)),
    st.tuples(st.just("hang up"), SOME_FILE),
)


class Driven:
    """The store, and what can be done with it."""

    def __init__(self, check: Check = mode_bits) -> None:
        self.person = Person(1000, 1000, frozenset({2000}))
        self.store = Store(uid=0, gid=0, clock=Clock(), mode=0o777, limits=Limits(), authority=Checked(check))
        self._make = Files()
        self._files: dict[int, OpenFile] = {}

    def file(self, number: int) -> OpenFile:
        """One of the files; a new one once it was released."""
        file = self._files.get(number)
        if file is None or file.number in self._make.released:
            file = self._files[number] = self._make()
        return file

    @property
    def released(self) -> list[int]:
        """Numbers of the files that the store has let go of, in order."""
        return self._make.released

    def store_files(self) -> set[OpenFile]:
        """The open files that are in entries."""
        nodes = self.store.tree.nodes.values()
        return {node.file for node in nodes if isinstance(node, Entry) and node.file is not None}

    def do(self, step: str, *arguments: object) -> None:
        """Do it, as a server would."""
        getattr(self, step.replace(" ", "_"))(*arguments)

    def stash(self, path: str, number: int) -> None:
        """Stash one of the files."""
        file = self.file(number).hold()
        try:
            self.store.stash(self.person.subject, path, file, self.person.stasher, replace=True)
        finally:
            file.drop()

    def stash_two(self, first: str, second: str, one: int, other: int) -> None:
        """Stash two of them at once."""
        store, subject = self.store, self.person.subject
        files = [self.file(one).hold(), self.file(other).hold()]
        try:
            targets = [store.check_stash(subject, path, replace=True) for path in (first, second)]
            if (targets[0].box, targets[0].name) == (targets[1].box, targets[1].name):
                return
            puts = [
                store.to_put(target, file, self.person.stasher)
                for target, file in zip(targets, files, strict=True)
            ]
            with store.agreement(subject, puts) as agreement:
                for put in puts:
                    store.check_put(subject, put.target, put.file, put.label)
                agreement.complete()
                store.put_all(subject, puts)
        finally:
            for file in files:
                file.drop()

    def restore(self, box: str, first: str, second: str, number: int, replace: bool) -> None:
        """Restore a box, an entry with a file and two names, and another with nothing in it; a sealed box, at times."""
        store, file = self.store, self.file(number).hold()
        entry = Arriving([first, second], False, store.tree.next_ino(), 1, 2000, 0o640, 7, 8, file)
        try:
            store.restore(
                self.person.subject,
                [
                    Arriving([box], True, store.tree.next_ino(), 1000, 1, 0o777, 9, 9, sealed=number == 2),
                    entry._replace(label="restored", expires=5),
                    Arriving([f"{box}/empty"], False, store.tree.next_ino(), 1000, 1000, 0o600, 9, 9),
                ],
                self.person.stasher,
                replace=replace,
            )
        finally:
            file.drop()

    def create(self, path: str) -> None:
        """Make an empty entry."""
        goal = self.store.locate_goal(self.person.subject, path)
        self.store.create(self.person.subject, goal.box, goal.name)

    def fill(self, path: str, number: int) -> None:
        """Put a file into an entry."""
        entry = self.store.locate(self.person.subject, path).node
        if isinstance(entry, Entry):
            file = self.file(number).hold()
            try:
                self.store.fill(self.person.subject, entry, file, self.person.stasher)
            finally:
                file.drop()

    def link(self, source: str, goal: str) -> None:
        """Give a second name."""
        subject = self.person.subject
        there = self.store.locate_goal(subject, goal)
        self.store.link(subject, self.store.locate(subject, source), there.box, there.name)

    def rename(self, source: str, goal: str) -> None:
        """Rename, and replace."""
        subject = self.person.subject
        self.store.rename(subject, self.store.locate(subject, source), self.store.locate_goal(subject, goal))

    def label(self, path: str) -> None:
        """Give a label."""
        entry = self.store.locate(self.person.subject, path).node
        if isinstance(entry, Entry):
            self.store.set_label(self.person.subject, entry, f"label of {path}")

    def discard(self, path: str) -> None:
        """Discard."""
        self.store.discard(self.person.subject, self.store.locate(self.person.subject, path))

    def take(self, path: str) -> None:
        """Retrieve and discard."""
        for file in self.store.take_many(self.person.subject, [path]):
            file.drop()

    def make_box(self, path: str) -> None:
        """Make a box."""
        goal = self.store.locate_goal(self.person.subject, path)
        self.store.make_box(self.person.subject, goal.box, goal.name, 0o777)

    def discard_two(self, first: str, second: str) -> None:
        """Discard two at once."""
        self.store.discard_many(self.person.subject, [first, second])

    def remove_box(self, path: str) -> None:
        """Remove a box."""
        self.store.remove_box(self.person.subject, self.store.locate(self.person.subject, path))

    def seal(self, path: str, sealed: bool) -> None:
        """Seal or unseal a box."""
        box = self.store.locate(self.person.subject, path).node
        if isinstance(box, Box):
            self.store.seal(self.person.subject, box, sealed=sealed)

    def set_mode(self, path: str) -> None:
        """Change the mode."""
        node = self.store.locate(self.person.subject, path).node
        if node is not None:
            self.store.set_mode(self.person.subject, node, node.mode ^ 0o040)

    def set_group(self, path: str) -> None:
        """Give it to the user's other group."""
        node = self.store.locate(self.person.subject, path).node
        if node is not None:
            self.store.set_owner(self.person.subject, node, None, 2000)

    def set_expiry(self, path: str, when: int | None) -> None:
        """Say when an entry goes, or that it stays."""
        entry = self.store.locate(self.person.subject, path).node
        if isinstance(entry, Entry):
            self.store.set_expiry(self.person.subject, entry, when)

    def set_polled(self, path: str, polled: bool) -> None:
        """Say whether it goes on hang-up."""
        entry = self.store.locate(self.person.subject, path).node
        if isinstance(entry, Entry):
            self.store.set_polled(self.person.subject, entry, polled=polled)

    def expire(self, now: int) -> None:
        """Have go what is due."""
        self._lapse(self.store.schedule.take_due(now, 64), Change.EXPIRED)

    def hang_up(self, number: int) -> None:
        """Have go what holds one of the files."""
        self._lapse([entry for entry in self.file(number).entries if entry.polled], Change.EVICTED)

    def _lapse(self, entries: list[Entry], change: Change) -> None:
        targets = [target for entry in entries for target in self.store.may_lapse(entry)]
        if targets:
            self.store.lapse(targets, change)

    def picture(self) -> list[tuple[str, int, int | None]]:
        """What is in the store."""
        return [
            (path, node.ino, getattr(getattr(node, "file", None), "number", None))
            for path, _, _, node in self.store.tree.walk(self.store.root)
        ]
