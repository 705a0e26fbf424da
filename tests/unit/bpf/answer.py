"""What is compared: a verdict on a delivery, whoever made it."""

from typing import NamedTuple

from fdstorefs.bpf.abi import Reason


class Answer(NamedTuple):
    """A verdict. `place`: that of the class that decided, in its set; None if none did. `terms`: those that decided."""

    allowed: bool
    decided: bool
    reason: Reason
    place: int | None
    terms: int


def refusal(reason: Reason) -> Answer:
    """A denial that no class decided."""
    return Answer(allowed=False, decided=False, reason=reason, place=None, terms=0)
