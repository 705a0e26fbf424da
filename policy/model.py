"""Policies as the checker and the compiler see them: parsed, with every name resolved, nothing decided yet.

A rule matches when every condition given matches and `unless`, if given, does not. None means: not given.
"""

from dataclasses import dataclass, field

from fdstorefs.policy.span import Span
from fdstorefs.policy.vocabulary import IMPLY_LIST, Action, Effect, Mode, OpenerUnknown, Relation


@dataclass(frozen=True, slots=True)
class Ids:
    """Some uids or gids. `same`: also the subject's own. `undetermined`: also ids that cannot be told here.

    An id is undetermined where a policy says `host:1000` and the instance cannot know which of its ids that is.
    Whether a value that is not in `known` is one of them is then unknown.
    """

    known: frozenset[int] = frozenset()
    same: bool = False
    undetermined: bool = False


@dataclass(frozen=True, slots=True)
class SubjectConditions:
    """What the subject must be. `gid` holds if the first or a supplementary group is one of them.

    `cgroups` are globs over cgroup paths, each with a leading slash; one matches a cgroup if the cgroup itself
    or one above it fits the glob. `capabilities` is a mask: all of them, effective, over the instance's user
    namespace. `userns` is how the subject's user namespace stands to the instance's.
    """

    uid: Ids | None = None
    gid: Ids | None = None
    cgroups: tuple[str, ...] | None = None
    capabilities: int | None = None
    userns: frozenset[Relation] | None = None
    set_name: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold of entry, stasher, opener and subject.

    `entries` are globs as `glob.compile_glob` takes them. `guarded` is what the stored file must be. `labels` are
    exact. `subjects` are alternatives, one of which must hold (more than one where a rule names several sets);
    empty: anybody.
    `opener_capabilities` is a mask the opener must have had all of; `opener_no_more`: the opener's effective
    capabilities are a subset of the subject's. `stasher_userns` and `opener_userns` are how theirs stands to
    the subject's.
    """

    entries: tuple[str, ...] | None = None
    kinds: frozenset[str] | None = None
    filesystems: frozenset[str] | None = None
    access: frozenset[str] | None = None
    guarded: bool | None = None
    labels: frozenset[str] | None = None
    stasher_uid: Ids | None = None
    stasher_userns: frozenset[Relation] | None = None
    opener_uid: Ids | None = None
    opener_capabilities: int | None = None
    opener_no_more: bool = False
    opener_userns: frozenset[Relation] | None = None
    subjects: tuple[SubjectConditions, ...] = ()

    @property
    def asks_opener(self) -> bool:
        """Whether it says anything about the opener."""
        return self.opener_no_more or any(
            given is not None for given in (self.opener_uid, self.opener_capabilities, self.opener_userns)
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    `log`: whether a verdict that this rule decides is on record: True always, False only denials, None as the
    log's own rule says. `spans` says where its keys stand: `id`, `actions`, `subject.uid`, `unless.opener`, ...
    """

    id: str
    effect: Effect
    actions: frozenset[Action]
    when: Conditions = Conditions()
    unless: Conditions | None = None
    log: bool | None = None
    description: str = ""
    spans: dict[str, Span] = field(default_factory=dict, compare=False, repr=False)

    @property
    def covers(self) -> frozenset[Action]:
        """The actions that it is about: an allow rule for what takes seeing an entry lets it be seen, too."""
        implies = self.effect is Effect.ALLOW and self.actions & IMPLY_LIST
        return self.actions | {Action.LIST} if implies else self.actions


@dataclass(frozen=True, slots=True)
class InstanceMatch:
    """Which instances: those mounted on a path that fits a glob, of an owner, or served from a cgroup subtree."""

    mount: str | None = None
    owner: Ids | None = None
    cgroup: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyLimits:
    """What an instance may hold; None: no limit from this policy."""

    entries: int | None = None
    entries_per_uid: int | None = None
    entries_per_box: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy file. `instances` None: every instance."""

    name: str
    rules: tuple[Rule, ...] = ()
    mode: Mode = Mode.ENFORCE
    instances: tuple[InstanceMatch, ...] | None = None
    limits: PolicyLimits = PolicyLimits()
    opener_unknown: OpenerUnknown = OpenerUnknown.DENY
    description: str = ""
    spans: dict[str, Span] = field(default_factory=dict, compare=False, repr=False)
