"""Reconciling: what a former enforcer left in the kernel, compared with who is still there."""

import logging
import os

from fdstorefs.bpf.abi import PRIVILEGED, InstanceRecord, RoleKind
from fdstorefs.enforcer.book import Book
from fdstorefs.enforcer.generation import Standing
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.process import Process, look_at, pidfd_of
from fdstorefs.enforcer.registry import Registry
from fdstorefs.enforcer.served_mount import in_the_kernel
from fdstorefs.enforcer.state import State
from fdstorefs.host.mount_table import MountTable
from fdstorefs.server.enforcement.applies import Whereabouts

log = logging.getLogger(__name__)


def take_over(kernel: KernelSide, registry: Registry, book: Book, state: State) -> None:
    """Put instances into the registry, and guarded files into the book, as far as they can be told.

    A server is the same if the process with its number began when it did and has the role, which no other can have.
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
            kernel.remove_mount(record.device)
    _restore_files(kernel, registry, book, state)


def _restored(
    kernel: KernelSide, number: int, record: InstanceRecord, standing: Standing | None
) -> Instance | None:
    live = _live(kernel, number, record)
    if live is not None:
        process, mounts, pidfd = live
        path = _path_of(mounts, record.device)
        standing = standing or Standing(
            Whereabouts(path, process.inner_uid or 0, process.cgroup),
            process.uid_extents,
            process.gid_extents,
        )
        return _made(number, record, standing, process, pidfd)
    return None if standing is None else _made(number, record, standing, None, None)


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


def _live(kernel: KernelSide, number: int, record: InstanceRecord) -> tuple[Process, MountTable, int] | None:
    pidfd = pidfd_of(record.pid)
    if pidfd is None:
        return None
    try:
        role = kernel.role(pidfd)
        if role is not None and (role.kind, role.instance) == (RoleKind.SERVER, number):
            process, mounts = look_at(record.pid, pidfd)
            if process.start == record.start:
                return process, mounts, pidfd
    except OSError as error:
        log.warning("the server of instance %d cannot be looked at: %s", number, error)
    os.close(pidfd)
    return None


def _path_of(mounts: MountTable, device: int) -> str:
    for mount in mounts.mounts:
        if in_the_kernel(mount.device) == device:
            return mount.mount_point
    return ""


def _restore_files(kernel: KernelSide, registry: Registry, book: Book, state: State) -> None:
    known = dict(kernel.class_sets())
    for number, file in state.files.items():
        there = known.get(number)
        if there is None or (there.instance, there.classes) != (file.instance, file.classes):
            continue
        instance = registry.get(file.instance)
        if instance is None:
            continue
        book.add(number, file)
        if not instance.has_ended:
            for inode in file.inodes:
                book.give_entry(file.instance, inode, number)
