"""What is expensive to learn of a subject is learned only where some rule needs it."""

from collections.abc import Iterator

from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.decide import decide
from fdstorefs.policy.model import Conditions, SubjectConditions
from fdstorefs.policy.request import Request, SubjectFacts
from tests.unit.policy.case import Case
from tests.unit.policy.searching import cases
from tests.unit.policy.without import rules_of


class Asked:
    """A subject that keeps in mind which of its values were asked for."""

    def __init__(self, facts: SubjectFacts) -> None:
        self._facts = facts
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> object:
        self.names.add(name)
        return getattr(self._facts, name)


def test_nothing_is_asked_that_no_rule_speaks_of() -> None:
    """A value that no condition of any rule is about is never looked up."""
    for case in cases(3000, rules=3):
        asked = _asked(case)

        assert asked <= _spoken_of(case), case


def test_each_value_is_asked_somewhere() -> None:
    """All values are there to be asked; so the other test can fail."""
    found = set().union(*(_asked(case) for case in cases(1000)))

    assert {"uid", "gids", "capabilities", "userns", "cgroup"} == found


def _asked(case: Case) -> set[str]:
    request = case.request
    assert isinstance(request.subject, SubjectFacts)
    subject = Asked(request.subject)
    decide(
        compile_policies(case.policies),
        Request(request.action, request.entry, subject, request.instance, request.also),  # type: ignore[arg-type]
    )
    return subject.names


def _spoken_of(case: Case) -> set[str]:
    return {
        name
        for rule in rules_of(case.policies)
        for conditions in (rule.when, rule.unless)
        if conditions is not None
        for name in _needs(conditions)
    }


def _needs(conditions: Conditions) -> Iterator[str]:
    """The subject's values that conditions need."""
    if any(ids is not None and ids.same for ids in (conditions.stasher_uid, conditions.opener_uid)):
        yield "uid"
    if conditions.stasher_userns is not None or conditions.opener_userns is not None:
        yield "userns"
    if conditions.opener_no_more:
        yield "capabilities"
    for subject in conditions.subjects:
        yield from _needs_of(subject)


def _needs_of(subject: SubjectConditions) -> Iterator[str]:
    for name, asked in (
        ("uid", subject.uid),
        ("gids", subject.gid),
        ("cgroup", subject.cgroups),
        ("capabilities", subject.capabilities),
        ("userns", subject.userns),
    ):
        if asked is not None:
            yield name
