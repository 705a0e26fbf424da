"""Domains: for each dimension, values enough that some terms can't tell any other request from one made of these.

Every value is a real one, so what is found at a point is true of a request that there can be. What comes first is
what the fewest conditions ask for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fdstorefs.policy.budget import Budget
from fdstorefs.policy.dimensions import ORDINARY, Atom, Dim, Point
from fdstorefs.policy.filesystems import FILESYSTEMS
from fdstorefs.policy.glob_classes import Classes, TooManyClasses, unusual
from fdstorefs.policy.kind_filesystems import ONLY_ON, may_be_on
from fdstorefs.policy.model import Ids
from fdstorefs.policy.request import OPEN, UNKNOWN, Userns
from fdstorefs.policy.vocabulary import ACCESS, BOX, EMPTY, KINDS, Action

MOST_VALUES: Final = 512
"""Most combinations of capabilities or groups that are told apart before giving up."""

NAMESPACES: Final[tuple[Userns, ...]] = ((1,), (2, 1), (9, 20), (3, 2, 1), (3, 9, 20), (8, 20))
"""With these for each of two, every relation comes up: same, below, other, and one that can't be told."""

_NO_FILE: Final = frozenset({EMPTY, BOX})
_HIGHEST_CAPABILITY: Final = 63


@dataclass(slots=True)
class Domains:
    """What each dimension can be. `unsure`: those that may be unknown. `exact` False: few paths and cgroups.

    `one_place`: where no condition asks for the subject's user namespace, it is the instance's.
    `boxes`: requests to list a box only; otherwise all but these.
    """

    by_dim: dict[Dim, list[Atom]]
    unsure: frozenset[Dim] = frozenset(Dim)
    exact: bool = True
    boxes: bool = False
    one_place: bool = False
    kinds: Sequence[str] = KINDS
    classes: Classes = field(default_factory=Classes)
    budget: Budget = field(default_factory=Budget)
    _made: dict[Dim, list[Any]] = field(default_factory=dict, init=False)

    def dims(self) -> list[Dim]:
        """The dimensions that conditions are about, and the kind where it has a say in others."""
        asked = {Dim.ACTION, *self.by_dim}
        if asked & {Dim.FILESYSTEM, Dim.ACCESS, Dim.GUARDED, *_OPENER}:
            asked.add(Dim.KIND)
        return sorted(asked)

    @property
    def is_quick_to_try(self) -> bool:
        """Whether it spares much to be inexact."""
        return any(dim in self.by_dim for dim in INEXACT)

    def be_exact(self) -> None:
        """From here on."""
        self.exact = True
        for dim in INEXACT:
            self._made.pop(dim, None)

    def start(self) -> Point:
        """A point before anything is chosen."""
        point = list(ORDINARY)
        if self.boxes:
            point[Dim.ACTION], point[Dim.KIND] = Action.LIST, BOX
        return point

    def values(self, dim: Dim, point: Point) -> list[Any]:
        """What the dimension can be, with the values that the point has in those before."""
        found = self._made.get(dim)
        if found is None:
            found = self._made[dim] = self._make(dim)
        return LIMITED[dim](self, found, point) if dim in LIMITED else found

    def _make(self, dim: Dim) -> list[Any]:
        atoms = self.by_dim.get(dim, [])
        values = _VALUES[dim](self, atoms) if atoms or dim in _ALWAYS else [ORDINARY[dim]]
        if dim in _NEVER_UNKNOWN or dim not in self.unsure or not atoms:
            return values
        return [*values, UNKNOWN]

    def _actions(self, atoms: list[Atom]) -> list[Any]:
        if self.boxes:
            return [Action.LIST]
        wanted = {action for atom in atoms for action in atom.wanted}
        return [*(action for action in Action if action not in wanted), *sorted(wanted)]

    def _kinds(self, atoms: list[Atom]) -> list[Any]:
        if self.boxes:
            return [BOX]
        if not atoms:
            return [kind for kind in ("regular", EMPTY, BOX) if kind in self.kinds]
        wanted = {kind for atom in atoms for kind in atom.wanted}
        return sorted(self.kinds, key=lambda kind: (kind in wanted, kind in _NO_FILE, kind in ONLY_ON))

    def _filesystems(self, atoms: list[Atom]) -> list[Any]:
        wanted = _wanted(atoms)
        possible = {filesystem for kind in self.kinds for filesystem in ONLY_ON.get(kind, ())}
        other = next(
            name for name in ("ext4", *sorted(FILESYSTEMS), "other") if name not in wanted | possible
        )
        return [other, *sorted(possible - wanted), *sorted(wanted)]

    def _access(self, atoms: list[Atom]) -> list[Any]:
        wanted = _wanted(atoms)
        return sorted(ACCESS, key=lambda access: access in wanted)

    def _guarded(self, atoms: list[Atom]) -> list[Any]:
        wanted = {atom.wanted for atom in atoms}
        return sorted((False, True), key=lambda guarded: guarded in wanted)

    def _labels(self, atoms: list[Atom]) -> list[Any]:
        return [None, *sorted(_wanted(atoms))]

    def _paths(self, atoms: list[Atom]) -> list[Any]:
        globs = _globs(atoms)
        self.budget.spend(len(globs))
        few = [*(path for path in map(unusual, globs) if not {".", ".."} & {*path.split("/")}), "zq9/zq8"]
        if not self.exact or self._tell_all(few, atoms, Dim.PATH):
            return few
        return self.classes.of_paths(globs, self.budget, with_below=self.boxes)

    def _cgroups(self, atoms: list[Atom]) -> list[Any]:
        globs = _globs(atoms)
        self.budget.spend(len(globs))
        few = [*(f"/{unusual(glob.removeprefix('/'))}" for glob in globs), "/zq8"]
        if not self.exact or self._tell_all(few, atoms, Dim.CGROUP):
            return few
        return self.classes.of_cgroups(globs, self.budget)

    def _tell_all(self, values: list[str], atoms: list[Atom], dim: Dim) -> bool:
        """Whether one condition is all there is, true of one of the values and false of another."""
        if len(atoms) > 1:
            return False
        point = list(ORDINARY)
        found = set()
        for point[dim] in (values[0], values[-1]):
            self.budget.spend(atoms[0].weight)
            found.add(atoms[0].truth(point))
        return len(found) > 1

    def _uids(self, atoms: list[Atom], others: int) -> list[Any]:
        compared = list({id(atom): atom for dim in _UIDS for atom in self.by_dim.get(dim, [])}.values())
        is_compared = any(atom.wanted.same for atom in compared)
        named = _numbers(compared if is_compared else atoms)
        return [*_unnamed(named, others if is_compared else 1), *named]

    def _gids(self, atoms: list[Atom]) -> list[Any]:
        lists = [atom.wanted.known for atom in atoms]
        self.budget.spend(len(lists) * sum(map(len, lists)))
        cells = {tuple(gid in known for known in lists): gid for known in lists for gid in sorted(known)}
        self.budget.spend(min(1 << len(cells), MOST_VALUES))
        return _unions(cells.values())

    def _capabilities(self, atoms: list[Atom]) -> list[Any]:
        theirs = self.by_dim.get(Dim.OPENER_CAPABILITIES, [])
        masks = {atom.wanted for atom in atoms if atom.name == "subject.capabilities"}
        return _masks(masks | {atom.wanted[0] or 0 for atom in theirs})

    def _opener_capabilities(self, _: list[Atom]) -> list[Any]:
        everyone = [*self.by_dim.get(Dim.CAPABILITIES, []), *self.by_dim.get(Dim.OPENER_CAPABILITIES, [])]
        asked = {atom.wanted[0] or 0 for atom in everyone if atom.name == "opener.capabilities"}
        masks = _masks(asked)
        if not any(atom.name == "opener.capabilities" and atom.wanted[1] for atom in everyone):
            return masks
        unused = 1 << _unused_bit(everyone)
        return [*(mask | unused for mask in masks), *masks]

    def _relation(self, _: list[Atom]) -> list[Any]:
        return list(NAMESPACES)

    def _subject_userns(self, atoms: list[Atom]) -> list[Any]:
        asked = any(atom.name == "subject.userns" for atom in atoms)
        return list(NAMESPACES) if asked or not self.one_place else [ORDINARY[Dim.USERNS]]

    def _only_kinds(self, kinds: list[Any], point: Point) -> list[Any]:
        return kinds if self.boxes or point[Dim.ACTION] is not Action.LIST else [k for k in kinds if k != BOX]

    def _of_kind(self, filesystems: list[Any], point: Point) -> list[Any]:
        kind = point[Dim.KIND]
        if kind in _NO_FILE:
            return [OPEN]
        return [name for name in filesystems if name is UNKNOWN or may_be_on(kind, name)]

    def _of_file(self, values: list[Any], point: Point) -> list[Any]:
        return [OPEN] if point[Dim.KIND] in _NO_FILE else values


