"""A kernel that enforces for an instance: a policy, tagged files, a mount. Without a server, which nobody asks here."""

import os
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.peers import policies
from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Chain, ClassSet, InstanceRecord
from fdstorefs.bpf.kernel import Kernel
from fdstorefs.bpf.rows import IDENTITY, TableSet, alternatives, profile_of
from fdstorefs.host.user_database import HostNames
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.load import load, source_from_bytes
from fdstorefs.policy.request import EntryFacts, Person

PINS = Path("/sys/fs/bpf/fdstorefs-bench")
RULES = 100
FILES = 500
"""Tagged ones beside that which is passed, so that the table of tags isn't empty."""
CGROUPS = Path("/sys/fs/cgroup")
INITIAL = (os.stat("/proc/self/ns/user").st_ino,)
ROOT = Person(uid=0, capabilities=(1 << 41) - 1, userns=INITIAL)
NAMES = (EntryFacts("x", kind="memfd", filesystem="tmpfs", access="rw", stasher=ROOT, opener=ROOT),)


class Enforced:
    """Attached, with all of it in force. A context manager; `quit` takes all but the programs away."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.kernel = self._stack.enter_context(Kernel.open(str(PINS)))
        self.mount = self.scratch / "mount"
        self._things = self._stack.enter_context(ExitStack())
        self._make_mount()

    def __enter__(self) -> Self:
        kernel = self.kernel
        path = policies.write(self.scratch / "policy.yaml", RULES)
        found = load([source_from_bytes("policy.yaml", path.read_bytes())], HostNames()).policies
        self._tables = compile_policies(list(found), generation=kernel.numbers.next_generation())
        # The hook for connecting is there as soon as one policy of a host needs it.
        profile = profile_of([self._tables])._replace(connect=True)
        self._instance = kernel.numbers.next_instance()
        self._rows = TableSet(self._instance, self._tables, IDENTITY, IDENTITY, profile)
        kernel.load(profile, lockdown=False)
        kernel.put_instance(self._instance, _record())
        row = self._rows.cgroup_row(CGROUPS.stat().st_ino, "/")
        kernel.publish([*self._rows.rows(), *([] if row is None else [row])], self._tables.generation)
        kernel.attach()
        self.tagged, *_ = [self._tagged_file(self._class_set()) for _ in range(1 + FILES)]
        device = self.mount.stat().st_dev
        kernel.put_mount(os.major(device) << 20 | os.minor(device), self._instance)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def quit(self) -> None:
        """Have nothing more to enforce. Tags go with their files, if the programs are in their hooks now."""
        self._things.close()
        for device in self.kernel.mounts():
            self.kernel.remove_mount(device)
        self.kernel.remove_instance(self._instance)
        self.kernel.publish([], self.kernel.numbers.next_generation())

    def _make_mount(self) -> None:
        self.mount.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "bench", str(self.mount)], check=True)
        self._stack.callback(subprocess.run, ["umount", "--lazy", str(self.mount)], check=False)

    def _class_set(self) -> int:
        kernel = self.kernel
        numbers = tuple(kernel.numbers.next_class() for _ in alternatives(NAMES))
        for number, record in zip(numbers, self._rows.class_records(NAMES), strict=True):
            kernel.put_class(number, record)
        kernel.add_rows(self._rows.class_rows(numbers, NAMES))
        number = kernel.numbers.next_class_set()
        kernel.put_class_set(number, ClassSet(self._instance, numbers))
        return number

    def _tagged_file(self, class_set: int) -> int:
        fd = os.memfd_create("bench")
        self._things.callback(os.close, fd)
        self.kernel.tag(fd, self._instance, class_set)
        return fd


def _record() -> InstanceRecord:
    return InstanceRecord(
        userns=INITIAL[0],
        uid=0,
        flags=abi.PRIVILEGED,
        pid=0,
        start=0,
        device=0,
        lineage=0,
        uids=IDENTITY.ranges,
        gids=IDENTITY.ranges,
        chain=Chain(INITIAL),
        owners=(0,),
    )
