"""Policies and requests by chance: every kind of condition, and requests made so that rules match often.

One generator serves both ways of searching: `Generator(Random(seed))` in bulk, and `generators()` under
hypothesis, which chooses in place of chance and so can make a failing case smaller.
"""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.vocabulary import (
    ACTIONS,
    IMPLY_LIST,
    USERNS_WORDS,
    Action,
    Effect,
    Mode,
    OpenerUnknown,
    Relation,
)

Thing = TypeVar("Thing")

COMPONENTS = {
    "a": ("a",),
    "b": ("b",),
    "ab": ("ab",),
    "*": ("a", "c"),
    "a*": ("a", "ab"),
    "*b": ("b", "ab"),
    "?": ("a", "b"),
    "[ab]": ("a", "b"),
    "[!a]c": ("bc", "cc"),
    "**": ("a", "a/b", "c/b/a"),
    "a**": ("a", "ab/c"),
}
"""Components of globs, each with some of what fits them."""

KINDS = ("socket", "pipe", "memfd", "device", "empty", "box")
FILESYSTEMS = ("proc", "sysfs", "cgroup2", "tmpfs")
ACCESS = ("r", "w", "rw", "path")
LABELS = ("red", "blue", "green")
IDS = (0, 1, 2, 1000, 1001, 65534)
CAPABILITIES = (0b1, 0b10, 0b11, 0b1000, 1 << 40, 1 << 40 | 0b1)
INSTANCES = ((1,), (2, 1))
NAMESPACES = ((1,), (2, 1), (3, 1), (4, 2, 1), (5, 4, 2, 1), (9,))
"""User namespaces, each with those above it; the last is none that the instance sees the top of."""


class Generator:
    """Makes policies; `often` is how likely a rule has each condition it can have, `forbids` to forbid."""

    def __init__(self, random: Random, *, often: float = 0.15, forbids: float = 0.4) -> None:
        self.random = random
        self.often = often
        self.forbids = forbids

    def policies(self, rules: int, *, sets: bool = True) -> list[Policy]:
        """Some policies with so many rules together; without `sets` as many terms as rules."""
        whole = [self.rule(f"r{number}", sets=sets) for number in range(rules)]
        cuts = sorted(self.random.randint(0, rules) for _ in range(self.random.choice((0, 0, 1, 2))))
        return [
            self._policy(f"p{number}", whole[start:end])
            for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, rules], strict=True))
        ]

    def _policy(self, name: str, rules: Sequence[Rule]) -> Policy:
        return Policy(
            name=name,
            rules=tuple(rules),
            mode=Mode.ENFORCE if self.chance(0.7) else Mode.MONITOR,
            opener_unknown=OpenerUnknown.ASSUME_STASHER if self.chance(0.3) else OpenerUnknown.DENY,
        )

    def rule(self, rule_id: str, *, sets: bool = True, effect: Effect | None = None) -> Rule:
        """One rule."""
        return Rule(
            id=rule_id,
            effect=effect or (Effect.FORBID if self.chance(self.forbids) else Effect.ALLOW),
            actions=self._actions(),
            when=self.conditions(sets=3 if sets else 1),
            unless=self.conditions(sets=1, with_entries=False) if self.chance(0.3) else None,
        )

    def _actions(self) -> frozenset[Action]:
        if self.chance(0.2):
            return IMPLY_LIST | {Action.STASH}
        return frozenset(self.some(tuple(ACTIONS.values()), 3))

    def conditions(self, *, sets: int, with_entries: bool = True) -> Conditions:
        """What a rule asks for; `sets` is the most alternatives there are for the subject."""
        given = self._given
        return Conditions(
            entries=self.some_globs() if with_entries and given() else None,
            kinds=frozenset(self.some(KINDS, 3)) if given() else None,
            filesystems=frozenset(self.some(FILESYSTEMS, 2)) if given() else None,
            access=frozenset(self.some(ACCESS, 2)) if given() else None,
            guarded=self.chance(0.5) if given() else None,
            labels=frozenset(self.some(LABELS, 2)) if given() else None,
            stasher_uid=self._ids_of(same=True) if given() else None,
            stasher_userns=self._userns() if given() else None,
            opener_uid=self._ids_of(same=True) if given() else None,
            opener_capabilities=self.random.choice(CAPABILITIES) if given() else None,
            opener_no_more=given(),
            opener_userns=self._userns() if given() else None,
            subjects=tuple(self._subject() for _ in range(self._number_of_sets(sets))),
        )

    def _number_of_sets(self, most: int) -> int:
        return 0 if self.chance(0.5) else self.random.randint(1, most)

    def _subject(self) -> SubjectConditions:
        given = self._given
        return SubjectConditions(
            uid=self._ids_of(same=False) if given(2) else None,
            gid=self._ids_of(same=False) if given() else None,
            cgroups=self._cgroups() if given(2) else None,
            capabilities=self.random.choice(CAPABILITIES) if given() else None,
            userns=self._userns() if given() else None,
        )

    def _ids_of(self, *, same: bool) -> Ids:
        return Ids(
            known=frozenset(self.some(IDS, 4)) if self.chance(0.9) else frozenset(),
            same=same and self.chance(0.5),
            undetermined=self.chance(0.15),
        )

    def some_globs(self) -> tuple[str, ...]:
        """Globs over names."""
        return tuple(self._glob() for _ in range(self.random.randint(1, 3)))

    def _cgroups(self) -> tuple[str, ...]:
        return tuple("/" if self.chance(0.1) else f"/{glob}" for glob in self.some_globs())

    def _glob(self) -> str:
        return "/".join(self.random.choice(tuple(COMPONENTS)) for _ in range(self.random.randint(1, 3)))

    def _userns(self) -> frozenset[Relation]:
        return self.random.choice(tuple(USERNS_WORDS.values()))

    def _given(self, times: int = 1) -> bool:
        return self.chance(self.often * times)

    def some(self, values: Sequence[Thing], most: int) -> list[Thing]:
        """One or more of the values, no more than `most`."""
        return self.random.sample(values, self.random.randint(1, most))

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.random.random() < probability


def generators(*, often: float = 0.15) -> st.SearchStrategy[Generator]:
    """Generators whose choices hypothesis makes."""
    return st.randoms(use_true_random=False).map(lambda random: Generator(random, often=often))
