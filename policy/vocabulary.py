"""The words of the language and what they mean: actions, effects, kinds, access modes, capabilities, relations.

Everything that names a word takes it from here: the parser, the checker, the JSON Schema, the reference.
"""

from enum import IntEnum, StrEnum

VERSION = 1
"""The only version of the language there is."""

MAX_TERMS = 1024
"""Most terms (rules, a rule that names several sets counted once for each) that can be in force together."""


class Action(IntEnum):
    """What a subject asks for; the number is the action's in the tables."""

    STASH = 0
    RETRIEVE = 1
    TAKE = 2
    DISCARD = 3
    LIST = 4
    DESCRIBE = 5
    RENAME = 6
    LINK = 7
    SEAL = 8
    SERVE = 9

    @property
    def word(self) -> str:
        """The action as policies write it."""
        return self.name.lower()


ACTIONS: dict[str, Action] = {action.word: action for action in Action}
ALL = "all"
"""Stands for every action on entries and boxes; `serve` must be named."""

ON_ENTRIES = frozenset(Action) - {Action.SERVE}

IMPLY_LIST = frozenset(ON_ENTRIES - {Action.STASH})
"""Whoever may do one of these with an entry may also list it: an allow rule for one of them allows `list`."""

MEANING: dict[Action, str] = {
    Action.STASH: "put an open file under a name; make an empty entry or a box; change an entry's mode, owner or label",
    Action.RETRIEVE: "get a copy of the descriptor; open the entry in the mount",
    Action.TAKE: "get the descriptor and discard the entry",
    Action.DISCARD: "take a name away; replace what another stashed; remove a box",
    Action.LIST: "know that the entry exists: readdir, lookup, List, Watch",
    Action.DESCRIBE: "know what is inside, who stashed it and its label",
    Action.RENAME: "give the entry or box another name (which takes `stash` for the new name)",
    Action.LINK: "give the entry a second name (which takes `stash` for the new name)",
    Action.SEAL: "seal or unseal a box",
    Action.SERVE: "run an instance that the host's enforcer guards",
}


class Effect(StrEnum):
    """What a matching rule does; forbid overrides allow."""

    ALLOW = "allow"
    FORBID = "forbid"


class Mode(StrEnum):
    """What a policy's verdicts do: refuse, or only be logged."""

    ENFORCE = "enforce"
    MONITOR = "monitor"


class OpenerUnknown(StrEnum):
    """What stands for the opener where only the kernel knows it."""

    DENY = "deny"
    ASSUME_STASHER = "assume-stasher"


class Relation(StrEnum):
    """How one user namespace stands to another."""

    SAME = "same"
    BELOW = "below"
    OTHER = "other"


USERNS_WORDS: dict[str, frozenset[Relation]] = {
    "same": frozenset({Relation.SAME}),
    "below": frozenset({Relation.BELOW}),
    "same-or-below": frozenset({Relation.SAME, Relation.BELOW}),
}

SAME = "same"
"""In place of a uid: the subject's own."""

NO_MORE = "no-more-than-subject"
"""In place of an opener's capabilities: a subset of the subject's."""

KINDS = (
    "socket",
    "pipe",
    "memfd",
    "regular",
    "directory",
    "device",
    "eventfd",
    "pidfd",
    "namespace",
    "epoll",
    "timerfd",
    "signalfd",
    "inotify",
    "fanotify",
    "userfaultfd",
    "io_uring",
    "bpf",
    "perf_event",
    "seccomp_notify",
    "symlink",
    "other",
    "empty",
    "box",
)
"""What an entry can be; `empty` holds nothing yet, `box` is a directory of entries."""

EMPTY, BOX = "empty", "box"

ACCESS = ("r", "w", "rw", "path")
"""How the stored file is open; `path` is O_PATH."""

CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""By number, as capabilities(7) has them."""


def capability_names(mask: int) -> list[str]:
    """The names of the capabilities in a mask; a bit newer than this list is `CAP_41` and so on."""
    return [
        CAPABILITIES[bit] if bit < len(CAPABILITIES) else f"CAP_{bit}"
        for bit in range(mask.bit_length())
        if mask >> bit & 1
    ]


def capability_mask(names: "list[str] | tuple[str, ...] | frozenset[str]") -> int:
    """The mask of some capabilities by name; raises KeyError for a name there is not."""
    mask = 0
    for name in names:
        mask |= 1 << _NUMBERS[name]
    return mask


_NUMBERS = {name: number for number, name in enumerate(CAPABILITIES)}
