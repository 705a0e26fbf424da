"""Cases: requests with the verdict that is expected, in a file of their own."""

from collections.abc import Sequence

import pytest

from fdstorefs.policy.cases import CaseFile, parse_cases, run_cases
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import UNKNOWN
from fdstorefs.policy.span import Source
from fdstorefs.policy.vocabulary import Action, Effect, Mode

WEB = Conditions(entries=("listen/**",), subjects=(SubjectConditions(uid=Ids(frozenset({33}))),))
POLICY = Policy("p", (Rule("web", Effect.ALLOW, frozenset({Action.RETRIEVE}), WEB),), mode=Mode.MONITOR)
GOOD = """\
policies: [web.yaml, base.yaml]
users: {www-data: 33}
cases:
  - name: its own
    request: {action: retrieve, entry: listen/http, uid: www-data}
    expect: allow
    rules: [web]
  - name: of another
    request: {action: retrieve, entry: listen/http, uid: 34}
    expect: deny
    rules: []
  - name: whatever decides
    request: {action: take, entry: listen/http, uid: www-data, gid: [1, 2]}
    expect: deny
"""


def parsed(text: str) -> CaseFile:
    return parse_cases(Source.of("x.cases.yaml", text))


def wrong(text: str) -> Sequence[Diagnostic]:
    with pytest.raises(PolicyError) as caught:
        parsed(text)
    return caught.value.diagnostics


def test_a_file_names_its_policies_and_users() -> None:
    """So that cases mean the same on every machine."""
    file = parsed(GOOD)

    assert ("web.yaml", "base.yaml") == file.policies
    assert 33 == file.names.user("www-data")
    assert [frozenset({"web"}), frozenset(), None] == [case.rules for case in file.cases]


def test_cases_that_are_as_expected_pass() -> None:
    """By what all rules say, in monitor mode too."""
    outcomes = run_cases(parsed(GOOD), [POLICY])

    assert [True, True, True] == [outcome.passed for outcome in outcomes]
    assert [None, None, None] == [outcome.complaint for outcome in outcomes]


def test_guarded_is_written_as_in_a_policy() -> None:
    """Or `unknown`; other spellings of the YAML booleans are no answer."""

    def asks(answer: str) -> str:
        request = f"{{action: stash, entry: a, guarded: {answer}}}"
        return f"cases:\n  - {{name: a, request: {request}, expect: deny}}\n"

    found = [parsed(asks(answer)).cases[0].request.entry.guarded for answer in ("true", "false", "unknown")]

    assert [True, False, UNKNOWN] == found
    assert ["yaml-trap"] == [each.code for each in wrong(asks("on"))]
    assert ["bad-request"] == [each.code for each in wrong(asks("maybe"))]


def test_a_case_fails_over_the_verdict_or_the_rules() -> None:
    """And says what came instead, with the whole explanation."""
    text = GOOD.replace("expect: allow", "expect: deny").replace("rules: []", "rules: [web]")
    first, second, _ = run_cases(parsed(text), [POLICY])

    assert "expected deny by `web`, got allow by `web`" == first.complaint
    assert "expected deny by `web`, got deny by no rule" == second.complaint
    assert first.explanation is not None
    assert ("web",) == first.explanation.rules


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "column"),
    [
        ("action: retrieve, entry: listen/http, uid: 34", "action: retreive, entry: a", "bad-request", 8, 22),
        ("uid: 34", "uid: nobody", "bad-request", 8, 57),
        ("uid: 34", "ui: 34", "unknown-key", 8, 52),
        ("entry: listen/http, uid: 34", "uid: 34", "bad-request", 8, 13),
        ("expect: allow", "expect: alow", "unknown-verdict", 5, 12),
        ("expect: allow", "expects: allow", "unknown-key", 5, 4),
        ("name: its own", "name: yes", "yaml-trap", 3, 10),
        ("users: {www-data: 33}", "users: {www-data: abc}", "bad-number", 1, 18),
        ("policies: [web.yaml, base.yaml]", "policy: web.yaml", "unknown-key", 0, 0),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, code: str, line: int, column: int) -> None:
    """File, line and column, as in policies."""
    assert old in GOOD
    found = wrong(GOOD.replace(old, new))

    assert (code, line, column) in [
        (each.code, each.span.line, each.span.column) for each in found if each.span is not None
    ]


def test_a_file_without_cases_is_an_error() -> None:
    """It would pass, and test nothing."""
    assert ["no-cases"] == [each.code for each in wrong("cases: []")]
    assert ["missing-key"] == [each.code for each in wrong("policies: [a]")]
    assert ["wrong-type"] == [each.code for each in wrong("[]")]


def test_all_that_is_wrong_is_told_at_once() -> None:
    """One case doesn't hide another."""
    text = GOOD.replace("expect: allow", "expect: alow").replace("uid: 34", "uid: nobody")

    assert ["unknown-verdict", "bad-request"] == [each.code for each in wrong(text)]
