"""State: what the records of a journal come to. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fdstorefs.server.keeping import frames
from fdstorefs.server.keeping.decoding import Fields

NODES, FACTS = 1, 2
"""Kinds of records: nodes as they are now (`n`) and numbers of those that are gone (`g`); facts of the instance."""

PARSED_AT_ONCE = 256
"""Records: most of what they say may have been said again later, and is not needed for long."""


@dataclass(slots=True)
class State:
    """Nodes by number and facts by name, each as written last."""

    nodes: dict[int, Fields] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    _sizes: dict[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """About how many bytes it takes to write all nodes once."""
        return sum(self._sizes.values())

    def apply(self, records: Iterable[frames.Record]) -> None:
        """Take some records in. Kinds that aren't known are passed over.

        They are parsed together: a parser that is called for each takes half as long again.
        """
        known = [record for record in records if record.kind in (NODES, FACTS)]
        parsed = json.loads(b"[" + b",".join([record.payload for record in known]) + b"]")
        for record, fields in zip(known, parsed, strict=True):
            if record.kind == NODES:
                self._apply_nodes(fields, len(record.payload))
            else:
                self.facts |= fields

    def _apply_nodes(self, fields: Fields, size: int) -> None:
        nodes, gone = fields.get("n", ()), fields.get("g", ())
        for node in nodes:
            self.nodes[node["i"]] = node
            self._sizes[node["i"]] = size // len(nodes)
        for number in gone:
            self.nodes.pop(number, None)
            self._sizes.pop(number, None)


@dataclass(slots=True)
class Restored:
    """A journal that was read. `damage`: records are lost that somebody was told of, and why it is known."""

    fd: int
    contents: frames.Contents
    state: State

    @property
    def damage(self) -> str | None:
        """What is not as it was written; None if nothing is lost."""
        return self.contents.damage

    @property
    def facts(self) -> dict[str, Any]:
        """What the instance wanted to be remembered of itself."""
        return self.state.facts


def take_in(contents: frames.Contents) -> State:
    """What these records come to."""
    state = State()
    for start in range(0, len(contents.records), PARSED_AT_ONCE):
        state.apply(contents.records[start : start + PARSED_AT_ONCE])
    return state
