"""Globs over names: `*`, `?` and `[...]` within one component, `**` across components. Pure.

- `*` stands for any characters but a slash, `?` for one, `[a-z]` for one of these and `[!a-z]` for one of
  the others; neither ever stands for a slash. `[*]` is a star itself; a backslash is an ordinary character.
- `**` stands for any characters, slashes too. As a whole component it stands for any number of components:
  `**/x` also matches `x`, and `a/**/b` also matches `a/b`. `a/**` is what is below `a`, not `a` itself.
- `{a,b}` is refused rather than taken literally; `[{]` is a brace itself.

Whatever the pattern, a match takes no longer than the length of the name times that of its longest component:
where something follows a star, the first place that fits is final. That loses no match. For a `*`, a later
place within the component leaves less of it to the rest; for a `**`, the first place leaves most.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn

LONGEST = 1024
"""Characters of a pattern: to read a longer one would keep everybody waiting who is served by the same loop."""

ANY_IN_COMPONENT = "[^/]*"
ANY = ".*"
BELOW = ".+"
ANY_COMPONENTS = "(?:[^/]+/)*"


class BadGlob(ValueError):
    """A pattern that means nothing. `position` counts characters from 0, `hint` says what else to write."""

    def __init__(self, problem: str, position: int, hint: str | None = None) -> None:
        super().__init__(f"{problem} (at character {position + 1})")
        self.problem = problem
        self.position = position
        self.hint = hint


def compile_glob(pattern: str) -> re.Pattern[str]:
    """A regular expression whose `fullmatch` tells whether a path matches. Raises BadGlob."""
    _check_shape(pattern)
    return re.compile(_Translation(pattern).expression(), re.DOTALL)


@lru_cache(maxsize=8192)
def compiled(pattern: str) -> re.Pattern[str]:
    """The same, kept: for globs of policies, which are asked again and again."""
    return compile_glob(pattern)


def _check_shape(pattern: str) -> None:
    if len(pattern) > LONGEST:
        raise BadGlob(f"a pattern has at most {LONGEST:,} characters", LONGEST, "shorten it with `**`")
    if not pattern:
        raise BadGlob("an empty pattern matches nothing", 0, "`**` matches everything")
    if pattern.startswith("/"):
        raise BadGlob("a pattern has no leading slash", 0, "names are relative to the mount")
    if "//" in pattern:
        raise BadGlob("a component is empty", pattern.index("//") + 1, "write one slash")
    if pattern.endswith("/"):
        raise BadGlob("a pattern has no trailing slash", len(pattern) - 1, "`/**` matches all below")


@dataclass(slots=True)
class _Run:
    """What follows a star up to the next one: the star's expression and the literal part after it."""

    star: str
    literal: list[str] = field(default_factory=list)


class _Translation:
    """Reads a pattern from left to right into runs."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._runs = [_Run("")]

    def expression(self) -> str:
        """The whole as a regular expression."""
        while self._at < len(self._pattern):
            self._read_one()
        return _join(self._runs)

    def _read_one(self) -> None:
        character = self._pattern[self._at]
        match character:
            case "*":
                self._read_stars()
            case "[":
                self._literal(self._read_class())
            case "?":
                self._literal("[^/]")
                self._at += 1
            case "{":
                self._fail("`{` has no meaning here", "write several patterns, or `[{]` for the brace itself")
            case _:
                self._literal(re.escape(character))
                self._at += 1

    def _literal(self, expression: str) -> None:
        self._runs[-1].literal.append(expression)

    def _read_stars(self) -> None:
        start = self._at
        while self._at < len(self._pattern) and self._pattern[self._at] == "*":
            self._at += 1
        match self._at - start:
            case 1:
                self._runs.append(_Run(ANY_IN_COMPONENT))
            case 2:
                self._read_double(start)
            case _:
                self._at = start
                self._fail("three stars have no meaning", "`*` is within a component, `**` across components")

    def _read_double(self, start: int) -> None:
        pattern, end = self._pattern, self._at
        begins = start == 0 or pattern[start - 1] == "/"
        if begins and end < len(pattern) and pattern[end] == "/":
            self._at += 1
            self._runs.append(_Run(ANY_COMPONENTS))
        elif begins and end == len(pattern):
            self._runs.append(_Run(BELOW))
        else:
            self._runs.append(_Run(ANY))

    def _read_class(self) -> str:
        start, pattern = self._at, self._pattern
        at = start + 1
        negated = pattern.startswith("!", at)
        at += negated
        # A closing bracket in first place is one of the characters.
        end = pattern.find("]", at + 1)
        if end < 0:
            self._fail("`[` is never closed", "`[[]` is the bracket itself")
        members = self._members(at, end)
        self._at = end + 1
        return f"[^/{members}]" if negated else f"[{members}]"

    def _members(self, at: int, end: int) -> str:
        pattern, members = self._pattern, []
        while at < end:
            if pattern[at] == "/":
                self._fail("a class cannot hold a slash", "write `/` outside the brackets", at)
            if at + 2 < end and pattern[at + 1] == "-":
                members.append(self._range(at))
                at += 3
            else:
                members.append(_escaped(pattern[at]))
                at += 1
        return "".join(members)

    def _range(self, at: int) -> str:
        low, high = self._pattern[at], self._pattern[at + 2]
        if low > high:
            self._fail(f"the range `{low}-{high}` is backwards", f"write `{high}-{low}`", at)
        if low <= "/" <= high:
            self._fail(f"the range `{low}-{high}` holds a slash", "name the characters", at)
        return f"{_escaped(low)}-{_escaped(high)}"

    def _fail(self, problem: str, hint: str, position: int | None = None) -> NoReturn:
        raise BadGlob(problem, self._at if position is None else position, hint)


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "\\]^-[&~|" else character


def _join(runs: list[_Run]) -> str:
    first, *rest = runs
    parts = ["".join(first.literal)]
    for number, group in enumerate(groups := _by_double_star(rest)):
        parts.append(_group(group, is_last=number == len(groups) - 1))
    return "".join(parts)


def _by_double_star(runs: list[_Run]) -> list[list[_Run]]:
    """Each `**` with the runs of `*` that follow it: such a group is looked for as a whole."""
    groups: list[list[_Run]] = []
    for run in runs:
        if run.star == ANY_IN_COMPONENT and groups:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups


def _group(runs: list[_Run], *, is_last: bool) -> str:
    whole = "".join(_run(run, is_final=is_last and run is runs[-1]) for run in runs[1:])
    head = runs[0]
    literal = "".join(head.literal)
    if is_last and head.star == ANY_IN_COMPONENT:
        return _run(head, is_final=len(runs) == 1) + whole
    if is_last:
        return f"{head.star}?{literal}{whole}"
    return f"(?>{head.star}?{literal}{whole})"


def _run(run: _Run, *, is_final: bool) -> str:
    literal = "".join(run.literal)
    if is_final or not literal:
        return f"{run.star}{literal}"
    return f"(?>{run.star}?{literal})"
