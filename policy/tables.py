"""Tables: policies compiled to bit vectors, the one form that every evaluator reads.

Bit `t` of a vector stands for term `t`: a rule, or, of a rule that names several sets, the rule with one of them.
For each condition there is a table from a value to the vector of the terms that the value does not rule out. A
term without that condition is in every vector. So the terms that match are the AND of a handful of lookups.

There are two such *spaces*. In the main one a vector holds the terms whose condition is met: for an allow term
if it is true, for a forbid term if it is true or unknown. In the space `unless` it is the other way round, as
what is met there takes the term away: for a forbid term if it is true, for an allow term if it is true or
unknown. `lenient` are the terms that an unknown value does not rule out; an open value does not rule out all
others.

docs/policy/tables.md describes the layout for other evaluators.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from fdstorefs.policy.vocabulary import Action, Relation

ABI = 2
"""Changes whenever the layout or the meaning of a table does."""

Vector = int
Patterns = tuple[tuple[str, Vector], ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A condition that lists values: `known` by value, `other` for a value that is not listed anywhere.

    `asks` are the terms that have the condition. A vector is in the table without those that lack it.
    """

    asks: Vector = 0
    known: dict[Any, Vector] = field(default_factory=dict)
    other: Vector = 0


@dataclass(frozen=True, slots=True, eq=False)
class Globs:
    """A condition that lists globs: each with the terms that list it. One is equal to itself only."""

    asks: Vector = 0
    patterns: Patterns = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """A condition on capabilities: by capability number, the terms that need it."""

    asks: Vector = 0
    needs: dict[int, Vector] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Space:
    """All conditions of one space. `*_same`: the terms that take the subject's own uid, too."""

    lenient: Vector
    names: Globs
    kinds: Listed
    filesystems: Listed
    access: Listed
    guarded: Listed
    labels: Listed
    stasher_uid: Listed
    stasher_same: Vector
    stasher_userns: Listed
    opener_uid: Listed
    opener_same: Vector
    opener_capabilities: Needs
    opener_no_more: Vector
    opener_userns: Listed
    uid: Listed
    gid: Listed
    cgroups: Globs
    capabilities: Needs
    userns: Listed


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything a verdict is made from. `rule_of` names each term's rule.

    `reach` are the allow terms that make boxes on the way visible; `assume` those that take the stasher for
    an unknown opener; `enforced` those of policies in enforce mode, of which there are some if `enforcing`.
    """

    rule_of: tuple[str, ...]
    allow: Vector
    forbid: Vector
    enforced: Vector
    enforcing: bool
    assume: Vector
    reach: Vector
    has_unless: Vector
    about_subject: Vector
    actions: tuple[Vector, ...]
    main: Space
    unless: Space
    log_always: frozenset[str] = frozenset()
    log_denials: frozenset[str] = frozenset()
    generation: int = 0

    @property
    def terms(self) -> int:
        """How many terms there are."""
        return len(self.rule_of)

    @property
    def everything(self) -> Vector:
        """The vector of all terms."""
        return (1 << len(self.rule_of)) - 1

    @property
    def hash(self) -> str:
        """What the content is, whatever its generation: SHA-256 over the canonical JSON."""
        content = {key: value for key, value in self.to_json().items() if key not in ("generation", "hash")}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: vectors as hexadecimal digits, values as they are."""
        return {
            "abi": ABI,
            "generation": self.generation,
            "terms": list(self.rule_of),
            "allow": _hex(self.allow),
            "forbid": _hex(self.forbid),
            "enforced": _hex(self.enforced),
            "enforcing": self.enforcing,
            "assume": _hex(self.assume),
            "reach": _hex(self.reach),
            "has_unless": _hex(self.has_unless),
            "about_subject": _hex(self.about_subject),
            "actions": {action.word: _hex(self.actions[action]) for action in Action},
            "main": _space_to_json(self.main),
            "unless": _space_to_json(self.unless),
            "log_always": sorted(self.log_always),
            "log_denials": sorted(self.log_denials),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Tables":
        """The tables that `to_json` wrote. Raises ValueError for another ABI, KeyError for what is missing."""
        if found["abi"] != ABI:
            raise ValueError(f"tables of ABI {found['abi']}; this program reads {ABI}")
        vectors = ("allow", "forbid", "enforced", "assume", "reach", "has_unless", "about_subject")
        return cls(
            **{name: _vector(found[name]) for name in vectors},
            rule_of=tuple(found["terms"]),
            enforcing=found["enforcing"],
            actions=tuple(_vector(found["actions"][action.word]) for action in Action),
            main=_space_from_json(found["main"]),
            unless=_space_from_json(found["unless"]),
            log_always=frozenset(found["log_always"]),
            log_denials=frozenset(found["log_denials"]),
            generation=found["generation"],
        )


NUMBERED = frozenset({"stasher_uid", "opener_uid", "uid", "gid"})
RELATED = frozenset({"stasher_userns", "opener_userns", "userns"})
BOOLEAN = frozenset({"guarded"})
TRUE, FALSE = "true", "false"
_BOOLEANS = {TRUE: True, FALSE: False}


def _hex(vector: Vector) -> str:
    return f"{vector:x}"


def _vector(text: str) -> Vector:
    return int(text, 16)


def _space_to_json(space: Space) -> dict[str, Any]:
    return {name: _part_to_json(getattr(space, name)) for name in space.__slots__}


def _part_to_json(part: Vector | Listed | Globs | Needs) -> Any:
    match part:
        case Listed():
            known = {_text(value): _hex(vector) for value, vector in part.known.items()}
            return {"asks": _hex(part.asks), "known": known, "other": _hex(part.other)}
        case Globs():
            return {
                "asks": _hex(part.asks),
                "globs": [[glob, _hex(vector)] for glob, vector in part.patterns],
            }
        case Needs():
            needs = {str(bit): _hex(vector) for bit, vector in part.needs.items()}
            return {"asks": _hex(part.asks), "needs": needs}
        case _:
            return _hex(part)


def _space_from_json(found: dict[str, Any]) -> Space:
    parts: dict[str, Any] = {name: _part_from_json(name, found[name]) for name in Space.__slots__}
    return Space(**parts)


def _part_from_json(name: str, part: Any) -> Vector | Listed | Globs | Needs:
    if isinstance(part, str):
        return _vector(part)
    asks = _vector(part["asks"])
    if "globs" in part:
        return Globs(asks, tuple((glob, _vector(vector)) for glob, vector in part["globs"]))
    if "needs" in part:
        return Needs(asks, {int(bit): _vector(vector) for bit, vector in part["needs"].items()})
    known = {_value(name, text): _vector(vector) for text, vector in part["known"].items()}
    return Listed(asks, known, _vector(part["other"]))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return TRUE if value else FALSE
    return str(value)


def _value(name: str, text: str) -> Any:
    if name in NUMBERED:
        return int(text)
    if name in BOOLEAN:
        return _BOOLEANS[text]
    return Relation(text) if name in RELATED else text
