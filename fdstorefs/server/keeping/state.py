"""State: what the records of a journal come to. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any

from fdstorefs.server.keeping import frames
from fdstorefs.server.keeping.decoding import Fields

NODES, FACTS = 1, 2
"""Kinds of records: nodes as they are now (`n`) and numbers of those that are gone (`g`); facts of the instance."""


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

    def apply(self, record: frames.Record) -> None:
        """Take one record in. Kinds that aren't known are passed over."""
        if record.kind == NODES:
            self._apply_nodes(json.loads(record.payload), len(record.payload))
        elif record.kind == FACTS:
            self.facts |= json.loads(record.payload)

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
    for record in contents.records:
        state.apply(record)
    return state
