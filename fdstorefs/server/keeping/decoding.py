"""Decoding: parts of a store from what `encoding` made of them. Keys that aren't known are passed over."""

from collections.abc import Callable
from typing import Any

from fdstorefs.core.node import Box, Entry, Opener, OpenFile, Stasher
from fdstorefs.core.subject import Userns

Fields = dict[str, Any]
HoldAgain = Callable[[int, Userns], Userns | None]
"""From the number that a user namespace is kept under to the namespace, held again; None if it isn't there."""


class NodeDecoder:
    """Makes nodes that stand nowhere yet, and without their files. One object serves all with the same stasher."""

    def __init__(self, hold_again: HoldAgain) -> None:
        self._hold_again = hold_again
        self._stashers: dict[str, Stasher] = {}
        # Most come from whoever stashed the one before.
        self._latest: tuple[Fields | None, Stasher | None] = None, None

    def box(self, fields: Fields) -> Box:
        """A box."""
        box = Box(*self._common(fields))
        box.stasher, box.sealed = self.stasher(fields.get("s")), bool(fields.get("z", 0))
        return box

    def entry(self, fields: Fields) -> Entry:
        """An entry."""
        entry = Entry(*self._common(fields))
        entry.stasher, entry.label = self.stasher(fields.get("s")), fields.get("l")
        entry.expires, entry.polled = fields.get("x"), bool(fields.get("y", 1))
        return entry

    @staticmethod
    def _common(fields: Fields) -> tuple[int, int, int, int, int, int]:
        return fields["i"], fields["u"], fields["g"], fields["m"], fields["c"], fields["t"]

    def stasher(self, fields: Fields | None) -> Stasher | None:
        """Who stashed."""
        latest, stasher = self._latest
        if fields != latest:
            stasher = self._known(fields) if fields is not None else None
            self._latest = fields, stasher
        return stasher

    def _known(self, fields: Fields) -> Stasher:
        key = repr(fields)
        known = self._stashers.get(key)
        if known is None:
            known = self._stashers[key] = self._new_stasher(fields)
        return known

    def _new_stasher(self, fields: Fields) -> Stasher:
        userns = tuple(fields["n"]) if "n" in fields else None
        if userns is not None and "h" in fields:
            userns = self._hold_again(fields["h"], userns)
        return Stasher(
            fields["p"],
            fields["u"],
            fields["g"],
            fields.get("c"),
            userns,
            fields.get("q"),
            bool(fields.get("k", 1)),
        )


def open_file(fields: Fields, descriptor: int) -> OpenFile:
    """An open file that is kept, by the descriptor that it has now."""
    opener = fields.get("o")
    return OpenFile(
        descriptor=descriptor,
        kind=fields["k"],
        device=fields["d"],
        inode=fields["i"],
        access=fields["a"],
        filesystem=fields.get("s"),
        guarded=bool(fields.get("g", 0)),
        unguarded=fields.get("w"),
        opener=Opener(opener[0], opener[1], opener[2], tuple(opener[3])) if opener is not None else None,
        may_block_on_close=bool(fields.get("b", 0)),
        pollable=bool(fields.get("q", 1)),
        kept=True,
        number=fields["n"],
    )
