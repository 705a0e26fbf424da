"""What is looked up of a subject: once for a request, anew for one that goes on, and never when it may be gone."""

from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import NothingTold, Subject
from fdstorefs.policy.request import UNKNOWN
from fdstorefs.server.enforcement.facts import person
from fdstorefs.server.enforcement.subject_view import SubjectView
from tests.unit.enforcement.governed import EVE, Governed, User

BY_CGROUP = """\
version: 1
name: cgroup
rules:
  - {id: services, effect: allow, actions: [all], subject: {cgroup: [/system.slice]}}
"""


class Moving(NothingTold):
    """A process that moves to another cgroup each time that it is looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def cgroup(self) -> str:
        self.looks += 1
        return "/system.slice" if self.looks % 2 else "/user.slice"


def test_one_request_is_about_one_cgroup() -> None:
    """Seeing an entry and having it take two verdicts, and one look at the process."""
    governed, facts = Governed(BY_CGROUP), Moving()
    subject = Subject(EVE, EVE, 7, look_up=lambda: facts)
    governed.store.stash(subject, "x", governed.files(), User(EVE).stasher)
    governed.store.retrieve_many(subject, ["x"])

    assert facts.looks == 1


def test_what_goes_on_is_judged_by_what_has_become_of_the_process() -> None:
    """It has left the cgroup that was allowed to see the entry."""
    governed, facts = Governed(BY_CGROUP), Moving()
    subject = Subject(EVE, EVE, 7, look_up=lambda: facts)
    governed.store.stash(subject, "x", governed.files(), User(EVE).stasher)

    assert ["x"] == [path for path, _ in governed.store.walk(subject)]
    assert [] == [path for path, _ in governed.store.walk(subject.anew())]


def test_what_is_settled_is_not_looked_up_any_more() -> None:
    """What was known stays known; what was not asked in time is unknown, and a policy that asks denies."""
    governed, facts = Governed(BY_CGROUP), Moving()
    subject, asked = (Subject(EVE, EVE, 7, look_up=lambda: facts) for _ in range(2))
    governed.store.stash(asked, "x", governed.files(), User(EVE).stasher)
    for each in (asked, subject):
        each.settle()

    assert "/system.slice" == asked.cgroup
    assert SubjectView(subject).cgroup is UNKNOWN
    assert facts.looks == 1


def test_a_stasher_without_a_number_is_nobody() -> None:
    """The overflow uid stands for many: no rule that lists it is about him. It may be a user's own, too."""
    user = Stasher(7, 65534, 65534)
    stranger = Stasher(7, 65534, 65534, known=False)

    assert (65534, UNKNOWN) == (person(user).uid, person(stranger).uid)
