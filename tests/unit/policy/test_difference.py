"""A difference tells exactly what becomes allowed and what becomes denied."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.policy.difference import as_json, as_text, difference
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import UNKNOWN, Request
from fdstorefs.policy.vocabulary import BOX, Action, Effect, Mode
from fdstorefs.policy.weigh import weigh
from tests.unit.policy.small_spaces import SPACES, policies

ONLY_33 = Conditions(entries=("listen/**",), subjects=(SubjectConditions(uid=Ids(frozenset({33}))),))
WEB = Rule("web", Effect.ALLOW, frozenset({Action.RETRIEVE}), ONLY_33)


def in_force(those: list[Policy], request: Request, *, watching: bool) -> bool:
    weighed = weigh(those, request)
    return weighed.decided if watching else weighed.allowed


def words_of(actions: str) -> set[str]:
    return set(actions.split(" or "))


def is_settled(request: Request) -> bool:
    entry, subject = request.entry, request.subject
    known: list[object] = [entry.kind, entry.filesystem, subject.uid, subject.gids, subject.capabilities]
    known += [subject.userns, subject.cgroup, entry.stasher.uid, entry.stasher.capabilities]
    return UNKNOWN not in [*known, entry.stasher.userns, entry.access, entry.guarded]


@pytest.mark.parametrize("name", SPACES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_every_request_with_another_verdict_is_in_a_change_and_every_example_is_one(
    name: str, seed: int
) -> None:
    """Compared with the verdicts on all requests there are, before and after."""
    space, random = SPACES[name], Random(seed)
    old, new = (policies(space, random, random.randint(0, 3)) for _ in range(2))
    if random.random() < 0.5:
        new = [*old[:-1], replace(old[-1], rules=old[-1].rules[:-1])]
    watching = all(policy.mode is Mode.MONITOR for policy in (*old, *new))
    changes = difference(old, new)

    for change in changes:
        before = in_force(old, change.example, watching=watching)
        after = in_force(new, change.example, watching=watching)
        assert (change.allowed, not change.allowed) == (after, before)
    for request in filter(is_settled, space.requests()):
        before, after = (in_force(those, request, watching=watching) for those in (old, new))
        if before is not after:
            assert any(
                change.allowed is after
                and {request.action.word, "all"} & words_of(change.conditions.get("actions", "all"))
                and (change.example.entry.kind == BOX)
                >= (request.entry.kind == BOX and request.action is Action.LIST)
                for change in changes
            )


def test_a_new_rule_is_described_by_its_conditions() -> None:
    """Who, what and where, with an example and the rule that decides it."""
    changes = difference([Policy("p")], [Policy("p", (WEB,))])

    entries = {
        "actions": "list or retrieve",
        "entries": "`listen/**`",
        "subject.uid": "33",
    }
    assert entries == changes[0].conditions
    assert ((), ("web",)) == (changes[0].rules_before, changes[0].rules_after)
    assert {"actions": "list", "kinds": "box"}.items() <= changes[-1].conditions.items()


def test_what_is_kept_from_files_that_are_not_guarded() -> None:
    """In the words of the policy, and an example that can be asked as it stands."""
    forbid = Rule("no", Effect.FORBID, frozenset({Action.RETRIEVE}), Conditions(guarded=False))
    (change,) = difference([Policy("p", (WEB,))], [Policy("p", (WEB, forbid))])

    assert (False, "false") == (change.allowed, change.conditions["guarded"])
    assert change.example.entry.guarded is False
    assert "; access rw; guarded no; " in as_text([change])


def test_what_is_left_to_files_that_are_guarded() -> None:
    """The others are called by name, not by what they aren't."""
    narrower = replace(WEB, when=replace(WEB.when, guarded=True))
    (change,) = difference([Policy("p", (WEB,))], [Policy("p", (narrower,))])

    assert (False, "false") == (change.allowed, change.conditions["guarded"])


def test_the_same_policies_differ_in_nothing() -> None:
    """Under other ids and in another order, too."""
    other = replace(WEB, id="other", actions=frozenset({Action.DISCARD}))
    old = [Policy("p", (WEB, other))]
    new = [Policy("q", (replace(other, id="x"), replace(WEB, id="y")))]

    assert [] == difference(old, new)
    assert "no request gets another verdict" == as_text([])


def test_a_policy_that_only_watches_allows_everything() -> None:
    """Turning the only policy to `monitor` allows whatever it denied."""
    policy = Policy("p", (WEB,))
    changes = difference([policy], [replace(policy, mode=Mode.MONITOR)])

    assert {True} == {change.allowed for change in changes}


def test_a_forbid_rule_takes_away_what_was_allowed() -> None:
    """Only what was allowed before is a change."""
    forbid = Rule(
        "no-pipes", Effect.FORBID, frozenset({Action.RETRIEVE}), Conditions(kinds=frozenset({"pipe"}))
    )
    changes = difference([Policy("p", (WEB,))], [Policy("p", (WEB, forbid))])

    conditions = {"actions": "retrieve", "kinds": "pipe", "entries": "`listen/**`", "subject.uid": "33"}
    assert [(False, conditions)] == [(change.allowed, change.conditions) for change in changes]
    assert "- deny: actions retrieve; kinds pipe; entries `listen/**`; subject.uid 33" in as_text(changes)
    assert "deny" == as_json(changes)[0]["becomes"]
