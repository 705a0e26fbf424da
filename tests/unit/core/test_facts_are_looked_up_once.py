"""Facts about a subject are looked up when a decision asks for them, each once."""

from fdstorefs.core.subject import NOTHING_TOLD, ProcessDetails, Subject

DETAILS = ProcessDetails(
    pid=7,
    tid=8,
    start_time=9,
    comm="web",
    exe="/bin/web",
    uids=(1, 1, 1, 1),
    gids=(2, 2, 2, 2),
    groups=(3,),
    cap_effective=4,
    userns=(10,),
    mntns=11,
    cgroup="/web",
    cgroup_id=12,
    read_at=13,
)


class Asked:
    """Facts that remember what they were asked."""

    def __init__(self) -> None:
        self.questions: list[str] = []

    def __call__(self) -> "Asked":
        self.questions.append("who")
        return self

    def groups(self) -> frozenset[int] | None:
        self.questions.append("groups")
        return frozenset({2, 3})

    def capabilities(self) -> int | None:
        self.questions.append("capabilities")
        return None

    def userns(self) -> tuple[int, ...] | None:
        self.questions.append("userns")
        return (10,)

    def cgroup(self) -> str | None:
        self.questions.append("cgroup")
        return None

    def details(self) -> ProcessDetails | None:
        self.questions.append("details")
        return DETAILS


def test_ids_alone_ask_nothing() -> None:
    """What the request itself says is there."""
    asked = Asked()
    subject = Subject(1, 2, 7, look_up=asked)

    assert (True, False, True) == (subject.owns(1), subject.owns(2), subject.in_group(2))
    assert [] == asked.questions


def test_each_is_asked_for_once_even_if_it_is_unknown() -> None:
    """And none but those that are needed."""
    asked = Asked()
    subject = Subject(1, 2, 7, look_up=asked)
    for _ in range(2):
        assert (None, None, (10,)) == (subject.capabilities, subject.cgroup, subject.userns)
    subject.capable(0)

    assert ["who", "capabilities", "cgroup", "userns"] == asked.questions


def test_groups_are_asked_for_where_the_first_is_not_the_one() -> None:
    """A supplementary group counts."""
    asked = Asked()
    subject = Subject(1, 2, 7, look_up=asked)

    assert (True, False) == (subject.in_group(3), subject.in_group(4))
    assert ["who", "groups"] == asked.questions


def test_the_mode_bits_count_what_is_known() -> None:
    """What cannot be told is not there."""
    subject = Subject(1, 2, 7, look_up=Asked())

    assert frozenset({2, 3}) == subject.groups
    assert not subject.capable(0)
    assert not subject.capable(1)


def test_of_whom_nothing_is_told_all_is_unknown() -> None:
    """Unknown is not the same as none."""
    subject = Subject(1, 2)

    assert (None, None) == (subject.groups, subject.capabilities)
    assert (None, None, None) == (subject.userns, subject.cgroup, subject.details())
    assert NOTHING_TOLD.details() is None


def test_details_are_passed_on() -> None:
    """For the audit log, as they were read."""
    assert DETAILS is Subject(1, 2, 7, look_up=Asked()).details()


def test_a_subject_looked_at_anew_asks_again() -> None:
    """For a request that goes on for long: what was found before is not kept."""
    asked = Asked()
    subject = Subject(1, 2, 7, look_up=asked)

    assert subject.in_group(3)
    assert subject.anew().in_group(3)
    assert ["who", "groups", "who", "groups"] == asked.questions
