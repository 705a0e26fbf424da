"""What a record is made of: the one source for what is written, for the JSON Schema and for the documentation.

A record is one JSON object in one line of ASCII. A field that is not there is not known, or there is nothing to
tell; no field is ever null. Strings are escaped as `text` says; `text.unescape` undoes it. For readers:

- `type` is `verdict` or the word of an event; a reader skips types and fields that it does not know.
- `run` names one run of a server. Within a run `seq` goes up by one for every record, so
  `seq == former seq + 1 + lost_before` (the former of the first is 0). What `lost_before` accounts for was never
  written, for want of room in the queue; a gap it does not account for was lost on the way to this target (an
  `audit-lost` with the target says which numbers, once it can) or taken out of the log afterwards.
- `id` names the decision; an error that tells a client of a denial carries the same.
"""

from dataclasses import dataclass
from enum import StrEnum

from fdstorefs.audit.decision import MEANING, MOST_FAILED, Reason
from fdstorefs.policy.vocabulary import ACCESS, ACTIONS, KINDS

VERSION = 1
"""Of the format. Fields and types may be added without a new one."""

SHORTENED_TEXT = 256
"""Characters that are left of a string where a target had no room for a whole record."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object.

    `kind` is `integer`, `string`, `boolean` or `object` (made of `fields`); `many`: an array of these, with `least`
    to `most` items if given. `words` are all the values there are, `pattern` a regular expression. `source` says
    who knows it. A field that is not `always` there is left out where it is not known or says nothing.
    """

    name: str
    kind: str
    meaning: str
    source: str
    unit: str = ""
    always: bool = True
    many: bool = False
    least: int | None = None
    most: int | None = None
    words: tuple[str, ...] = ()
    pattern: str = ""
    fields: tuple["Field", ...] = ()


class Event(StrEnum):
    """Records that are no verdicts."""

    START = "start"
    RESTART = "restart"
    UPGRADE = "upgrade"
    STOP = "stop"
    POLICY_LOAD = "policy-load"
    POLICY_REJECT = "policy-reject"
    MODE_CHANGE = "mode-change"
    ATTACH = "attach"
    DETACH = "detach"
    AUDIT_LOST = "audit-lost"
    EXPIRED = "expired"
    EVICTED = "evicted"


HOST = "host"
"""Stands for the instance in records of the host's enforcer that are about all of them."""

BEYOND_POLICY = ("connect", "reach-into", "use-bpf")
"""What only the kernel sees: connecting to an instance, looking into its processes, using the enforcement's objects."""

ENFORCEMENT = DAEMON, KERNEL = "daemon", "kernel"
"""Who enforces: a server alone, or the kernel as well."""

VERDICT = "verdict"
VERDICTS = ("allow", "deny")

_KERNEL, _SERVER, _LOG = "kernel", "server", "log"
_MASK = "[0-9a-f]{16}"


def _integer(
    name: str,
    meaning: str,
    source: str,
    unit: str = "",
    *,
    always: bool = True,
    many: bool = False,
    items: int | None = None,
) -> Field:
    return Field(name, "integer", meaning, source, unit, always, many, items, items)


def _string(name: str, meaning: str, source: str, *, always: bool = True, many: bool = False) -> Field:
    return Field(name, "string", meaning, source, always=always, many=many)


def _word(name: str, words: tuple[str, ...], meaning: str, source: str, *, always: bool = True) -> Field:
    return Field(name, "string", meaning, source, always=always, words=words)


def _formed(
    name: str, pattern: str, meaning: str, source: str, unit: str = "", *, always: bool = True
) -> Field:
    return Field(name, "string", meaning, source, unit, always, pattern=pattern)


def _object(
    name: str,
    fields: tuple[Field, ...],
    meaning: str,
    source: str,
    *,
    always: bool = True,
    many: bool = False,
) -> Field:
    return Field(name, "object", meaning, source, always=always, many=many, fields=fields)


