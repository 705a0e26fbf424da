"""Deliveries by chance: some policies, open files with their names, and subjects to whom they might go.

Made of what the policy language's own tests ask: each request gives a file and a subject, and any file can go to any
subject. The kernel knows openers, so a file's names have one opener of whom something is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from fdstorefs.bpf.abi import MOST_CLASSES
from fdstorefs.bpf.rows import IDENTITY, Extent, IdMap, TooManyClasses, alternatives
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.model import Policy
from fdstorefs.policy.request import (
    NOBODY_KNOWN,
    UNKNOWN,
    EntryFacts,
    Person,
    Request,
    Subject,
    SubjectFacts,
    Userns,
)
from fdstorefs.policy.tables import Tables
from tests.unit.policy.generated import INSTANCES
from tests.unit.policy.searching import some

ID_MAPS = (
    IDENTITY,
    IdMap([Extent(0, 100000, 1001)]),
    IdMap([Extent(0, 1000, 1), Extent(1, 0, 1), Extent(2, 5, 1), Extent(1000, 2, 2)]),
    IdMap([Extent(1000, 1000, 64536)]),
)
"""Those of the initial namespace; a container's; one that turns ids around; one that has no low ids."""

MOST_STASHERS = MOST_CLASSES // 2


@dataclass(frozen=True)
class Lot:
    """What is asked of one set of policies: every file for every subject."""

    policies: Sequence[Policy]
    tables: Tables
    uids: IdMap
    gids: IdMap
    instance: Userns
    files: Sequence[tuple[EntryFacts, ...]]
    subjects: Sequence[SubjectFacts]
    known_cgroups: frozenset[str]
    """The cgroups that are in the tables; all others are news to the kernel."""

    def __len__(self) -> int:
        return len(self.files) * len(self.subjects)


def lot(seed: int, rules: int, requests: int, *, sets: bool = True, generation: int = 1) -> Lot:
    """As many files and as many subjects as requests, by `rules` rules; without `sets` as many terms."""
    random = Random(seed)
    policies, asked = some(seed, rules, requests, sets=sets)
    uids, gids = random.choice(ID_MAPS), random.choice(ID_MAPS)
    cgroups = sorted({each.subject.cgroup for each in asked if each.subject.cgroup is not UNKNOWN})
    return Lot(
        policies=policies,
        tables=compile_policies(policies, generation=generation),
        uids=uids,
        gids=gids,
        instance=random.choice(INSTANCES),
        files=[_file(each, random) for each in asked],
        subjects=[_there(each.subject, uids, gids) for each in asked],
        known_cgroups=frozenset(random.sample(cgroups, len(cgroups) * 4 // 5)),
    )


def _file(request: Request, random: Random) -> tuple[EntryFacts, ...]:
    """The names of one open file. Sometimes all have the same stasher, as most files' names do."""
    opener = request.entry.opener
    if opener == NOBODY_KNOWN:
        opener = Person(uid=random.choice((0, 1000)), capabilities=UNKNOWN, userns=UNKNOWN)
    names = [replace(name, opener=opener) for name in (request.entry, *request.also)]
    if random.random() < 0.3:
        names = [replace(name, stasher=request.entry.stasher) for name in names]
    return _few_enough(names)


def _few_enough(names: list[EntryFacts]) -> tuple[EntryFacts, ...]:
    try:
        alternatives(names)
    except TooManyClasses:
        return tuple(names[:MOST_STASHERS])
    return tuple(names)


def _there(subject: Subject, uids: IdMap, gids: IdMap) -> SubjectFacts:
    """The subject as the instance can see it: an id without a number there is unknown, or a group of no consequence."""
    uid, groups = subject.uid, subject.gids
    if isinstance(uid, int) and uids.to_host(uid) is None:
        uid = UNKNOWN
    if isinstance(groups, frozenset):
        groups = frozenset(gid for gid in groups if gids.to_host(gid) is not None)
    return SubjectFacts(uid, groups, subject.capabilities, subject.userns, subject.cgroup)


def lots(cases: int, *, rules: int, requests: int, sets: bool = True, first: int = 0) -> Iterator[Lot]:
    """Lots that are at least so many cases together."""
    left, seed = cases, first
    while left > 0:
        found = lot(seed, rules, requests, sets=sets, generation=seed + 1)
        yield found
        left -= len(found)
        seed += 1
