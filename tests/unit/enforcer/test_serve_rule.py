"""Who may run an instance."""

import pytest

from fdstorefs.enforcer.serve_rule import may_serve
from fdstorefs.policy.model import Policy
from fdstorefs.policy.request import SubjectFacts
from tests.unit.enforcer.enforced import policy_set

SERVER = SubjectFacts(1000, frozenset({1000}), 0, (7,), "/web")
TEXT = "version: 1\nname: {name}\nmode: {mode}\nrules:\n  - {rule}\n"
ALLOWS = "{id: a, effect: allow, actions: [serve], subject: {uid: [1000]}}"
ALLOWS_OTHERS = "{id: o, effect: allow, actions: [serve], subject: {uid: [5]}}"
FORBIDS = "{id: f, effect: forbid, actions: [serve], subject: {cgroup: [/web]}}"
SAYS_NOTHING = "{id: none, effect: forbid, actions: [all]}"


def policies(*rules: str, mode: str = "enforce") -> tuple[Policy, ...]:
    """One policy for each rule."""
    texts = [
        TEXT.format(name=f"p{i}", mode=mode, rule=rule.replace("{id: ", f"{{id: {i}"))
        for i, rule in enumerate(rules)
    ]
    return policy_set(*texts).policies


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ((), True),
        ((SAYS_NOTHING,), True),
        ((ALLOWS,), True),
        ((ALLOWS_OTHERS,), False),
        ((ALLOWS, FORBIDS), False),
        ((SAYS_NOTHING, ALLOWS_OTHERS), False),
    ],
    ids=[
        "no policy",
        "none speaks of it",
        "one allows",
        "one allows others",
        "one forbids",
        "the other counts",
    ],
)
def test_who_may(rules: tuple[str, ...], allowed: bool) -> None:
    """Everybody until a policy speaks of it; then only whom one allows and none forbids."""
    assert allowed == may_serve(policies(*rules), SERVER, (7,)).allowed


def test_rules_are_named() -> None:
    """Those that decided."""
    assert ("1f",) == may_serve(policies(ALLOWS, FORBIDS), SERVER, (7,)).rules


def test_one_that_monitors_refuses_nothing() -> None:
    """But it is known what it would have said."""
    verdict = may_serve(policies(ALLOWS_OTHERS, mode="monitor"), SERVER, (7,))

    assert (True, False) == (verdict.allowed, verdict.decided)


def test_one_that_monitors_does_not_make_others_speak_of_it() -> None:
    """What a policy that enforces says nothing about is not denied because another one watches it."""
    watching = policies(ALLOWS_OTHERS, mode="monitor")
    enforcing = policy_set(TEXT.format(name="q", mode="enforce", rule=SAYS_NOTHING)).policies

    assert may_serve((*watching, *enforcing), SERVER, (7,)).allowed
