"""What the kernel decided is on record with the names that its numbers stand for."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fdstorefs.audit.decision import Reason
from fdstorefs.audit.format import Formatter
from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.schema import schema_text
from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Event, Hook
from fdstorefs.bpf.abi import Person as Who
from fdstorefs.core.subject import ProcessDetails, Userns
from fdstorefs.enforcer.book import GuardedFile
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_log import TICK_NS, KernelLog
from fdstorefs.host.task import Status, Task
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.kernel_facts import Home
from fdstorefs.server.loop import Loop
from tests.unit.enforcer.enforced import Enforced, name

NOBODY = 2**22 + 1
"""No process has this number: it is above the highest."""

EVENT = Event(
    time=5,
    lost=0,
    hook=Hook.RECEIVE,
    reason=abi.Reason.BY_NO_RULE,
    allowed=False,
    decided=False,
    generation=1,
    instance=1,
    classes=0,
    class_=0,
    tgid=NOBODY,
    tid=NOBODY,
    uid=1000,
    euid=1000,
    gid=1001,
    userns=7,
    target=0,
    capabilities=3,
    cgroup=42,
    start=123 * TICK_NS + 5,
    opener=Who(uid=5, gid=6, capabilities=1, userns=7, known=abi.KNOWS_UID | abi.KNOWS_USERNS),
    device=8,
    inode=9,
    mode=0,
    open_flags=0,
    magic=0,
    comm=b"evil\xff",
    terms=0,
)


CURSED = 13
"""A cgroup that cannot be looked for."""


class HomeWithCgroups(Home):
    """As of a host on which everybody is in one cgroup."""

    def details(self, task: Task, status: Status, userns: Userns | None) -> ProcessDetails:
        return replace(super().details(task, status, userns), cgroup="/web", cgroup_id=EVENT.cgroup)


class Logged:
    """A log that keeps what it is given."""

    def __init__(self, enforced: Enforced) -> None:
        self.enforced = enforced
        self.lost = 0
        self.strange: list[int] = []
        self.audit = AuditLog(Formatter("host", "0" * 16), [], Loop())
        self.events = [replace(EVENT, reason=abi.Reason.STRANGE_CGROUP)]
        self.log = self.after(0)

    def after(self, reported: int) -> KernelLog:
        """The log of an enforcer whose predecessor has told of so many losses."""
        return KernelLog(self.audit, self, self._look_for, lambda: self.lost, HomeWithCgroups(), reported)

    def _look_for(self, cgroup: int) -> None:
        if cgroup == CURSED:
            raise ValueError("a mistake")
        self.strange.append(cgroup)

    def instance(self, number: int) -> Instance | None:
        return self.enforced.registry.get(number)

    def in_force(self, number: int, generation: int) -> InForce | None:
        return self.enforced.enforcement.in_force_then(number, generation)

    def file(self, classes: int) -> GuardedFile | None:
        return self.enforced.book.get(classes)

    def read(self, most: int) -> list[Event]:
        return self.events

    def record(self, event: Event) -> dict[str, Any]:
        """The record of an event."""
        decision = self.log.decision(event)
        text = Formatter("host", "0" * 16).verdict(decision, 0)
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture
def myself() -> Event:
    """What the kernel notes of this very process."""
    task = Task(os.getpid())
    status, (comm, start), home = task.status(), task.name_and_start(), Home()
    return replace(
        EVENT,
        tgid=os.getpid(),
        tid=os.getpid(),
        start=start * TICK_NS + 7,
        comm=comm.encode(),
        uid=status.uids[0],
        euid=status.uids[1],
        gid=status.gids[0],
        userns=home.userns[0],
        capabilities=status.cap_effective,
    )


@pytest.fixture
def logged(enforced: Enforced) -> Logged:
    """A log of what the fake kernel says."""
    return Logged(enforced)


def test_numbers_become_names(enforced: Enforced, logged: Logged) -> None:
    """Instance, rules and policies, and all names of the file."""
    instance, fd = enforced.admit("/run/fds"), enforced.open_file()
    enforced.guard(instance, fd, name("web/a", 5), name("b", 6))
    made = enforced.set_of(instance, fd)
    assert made is not None

    record = logged.record(replace(EVENT, classes=made, terms=0b10, reason=abi.Reason.BY_FORBID))

    assert ("/run/fds", ["web"], ["p"]) == (record["instance"], record["rules"], record["policy"]["names"])
    assert ("web/a", "memfd", True) == tuple(record["entry"][key] for key in ("name", "kind", "guarded"))
    assert ["b"] == [each["name"] for each in record["also"]]
    assert ("kernel", "retrieve", "deny", "forbidden") == tuple(
        record[key] for key in ("source", "action", "verdict", "reason")
    )


def test_what_is_not_known_is_left_out(logged: Logged) -> None:
    """The record is made nevertheless."""
    record = logged.record(EVENT)

    assert ("host", [], "") == (record["instance"], record["rules"], record["entry"]["name"])
    assert "policy" not in record


def test_who_has_gone_is_as_the_kernel_saw_him(logged: Logged) -> None:
    """By what it noted."""
    subject = logged.record(EVENT)["subject"]

    assert (NOBODY, 1000, 1001, 123) == tuple(subject[key] for key in ("pid", "uid", "gid", "start_time"))
    assert ("evil\ufffd", 42, "0000000000000003") == tuple(
        subject[key] for key in ("comm", "cgroup_id", "capabilities")
    )
    assert "exe" not in subject


def test_who_is_there_is_looked_up(logged: Logged, myself: Event) -> None:
    """If he began when the kernel says that he did."""
    assert os.readlink("/proc/self/exe") == logged.record(myself)["subject"]["exe"]
    assert "exe" not in logged.record(replace(myself, start=myself.start + TICK_NS))["subject"]


def test_who_has_become_another_is_told_as_he_was(logged: Logged, myself: Event) -> None:
    """What the kernel noted counts; what it did not, and what may have changed with that, is left out."""
    was = replace(myself, comm=b"evil", capabilities=5, cgroup=43, userns=7, tid=NOBODY, euid=4711)

    subject = logged.record(was)["subject"]

    assert ("evil", "0000000000000005", 43, [7], NOBODY) == tuple(
        subject.get(key) for key in ("comm", "capabilities", "cgroup_id", "userns", "tid")
    )
    assert not {"exe", "cgroup", "uids", "gids", "groups", "mntns"} & subject.keys()


@pytest.mark.parametrize(
    ("noted", "gone"),
    [
        ({"comm": b"other"}, {"exe"}),
        ({"cgroup": 2**63}, {"cgroup"}),
        ({"uid": 4711}, {"uids", "gids", "groups"}),
        ({"gid": 4711}, {"uids", "gids", "groups"}),
    ],
)
def test_what_has_not_changed_is_told(
    logged: Logged, myself: Event, noted: dict[str, Any], gone: set[str]
) -> None:
    """Only what hangs on what has is left out."""
    whole = logged.record(myself)["subject"].keys()

    assert gone == whole - logged.record(replace(myself, **noted))["subject"].keys()


def test_a_thread_may_have_a_name_of_its_own(logged: Logged, myself: Event) -> None:
    """It is the process's program nevertheless."""
    named, done = threading.Event(), threading.Event()

    def wait() -> None:
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("worker")
        named.set()
        done.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    named.wait()
    assert thread.native_id is not None
    try:
        subject = logged.record(replace(myself, comm=b"worker", tid=thread.native_id))["subject"]
    finally:
        done.set()
        thread.join()

    assert ("worker", thread.native_id, os.readlink("/proc/self/exe")) == tuple(
        subject[key] for key in ("comm", "tid", "exe")
    )


