"""Reconciling: what a former enforcer left in the kernel, compared with who is still there."""

import logging
import os
from collections.abc import Mapping

from fdstorefs.bpf.abi import PRIVILEGED, InstanceRecord, Role, RoleKind
from fdstorefs.enforcer.generation import Standing
from fdstorefs.enforcer.guarding import Guarding
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.process import Process, has_ended, look_at, pidfd_of
from fdstorefs.enforcer.registry import Registry
from fdstorefs.enforcer.served_mount import in_the_kernel
from fdstorefs.enforcer.state import State
from fdstorefs.host.mount_table import MountTable
from fdstorefs.host.task import Task
from fdstorefs.server.enforcement.applies import Whereabouts

log = logging.getLogger(__name__)


def take_over(kernel: KernelSide, registry: Registry, guarding: Guarding, state: State) -> None:
    """Put instances into the registry, and guarded files and entries among what is guarded, as far as they can be told.

    A server is the same if the process with its number began when it did and has the role, which no other can have.
    Mounts and entries that are no living server's go: the numbers of devices are given out again.
    """
    for number, record in kernel.instances().items():
        instance = _restored(kernel, number, record, state.instances.get(number))
        if instance is None:
            log.warning("instance %d of uid %d has ended, and is not known any more", number, record.uid)
            kernel.remove_instance(number)
            continue
        registry.restore(instance)
        if instance.has_ended:
            kernel.put_instance(number, instance.record())
    living = _living(kernel, registry)
    _restore_files(kernel, registry, guarding, state)
    _restore_entries(kernel, living, guarding)


def _living(kernel: KernelSide, registry: Registry) -> dict[int, Instance]:
    """Instances whose server and mount are there, by their mount's device."""
    found = {}
    for device, number in kernel.mounts().items():
        instance = registry.get(number)
        if instance is None or instance.has_ended or instance.device != device:
            kernel.remove_mount(device)
        else:
            found[device] = instance
    return found


def _restored(
    kernel: KernelSide, number: int, record: InstanceRecord, standing: Standing | None
) -> Instance | None:
    pidfd = _server_of(kernel, number, record)
    if pidfd is None:
        return None if standing is None else _made(number, record, standing, None, None)
    try:
        process, mounts = look_at(record.pid, pidfd)
    except OSError as error:
        log.warning("the server of instance %d cannot be looked at: %s", number, error)
        if standing is not None and not has_ended(pidfd):
            return _made(number, record, standing, None, pidfd)
        os.close(pidfd)
        return None if standing is None else _made(number, record, standing, None, None)
    standing = standing or Standing(
        Whereabouts(_path_of(mounts, record.device), process.inner_uid or 0, process.cgroup),
        process.uid_extents,
        process.gid_extents,
    )
    return _made(number, record, standing, process, pidfd)


def _made(
    number: int, record: InstanceRecord, standing: Standing, process: Process | None, pidfd: int | None
) -> Instance:
    return Instance(
        number,
        standing.here.mount,
        record.device,
        record.pid,
        record.start,
        record.uid,
        record.chain.numbers,
        record.owners,
        bool(record.flags & PRIVILEGED),
        standing,
        process,
        pidfd,
    )


def _server_of(kernel: KernelSide, number: int, record: InstanceRecord) -> int | None:
    """A pidfd of the server, if it is there. What it has turned into is the server still."""
    pidfd = pidfd_of(record.pid)
    if pidfd is None:
        return None
    try:
        if (
            kernel.role(pidfd) == Role(RoleKind.SERVER, number)
            and _start_of(record.pid, pidfd) == record.start
        ):
            return pidfd
    except OSError as error:
        log.warning("the server of instance %d cannot be told: %s", number, error)
    os.close(pidfd)
    return None


def _start_of(pid: int, pidfd: int) -> int:
    task = Task.hold(pid, pidfd)
    try:
        return task.name_and_start()[1]
    finally:
        task.close()


def _path_of(mounts: MountTable, device: int) -> str:
    for mount in mounts.mounts:
        if in_the_kernel(mount.device) == device:
            return mount.mount_point
    return ""


def _restore_files(kernel: KernelSide, registry: Registry, guarding: Guarding, state: State) -> None:
    known = dict(kernel.class_sets())
    for number, file in state.files.items():
        there = known.get(number)
        if there is None or (there.instance, there.classes) != (file.instance, file.classes):
            continue
        instance = registry.get(file.instance)
        if instance is not None:
            guarding.restore(instance, number, file)


def _restore_entries(kernel: KernelSide, living: Mapping[int, Instance], guarding: Guarding) -> None:
    for key, number in tuple(kernel.entries()):
        instance = living.get(key.device)
        if instance is None:
            kernel.remove_entry(key.device, key.inode)
        else:
            guarding.restore_entry(instance, key.inode, number)
