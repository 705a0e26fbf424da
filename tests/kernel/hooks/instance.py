"""An instance as the enforcer would make it known, without a server: its rows, its files, its processes."""

import os
from collections.abc import Iterator, Sequence

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Chain, ClassSet, InstanceRecord, Key, Range, RoleKind, Row
from fdstorefs.bpf.kernel import Kernel
from fdstorefs.bpf.profile import Profile
from fdstorefs.bpf.rows import IDENTITY, TableSet, alternatives
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import EntryFacts, Person
from fdstorefs.policy.vocabulary import Action, Effect, Mode
from tests.kernel.people import ALICE, BOB

PROFILE = Profile(1, abi.USES_ALL, 0x1FF_FFFF_FFFF, True)
INITIAL = os.stat("/proc/self/ns/user").st_ino
EVERYBODY = (Range(0, abi.ALL_FROM),)


def may(uid: int, mode: Mode = Mode.ENFORCE) -> Policy:
    """One user may retrieve everything, nobody else anything."""
    only = SubjectConditions(uid=Ids(frozenset({uid})))
    rule = Rule("one-may", Effect.ALLOW, frozenset({Action.RETRIEVE}), Conditions(subjects=(only,)))
    return Policy("one", (rule,), mode)


def bob_may(mode: Mode = Mode.ENFORCE) -> Policy:
    """Bob may retrieve everything."""
    return may(BOB.uid, mode)


class Instance:
    """Made known to the kernel under a new number. `rows` are those that a generation has to have for it."""

    def __init__(
        self, kernel: Kernel, policy: Policy, *, uid: int = ALICE.uid, flags: int = 0, lineage: int = 0
    ) -> None:
        self.kernel = kernel
        self.number = kernel.numbers.next_instance()
        self.generation = kernel.numbers.next_generation()
        self._rows = TableSet(
            self.number,
            compile_policies([policy], generation=self.generation),
            IDENTITY,
            IDENTITY,
            PROFILE,
        )
        self._record = InstanceRecord(
            INITIAL, uid, flags, 0, 0, 0, lineage, EVERYBODY, EVERYBODY, Chain((INITIAL,)), (0,), uid
        )
        kernel.put_instance(self.number, self._record)

    def rows(self) -> Iterator[tuple[Key, Row]]:
        """Everything but classes."""
        return self._rows.rows()

    def end(self) -> None:
        """Its server has gone."""
        fields = {name: getattr(self._record, name) for name in InstanceRecord.__slots__}
        self.kernel.put_instance(self.number, InstanceRecord(**{**fields, "flags": abi.ENDED}))

    def class_set(self, names: Sequence[EntryFacts] | None = None) -> int:
        """A new class set for an open file with these names, whose rows are in the generation in force."""
        names = names or [file_of(ALICE.uid)]
        numbers = tuple(self.kernel.numbers.next_class() for _ in alternatives(names))
        records = self._rows.class_records(names)
        for number, record in zip(numbers, records, strict=True):
            self.kernel.put_class(number, record)
        self.kernel.add_rows(self._rows.class_rows(numbers, names))
        number = self.kernel.numbers.next_class_set()
        self.kernel.put_class_set(number, ClassSet(self.number, numbers))
        return number

    def give_role(self, pid: int, kind: RoleKind) -> None:
        """Say what a process is to it."""
        pidfd = os.pidfd_open(pid)
        try:
            self.kernel.set_role(pidfd, kind, self.number)
        finally:
            os.close(pidfd)


def file_of(uid: int) -> EntryFacts:
    """A file that somebody of the initial namespace opened and stashed."""
    person = Person(uid=uid, capabilities=0, userns=(INITIAL,))
    return EntryFacts("a", "memfd", "tmpfs", "read-write", None, person, person, guarded=True)
