"""The kernel's records, as records of the audit log. Ids are the host's."""

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from fdstorefs.audit.decision import Decision, EntryMark, Opener, PolicyMark, Reason
from fdstorefs.audit.log import AuditLog
from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import KNOWS_CAPABILITIES, KNOWS_UID, KNOWS_USERNS, Event, Hook
from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import NothingTold, ProcessDetails, Subject
from fdstorefs.enforcer.book import GuardedFile
from fdstorefs.enforcer.instance import Instance
from fdstorefs.host.task import Task
from fdstorefs.policy.request import EntryFacts, Unsettled
from fdstorefs.policy.vocabulary import Action
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.kernel_facts import Home, told

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Records that are taken from the ring before others get their turn."""

TICK_NS: Final = 10_000_000
"""A clock tick as /proc counts them."""

_ACTIONS: Final = {
    Hook.RECEIVE: Action.RETRIEVE.word,
    Hook.OPENED: Action.RETRIEVE.word,
    Hook.CONNECTED: "connect",
    Hook.REACHED_INTO: "reach-into",
    Hook.BPF_USED: "use-bpf",
    Hook.TAGGED: Action.STASH.word,
}
_REASONS: Final = {
    abi.Reason.BY_RULE: Reason.RULE,
    abi.Reason.BY_FORBID: Reason.FORBIDDEN,
    abi.Reason.BY_NO_RULE: Reason.NO_RULE,
    abi.Reason.UNCLASSIFIED: Reason.UNCLASSIFIED,
    abi.Reason.STRANGE_CGROUP: Reason.UNCLASSIFIED,
    abi.Reason.STALE: Reason.STALE_GENERATION,
    abi.Reason.MISSING: Reason.MISSING_TABLE,
    abi.Reason.OVERFLOW: Reason.OVERFLOW,
    abi.Reason.PROTECTED: Reason.PROTECTED,
    abi.Reason.OWN_OBJECT: Reason.OWN_OBJECT,
    abi.Reason.NO_ROOM: Reason.NO_ROOM,
}


class Source(Protocol):
    """Where records come from."""

    def read(self, most: int) -> list[Event]:
        """The next records, at most so many."""


class Lookup(Protocol):
    """What is known of the numbers in a record."""

    def instance(self, number: int) -> Instance | None:
        """An instance."""

    def in_force(self, number: int, generation: int) -> InForce | None:
        """The policies that were in force in an instance in that generation."""

    def file(self, classes: int) -> GuardedFile | None:
        """A guarded file, by its class set."""


class KernelLog:
    """Puts what the kernel decided on record. `strange_cgroup` is told of cgroups that have no class yet.

    `lost` is how many records the kernel had no room for, ever, and `reported` how many of these are on record.
    """

    def __init__(
        self,
        audit: AuditLog,
        lookup: Lookup,
        strange_cgroup: Callable[[int], None],
        lost: Callable[[], int],
        home: Home,
        reported: int,
    ) -> None:
        """`reported` is what a former enforcer has: what was lost since, while none ran, nobody else will tell of."""
        self.reported = reported
        self._audit = audit
        self._lookup = lookup
        self._strange_cgroup = strange_cgroup
        self._lost = lost
        self._home = home
        self._numbers = itertools.count(1)

    def read(self, source: Source) -> None:
        """Take some records."""
        events = source.read(AT_ONCE)
        self._count_losses()
        for event in events:
            try:
                self._take(event)
            except Exception:
                # Those after it are on record nevertheless.
                log.exception("a record of the kernel could not be taken")
                self._audit.missed(1)

    def _count_losses(self) -> None:
        lost = self._lost()
        # The kernel counts anew after enforcement was switched off.
        missed = lost if lost < self.reported else lost - self.reported
        if missed:
            log.warning("%d records of the kernel found no room", missed)
            self._audit.missed(missed)
        self.reported = lost

    def _take(self, event: Event) -> None:
        if event.reason == abi.Reason.STRANGE_CGROUP:
            self._strange_cgroup(event.cgroup)
        if self._audit.enabled:
            self._audit.verdict(self.decision(event))

    def decision(self, event: Event) -> Decision:
        """What a record says, with what is known of its numbers, and of the process if it is still there."""
        instance = self._lookup.instance(event.instance)
        in_force = self._lookup.in_force(event.instance, event.generation)
        details = details_of(event, self._home)
        subject = Subject(event.uid, event.gid, event.tgid, look_up=lambda: Seen(details), via="kernel")
        boottime = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        names = _names(event, self._lookup.file(event.classes))
        decision = Decision(
            next(self._numbers),
            time.time_ns() - (boottime - event.time),
            event.time,
            _ACTIONS.get(Hook(event.hook), "retrieve"),
            event.allowed,
            event.decided,
            _REASONS.get(abi.Reason(event.reason), Reason.ERROR),
            rules_of(event, in_force),
            subject,
            names[0],
            mark_of(in_force),
            "kernel",
        )
        decision.also = names[1:]
        decision.source = "kernel"
        decision.mount = "" if instance is None else instance.mount
        decision.target = event.target
        decision.opener = _opener(event.opener)
        decision.details = details
        return decision


class Seen(NothingTold):
    """The facts about a process that was looked at already."""

    def __init__(self, details: ProcessDetails) -> None:
        self._details = details

    def details(self) -> ProcessDetails:
        """As it was."""
        return self._details


def details_of(event: Event, home: Home) -> ProcessDetails:
    """The process as it was: as the kernel noted it, with what else is told of it now, if that still goes with it."""
    now = told(lambda: _details_now(event, home))
    noted = ProcessDetails(
        pid=event.tgid,
        tid=event.tid,
        start_time=event.start // TICK_NS,
        comm=event.comm.decode(errors="replace"),
        exe=None,
        uids=None,
        gids=None,
        groups=None,
        cap_effective=event.capabilities,
        userns=(event.userns,),
        mntns=None,
        cgroup=None,
        cgroup_id=event.cgroup or None,
        read_at=event.time,
    )
    return noted if now is None else _completed(noted, now, event)


def _details_now(event: Event, home: Home) -> ProcessDetails | None:
    task = Task(event.tgid)
    userns = home.userns_of(task)
    found = home.details(task, task.status(), tuple(userns))
    # The start time is read again after everything else: what came before it is the same process's.
    _, start = task.name_and_start()
    return found if start == found.start_time == event.start // TICK_NS else None


def _completed(noted: ProcessDetails, now: ProcessDetails, event: Event) -> ProcessDetails:
    """Whoever was denied something can have executed another program, or changed its ids or its cgroup, since."""
    is_same_user = (event.uid, event.euid, event.gid) == (*(now.uids or ())[:2], *(now.gids or ())[:1])
    is_same_namespace = now.userns is not None and now.userns[0] == event.userns
    return replace(
        noted,
        exe=now.exe if event.comm in _names_of_programs(now, event) else None,
        uids=now.uids if is_same_user else None,
        gids=now.gids if is_same_user else None,
        groups=now.groups if is_same_user else None,
        userns=now.userns if is_same_namespace else noted.userns,
        mntns=now.mntns if is_same_namespace else None,
        cgroup=now.cgroup if now.cgroup_id == event.cgroup else None,
        read_at=now.read_at,
    )


def _names_of_programs(now: ProcessDetails, event: Event) -> set[bytes]:
    """As the process is called, and the thread that asked, which may have a name of its own."""
    names = {now.comm, told(lambda: _name_of_thread(event)) or now.comm}
    return {name.encode(errors="surrogateescape") for name in names}


def _name_of_thread(event: Event) -> str | None:
    task = Task(event.tid)
    name, _ = task.name_and_start()
    return name if task.status().tgid == event.tgid else None


def rules_of(event: Event, in_force: InForce | None) -> tuple[str, ...]:
    """The rules that decided; none if that generation is not known any more."""
    if in_force is None or not event.terms:
        return ()
    rule_of = in_force.tables.rule_of
    terms = (number for number in range(len(rule_of)) if event.terms >> number & 1)
    return tuple(dict.fromkeys(rule_of[number] for number in terms))


def mark_of(in_force: InForce | None) -> PolicyMark | None:
    """The policies of a record."""
    return None if in_force is None else in_force.mark


def _names(event: Event, file: GuardedFile | None) -> tuple[EntryMark, ...]:
    device, inode = event.device or None, event.inode or None
    if file is None:
        return (EntryMark("", device=device, inode=inode),)
    return tuple(_mark(facts, device, inode) for facts in file.names)


def _mark(facts: EntryFacts, device: int | None, inode: int | None) -> EntryMark:
    return EntryMark(
        facts.path,
        kind=_known(facts.kind),
        device=device,
        inode=inode,
        access=_known(facts.access),
        filesystem=_known(facts.filesystem),
        label=facts.label,
        stasher=_stasher(facts),
        guarded=True,
    )


def _known(value: str | Unsettled) -> str | None:
    return None if isinstance(value, Unsettled) else value


def _stasher(facts: EntryFacts) -> Stasher | None:
    who = facts.stasher
    if isinstance(who.uid, Unsettled):
        return None
    capabilities = None if isinstance(who.capabilities, Unsettled) else who.capabilities
    userns = None if isinstance(who.userns, Unsettled) else who.userns
    return Stasher(0, who.uid, 0, None, userns, capabilities)


def _opener(who: abi.Person) -> Opener | None:
    if not who.known:
        return None
    return Opener(
        uid=who.uid if who.known & KNOWS_UID else None,
        gid=who.gid if who.known & KNOWS_UID else None,
        capabilities=who.capabilities if who.known & KNOWS_CAPABILITIES else None,
        userns=(who.userns,) if who.known & KNOWS_USERNS else None,
    )
