"""A store that asks policies, the people who use it, and the log that their requests go to."""

from dataclasses import replace

from fdstorefs.audit.decision import Decision
from fdstorefs.core.limits import Limits
from fdstorefs.core.node import Box, Entry, Stasher
from fdstorefs.core.store import Store
from fdstorefs.core.subject import NothingTold, Subject
from fdstorefs.policy.default import DEFAULT
from fdstorefs.policy.load import load
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.request import Userns
from fdstorefs.policy.span import Source
from fdstorefs.server.enforcement.authority import PolicyAuthority
from fdstorefs.server.enforcement.in_force import InForce, put_together
from tests.unit.core.people import Clock, Files

INSTANCE: Userns = (1,)
ADA, BOB, EVE = 1000, 1001, 1002

Noted = tuple[str, str, str, str]
"""Of a record: action, name, verdict, reason."""


class Kept:
    """A log that remembers."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def verdict(self, decision: Decision) -> None:
        self.decisions.append(decision)

    def decision_id(self, number: int) -> str:
        return f"run-{number}"


class Known(NothingTold):
    """Facts about a process that can be seen."""

    def __init__(self, gid: int, capabilities: int, userns: Userns) -> None:
        self._gid, self._capabilities, self._userns = gid, capabilities, userns

    def groups(self) -> frozenset[int]:
        return frozenset({self._gid})

    def capabilities(self) -> int:
        return self._capabilities

    def userns(self) -> Userns:
        return self._userns

    def cgroup(self) -> str:
        return "/"


class User:
    """Somebody in a user namespace. Each request has a subject of its own."""

    def __init__(
        self, uid: int, userns: Userns = INSTANCE, *, capabilities: int = 0, known: bool = True
    ) -> None:
        self.uid = uid
        self._known = known
        self._facts = Known(uid, capabilities, userns)
        self.stasher = Stasher(uid + 1, uid, uid, "test", userns, capabilities)

    @property
    def subject(self) -> Subject:
        """The user, who asks."""
        return Subject(self.uid, self.uid, self.uid + 1, known=self._known, look_up=lambda: self._facts)


class Governed:
    """A store under the policies in `texts` (default: the built-in one), open to all as far as mode bits go."""

    def __init__(self, *texts: str, limits: Limits | None = None) -> None:
        self.log = Kept()
        self.files = Files()
        self.authority = PolicyAuthority(in_force(*texts), INSTANCE, self.log)
        self.store = Store(uid=0, gid=0, clock=Clock(), mode=0o777, limits=limits, authority=self.authority)
        self.authority.govern(self.store.tree)

    def adopt(self, *texts: str) -> None:
        """Put other policies in force."""
        self.authority.adopt(in_force(*texts))

    def stash(self, user: User, path: str, kind: str = "pipe", *, label: str | None = None) -> Entry:
        """Stash a new open file, open to all."""
        file = self.files(kind=kind)
        entry, _ = self.store.stash(
            user.subject, path, file, user.stasher, mode=0o666, replace=True, label=label
        )
        return entry

    def create(self, user: User, path: str) -> Entry:
        """Make an empty entry."""
        goal = self.store.locate_goal(user.subject, path)
        return self.store.create(user.subject, goal.box, goal.name, 0o666, user.stasher)

    def make_box(self, user: User, path: str) -> Box:
        """Make a box, open to all."""
        goal = self.store.locate_goal(user.subject, path)
        return self.store.make_box(user.subject, goal.box, goal.name, 0o777, user.stasher)

    def rename(self, user: User, source: str, goal: str, *, overwrite: bool = True) -> None:
        """Rename by path."""
        subject = user.subject
        self.store.rename(
            subject,
            self.store.locate(subject, source),
            self.store.locate_goal(subject, goal),
            replace=overwrite,
        )

    def link(self, user: User, source: str, goal: str) -> Entry:
        """Link by path."""
        subject = user.subject
        there = self.store.locate_goal(subject, goal)
        return self.store.link(subject, self.store.locate(subject, source), there.box, there.name)

    def shown(self, user: User) -> list[str]:
        """What a List shows."""
        return [path for path, _ in self.store.walk(user.subject)]

    def noted(self) -> list[Noted]:
        """What has been kept on record since the last time."""
        noted = [
            (one.action, one.entry.name, "allow" if one.verdict else "deny", str(one.reason))
            for one in self.log.decisions
        ]
        self.log.decisions.clear()
        return noted


def in_force(*texts: str) -> InForce:
    """The policies in these texts, compiled."""
    sources = [Source.of(f"policy {number}", text) for number, text in enumerate(texts)] or [DEFAULT]
    loaded = load(sources, FixedNames())
    assert loaded.ok, loaded.diagnostics
    return put_together(loaded.policies, [], generation=1, loaded=0)


def policy(*rules: str, mode: str = "enforce") -> str:
    """A policy of rules, each written as `EFFECT KEY: VALUE, ...` in the language's flow style."""
    letter = mode[0]
    lines = []
    for number, rule in enumerate(rules):
        effect, _, rest = rule.partition(" ")
        lines.append(f"  - {{id: {letter}{number}, effect: {effect}, {rest}}}")
    return "\n".join(["version: 1", f"name: test-{mode}", f"mode: {mode}", "rules:", *lines, ""])


ALL = "allow actions: [all]"


def in_child(user: User, userns: Userns = (2, 1)) -> User:
    """The same user in a user namespace below the instance's."""
    return User(user.uid, userns)


def as_unmapped(user: User) -> User:
    """Somebody whose uid the instance's user namespace has no number for."""
    twin = User(user.uid, known=False)
    twin.stasher = replace(user.stasher)
    return twin
