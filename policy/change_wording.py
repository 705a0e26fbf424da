"""Classes of requests in words: by the conditions that mark them off, or else by what is in them. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from fdstorefs.policy.dimensions import INSTANCE, Atom, Dim, Point
from fdstorefs.policy.domains import Domains
from fdstorefs.policy.question import yes_or_no
from fdstorefs.policy.request import OPEN, UNKNOWN, Request, relation
from fdstorefs.policy.truth import Truth
from fdstorefs.policy.vocabulary import ALL, BOX, EMPTY, ON_ENTRIES
from fdstorefs.policy.wording import either, found_in_words, wanted_in_words

_Values: TypeAlias = frozenset[Any]

_KEYS: Final[dict[Dim, str]] = {
    Dim.ACTION: "actions",
    Dim.KIND: "kinds",
    Dim.FILESYSTEM: "filesystems",
    Dim.ACCESS: "access",
    Dim.GUARDED: "guarded",
    Dim.LABEL: "labels",
    Dim.PATH: "entries",
    Dim.UID: "subject.uid",
    Dim.STASHER_UID: "stasher.uid",
    Dim.OPENER_UID: "opener.uid",
    Dim.GIDS: "subject.gid",
    Dim.CGROUP: "subject.cgroup",
    Dim.STASHER_CAPABILITIES: "stasher.capabilities",
    Dim.CAPABILITIES: "subject.capabilities",
    Dim.OPENER_CAPABILITIES: "opener.capabilities",
    Dim.USERNS: "subject.userns",
    Dim.STASHER_USERNS: "stasher.userns",
    Dim.OPENER_USERNS: "opener.userns",
}
_LISTED: Final = frozenset({Dim.ACTION, Dim.ACCESS, Dim.GUARDED, Dim.KIND, Dim.FILESYSTEM, Dim.LABEL})
_RELATED: Final = frozenset({Dim.USERNS, Dim.STASHER_USERNS, Dim.OPENER_USERNS})


def class_in_words(marks: dict[Dim, _Values], domains: Domains, example: Point) -> dict[str, str]:
    """What marks the class off, by key; a dimension that can be anything is left out."""
    words = {}
    for dim, values in sorted(marks.items()):
        every = frozenset(domains.values(dim, example))
        if values != every:
            words[_KEYS[dim]] = _in_words(dim, values, every, domains, example)
    return words


def _in_words(dim: Dim, values: _Values, every: _Values, domains: Domains, example: Point) -> str:
    if dim in _RELATED:
        to = INSTANCE if dim is Dim.USERNS else example[Dim.USERNS]
        return " or ".join(sorted({_plain(relation(theirs, to, INSTANCE)) for theirs in values}))
    asked = [atom for atom in domains.by_dim.get(dim, []) if atom.level is dim]
    if dim in _LISTED:
        return _listed(dim, values, every, asked)
    told = _by_conditions(values, every, asked, example)
    return told if told is not None else _by_values(dim, values, every, asked)


def _plain(value: Any) -> str:
    return str(value.value)


def _listed(dim: Dim, values: _Values, every: _Values, asked: list[Atom]) -> str:
    """By name; where there are values that nobody named, the others are what it isn't."""
    if dim is Dim.ACTION:
        return ALL if values == ON_ENTRIES else " or ".join(_names(dim, values))
    if dim is Dim.KIND and not asked:
        return either([_KIND_OF.get(kind, "a file of any kind") for kind in sorted(values, key=str)])
    if len(values) * 2 > len(every):
        return f"not {either(_names(dim, every - values))}"
    return either(_names(dim, values))


_KIND_OF: Final = {EMPTY: EMPTY, BOX: BOX}


def _names(dim: Dim, values: Iterable[Any]) -> list[str]:
    return sorted(found_in_words(_KEYS[dim], value) for value in values)


def _by_conditions(values: _Values, every: _Values, asked: list[Atom], example: Point) -> str | None:
    """The conditions, one or two, that are true of just these."""
    sets = list(_true_of(every, asked, example))
    for words, those in sets:
        if those == values:
            return words
        if every - those == values:
            return f"not {words}"
    for words, those in sets:
        for other_words, others in sets:
            if those - others == values:
                return f"{words}, but not {other_words}"
            if those & others == values:
                return f"{words}, and {other_words}"
    return None


def _true_of(every: _Values, asked: list[Atom], example: Point) -> Iterator[tuple[str, _Values]]:
    for atom in asked:
        point, those = list(example), set()
        for value in every:
            point[atom.level] = value
            if atom.truth(point) is Truth.TRUE:
                those.add(value)
        yield wanted_in_words(atom.name, atom.wanted), frozenset(those)


def _by_values(dim: Dim, values: _Values, every: _Values, asked: list[Atom]) -> str:
    """What is in it. A value that no condition names stands for all others."""
    named = {value for atom in asked for value in getattr(atom.wanted, "known", ())}
    if dim in _UIDS and values - named:
        without = every - values
        told = f"not {either(_names(dim, without))}" if without else "any"
        return f"{told}, for example {either(_names(dim, values))}"
    if dim in _UIDS:
        return either(_names(dim, values))
    return f"such as {either(_names(dim, values))}"


_UIDS: Final = frozenset({Dim.UID, Dim.STASHER_UID, Dim.OPENER_UID})


def _numbers(gids: frozenset[int]) -> str:
    return found_in_words("subject.gid", gids)


def _mask(capabilities: int) -> str:
    return found_in_words("subject.capabilities", capabilities)


def example_in_words(request: Request) -> dict[str, str]:
    """A request, by key; what is unknown is left out."""
    entry, subject = request.entry, request.subject
    values: list[tuple[str, Any, Callable[[Any], str]]] = [
        ("action", request.action, lambda action: action.word),
        ("entry", entry.path, str),
        ("kind", entry.kind, str),
        ("filesystem", entry.filesystem, str),
        ("access", entry.access, str),
        ("guarded", entry.guarded, yes_or_no),
        ("label", entry.label, str),
        ("uid", subject.uid, str),
        ("gid", subject.gids or None, _numbers),
        ("cap", subject.capabilities or None, _mask),
        ("cgroup", subject.cgroup, str),
        ("stasher-uid", entry.stasher.uid, str),
        ("opener-uid", entry.opener.uid, str),
        ("opener-cap", entry.opener.capabilities, _mask),
    ]
    words = {}
    for key, value, write in values:
        if value is not UNKNOWN and value is not OPEN and value is not None:
            words[key] = write(value)
    return words
