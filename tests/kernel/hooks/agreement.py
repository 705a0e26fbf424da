"""Generated deliveries made real: files that somebody has opened, processes that receive them, and what came of it.

The cases are those of tests/unit/bpf/deliveries.py, but their user namespaces and control groups exist, and of a
subject only that can be so which a process can be. What the kernel decides is seen twice: whether the descriptor
arrives, and what the record says.
"""

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Chain, ClassSet, Event, Hook, InstanceRecord, Key, Reason, Row
from fdstorefs.bpf.kernel import Kernel
from fdstorefs.bpf.rows import IdMap, TableSet, alternatives
from fdstorefs.policy.decide import Evaluator
from fdstorefs.policy.request import UNKNOWN, EntryFacts, Person, SubjectFacts, Unknown, Userns
from tests.kernel import cgroups
from tests.kernel.actor import Actor
from tests.kernel.hooks import becoming
from tests.kernel.hooks.instance import INITIAL, PROFILE
from tests.unit.bpf.agree import expected_answer
from tests.unit.bpf.answer import Answer
from tests.unit.bpf.deliveries import Lot
from tests.unit.bpf.expected import Names
from tests.unit.bpf.questions import Cgroups
from tests.unit.policy.case import shown
from tests.unit.policy.generated import NAMESPACES
from tests.unit.policy.generated_requests import SOME_IDS

Start = Callable[..., Actor]

GONE = (1, INITIAL)
"""A namespace that is no more: only who stashed can have been in it."""
FILES_EACH = 8
ALL_CAPABILITIES = (1 << 41) - 1
OWNER = 0
"""Who made all namespaces: in the initial one he has all capabilities over them, whatever he has else."""
OWNERS = 0.2
"""How many of those who ask in such a namespace are he, of whom the generator does not know."""
STRANGERS = (7, 12345, 70000)
"""Ids, one of which is none of the instance's if it has not got all there are."""


class Disagreement(AssertionError):
    """A process gets what Python would not let it have, or the other way round, or for another reason."""


class Namespaces:
    """Those that the generator speaks of, by its names, each held by a process."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._holders: dict[int, Actor] = {}
        self._chains: dict[int, Userns] = {1: (INITIAL,), 9: GONE}
        for name, *above in NAMESPACES:
            if above:
                self._make(name, above[0])

    def _make(self, name: int, parent: int) -> None:
        holder, above = self._start(), self._holders.get(parent)
        if above is None:
            number = holder.call(becoming.enter_new_namespace)
            becoming.give_it_every_id(holder.pid)
        else:
            holder.call(becoming.become, above.pid, 0, [0], ALL_CAPABILITIES)
            number = holder.call(becoming.enter_new_namespace)
            above.call(becoming.give_it_every_id, holder.pid)
        self._holders[name] = holder
        self._chains[name] = (number, *self._chains[parent])

    @property
    def inhabited(self) -> Sequence[Userns]:
        """Those that there are processes in."""
        return [chain for chain in self._chains.values() if chain is not GONE]

    def chain(self, generated: Userns) -> Userns:
        """What stands for one of the generator's."""
        return self._chains[generated[0]]

    def holder(self, chain: Userns) -> Actor | None:
        """The process in a namespace; None for the initial one."""
        return next((holder for name, holder in self._holders.items() if self._chains[name] == chain), None)

    def opened(self, chain: Userns) -> list[int]:
        """Descriptors of files that were opened there."""
        holder = self.holder(chain)
        if holder is None:
            return [os.memfd_create("ours") for _ in range(FILES_EACH)]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            holder.call(becoming.open_some, FILES_EACH, descriptors=(theirs.fileno(),))
            return list(socket.recv_fds(ours, 8, FILES_EACH)[1])


@dataclass(frozen=True)
class Living:
    """What a process has to be for these facts about it to be true. Ids are the kernel's."""

    facts: SubjectFacts
    userns: Userns
    uid: int
    gids: tuple[int, ...]
    capabilities: int
    cgroup: str