ENVELOPE = (
    _integer("v", f"version of this format: {VERSION}", _LOG),
    _word("type", (VERDICT, *Event), "what kind of record this is", _LOG),
    _formed(
        "ts",
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z",
        "when it happened (CLOCK_REALTIME)",
        _SERVER,
        "UTC, to the nanosecond",
    ),
    _integer(
        "boottime", "the same moment on a clock that is never set (CLOCK_BOOTTIME)", _SERVER, "ns since boot"
    ),
    _integer(
        "seq", "number of the record in this run, from 1; given when it happened, so that a loss shows", _LOG
    ),
    _integer(
        "lost_before",
        "how many records between the one before and this one were never written",
        _LOG,
        "records",
    ),
    _string(
        "instance", f"where the instance is mounted; `{HOST}`: the enforcer's own, about all of them", _SERVER
    ),
    _formed("run", "[0-9a-f]{16}", "this run of the server, drawn at random", _LOG),
    _integer(
        "instance_userns", "the instance's user namespace", _KERNEL, "inode number", always=False, many=True
    ),
)
"""Fields of every record."""

SUBJECT = (
    _integer(
        "pid", "process id (thread id if `gone`); 0: not visible from the instance's pid namespace", _KERNEL
    ),
    _integer("uid", "uid that came with the request", _KERNEL, "in the instance's user namespace"),
    _integer("gid", "gid that came with the request", _KERNEL, "in the instance's user namespace"),
    _word(
        "details",
        ("read", "gone"),
        "whether the kernel could be asked for what follows; if the process had ended, nothing does",
        _SERVER,
    ),
    _integer("tid", "thread id", _KERNEL, always=False),
    _integer(
        "start_time",
        "when the process began: tells it from others with its pid",
        _KERNEL,
        "ticks since boot",
        always=False,
    ),
    _string("comm", "its short name, which it may choose", _KERNEL, always=False),
    _string("exe", "its program", _KERNEL, always=False),
    _integer("uids", "real, effective, saved, file-system uid", _KERNEL, always=False, many=True, items=4),
    _integer("gids", "real, effective, saved, file-system gid", _KERNEL, always=False, many=True, items=4),
    _integer("groups", "supplementary groups", _KERNEL, always=False, many=True),
    _formed("capabilities", _MASK, "effective capabilities", _KERNEL, "mask, hexadecimal", always=False),
    _integer(
        "userns",
        "its user namespace, then those above as far as the instance sees",
        _KERNEL,
        "inode numbers",
        always=False,
        many=True,
    ),
    _integer("mntns", "its mount namespace", _KERNEL, "inode number", always=False),
    _string("cgroup", "its cgroup", _KERNEL, always=False),
    _integer("cgroup_id", "number of its cgroup", _KERNEL, always=False),
    _integer(
        "read_at", "when the kernel was asked for all from `tid` on", _SERVER, "ns since boot", always=False
    ),
)

OPENER = (
    _integer(
        "uid", "uid of whoever opened the file", _KERNEL, "in the instance's user namespace", always=False
    ),
    _integer("gid", "gid of whoever opened it", _KERNEL, "in the instance's user namespace", always=False),
    _formed(
        "capabilities",
        _MASK,
        "the opener's effective capabilities",
        _KERNEL,
        "mask, hexadecimal",
        always=False,
    ),
    _integer(
        "userns",
        "the opener's user namespace, then those above",
        _KERNEL,
        "inode numbers",
        always=False,
        many=True,
    ),
    Field(
        "assumed",
        "boolean",
        "true: the stasher's credentials stand for the opener's (`opener-unknown: assume-stasher`)",
        _SERVER,
    ),
)

STASHER = (
    _integer("pid", "process id of whoever stashed, then", _KERNEL),
    _integer("uid", "its uid", _KERNEL, "in the instance's user namespace"),
    _integer("gid", "its gid", _KERNEL, "in the instance's user namespace"),
    _string("command", "its short name", _KERNEL, always=False),
    _formed(
        "capabilities",
        _MASK,
        "its effective capabilities over the instance's user namespace",
        _KERNEL,
        "mask, hexadecimal",
        always=False,
    ),
    _integer(
        "userns", "its user namespace, then those above", _KERNEL, "inode numbers", always=False, many=True
    ),
)

