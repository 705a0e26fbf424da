"""Requests by chance, made for given policies: most of their values are ones that some rule asks for."""

from collections.abc import Iterable, Sequence

from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import (
    NOBODY_KNOWN,
    OPEN,
    UNKNOWN,
    EntryFacts,
    Open,
    Person,
    Request,
    SubjectFacts,
    Unknown,
    Userns,
)
from fdstorefs.policy.vocabulary import BOX, EMPTY, Action, Effect
from tests.unit.policy.generated import (
    ACCESS,
    CAPABILITIES,
    COMPONENTS,
    FILESYSTEMS,
    IDS,
    INSTANCES,
    KINDS,
    LABELS,
    NAMESPACES,
    Generator,
    Thing,
)

SOME_IDS = (*IDS, 7)
ANY_RULE = Rule("any", Effect.ALLOW, frozenset(Action))
CAPABILITY_SETS = (0, *CAPABILITIES, (1 << 41) - 1)


class Requests:
    """Makes requests about some policies; a value comes from a rule, or from anywhere, or is unsettled."""

    def __init__(self, generator: Generator, policies: Sequence[Policy]) -> None:
        self._random = generator.random
        self._chance = generator.chance
        self._rules = [rule for policy in policies for rule in policy.rules] or [ANY_RULE]

    def request(self) -> Request:
        """One more."""
        rule = self._random.choice(self._rules)
        asked = rule.when if self._chance(0.85) or rule.unless is None else rule.unless
        subject = self._subject(asked)
        entry = self._entry(asked, subject)
        return Request(
            action=self._action(rule),
            entry=entry,
            subject=subject,
            instance=self._random.choice(INSTANCES),
            also=self._other_names(entry, subject),
        )

    def _action(self, rule: Rule) -> Action:
        roll = self._random.random()
        if roll < 0.75:
            return self._random.choice(sorted(rule.actions))
        return Action.LIST if roll < 0.9 else self._random.choice(tuple(Action))

    def _entry(self, asked: Conditions, subject: SubjectFacts) -> EntryFacts:
        kind = self._settled(asked.kinds, KINDS, 0.05)
        nothing_yet = kind in {EMPTY, BOX} and self._chance(0.8)
        return EntryFacts(
            path=self.path(asked.entries),
            kind=kind,
            filesystem=OPEN if nothing_yet else self._value(asked.filesystems, FILESYSTEMS),
            access=OPEN if nothing_yet else self._value(asked.access, ACCESS),
            label=self._random.choice(self._mostly(asked.labels, (None, *LABELS))),
            stasher=self._person(asked.stasher_uid, CAPABILITY_SETS, subject),
            opener=Person(OPEN, OPEN, OPEN) if nothing_yet else self._opener(asked, subject),
            guarded=OPEN if nothing_yet else self._guarded(asked),
        )

    def _guarded(self, asked: Conditions) -> bool | Unknown | Open:
        return self._value(() if asked.guarded is None else (asked.guarded,), (False, True))

    def _opener(self, asked: Conditions, subject: SubjectFacts) -> Person:
        if self._chance(0.2):
            return NOBODY_KNOWN
        wanted = asked.opener_capabilities
        return self._person(asked.opener_uid, CAPABILITY_SETS if wanted is None else (wanted,), subject)

    def _person(self, ids: Ids | None, masks: Sequence[int], subject: SubjectFacts) -> Person:
        return Person(
            uid=self._value(self._one_of(ids, subject.uid), SOME_IDS),
            capabilities=self._value(self._masks(masks, subject.capabilities), CAPABILITY_SETS),
            userns=self._value(self._namespaces(subject.userns), NAMESPACES),
        )

    def _other_names(self, entry: EntryFacts, subject: SubjectFacts) -> tuple[EntryFacts, ...]:
        if self._chance(0.6):
            return ()
        asked = [self._random.choice(self._rules).when for _ in range(self._random.randint(1, 3))]
        return tuple(self._other_name(entry, one, subject) for one in asked)

    def _other_name(self, entry: EntryFacts, asked: Conditions, subject: SubjectFacts) -> EntryFacts:
        other = self._entry(asked, subject)
        if self._chance(0.2):
            return other
        return EntryFacts(
            path=other.path,
            kind=entry.kind,
            filesystem=entry.filesystem,
            access=entry.access,
            label=other.label,
            stasher=other.stasher,
            opener=entry.opener,
            guarded=entry.guarded,
        )

    def _subject(self, asked: Conditions) -> SubjectFacts:
        wanted = self._random.choice(asked.subjects) if asked.subjects else SubjectConditions()
        masks = CAPABILITY_SETS if wanted.capabilities is None else (wanted.capabilities, (1 << 41) - 1)
        return SubjectFacts(
            uid=self._settled(_listed(wanted.uid), SOME_IDS, 0.08),
            gids=self._gids(wanted.gid),
            capabilities=self._settled(masks, CAPABILITY_SETS, 0.08),
            userns=self._settled(None, NAMESPACES, 0.08),
            cgroup=UNKNOWN if self._chance(0.08) else self._cgroup(wanted.cgroups),
        )

    def _gids(self, ids: Ids | None) -> frozenset[int] | Unknown:
        if self._chance(0.08):
            return UNKNOWN
        return frozenset({self._settled_id(ids), *self._random.sample(SOME_IDS, self._random.randint(0, 2))})

    def _settled_id(self, ids: Ids | None) -> int:
        return self._random.choice(self._mostly(_listed(ids), SOME_IDS))

    def _cgroup(self, globs: tuple[str, ...] | None) -> str:
        if self._chance(0.05):
            return "/"
        wanted = tuple(glob.removeprefix("/") for glob in globs or () if glob != "/")
        return f"/{self.path(wanted)}" + ("/below" if self._chance(0.3) else "")

    def path(self, globs: Iterable[str] | None) -> str:
        """A name, most often one that fits one of the globs, or a box above one that does."""
        patterns = self._mostly(globs, ("*", "*/*", "b", "**"))
        components = self._random.choice(patterns).split("/")
        parts = [self._random.choice(COMPONENTS[component]) for component in components]
        if len(parts) > 1 and self._chance(0.2):
            parts.pop()
        return "/".join(parts)

    def _one_of(self, ids: Ids | None, subjects: int | Unknown) -> Sequence[int]:
        return [*_listed(ids), *([subjects] if isinstance(subjects, int) else [])]

    def _masks(self, masks: Sequence[int], subjects: int | Unknown) -> Sequence[int]:
        return [*masks, *([subjects] if isinstance(subjects, int) else [])]

    def _namespaces(self, subjects: Userns | Unknown) -> Sequence[Userns]:
        return [subjects] if isinstance(subjects, tuple) else []

    def _value(self, wanted: Iterable[Thing] | None, anything: Sequence[Thing]) -> Thing | Unknown | Open:
        return OPEN if self._chance(0.04) else self._settled(wanted, anything, 0.08)

    def _settled(
        self, wanted: Iterable[Thing] | None, anything: Sequence[Thing], unknown: float
    ) -> Thing | Unknown:
        if self._chance(unknown):
            return UNKNOWN
        return self._random.choice(self._mostly(wanted, anything))

    def _mostly(self, wanted: Iterable[Thing] | None, anything: Sequence[Thing]) -> Sequence[Thing]:
        """What a rule asks for, sorted as it need not be the same in every process; sometimes anything."""
        choices = sorted(wanted or (), key=repr)
        return choices if choices and self._chance(0.8) else anything


def _listed(ids: Ids | None) -> frozenset[int]:
    return ids.known if ids is not None else frozenset()
