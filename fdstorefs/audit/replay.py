"""Deciding again what is on record, with other policies."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from fdstorefs.audit.decision import Reason
from fdstorefs.audit.query import names
from fdstorefs.audit.reader import Record
from fdstorefs.audit.record import VERDICT
from fdstorefs.audit.text import unescape
from fdstorefs.policy.decide import decide
from fdstorefs.policy.request import OPEN, UNKNOWN, EntryFacts, Person, Request, Unknown, Userns
from fdstorefs.policy.tables import Tables
from fdstorefs.policy.verdict import Verdict
from fdstorefs.policy.vocabulary import ACTIONS, BOX, EMPTY

ROOT = "/"


class Obstacle(StrEnum):
    """Why a record says nothing about other policies."""

    EVENT = "no verdict but an event"
    NOT_POLICY = "mode bits, a limit or an error decided, not a policy"
    SHORTENED = "its strings were cut for want of room"
    NEWER = "a word in it is of a later version"
    NOT_ON_RECORD = "it depends on what is not on record"


POLICY_REASONS = frozenset({Reason.RULE, Reason.FORBIDDEN, Reason.NO_RULE, Reason.DEFAULT})
"""Reasons of verdicts that another policy would make another way."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One record and what the other policies make of it: `allowed`, by `rules`."""

    record: Record
    allowed: bool
    rules: tuple[str, ...]

    @property
    def was_allowed(self) -> bool:
        """What was in force then."""
        return bool(self.record["verdict"] == "allow")

    @property
    def differs(self) -> bool:
        """Whether the verdict in force would have been another."""
        return self.allowed != self.was_allowed

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "was": self.record["verdict"],
            "would_be": "allow" if self.allowed else "deny",
            "rules": list(self.rules),
            "record": self.record,
        }


@dataclass(slots=True)
class Comparison:
    """What became of many records: how many came out the same, which did not, and how many could not be decided."""

    same: int = 0
    different: list[Replayed] = field(default_factory=list)
    obstacles: Counter[Obstacle] = field(default_factory=Counter)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "same": self.same,
            "different": [each.as_json() for each in self.different],
            "not_replayed": {obstacle.value: times for obstacle, times in self.obstacles.items()},
        }


def compare(records: Iterable[Record], tables: Tables) -> Comparison:
    """Decide all records again."""
    comparison = Comparison()
    for record in records:
        match replay_one(record, tables):
            case Obstacle() as obstacle:
                comparison.obstacles[obstacle] += 1
            case Replayed(differs=True) as replayed:
                comparison.different.append(replayed)
            case _:
                comparison.same += 1
    return comparison


def replay_one(record: Record, tables: Tables) -> Replayed | Obstacle:
    """Decide what one record is about."""
    if record["type"] != VERDICT:
        return Obstacle.EVENT
    if record.get("shortened"):
        return Obstacle.SHORTENED
    if record["reason"] not in POLICY_REASONS:
        return Obstacle.NOT_POLICY
    if record["action"] not in ACTIONS:
        return Obstacle.NEWER
    verdict = _verdict(record, tables)
    return Obstacle.NOT_ON_RECORD if verdict is None else Replayed(record, verdict.allowed, verdict.rules)


def _verdict(record: Record, tables: Tables) -> Verdict | None:
    """None if it hangs on what is not on record.

    Unknown never helps the subject and open always does, so where both come to the same, it does not matter
    what an object's missing value was. A subject's cannot be open; whether anything asks for it is watched.
    """
    request, subject = request_of(record)
    verdict = decide(tables, request)
    kindest = decide(tables, _kindest(request))
    return None if subject.was_missed or verdict.allowed != kindest.allowed else verdict


class RecordedSubject:
    """The subject of a record. `was_missed`: somebody asked for something that is not on record."""

    def __init__(self, found: dict[str, Any], *, sees_relations: bool) -> None:
        self._found = found
        self._sees_relations = sees_relations
        self.was_missed = False

    @property
    def uid(self) -> int | Unknown:
        """Its uid: always on record."""
        return int(self._found["uid"])

    @property
    def gids(self) -> frozenset[int] | Unknown:
        """Its gid and supplementary groups."""
        groups = self._get("groups")
        return UNKNOWN if groups is None else frozenset((self._found["gid"], *groups))

    @property
    def capabilities(self) -> int | Unknown:
        """Its effective capabilities."""
        mask = self._get("capabilities")
        return UNKNOWN if mask is None else int(mask, 16)

    @property
    def userns(self) -> Userns | Unknown:
        """Its user namespace, if it can be told how that stands to the instance's."""
        chain = self._get("userns")
        self.was_missed = self.was_missed or not self._sees_relations
        return tuple(chain) if chain and self._sees_relations else UNKNOWN

    @property
    def cgroup(self) -> str | Unknown:
        """Its cgroup."""
        path = self._get("cgroup")
        return UNKNOWN if path is None else unescape(path)

    def _get(self, name: str) -> Any:
        found = self._found.get(name)
        self.was_missed = self.was_missed or found is None
        return found


def request_of(record: Record) -> tuple[Request, RecordedSubject]:
    """The question that a verdict answered."""
    instance = record.get("instance_userns")
    subject = RecordedSubject(record["subject"], sees_relations=bool(instance))
    opener = _opener(record.get("opener"))
    entries = (record["entry"], *record.get("also", ()))
    first, *also = (_entry(entry, name, opener) for entry, name in zip(entries, names(record), strict=True))
    action = ACTIONS[record["action"]]
    return Request(action, first, subject, tuple(instance or (0,)), tuple(also)), subject


def _entry(found: dict[str, Any], name: str, opener: Person) -> EntryFacts:
    nothing = OPEN if found.get("kind") in (EMPTY, BOX) else UNKNOWN
    return EntryFacts(
        path="" if name == ROOT else name,
        kind=found.get("kind", UNKNOWN),
        filesystem=found.get("filesystem", nothing),
        access=found.get("access", nothing),
        label=unescape(found["label"]) if "label" in found else None,
        stasher=_person(found.get("stasher")),
        opener=opener if nothing is UNKNOWN else Person(OPEN, OPEN, OPEN),
        guarded=found.get("guarded", nothing),
    )


def _opener(found: dict[str, Any] | None) -> Person:
    # Where the stasher stood for the opener, that is up to the policy, and this is another one.
    return _person(None if found is None or found["assumed"] else found)


def _person(found: dict[str, Any] | None) -> Person:
    if found is None:
        return Person()
    return Person(
        uid=found.get("uid", UNKNOWN),
        capabilities=int(found["capabilities"], 16) if "capabilities" in found else UNKNOWN,
        userns=tuple(found["userns"]) if found.get("userns") else UNKNOWN,
    )


def _kindest(request: Request) -> Request:
    entry, *also = (_open_where_unknown(entry) for entry in (request.entry, *request.also))
    return replace(request, entry=entry, also=tuple(also))


def _open_where_unknown(entry: EntryFacts) -> EntryFacts:
    return replace(
        entry,
        filesystem=_or_open(entry.filesystem),
        access=_or_open(entry.access),
        guarded=_or_open(entry.guarded),
        stasher=_open_person(entry.stasher),
        opener=entry.opener,
    )


def _open_person(person: Person) -> Person:
    return Person(_or_open(person.uid), _or_open(person.capabilities), _or_open(person.userns))


def _or_open(value: Any) -> Any:
    return OPEN if value is UNKNOWN else value