@pytest.mark.parametrize("reason", list(abi.Reason))
def test_each_reason_has_a_word(logged: Logged, reason: abi.Reason) -> None:
    """And none of them is that something failed."""
    assert Reason.ERROR is not logged.log.decision(replace(EVENT, reason=reason)).reason


@pytest.mark.parametrize("hook", list(Hook))
def test_each_hook_has_an_action(logged: Logged, hook: Hook) -> None:
    """That the schema knows."""
    assert f'"{logged.record(replace(EVENT, hook=hook))["action"]}"' in schema_text()


def test_the_time_is_when_it_happened(logged: Logged) -> None:
    """On both clocks."""
    ago = 3_000_000_000
    event = replace(EVENT, time=time.clock_gettime_ns(time.CLOCK_BOOTTIME) - ago)

    decision = logged.log.decision(event)

    assert event.time == decision.boottime
    assert ago <= time.time_ns() - decision.time < ago + 60_000_000_000


def test_a_strange_cgroup_is_looked_for(logged: Logged) -> None:
    """At once."""
    logged.log.read(logged)

    assert [42] == logged.strange


def test_losses_are_counted(logged: Logged) -> None:
    """Once, and those that there were while no enforcer ran too."""
    logged.lost = 7

    logged.log.read(logged)
    logged.log.read(logged)

    assert (7, 7) == (logged.audit.lost, logged.log.reported)


@pytest.mark.parametrize(("reported", "missed"), [(5, 2), (7, 0), (9, 7)])
def test_what_a_former_enforcer_has_told_of_is_not_told_again(
    logged: Logged, reported: int, missed: int
) -> None:
    """Unless the kernel has begun to count anew meanwhile."""
    logged.lost = 7
    log = logged.after(reported)

    log.read(logged)

    assert (missed, 7) == (logged.audit.lost, log.reported)


def test_one_that_cannot_be_taken_costs_no_other(logged: Logged) -> None:
    """It is counted as missed."""
    strange = replace(EVENT, reason=abi.Reason.STRANGE_CGROUP)
    logged.events = [strange, replace(strange, cgroup=CURSED), strange]

    logged.log.read(logged)

    assert ([42, 42], 1) == (logged.strange, logged.audit.lost)
