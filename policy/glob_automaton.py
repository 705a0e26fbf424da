"""What a glob could fit: globs as automata, for questions that one name can't answer. Pure.

The language is the one of `glob`, which says whether one name fits. Here: whether a glob could fit something
below a box, and which combinations of globs some name fits (see `glob_classes`).
"""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from itertools import product
from typing import TypeAlias

from fdstorefs.policy.verdict import bits

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Characters, as inclusive ranges of code points."""

_LAST = 0x10FFFF
_SLASH = ord("/")
SLASH: Ranges = ((_SLASH, _SLASH),)
NO_SLASH: Ranges = ((1, _SLASH - 1), (_SLASH + 1, _LAST))
EVERY: Ranges = ((1, _LAST),)


class Place(IntEnum):
    """Where in a path a character stands. A component is never empty, `.` or `..`."""

    START = 0
    DOT = 1
    DOTS = 2
    NAME = 3

    def after(self, character: str) -> "Place | None":
        """The place after one more character, None if no path goes on so."""
        if character == "/":
            return Place.START if self is Place.NAME else None
        if character == "." and self < Place.DOTS:
            return Place(self + 1)
        return Place.NAME


@dataclass(slots=True)
class _Graph:
    """A nondeterministic automaton while it is built. State 0 is the first, `last` the accepting one."""

    edges: list[tuple[int, Ranges, int]] = field(default_factory=list)
    silent: list[tuple[int, int]] = field(default_factory=list)
    last: int = 0

    def character(self, ranges: Ranges) -> None:
        """One of these characters."""
        self.edges.append((self.last, ranges, self.last + 1))
        self.last += 1

    def repeat(self, ranges: Ranges) -> None:
        """Any number of these characters."""
        self.silent.append((self.last, self.last + 1))
        self.last += 1
        self.edges.append((self.last, ranges, self.last))

    def components(self) -> None:
        """Any number of whole components, each with the slash after it."""
        head = self.last + 1
        within = head + 1
        self.silent += [(self.last, head), (head, head + 2)]
        self.edges += [(head, NO_SLASH, within), (within, NO_SLASH, within), (within, SLASH, head)]
        self.last = head + 2


class GlobAutomaton:
    """A glob, read a character at a time. A state is the set of places in the pattern, as a mask."""

    def __init__(self, pattern: str) -> None:
        graph = _read(pattern)
        self._edges = graph.edges
        self._closures = _closures(graph)
        self.first = self._closures[0]
        self._accepting = 1 << graph.last
        self._moves: dict[str, list[tuple[int, int]]] = {}
        self._steps: dict[tuple[int, str], int] = {}
        self._fertile: int | None = None

    def step(self, state: int, character: str) -> int:
        """The state after one more character; 0 if nothing that goes on so fits."""
        key = (state, character)
        known = self._steps.get(key)
        if known is None:
            known = self._steps[key] = self._step(state, character)
        return known

    def _step(self, state: int, character: str) -> int:
        reached = 0
        for source, target in self._moves_on(character):
            if state & source:
                reached |= target
        return reached

    def _moves_on(self, character: str) -> list[tuple[int, int]]:
        moves = self._moves.get(character)
        if moves is None:
            code = ord(character)
            moves = self._moves[character] = [
                (1 << source, self._closures[target])
                for source, ranges, target in self._edges
                if any(low <= code <= high for low, high in ranges)
            ]
        return moves

    def moves(self, character: str) -> tuple[tuple[int, int], ...]:
        """What the character does, wherever it is read: the same for characters that can't be told apart."""
        return tuple(self._moves_on(character))

    def read(self, text: str, state: int | None = None) -> int:
        """The state after a text."""
        state = self.first if state is None else state
        for character in text:
            state = self.step(state, character)
            if not state:
                break
        return state

    def fits(self, state: int) -> bool:
        """Whether what was read fits."""
        return bool(state & self._accepting)

    def fits_below(self, state: int) -> bool:
        """Whether something below the path that was read could fit."""
        return self.could_fit(self.step(state, "/"))

    def could_fit(self, state: int) -> bool:
        """Whether one or more components, read from this state, could lead to a fit."""
        if self._fertile is None:
            self._fertile = self._find_fertile()
        return bool(state & self._fertile)

    def cuts(self) -> set[int]:
        """Code points at which a set of characters of this glob begins or has just ended."""
        return {point for _, ranges, _ in self._edges for low, high in ranges for point in (low, high + 1)}

    def _find_fertile(self) -> int:
        """The places of the pattern from which some path leads to the end: a fixed point, backwards."""
        letters = representatives(self.cuts())
        good = {(self._accepting.bit_length() - 1, False)}
        states = range(len(self._closures))
        grown = True
        while grown:
            grown = False
            for state, at_start in product(states, (False, True)):
                if (state, at_start) not in good and self._leads_to(good, state, letters, at_start=at_start):
                    good.add((state, at_start))
                    grown = True
        return sum(1 << state for state in states if (state, True) in good)

    def _leads_to(
        self, good: set[tuple[int, bool]], state: int, letters: list[str], *, at_start: bool
    ) -> bool:
        if not at_start and self._closures[state] & self._accepting:
            return True
        for letter in letters:
            if at_start and letter == "/":
                continue
            reached = bits(self.step(self._closures[state], letter))
            if any((target, letter == "/") in good for target in reached):
                return True
        return False


