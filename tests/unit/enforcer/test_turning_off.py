"""Enforcement is not turned off by files that go."""

import pytest

from fdstorefs.enforcer.turning_off import ends_unsaid
from fdstorefs.policy.default import default_policy
from fdstorefs.policy.model import Policy
from fdstorefs.policy.vocabulary import Mode

ENFORCES, WATCHES = Policy("a"), Policy("b", mode=Mode.MONITOR)
SWITCHED = Policy("a", mode=Mode.MONITOR)
NEW = Policy("c", mode=Mode.MONITOR)
DEFAULT = default_policy()


@pytest.mark.parametrize(
    ("former", "now", "unsaid"),
    [
        ([ENFORCES, WATCHES], [WATCHES], True),
        ([ENFORCES, WATCHES], [SWITCHED, WATCHES], False),
        ([ENFORCES, WATCHES], [WATCHES, NEW], False),
        ([ENFORCES, WATCHES], [DEFAULT], False),
        ([ENFORCES], [ENFORCES, WATCHES], False),
        ([DEFAULT], [WATCHES], False),
        ([WATCHES], [WATCHES], False),
        ([SWITCHED, WATCHES], [WATCHES], False),
    ],
    ids=[
        "the one that enforced has gone",
        "it was switched",
        "a new one says monitor",
        "the default enforces",
        "it still enforces",
        "the first policy monitors",
        "nothing enforced before",
        "nothing enforced before, and one went",
    ],
)
def test_who_has_to_say_it(former: list[Policy], now: list[Policy], unsaid: bool) -> None:
    """A policy that is new or was switched says it; one that has gone does not."""
    assert unsaid == ends_unsaid(former, now)
