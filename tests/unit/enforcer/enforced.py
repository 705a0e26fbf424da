"""Policies in force in a fake kernel, and instances of this very process."""

import os
from collections.abc import Mapping

from fdstorefs.bpf.abi import KNOWS_CAPABILITIES, KNOWS_UID, KNOWS_USERNS, Chain, Order
from fdstorefs.bpf.abi import Person as Who
from fdstorefs.bpf.rows import Extent
from fdstorefs.enforcer.book import Book
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.generation import Generation, Standing
from fdstorefs.enforcer.guarding import Guarding, Name, Outcome
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.names import KnownUsers
from fdstorefs.enforcer.policy_set import PolicySet
from fdstorefs.enforcer.process import Process, look_at
from fdstorefs.enforcer.registry import Registry
from fdstorefs.enforcer.served_mount import Seen
from fdstorefs.host.file_kind import classify
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.span import Source
from fdstorefs.policy.vocabulary import Mode
from fdstorefs.server.enforcement.applies import Whereabouts
from tests.unit.enforcer.fake_kernel import FakeKernel

IDENTITY = (Extent(0, 0, 2**32 - 1),)
HERE = os.stat("/proc/self/ns/user").st_ino
ELSEWHERE = 7
KNOWN = KNOWS_UID | KNOWS_CAPABILITIES | KNOWS_USERNS
POLICY = """\
version: 1
name: p
rules:
  - {id: own, effect: allow, actions: [retrieve, take], stasher: {uid: same}}
  - {id: web, effect: allow, actions: [retrieve], entries: ["web/**"], subject: {cgroup: [/web]}}
"""


def policy_set(*texts: str, modes: Mapping[str, Mode] | None = None) -> PolicySet:
    """Policies from their texts."""
    sources = [Source.of(f"/p/{number}.yaml", text) for number, text in enumerate(texts)]
    return PolicySet(sources, [source.name for source in sources], modes, KnownUsers(FixedNames()))


def this_process() -> Process:
    """The one that the test runs in."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        return look_at(os.getpid(), pidfd)[0]
    finally:
        os.close(pidfd)


def standing(mount: str = "/m", cgroup: str | None = "/c") -> Standing:
    """An instance of the initial user namespace."""
    return Standing(Whereabouts(mount, 0, cgroup), IDENTITY, IDENTITY)


def name(
    path: str,
    inode: int,
    uid: int | None = 1000,
    *,
    capabilities: int | None = 0,
    userns: tuple[int, ...] | None = (HERE,),
) -> Name:
    """A name that a user has stashed something under."""
    return Name(path, inode, None, uid, capabilities, userns)


class Enforced:
    """Everything between the kernel and the socket."""

    def __init__(self, kernel: FakeKernel) -> None:
        self.kernel = kernel
        self.book = Book()
        self.cgroups: dict[int, str] = {1: "/", 2: "/web"}
        self.enforcement = Enforcement(kernel, self.book, self.cgroups)
        self.sweeps = 0
        self.left: list[Instance] = []
        self.ended: list[Instance] = []
        self.registry = Registry(kernel, self.enforcement, self.left.append, self.ended.append)
        self.guarding = Guarding(
            kernel, self.book, self.enforcement, sweep=self._count_sweep, clear_at=lambda _when: None
        )
        self.adopt(POLICY)
        self._descriptors: list[int] = []

    def _count_sweep(self) -> None:
        self.sweeps += 1

    def close(self) -> None:
        """Close what was opened."""
        for fd in self._descriptors:
            os.close(fd)
        for instance in self.registry:
            instance.end()

    def adopt(self, *texts: str) -> Generation:
        """Put policies in force."""
        instances = tuple(self.registry)
        generation = Generation(policy_set(*texts), self.kernel.numbers.next_generation())
        profile = self.enforcement.needs_other_programs(generation, [each.standing for each in instances])
        if profile is not None:
            self.enforcement.load(profile, lockdown=False)
        self.enforcement.adopt(generation, instances)
        return generation

    def admit(self, mount: str = "/m", device: int = 77) -> Instance:
        """Register this process for a mount."""
        process, pidfd = this_process(), os.pidfd_open(os.getpid())
        in_force = self.enforcement.generation.for_instance(standing(mount))
        return self.registry.admit(process, Seen(mount, device), pidfd, in_force)

    def open_file(
        self,
        *,
        authority: bool = True,
        uid: int = 1000,
        known: int = KNOWN,
        above: Mapping[int, int] | None = None,
    ) -> int:
        """A memfd that the kernel says was opened by a user, in the namespace that this process is in.

        Or in the first of `above`: user namespaces and their makers, each in the one after it, all below that one.
        """
        fd = os.memfd_create("test")
        self._descriptors.append(fd)
        chain = {**(above or {}), HERE: 0}
        opener = Who(uid=uid, userns=next(iter(chain)), capabilities=0, known=known, gid=uid)
        self.kernel.files[os.fstat(fd).st_ino] = Order(
            0,
            authority=int(authority),
            opener=opener,
            chain=Chain(tuple(chain)),
            owners=tuple(chain.values()),
        )
        return fd

    def guard(self, instance: Instance, fd: int, *names: Name) -> Outcome:
        """Have a file guarded."""
        return self.guarding.guard(instance, fd, classify(fd), names)

    def set_of(self, instance: Instance, fd: int) -> int | None:
        """The class set that a file is tagged with."""
        found = self.kernel.tags.get(os.fstat(fd).st_ino, {}).get(instance.number)
        return None if found is None else int(found)

    def clear(self) -> None:
        """Remove what was set aside, as if its time were up."""
        self.guarding.clear(float("inf"))
