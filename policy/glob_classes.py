"""Which combinations of globs some path fits: one path as an example for each. Pure.

Two paths are of one class if the same globs fit them, and the same globs could fit something below them. The classes
are found by reading all globs at once, character by character, so none is missed and each is real.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from fdstorefs.policy.budget import Budget
from fdstorefs.policy.glob_automaton import GlobAutomaton, Place, automaton, representatives

MOST_STATES: Final = 3000
"""Most combinations of places in the patterns that are looked at before giving up."""

ROOT: Final = "/"
_States: TypeAlias = tuple[int, ...]
_Signature: TypeAlias = tuple[bool, ...]


class TooManyClasses(Exception):
    """So many globs overlap in so many ways that their classes can't be counted out."""


@dataclass(slots=True)
class Classes:
    """Classes of names and cgroups, found once for each set of globs."""

    _paths: dict[tuple[bool, frozenset[str]], list[str]] = field(default_factory=dict)
    _cgroups: dict[frozenset[str], list[str]] = field(default_factory=dict)

    def of_paths(self, globs: Sequence[str], budget: Budget, *, with_below: bool) -> list[str]:
        """As `path_classes`."""
        key = with_below, frozenset(globs)
        if key not in self._paths:
            self._paths[key] = path_classes(globs, budget, with_below=with_below)
        return self._paths[key]

    def of_cgroups(self, globs: Sequence[str], budget: Budget) -> list[str]:
        """As `cgroup_classes`."""
        key = frozenset(globs)
        if key not in self._cgroups:
            self._cgroups[key] = cgroup_classes(globs, budget)
        return self._cgroups[key]


def path_classes(globs: Sequence[str], budget: Budget, *, with_below: bool = True) -> list[str]:
    """An example of every class of names by these globs, short ones first. Raises TooMuch, TooManyClasses.

    Without `with_below`, what could fit below a name makes no difference.
    """
    machines = [automaton(glob) for glob in globs]
    if with_below:
        budget.spend(sum(len(glob) ** 2 for glob in globs))  # to find out what could fit below

    def told(states: _States) -> _Signature:
        here = tuple(machine.fits(state) for machine, state in zip(machines, states, strict=True))
        if not with_below:
            return here
        return *here, *(machine.fits_below(state) for machine, state in zip(machines, states, strict=True))

    first = tuple(machine.first for machine in machines)
    return list(_Reader(machines, first, told, budget).examples())


def cgroup_classes(globs: Sequence[str], budget: Budget) -> list[str]:
    """The same for cgroups, by globs as policies write them: one fits a cgroup, too, if it fits one above it."""
    machines = [automaton(glob.removeprefix("/")) for glob in globs if glob != ROOT]
    number = len(machines)

    def told(states: _States) -> _Signature:
        return tuple(
            bool(states[number] >> at & 1) or machine.fits(states[at]) for at, machine in enumerate(machines)
        )

    first = (*(machine.first for machine in machines), 0)
    reader = _Reader(machines, first, told, budget, sticky=True)
    return [ROOT, *(f"/{path}" for path in reader.examples())]


@dataclass(slots=True)
class _Reader:
    """Reads all globs at once. With `sticky`, the last state is the mask of globs that fitted a path above."""

    machines: Sequence[GlobAutomaton]
    first: _States
    told: Callable[[_States], _Signature]
    budget: Budget
    sticky: bool = False

    def examples(self) -> Iterator[str]:
        letters = self._letters()
        seen = {(self.first, Place.START)}
        row: list[tuple[_States, Place, str]] = [(self.first, Place.START, "")]
        classes: set[_Signature] = set()
        while row:
            following = []
            self.budget.spend(len(row) * len(letters) * len(self.machines))
            for states, place, text in row:
                if place is Place.NAME and (signature := self.told(states)) not in classes:
                    classes.add(signature)
                    yield text
                for letter in letters:
                    after = place.after(letter)
                    if after is None:
                        continue
                    reached = self._step(states, letter)
                    if (reached, after) not in seen:
                        seen.add((reached, after))
                        following.append((reached, after, text + letter))
            if len(seen) > MOST_STATES:
                raise TooManyClasses
            row = following

    def _step(self, states: _States, letter: str) -> _States:
        count = len(self.machines)
        reached = tuple(self.machines[at].step(states[at], letter) for at in range(count))
        if not self.sticky:
            return reached
        above = states[count]
        if letter == "/":
            above |= sum(1 << at for at in range(count) if self.machines[at].fits(states[at]))
        return (*reached, above)

    def _letters(self) -> list[str]:
        cuts: set[int] = set()
        for machine in self.machines:
            cuts |= machine.cuts()
        distinct: dict[tuple[object, ...], str] = {}
        for letter in sorted(representatives(cuts), key=lambda letter: not letter.isalnum()):
            # What is special about these is not in the globs: where components end, and which are no names.
            moves = (letter if letter in "./" else "", *(machine.moves(letter) for machine in self.machines))
            distinct.setdefault(moves, letter)
        return list(distinct.values())


def unusual(glob: str) -> str:
    """A path that the glob most probably fits, and hardly any other glob does."""
    text, at = "", 0
    while at < len(glob):
        match glob[at]:
            case "*":
                text += "zq9" if not text.endswith("zq9") else ""
                at += 1
            case "[":
                end = glob.index("]", at + 2 + glob.startswith("!", at + 1))
                text += "z" if glob[at + 1] == "!" else glob[at + 1]
                at = end + 1
            case character:
                text += "z" if character == "?" else character
                at += 1
    return text
