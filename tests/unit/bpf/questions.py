"""A delivery as the kernel is asked about it: the subject in the ids of the initial namespace, relations as numbers."""

from collections.abc import Sequence
from typing import Any

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import ClassRecord, Relation, Request
from fdstorefs.bpf.rows import IdMap, alternatives
from fdstorefs.policy import vocabulary
from fdstorefs.policy.request import OPEN, UNKNOWN, EntryFacts, Open, SubjectFacts, Unknown, Userns, relation
from tests.unit.bpf.deliveries import Lot

NUMBERS: dict[Any, Relation] = {
    vocabulary.Relation.SAME: Relation.SAME,
    vocabulary.Relation.BELOW: Relation.BELOW,
    vocabulary.Relation.OTHER: Relation.ELSEWHERE,
    UNKNOWN: Relation.RELATION_UNKNOWN,
    OPEN: Relation.RELATION_OPEN,
}


class Cgroups:
    """Numbers of cgroups, and which of them the tables have."""

    def __init__(self, lot: Lot) -> None:
        self._numbers: dict[str, int] = {}
        self._known = lot.known_cgroups
        for subject in lot.subjects:
            if subject.cgroup is not UNKNOWN:
                self._numbers.setdefault(subject.cgroup, 1000 + len(self._numbers))

    def number(self, path: str | Unknown) -> int:
        """The id of a cgroup."""
        return abi.UNKNOWN if path is UNKNOWN else self._numbers[path]

    def known(self) -> list[tuple[int, str]]:
        """The cgroups in the tables."""
        return [(number, path) for path, number in self._numbers.items() if path in self._known]

    def is_strange(self, path: str | Unknown) -> bool:
        """Whether there is such a cgroup, and it isn't in the tables."""
        return path is not UNKNOWN and path not in self._known


def request(
    instance: int, lot: Lot, names: Sequence[EntryFacts], subject: SubjectFacts, cgroups: Cgroups
) -> Request:
    """The request about a file with these names and a subject."""
    known = 0
    if isinstance(subject.uid, int):
        known |= abi.KNOWS_UID
    if isinstance(subject.gids, frozenset):
        known |= abi.KNOWS_GROUPS
    if isinstance(subject.capabilities, int):
        known |= abi.KNOWS_CAPABILITIES
    return Request(
        instance=instance,
        uid=_host(lot.uids, subject.uid),
        known=known,
        capabilities=subject.capabilities if isinstance(subject.capabilities, int) else 0,
        cgroup=cgroups.number(subject.cgroup),
        userns=_stands(subject.userns, lot.instance, lot),
        opener_userns=_stands(names[0].opener.userns, subject.userns, lot),
        stasher_userns=tuple(
            _stands(stasher.userns, subject.userns, lot) for stasher, _ in alternatives(names)
        ),
        gids=_groups(lot.gids, subject),
    )


def _host(ids: IdMap, number: int | Unknown) -> int:
    host = None if number is UNKNOWN else ids.to_host(number)
    return 12345 if host is None else host


def _groups(ids: IdMap, subject: SubjectFacts) -> tuple[int, ...]:
    groups = sorted(subject.gids) if isinstance(subject.gids, frozenset) else ()
    return tuple(_host(ids, group) for group in groups)


def _stands(theirs: Userns | Unknown | Open, to: Userns | Unknown, lot: Lot) -> Relation:
    return NUMBERS[relation(theirs, to, lot.instance)]


def question(asked: Request, instance: int, numbers: Sequence[int], records: Sequence[ClassRecord]) -> bytes:
    """What the test program reads: the request, the class set, the people of each class."""
    people = b"".join(record.stasher.pack() + record.opener.pack() for record in records)
    room = abi.MOST_CLASSES * 2 * abi.Person.LAYOUT.size
    return asked.pack() + abi.ClassSet(instance, tuple(numbers)).pack() + people.ljust(room, b"\0")
