"""The built-in policy: its text and what a server uses without reading it are one and the same."""

from fdstorefs.policy.check import check
from fdstorefs.policy.default import DEFAULT, default_policy
from fdstorefs.policy.load import load
from fdstorefs.policy.names import FixedNames


def test_the_text_and_the_model_say_the_same() -> None:
    """Rule for rule; and nothing is wrong with it."""
    loaded = load([DEFAULT], FixedNames())

    assert (default_policy(),) == loaded.policies
    assert () == loaded.diagnostics
    assert [] == check(loaded.policies)