@lru_cache(maxsize=4096)
def automaton(pattern: str) -> GlobAutomaton:
    """The automaton of a pattern that `glob.compile_glob` takes."""
    return GlobAutomaton(pattern)


def representatives(cuts: set[int]) -> list[str]:
    """One character for each class of characters that cuts at these code points cannot tell apart."""
    points = sorted(point for point in {1, *_DISTINCT, *cuts} if 0 < point <= _LAST)
    ends = [*points[1:], _LAST + 1]
    return [_readable(low, end) for low, end in zip(points, ends, strict=True)]


_DISTINCT = (ord("."), ord(".") + 1, _SLASH, _SLASH + 1)
_READABLE = [
    ord(character) for character in "xyzabcdefghijklmnopqrstuvw0123456789XYZABCDEFGHIJKLMNOPQRSTUVW-_"
]


def _readable(low: int, end: int) -> str:
    return chr(next((code for code in _READABLE if low <= code < end), low))


def _closures(graph: _Graph) -> list[int]:
    closures = [1 << state for state in range(graph.last + 1)]
    for source, target in reversed(graph.silent):  # they only ever lead forward
        closures[source] |= closures[target]
    return closures


def _read(pattern: str) -> _Graph:
    graph, at = _Graph(), 0
    while at < len(pattern):
        match pattern[at]:
            case "*":
                at = _read_stars(graph, pattern, at)
            case "[":
                at = _read_class(graph, pattern, at)
            case "?":
                graph.character(NO_SLASH)
                at += 1
            case literal:
                graph.character(((ord(literal), ord(literal)),))
                at += 1
    return graph


def _read_stars(graph: _Graph, pattern: str, at: int) -> int:
    if not pattern.startswith("**", at):
        graph.repeat(NO_SLASH)
        return at + 1
    begins = at == 0 or pattern[at - 1] == "/"
    after = at + 2
    if begins and pattern.startswith("/", after):
        graph.components()
        return after + 1
    if begins and after == len(pattern):
        graph.character(EVERY)
    graph.repeat(EVERY)
    return after


def _read_class(graph: _Graph, pattern: str, at: int) -> int:
    at += 1
    negated = pattern.startswith("!", at)
    at += negated
    end = pattern.index("]", at + 1)
    ranges = _members(pattern[at:end])
    graph.character(_complement((*ranges, *SLASH)) if negated else ranges)
    return end + 1


def _members(text: str) -> Ranges:
    ranges, at = [], 0
    while at < len(text):
        wide = at + 2 < len(text) and text[at + 1] == "-"
        ranges.append((ord(text[at]), ord(text[at + 2] if wide else text[at])))
        at += 3 if wide else 1
    return tuple(ranges)


def _complement(ranges: Ranges) -> Ranges:
    found, low = [], 1
    for start, end in sorted(ranges):
        if low < start:
            found.append((low, start - 1))
        low = max(low, end + 1)
    if low <= _LAST:
        found.append((low, _LAST))
    return tuple(found)
