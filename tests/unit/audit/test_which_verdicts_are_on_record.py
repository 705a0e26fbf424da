"""Every denial, every retrieve and take, and what a rule asks for."""

import pytest

from fdstorefs.audit.decision import is_on_record
from fdstorefs.policy.vocabulary import ACTIONS
from tests.unit.audit.decisions import decision, denial


@pytest.mark.parametrize("log", [None, True, False])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_denial_is(action: str, log: bool | None) -> None:
    """Whatever the rules say; also one that a monitoring policy would have made."""
    assert is_on_record(denial(action=action), log)
    assert is_on_record(decision(action=action, decided=False), log)


@pytest.mark.parametrize("log", [None, True, False])
@pytest.mark.parametrize("action", ["retrieve", "take"])
def test_every_retrieve_and_take_is(action: str, log: bool | None) -> None:
    """No rule can keep it out."""
    assert is_on_record(decision(action=action), log)


@pytest.mark.parametrize("action", ["list", "describe"])
def test_looking_is_if_a_rule_says_so(action: str) -> None:
    """Otherwise the log would be full of it."""
    assert [False, True, False] == [is_on_record(decision(action=action), log) for log in (None, True, False)]


@pytest.mark.parametrize("action", ["stash", "discard", "rename", "link", "seal", "serve"])
def test_the_rest_is_unless_a_rule_says_no(action: str) -> None:
    """`log: false` keeps it out."""
    assert [True, True, False] == [is_on_record(decision(action=action), log) for log in (None, True, False)]
