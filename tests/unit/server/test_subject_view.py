"""A policy sees of a subject what is known, and UNKNOWN for the rest."""

from fdstorefs.core.subject import NothingTold, Subject
from fdstorefs.policy import request
from fdstorefs.policy.request import UNKNOWN
from fdstorefs.server.enforcement.subject_view import SubjectView


class Told(NothingTold):
    """Facts that are all known; of groups and capabilities there are none."""

    def groups(self) -> frozenset[int]:
        return frozenset()

    def capabilities(self) -> int:
        return 0

    def userns(self) -> tuple[int, ...]:
        return (5, 4)

    def cgroup(self) -> str:
        return "/"


def values(subject: request.Subject) -> tuple[object, ...]:
    """All that a policy may ask for."""
    return subject.uid, subject.gids, subject.capabilities, subject.userns, subject.cgroup


def test_what_is_known_is_passed_on() -> None:
    """None at all, the number 0 and the root included."""
    assert (0, frozenset(), 0, (5, 4), "/") == values(SubjectView(Subject(0, 0, 7, look_up=Told)))


def test_what_cannot_be_told_is_unknown() -> None:
    """Never empty, and never 0."""
    assert (0, *[UNKNOWN] * 4) == values(SubjectView(Subject(0, 0, 7)))


def test_a_uid_that_has_no_number_here_is_unknown() -> None:
    """Two strangers would look alike."""
    assert UNKNOWN is SubjectView(Subject(65534, 0, 7, known=False)).uid
