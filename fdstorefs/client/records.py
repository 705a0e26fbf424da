"""What an instance tells about entries, changes and itself. Named tuples: cheap to import, and to make."""

from typing import Any, NamedTuple

from fdstorefs.client.wire import Parameters
from fdstorefs.errors import ProtocolError


class Stasher(NamedTuple):
    """Who stashed, as the kernel told it at that moment; `command` is None if that could not be seen."""

    pid: int
    uid: int
    gid: int
    command: str | None


class Opener(NamedTuple):
    """Who opened a file, in ids of the instance's user namespace; None where he has none there.

    `capabilities` is a mask, `userns` his user namespace and then those above it.
    """

    uid: int | None
    gid: int | None
    capabilities: int
    userns: tuple[int, ...]


class Entry(NamedTuple):
    """A name and what it stands for.

    `kind` is `box`, `empty` or what the open file is. Times are nanoseconds since the epoch. `file` is the
    same number for every entry that holds the same open file. From `file` on, a field is None where it
    doesn't apply or where the caller may not describe the entry. `guarded`: whether the kernel enforces the policy
    on the open file wherever it goes, and `unguarded` is why not; both None where it enforces none.
    `expires` is when the entry goes by itself, if it does; `poll`: whether it goes when the other side of the open
    file hangs up.
    """

    name: str
    kind: str
    id: int
    uid: int
    gid: int
    mode: int
    links: int
    created: int
    changed: int
    sealed: bool
    file: int | None = None
    description: str | None = None
    access: str | None = None
    filesystem: str | None = None
    device: int | None = None
    inode: int | None = None
    stasher: Stasher | None = None
    label: str | None = None
    expires: int | None = None
    poll: bool | None = None
    guarded: bool | None = None
    unguarded: str | None = None
    opener: Opener | None = None


class Description(NamedTuple):
    """All about one entry or box; `details` holds what the kernel tells of it, by topic."""

    entry: Entry
    details: dict[str, str]


class Change(NamedTuple):
    """One change to a name: `change` says what (`stashed`, `renamed`, ...), `former` the name it had."""

    change: str
    entry: Entry | None
    former: str | None


class Status(NamedTuple):
    """What an instance is and what is in force. `limit` counts descriptors, `started` is in nanoseconds.

    `policy_status` (names, files, hash, generation, mode, rules, loaded, applies, warnings, rejected) and `audit`
    (of each target: target, written, lost) are as the interface has them. `guarded` and `unguarded` count open files;
    None where the kernel enforces nothing, and for all but the owner. `limits` (entries, entriesPerUid, entriesPerBox,
    openFiles) are how much there may be, None: no limit. `restarts` counts servers that died under a
    keeper (its pid is `keeper`; both None where there is none); for `outage` nanoseconds nobody served the last time.
    `systemd_store` (entries, most) counts descriptors that systemd keeps, too; None where it keeps nothing.
    """

    version: str
    mount: str
    pid: int
    keeper: int | None
    uid: int
    enforcement: str
    enforcement_reason: str
    policy: str | None
    policy_status: dict[str, Any] | None
    audit: list[dict[str, Any]]
    entries: int
    descriptors: int
    limit: int
    connections: int
    started: int
    method: str
    kernel: str
    guarded: int | None = None
    unguarded: int | None = None
    restarts: int | None = None
    outage: int | None = None
    systemd_store: dict[str, Any] | None = None
    limits: dict[str, int | None] | None = None


class Upgraded(NamedTuple):
    """What came of an upgrade: who serves now, and who did. Nobody was served for `pause` nanoseconds."""

    former_version: str
    version: str
    former_pid: int
    pid: int
    entries: int
    pause: int


_ALWAYS = tuple(field for field in Entry._fields if field not in Entry._field_defaults)
_SOMETIMES = tuple(field for field in Entry._fields if field in Entry._field_defaults)
_STASHER, _OPENER = _SOMETIMES.index("stasher"), _SOMETIMES.index("opener")
_MAY_BE_NULL = ("keeper", "policy", "guarded", "unguarded", "restarts", "outage", "limits")


def entry_from(record: Any) -> Entry:
    """Read an entry record; fields that this client doesn't know are passed over. Raises ProtocolError."""
    try:
        sometimes = [record.get(field) for field in _SOMETIMES]
        if sometimes[_STASHER] is not None:
            sometimes[_STASHER] = _stasher_from(sometimes[_STASHER])
        if sometimes[_OPENER] is not None:
            sometimes[_OPENER] = _opener_from(sometimes[_OPENER])
        return Entry(*[record[field] for field in _ALWAYS], *sometimes)
    except (AttributeError, KeyError, TypeError) as error:
        raise _bad("entry", error) from None


def _stasher_from(record: Parameters) -> Stasher:
    return Stasher(record["pid"], record["uid"], record["gid"], record.get("command"))


def _opener_from(record: Parameters) -> Opener:
    userns = tuple(record.get("userns", ()))
    return Opener(record.get("uid"), record.get("gid"), record["capabilities"], userns)


def entries_from(parameters: Parameters) -> list[Entry]:
    """Read one reply to List."""
    records = parameters.get("entries")
    if not isinstance(records, list):
        raise ProtocolError("the instance listed no entries")
    return [entry_from(record) for record in records]


def description_from(parameters: Parameters) -> Description:
    """Read the reply to Describe."""
    details = parameters.get("details")
    return Description(entry_from(parameters.get("entry")), details if isinstance(details, dict) else {})


def change_from(parameters: Parameters) -> Change:
    """Read one reply to Watch."""
    record = parameters.get("entry")
    try:
        change = parameters["change"]
    except KeyError as error:
        raise _bad("change", error) from None
    return Change(change, None if record is None else entry_from(record), parameters.get("former"))


def status_from(parameters: Parameters) -> Status:
    """Read the reply to Status."""
    known = parameters | {
        "enforcement_reason": parameters.get("enforcementReason", ""),
        "policy_status": parameters.get("policyStatus"),
        "audit": parameters.get("audit") or [],
        "systemd_store": parameters.get("systemdStore"),
    }
    for field in _MAY_BE_NULL:
        known.setdefault(field, None)
    try:
        return Status(*[known[field] for field in Status._fields])
    except KeyError as error:
        raise _bad("status", error) from None


def upgraded_from(parameters: Parameters) -> Upgraded:
    """Read the reply to Upgrade."""
    known = parameters | {
        "former_version": parameters.get("formerVersion"),
        "former_pid": parameters.get("formerPid"),
    }
    try:
        return Upgraded(*[known[field] for field in Upgraded._fields])
    except KeyError as error:
        raise _bad("reply", error) from None


def _bad(what: str, error: Exception) -> ProtocolError:
    return ProtocolError(f"the instance sent a {what} that makes no sense: {error}")