ENTRY = (
    _string("name", "path in the instance; `/` is its root, and nothing: it is not known", "request"),
    _integer("id", "number of the entry: its inode number in the mount", _SERVER, always=False),
    _word("kind", KINDS, "what is inside", _SERVER, always=False),
    _integer("device", "device of the stored file", _KERNEL, "st_dev", always=False),
    _integer("inode", "inode of the stored file", _KERNEL, "st_ino", always=False),
    _word("access", ACCESS, "how the stored file is open", _KERNEL, always=False),
    _string("filesystem", "type of the file system that it is on", _KERNEL, always=False),
    Field(
        "guarded",
        "boolean",
        "whether the kernel enforces the policy on the stored file wherever it goes",
        _SERVER,
        always=False,
    ),
    _string("label", "the entry's label", "stasher", always=False),
    _object("stasher", STASHER, "who stashed it", _KERNEL, always=False),
)

POLICY = (
    _string("names", "the policies in force together", "policy", many=True),
    _string("hash", "of their sources", _SERVER),
    _integer("generation", "goes up by one with every load", _SERVER),
    _word("mode", ("enforce", "monitor", "mixed"), "`mixed`: some of them only monitor", "policy"),
)

_BY = _object("by", STASHER, "who asked for it", _KERNEL, always=False)
_POLICY = _object("policy", POLICY, "what decided; not there if no policy is loaded", _SERVER, always=False)

VERDICT_FIELDS = (
    _formed(
        "id", r"[0-9a-f]{16}-[0-9a-f]{16}", "the decision: its run, and what it is called there", _SERVER
    ),
    _word(
        "action",
        (*ACTIONS, *BEYOND_POLICY),
        "what was asked for; `connect`, `reach-into` and `use-bpf` only the kernel sees",
        "request",
    ),
    _word("verdict", VERDICTS, "the verdict in force", _SERVER),
    _word(
        "decided", VERDICTS, "the verdict over all rules: not the same where a policy only monitors", _SERVER
    ),
    _word("reason", tuple(Reason), "why", _SERVER),
    _word("source", ("daemon", "kernel"), "who decided; where `kernel` did, all ids are the host's", _SERVER),
    _word("via", ("socket", "mount", "kernel"), "the way that the request came", _SERVER),
    _string("rules", "ids of the rules that decided", "policy", many=True),
    Field(
        "failed",
        "string",
        "conditions for want of which other rules did not match",
        _SERVER,
        always=False,
        many=True,
        most=MOST_FAILED,
    ),
    _string("unknown", "conditions that could not be evaluated", _SERVER, always=False, many=True),
    _POLICY,
    _object("subject", SUBJECT, "the process that asked", _KERNEL),
    _object("entry", ENTRY, "what it asked for", _SERVER),
    _object("also", ENTRY, "the other names of the same open file", _SERVER, always=False, many=True),
    _object(
        "opener",
        OPENER,
        "the credentials in the open file; not there where only the kernel knows",
        _KERNEL,
        always=False,
    ),
    _integer("hidden", "entries that a listing left out", _SERVER, always=False),
    _integer(
        "target", "the process that was to be looked into, or the object's number", _KERNEL, always=False
    ),
)

_PLACES = (
    _string("targets", "where records go", "command line", many=True),
    _string("fsync", "when a file is told to disk", "command line"),
)
_UNSETTLED = (
    _integer(
        "first_seq",
        "number of the first record that the former server may not have written",
        _LOG,
        always=False,
    ),
    _integer("last_seq", "number of the last of them", _LOG, always=False),
)

