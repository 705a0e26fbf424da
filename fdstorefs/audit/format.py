"""Decisions and events as lines of a log: JSON written by hand, because the general encoder takes three times as long.

Everything that is not a number or a word of ours goes through `quote`. What stays the same from record to record (a
subject, an entry, the rules that decided) is formatted once and kept.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias, TypeVar

from fdstorefs.audit.decision import (
    MOST_FAILED,
    Decision,
    EntryMark,
    Opener,
    PolicyMark,
    Texts,
)
from fdstorefs.audit.record import VERDICT, VERSION, Event
from fdstorefs.audit.text import quote, quote_all
from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import ProcessDetails, Subject

Key = TypeVar("Key")
Kept = TypeVar("Kept")

MOST_BODIES, MOST_ENTRIES = 256, 2048
"""Fragments that are kept; one more and all are made anew."""

LONGEST_KEPT = 1024
"""Characters of an entry that is kept: names chosen to be long must not fill the memory."""

ID_BYTES = 8
SECOND = 1_000_000_000
_Writers: TypeAlias = dict[str, tuple[str, Callable[[Any], str]]]
_WORDS = ("deny", "allow")

EventValue = int | str | bool | Sequence[str] | EntryMark | PolicyMark | Stasher | None


class _Body(NamedTuple):
    """A record from its outcome to its subject, and what it is about that is compared by identity."""

    details: ProcessDetails | None
    policy: PolicyMark | None
    text: str


class Formatter:
    """Makes the lines of one run of an instance. A line ends with a newline and has no other.

    `userns` is the instance's user namespace, then those above it. `key` makes the ids of decisions from their
    numbers; None: it is drawn.
    """

    def __init__(
        self, instance: str, run: str, userns: tuple[int, ...] | None = None, key: bytes | None = None
    ) -> None:
        self.run = run
        self._key = os.urandom(16) if key is None else key
        self._run = f',"run":{quote(run)}'
        if userns is not None:
            self._run += f',"instance_userns":{_integers(userns)}'
        self._where = f'"instance":{quote(instance)}{self._run}'
        self._second = -1
        self._date = ""
        self._bodies: dict[tuple[object, ...], _Body] = {}
        self._entries: dict[EntryMark, str] = {}

    def decision_id(self, number: int) -> str:
        """What a decision is called. A client is told, and should not learn how many others there were."""
        digest = blake2b(number.to_bytes(8, "little"), key=self._key, digest_size=ID_BYTES)
        return f"{self.run}-{digest.hexdigest()}"

    def verdict(self, decision: Decision, lost_before: int) -> bytes:
        """The record of a decision, with the details that it has by now. Asks it for what it left for later."""
        head = self._head(
            VERDICT, decision.time, decision.boottime, decision.seq, lost_before, decision.mount
        )
        line = (
            f'{head},"id":"{self.decision_id(decision.number)}",{self._body(decision)},'
            f'"entry":{self._entry(decision.entry)}{_rare(decision)}}}\n'
        )
        return line.encode("ascii")

    def _body(self, decision: Decision) -> str:
        """What is the same when the same subject is told the same, whatever it asked for."""
        subject, details, policy = decision.subject, decision.details, decision.policy
        rules = _now(decision.rules)
        key = (
            id(details),
            id(policy),
            rules,
            decision.action,
            decision.verdict,
            decision.decided,
            decision.reason,
            decision.via,
            decision.source,
            subject.pid,
            subject.uid,
            subject.gid,
        )
        kept = self._bodies.get(key)
        # An id may be that of a later object. Keeping the objects themselves is what makes it good, and hashing
        # them would take as long as all the rest.
        if kept is None or kept.details is not details or kept.policy is not policy:
            kept = _keep(self._bodies, key, _Body(details, policy, _body(decision, rules)), MOST_BODIES)
        return kept.text

    def event(
        self,
        kind: Event,
        moment: tuple[int, int],
        seq: int,
        lost_before: int,
        fields: Mapping[str, EventValue],
    ) -> bytes:
        """The record of an event; `moment` is ns since the epoch and ns since boot. A None is left out."""
        head = self._head(kind, *moment, seq, lost_before)
        own = [f',"{name}":{_any(each)}' for name, each in fields.items() if each is not None]
        return f"{head}{''.join(own)}}}\n".encode("ascii")

    def _head(
        self, kind: str, time_ns: int, boottime: int, seq: int, lost_before: int, mount: str = ""
    ) -> str:
        second, rest = divmod(time_ns, SECOND)
        if second != self._second:
            self._second = second
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        where = f'"instance":{quote(mount)}{self._run}' if mount else self._where
        return (
            f'{{"v":{VERSION},"type":"{kind}","ts":"{self._date}.{rest:09d}Z","boottime":{boottime},"seq":{seq},'
            f'"lost_before":{lost_before},{where}'
        )

    def _entry(self, entry: EntryMark) -> str:
        kept = self._entries.get(entry)
        if kept is None:
            kept = _entry(entry)
            if len(kept) <= LONGEST_KEPT:
                _keep(self._entries, _bare(entry), kept, MOST_ENTRIES)
        return kept


def _bare(entry: EntryMark) -> EntryMark:
    """An equal mark that holds nothing: with the bare numbers of its stasher's user namespace."""
    stasher = entry.stasher
    if stasher is None or stasher.userns is None:
        return entry
    return entry._replace(stasher=replace(stasher, userns=tuple(stasher.userns)))