INEXACT: Final = (Dim.PATH, Dim.CGROUP)
"""The dimensions of which it takes long to find all values."""

_UIDS: Final = (Dim.UID, Dim.STASHER_UID, Dim.OPENER_UID)
_OPENER: Final = (Dim.OPENER_UID, Dim.OPENER_CAPABILITIES, Dim.OPENER_USERNS)
_NEVER_UNKNOWN: Final = frozenset({Dim.ACTION, Dim.LABEL, Dim.PATH})
_ALWAYS: Final = frozenset({Dim.ACTION, Dim.KIND})
_VALUES: Final[dict[Dim, Callable[[Domains, list[Atom]], list[Any]]]] = {
    Dim.ACTION: Domains._actions,
    Dim.KIND: Domains._kinds,
    Dim.FILESYSTEM: Domains._filesystems,
    Dim.ACCESS: Domains._access,
    Dim.GUARDED: Domains._guarded,
    Dim.LABEL: Domains._labels,
    Dim.PATH: Domains._paths,
    Dim.UID: lambda domains, atoms: domains._uids(atoms, 1),
    Dim.STASHER_UID: lambda domains, atoms: domains._uids(atoms, 2),
    Dim.OPENER_UID: lambda domains, atoms: domains._uids(atoms, 3),
    Dim.GIDS: Domains._gids,
    Dim.CGROUP: Domains._cgroups,
    Dim.STASHER_CAPABILITIES: Domains._opener_capabilities,
    Dim.CAPABILITIES: Domains._capabilities,
    Dim.OPENER_CAPABILITIES: Domains._opener_capabilities,
    Dim.USERNS: Domains._subject_userns,
    Dim.STASHER_USERNS: Domains._relation,
    Dim.OPENER_USERNS: Domains._relation,
}
LIMITED: Final[dict[Dim, Callable[[Domains, list[Any], Point], list[Any]]]] = {
    Dim.KIND: Domains._only_kinds,
    Dim.FILESYSTEM: Domains._of_kind,
    Dim.ACCESS: Domains._of_file,
    Dim.GUARDED: Domains._of_file,
    Dim.OPENER_UID: Domains._of_file,
    Dim.OPENER_CAPABILITIES: Domains._of_file,
    Dim.OPENER_USERNS: Domains._of_file,
}
"""What else, of the values before, has a say in those of a dimension."""


