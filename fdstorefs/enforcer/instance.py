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


def standing_of(process: Process, mount: Seen) -> Standing:
    """What policies know the instance by that a process serves."""
    if process.inner_uid is None:
        raise AssertionError("a server has a uid in its user namespace")
    here = Whereabouts(mount.path, process.inner_uid, process.cgroup)
    return Standing(here, process.uid_extents, process.gid_extents)


@dataclass(slots=True, eq=False)
class Instance:
    """`uid` is its server's on the host; `chain` its user namespace and all above it; `device` as the kernel has it.

    `process` is its server, None once that has ended, which `pidfd` tells. `connected`: the server has a connection.
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
        return self.process is None

    @property
    def lineage(self) -> int:
        """The same for whoever the same user has serve there after it."""
        text = f"{self.mount}\0{self.chain[0]}\0{self.uid}".encode(errors="surrogateescape")
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
        )

    def end(self) -> None:
        """Its server is gone: let go of it."""
        self.process = None
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
