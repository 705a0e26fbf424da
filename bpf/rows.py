"""Compiled policies as the rows that the kernel joins: abi.h says what each table is. Pure.

Policies hold the ids of an instance's user namespace, rows those of the initial one. An id that a policy names and
that the instance's namespace does not have can be nobody's, so there is no row for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Chain, ClassRecord, Key, Row, Table
from fdstorefs.bpf.alternatives import Alternative, TooManyClasses, alternatives, joined
from fdstorefs.bpf.id_map import IDENTITY, Extent, IdMap
from fdstorefs.bpf.profile import Profile, covers, limits_connect, profile_of, uses_of
from fdstorefs.policy.cgroup_globs import cgroup_globs_met
from fdstorefs.policy.classify import capabilities_met, met
from fdstorefs.policy.request import OPEN, UNKNOWN, EntryFacts, Person
from fdstorefs.policy.tables import Listed, Space, Tables, Vector
from fdstorefs.policy.verdict import bits
from fdstorefs.policy.vocabulary import Relation

__all__ = [
    "IDENTITY",
    "Alternative",
    "Extent",
    "IdMap",
    "Profile",
    "TableSet",
    "TooManyClasses",
    "alternatives",
    "covers",
    "profile_of",
]

NOBODY = 0xFFFF_FFFF
"""The uid -1, which no process has."""

_RELATIONS: dict[Any, abi.Relation] = {
    Relation.SAME: abi.Relation.SAME,
    Relation.BELOW: abi.Relation.BELOW,
    Relation.OTHER: abi.Relation.ELSEWHERE,
    UNKNOWN: abi.Relation.RELATION_UNKNOWN,
}
_RELATIONS_TO_PEOPLE = {**_RELATIONS, OPEN: abi.Relation.RELATION_OPEN}


class TableSet:
    """The rows of one instance, for programs of one profile, which must cover what the tables need.

    Make it once for each instance and generation. The generation is the tables', 1 to 2**32 - 1.
    """

    def __init__(self, instance: int, tables: Tables, uids: IdMap, gids: IdMap, program: Profile) -> None:
        if not covers(program, profile_of([tables])):
            raise ValueError("the programs are compiled for less than these tables ask for")
        if not 0 < tables.generation < 1 << 32:
            raise ValueError(f"generation {tables.generation} is no number that programs know")
        self._instance = instance
        # Only where nothing is known of an opener does the stasher stand for him, and the kernel knows.
        self._tables = replace(tables, assume=0)
        self._uids, self._gids = uids, gids
        self._program = program
        self._uses = uses_of(tables)

    def rows(self) -> Iterator[tuple[Key, Row]]:
        """All rows but those of single cgroups and of classes."""
        tables = self._tables
        yield self._key(Table.SET), (abi.MAGIC << 32 | self._flags(), tables.generation)
        yield self._key(Table.EFFECT), (tables.allow, tables.forbid)
        yield self._key(Table.ENFORCED), (tables.enforced, 0)
        yield self._key(Table.ANY), (tables.everything, tables.everything)
        yield self._key(Table.CONNECT), (tables.reach, tables.reach & tables.about_subject)
        for use, rows in (
            (abi.USES_UID, self._uid_rows),
            (abi.USES_GID, self._gid_rows),
            (abi.USES_USERNS, self._userns_rows),
            (abi.USES_CGROUP, self._unknown_cgroup_rows),
            (abi.USES_CAPABILITIES, self._capability_rows),
            (abi.USES_STASHER_USERNS, self._stasher_userns_rows),
            (abi.USES_OPENER_USERNS, self._opener_userns_rows),
            (abi.USES_NO_MORE, self._no_more_rows),
        ):
            if self._uses & use:
                yield from rows()

    def cgroup_row(self, cgroup: int, path: str) -> tuple[Key, Row] | None:
        """The row of the cgroup with this id, its path as policies write it; None if no term asks for cgroups."""
        if not self._uses & abi.USES_CGROUP:
            return None
        row = self._row(lambda space: cgroup_globs_met(space.cgroups, path, space.lenient))
        return self._key(Table.CGROUP, cgroup), row

    def class_rows(self, numbers: Sequence[int], names: Sequence[EntryFacts]) -> Iterator[tuple[Key, Row]]:
        """The rows of an open file's classes, which have these numbers in the order of `alternatives(names)`.

        The facts are in the instance's ids. Raises what `alternatives` raises.
        """
        for number, found in zip(numbers, joined(self._tables, names), strict=True):
            yield Key(Table.TERMS, number), (found.main, found.unless)
            if self._uses & abi.USES_STASHER_SAME:
                others = [space.stasher_uid.other for space in self._spaces()]
                yield from self._same_rows(Table.STASHER_SAME, number, found.stasher_same, others)
            if self._uses & abi.USES_OPENER_SAME:
                others = [space.opener_uid.other for space in self._spaces()]
                yield from self._same_rows(Table.OPENER_SAME, number, found.opener_same, others)

    def class_records(self, names: Sequence[EntryFacts]) -> tuple[ClassRecord, ...]:
        """What the kernel compares subjects with, for each class in the order of `alternatives(names)`."""
        return tuple(
            ClassRecord(
                self._instance,
                self._person(stasher),
                self._person(names[0].opener),
                _chain(stasher),
                _chain(names[0].opener),
            )
            for stasher, _ in alternatives(names)
        )

    def _flags(self) -> int:
        tables = self._tables
        flags = self._uses
        flags |= abi.ENFORCING if tables.enforcing else 0
        flags |= abi.ALL_ENFORCED if tables.enforcing and tables.enforced == tables.everything else 0
        flags |= abi.LIMITS_CONNECT if limits_connect(tables) else 0
        return flags

    def _key(self, table: Table, value: int = 0) -> Key:
        return Key(table, self._instance, value)

    def _spaces(self) -> tuple[Space, Space]:
        return self._tables.main, self._tables.unless

    def _row(self, left: Callable[[Space], Vector]) -> Row:
        """What is left in each space, without bits beyond the terms."""
        everything = self._tables.everything
        main, unless = self._spaces()
        return left(main) & everything, left(unless) & everything

    def _listed_row(self, part: Callable[[Space], Listed], value: object) -> Row:
        return self._row(lambda space: met(part(space), value, space.lenient) | ~part(space).asks)

    def _uid_rows(self) -> Iterator[tuple[Key, Row]]:
        def part(space: Space) -> Listed:
            return space.uid

        for uid in self._listed(part):
            host = self._uids.to_host(uid)
            if host is not None:
                yield self._key(Table.UID, host), self._listed_row(part, uid)
        yield self._key(Table.UID, abi.OTHER), self._row(lambda space: part(space).other | ~part(space).asks)
        yield self._key(Table.UID, abi.UNKNOWN), self._listed_row(part, UNKNOWN)

    def _gid_rows(self) -> Iterator[tuple[Key, Row]]:
        """Those of the groups a subject is in are joined by OR, so a group's has nothing but the terms that list it."""

        def part(space: Space) -> Listed:
            return space.gid

        for gid in self._listed(part):
            host = self._gids.to_host(gid)
            if host is not None:
                yield self._key(Table.GID, host), self._row(_listing(gid))
        yield self._key(Table.GID, abi.OTHER), self._row(lambda space: part(space).other | ~part(space).asks)
        yield self._key(Table.GID, abi.UNKNOWN), self._listed_row(part, UNKNOWN)

    def _listed(self, part: Callable[[Space], Listed]) -> list[int]:
        main, unless = self._spaces()
        return sorted({*part(main).known, *part(unless).known})

    def _userns_rows(self) -> Iterator[tuple[Key, Row]]:
        for value, relation in _RELATIONS.items():
            yield self._key(Table.USERNS, relation), self._listed_row(lambda space: space.userns, value)

    def _stasher_userns_rows(self) -> Iterator[tuple[Key, Row]]:
        for value, relation in _RELATIONS_TO_PEOPLE.items():
            row = self._listed_row(lambda space: space.stasher_userns, value)
            yield self._key(Table.STASHER_USERNS, relation), row

    def _opener_userns_rows(self) -> Iterator[tuple[Key, Row]]:
        for value, relation in _RELATIONS_TO_PEOPLE.items():
            row = self._listed_row(lambda space: space.opener_userns, value)
            yield self._key(Table.OPENER_USERNS, relation), row

    def _unknown_cgroup_rows(self) -> Iterator[tuple[Key, Row]]:
        row = self._row(lambda space: cgroup_globs_met(space.cgroups, UNKNOWN, space.lenient))
        yield self._key(Table.CGROUP, abi.UNKNOWN), row

    def _capability_rows(self) -> Iterator[tuple[Key, Row]]:
        for number in bits(self._program.capabilities):
            yield self._key(Table.CAPABILITY, number), self._row(_without(number))
        row = self._row(lambda space: capabilities_met(space.capabilities, UNKNOWN, space.lenient))
        yield self._key(Table.CAPABILITY, abi.UNKNOWN), row

    def _no_more_rows(self) -> Iterator[tuple[Key, Row]]:
        yield self._key(Table.NO_MORE), self._row(lambda space: ~space.opener_no_more)
        row = self._row(lambda space: ~(space.opener_no_more & ~space.lenient))
        yield self._key(Table.NO_MORE, abi.UNKNOWN), row

    def _same_rows(
        self, table: Table, number: int, same: tuple[Vector, Vector], others: Sequence[Vector]
    ) -> Iterator[tuple[Key, Row]]:
        """What is left for another than the one compared, and for somebody of whom it cannot be told.

        `others` are the terms for which any uid may be one that they list, so that they stay.
        """
        everything = self._tables.everything
        main, unless = (everything & ~(terms & ~other) for terms, other in zip(same, others, strict=True))
        yield Key(table, number), (main, unless)
        lenient = [space.lenient for space in self._spaces()]
        main, unless = (everything & ~(terms & ~kept) for terms, kept in zip(same, lenient, strict=True))
        yield Key(table, number, abi.UNKNOWN), (main, unless)

    def _person(self, person: Person) -> abi.Person:
        known = 0
        uid = capabilities = userns = 0
        if isinstance(person.uid, int):
            known |= abi.KNOWS_UID
            host = self._uids.to_host(person.uid)
            uid = NOBODY if host is None else host
        if isinstance(person.capabilities, int):
            known |= abi.KNOWS_CAPABILITIES
            capabilities = person.capabilities
        elif person.capabilities is OPEN:
            # What that decides was decided when the names were joined; no capabilities are compared with nobody's.
            known |= abi.KNOWS_CAPABILITIES
        if isinstance(person.userns, tuple):
            known |= abi.KNOWS_USERNS
            userns = person.userns[0]
        elif person.userns is OPEN:
            known |= abi.IS_OPEN
        return abi.Person(uid=uid, userns=userns, capabilities=capabilities, known=known)


def _listing(gid: int) -> Callable[[Space], Vector]:
    return lambda space: space.gid.known.get(gid, 0)


def _without(capability: int) -> Callable[[Space], Vector]:
    return lambda space: ~space.capabilities.needs.get(capability, 0)


def _chain(person: Person) -> Chain:
    return Chain(person.userns if isinstance(person.userns, tuple) else ())