EVENT_FIELDS: dict[Event, tuple[Field, ...]] = {
    Event.START: (
        _string("version", "of fdstorefs", _SERVER),
        _integer("pid", "the server's process id", _KERNEL),
        _integer("uid", "the server's uid", _KERNEL),
        _word(
            "enforcement",
            ENFORCEMENT,
            "who enforces the policy: `kernel` beside the server, or `daemon`, the server alone; "
            "not there: it ends before that is settled",
            _SERVER,
            always=False,
        ),
        _string("enforcement_reason", "why it is so", _SERVER, always=False),
        *_PLACES,
    ),
    Event.RESTART: (
        _string("version", "of fdstorefs", _SERVER),
        _integer("pid", "the new server's process id", _KERNEL),
        _integer("uid", "the server's uid", _KERNEL),
        _integer("away", "how long there was no server", _KERNEL, "ns"),
        _integer("entries", "entries and boxes that are there again", _SERVER),
        _integer("descriptors", "open files that are there again", _SERVER),
        *_UNSETTLED,
        _string("cause", "how the former server ended", _KERNEL, always=False),
        _word("enforcement", ENFORCEMENT, "who enforces the policy now, as in `start`", _SERVER),
        _string("enforcement_reason", "why it is so", _SERVER),
        *_PLACES,
    ),
    Event.UPGRADE: (
        _string("version", "of fdstorefs", _SERVER),
        _string("former", "the version of the former server", _SERVER),
        _integer("pid", "the new server's process id", _KERNEL),
        _integer("uid", "the server's uid", _KERNEL),
        _integer("away", "how long nobody was served", _KERNEL, "ns"),
        _integer("entries", "entries and boxes that were handed over", _SERVER),
        _integer("descriptors", "open files that were handed over", _SERVER),
        *_UNSETTLED,
        *_PLACES,
    ),
    Event.STOP: (
        _string("cause", "why the server ends", _SERVER, always=False),
        _integer("written", "records handed over in this run until now", _LOG, "records"),
        _integer("lost", "records lost in this run until now, over all targets", _LOG, "records"),
    ),
    Event.POLICY_LOAD: (
        _object("policy", POLICY, "what is in force from now on", _SERVER),
        _string("files", "where it was read", _SERVER, always=False, many=True),
        _integer("count", "how many rules", "policy", "rules", always=False),
        _BY,
    ),
    Event.POLICY_REJECT: (
        _string("files", "where it was read", _SERVER, always=False, many=True),
        _string("errors", "what is wrong with it", "policy", many=True),
        _POLICY,
        _BY,
    ),
    Event.MODE_CHANGE: (
        _string("name", "the policy", "policy"),
        _word("former", ("enforce", "monitor"), "its mode before", "policy"),
        _word("mode", ("enforce", "monitor"), "its mode now", "policy"),
        _BY,
    ),
    Event.ATTACH: (
        _string("hooks", "the kernel's hooks that are guarded from now on", _KERNEL, many=True),
        _integer("generation", "of the policy there", _SERVER, always=False),
        _string("cause", "why", _SERVER, always=False),
    ),
    Event.DETACH: (
        _string("hooks", "the kernel's hooks that are guarded no more", _KERNEL, many=True),
        _string("cause", "why", _SERVER, always=False),
    ),
    Event.AUDIT_LOST: (
        _string("target", "the target that did not get them; not there: no target did", _LOG, always=False),
        _integer("lost", "how many", _LOG, "records"),
        _integer("first_seq", "number of the first of them", _LOG),
        _integer("last_seq", "number of the last of them", _LOG),
        _string("cause", "the error that kept the target from taking them", _KERNEL, always=False),
    ),
    Event.EXPIRED: (_object("entry", ENTRY, "what went, under one of its names", _SERVER),),
    Event.EVICTED: (
        _object("entry", ENTRY, "what went, under one of its names", _SERVER),
        _word("cause", ("hang-up", "error"), "what the kernel says of the open file", _KERNEL),
    ),
}
"""What each event has beside the envelope."""

EVENT_MEANING: dict[Event, str] = {
    Event.START: "the log begins: the server is about to serve",
    Event.RESTART: "the server was killed, and another one goes on: same run, same entries, same open files",
    Event.UPGRADE: "a new program's server has taken over from the one that served: same run, same entries",
    Event.STOP: "the log ends: the server ends in order",
    Event.POLICY_LOAD: "policies were put in force",
    Event.POLICY_REJECT: "policies with errors were not; what was in force stays",
    Event.MODE_CHANGE: "a policy was switched between enforcing and monitoring",
    Event.ATTACH: "the kernel began to guard",
    Event.DETACH: "the kernel stopped guarding",
    Event.AUDIT_LOST: "records were lost and can be written again",
    Event.EXPIRED: "the time of an entry had come; one record for each of its names",
    Event.EVICTED: "an entry went as the other side of its open file had hung up; one record for each of its names",
}

REASON_MEANING = MEANING
SHORTENED = Field(
    "shortened",
    "boolean",
    f"true: strings were cut to {SHORTENED_TEXT} characters or fewer, and arrays to 8 items or fewer, "
    "because the target (syslog) has no room for more",
    _LOG,
    always=False,
)


def fields_of(type_: str) -> tuple[Field, ...]:
    """All fields of a type of record, in the order they are written. Raises ValueError if there is no such type."""
    own = VERDICT_FIELDS if type_ == VERDICT else EVENT_FIELDS[Event(type_)]
    return (*ENVELOPE, *own, SHORTENED)
