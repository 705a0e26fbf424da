"""Turning enforcement off takes a word: that a file has gone is none. Pure."""

from collections.abc import Sequence

from fdstorefs.policy.model import Policy
from fdstorefs.policy.vocabulary import Mode


def ends_unsaid(former: Sequence[Policy], now: Sequence[Policy]) -> bool:
    """Whether nothing would be refused any more, although nobody said so.

    What only monitors was there before and has stayed as it was; what enforced has gone. Somebody says so by a policy
    that is new and monitors, or by switching one that enforced.
    """
    monitored = {policy.name for policy in former if policy.mode is Mode.MONITOR}
    return (
        any(policy.mode is Mode.ENFORCE for policy in former)
        and all(policy.mode is Mode.MONITOR for policy in now)
        and all(policy.name in monitored for policy in now)
    )