def _keep(kept: dict[Key, Kept], key: Key, value: Kept, most: int) -> Kept:
    if len(kept) >= most:
        kept.clear()
    kept[key] = value
    return value


def _now(texts: Texts) -> tuple[str, ...]:
    return texts() if callable(texts) else texts


def _body(decision: Decision, rules: tuple[str, ...]) -> str:
    policy = f'"policy":{_policy(decision.policy)},' if decision.policy is not None else ""
    subject = _subject(decision.subject, decision.details)
    return f'{_outcome(decision)},"rules":{quote_all(rules)},{policy}"subject":{subject}'


def _outcome(decision: Decision) -> str:
    return (
        f'"action":{quote(decision.action)},"verdict":"{_WORDS[decision.verdict]}",'
        f'"decided":"{_WORDS[decision.decided]}","reason":{quote(decision.reason.value)},'
        f'"source":{quote(decision.source)},"via":{quote(decision.via)}'
    )


def _rare(decision: Decision) -> str:
    """What most records do not have, each with a comma before it."""
    parts: list[str] = []
    if failed := _now(decision.failed):
        parts.append(f',"failed":{quote_all(failed[:MOST_FAILED])}')
    if unknown := _now(decision.unknown):
        parts.append(f',"unknown":{quote_all(unknown)}')
    if decision.target:
        parts.append(f',"target":{decision.target}')
    if decision.hidden:
        parts.append(f',"hidden":{decision.hidden}')
    if decision.opener is not None:
        parts.append(f',"opener":{_opener(decision.opener)}')
    if decision.also:
        parts.append(f',"also":[{",".join(map(_entry, decision.also))}]')
    return "".join(parts)


def _subject(subject: Subject, details: ProcessDetails | None) -> str:
    pid = subject.pid if details is None else details.pid
    carried = f'{{"pid":{pid},"uid":{subject.uid},"gid":{subject.gid},"details":'
    if details is None:
        return f'{carried}"gone"}}'
    return f'{carried}"read",{_object(_DETAILS, details)}}}'


def _entry(entry: EntryMark) -> str:
    return f"{{{_object(_ENTRY, entry)}}}"


def _stasher(stasher: Stasher) -> str:
    return f"{{{_object(_STASHER, stasher)}}}"


def _policy(policy: PolicyMark) -> str:
    return f"{{{_object(_POLICY, policy)}}}"


def _opener(opener: Opener) -> str:
    return f"{{{_object(_OPENER, opener)}}}"


def _object(writers: _Writers, source: object) -> str:
    """The fields of an object that it knows, in order, without the braces."""
    return ",".join(
        [
            f'"{name}":{write(value)}'
            for name, (attribute, write) in writers.items()
            if (value := getattr(source, attribute)) is not None
        ]
    )


def _mask(capabilities: int) -> str:
    return f'"{capabilities:016x}"'


def _strings(texts: Sequence[str]) -> str:
    return quote_all(tuple(texts))


def _integers(numbers: Sequence[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _own(*names: str, write: Callable[[Any], str]) -> _Writers:
    """Fields that are called what the attribute is called."""
    return {name: (name, write) for name in names}


# By the name of the field: the attribute it is made of, and how it is written.
_DETAILS: _Writers = {
    **_own("tid", "start_time", write=str),
    **_own("comm", "exe", write=quote),
    **_own("uids", "gids", "groups", write=_integers),
    "capabilities": ("cap_effective", _mask),
    **_own("userns", write=_integers),
    **_own("mntns", write=str),
    **_own("cgroup", write=quote),
    **_own("cgroup_id", "read_at", write=str),
}
_STASHER: _Writers = {
    **_own("pid", "uid", "gid", write=str),
    **_own("command", write=quote),
    **_own("capabilities", write=_mask),
    **_own("userns", write=_integers),
}
_OPENER: _Writers = {
    **_own("uid", "gid", write=str),
    **_own("capabilities", write=_mask),
    **_own("userns", write=_integers),
    **_own("assumed", write=_boolean),
}
_POLICY: _Writers = {
    **_own("names", write=_strings),
    **_own("hash", write=quote),
    **_own("generation", write=str),
    **_own("mode", write=quote),
}
_ENTRY: _Writers = {
    **_own("name", write=quote),
    "id": ("number", str),
    **_own("kind", write=quote),
    **_own("device", "inode", write=str),
    **_own("access", "filesystem", write=quote),
    **_own("guarded", write=_boolean),
    **_own("label", write=quote),
    **_own("stasher", write=_stasher),
}


def _any(value: EventValue) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return _boolean(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, EntryMark):
        return _entry(value)
    if isinstance(value, PolicyMark):
        return _policy(value)
    if isinstance(value, Stasher):
        return _stasher(value)
    return _strings(value or ())
