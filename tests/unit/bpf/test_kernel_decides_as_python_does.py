"""The decision in the kernel and the one in Python are the same on more than 100,000 deliveries: verdict and terms.

`python -m tests.unit.bpf.agree --cases 1000000` looks at others.
"""

from collections import Counter

import pytest

from fdstorefs.bpf.abi import Reason
from tests.unit.bpf.agree import GROUPS, Group, agree

pytestmark = pytest.mark.usefixtures("kernel")

CASES = 100_000
OUTCOMES = {Reason.BY_RULE, Reason.BY_FORBID, Reason.BY_NO_RULE, Reason.STRANGE_CGROUP}


def cases_of(group: Group) -> int:
    """The group's share."""
    return round(CASES * group.weight / sum(each.weight for each in GROUPS)) + 1


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_for_any_policy_file_and_subject(group: Group) -> None:
    """For policies of many sizes, those about the size of words too, and the most terms there can be."""
    reasons = agree(group, cases_of(group))

    assert reasons.total() >= cases_of(group)


def test_there_are_enough_cases() -> None:
    """All groups together are at least 100,000."""
    assert sum(cases_of(group) for group in GROUPS) >= CASES


def test_each_outcome_is_among_the_cases() -> None:
    """And often, so that both ways to be wrong would show; nothing is missing where nothing should be."""
    reasons = sum((agree(group, 2000, first=500) for group in GROUPS[3:6]), Counter[Reason]())

    assert OUTCOMES == {reason for reason, times in reasons.items() if times > 100}
    assert OUTCOMES == set(reasons)
