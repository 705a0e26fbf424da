"""Agreements: what is put under names, the guard's consent to it, and the order in which both come about."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from fdstorefs.core.access import Target
from fdstorefs.core.guard import Guard, Named, Names, names_in
from fdstorefs.core.node import Entry, OpenFile, Stasher
from fdstorefs.errors import StoreError


class Put(NamedTuple):
    """An open file that is to be put under a name. `label`, `polled` None: what is there stays.

    `number` is what a new entry will have. `expires` None: what is put in place of something doesn't, and what fills
    an empty entry does when that would have.
    """

    target: Target
    file: OpenFile
    stasher: Stasher
    label: str | None
    number: int
    expires: int | None = None
    polled: bool | None = None


class Agreement:
    """The consent of the guard to several puts. A context manager: within it are the verdicts, then the puts.

    `refused` is told of a put that the guard does not consent to.

    Of an open file that is new to the store the guard alone can tell who opened it, and the policy may ask that. So
    it is agreed about first, before the verdicts: it has no other names, and who brings it could give it to anybody
    before he did. One that is stored already is agreed about when all verdicts have fallen (`complete`): otherwise
    the names that somebody asks for in vain would count for a moment.
    """

    def __init__(self, guard: Guard, puts: Sequence[Put], refused: Callable[[Put, StoreError], None]) -> None:
        self._guard = guard
        self._puts = puts
        self._refused = refused
        coming = _names_after(puts)
        self._new = {file: names for file, names in coming.items() if not file.entries}
        self._stored = {file: names for file, names in coming.items() if file.entries}
        self._agreed: list[OpenFile] = []
        self._former = list(dict.fromkeys(file for file in map(_there, puts) if file is not None))
        self._replaced = [file for file in self._former if file not in coming]

    def __enter__(self) -> Self:
        for file in self._former:
            file.hold()
        try:
            self._require(self._new)
        except BaseException:
            self._end(self._former)
            raise
        return self

    def complete(self) -> None:
        """All verdicts are that it may be done."""
        self._require(self._stored)

    def _require(self, coming: Names) -> None:
        if not coming:
            return
        try:
            self._guard.require(coming)
        except StoreError as error:
            self._refused(self._put_at(error.name), error)
            raise
        self._agreed += coming

    def _put_at(self, path: str | None) -> Put:
        return next((put for put in self._puts if put.target.path == path), self._puts[0])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            # Of several puts into one entry all but the last have left nothing behind.
            self._end([*self._replaced, *(file for file in self._agreed if not file.entries)])
        else:
            # What was to be replaced stays, even what was to go elsewhere; the guard has taken its entry for another's.
            self._end(list(dict.fromkeys([*self._agreed, *self._former])))

    def _end(self, changed: list[OpenFile]) -> None:
        if changed:
            self._guard.settle(changed)
        for file in self._former:
            file.drop()


class NoGuard:
    """The agreement where there is no guard."""

    def __enter__(self) -> Self:
        return self

    def complete(self) -> None:
        """Nobody is asked."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody is told."""


def _there(put: Put) -> OpenFile | None:
    return put.target.node.file if isinstance(put.target.node, Entry) else None


def _names_after(puts: Sequence[Put]) -> dict[OpenFile, list[Named]]:
    """The names that each of these open files will have. Of several puts into one entry the last one stays."""
    last: dict[object, Put] = {put.target.node: put for put in puts if isinstance(put.target.node, Entry)}
    coming: dict[OpenFile, list[Named]] = {}
    for put in puts:
        names = coming.get(put.file)
        if names is None:
            kept = [entry for entry in put.file.entries if entry not in last]
            names = coming[put.file] = [named for entry in kept for named in names_in(entry)]
        if last.get(put.target.node, put) is put:
            names += _put_under(put)
    return coming


def _put_under(put: Put) -> list[Named]:
    entry = put.target.node
    if not isinstance(entry, Entry):
        return [Named(put.target.path, put.number, put.label, put.stasher)]
    label = put.label if put.label is not None else entry.label
    return [named._replace(label=label, stasher=put.stasher) for named in names_in(entry)]
