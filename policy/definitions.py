"""The keys of the language: what each is called, where it may stand, what it takes, what it means.

The one table. The parser, its hints, the JSON Schema and the reference all read it.
"""

from dataclasses import dataclass
from enum import StrEnum

from fdstorefs.policy.value_types import Type


class Place(StrEnum):
    """A mapping that has keys of its own."""

    POLICY = "policy"
    LIMITS = "limits"
    INSTANCE = "instance"
    SET = "set"
    RULE = "rule"
    UNLESS = "unless"
    STASHER = "stasher"
    OPENER = "opener"
    SUBJECT = "subject"

    @property
    def where(self) -> str:
        """Where that is, as part of a sentence."""
        return _WHERE[self]

    @property
    def whose(self) -> str:
        """What such a mapping is called in a sentence."""
        return _WHOSE[self]


_UNDER = "under "
_WHERE = {
    Place.POLICY: "at the top",
    Place.LIMITS: "under `limits`",
    Place.INSTANCE: "in an item of `instances`",
    Place.SET: "in a set",
    Place.RULE: "in a rule",
    Place.UNLESS: "under `unless`",
    Place.STASHER: "under `stasher`",
    Place.OPENER: "under `opener`",
    Place.SUBJECT: "under `subject`",
}

_WHOSE = {
    Place.POLICY: "the policy",
    Place.INSTANCE: "the item",
    Place.SET: "the set",
    Place.RULE: "the rule",
    Place.LIMITS: "`limits`",
    Place.UNLESS: "`unless`",
    Place.STASHER: "`stasher`",
    Place.OPENER: "`opener`",
    Place.SUBJECT: "`subject`",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `inside` is the place that its value is, if that is a mapping with keys of its own."""

    name: str
    places: tuple[Place, ...]
    type: Type
    meaning: str
    example: str
    required: bool = False
    inside: Place | None = None


_POLICY = (Place.POLICY,)
_RULE = (Place.RULE,)
_CONDITION = (Place.RULE, Place.UNLESS)
_SUBJECT = (Place.SUBJECT, Place.SET)

KEYS: tuple[Key, ...] = (
    Key(
        "version",
        _POLICY,
        Type.VERSION,
        "The version of the language.",
        "version: 1",
        required=True,
    ),
    Key(
        "name",
        _POLICY,
        Type.NAME,
        "What verdicts and the audit log call the policy; without it, the file's name without its suffix.",
        "name: web-tier",
    ),
    Key(
        "description",
        (Place.POLICY, Place.RULE),
        Type.TEXT,
        "For whoever reads it; it changes nothing.",
        "description: the web tier takes over its listening sockets",
    ),
    Key(
        "mode",
        _POLICY,
        Type.MODE,
        "What the policy's verdicts do: `enforce` refuses, `monitor` only logs. Without it, `enforce`.",
        "mode: monitor",
    ),
    Key(
        "instances",
        _POLICY,
        Type.INSTANCES,
        "The instances that the policy is for: those that fit one of the items. Without it, every instance.",
        "instances: [/run/fdstore, {owner: www-data}]",
        inside=Place.INSTANCE,
    ),
    Key(
        "owner",
        (Place.INSTANCE,),
        Type.UIDS,
        "Instances that one of these users runs.",
        "owner: www-data",
    ),
    Key(
        "cgroup",
        (Place.INSTANCE,),
        Type.CGROUP,
        "Instances that are served from this cgroup or one below it.",
        "cgroup: /system.slice",
    ),
    Key(
        "limits",
        _POLICY,
        Type.MAPPING,
        "What an instance may hold.",
        "limits: {entries: 4096, entries-per-uid: 512}",
        inside=Place.LIMITS,
    ),
    Key(
        "entries",
        (Place.LIMITS,),
        Type.COUNT,
        "Most entries in an instance.",
        "entries: 4096",
    ),
    Key(
        "entries-per-uid",
        (Place.LIMITS,),
        Type.COUNT,
        "Most entries in an instance that one uid has stashed.",
        "entries-per-uid: 512",
    ),
    Key(
        "entries-per-box",
        (Place.LIMITS,),
        Type.COUNT,
        "Most names in any one box, the root among them. What is in the boxes there does not count.",
        "entries-per-box: 1024",
    ),
    Key(
        "opener-unknown",
        _POLICY,
        Type.OPENER_UNKNOWN,
        "What stands for the opener where only the kernel knows it: `deny` takes it for unknown, "
        "`assume-stasher` puts the stasher in its place. Without it, `deny`.",
        "opener-unknown: assume-stasher",
    ),
    Key(
        "sets",
        _POLICY,
        Type.SETS,
        "Subjects under names that rules can use.",
        "sets: {web: {uid: www-data, cgroup: /system.slice/nginx.service}}",
        inside=Place.SET,
    ),
    Key(
        "rules",
        _POLICY,
        Type.RULES,
        "The rules, in any order. A rule matches if everything it says holds.",
        "rules: [{id: all-may-look, effect: allow, actions: list}]",
        required=True,
        inside=Place.RULE,
    ),
    Key(
        "id",
        _RULE,
        Type.NAME,
        "What verdicts and the audit log call the rule; no two rules that are loaded together have the same.",
        "id: web-takes-listeners",
        required=True,
    ),
    Key(
        "effect",
        _RULE,
        Type.EFFECT,
        "What the rule does where it matches. A rule that forbids overrides all that allow.",
        "effect: allow",
        required=True,
    ),
    Key(
        "actions",
        _RULE,
        Type.ACTIONS,
        "What the subject asks for. `all` is every action but `serve`.",
        "actions: [retrieve, take]",
        required=True,
    ),
    Key(
        "entries",
        _RULE,
        Type.GLOBS,
        "The entry's path below the mount fits one of these globs.",
        'entries: ["listen/**"]',
    ),
    Key(
        "kinds",
        _CONDITION,
        Type.KINDS,
        "The entry is of one of these kinds.",
        "kinds: [socket, pipe]",
    ),
    Key(
        "filesystems",
        _CONDITION,
        Type.FILESYSTEMS,
        "The stored file is on one of these file systems.",
        "filesystems: [cgroup2, proc, sysfs]",
    ),
    Key(
        "access",
        _CONDITION,
        Type.ACCESS,
        "The stored file is open in one of these ways.",
        "access: r",
    ),
    Key(
        "guarded",
        _CONDITION,
        Type.BOOLEAN,
        "`true`: the kernel enforces the policy on the stored file wherever it goes. `false`: it doesn't, because it "
        "is not asked to, or because the file is not the instance's to guard.",
        "guarded: true",
    ),
    Key(
        "labels",
        _CONDITION,
        Type.LABELS,
        "The entry has one of these labels.",
        "labels: [public]",
    ),
    Key(
        "stasher",
        _CONDITION,
        Type.MAPPING,
        "Who stashed the entry.",
        "stasher: {uid: same}",
        inside=Place.STASHER,
    ),
    Key(
        "opener",
        _CONDITION,
        Type.MAPPING,
        "Who opened the stored file: the credentials inside it. Only the kernel knows them.",
        "opener: {capabilities: no-more-than-subject, userns: same-or-below}",
        inside=Place.OPENER,
    ),
    Key(
        "subject",
        _CONDITION,
        Type.MAPPING,
        "Who asks.",
        "subject: {set: web, capabilities: CAP_NET_BIND_SERVICE}",
        inside=Place.SUBJECT,
    ),
    Key(
        "unless",
        _RULE,
        Type.MAPPING,
        "The rule doesn't match where all of this holds.",
        "unless: {stasher: {uid: same}}",
        inside=Place.UNLESS,
    ),
    Key(
        "log",
        _RULE,
        Type.BOOLEAN,
        "Whether verdicts that the rule decides are on record: `true` always, `false` only denials. "
        "Without it, the log's own settings tell.",
        "log: true",
    ),
    Key(
        "uid",
        (Place.STASHER, Place.OPENER),
        Type.UIDS_OR_SAME,
        "The uid is one of these; `same` is the subject's own.",
        "uid: [same, root]",
    ),
    Key(
        "capabilities",
        (Place.OPENER,),
        Type.CAPABILITIES_OR_NO_MORE,
        "The opener's effective capabilities contain all of these; `no-more-than-subject`: the subject's contain "
        "all of the opener's.",
        "capabilities: no-more-than-subject",
    ),
    Key(
        "userns",
        (Place.STASHER, Place.OPENER),
        Type.USERNS,
        "How the user namespace stands to the subject's.",
        "userns: same-or-below",
    ),
    Key(
        "set",
        (Place.SUBJECT,),
        Type.SET_NAMES,
        "The subject is in one of these sets; keys beside it must hold too.",
        "set: [web, ops]",
    ),
    Key(
        "uid",
        _SUBJECT,
        Type.UIDS,
        "The uid is one of these.",
        "uid: [www-data, 1000]",
    ),
    Key(
        "gid",
        _SUBJECT,
        Type.GIDS,
        "The gid or a supplementary group is one of these.",
        "gid: adm",
    ),
    Key(
        "cgroup",
        _SUBJECT,
        Type.CGROUPS,
        "The cgroup, or one above it, fits one of these.",
        "cgroup: /system.slice/nginx.service",
    ),
    Key(
        "capabilities",
        _SUBJECT,
        Type.CAPABILITIES,
        "The effective capabilities over the instance's user namespace contain all of these.",
        "capabilities: [CAP_NET_BIND_SERVICE]",
    ),
    Key(
        "userns",
        _SUBJECT,
        Type.USERNS,
        "How the user namespace stands to the instance's.",
        "userns: same",
    ),
)

KEYS_OF: dict[Place, dict[str, Key]] = {
    place: {key.name: key for key in KEYS if place in key.places} for place in Place
}
"""The keys of each place by name."""


def belongs(name: str) -> str | None:
    """Where a key of this name may stand, as part of a sentence; None: nowhere."""
    places = [place.where for place in Place if name in KEYS_OF[place]]
    before = [each for each in places if not each.startswith(_UNDER)]
    under = [each.removeprefix(_UNDER) for each in places if each.startswith(_UNDER)]
    if under:
        before.append(_UNDER + _either(under))
    return _either(before) if before else None


def _either(words: list[str]) -> str:
    return " or ".join([*([", ".join(words[:-1])] if words[:-1] else []), words[-1]])