class Casting:
    """Finds for generated facts what can be."""

    def __init__(self, lot: Lot, namespaces: Namespaces, random: Random) -> None:
        self._lot = lot
        self._namespaces = namespaces
        self._random = random
        self.instance = namespaces.chain(lot.instance)
        self._cgroups = [each.cgroup for each in lot.subjects if isinstance(each.cgroup, str)] or ["/"]

    def living(self, wanted: SubjectFacts) -> Living:
        """Somebody as much like this as a process can be."""
        lot, random = self._lot, self._random
        userns, uid = self._inhabited(wanted.userns), self._id(lot.uids, wanted.uid)
        if self.instance != (INITIAL,) and random.random() < OWNERS:
            userns, uid = (INITIAL,), OWNER
        groups = wanted.gids if isinstance(wanted.gids, frozenset) else {random.choice(SOME_IDS)}
        gids = tuple(self._id(lot.gids, group) for group in sorted(groups)) or (self._id(lot.gids, UNKNOWN),)
        own = wanted.capabilities if isinstance(wanted.capabilities, int) else 0
        cgroup = wanted.cgroup if isinstance(wanted.cgroup, str) else random.choice(self._cgroups)
        known = (lot.gids.to_instance(gid) for gid in gids)
        facts = SubjectFacts(
            uid=_or_unknown(lot.uids.to_instance(uid)),
            gids=frozenset(gid for gid in known if gid is not None),
            capabilities=self._over_instance(userns, uid, own),
            userns=userns,
            cgroup=cgroup,
        )
        return Living(facts, userns, uid, gids, own, cgroup)

    def names(self, names: Iterable[EntryFacts], opened_in: Userns) -> tuple[EntryFacts, ...]:
        """The names of a file that was opened there."""
        return tuple(
            replace(name, stasher=self._stasher(name.stasher), opener=replace(name.opener, userns=opened_in))
            for name in names
        )

    def _stasher(self, stasher: Person) -> Person:
        if not isinstance(stasher.userns, tuple):
            return stasher
        return replace(stasher, userns=self._namespaces.chain(stasher.userns))

    def _inhabited(self, wanted: Userns | Unknown) -> Userns:
        chain = self._namespaces.chain(wanted) if isinstance(wanted, tuple) else GONE
        return self._random.choice(self._namespaces.inhabited) if chain is GONE else chain

    def _id(self, ids: IdMap, wanted: int | Unknown) -> int:
        """The kernel's number; for an unknown one another that the instance does not know, if there are such."""
        host = ids.to_host(wanted) if isinstance(wanted, int) else None
        strangers = [number for number in STRANGERS if ids.to_instance(number) is None]
        if host is None:
            return self._random.choice(strangers or STRANGERS)
        return host

    def _over_instance(self, userns: Userns, uid: int, own: int) -> int:
        if userns == self.instance:
            return own
        if userns[0] not in self.instance:
            return 0
        return ALL_CAPABILITIES if uid == OWNER else own


def _or_unknown(number: int | None) -> int | Unknown:
    return UNKNOWN if number is None else number


class Stage:
    """Namespaces and files for many lots. A context manager; `start` makes processes, which it ends."""

    def __init__(self, kernel: Kernel, start: Start) -> None:
        self.kernel = kernel
        self.start = start
        self.namespaces = Namespaces(start)
        self._stack = ExitStack()
        self.files = {chain: self.namespaces.opened(chain) for chain in self.namespaces.inhabited}
        for fd in (fd for files in self.files.values() for fd in files):
            self._stack.callback(os.close, fd)

    def __enter__(self) -> "Stage":
        self.kernel.set_record_allowed(True)
        self._stack.callback(self.kernel.set_record_allowed, False)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def authorised(self, instance: Userns) -> dict[Userns, list[int]]:
        """The files, by where they were opened, that an instance there may have guarded."""
        return {chain: list(files) for chain, files in self.files.items() if instance[0] in chain}


@dataclass(frozen=True)
class Tagged:
    """A file in the kernel's tables, with the numbers of its classes."""

    fd: int
    inode: int
    names: tuple[EntryFacts, ...]
    classes: tuple[int, ...]
    class_set: int


