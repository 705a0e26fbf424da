"""What is remembered of an entry is what would be found anew, after whatever happened to it."""

from collections.abc import Sequence

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fdstorefs.core.access import Action, Target
from fdstorefs.core.event import Event
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.subject import Subject
from fdstorefs.errors import StoreError
from fdstorefs.policy.decide import decide
from fdstorefs.server.enforcement.judge import Judge
from fdstorefs.server.enforcement.subject_view import SubjectView
from tests.unit.enforcement.governed import ADA, ALL, BOB, Governed, User, in_force, policy

LISTS = (
    policy(
        ALL,
        f"forbid actions: [list, retrieve], entries: ['b/**', c], subject: {{uid: [{BOB}]}}",
        f"forbid actions: [list], kinds: [socket], subject: {{uid: [{BOB}]}}",
        f"forbid actions: [retrieve], labels: [red], subject: {{uid: [{BOB}]}}",
        "forbid actions: [take], entries: ['**/a'], unless: {stasher: {uid: same}}",
    ),
    policy(ALL, f"forbid actions: [list], entries: [a, 'c/**'], subject: {{uid: [{BOB}]}}"),
)
ASKED = (Action.LIST, Action.RETRIEVE, Action.TAKE)
USERS = (User(ADA), User(BOB))
NAMES = st.sampled_from(["a", "b", "c", "b/a", "b/c", "c/a", "c/b", "b/c/a"])
USER = st.sampled_from(USERS)
KIND = st.sampled_from(["pipe", "socket"])
LABEL = st.sampled_from([None, "red", "blue"])


def test_a_new_label_is_judged() -> None:
    """And so is its removal."""
    ada, bob = USERS
    governed = Governed(LISTS[0])
    entry = governed.stash(ada, "a", label="red")
    root = governed.store.root

    def may_retrieve() -> bool:
        return governed.store.may(bob.subject, Action.RETRIEVE, Target(root, "a", entry))

    found = [may_retrieve()]
    for label in ("blue", "red", None):
        governed.store.set_label(ada.subject, entry, label)
        found.append(may_retrieve())
    governed.stash(ada, "a", label="red")
    found.append(may_retrieve())

    assert [False, True, False, True, False] == found


class Remembering(RuleBasedStateMachine):
    """Random changes by two users; after each, and in the middle of each, all names are judged both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.governed = Governed(LISTS[0])
        self.tables = in_force(LISTS[0]).tables
        self.governed.store.events.subscribe(0, self.heard)

    @property
    def judge(self) -> Judge:
        return self.governed.authority._judge

    def attempt(self, operation: str, *arguments: object, **options: object) -> None:
        try:
            getattr(self.governed, operation)(*arguments, **options)
        except StoreError:
            return

    @rule(who=USER, path=NAMES, kind=KIND, label=LABEL)
    def stash(self, who: User, path: str, kind: str, label: str | None) -> None:
        self.attempt("stash", who, path, kind, label=label)

    @rule(who=USER, path=NAMES)
    def create(self, who: User, path: str) -> None:
        self.attempt("create", who, path)

    @rule(who=USER, path=NAMES)
    def make_box(self, who: User, path: str) -> None:
        self.attempt("make_box", who, path)

    @rule(who=USER, source=NAMES, goal=NAMES)
    def rename(self, who: User, source: str, goal: str) -> None:
        self.attempt("rename", who, source, goal)

    @rule(who=USER, source=NAMES, goal=NAMES)
    def link(self, who: User, source: str, goal: str) -> None:
        self.attempt("link", who, source, goal)

    @rule(who=USER, path=NAMES, kind=KIND)
    def fill(self, who: User, path: str, kind: str) -> None:
        for found, _, _, node in list(self.governed.store.tree.walk(self.governed.store.root)):
            if found == path and isinstance(node, Entry):
                try:
                    file = self.governed.files(kind=kind)
                    self.governed.store.fill(who.subject, node, file, who.stasher)
                except StoreError:
                    return

    @rule(who=USER, path=NAMES, label=LABEL)
    def relabel(self, who: User, path: str, label: str | None) -> None:
        try:
            node = self.governed.store.locate(who.subject, path).node
            if isinstance(node, Entry):
                self.governed.store.set_label(who.subject, node, label)
        except StoreError:
            return

    @rule(who=USER, path=NAMES)
    def remove(self, who: User, path: str) -> None:
        store = self.governed.store
        try:
            target = store.locate(who.subject, path)
            (store.remove_box if isinstance(target.node, Box) else store.discard)(who.subject, target)
        except StoreError:
            return

    @rule(which=st.sampled_from(LISTS))
    def adopt(self, which: str) -> None:
        self.governed.adopt(which)
        self.tables = in_force(which).tables

    def heard(self, event: Event) -> None:
        # Whoever hears news must be one who may list the name they are about, which may be one that is no more.
        self.compare(Target(event.box, event.name, event.node), [Action.LIST])
        if event.former is not None:
            self.compare(Target(self.governed.store.root, event.former, event.node), [Action.LIST])
        self.nothing_is_stale()

    @invariant()
    def nothing_is_stale(self) -> None:
        for _, box, name, node in list(self.governed.store.tree.walk(self.governed.store.root)):
            self.compare(Target(box, name, node), ASKED)

    def compare(self, target: Target, actions: Sequence[Action]) -> None:
        for user in USERS:
            for action in actions:
                self.compare_one(user.subject, action, target)

    def compare_one(self, subject: Subject, action: Action, target: Target) -> None:
        view = SubjectView(subject)
        expected = decide(self.tables, self.judge.request(view, action, target))
        found = self.judge.verdict(view, action, target)
        assert (expected.allowed, expected.rules) == (found.allowed, found.rules), (action, target.path)


TestRemembering = Remembering.TestCase
TestRemembering.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
