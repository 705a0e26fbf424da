"""Whoever can't be allowed anything in an instance is refused a connection to it."""

from dataclasses import replace

import pytest

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Key, Reason, Table
from fdstorefs.bpf.profile import limits_connect
from fdstorefs.bpf.rows import profile_of
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.decide import decide
from fdstorefs.policy.default import default_policy
from fdstorefs.policy.model import Conditions, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import UNKNOWN, EntryFacts, Request, SubjectFacts
from fdstorefs.policy.verdict import Verdict
from fdstorefs.policy.vocabulary import BOX, ON_ENTRIES, Action, Effect, Relation
from tests.unit.bpf.agree import INSTANCE, Asked, wide
from tests.unit.bpf.answer import Answer, refusal
from tests.unit.bpf.deliveries import Lot, lots
from tests.unit.bpf.program import program
from tests.unit.bpf.questions import question, request

pytestmark = pytest.mark.usefixtures("kernel")

ANYWHERE = EntryFacts("box", kind=BOX)


def connect(asked: Asked, subject: SubjectFacts) -> Answer:
    """The kernel's verdict."""
    names = asked.lot.files[0]
    about = request(INSTANCE, asked.lot, names, subject, asked.cgroups)
    return asked.program.connect(question(about, INSTANCE, (), ()))


def way_in(found: Lot, asked: Asked, subject: SubjectFacts) -> Verdict:
    """Whether the subject may list a box that any rule could lead to, if nothing is forbidden: as much is asked for."""
    policies = [
        replace(policy, rules=tuple(map(_anywhere, filter(_allows, policy.rules))))
        for policy in found.policies
    ]
    if asked.cgroups.is_strange(subject.cgroup):
        subject = replace(subject, cgroup=UNKNOWN)
    return decide(compile_policies(policies), Request(Action.LIST, ANYWHERE, subject, found.instance))


def _allows(rule: Rule) -> bool:
    return rule.effect is Effect.ALLOW


def _anywhere(rule: Rule) -> Rule:
    return replace(rule, when=replace(rule.when, entries=None))


@pytest.mark.parametrize("rules", [1, 2, 4])
def test_it_is_as_with_a_box_that_all_rules_lead_to(rules: int) -> None:
    """What rules ask of subjects counts, and nothing else does."""
    outcomes = set()
    for found in lots(1500, rules=rules, requests=7, first=9000):
        asked = Asked(found, program(wide(found.tables.terms)))
        for subject in found.subjects:
            actual, expected = connect(asked, subject), way_in(found, asked, subject)
            outcomes.add(actual.decided)

            assert (expected.allowed, expected.decided) == (actual.allowed, actual.decided)

    assert {True, False} == outcomes


def test_who_is_refused_could_not_have_done_anything() -> None:
    """No action with anything is allowed to a subject that may not connect."""
    refused = 0
    for found in lots(4000, rules=3, requests=7, first=7000):
        asked = Asked(found, program(wide(found.tables.terms)))
        for subject in found.subjects:
            if connect(asked, subject).decided or asked.cgroups.is_strange(subject.cgroup):
                continue
            refused += 1
            for (entry, *_), action in ((names, action) for names in found.files for action in ON_ENTRIES):
                verdict = decide(found.tables, Request(action, entry, subject, found.instance))

                assert not verdict.decided

    assert refused > 20


def test_where_a_rule_is_for_anybody_everybody_may() -> None:
    """Nobody's connection is looked at: one row is all that is asked for."""
    lot = next(lots(1, rules=0, requests=1))
    policy = Policy("p", (Rule("r", Effect.ALLOW, frozenset({Action.LIST})),))
    lot = replace(lot, policies=[policy], tables=compile_policies([policy], generation=1))
    asked = Asked(lot, program(wide(1)))
    asked.program.remove(Key(Table.CONNECT, INSTANCE))

    assert connect(asked, lot.subjects[0]).allowed


def test_where_there_is_no_rule_nobody_may() -> None:
    """And without the table that would say so, nobody either."""
    lot = next(lots(1, rules=0, requests=1))
    policy = Policy("p", ())
    asked = Asked(
        replace(lot, policies=[policy], tables=compile_policies([policy], generation=1)), program(wide(1))
    )

    assert refusal(Reason.BY_NO_RULE) == connect(asked, lot.subjects[0])
    asked.program.remove(Key(Table.CONNECT, INSTANCE))
    assert refusal(Reason.MISSING) == connect(asked, lot.subjects[0])


def test_what_limits_connections() -> None:
    """Conditions on subjects do, and only if no other rule is for anybody; the built-in policy doesn't."""
    here = Conditions(subjects=(SubjectConditions(userns=frozenset({Relation.SAME})),))
    of_some = Rule("some", Effect.ALLOW, frozenset({Action.RETRIEVE}), here)
    of_all = Rule("all", Effect.ALLOW, frozenset({Action.RETRIEVE}), Conditions(labels=frozenset({"red"})))

    def limited(*rules: Rule) -> bool:
        return limits_connect(compile_policies([Policy("p", rules)]))

    assert (True, False, False) == (limited(of_some), limited(of_all), limited(of_some, of_all))
    assert limited(replace(of_all, unless=here))
    assert not limits_connect(compile_policies([default_policy()]))
    assert abi.USES_USERNS == profile_of([compile_policies([Policy("p", (of_some,))])]).uses
