"""However many files and names there are, each message to the enforcer is one that it takes."""

import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.core.guard import Named
from fdstorefs.core.node import Opener, Stasher
from fdstorefs.interface import MAX_MESSAGE
from fdstorefs.server.guarding import line as lines
from fdstorefs.server.guarding.enforcer import FILES_AT_ONCE, TOO_MANY_NAMES, Enforcer

SOMEBODY = Stasher(1, 2, 3, userns=(1,), capabilities=0)


class Paper(lines.Line):
    """A line that answers everything by itself, and keeps the messages. Each opener's uid is the descriptor."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def call(self, method: str, parameters: Any, descriptors: Any = (), patience: float = 0) -> Any:
        """Answer."""
        self.messages.append(lines._encoded(method, parameters))
        assert list(range(len(descriptors))) == [file["descriptor"] for file in parameters["files"]]
        return {"files": [answer(descriptor, [3, 2, 1]) for descriptor in descriptors]}


def answer(uid: int, userns: list[int]) -> dict[str, Any]:
    """About a file that was opened by this user."""
    return {"guarded": True, "opener": {"uid": uid, "gid": None, "capabilities": 1, "userns": userns}}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 20, 64]), max_size=150), st.sampled_from([1, 255, 4000]))
def test_each_file_has_its_own_answer(counts: list[int], length: int) -> None:
    """In order, also around one that has too many long names to be told of."""
    paper = Paper()
    named = Named("\udcff" * length, 1, None, SOMEBODY)
    answers = Enforcer(paper, (2,)).guard([(number, [named] * count) for number, count in enumerate(counts)])

    assert len(counts) == len(answers)
    for number, (count, told) in enumerate(zip(counts, answers, strict=True)):
        too_much = count * length * len(r"\udcff") > MAX_MESSAGE
        assert (TOO_MANY_NAMES if too_much else None) == told.why
        assert too_much or told.opener == Opener(number, None, 1, (3, 2))
    assert all(len(message) <= MAX_MESSAGE for message in paper.messages)
    assert len(paper.messages) >= len(counts) // FILES_AT_ONCE - sum(a.why is not None for a in answers)


def test_a_namespace_is_seen_from_the_instances() -> None:
    """None above its own, and of one that is elsewhere none above that."""
    enforcer = Enforcer(Paper(), (2,))
    seen = [enforcer._answer(answer(0, chain)).opener for chain in ([2, 1], [3, 2, 1], [4, 1], [1])]

    assert [(2,), (3, 2), (4,), (1,)] == [opener.userns for opener in seen if opener is not None]


def test_nothing_is_asked_about_nothing() -> None:
    """No message goes out."""
    paper = Paper()

    assert [] == Enforcer(paper, (os.getpid(),)).guard([])
    assert [] == paper.messages
