"""Decisions: verdicts as they are made, before they are written down.

Whoever decides makes one of these per verdict on record and goes on. What takes time (the names of the rules, what
the subject's process is) stands in it as something to ask later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import ProcessDetails, Subject

MOST_FAILED = 8
"""Most failed conditions that a record lists."""


class Reason(StrEnum):
    """Why a verdict is what it is."""

    RULE = "rule"
    FORBIDDEN = "forbidden"
    NO_RULE = "no-rule"
    DEFAULT = "default"
    MODE_BITS = "mode-bits"
    HIDDEN = "hidden"
    LIMIT = "limit"
    ERROR = "error"
    MISSING_TABLE = "missing-table"
    UNCLASSIFIED = "unclassified"
    OVERFLOW = "overflow"
    STALE_GENERATION = "stale-generation"
    PROTECTED = "protected"
    OWN_OBJECT = "own-object"
    NO_ROOM = "no-room"


MEANING: dict[Reason, str] = {
    Reason.RULE: "an allow rule matched",
    Reason.FORBIDDEN: "a forbid rule matched",
    Reason.NO_RULE: "no rule matched, and what nobody allows is denied",
    Reason.DEFAULT: "no policy is loaded: owner and mode bits, or that the subject stashed the entry, decided",
    Reason.MODE_BITS: "owner or mode bits refuse it, or a seal, how the stored file is open, or which process asks",
    Reason.HIDDEN: "the entry may not be listed: it was asked for by name, or left out of a listing (`hidden` counts)",
    Reason.LIMIT: "a limit of the policy or the instance is reached",
    Reason.ERROR: "the decision failed, so it is a denial",
    Reason.MISSING_TABLE: "kernel: a table that the decision needs is not there",
    Reason.UNCLASSIFIED: "kernel: the entry, or the subject's cgroup, has no class yet",
    Reason.OVERFLOW: "kernel: a depth, length or count is over what the program can follow",
    Reason.STALE_GENERATION: "kernel: the entry was classified under a policy that is no longer in force",
    Reason.PROTECTED: "kernel: nobody may look into servers, keepers and the enforcer",
    Reason.OWN_OBJECT: "kernel: a map, program or link of the enforcement is nobody else's to use",
    Reason.NO_ROOM: "kernel: there was no memory for a tag, or for the decision",
}


class Opener(NamedTuple):
    """The credentials in an open file. None: not known. `assumed`: the stasher's stand for them."""

    uid: int | None = None
    gid: int | None = None
    capabilities: int | None = None
    userns: tuple[int, ...] | None = None
    assumed: bool = False


class EntryMark(NamedTuple):
    """An entry or box under one name, as it was when the verdict fell. None: there is none or it is not known.

    `number` is the entry's id (its inode number in the mount); `device` and `inode` are the stored file's.
    The same object may stand in many decisions, and is then formatted once.
    """

    name: str
    number: int | None = None
    kind: str | None = None
    device: int | None = None
    inode: int | None = None
    access: str | None = None
    filesystem: str | None = None
    label: str | None = None
    stasher: Stasher | None = None
    guarded: bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PolicyMark:
    """The policies in force together: one object for as long as they are. `mode` is `mixed` if some only monitor."""

    names: tuple[str, ...]
    hash: str
    generation: int
    mode: str = "enforce"


Texts = tuple[str, ...] | Callable[[], tuple[str, ...]]
"""Strings, or what will make them when the record is written."""


@dataclass(slots=True, eq=False)
class Decision:
    """One verdict. Fields are given by position where it matters: by name it takes twice as long.

    `number` counts this instance's decisions. `time` is in ns since the epoch,
    `boottime` in ns since boot.
    `verdict` (true: allow) is the one in force; `decided` is the one over all rules, which differs where a
    policy only monitors. `rules` decided; `failed` are the conditions, at most 8, for want of which other rules
    did not match; `unknown` are the conditions that could not be evaluated. `hidden` is how many entries a
    listing left out. `also` are the other names of the same open file. `via` is `socket`, `mount` or `kernel`:
    a subject that came through the mount is looked up at once, since only waiting for the reply binds it to its
    number. `mount` is where the instance is mounted, in a log that is of several, and `target` the process or the
    object of the kernel that the subject reached for. `seq` and `details` are the log's to fill in.
    """

    number: int
    time: int
    boottime: int
    action: str
    verdict: bool
    decided: bool
    reason: Reason
    rules: Texts
    subject: Subject
    entry: EntryMark
    policy: PolicyMark | None = None
    via: str = "socket"
    failed: Texts = ()
    unknown: Texts = ()
    hidden: int = 0
    opener: Opener | None = None
    also: tuple[EntryMark, ...] = ()
    source: str = "daemon"
    mount: str = ""
    target: int = 0
    seq: int = 0
    details: ProcessDetails | None = None


_ROUTINE = frozenset({"list", "describe"})
_ALWAYS = frozenset({"retrieve", "take"})


def is_on_record(decision: Decision, log: bool | None) -> bool:
    """Whether a verdict is written down. `log` is what the deciding rules say, None if they say nothing.

    Every denial is, also one that a monitoring policy did not get its way with, and every retrieve and take.
    Of the rest, all but looking: `log: true` adds that, `log: false` takes others away.
    """
    if not decision.verdict or not decision.decided or decision.action in _ALWAYS:
        return True
    return decision.action not in _ROUTINE if log is None else log