def atoms_by_dim(atoms: Iterable[Atom]) -> dict[Dim, list[Atom]]:
    """The conditions that are about each dimension."""
    found: dict[Dim, list[Atom]] = {}
    for atom in {id(atom): atom for atom in atoms}.values():
        for dim in atom.dims:
            found.setdefault(dim, []).append(atom)
    return found


def _wanted(atoms: list[Atom]) -> set[Any]:
    return {value for atom in atoms for value in atom.wanted}


def _globs(atoms: list[Atom]) -> list[str]:
    return list(dict.fromkeys(glob for atom in atoms for glob in atom.wanted))


def _numbers(atoms: list[Atom]) -> list[int]:
    known: set[int] = set()
    for atom in atoms:
        assert isinstance(atom.wanted, Ids)
        known |= atom.wanted.known
    return sorted(known)


def _unnamed(named: list[int], count: int) -> list[int]:
    found: list[int] = []
    candidate = 1000
    while len(found) < count:
        if candidate not in named:
            found.append(candidate)
        candidate += 1
    return found


def _unions(members: Iterable[int]) -> list[frozenset[int]]:
    found = [frozenset[int]()]
    for member in members:
        found += [each | {member} for each in found]
        if len(found) > MOST_VALUES:
            raise TooManyClasses
    return found


def _masks(masks: set[int]) -> list[int]:
    found = {0}
    for mask in sorted(masks):
        found |= {each | mask for each in found}
        if len(found) > MOST_VALUES:
            raise TooManyClasses
    return sorted(found)


def _unused_bit(atoms: list[Atom]) -> int:
    used = 0
    for atom in atoms:
        used |= atom.wanted[0] or 0 if atom.name == "opener.capabilities" else atom.wanted
    return next((bit for bit in range(_HIGHEST_CAPABILITY) if not used >> bit & 1), _HIGHEST_CAPABILITY)
