"""Whether the kernel decides as Python does, on many generated deliveries.

`python -m tests.unit.bpf.agree --cases 1000000` looks through as many as one wants, with other seeds than the tests.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import ClassRecord, Reason
from fdstorefs.bpf.profile import words_for
from fdstorefs.bpf.rows import Profile, TableSet, alternatives, profile_of
from fdstorefs.policy.decide import Evaluator
from fdstorefs.policy.request import UNKNOWN, EntryFacts, SubjectFacts
from tests.unit.bpf.answer import Answer
from tests.unit.bpf.deliveries import Lot, lots
from tests.unit.bpf.expected import Names
from tests.unit.bpf.program import Program, program
from tests.unit.bpf.questions import Cgroups, question, request
from tests.unit.policy.case import shown
from tests.unit.policy.generated import CAPABILITIES

INSTANCE = 7
EVERY_CAPABILITY = sum({1 << bit for mask in CAPABILITIES for bit in range(64) if mask >> bit & 1})


@dataclass(frozen=True)
class Group:
    """Deliveries under policies of one size. `own_profile`: each by programs with what its policies need, no more."""

    rules: int
    sets: bool
    requests: int
    weight: float
    own_profile: bool = False

    def __str__(self) -> str:
        exact = "-exactly" if self.own_profile else ""
        return f"{self.rules}-{'rules' if self.sets else 'terms'}{exact}"


GROUPS = [
    Group(rules=0, sets=True, requests=10, weight=0.005),
    Group(rules=1, sets=True, requests=8, weight=0.095),
    Group(rules=2, sets=True, requests=10, weight=0.1),
    Group(rules=3, sets=True, requests=10, weight=0.1),
    Group(rules=6, sets=True, requests=12, weight=0.15),
    Group(rules=12, sets=True, requests=14, weight=0.15),
    *[Group(rules=n, sets=False, requests=16, weight=0.025) for n in (31, 32, 33)],
    *[Group(rules=n, sets=False, requests=20, weight=0.035) for n in (63, 64, 65)],
    *[Group(rules=n, sets=False, requests=24, weight=0.025) for n in (127, 128, 129)],
    Group(rules=256, sets=False, requests=24, weight=0.015),
    Group(rules=257, sets=False, requests=24, weight=0.015),
    Group(rules=512, sets=False, requests=24, weight=0.015),
    Group(rules=1000, sets=False, requests=28, weight=0.02),
    Group(rules=1024, sets=False, requests=28, weight=0.02),
    *[Group(rules=n, sets=False, requests=14, weight=0.0005, own_profile=True) for n in (1, 2, 3, 64)],
]
"""About the sizes of machine words, and the most there can be; the weights are shares of all cases."""


def wide(terms: int) -> Profile:
    """Programs that can do all, for so many terms."""
    return Profile(words_for(terms), abi.USES_ALL, EVERY_CAPABILITY, connect=True)


class Disagreement(AssertionError):
    """The kernel decides otherwise than Python."""


class Asked:
    """A lot, with its rows in the kernel."""

    def __init__(self, lot: Lot, programs: Program) -> None:
        self.lot = lot
        self.program = programs
        self.cgroups = Cgroups(lot)
        self.set = TableSet(INSTANCE, lot.tables, lot.uids, lot.gids, programs.profile)
        self._evaluator = Evaluator(lot.tables, lot.instance)
        self._next_class = 1
        programs.publish(self.set.rows())
        found = [self.set.cgroup_row(number, path) for number, path in self.cgroups.known()]
        programs.add(row for row in found if row is not None)

    def outcomes(self) -> Iterator[Answer]:
        """The verdict on every file for every subject; raises Disagreement."""
        for names in self.lot.files:
            numbers = self.classify(names)
            records = self.set.class_records(names)
            judged = Names(self.lot.tables, names)
            for subject in self.lot.subjects:
                yield self._compare(names, numbers, records, judged, subject)

    def classify(self, names: tuple[EntryFacts, ...]) -> tuple[int, ...]:
        """Numbers for the classes of a file, whose rows are in the kernel then."""
        count = len(alternatives(names))
        numbers = tuple(range(self._next_class, self._next_class + count))
        self._next_class += count
        self.program.add(self.set.class_rows(numbers, names))
        return numbers

    def _compare(
        self,
        names: tuple[EntryFacts, ...],
        numbers: tuple[int, ...],
        records: tuple[ClassRecord, ...],
        judged: Names,
        subject: SubjectFacts,
    ) -> Answer:
        asked = request(INSTANCE, self.lot, names, subject, self.cgroups)
        found = self.program.deliver(question(asked, INSTANCE, numbers, records), numbers)
        expected = expected_answer(self.lot, self.cgroups, self._evaluator, judged, subject)
        if found != expected:
            raise Disagreement(
                f"kernel: {found}\npython: {expected}\nsubject: {shown(subject)}\nnames: {shown(names)}\n"
                f"instance: {self.lot.instance}, {asked}\npolicies: {shown(self.lot.policies)[:20000]}"
            )
        return found


def expected_answer(
    lot: Lot, cgroups: Cgroups, evaluator: Evaluator, judged: Names, subject: SubjectFacts
) -> Answer:
    """What Python says, where a cgroup that is not in the tables is unknown, and the reason of a denial."""
    if not cgroups.is_strange(subject.cgroup):
        return judged.answer(evaluator, subject)
    found = judged.answer(evaluator, _without_cgroup(subject))
    # Where no rule asks for cgroups nobody looks, so none is strange.
    if found.decided or not profile_of([lot.tables]).uses & abi.USES_CGROUP:
        return found
    return found._replace(reason=Reason.STRANGE_CGROUP)


def _without_cgroup(subject: SubjectFacts) -> SubjectFacts:
    return SubjectFacts(subject.uid, subject.gids, subject.capabilities, subject.userns, UNKNOWN)


def agree(group: Group, cases: int, *, first: int = 0) -> Counter[Reason]:
    """Compare at least so many cases of a group, from this seed on; how often each reason was given."""
    reasons: Counter[Reason] = Counter()
    for lot in lots(cases, rules=group.rules, requests=group.requests, sets=group.sets, first=first):
        profile = profile_of([lot.tables]) if group.own_profile else wide(lot.tables.terms)
        reasons.update(answer.reason for answer in Asked(lot, program(profile)).outcomes())
    return reasons


def main() -> None:
    """Look through as many cases as are wanted."""
    parser = argparse.ArgumentParser(prog="python -m tests.unit.bpf.agree", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="how many (default 1000000)")
    parser.add_argument("--first", type=int, default=1_000_000, help="the first seed (default 1000000)")
    chosen = parser.parse_args()
    every: Counter[Reason] = Counter()
    start = time.monotonic()
    for group in GROUPS:
        cases = round(chosen.cases * group.weight / sum(each.weight for each in GROUPS)) + 1
        every += (found := agree(group, cases, first=chosen.first))
        print(f"{group!s:>18}: {found.total():>9,} agree, {time.monotonic() - start:.0f} s", flush=True)
    print(
        f"{every.total():,} cases agree: {', '.join(f'{n:,} {reason.name}' for reason, n in every.items())}"
    )


if __name__ == "__main__":
    main()
