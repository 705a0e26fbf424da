"""Decisions to put on record, about subjects of which only the details are told."""

from typing import Any

from fdstorefs.audit.decision import Decision, EntryMark, PolicyMark, Reason
from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import NOTHING_TOLD, NothingTold, ProcessDetails, Subject

RUN = "0123456789abcdef"
KEY = bytes(16)
INSTANCE = "/run/fdstore"
TIME = 1_795_241_234_123_456_789
POLICY = PolicyMark(("web-tier",), "ab" * 32, 3)
STASHER = Stasher(1, 0, 0, "put")
ENTRY = EntryMark("listen/http", 7, "socket", 9, 4411, "rw", "sockfs", "blue", STASHER, True)
DETAILS = ProcessDetails(
    pid=4242,
    tid=4243,
    start_time=123_456,
    comm="nginx",
    exe="/usr/sbin/nginx",
    uids=(33, 33, 33, 33),
    gids=(33, 33, 33, 33),
    groups=(33, 4),
    cap_effective=1 << 10,
    userns=(4_026_531_837,),
    mntns=4_026_531_841,
    cgroup="/system.slice/nginx.service",
    cgroup_id=8812,
    read_at=99,
)


class Living(NothingTold):
    """Facts about a process of which only the details are told, as long as it lives."""

    def __init__(self, details: ProcessDetails = DETAILS) -> None:
        self.told: ProcessDetails | None = details
        self.asked = 0

    def details(self) -> ProcessDetails | None:  # type: ignore[override]  # nothing told is what it begins with
        self.asked += 1
        return self.told


def subject(facts: NothingTold = NOTHING_TOLD, pid: int = 4242, uid: int = 33) -> Subject:
    """A subject with these facts."""
    return Subject(uid, uid, pid, look_up=lambda: facts)


def decision(number: int = 1, *, facts: NothingTold | None = None, **changes: Any) -> Decision:
    """An allowed retrieve, with some fields changed."""
    fields: dict[str, Any] = {
        "time": TIME + number,
        "boottime": 1000 + number,
        "action": "retrieve",
        "verdict": True,
        "decided": True,
        "reason": Reason.RULE,
        "rules": ("web-takes-listeners",),
        "subject": subject(facts if facts is not None else Living()),
        "entry": ENTRY,
        "policy": POLICY,
        "details": DETAILS,
    }
    return Decision(number, **(fields | changes))


def denial(number: int = 1, **changes: Any) -> Decision:
    """A denied retrieve."""
    return decision(
        number, **({"verdict": False, "decided": False, "reason": Reason.NO_RULE, "rules": ()} | changes)
    )
