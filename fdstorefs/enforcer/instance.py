"""An instance that is registered: its server, its mount, and what policies know it by."""

import os
from dataclasses import dataclass
from hashlib import blake2b

from fdstorefs.bpf.abi import ENDED, PRIVILEGED, Chain, InstanceRecord
from fdstorefs.bpf.rows import IdMap
from fdstorefs.enforcer.generation import Standing
from fdstorefs.enforcer.process import Process
from fdstorefs.enforcer.served_mount import Seen
from fdstorefs.policy.request import Userns
from fdstorefs.server.enforcement.applies import Whereabouts


def payer_of(uid: int, owners: tuple[int, ...]) -> int:
    """On whose account a server of this uid takes room: the user outside of all user namespaces.

    `owners` made them, the innermost first. Within his own somebody can be as many users as he likes.
    """
    return owners[-2] if len(owners) > 1 else uid


def standing_of(process: Process, mount: Seen) -> Standing:
    """What policies know the instance by that a process serves."""
    if process.inner_uid is None:
        raise AssertionError("a server has a uid in its user namespace")
    here = Whereabouts(mount.path, process.inner_uid, process.cgroup)
    return Standing(here, process.uid_extents, process.gid_extents)


@dataclass(frozen=True, slots=True)
class Keeper:
    """A process that is guarded as the server is. The pidfd is the instance's."""

    pid: int
    start: int
    pidfd: int


@dataclass(slots=True, eq=False)
class Instance:
    """`uid` is its server's on the host; `chain` its user namespace and all above it; `device` as the kernel has it.

    `pidfd` is its server's, None once that has ended; `process` what is known of it. `connected`: the server has a
    connection. `keeper` is a process that may have what it keeps.
    """

    number: int
    mount: str
    device: int
    pid: int
    start: int
    uid: int
    chain: Userns
    owners: tuple[int, ...]
    is_privileged: bool
    standing: Standing
    process: Process | None = None
    pidfd: int | None = None
    connected: bool = False
    keeper: Keeper | None = None

    @classmethod
    def of(cls, number: int, process: Process, mount: Seen, pidfd: int) -> "Instance":
        """The instance that a process serves. The pidfd is the instance's from now on."""
        return cls(
            number,
            mount.path,
            mount.device,
            process.pid,
            process.start,
            process.uid,
            tuple(process.userns.numbers),
            tuple(process.userns.owners),
            process.is_privileged,
            standing_of(process, mount),
            process,
            pidfd,
        )

    @property
    def uids(self) -> IdMap:
        """Between the instance's uids and the host's."""
        return self.standing.uids

    @property
    def gids(self) -> IdMap:
        """Likewise for gids."""
        return self.standing.gids

    @property
    def has_ended(self) -> bool:
        """Whether its server is gone."""
        return self.pidfd is None

    @property
    def payer(self) -> int:
        """On whose account it takes room."""
        return payer_of(self.uid, self.owners)

    @property
    def lineage(self) -> int:
        """The same for whoever the same user has serve there after it, in the same cgroup.

        Not for all of that user's processes: else whoever he is, the policy would let him have what others stored.
        """
        cgroup = self.standing.here.cgroup or f"\0{self.pid}\0{self.start}"
        text = f"{self.mount}\0{self.chain[0]}\0{self.uid}\0{cgroup}".encode(errors="surrogateescape")
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")

    def record(self) -> InstanceRecord:
        """As the kernel's programs know it."""
        flags = (PRIVILEGED if self.is_privileged else 0) | (ENDED if self.has_ended else 0)
        return InstanceRecord(
            userns=self.chain[0],
            uid=self.uid,
            flags=flags,
            pid=self.pid,
            start=self.start,
            device=self.device,
            lineage=self.lineage,
            uids=self.uids.ranges,
            gids=self.gids.ranges,
            chain=Chain(self.chain),
            owners=self.owners,
            payer=self.payer,
        )

    def end(self) -> None:
        """Its server is gone: let go of it."""
        self.process = None
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None

    def let_go(self) -> None:
        """It is no more, nor is its keeper any business of ours."""
        self.end()
        if self.keeper is not None:
            os.close(self.keeper.pidfd)
            self.keeper = None
