"""What the policy engine says of a delivery: `retrieve` or `take`, under whichever of the file's names allows it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fdstorefs.bpf.abi import Reason
from fdstorefs.policy.classify import EntryClass, classify
from fdstorefs.policy.decide import Evaluator
from fdstorefs.policy.request import EntryFacts, Person, SubjectFacts
from fdstorefs.policy.tables import Tables
from fdstorefs.policy.verdict import Verdict
from fdstorefs.policy.vocabulary import Action
from tests.unit.bpf.answer import Answer


@dataclass(frozen=True)
class Judged:
    """One alternative: what was asked, once for each name that it could be asked for by."""

    verdicts: Sequence[Verdict]

    @property
    def allowed(self) -> bool:
        return any(verdict.allowed for verdict in self.verdicts)

    @property
    def decided(self) -> bool:
        return any(verdict.decided for verdict in self.verdicts)

    @property
    def allows(self) -> int:
        """The terms that allow it, under any of the names that it is allowed under."""
        found = 0
        for verdict in self.verdicts:
            found |= verdict.allows if verdict.decided else 0
        return found

    @property
    def forbids(self) -> int:
        (forbids,) = {verdict.forbids for verdict in self.verdicts}
        return forbids


class Names:
    """The names of an open file, classified once with each of their stashers."""

    def __init__(self, tables: Tables, names: Sequence[EntryFacts]) -> None:
        self._stashers = [_compared(name.stasher) for name in names]
        self._classes: dict[Person, list[EntryClass]] = {
            stasher: [classify(tables, replace(name, stasher=stasher)) for name in names]
            for stasher in self._stashers
        }

    def judged(self, evaluator: Evaluator, subject: SubjectFacts) -> Iterator[Judged]:
        """Each alternative in turn: for each stasher, any of the names retrieved, then one of his own taken."""
        for stasher, classes in self._classes.items():
            entry, *also = classes
            yield Judged([evaluator.decide(Action.RETRIEVE, entry, subject, also)])
            own = [place for place, name in enumerate(self._stashers) if name == stasher]
            yield Judged([self._taken(evaluator, subject, classes, place) for place in own])

    def _taken(
        self, evaluator: Evaluator, subject: SubjectFacts, classes: list[EntryClass], place: int
    ) -> Verdict:
        also = classes[:place] + classes[place + 1 :]
        return evaluator.decide(Action.TAKE, classes[place], subject, also)

    def answer(self, evaluator: Evaluator, subject: SubjectFacts) -> Answer:
        """The verdict in which the first alternative that allows is on record, or else the first that forbids."""
        judged = list(self.judged(evaluator, subject))
        allowed = any(each.allowed for each in judged)
        for place, each in enumerate(judged):
            if each.decided:
                return Answer(allowed, True, Reason.BY_RULE, place, each.allows)
        for place, each in enumerate(judged):
            if each.forbids:
                return Answer(allowed, False, Reason.BY_FORBID, place, each.forbids)
        return Answer(allowed, False, Reason.BY_NO_RULE, None, 0)


def _compared(stasher: Person) -> Person:
    return Person(uid=stasher.uid, userns=stasher.userns)