class Played:
    """A lot, in force: every file goes to every subject."""

    def __init__(self, lot: Lot, stage: Stage, random: Random) -> None:
        self._stage = stage
        self._kernel = stage.kernel
        self._casting = Casting(lot, stage.namespaces, random)
        self._living = [self._casting.living(each) for each in lot.subjects]
        self._lot = replace(
            lot, instance=self._casting.instance, subjects=[each.facts for each in self._living]
        )
        self._cgroups = Cgroups(self._lot)
        self._evaluator = Evaluator(lot.tables, self._lot.instance)
        self.number = stage.kernel.numbers.next_instance()
        self._rows = TableSet(self.number, lot.tables, lot.uids, lot.gids, PROFILE)

    def reasons(self) -> Iterator[Reason]:
        """Of every verdict, each of which is the one that Python gives; raises Disagreement."""
        with ExitStack() as stack:
            stack.callback(self._remove_cgroups)
            numbers = self._make_cgroups()
            self._kernel.put_instance(self.number, self._record())
            stack.callback(self._kernel.remove_instance, self.number)
            self._kernel.publish(self._all_rows(numbers), self._lot.tables.generation)
            files = list(self._tagged(stack))
            judged = [Names(self._lot.tables, file.names) for file in files]
            for living in self._living:
                yield from self._delivered(living, files, judged)

    def _record(self) -> InstanceRecord:
        chain = self._lot.instance
        return InstanceRecord(
            userns=chain[0],
            uid=0,
            flags=abi.PRIVILEGED,
            pid=0,
            start=0,
            device=0,
            lineage=0,
            uids=self._lot.uids.ranges,
            gids=self._lot.gids.ranges,
            chain=Chain(chain),
            owners=(OWNER,) * len(chain),
        )

    def _all_rows(self, cgroup_numbers: Mapping[str, int]) -> Iterator[tuple[Key, Row]]:
        yield from self._rows.rows()
        for path in sorted(self._lot.known_cgroups & cgroup_numbers.keys()):
            row = self._rows.cgroup_row(cgroup_numbers[path], path)
            if row is not None:
                yield row

    def _make_cgroups(self) -> dict[str, int]:
        for each in self._living:
            _place(each.cgroup).mkdir(parents=True, exist_ok=True)
        return {each.cgroup: _place(each.cgroup).stat().st_ino for each in self._living}

    def _remove_cgroups(self) -> None:
        for top in {Path(each.cgroup).parts[1] for each in self._living if each.cgroup != "/"}:
            cgroups.remove(cgroups.ROOT / top)

    def _tagged(self, stack: ExitStack) -> Iterator[Tagged]:
        """The files, each opened where its facts say so, while there are such."""
        free = self._stage.authorised(self._lot.instance)
        for names in self._lot.files:
            wanted = names[0].opener.userns
            chain = self._stage.namespaces.chain(wanted) if isinstance(wanted, tuple) else GONE
            chain = chain if free.get(chain) else max(free, key=lambda each: len(free[each]))
            fd = free[chain].pop()
            yield self._tag(fd, self._casting.names(names, chain))
            stack.callback(self._kernel.untag, fd, self.number)

    def _tag(self, fd: int, names: tuple[EntryFacts, ...]) -> Tagged:
        kernel = self._kernel
        classes = tuple(kernel.numbers.next_class() for _ in alternatives(names))
        for number, record in zip(classes, self._rows.class_records(names), strict=True):
            kernel.put_class(number, record)
        kernel.add_rows(self._rows.class_rows(classes, names))
        class_set = kernel.numbers.next_class_set()
        kernel.put_class_set(class_set, ClassSet(self.number, classes))
        kernel.tag(fd, self.number, class_set)
        return Tagged(fd, os.fstat(fd).st_ino, names, classes, class_set)

    def _delivered(
        self, living: Living, files: Sequence[Tagged], judged: Sequence[Names]
    ) -> Iterator[Reason]:
        who = self._stage.start(cgroup=_place(living.cgroup))
        holder = self._stage.namespaces.holder(living.userns)
        pid = None if holder is None else holder.pid
        who.call(becoming.become, pid, living.uid, living.gids, living.capabilities)
        inodes, events = self._sent(who, files)
        who.end()
        for file, names, inode, event in zip(files, judged, inodes, events, strict=True):
            expected = expected_answer(self._lot, self._cgroups, self._evaluator, names, living.facts)
            self._compare(living, file, inode, event, expected)
            yield expected.reason

    def _sent(self, who: Actor, files: Sequence[Tagged]) -> tuple[list[int | None], list[Event]]:
        """Of each file the inode that arrived, and the record about it."""
        self._kernel.ring.read()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            for file in files:
                socket.send_fds(ours, [b"x"], [file.fd])
            inodes = who.call(becoming.arrived, len(files), descriptors=(theirs.fileno(),))
        return inodes, [event for event in self._kernel.ring.read() if event.hook == Hook.RECEIVE]

    def _compare(
        self, living: Living, file: Tagged, inode: int | None, event: Event, expected: Answer
    ) -> None:
        place = file.classes.index(event.class_) if event.class_ else None
        found = Answer(event.allowed, event.decided, Reason(event.reason), place, event.terms)
        arrived = inode == file.inode
        about = (event.classes, event.inode)
        if (arrived, found, about) != (expected.allowed, expected, (file.class_set, file.inode)):
            raise Disagreement(
                f"arrived: {arrived}\nkernel: {found}\npython: {expected}\nsubject: {shown(living)}\n"
                f"names: {shown(file.names)}\ninstance: {self._lot.instance}, record: {event}\n"
                f"policies: {shown(self._lot.policies)[:20000]}"
            )


def _place(path: str) -> Path:
    return cgroups.ROOT / path.removeprefix("/")


def agree(lots: Iterable[Lot], stage: Stage, random: Random) -> Counter[Reason]:
    """Compare every delivery of some lots; how often each reason was given."""
    return Counter(reason for lot in lots for reason in Played(lot, stage, random).reasons())
