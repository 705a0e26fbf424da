"""A second reading of abi.h: rows joined as its text says, with Python's numbers and nothing clever.

It is what decide.h must do, so that where kernel and Python differ one knows whether the rows or the program are wrong.
"""

from collections.abc import Iterator, Mapping, Sequence

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import ClassRecord, Key, Person, Reason, Request, Row, Table
from tests.unit.bpf.answer import Answer

Rows = Mapping[Key, Row]


class Interpreter:
    """Decides by the rows of one generation."""

    def __init__(self, rows: Rows, instance: int) -> None:
        self._rows = rows
        self._instance = instance
        self._flags = rows[Key(Table.SET, instance)][0] & 0xFFFF_FFFF
        self._allow, self._forbid = self._row(Table.EFFECT)
        self._enforced = self._row(Table.ENFORCED)[0]
        self._is_strange = False

    def _row(self, table: Table, value: int = 0) -> Row:
        return self._rows[Key(table, self._instance, value)]

    def deliver(self, request: Request, numbers: Sequence[int], records: Sequence[ClassRecord]) -> Answer:
        """The verdict on a file of these classes."""
        subject = list(self._subject(request))
        found = [
            self._matching(number, [*subject, *self._people(request, place, number, records[place])])
            for place, number in enumerate(numbers)
        ]
        allowed = any(self._is_allowed(matching) for matching in found)
        for place, matching in enumerate(found):
            if matching & self._allow and not matching & self._forbid:
                return Answer(allowed, True, Reason.BY_RULE, place, matching & self._allow)
        for place, matching in enumerate(found):
            if matching & self._forbid:
                return self._denial(allowed, Reason.BY_FORBID, place, matching & self._forbid)
        return self._denial(allowed, Reason.BY_NO_RULE, None, 0)

    def _denial(self, allowed: bool, reason: Reason, place: int | None, terms: int) -> Answer:
        return Answer(allowed, False, Reason.STRANGE_CGROUP if self._is_strange else reason, place, terms)

    def _is_allowed(self, matching: int) -> bool:
        in_force = matching & self._enforced
        is_allowed = in_force & self._allow != 0 and not in_force & self._forbid
        return is_allowed or not self._flags & abi.ENFORCING

    def _matching(self, number: int, joined: Sequence[Row]) -> int:
        main, unless = self._rows[Key(Table.TERMS, number)]
        for left_in_main, left_in_unless in joined:
            main, unless = main & left_in_main, unless & left_in_unless
        return main & ~unless

    def _subject(self, request: Request) -> Iterator[Row]:
        if self._flags & abi.USES_UID:
            uid = request.uid if request.known & abi.KNOWS_UID else abi.UNKNOWN
            yield self._rows.get(Key(Table.UID, self._instance, uid)) or self._row(Table.UID, abi.OTHER)
        if self._flags & abi.USES_GID:
            yield self._groups(request)
        if self._flags & abi.USES_USERNS:
            yield self._row(Table.USERNS, request.userns)
        if self._flags & abi.USES_CGROUP:
            yield self._cgroup(request.cgroup)
        if self._flags & abi.USES_CAPABILITIES:
            yield from self._capabilities(request)

    def _groups(self, request: Request) -> Row:
        if not request.known & abi.KNOWS_GROUPS:
            return self._row(Table.GID, abi.UNKNOWN)
        main, unless = self._row(Table.GID, abi.OTHER)
        for gid in request.gids:
            listing = self._rows.get(Key(Table.GID, self._instance, gid), (0, 0))
            main, unless = main | listing[0], unless | listing[1]
        return main, unless

    def _cgroup(self, cgroup: int) -> Row:
        found = self._rows.get(Key(Table.CGROUP, self._instance, cgroup))
        self._is_strange = found is None
        return found or self._row(Table.CGROUP, abi.UNKNOWN)

    def _capabilities(self, request: Request) -> Iterator[Row]:
        if not request.known & abi.KNOWS_CAPABILITIES:
            yield self._row(Table.CAPABILITY, abi.UNKNOWN)
            return
        rows = {key.value: row for key, row in self._rows.items() if key.table == Table.CAPABILITY}
        for number in range(64):
            if number in rows and not request.capabilities >> number & 1:
                yield rows[number]

    def _people(self, request: Request, place: int, number: int, record: ClassRecord) -> Iterator[Row]:
        if self._flags & abi.USES_STASHER_SAME:
            yield from self._same(Table.STASHER_SAME, number, record.stasher, request)
        if self._flags & abi.USES_OPENER_SAME:
            yield from self._same(Table.OPENER_SAME, number, record.opener, request)
        if self._flags & abi.USES_STASHER_USERNS:
            yield self._row(Table.STASHER_USERNS, request.stasher_userns[place])
        if self._flags & abi.USES_OPENER_USERNS:
            yield self._row(Table.OPENER_USERNS, request.opener_userns)
        if self._flags & abi.USES_NO_MORE:
            yield from self._no_more(record.opener, request)

    def _same(self, table: Table, number: int, person: Person, request: Request) -> Iterator[Row]:
        if not request.known & abi.KNOWS_UID:
            yield self._rows[Key(table, number, abi.UNKNOWN)]
        elif not person.known & abi.KNOWS_UID or person.uid != request.uid:
            yield self._rows[Key(table, number)]

    def _no_more(self, opener: Person, request: Request) -> Iterator[Row]:
        knows = opener.known & abi.KNOWS_CAPABILITIES
        if knows and opener.capabilities == 0:
            return
        if not knows & request.known:
            yield self._row(Table.NO_MORE, abi.UNKNOWN)
        elif opener.capabilities & ~request.capabilities:
            yield self._row(Table.NO_MORE)
